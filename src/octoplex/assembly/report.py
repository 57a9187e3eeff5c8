"""What each of the processes that answer here has seen: of its targets, and in its cache.

Breakers, latencies and the memory of the cache are each process's own. Who looks at them from
outside means all of them; a process that does not say in time is named, not left out silently.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from octoplex.routing.health import Condition, Resting


class Report(Struct, frozen=True, kw_only=True):
    """Of one process. `answers`: it has said so in time."""

    process: str
    """Such as "worker 4711"."""
    answers: bool = True
    targets: list[Condition] = []
    resting: list[Resting] = []
    cache: dict[str, Any] = {}
    """The shape of `Cache.stats`."""


def cache_of(reports: Iterable[Report]) -> dict[str, Any]:
    """The caches' figures as one: they add up. `silent`: processes whose figures are missing."""
    reports = list(reports)
    stats = [report.cache for report in reports if report.answers]
    found: dict[str, Any] = {}
    for name in {name: None for one in stats for name in one}:
        values = [one[name] for one in stats if name in one]
        if name == "rejected_up_to":
            found[name] = max(values)
        elif isinstance(values[0], dict):
            found[name] = {of: sum(value[of] for value in values) for of in values[0]}
        else:
            found[name] = sum(values[1:], start=values[0])
    return found | {"silent": [report.process for report in reports if not report.answers]}
