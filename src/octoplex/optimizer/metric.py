"""What an experiment measures, and when a variant is better or worse by it than the first.

A variant is compared with the first by a line: it keeps the line where its mean is on the good
side of `factor * first + shift`. By how much it may be worse is either in the metric's own unit
or, with `ratio`, a share of the first's: a cost per call that is at most a tenth higher.

A percentile is a share: with `over` the metric is the share of values above it. A 95th percentile
that does not rise is a share above today's that stays at 5 %.
"""

import re
from math import inf
from typing import Literal

import msgspec

from octoplex.optimizer.sequences import Comparison, Interval


class Metric(msgspec.Struct, frozen=True):
    """A number from 0 to `most` per unit.

    Raises:
        ValueError: `most` or `allowed` is not above 0, or `allowed` is more than there can be.
    """

    name: str
    better: Literal["more", "less"] = "more"
    most: float = 1.0
    """Greater numbers count as this one: what is compared are means of numbers so cut."""
    ratio: bool = False
    """Compare how many times as great it is, not how much greater."""
    allowed: float = 0.05
    """How much worse than the first a variant may be at most."""
    over: float | None = None
    """Compare the share of values above this; `most` says nothing then."""

    def __post_init__(self) -> None:
        if not 0 < self.most < inf or (self.over is not None and self.most != 1):
            raise ValueError(f"{self.name}: most = {self.most} is not above 0, or beside over")
        if not 0 < self.allowed <= (1 if self.ratio else self.most):
            raise ValueError(f"{self.name}: allowed = {self.allowed} is not above 0, or too much")

    @property
    def title(self) -> str:
        """What its mean is of."""
        return self.name if self.over is None else f"{self.name} > {self.over:g}"

    @property
    def sign(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.better == "more" else -1

    def scaled(self, value: float) -> float:
        """0..1.

        Raises:
            ValueError: below 0, or no number.
        """
        if not 0 <= value < inf:
            raise ValueError(f"{self.name} = {value} is no number from 0 upwards")
        if self.over is not None:
            return float(value > self.over)
        return min(1.0, value / self.most)

    def line(self, worse: float) -> tuple[float, float]:
        """Factor and shift (of scaled values) of being so much worse than the first."""
        if self.ratio:
            return 1 - self.sign * worse, 0.0
        return 1.0, -self.sign * worse / self.most

    def good(self, seen: Comparison, worse: float) -> float:
        """Log of the evidence that the other is less than so much worse than the first."""
        return (seen.above if self.sign > 0 else seen.below)(*self.line(worse))

    def bad(self, seen: Comparison, worse: float) -> float:
        """Log of the evidence that the other is more than so much worse."""
        return (seen.below if self.sign > 0 else seen.above)(*self.line(worse))

    def versus(self, seen: Comparison, alpha: float) -> Interval:
        """The other against the first: the ratio, or the difference in the metric's unit."""
        if self.ratio:
            return seen.ratio(alpha)
        estimate, lower, upper = seen.difference(alpha)
        return Interval(estimate * self.most, lower * self.most, upper * self.most)


def metric_of(name: str, usual: float) -> Metric:
    """The metric that a configuration names; `usual` is what it was before, of the first.

    A cost above twenty times the usual counts as that. Allowed are a tenth of the cost, half as
    many slow calls again, a hundredth of all calls that fail, a twentieth of quality.
    """
    if name == "cost_per_call":
        return Metric(name, "less", max(usual, 1e-9) * 20, ratio=True, allowed=0.1)
    percentile = re.fullmatch(r"p(\d\d)_latency_s", name)
    if percentile:
        slow = 1 - int(percentile[1]) / 100
        return Metric(name, "less", allowed=min(0.1, slow / 2), over=usual)
    if name == "error_rate":
        return Metric(name, "less", allowed=0.01)
    return Metric(name)
