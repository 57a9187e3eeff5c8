"""Bandits as baselines: what they learn, and what they are not told."""

from random import Random

import numpy as np
import pytest

from octoplex.optimizer.bandits import SIZE, Known, _squared, bandits, contexts
from octoplex.optimizer.features import Values, encoder_of, features_of
from octoplex.optimizer.loop import Plan

COUNT = 3_000
NAMES = ("LinUCB", "LinTS", "SquareCB")


@pytest.fixture(scope="module")
def asked() -> Values:
    """Every other request is about tides, of which the small one knows nothing."""
    told = [features_of("when is the tide" if n % 2 else "name a law") for n in range(COUNT)]
    encoder = encoder_of(told[:200])
    found = contexts([encoder.row(one) for one in told])
    assert found.shape == (COUNT, SIZE + 1)
    return found


def worth() -> tuple[Values, Values]:
    quality = np.ones((COUNT, 2))
    quality[1::2, 1] = 0.0
    return quality, np.tile([1.0, 0.1], (COUNT, 1))


def test_what_is_judged_is_learned(
    asked: Values,
) -> None:
    quality, costs = worth()
    found = bandits(asked, quality, costs, Plan(("large", "small"), feedback=0.5), Random(1))
    assert set(found) == set(NAMES)
    for name in NAMES:
        late = found[name][COUNT // 2 :]
        assert late[::2].mean() > 0.7, name  # of laws; the third one goes on trying
        assert late[1::2].mean() < 0.2, name


def test_they_know_only_what_was_judged_of_what_they_served(
    asked: Values,
) -> None:
    """Whatever the others would have said, and what nobody judged, changes nothing."""
    quality, costs = worth()
    plan = Plan(("large", "small"), feedback=0.1)
    found = bandits(asked, quality, costs, plan, Random(1))
    judged = np.random.default_rng(Random(1).getrandbits(64)).random(COUNT) < plan.feedback
    assert 250 < judged.sum() < 350
    for name in NAMES:
        other = 1 - quality
        at = np.nonzero(judged)[0]
        other[at, found[name][at]] = quality[at, found[name][at]]
        again = bandits(asked, other, costs, plan, Random(1))[name]
        assert (again == found[name]).all()


def test_without_feedback_hope_serves_the_cheapest(
    asked: Values,
) -> None:
    found = bandits(asked, *worth(), Plan(("large", "small"), feedback=0.0), Random(1))
    assert found["LinUCB"].all()


def test_what_seems_worse_is_served_more_rarely() -> None:
    """SquareCB, of three: by how much worse, at what price, and how much is known."""
    mean = np.tile([0.9, 0.9, 0.5], (20_000, 1))
    costs = np.tile([1.0, 0.2, 0.2], (20_000, 1))
    for judged in (0, 300):
        known = Known(mean, np.zeros_like(mean), costs, judged)
        served = _squared(0.1, np.random.default_rng(1), known)
        drawn = np.bincount(served, minlength=3) / len(served)
        gaps = np.array([0.8 * 0.1 * 0.9, 0.0, 0.4])
        shares = 1 / (3 + (3 * judged) ** 0.5 * gaps)
        shares[1] += 1 - shares.sum()
        assert drawn == pytest.approx(shares, abs=0.01)
