"""How fast a target is: a peak-sensitive average, a p95 and a p99, per target.

`Average` is Finagle's peak EWMA: a slower sample counts at once and in full, faster
ones pull it down over time, and so does silence, so that a target that was slow is
tried again. `Spread` keeps counts in buckets that are each 10 % wider than the one
before, so what it says is at most 10 % too high; counts are halved when they pass a
thousand, so old times fade.

A whole reply "opens" when it is complete, a stream at its first content: the two are
never mixed.

Reference: twitter/finagle, `PeakEwma`.
"""

from math import exp, log

DECAY_S = 60.0
FIRST_BUCKET_S = 0.01
STEP = log(1.1)
PER_STEP = 1 / STEP
BEFORE_FIRST = 1 - log(FIRST_BUCKET_S) / STEP
BUCKETS = 120
ENOUGH = 100
RENEW_EVERY = 20
FADE_AT = 1_000


class Average:
    """A peak-sensitive moving average. 0.0 while nothing is known."""

    __slots__ = ("_value", "at")

    def __init__(self) -> None:
        self._value = 0.0
        self.at = float("-inf")
        """When the last sample came."""

    def add(self, value_s: float, now: float) -> None:
        """Learn one sample."""
        if value_s >= self._value:
            self._value = value_s
        else:
            keep = exp((self.at - now) / DECAY_S)
            self._value = self._value * keep + value_s * (1 - keep)
        self.at = now

    def value(self, now: float) -> float:
        """The average now, in seconds."""
        return self._value * exp((self.at - now) / DECAY_S) if self._value else 0.0


class Spread:
    """The distribution of a duration, in buckets, its p95 and its p99."""

    __slots__ = ("_counts", "_p95_s", "_p99_s", "_renew_at", "_total")

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._total, self._renew_at = 0, ENOUGH
        self._p95_s = self._p99_s = 0.0

    def add(self, value_s: float) -> None:
        """Learn one sample."""
        bucket = int(log(value_s) * PER_STEP + BEFORE_FIRST) if value_s > FIRST_BUCKET_S else 0
        self._counts[bucket if bucket < BUCKETS else -1] += 1
        self._total += 1
        if self._total > FADE_AT:
            self._counts = [count // 2 for count in self._counts]
            self._total = sum(self._counts)
            self._renew_at = self._total

    def p99_s(self) -> float | None:
        """The p99 in seconds, None below a hundred samples. Renewed every 20 samples."""
        self._renew()
        return self._p99_s or None

    def p95_s(self) -> float | None:
        """The p95 in the same way."""
        self._renew()
        return self._p95_s or None

    def _renew(self) -> None:
        if self._total >= self._renew_at:
            self._renew_at = self._total + RENEW_EVERY
            self._p95_s, self._p99_s = self._quantile(0.05), self._quantile(0.01)

    def _quantile(self, above: float) -> float:
        left = above * self._total
        for bucket in range(BUCKETS - 1, -1, -1):
            left -= self._counts[bucket]
            if left < 0:
                return FIRST_BUCKET_S * exp(bucket * STEP)
        return 0.0
