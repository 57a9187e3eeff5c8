"""Of a segment is said what its own pairs show; one that loses too much goes back."""

from math import exp
from random import Random

import numpy as np
import pytest
from msgspec.structs import replace

from octoplex.optimizer.features import features_of
from octoplex.optimizer.loop import Loop
from octoplex.optimizer.offpolicy import Compared
from octoplex.optimizer.policy import RUNGS
from octoplex.optimizer.segments import MOST, Kind, Segments, Terms
from tests.optimizer.world import COSTS, PLAN, REQUESTS, notes

ALL = np.ones(RUNGS, bool)
LOST = {"good": 0.0, "bad": 0.35, "fair": 0.09}
"""Of what the reference gets right, where a candidate answers."""


def taught(kind: Kind, seed: int, count: int, names: tuple[str, ...] = ("good", "bad")) -> Segments:
    """Segments after so many pairs; rung k moves k of 40 requests."""
    dice, found = Random(seed), Segments(names, Terms(kind, 0.05, 0.05, 1.0))
    for _ in range(count):
        name = dice.choice(names)
        first = float(dice.random() < 0.9)
        other = first * float(dice.random() > LOST[name])
        moved = np.arange(1, RUNGS + 1) > dice.randrange(RUNGS)
        found.see(name, Compared(1.0, first, other, 1.0, 0.8), moved, ALL)
    return found


def test_a_segment_that_loses_more_is_held_and_no_other_is() -> None:
    for seed in range(5):
        found = taught("watched", seed, 700)
        assert found.limits(20) == {"bad": 0}
        bad, good = (next(s for s in found.shown(20) if s.segment == n) for n in ("bad", "good"))
        assert (bad.rung, bad.is_held, bad.certified < 20) == (0, True, True)
        assert (good.rung, good.is_held, good.certified) == (20, False, RUNGS)
        assert bad.told.snips == pytest.approx(1 - 0.35 / 2, abs=0.06)
        assert found.limits(3) == {}, "so little of it is moved that the promise may hold"


def test_one_that_keeps_it_is_not_held_by_chance() -> None:
    """Half of it moved, it loses 4.5 %, and is looked at after each pair."""
    held = 0
    for seed in range(15):
        found, dice = Segments(("fair",), Terms("watched", 0.05, 0.05, 1.0)), Random(seed)
        for _ in range(400):
            first = float(dice.random() < 0.9)
            other = first * float(dice.random() > LOST["fair"])
            moved = np.arange(1, RUNGS + 1) > dice.randrange(RUNGS)
            found.see("fair", Compared(1.0, first, other, 1.0, 0.8), moved, ALL)
            held += bool(found.limits(20))
    assert held == 0


def test_each_is_served_as_far_as_it_is_shown_to_keep_the_promise() -> None:
    found = taught("each", 3, 900)
    limits = found.limits(30)
    assert limits["good"] == 30
    assert 0 < limits["bad"] < 15
    assert taught("each", 3, 40).limits(30) == {"good": 0, "bad": 0}, "too little is known"


def test_shares_of_alpha_sum_to_it() -> None:
    found = Segments(tuple(map(str, range(40))), Terms("each", 0.05, 0.05, 1.0))
    pair = Compared(1.0, 1.0, 1.0, 1.0, 1.0)
    for name in range(100):
        found.see(str(name), pair, ALL, ALL)
    found.see("", pair, ALL, ALL)
    assert len(found.shown(1)) == MOST
    assert sum(exp(-one.needed) for one in found._segments.values()) <= 0.05
    nobody = Segments((), Terms("", 0.05, 0.05, 1.0))
    nobody.see("a", pair, ALL, ALL)
    assert nobody.shown(1) == ()


def test_who_is_in_no_segment_is_shown_nothing_and_not_moved() -> None:
    loop = Loop(replace(PLAN, segments="each"), Random(3))
    assert sum(1 for _ in notes(loop, REQUESTS)) > REQUESTS
    assert loop.share > 0, "on average over all it is certified"
    for number in range(40):
        features = features_of(f"of a pool and a river {number}")
        assert loop.decide(features, np.array(COSTS)).rung == 0
