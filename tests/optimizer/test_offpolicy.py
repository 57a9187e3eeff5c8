"""What a new policy would have been worth, from logs whose truth is known."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.optimizer.offpolicy import (
    CAPS,
    Compared,
    Gate,
    Kind,
    OffPolicy,
    Rows,
    Weighted,
    outcomes,
)
from octoplex.optimizer.sequences import Array
from tests.optimizer.test_sequences import capitals, ever_above, running

SEEDS, STEPS, ALPHA = 300, 400, 0.1
ALLOWED = ALPHA + 3 * sqrt(ALPHA * (1 - ALPHA) / SEEDS)
KINDS: tuple[Kind, ...] = ("ips", "snips", "dr")


def logged(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Rows, Array, Array]:
    """A log, with the worth of the new policy and of the old one at each row."""
    ease = rng.random(shape)
    propensity = np.where(ease < 0.5, 0.8, 0.1)  # the old one seldom does it where it is hard
    same = rng.random(shape) < propensity
    new, old = 0.3 + 0.5 * ease, 0.9 - 0.2 * ease
    reward = (rng.random(shape) < np.where(same, new, old)).astype(float)
    return Rows(propensity, same, reward, new), new, propensity * new + (1 - propensity) * old


@pytest.mark.parametrize(
    ("cap", "keep", "wrong"),
    [(0.0, 0.0, False), (1.0, 0.0, True), (4.0, 0.9, False), (16.0, 0.0, True), (16.0, 0.9, True)],
)
def test_outcomes_are_rarely_ever_misleading(cap: float, keep: float, wrong: bool) -> None:
    rows, new, old = logged(np.random.default_rng(1), (SEEDS, STEPS))
    if wrong:
        rows = rows._replace(estimate=1 - rows.estimate)
    scale = 1 + cap + keep
    for sign in (False, True):
        seen = rows._replace(reward=1 - rows.reward, estimate=1 - rows.estimate) if sign else rows
        worth = (1 - new) - keep * (1 - old) if sign else new - keep * old
        values = (outcomes(seen, cap, keep) + cap + keep) / scale
        logs = capitals(values, (running(worth) + cap + keep) / scale)
        assert ever_above(logs, ALPHA) <= ALLOWED


def test_bounds_are_rarely_ever_wrong_and_the_three_agree() -> None:
    rng = np.random.default_rng(2)
    wrong = dict.fromkeys(KINDS, 0)
    for _ in range(100):
        rows, new, _ = logged(rng, (STEPS,))
        seen, missed = OffPolicy(), set()
        for start in range(0, STEPS, 50):
            seen.see(Rows(*(column[start : start + 50] for column in rows)))
            truth = float(new[: start + 50].mean())
            for kind in KINDS:
                up, down = seen.evidence(kind, truth)
                if max(up, down) >= log(2 / ALPHA):
                    missed.add(kind)
        for kind in missed:
            wrong[kind] += 1
    assert max(wrong.values()) <= 100 * (ALPHA + 3 * sqrt(ALPHA * (1 - ALPHA) / 100))


def test_a_good_estimate_helps_and_a_bad_one_does_little_harm() -> None:
    rows, new, _ = logged(np.random.default_rng(3), (10_000,))
    widths = {}
    for name, estimate in (("good", rows.estimate), ("bad", 1 - rows.estimate)):
        seen = OffPolicy()
        seen.see(rows._replace(estimate=estimate))
        for kind in KINDS:
            found, lower, upper = seen.interval(kind, 0.05)
            assert lower < new.mean() < upper
            assert lower < found < upper
            widths[name, kind] = upper - lower
    spread = np.std(outcomes(rows, 16)) * 2 * 1.96 / sqrt(10_000)
    assert widths["good", "dr"] < 2.6 * spread
    assert widths["good", "dr"] < 0.85 * widths["good", "ips"]
    assert widths["good", "snips"] < 0.95 * widths["good", "ips"]
    assert widths["bad", "dr"] < 1.15 * widths["bad", "ips"]


def test_the_gate_opens_for_what_keeps_enough_and_not_for_what_does_not() -> None:
    rng = np.random.default_rng(4)
    propensity = np.full(8_000, 0.5)
    same = rng.random(8_000) < 0.5
    for new, opens in ((0.8, True), (0.6, False)):
        reward = (rng.random(8_000) < np.where(same, new, 0.8)).astype(float)
        gate = OffPolicy(keep=0.9)
        gate.see(Rows(propensity, same, reward, np.full(8_000, new)))
        assert (gate.lower("dr", 0.05) >= 0) is opens
        assert gate.interval("dr", 0.05).upper > new - 0.9 * (new + 0.8) / 2


def test_exact_small_cases() -> None:
    rows = Rows(
        np.array([0.5, 0.25, 0.5]),
        np.array([True, True, False]),
        np.array([1.0, 0.0, 1.0]),
        np.array([0.5, 0.5, 0.25]),
    )
    seen = OffPolicy()
    seen.see(rows)
    assert seen.estimate("ips") == pytest.approx(2 / 3)
    assert seen.estimate("snips") == pytest.approx(2 / 6)
    assert seen.estimate("dr") == pytest.approx((0.5 + 2 * 0.5 + 0.5 - 4 * 0.5 + 0.25) / 3)
    assert outcomes(rows, 0.0) == pytest.approx([2.0, 0.0, 0.0])
    assert outcomes(rows, 1.0) == pytest.approx([1.5, 0.25 - 1.0, 0.25])
    assert outcomes(rows, 1.0, keep=1.0) == pytest.approx([0.5, -0.75, -0.75])


def test_a_guess_is_made_before_the_row_is_seen() -> None:
    one = Rows(np.array([0.5]), np.array([True]), np.array([1.0]), np.array([0.9]))
    seen, guessed = OffPolicy(), Weighted(CAPS)
    seen.see(one)
    guessed.see(one._replace(estimate=np.array([0.5])))
    assert seen.evidence("snips", 0.2)[0] == pytest.approx(guessed.log(0.2))


def test_the_same_policy_is_worth_what_was_seen() -> None:
    rng = np.random.default_rng(5)
    reward = (rng.random(4_000) < 0.7).astype(float)
    seen = OffPolicy()
    seen.see(Rows(np.ones(4_000), np.ones(4_000, bool), reward, np.full(4_000, 0.7)))
    found, lower, upper = seen.interval("dr", 0.05)
    assert found == pytest.approx(reward.mean())
    assert upper - lower < 2.2 * 2 * 1.96 * sqrt(0.21 / 4_000)


def test_where_it_does_what_was_never_done_the_worst_is_taken() -> None:
    rng = np.random.default_rng(6)
    known = rng.random(10_000) < 0.5
    rows = Rows(known.astype(float), known, np.ones(10_000), np.full(10_000, 0.9))
    seen = OffPolicy()
    seen.see(rows)
    for kind in KINDS:
        assert seen.lower(kind, 0.05) < 0.52
        assert seen.interval(kind, 0.05).upper > 0.98


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_batches_of_any_size_come_to_the_same(seed: int, size: int, keep: float) -> None:
    rows, _, _ = logged(np.random.default_rng(seed), (60,))
    whole, parts = OffPolicy(keep), OffPolicy(keep)
    whole.see(rows)
    for start in range(0, 60, size):
        parts.see(Rows(*(column[start : start + size] for column in rows)))
    for kind in KINDS:
        assert parts.estimate(kind) == pytest.approx(whole.estimate(kind))
        for value in (0.3 - keep, 0.9 - keep):
            there = whole.evidence(kind, value)
            assert parts.evidence(kind, value) == pytest.approx(there)
        _, lower, upper = whole.interval(kind, 0.1)
        assert -keep <= lower <= upper <= 1


def test_more_caps_are_never_far_behind_the_best_of_them() -> None:
    rows, _, _ = logged(np.random.default_rng(7), (5_000,))
    bounds = []
    for caps in ((0.0,), (16.0,), CAPS):
        seen = Weighted(caps)
        seen.see(rows)
        bounds.append(seen.bound(0.05))
    assert bounds[2] > max(bounds[:2]) - 0.01


@pytest.mark.parametrize(
    ("column", "value"), [("propensity", 1.5), ("reward", float("nan")), ("estimate", -0.1)]
)
def test_nonsense_is_refused(column: str, value: float) -> None:
    rows = Rows(np.array([0.5]), np.array([False]), np.array([1.0]), np.array([0.5]))
    with pytest.raises(ValueError, match=column):
        OffPolicy().see(rows._replace(**{column: np.array([value])}))
    with pytest.raises(ValueError, match="propensity is 0"):
        OffPolicy().see(rows._replace(propensity=np.zeros(1), same=np.array([True])))


# Pairs

LOSS = 0.05
NEEDED = -log(0.05)


def paired(rng: np.random.Generator, lost: float, both: bool = False) -> tuple[Compared, bool]:
    """A pair of a world in which half of the requests are moved, and those judged twice as often.

    Of these the candidate loses `lost` of what the reference gets right, 0.9. With `both`, one in
    five pairs is made with another candidate.
    """
    moved = bool(rng.random() < 2 / 3)
    weight = 0.75 if moved else 1.5
    first = float(rng.random() < 0.9)
    other = first * float(rng.random() > lost)
    is_other = both and rng.random() < 0.2
    propensity = 0.8 if both else 1.0
    return Compared(weight, first, None if is_other else other, propensity, 0.8 * first), moved


def seen_pairs(seed: int, count: int, lost: float, both: bool = False) -> tuple[Gate, float]:
    """A gate, and the most that its lower bound ever was."""
    rng, gate, most = np.random.default_rng(seed), Gate(1, LOSS, 0.3), -9.0
    for _ in range(count):
        pair, moved = paired(rng, lost, both)
        gate.see(pair, np.array([moved]), np.ones(1, bool))
        most = max(most, gate.lower(0, NEEDED))
        assert (gate.lower(0, NEEDED) >= 0) == (gate.capital.logs()[0] >= NEEDED)
    return gate, most


@pytest.mark.parametrize("both", [False, True])
def test_a_gate_says_what_a_policy_keeps(both: bool) -> None:
    """Half of the traffic loses a fiftieth of 0.9: 99 % are kept."""
    gate, _ = seen_pairs(1, 6_000, 0.02, both)
    told = gate.evaluated(0, NEEDED)
    assert told.pairs == 6_000
    assert told.snips == pytest.approx(0.99, abs=0.012)
    assert told.dr == pytest.approx(0.99, abs=0.01)
    assert 0.02 < told.lower < (0.99 - 0.95) * 0.9 + 0.005


def test_a_gate_opens_to_what_breaks_the_promise_no_more_often_than_promised() -> None:
    """A tenth of a half, just what is promised, however often one looks."""
    opened = sum(seen_pairs(seed, 500, 0.1, both=True)[1] >= 0 for seed in range(60))
    assert opened <= 60 * 0.05 + 3 * sqrt(60 * 0.05 * 0.95)
    assert all(seen_pairs(seed, 900, 0.0)[1] >= 0 for seed in range(5))


def test_of_a_policy_that_no_pair_tells_of_nothing_is_known() -> None:
    gate = Gate(2, LOSS, 0.3)
    pair, _ = paired(np.random.default_rng(1), 0.0)
    gate.see(pair, np.array([True, True]), np.array([True, False]))
    assert gate.evaluated(1, NEEDED).pairs == 0
    assert gate.lower(1, NEEDED) < -1
