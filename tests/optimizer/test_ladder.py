"""The watch finds a candidate that became worse; neither hard requests nor chance are that."""

from random import Random

import numpy as np

from octoplex.optimizer.ladder import (
    LOOKED,
    NEWEST,
    UNTOLD,
    WATCHED,
    Ladder,
    Lately,
    Mix,
    Proven,
    Watch,
)
from octoplex.optimizer.policy import NO_PROPOSAL, RUNGS, Decision, Proposal
from octoplex.optimizer.segments import Terms

BEGUN = WATCHED + UNTOLD
HARD, EASY = -0.4, -0.05
"""What is expected of requests: the mean difference of quality."""


def told(
    watch: Watch,
    dice: Random,
    count: int,
    lost: float = 0.0,
    hard: float = 0.3,
    is_near: bool = True,
) -> int | None:
    """Pairs until it speaks, of so many; `lost` more are lost than was expected."""
    for number in range(1, count + 1):
        expected = HARD if dice.random() < hard else EASY
        luck = dice.random()
        difference = -1.0 if luck < lost - expected + 0.02 else float(luck > 0.98)
        since = watch.see(difference, expected, is_near)
        if since:
            assert 0 < since <= number + 60
            return number
    return None


def test_a_sudden_loss_is_found_soon() -> None:
    for seed in range(20):
        dice, watch = Random(seed), Watch()
        assert told(watch, dice, BEGUN + 600) is None
        found = told(watch, dice, 200, lost=0.35)
        assert found is not None


def test_as_long_as_nothing_changes_it_is_silent() -> None:
    for seed in range(20):
        assert told(Watch(), Random(seed), 3_000) is None


def test_harder_requests_are_no_loss() -> None:
    """Their expectations say so."""
    dice, watch = Random(1), Watch()
    assert told(watch, dice, 1_000, hard=0.1, is_near=False) is None
    assert told(watch, dice, 600, hard=0.7, is_near=False) is None


def test_it_says_nothing_before_it_knows_how_it_was() -> None:
    assert told(Watch(), Random(1), BEGUN - 1, lost=0.5) is None


def lately(found: Lately, dice: Random, count: int, lost: float) -> list[int]:
    """The rungs that may serve, of 24, at each look; `lost` of what is moved, a fortieth each."""
    rungs = []
    for number in range(count):
        moved = np.arange(1, RUNGS + 1) > dice.randrange(RUNGS)
        other = float(dice.random() > lost) - 0.95
        outcomes, rung = np.where(moved, other, 0.05), min(found.rungs, 24)
        found.see(outcomes, np.arange(RUNGS) < 30)
        found.gain(float(outcomes[rung - 1]) if rung else 0.05)
        rungs += [found.rungs] if number % LOOKED == LOOKED - 1 else []
    return rungs


def test_what_loses_lately_serves_less_until_it_does_not() -> None:
    for seed in range(10):
        dice, found = Random(seed), Lately()
        lately(found, dice, 1_000, 0.02)
        assert found.rungs == RUNGS
        before = found._gained
        rungs = lately(found, dice, 900, 0.25)
        assert max(rungs[:3]) == RUNGS, "what was gained is not used up at once"
        assert 0 < rungs[-1] < 14, "rung 8 would keep the promise"
        assert -10 < found._gained < before
        found.gain(-40.0)
        assert min(lately(found, dice, 150, 0.25)) == 0, "all that can be had is needed"
        assert lately(found, dice, 2_500, 0.02)[-1] == RUNGS
    assert lately(Lately(), Random(1), NEWEST - 1, 1.0)[-1] == RUNGS, "too few to say"


def test_another_candidate_is_no_worse_one() -> None:
    """A price has changed, so another is proposed, which never was as good."""
    ladder, dice = Ladder(Terms("", 0.05, 0.05, 1.1), 10.0), Random(1)
    ladder._served = Proven(None, Mix(8))
    ladder._cuts = lambda born: np.ones(RUNGS)  # type: ignore[method-assign]
    for number in range(900):
        candidate = 1 + (number >= 600)
        expected = (-0.02, -0.3)
        proposal = Proposal(candidate, 0.0, expected)
        said = Decision(
            1, 0, 1.0, 8, 5, 5, proposal, 20, 0.1, True, candidate, 0.9, NO_PROPOSAL, 0.0
        )
        other = float(dice.random() > -expected[candidate - 1])
        assert ladder.warned(said, 0.1, 1.0, other) == 0, number
    worse = [ladder.warned(said, 0.1, 1.0, float(n % 4 == 0)) for n in range(200)]
    assert any(worse), "that one has become worse"
