"""Segments of a route that learns: what is shown of each by itself, and what comes of it.

    segments = Segments(("app", "batch"), Terms("each", 0.05, 0.05, 1.0))
    segments.see("app", pair, moved, counts)
    segments.limits(rung)          -> {"batch": 0}: who is not served as the route is

Each has a gate of its own over its pairs (`offpolicy.py`), and is shown to keep the promise at a
rung where its capital is 1 / its share of `alpha`: the shares of all segments sum to alpha
(Bonferroni), so with that confidence none is shown wrongly, at any time. A bet on a segment stands
in all rounds, and wins or loses where the round is one of its own: so what is shown is the average
over the same mix of snapshots that serves, in that segment.

`watched`: the promise is kept on average over the route, and a segment that is shown to lose more
than is promised goes back to the reference. That is tested from the thriftiest rung downwards, each
at the full share, so the first false step would have to be shown (fixed-sequence testing).
`each`: a segment is served as far as it is itself shown to keep the promise, and no further.

Segments that were there when an epoch began share `KNOWN` of alpha; the n-th one that comes later
has 1 / (n (n + 1)) of the rest, since shares are given before anything is seen of it. Beyond
`MOST` there is nothing for the next one: it is served as what is shown of none.
"""

from collections.abc import Sequence
from math import log
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from octoplex.optimizer.evidence import Capital
from octoplex.optimizer.offpolicy import Compared, Evaluated, Gate
from octoplex.optimizer.policy import RUNGS

Kind = Literal["", "watched", "each"]
MOST = 32
KNOWN = 0.75
GUARD = 0.1
"""The share of alpha with which a segment may be sent back wrongly: the route has the rest."""
BET = 0.33
"""Of an outcome that is at least -1: best where some thousand pairs decide. Several bets at once
cost the logarithm of their number."""
AGAINST = 0.35
"""Of one that is at most 2.5."""
ALL = np.ones(RUNGS, bool)


class Terms(NamedTuple):
    """What is promised of segments."""

    kind: Kind
    alpha: float
    loss: float
    bound: float
    """How far below -1 an outcome may be."""


class Shown(Struct, frozen=True):
    """What is shown of a segment at the rung that serves the route."""

    segment: str
    rung: int
    """Its own."""
    certified: int
    """Up to which rung it is shown to keep the promise by itself."""
    is_held: bool
    """Whether it is shown to lose more, at the route's rung."""
    told: Evaluated


class _One:
    def __init__(self, alpha: float, terms: Terms) -> None:
        self.needed, self._refuted = -log(alpha), -log(GUARD * alpha)
        self.gate = Gate(RUNGS, terms.loss, BET / terms.bound)
        self._against = Capital(RUNGS, (AGAINST / terms.bound,))

    def see(
        self, pair: Compared, moved: npt.NDArray[np.bool_], counts: npt.NDArray[np.bool_]
    ) -> None:
        outcomes = self.gate.see(pair, moved, counts)
        self._against.see(-outcomes, ALL)

    def certified(self) -> int:
        """How many rungs are, in order from the safest."""
        return in_order(self.gate.capital.logs() >= self.needed)

    def held_from(self) -> int:
        """The lowest rung that is refuted, in order from the thriftiest."""
        return RUNGS + 1 - in_order(self._against.logs()[::-1] >= self._refuted)


class Segments:
    """Those of one epoch."""

    def __init__(self, names: Sequence[str], terms: Terms) -> None:
        self._terms, self._come = terms, 0
        known = names[: MOST // 2]
        share = KNOWN * terms.alpha / max(1, len(known))
        self._segments = {name: _One(share, terms) for name in known}

    def see(
        self,
        name: str,
        pair: Compared,
        moved: npt.NDArray[np.bool_],
        counts: npt.NDArray[np.bool_],
    ) -> None:
        """A pair of this segment; `moved` and `counts` as `Gate.see` has them."""
        if not self._terms.kind or not name:
            return
        if name not in self._segments:
            if len(self._segments) >= MOST:
                return
            self._come += 1
            share = (1 - KNOWN) * self._terms.alpha / (self._come * (self._come + 1))
            self._segments[name] = _One(share, self._terms)
        self._segments[name].see(pair, moved, counts)

    def limits(self, rung: int) -> dict[str, int]:
        """The rungs of those that are not served as the route is, at `rung`."""
        if self._terms.kind == "each":
            return {name: min(rung, one.certified()) for name, one in self._segments.items()}
        return {name: 0 for name, one in self._segments.items() if one.held_from() <= rung}

    def shown(self, rung: int) -> tuple[Shown, ...]:
        """What is known of each."""
        limits, at = self.limits(rung), max(0, rung - 1)
        return tuple(
            Shown(
                name,
                limits.get(name, rung),
                one.certified(),
                one.held_from() <= rung,
                one.gate.evaluated(at, one.needed),
            )
            for name, one in self._segments.items()
        )


def in_order(holds: npt.NDArray[np.bool_]) -> int:
    """How many hold before the first that does not."""
    return len(holds) if holds.all() else int(holds.argmin())
