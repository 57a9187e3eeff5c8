"""A rule that holds: who is asked first on a route, whatever its pick says.

    health.bends["support"] = Bend("openai/gpt-5-mini", 1.0, "p95_latency_s > 4 over 5 min")

Set from outside while it holds (`jobs/rules.py`), and read where candidates are put in order. It
goes before a conversation's home: that is what it is for. The other candidates follow as they were,
so that a rule cannot take a route's fallbacks away.
"""

from collections.abc import Sequence

from msgspec import Struct

from octoplex.routing.route import Candidate
from octoplex.wire.ask import Ask


class Bend(Struct, frozen=True, array_like=True):
    """What one route does while a rule holds."""

    target: str
    """Asked first, as `Target.name` says it."""
    share: float
    """Of the requests; the others go as ever."""
    why: str
    """The rule; "" where an experiment wants it."""


def bent(order: Sequence[Candidate], ask: Ask, bend: Bend, draw: float) -> Sequence[Candidate]:
    """The order with the bend's target first, if 0 <= `draw` < 1 is within its share."""
    if draw >= bend.share:
        return order
    first = [c for c in order if c.target.name == bend.target]
    if not first:
        return order
    if bend.why:
        ask.trail.why = f"rule: {bend.why}"
    return [*first, *(c for c in order if c.target.name != bend.target)]


def aimed(order: Sequence[Candidate], ask: Ask) -> Sequence[Candidate]:
    """The order as the ask's trail wants it: its `first` first, its `refused` not at all."""
    trail = ask.trail
    order = bent(order, ask, Bend(trail.first, 1.0, ""), 0.0)
    return [c for c in order if c.target.name != trail.refused] if trail.refused else order
