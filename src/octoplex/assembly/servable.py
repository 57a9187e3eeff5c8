"""What a start, a reload and `octoplex check` refuse alike, though all of the file can be read.

    check_routes(plan)        a route of which no target can ever be asked
    check_tls(settings)       a certificate that no listener can use

A route that only lacks what may come by itself (a model server that does not run now, a provider
that an operator put out of use) is no reason to stop: the others must be served.
"""

import ssl
from pathlib import Path

from msgspec import Struct

from octoplex.assembly.plan import Plan
from octoplex.routing import Route
from octoplex.settings import Settings
from octoplex.upstreams.local.fleet import LOCAL
from octoplex.wire.error import BadConfig


class Blocked(Struct, frozen=True):
    """A target of a route that cannot be asked. `for_now`: without another file it may be."""

    name: str
    why: str
    for_now: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.why})"


def blocked(plan: Plan, route: Route) -> list[Blocked]:
    """The targets of a route that cannot be asked as things are."""
    found = []
    for candidate in route.candidates:
        target = candidate.target
        if target.provider == LOCAL:
            why, for_now = plan.unavailable(target.name), False
        else:
            source = plan.sources[target.provider]
            why, for_now = source.missing, source.for_now
        if why:
            found.append(Blocked(target.name, why, for_now))
    return found + [Blocked(barred.target.name, barred.why) for barred in route.barred]


def check_routes(plan: Plan) -> None:
    """Refuse a route that nobody can answer.

    Raises:
        BadConfig: which, and why none of its targets can be asked.
    """
    for name, route in plan.routes.items():
        away = blocked(plan, route)
        all_of_them = len(away) == len(route.candidates) + len(route.barred)
        if all_of_them and not any(one.for_now for one in away):
            raise BadConfig(f"[models.{name}] try: none can be asked: {', '.join(map(str, away))}.")


def check_tls(settings: Settings) -> None:
    """Refuse a certificate or key that is not there or cannot be used.

    Raises:
        BadConfig: which.
    """
    tls = settings.server.tls
    for name in (tls.cert, tls.key) if tls else ():
        if not Path(name).is_file():
            raise BadConfig(f"[server] tls: there is no file {name}.")
    if tls:
        try:
            # An encrypted key must not ask a terminal for its password.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.cert, tls.key, str)
        except OSError as error:
            why = getattr(error, "reason", None) or error.strerror or "nothing usable in them"
            raise BadConfig(
                f"[server] tls: {tls.cert} with {tls.key} cannot be used: {why}."
            ) from None
