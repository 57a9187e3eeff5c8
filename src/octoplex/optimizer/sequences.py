"""Bounds of means that hold at all times at once: look whenever, stop whenever.

    seen = Mean(); seen.see(0.7); seen.interval(0.05)      -> Interval(estimate, lower, upper)
    Comparison(today, other).ratio(0.05)                   -> the same, of two means

Let X_i >= 0 be seen one after another, mu_i what X_i is on average given all before, and m_n
the average of mu_1 .. mu_n. For one bet b >= 0 the product of (1 + b X_i)/(1 + b mu_i) is a
martingale that begins at 1. The logarithm is concave, so the product of (1 + b mu_i) is at most
(1 + b m_n)^n, and the capital

    K_n(m; b) = (1 + b X_1) .. (1 + b X_n) / (1 + b m)^n

is at most that martingale at m = m_n, for all n and however m_n moves. So is the mean over
several bets, and by Ville's inequality P(at any n: K_n(m_n) >= 1 / alpha) <= alpha. K_n falls
in m: each m with K_n(m) >= 1/alpha is too small, and the largest of them is a lower bound of
m_n (`Lower`). For values up to 1 that of 1 - X gives the upper one (`Mean`, half of alpha
each): hedged capital.

Nothing needs to be independent or to stay as it is; where it does, m_n is the mean. For 0 and 1
the capital depends on the counts only and is the ratio of two likelihoods: a proportion is a
mean.

Two means (a, b), seen in any order: the product of the capital that a is smaller and that b is
greater is at most a product of such martingales, which is one too. Of the claim b <= f a + s
only the pairs (a, b) with that are left; if even the least product of them is 1 / alpha, it is
refuted (Fieller's idea for ratios). It is convex in a and falls in b, so one line is searched.
No interval is combined of two, which would be wider by up to 1.4.

Memory is a number per bet, whatever was seen. References: Waudby-Smith & Ramdas, Estimating
means of bounded random variables by betting (JRSS B, 2024); Ryu & Bhatt, On confidence
sequences for bounded random processes via universal gambling strategies (2024); Fieller (1954).
Not promised: that bounds only get closer (the average moves); a width below about 0.001 (the
smallest bet).
"""

from collections.abc import Callable
from math import inf, log, nan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BETS = (*(64 * 0.6**n for n in range(20)), 0.0)
"""For values of about 1. The last is no bet: so at least 1/21 of the capital is never lost."""
HALVINGS = 50


class Interval(NamedTuple):
    """Where something lies, and what it seems to be."""

    estimate: float
    lower: float
    upper: float


def log_mean(logs: Array) -> Array:
    """The logarithm of the mean over the last axis of what these are logarithms of."""
    most = logs.max(axis=-1)
    mean: Array = most + np.log(np.exp(logs - most[..., None]).mean(axis=-1))
    return mean


def log_capital(sums: Array, rounds: float | Array, mean: float | Array, bets: Array) -> Array:
    """log K_n(mean), bets on the last axis; `sums` are those of log(1 + bet X)."""
    lost = np.multiply.outer(mean, bets)
    return log_mean(sums - np.multiply(np.asarray(rounds)[..., None], np.log1p(lost)))


class Lower:
    """A lower bound of the average of what is at least 0, and may be large at times."""

    def __init__(self, scale: float = 1.0) -> None:
        """`scale`: about how large the values are; bounds hold with any."""
        self.bets = np.array(BETS) / scale
        self._sums = np.zeros(len(BETS))
        self.rounds, self.total = 0, 0.0

    def see(self, values: float | Array) -> None:
        """One value, or several in their order.

        Raises:
            ValueError: one is below 0 or no number.
        """
        seen = np.atleast_1d(np.asarray(values, np.float64))
        if not ((seen >= 0) & (seen < inf)).all():
            raise ValueError(f"{seen.min() if seen.size else seen} is no number from 0 upwards")
        self._sums = self._sums + np.log1p(np.multiply.outer(seen, self.bets)).sum(axis=0)
        self.rounds += len(seen)
        self.total += float(seen.sum())

    @property
    def estimate(self) -> float:
        """The plain mean; 0 before anything was seen."""
        return self.total / self.rounds if self.rounds else 0.0

    def log(self, mean: float | Array) -> Array:
        """The natural logarithm of the evidence that the average is above `mean`, 0 or more."""
        return log_capital(self._sums, self.rounds, mean, self.bets)

    def bound(self, alpha: float) -> float:
        """What the average is at least, but for a chance of alpha in all time."""
        needed = -log(alpha)
        return last(lambda mean: float(self.log(mean)) >= needed, 0.0, self.estimate)


