"""Bounds that hold at all times at once: how often they are wrong, and how wide they are."""

from math import inf, isnan, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.optimizer.sequences import BETS, Array, Comparison, Lower, Mean, log_capital

SEEDS, STEPS, ALPHA = 300, 500, 0.1
ALLOWED = ALPHA + 3 * sqrt(ALPHA * (1 - ALPHA) / SEEDS)

values = st.floats(0, 1)
columns = st.lists(values, min_size=1, max_size=60)


def capitals(values: Array, means: Array) -> Array:
    """log K after each step of each seed (rows), at what the average was there."""
    sums = np.log1p(values[..., None] * np.array(BETS)).cumsum(axis=1)
    return log_capital(sums, np.arange(1.0, values.shape[1] + 1), means, np.array(BETS))


def running(each: Array) -> Array:
    found: Array = each.cumsum(axis=1) / np.arange(1, each.shape[1] + 1)
    return found


def ever_above(logs: Array, alpha: float) -> float:
    """The share of seeds in which somebody who looks at every step is once misled."""
    return float((logs >= -log(alpha)).any(axis=1).mean())


def drawn(kind: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """Values, and what each was on average given all before it."""
    shape = SEEDS, STEPS
    if kind == "beta":
        return rng.beta(1, 3, shape), np.full(shape, 0.25)
    if kind == "drifts":
        means = np.broadcast_to(0.5 + 0.4 * np.sin(np.arange(STEPS) / 60), shape).copy()
        return (rng.random(shape) < means).astype(float), means
    if kind == "answers back":  # the more was seen, the less comes
        values, means, seen = np.zeros(shape), np.zeros(shape), np.zeros(SEEDS)
        for step in range(STEPS):
            means[:, step] = np.where(seen > 0.3 * step, 0.1, 0.6)
            values[:, step] = rng.random(SEEDS) < means[:, step]
            seen += values[:, step]
        return values, means
    chance = float(kind)
    return (rng.random(shape) < chance).astype(float), np.full(shape, chance)


@pytest.mark.parametrize("kind", ["0.5", "0.05", "0.97", "beta", "drifts", "answers back"])
def test_bounds_of_a_mean_are_rarely_ever_wrong_however_often_one_looks(kind: str) -> None:
    values, each = drawn(kind, np.random.default_rng(1))
    above = capitals(values, running(each))
    below = capitals(1 - values, 1 - running(each))
    assert ever_above(above, ALPHA) <= ALLOWED
    assert ever_above(below, ALPHA) <= ALLOWED
    assert ever_above(np.maximum(above, below), ALPHA / 2) <= ALLOWED


def test_a_z_test_that_is_looked_at_is_often_wrong_on_the_same_values() -> None:
    values, _ = drawn("0.5", np.random.default_rng(1))
    rounds = np.arange(1, STEPS + 1)
    z = abs(running(values) - 0.5) / np.sqrt(0.25 / rounds)
    assert (z[:, 20:] > 1.645).any(axis=1).mean() > 0.35


def test_a_lower_bound_holds_for_values_without_an_upper_one() -> None:
    rng = np.random.default_rng(2)
    rare = np.where(rng.random((SEEDS, STEPS)) < 0.01, 100.0, 0.0)
    heavy = rng.pareto(1.5, (SEEDS, STEPS))  # mean 2, no variance
    assert ever_above(capitals(rare, np.full(rare.shape, 1.0)), ALPHA) <= ALLOWED
    assert ever_above(capitals(heavy, np.full(heavy.shape, 2.0)), ALPHA) <= ALLOWED


def test_claims_of_two_means_are_rarely_ever_wrongly_shown() -> None:
    rng = np.random.default_rng(3)
    first, other = drawn("0.5", rng), drawn("drifts", rng)
    product = capitals(1 - first[0], 1 - running(first[1])) + capitals(other[0], running(other[1]))
    assert ever_above(product, ALPHA) <= ALLOWED  # and no claim has more, as the next test says


@given(columns, columns, st.floats(0, 3), st.floats(-1, 1), values, values)
@settings(max_examples=60, deadline=None)
def test_the_evidence_of_a_claim_is_at_most_that_of_any_pair_against_it(
    xs: list[float], ys: list[float], factor: float, shift: float, a: float, b: float
) -> None:
    pair = Comparison(Mean(), Mean())
    pair.first.see(np.array(xs))
    pair.other.see(np.array(ys))
    line = factor * a + shift
    if b <= line:
        whole = float(pair.first.below.log(1 - a) + pair.other.above.log(b))
        assert pair.above(factor, shift) <= whole + 1e-6
    if b >= line:
        whole = float(pair.first.above.log(a) + pair.other.below.log(1 - b))
        assert pair.below(factor, shift) <= whole + 1e-6


@given(columns, st.floats(0.001, 0.5))
@settings(max_examples=60, deadline=None)
def test_bounds_surround_the_mean_and_are_where_the_evidence_is_enough(
    xs: list[float], alpha: float
) -> None:
    seen, one_by_one = Mean(), Mean()
    seen.see(np.array(xs))
    for x in xs:
        one_by_one.see(x)
    estimate, lower, upper = seen.interval(alpha)
    assert 0 <= lower <= estimate + 1e-9
    assert estimate - 1e-9 <= upper <= 1
    assert one_by_one.interval(alpha) == pytest.approx((estimate, lower, upper), abs=1e-9)
    if lower > 0:
        assert float(seen.above.log(lower)) >= log(2 / alpha) - 1e-9
        assert float(seen.above.log(lower + 1e-6)) < log(2 / alpha)
    assert seen.above.bound(alpha) >= lower


def test_the_capital_of_a_proportion_is_the_ratio_of_two_likelihoods() -> None:
    hits, misses, mean, bet = 3, 4, 0.3, 2.0
    odds = (1 + bet) * mean / (1 - mean)
    better = odds / (1 + odds)
    likelier = (better / mean) ** hits * ((1 - better) / (1 - mean)) ** misses
    sums = np.log1p(np.array([bet])) * hits
    found = log_capital(sums, hits + misses, mean, np.array([bet]))
    assert float(found) == pytest.approx(log(likelier))


def test_two_that_are_equal_in_a_stream_that_drifts_are_rarely_told_apart() -> None:
    rng, seeds, wrong = np.random.default_rng(7), 120, 0
    drift = 0.5 + 0.4 * np.sin(np.arange(600) / 40)
    for _ in range(seeds):
        values, arm = (rng.random(600) < drift).astype(float), rng.random(600) < 0.5
        pair, most = Comparison(Mean(), Mean()), -inf
        for start in range(0, 600, 30):
            now, is_other = values[start : start + 30], arm[start : start + 30]
            pair.first.see(now[~is_other])
            pair.other.see(now[is_other])
            most = max(most, pair.above(1, 0))
        wrong += most >= -log(ALPHA)
    assert wrong <= seeds * (ALPHA + 3 * sqrt(ALPHA * (1 - ALPHA) / seeds))


def test_nothing_seen_bounds_nothing() -> None:
    assert Mean().interval(0.05) == (0, 0, 1)
    assert Lower().bound(0.05) == 0
    assert Comparison(Mean(), Mean()).difference(0.05) == (0, -1, 1)
    estimate, lower, upper = Comparison(Mean(), Mean()).ratio(0.05)
    assert isnan(estimate)
    assert (lower, upper) == (0, inf)


@pytest.mark.parametrize("chance", [0.5, 0.9])
@pytest.mark.parametrize("rounds", [100, 1_000, 20_000])
def test_the_price_of_looking_at_any_time_is_a_factor_of_two(chance: float, rounds: int) -> None:
    rng = np.random.default_rng(4)
    seen = Mean()
    seen.see((rng.random(rounds) < chance).astype(float))
    _, lower, upper = seen.interval(0.05)
    for_one_look = 2 * 1.96 * sqrt(chance * (1 - chance) / rounds)
    assert (upper - lower) / for_one_look < 2.2
    assert (upper - lower) / (2 * sqrt(log(40) / 2 / rounds)) < (1.4 if chance == 0.5 else 1.0)


def test_little_variance_makes_narrow_bounds() -> None:
    seen = Mean()
    seen.see(np.random.default_rng(5).uniform(0.49, 0.51, 2_000))
    _, lower, upper = seen.interval(0.05)
    assert upper - lower < 0.01


def test_a_difference_is_narrower_than_two_intervals_and_a_ratio_as_wide_as_it_should_be() -> None:
    rng = np.random.default_rng(6)
    first, other = Mean(), Mean()
    first.see(rng.beta(2, 2, 3_000))
    other.see(rng.beta(3, 2, 3_000))
    pair = Comparison(first, other)
    _, lower, upper = pair.difference(0.05)
    one, two = first.interval(0.025), other.interval(0.025)
    assert lower < 0.1 < upper
    assert upper - lower < 0.85 * (one.upper - one.lower + two.upper - two.lower)
    estimate, low, high = pair.ratio(0.05)
    assert low < estimate < high
    assert low < 1.2 < high
    assert high - low < 0.16
    assert pair.above(1, 0) > log(1 / 0.05)
    assert pair.below(1, 0) < 0


def test_a_ratio_to_what_may_be_nothing_has_no_upper_bound() -> None:
    nothing, something = Mean(), Mean()
    nothing.see(np.zeros(200))
    something.see(np.full(200, 0.5))
    assert Comparison(nothing, something).ratio(0.05).upper == inf
    assert Comparison(nothing, something).ratio(0.05).lower > 5
    assert Comparison(something, nothing).ratio(0.05).upper < 0.15


@pytest.mark.parametrize("bad", [-0.1, float("nan"), inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="no number from 0"):
        Lower().see(bad)
    with pytest.raises(ValueError, match="not from 0 to 1"):
        Mean().see(bad)
    with pytest.raises(ValueError, match="not from 0 to 1"):
        Mean().see(1.1)
