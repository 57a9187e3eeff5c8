"""What routing shows in `/metrics` beside the breakers: ejections, hedges, conversations."""

from collections.abc import Callable

from octoplex.routing.health import Health
from octoplex.telemetry.metrics import Gauge, Labels


def gauges(health: Health, named: Callable[[str], bool]) -> list[Gauge]:
    """The figures of a health. `named`: whether the file has a route; callers can make some."""

    def ejected() -> list[tuple[Labels, float]]:
        return [((route, host), left_s) for route, host, left_s in health.ejected() if named(route)]

    def count(name: str, text: str, figure: Callable[[], int]) -> Gauge:
        return Gauge(f"octoplex_{name}_total", text, (), lambda: [((), figure())], "counter")

    return [
        Gauge(
            "octoplex_ejected_seconds",
            "For how long a provider is still ejected on a route.",
            ("route", "provider"),
            ejected,
        ),
        count("ejections", "Providers ejected on a route.", lambda: health.ejected_so_far()[0]),
        count("panics", "Calls without ejections.", lambda: health.ejected_so_far()[1]),
        count("hedges", "Targets asked beside a slow one.", lambda: health.hedges),
        count("hedges_won", "Those that were quicker.", lambda: health.hedges_won),
        count(
            "conversations_kept",
            "Calls at their cache's target, not at the route's pick.",
            lambda: health.stays.kept,
        ),
        count(
            "conversations_moved",
            "Calls that left their cache's target for the price.",
            lambda: health.stays.moved,
        ),
    ]
