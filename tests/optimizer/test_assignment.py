"""Who gets which variant, and whether the results come in those shares."""

from collections import Counter
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.optimizer.assignment import Mismatch, assigned, uniform

UNITS = [f"user-{number}" for number in range(6_000)]
THREE = {"today": 2.0, "short": 1.0, "long": 1.0}


def test_units_stay_and_come_in_their_shares() -> None:
    given_ = [assigned("x", unit, THREE) for unit in UNITS]
    assert given_ == [assigned("x", unit, dict(reversed(THREE.items()))) for unit in UNITS]
    counts = Counter(given_)
    assert counts["today"] / 6_000 == pytest.approx(0.5, abs=4 * sqrt(0.25 / 6_000))
    assert counts["long"] / 6_000 == pytest.approx(0.25, abs=4 * sqrt(0.19 / 6_000))


def test_another_experiment_is_another_draw() -> None:
    here = [assigned("x", unit, THREE) == "today" for unit in UNITS]
    there = [assigned("y", unit, THREE) == "today" for unit in UNITS]
    both = np.mean([a and b for a, b in zip(here, there, strict=True)])
    assert both == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("weight", [0.5, 4.0])
def test_a_variant_that_is_added_moves_only_those_who_get_it(weight: float) -> None:
    more = {**THREE, "new": weight}
    moved = 0
    for unit in UNITS:
        before, after = assigned("x", unit, THREE), assigned("x", unit, more)
        assert after in (before, "new")
        moved += after == "new"
    assert moved / 6_000 == pytest.approx(weight / (4 + weight), abs=0.03)


@given(st.text(), st.text(), st.text())
def test_any_words_make_a_number_between(a: str, b: str, c: str) -> None:
    assert 0 < uniform(a, b, c) < 1
    assert assigned(a, b, {c: 1.0}) == c


def evidence(draws: np.ndarray, shares: dict[str, float]) -> float:
    """The greatest that anybody who looks at every result ever sees."""
    names, seen, most = list(shares), Mismatch(shares), -1e9
    for draw in draws:
        seen.see(names[draw])
        most = max(most, seen.log())
    return most


def test_a_false_mismatch_is_as_rare_as_it_is_said_to_be() -> None:
    rng, alpha, seeds = np.random.default_rng(1), 0.1, 200
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    wrong = sum(
        evidence(rng.choice(3, 400, p=[0.5, 0.3, 0.2]), shares) >= -log(alpha) for _ in range(seeds)
    )
    assert wrong <= seeds * (alpha + 3 * sqrt(alpha * (1 - alpha) / seeds))


def test_lost_results_are_found() -> None:
    rng = np.random.default_rng(2)
    seen = Mismatch({"a": 1.0, "b": 1.0})
    for _ in range(10_000):  # a tenth of those of b never come
        seen.see("ab"[rng.random() < 0.9 / 1.9])
    assert seen.log() > log(1_000)


def test_the_first_result_of_two_equal_shares_says_nothing_and_evidence_stays() -> None:
    seen = Mismatch({"a": 1.0, "b": 1.0})
    seen.see("a")
    assert exp(seen.log()) == pytest.approx(1)
    for _ in range(50):
        seen.see("a")
    before = seen.log()
    assert before > log(1_000)
    seen.weigh({"a": 1.0, "b": 3.0})
    assert seen.log() == pytest.approx(before)
    seen.see("b")
    assert seen.log() == pytest.approx(before)
