"""A policy proposes what is worth most, says how probable it was, and judges whom it moves."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest

from octoplex.optimizer.features import WIDTH, Seen, features_of
from octoplex.optimizer.ladder import FIRST, _compared
from octoplex.optimizer.loop import Loop, Plan
from octoplex.optimizer.policy import (
    FLOOR,
    OTHERS,
    RUNGS,
    Decision,
    Draws,
    Judging,
    Policy,
    Snapshot,
)
from octoplex.optimizer.scorer import Scorer

COSTS = np.array([1.0, 0.2, 0.5])
JUDGING = Judging(within=0.4, beyond=0.1, cut=0.05, rungs=RUNGS)


def snapshot(seed: int) -> Snapshot:
    dice = np.random.default_rng(seed)
    scorers = tuple(
        Scorer(dice.normal(0, 0.3, WIDTH).astype(np.float32), {7: float(dice.normal())}, -0.05)
        for _ in range(2)
    )
    cuts = np.sort(dice.normal(0, 0.3, RUNGS))
    return Snapshot(scorers, cuts, np.array([0.8, 0.5]), 1 + seed, seed)


def request(seed: int) -> Seen:
    dice = np.random.default_rng(100 + seed)
    places = np.sort(dice.choice(WIDTH, 9, replace=False))
    return Seen(places, dice.normal(0, 1, 9), 7 if seed % 3 == 0 else seed)


def policy(count: int = 3) -> Policy:
    serving = [(weight, snapshot(n)) for n, weight in enumerate((0.5, 0.3, 0.2)[:count])]
    return Policy(snapshot(9), JUDGING, serving, rung=20, version=4)


def by_hand(one: Snapshot, seen: Seen, costs: np.ndarray) -> tuple[int, float]:
    """Candidate and strain, candidate by candidate."""
    best, found, worth = 0, float("inf"), -float("inf")
    for number, scorer in enumerate(one.scorers, 1):
        saved, score = float(costs[0] - costs[number]), scorer.of(seen)
        if saved > 0 and saved + one.rate * score > worth:
            best, worth = number, saved + one.rate * score
            found = -score / float(one.savings[number - 1])
    return best, found


@pytest.mark.parametrize("costs", [COSTS, np.array([1.0, 1.5, 0.5]), np.array([0.1, 0.2, 0.5])])
def test_each_snapshot_proposes_what_is_worth_most(costs: np.ndarray) -> None:
    told = policy()
    starts = [0.0, *np.cumsum(told.weights)]
    for number in range(40):
        seen = request(number)
        for (start, end), one in zip(pairwise(starts), told.serving, strict=True):
            decision = told.decide(seen, costs, Draws((start + end) / 2, 0.9, 0.9, 0.0))
            best, strain = by_hand(one, seen, costs)
            assert decision.served.candidate == best
            assert decision.served.strain == pytest.approx(strain)
            assert decision.variant == (best if strain <= one.cuts[19] else 0)
        best, strain = by_hand(told.newest or one, seen, costs)
        assert (decision.proposal.candidate, decision.proposal.strain) == (
            best,
            pytest.approx(strain),
        )


@pytest.mark.parametrize("costs", [COSTS[:2], np.array([1.0, 1.5])])
def test_one_candidate_is_proposed_as_several_are(costs: np.ndarray) -> None:
    """Which is told without comparing: whoever it is compared with saves nothing."""
    for number in range(20):
        both, seen = snapshot(number)._replace(savings=np.array([0.8, 0.0])), request(number)
        one = both._replace(scorers=both.scorers[:1], savings=both.savings[:1])
        draws = Draws(0.1, 0.9, 0.9, 0.0)
        more = Policy(both, JUDGING).decide(seen, np.append(costs, 9.0), draws).proposal
        told = Policy(one, JUDGING).decide(seen, costs, draws).proposal
        assert (told.candidate, told.strain, told.scores[0]) == (
            more.candidate,
            pytest.approx(more.strain),
            pytest.approx(more.scores[0]),
        )
        assert told.candidate == int(costs[1] < costs[0])
    none = Policy(one._replace(savings=np.array([0.0])), JUDGING).decide(seen, costs, draws)
    assert none.proposal.candidate == 0


def test_one_that_saved_nothing_when_cuts_were_made_has_no_strain() -> None:
    """It is cheaper now; how much quality that may cost nobody has tested."""
    told = Policy(snapshot(9)._replace(savings=np.array([0.0, 0.5])), JUDGING)
    draws = Draws(0.1, 0.9, 0.9, 0.0)
    proposed = {told.decide(request(n), COSTS, draws).proposal.candidate for n in range(40)}
    assert proposed == {2}


def test_propensities_are_how_often_it_happens() -> None:
    told, dice = policy(), Random(3)
    for number in range(6):
        seen, counts, said = request(number), np.zeros(3), {}
        for _ in range(4_000):
            draws = Draws(dice.random(), dice.random(), dice.random(), dice.random())
            decision = told.decide(seen, COSTS, draws)
            counts[decision.variant] += 1
            said[decision.variant] = decision.propensity
        for variant, propensity in said.items():
            assert counts[variant] / 4_000 == pytest.approx(propensity, abs=0.03)
        assert said.get(0, FLOOR) >= FLOOR


def test_whom_a_candidate_serves_is_judged_as_often_as_who_is_near() -> None:
    """Otherwise one pair in many would weigh so much that a loss could not be told from chance."""
    told = policy()
    far = [
        decision
        for number in range(60)
        for decision in [told.decide(request(number), COSTS, Draws(0.1, 0.9, 0.3, 0.0))]
        if decision.proposal.strain > JUDGING.cut
    ]
    assert {one.judged for one in far if one.variant} == {JUDGING.within}
    assert {one.judged for one in far if not one.variant} == {JUDGING.beyond}


def test_what_a_pair_says_is_on_average_true_whoever_is_drawn() -> None:
    """Rivals are drawn as often as is said; what is divided by that is the proposed one's worth."""
    told, grid = policy(), (np.arange(2_000) + 0.5) / 2_000
    for number in range(6):
        found = [told.decide(request(number), COSTS, Draws(0.1, 0.9, 0.0, draw)) for draw in grid]
        drawn = np.bincount([one.rival for one in found], minlength=3) / len(found)
        said = {one.rival: one for one in found}
        assert sum(one.rival_propensity for one in said.values()) == pytest.approx(1.0)
        total = 0.0
        for rival, one in said.items():
            assert one.rival_propensity == pytest.approx(drawn[rival])
            total += drawn[rival] * _compared(one, one.proposal, (1.0, 0.8, 0.3)).robust
        assert total == pytest.approx(0.3 if found[0].proposal.candidate else 0.8)


def test_at_first_all_candidates_are_judged_alike() -> None:
    """Who stands first in the file is no better for it; evidence begins when that has ended."""
    dice, names = Random(3), ("ref", "a", "b", "c", "best")
    loop, told = Loop(Plan(names, feedback=1.0), Random(1)), list[Decision]()
    costs = np.array([1.0, 0.1, 0.1, 0.1, 0.1])
    while len(told) < 320:
        features = features_of(f"{dice.choice(('tide', 'law', 'sea'))} {len(told)}")
        decision = loop.decide(features, costs)
        if decision.is_judged:
            told.append(decision)
            good = decision.rival == 4 or dice.random() < 0.3
            loop.judged(features, decision, (1.0, float(good)))
    early = [one.rival for one in told if one.rival_propensity == 0.25]
    late = [one for one in told[len(early) :] if one.rival_propensity != 0.25]
    assert FIRST <= len(early) < FIRST + 40
    assert len(early) + len(late) == len(told)
    assert min(early.count(one) for one in (1, 2, 3, 4)) > 35
    assert [one.rival for one in late].count(4) > 0.8 * len(late)
    assert {one.rival_propensity for one in late} == {1 - OTHERS, OTHERS / 3}
