"""A winner on its way to everybody: what gets through, what goes back."""

from math import sqrt
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.optimizer.canary import STEPS, Canary
from octoplex.optimizer.metric import Metric

QUALITY = Metric("quality", allowed=0.1)
COST = Metric("cost", better="less", most=0.1, ratio=True, allowed=0.1)
ALPHA = 0.1


def walk(canary: Canary, random: Random, first: float, new: float, units: int) -> int:
    """Tell of so many units that answer rightly with these chances; how many it took to end."""
    for unit in range(units):
        is_new = random.random() < canary.share
        canary.told(is_new, {"quality": float(random.random() < (new if is_new else first))})
        if canary.alarm or canary.share == 1:
            return unit + 1
    return units


def test_one_that_is_as_bad_as_not_allowed_seldom_passes_a_step() -> None:
    seeds, passed = 120, [0, 0]
    for seed in range(seeds):
        canary = Canary((QUALITY,), (0.2, 0.5), ALPHA)
        walk(canary, Random(seed), 0.7, 0.6, 300)
        for step in range(canary.step):
            passed[step] += 1
    for step, count in enumerate(passed, 1):
        chance = ALPHA ** (step / 2)
        assert count <= seeds * (chance + 3 * sqrt(chance * (1 - chance) / seeds))


def test_one_that_is_as_good_gets_through_every_step() -> None:
    canary, random = Canary((QUALITY,), (0.1, 0.5), 0.05), Random(1)
    assert walk(canary, random, 0.8, 0.8, 20_000) < 6_000
    assert (canary.step, canary.share, canary.alarm) == (2, 1.0, "")
    won = canary.evidence()
    canary.told(True, {"quality": 0.0})
    assert (canary.evidence() == won).all(), "it has ended"


def test_a_bad_week_for_both_is_no_reason_to_go_back() -> None:
    canary, random = Canary((QUALITY,), (0.5,), 1e-300), Random(8)
    walk(canary, random, 0.95, 0.95, 3_000)
    walk(canary, random, 0.3, 0.3, 3_000)
    assert not canary.alarm


def test_a_growing_share_and_a_bad_week_are_no_reason() -> None:
    """Both are worse when the new one has more of the units: means by variant would mislead."""
    canary, random = Canary((QUALITY,), (0.1, 0.5), 0.05), Random(2)
    while canary.step == 0:
        walk(canary, random, 0.9, 0.9, 1)
    walk(canary, random, 0.4, 0.4, 20_000)
    assert (canary.step, canary.alarm) == (2, "")


@pytest.mark.parametrize(("share", "most"), [(0.05, 3_000), (0.5, 300)])
def test_a_sudden_loss_goes_back_soon(share: float, most: int) -> None:
    canary, random = Canary((QUALITY,), (share,), 1e-12), Random(3)
    walk(canary, random, 0.9, 0.9, 100)
    assert not canary.alarm
    assert walk(canary, random, 0.9, 0.4, 10_000) < most
    assert canary.alarm == "quality"


metrics = st.builds(
    Metric,
    st.just("x"),
    st.sampled_from(["more", "less"]),
    st.just(2.0),
    st.booleans(),
    st.floats(0.01, 1),
)


@given(metrics, st.floats(0.001, 0.999), st.lists(st.tuples(st.booleans(), st.floats(0, 9))))
@settings(max_examples=60, deadline=None)
def test_any_results_can_be_told(
    metric: Metric, share: float, told: list[tuple[bool, float]]
) -> None:
    canary = Canary((metric,), (share,), 1e-9)
    for is_new, value in told:
        canary.told(is_new, {"x": value})
    assert canary.evidence()[0] < 1e9


def test_every_metric_must_be_kept() -> None:
    canary, random = Canary((QUALITY, COST), (0.3,), 0.05), Random(4)
    for _ in range(4_000):
        is_new = random.random() < canary.share
        cost = random.uniform(0.03, 0.07) * (1.1 if is_new else 1.0)
        canary.told(is_new, {"quality": float(random.random() < 0.8), "cost": cost})
    quality, cost = canary.evidence()
    assert quality > 3
    assert cost < 3
    assert canary.step == 0


def test_what_was_not_measured_is_no_evidence() -> None:
    canary, random = Canary((QUALITY, COST), STEPS, 0.05), Random(5)
    walk(canary, random, 0.8, 0.8, 300)
    before = canary.evidence()
    assert before[1] == 0
    canary.told(True, {})
    assert (canary.evidence() == before).all()
    with pytest.raises(ValueError, match="cost"):
        canary.told(True, {"cost": -1})
