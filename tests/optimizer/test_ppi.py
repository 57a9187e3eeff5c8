"""A mean of what people would say, from a judge's scores and a few labels."""

from math import log, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.optimizer.ppi import Judged
from octoplex.optimizer.sequences import Array, Mean

Columns = tuple[Array, Array, Array]


def judged(rng: np.random.Generator, rounds: int, kind: str) -> tuple[Columns, Array]:
    """Scores, propensities and labels; and what a label is on average, by answer."""
    chance = rng.beta(2, 1, rounds)
    truth = (rng.random(rounds) < chance).astype(float)
    scores = {
        "good": 0.1 + 0.8 * truth,
        "too mild": 0.6 + 0.4 * truth,
        "knows nothing": rng.random(rounds),
        "says the opposite": 1 - truth,
    }[kind]
    propensities = np.where(abs(scores - 0.5) < 0.3, 0.3, 0.1)
    labels = np.where(rng.random(rounds) < propensities, truth, nan)
    return (scores, propensities, labels), chance


def seen(columns: Columns, size: int = 50) -> Judged:
    found = Judged()
    for start in range(0, len(columns[0]), size):
        found.see(*(column[start : start + size] for column in columns))
    return found


@pytest.mark.parametrize("kind", ["too mild", "says the opposite"])
def test_a_judges_bias_is_inside_the_bound_whenever_one_looks(kind: str) -> None:
    rng, seeds, alpha, wrong = np.random.default_rng(1), 120, 0.1, 0
    for _ in range(seeds):
        columns, chance = judged(rng, 600, kind)
        found, missed = Judged(), False
        for start in range(0, 600, 30):
            found.see(*(column[start : start + 30] for column in columns))
            truth = float(chance[: start + 30].mean())
            evidence = max(found.lower.log(truth), found.upper.log(1 - truth))
            missed = missed or evidence >= log(2 / alpha)
        wrong += missed
    assert wrong <= seeds * (alpha + 3 * sqrt(alpha * (1 - alpha) / seeds))


def test_the_better_the_judge_the_narrower_and_a_bad_one_does_little_harm() -> None:
    widths = {}
    for kind in ("good", "too mild", "knows nothing", "says the opposite"):
        columns, chance = judged(np.random.default_rng(2), 20_000, kind)
        found, lower, upper = seen(columns).interval(0.05)
        assert lower < chance.mean() < upper
        assert found == pytest.approx(chance.mean(), abs=0.03)
        widths[kind] = upper - lower
        labels_only = Mean()  # of a sample of the same size
        labels_only.see((np.random.default_rng(3).random(3_000) < 2 / 3).astype(float))
        _, lower, upper = labels_only.interval(0.05)
    assert widths["good"] < 0.6 * (upper - lower)
    assert widths["too mild"] < 0.6 * (upper - lower)  # the line sets it right
    assert widths["says the opposite"] < 0.6 * (upper - lower)
    assert widths["knows nothing"] < 1.5 * (upper - lower)


def test_with_every_label_it_is_the_mean_of_the_labels() -> None:
    labels = (np.random.default_rng(4).random(500) < 0.3).astype(float)
    found = seen((np.full(500, 0.9), np.ones(500), labels))
    assert found.estimate == pytest.approx(labels.mean())
    assert (found.rounds, found.labels) == (500, 500)
    plain = Mean()
    plain.see(labels)
    _, lower, upper = found.interval(0.05)
    _, low, high = plain.interval(0.05)
    assert (lower, upper) == pytest.approx((low, high), abs=0.03)


def test_without_labels_a_judge_shows_nothing() -> None:
    found = seen((np.full(300, 0.9), np.full(300, 0.1), np.full(300, nan)))
    assert found.labels == 0
    assert found.interval(0.05).lower < 0.9
    assert Judged().interval(0.05) == (0, 0, 1)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.5))
@settings(max_examples=20, deadline=None)
def test_bounds_lie_in_their_range(seed: int, alpha: float) -> None:
    columns, _ = judged(np.random.default_rng(seed), 80, "too mild")
    _, lower, upper = seen(columns).interval(alpha)
    assert 0 <= lower <= upper <= 1


@pytest.mark.parametrize(
    ("score", "propensity", "label"),
    [(1.2, 0.5, 1), (nan, 0.5, 1), (0.5, 0.0, nan), (0.5, 1.1, 1), (0.5, 0.5, -1)],
)
def test_nonsense_is_refused(score: float, propensity: float, label: float) -> None:
    with pytest.raises(ValueError, match="is not"):
        Judged().see(np.array([score]), np.array([propensity]), np.array([label]))
