"""A ranking's measures are those of the paper, worked out by hand."""

import numpy as np
import pytest

from octoplex.optimizer.ranking import ranked


def test_who_knows_the_gains_needs_the_fewest_calls() -> None:
    gains = np.array([1.0] * 20 + [0.0] * 80)
    told = ranked(gains, gains)
    assert told is not None
    assert (told.half, told.most) == (pytest.approx(10), pytest.approx(16))
    assert told.area == pytest.approx(0.9)


def test_who_knows_nothing_is_a_straight_line() -> None:
    gains = np.array([1.0, 0.0, 0.0, -0.5, 1.0] * 40)
    told = ranked(np.zeros(200), gains)
    assert told is not None
    assert (told.half, told.most, told.area) == pytest.approx((50, 80, 0.5))


def test_the_worst_order_needs_nearly_all_calls() -> None:
    gains = np.array([1.0] * 20 + [0.0] * 80)
    told = ranked(-gains, gains)
    assert told is not None
    assert told.half == pytest.approx(90)
    assert told.area == pytest.approx(0.1)


def test_quality_beyond_the_better_models_counts_where_it_was_reached_first() -> None:
    """Some requests lose by being moved up: the gap is made up before the end."""
    gains = np.array([1.0] * 40 + [0.0] * 20 + [-0.5] * 40)
    told = ranked(gains, gains)
    assert told is not None
    assert told.half == pytest.approx(10)
    assert told.area > 1


def test_without_a_gap_there_is_nothing_to_measure() -> None:
    assert ranked(np.arange(3.0), np.array([0.0, 1.0, -1.0])) is None
