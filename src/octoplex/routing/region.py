"""Residency: a route without the targets that do not answer where they must.

    within(route, "eu") -> the route with the rest; what was taken out is in its `barred`

A route's own `region` is settled when it is compiled; a key's is looked at per call, and
only where the key has one. A target that is not admitted is no candidate, so that nothing
(no retry, no fallback, no second ask beside a slow one, no count of tokens) can reach it.

Not promised: more than `Target.outside` knows (`catalog/regions.py`).
"""

import msgspec

from octoplex.routing.route import Barred, Candidate, Route
from octoplex.wire.error import OutOfRegion


def within(route: Route, region: str) -> Route:
    """The route over those targets that answer in an area.

    Raises:
        OutOfRegion: there is none; says why of each.
    """
    return askable(narrowed(route, region))


def narrowed(route: Route, region: str) -> Route:
    """The same, also where no target is left."""
    kept: list[Candidate] = []
    barred = list(route.barred)
    for candidate in route.candidates:
        why = candidate.target.outside(region)
        if why:
            barred.append(Barred(candidate.target, why))
        else:
            kept.append(candidate)
    both = route.region and route.region != region
    return msgspec.structs.replace(
        route,
        candidates=tuple(kept),
        region=f"{route.region} and {region}" if both else region,
        barred=tuple(barred),
    )


def askable(route: Route) -> Route:
    """The route, if it has a target that may be asked.

    Raises:
        OutOfRegion: it has none because of where they answer.
    """
    if route.candidates or not route.barred:
        return route
    each = "; ".join(f"{b.target.name}: {b.why}" for b in route.barred)
    raise OutOfRegion(
        f'No target of "{route.name}" may be asked, because they must answer in '
        f"{route.region}: {each}.",
        param="model",
        region=route.region,
    )