def last(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The greatest number at which it still holds, from below; `low` if it holds nowhere."""
    if not holds(low):
        return low
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


class Mean:
    """Bounds of the average of values from 0 to 1; a proportion's, where they are 0 and 1."""

    def __init__(self) -> None:
        self.above, self.below = Lower(), Lower()
        """Of the values, and of 1 less them."""

    def see(self, values: float | Array) -> None:
        """One value, or several in their order.

        Raises:
            ValueError: one is not from 0 to 1.
        """
        seen = np.asarray(values, np.float64)
        if not ((seen >= 0) & (seen <= 1)).all():
            raise ValueError(f"{values} is not from 0 to 1")
        self.above.see(seen)
        self.below.see(1 - seen)

    @property
    def rounds(self) -> int:
        """How many values were seen."""
        return self.above.rounds

    @property
    def estimate(self) -> float:
        """The plain mean; 0 before anything was seen."""
        return self.above.estimate

    def interval(self, alpha: float) -> Interval:
        """Where the average is, but for a chance of alpha in all time."""
        lower, upper = self.above.bound(alpha / 2), 1 - self.below.bound(alpha / 2)
        return Interval(self.estimate, lower, upper)


class Comparison(NamedTuple):
    """Two means beside each other; values of both from 0 to 1, on one scale."""

    first: Mean
    other: Mean

    def above(self, factor: float, shift: float) -> float:
        """Log of the evidence that other > factor * first + shift; `factor` at least 0."""
        return _least(self.first.below, self.other.above, factor, shift)

    def below(self, factor: float, shift: float) -> float:
        """Log of the evidence that other < factor * first + shift."""
        return _least(self.first.above, self.other.below, factor, 1 - factor - shift)

    def difference(self, alpha: float) -> Interval:
        """How much greater the other is, -1..1."""
        needed = log(2 / alpha)
        estimate = self.other.estimate - self.first.estimate
        lower = last(lambda shift: self.above(1, shift) >= needed, -1.0, 1.0)
        upper = -last(lambda shift: self.below(1, -shift) >= needed, -1.0, 1.0)
        return Interval(estimate, lower, upper)

    def ratio(self, alpha: float) -> Interval:
        """How many times as great the other is; up to infinity while the first may be 0.

        The estimate of 0 / 0 is NaN.
        """
        needed = log(2 / alpha)
        a, b = self.first.estimate, self.other.estimate
        estimate = b / a if a else inf if b else nan
        lower = last(lambda part: self.above(part / (1 - part), 0) >= needed, 0.0, 1 - 1e-9)
        upper = last(lambda part: self.below((1 - part) / part, 0) >= needed, 1e-9, 1.0)
        return Interval(estimate, lower / (1 - lower), (1 - upper) / upper if upper > 1e-9 else inf)


def _least(one: Lower, other: Lower, factor: float, shift: float) -> float:
    """The least log capital of all pairs with b <= factor * a + shift.

    `one` is of 1 - a. Convex in a: a grid, ever closer around its least.
    """
    low = max(0.0, -shift / factor) if factor else 0.0
    if low > 1 or factor + shift < 0:
        return inf
    high = 1.0
    found = inf
    for _ in range(5):
        tried = np.linspace(low, high, 25)
        logs = one.log(1 - tried) + other.log(np.clip(factor * tried + shift, 0, 1))
        at = int(logs.argmin())
        found = min(found, float(logs[at]))
        low, high = float(tried[max(0, at - 1)]), float(tried[min(24, at + 1)])
    return found
