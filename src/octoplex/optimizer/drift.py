"""Whether what comes in is still what it was: two samples of a number, compared again and again.

    drifts = Drifts(("latency_s", "cost", "length", "score"))
    drifts.see("length", 1_200) -> Shift | None         1.2 us, looks of 80 us included
    drifts.psi                                          the greatest PSI: `drift` in rules

The first `SAMPLE` values are the reference, the last `SAMPLE` the current sample; they are
compared every `EVERY` values. D is the greatest distance of their distributions (Kolmogorov and
Smirnov). For two samples of n >= 458 each, P(D >= d) <= 2 exp(-n d^2), ties or not (Wei & Dudley,
Two-sample Dvoretzky-Kiefer-Wolfowitz inequalities, 2012). Look k may err with 6 / (pi k)^2 of
`alpha`, all looks together with `alpha` (union bound), so

    P(any alarm, ever, of any stream | nothing changed since the references)  <=  alpha

whatever the samples have in common. A shift of the mean by half a standard deviation is found after
200 to 500 values, one by a fifth is not. An alarm is told once; `begin` takes a new reference.

PSI, the sum of (q - p) log(q / p) over tenths of the reference, is a figure for people and rules:
0.1 is called little, 0.2 much. Of two samples alike it is 0.036 on average (9 * 2 / `SAMPLE`), and
above 0.2 in 1 of 10^7 looks (chi-squared in the limit; Yurdakul 2018). No alarm depends on it.

Not promised: anything for values that depend on each other. A weekly cycle is a change and is
found.
"""

from bisect import bisect_right
from collections import deque
from math import isfinite, log, pi, sqrt
from typing import NamedTuple

import numpy as np

SAMPLE, EVERY = 500, 100
TENTHS = 10


class Shift(NamedTuple):
    """A stream is no longer what it was."""

    stream: str
    distance: float
    """Kolmogorov-Smirnov, 0..1."""
    threshold: float
    """What it had to reach."""
    psi: float
    look: int


class _Stream:
    __slots__ = ("current", "looks", "psi", "reference", "seen", "tenths", "told")

    def __init__(self) -> None:
        self.reference = np.zeros(0)
        self.current: deque[float] = deque(maxlen=SAMPLE)
        self.tenths: list[float] = []
        self.seen = self.looks = 0
        self.psi, self.told = 0.0, False

    def see(self, value: float) -> bool:
        """Whether it is time to look."""
        self.current.append(value)
        self.seen += 1
        if self.seen == SAMPLE:
            self.reference = np.sort(self.current)
            cuts = self.reference[SAMPLE // TENTHS - 1 :: SAMPLE // TENTHS]
            self.tenths = sorted(set(cuts[:-1].tolist()))
        return self.seen >= 2 * SAMPLE and self.seen % EVERY == 0

    def look(self) -> float:
        """The distance; the PSI is brought up to date."""
        self.looks += 1
        now = np.sort(self.current)
        at = np.concatenate((self.reference, now))
        below = self.reference.searchsorted(at, "right"), now.searchsorted(at, "right")
        self.psi = _index(*(self._shares(one.tolist()) for one in (self.reference, now)))
        return float(np.abs(below[0] - below[1]).max()) / SAMPLE

    def _shares(self, values: list[float]) -> list[float]:
        """Of each tenth, half a value added: none is empty."""
        ends = [bisect_right(values, cut) for cut in self.tenths]
        counts = np.diff([0, *ends, len(values)]) + 0.5
        shares: list[float] = (counts / counts.sum()).tolist()
        return shares


def _index(before: list[float], now: list[float]) -> float:
    return sum((q - p) * log(q / p) for p, q in zip(before, now, strict=True))


class Drifts:
    """Several streams of numbers, at one rate of false alarms in all."""

    def __init__(self, streams: tuple[str, ...], alpha: float = 0.01) -> None:
        self._alpha = alpha / len(streams)
        self._streams = {name: _Stream() for name in streams}

    def see(self, name: str, value: float) -> Shift | None:
        """A value of a stream; what is no finite number is left out."""
        stream = self._streams[name]
        if not isfinite(value) or not stream.see(value):
            return None
        distance, threshold = stream.look(), self.threshold(stream.looks)
        if stream.told or distance < threshold:
            return None
        stream.told = True
        return Shift(name, distance, threshold, stream.psi, stream.looks)

    def threshold(self, look: int) -> float:
        """What the distance must reach at that look."""
        return sqrt(log(2 / (self._alpha * 6 / (pi * look) ** 2)) / SAMPLE)

    def begin(self, name: str) -> None:
        """Take what comes next as the reference: an alarm was heard, or this change was meant."""
        self._streams[name] = _Stream()

    @property
    def psi(self) -> float:
        """The greatest of all streams, at their last looks."""
        return max(stream.psi for stream in self._streams.values())
