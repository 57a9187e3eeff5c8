"""The sentence: reflex -> routing -> metered(target) -> upstream.

    recorded(tried(attached(admitted(idempotent(guarded(cached(rescue(chain(metered(upstream))))))))))

Each layer is an Answerer around the next; `compose` joins them, and nothing else does.
What the configuration decides (`Plan`) is replaced whole at a reload; what lives on
(`Works`: connections, ledger, money, health, limits) is not.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from octoplex.assembly.arrival import Patience
from octoplex.assembly.attached import attached
from octoplex.assembly.callers import check_alerts, check_exposed, file_keys, made_keys
from octoplex.assembly.dialects import resuming
from octoplex.assembly.experiments import tried, verified
from octoplex.assembly.hosts import sharing_of
from octoplex.assembly.learning import Learning, learning_of
from octoplex.assembly.plan import Plan
from octoplex.assembly.servable import check_routes
from octoplex.assembly.state import database_of
from octoplex.assembly.tools import check_tools
from octoplex.assembly.works import Works
from octoplex.ledger.rows import KeyRow
from octoplex.reflex.cache.layer import cached
from octoplex.reflex.gate import admitted
from octoplex.reflex.guard.layer import guarded
from octoplex.reflex.idempotency import idempotent
from octoplex.reflex.keys import Entry, Key, in_force
from octoplex.reflex.record import Recorded
from octoplex.reflex.tenants import all_placed, compiled
from octoplex.routing import Chain, Counted, Rescue, Singles, timely
from octoplex.settings import Settings
from octoplex.upstreams.detect import NONE_FOUND, Found
from octoplex.wire.answer import Answer, Answerer, Head, Whole
from octoplex.wire.ask import Ask, Caller
from octoplex.wire.error import BadConfig, GatewayError
from octoplex.wire.size import size

STREAM_S, PLAIN_S = 3_600.0, 600.0
MOST_LINES = 4_096
_UNSAFE = re.compile(r"[^\x20-\x7e]")


def header_safe(value: str) -> str:
    """`value` with everything outside printable ASCII replaced by `?`."""
    return _UNSAFE.sub("?", value)


def compose(plan: Plan, works: Works, learning: Learning | None = None) -> Recorded:
    """Reflex -> routing -> metered(target) -> upstream. The plan's lanes are metered upstreams."""
    route_of = plan.resolver.route_of
    chain = Chain(route_of, works.health, pick=learning.choosers if learning else None)
    ruling_of = plan.guards.for_asks(route_of)
    passes = plan.guards.passing(ruling_of)
    whole: Answerer = Rescue(chain, route_of, resuming(works.faces), passes)
    whole = verified(whole, plan.changes, works, route_of)
    whole = learning.around(whole, chain) if learning else whole
    routed = Singles(whole, Counted(whole, route_of, works.counting), chain, route_of)
    kept = cached(routed, works.cache, plan.caches.for_asks(route_of))
    safe = guarded(kept, ruling_of) if plan.guards else kept
    once = idempotent(safe, works.cache, works.claims)
    hurried = any(route.deadline_s is not None for route in plan.routes.values())
    entered = _entered(timely(once, route_of) if hurried else once, plan, works)
    return _recorded(tried(entered, plan.tests, works), plan, works)


def announced(plan: Plan, works: Works) -> Recorded:
    """The same for what only announces a request: nobody is asked, a wrong name is refused."""

    async def ready(ask: Ask) -> Answer:
        plan.resolver.route_of(ask)
        return Whole(Head("", ask.model), "", b"")

    return _recorded(_entered(ready, plan, works), plan, works)


def _entered(inner: Answerer, plan: Plan, works: Works) -> Answerer:
    """Files, models and rates around an Answerer."""
    admits = admitted(inner, works.desk, plan.other_names)
    most = size(plan.settings.server.media.total)
    return attached(admits, works.store.archive, most)


def _recorded(inner: Answerer, plan: Plan, works: Works) -> Recorded:
    """Records of what is asked, with labels of callers only as the guard lets them pass."""
    guards, route_of = plan.guards, plan.resolver.route_of
    screened = guards.screened(guards.for_asks(route_of)) if guards else None

    def shown(face: str, error: GatewayError) -> int:
        return works.faces[face].status(error)

    return Recorded(inner, works.store, works.metrics, shown, screened)


class Gateway:
    """One configuration in force. A reload makes another one over the same `Works`."""

    def __init__(
        self,
        settings: Settings,
        works: Works,
        run_time_keys: Iterable[KeyRow] = (),
        found: Found = NONE_FOUND,
        anew: bool = False,
    ) -> None:
        """Compile and put in force. `anew`: a file that is not in force yet may be refused.

        Raises:
            BadConfig: nothing has changed then; the old gateway keeps serving.
        """
        self.settings, self.works, self.found = settings, works, found
        self.plan = Plan(settings, works, found)
        if anew:
            check_routes(self.plan)
        self.tenants = compiled(settings.tenants)
        check_alerts(settings, works.env)
        check_tools(settings, works.env)
        rows = list(run_time_keys)
        entries = self._entries(rows)
        learning = learning_of(self.plan, works)
        self.answer = compose(self.plan, works, learning)
        self.prepare = announced(self.plan, works)
        total_s = settings.server.timeouts.total_s
        self.patience = Patience(total_s or PLAIN_S, total_s or STREAM_S)
        self.max_body = settings.server.max_body_bytes
        self.metrics, self.store = works.metrics, works.store
        self.needs_key = True
        """Whether every route needs a key: there is one, was one, or others can reach us."""
        self._lines: dict[tuple[str, str, str], str] = {}
        if works.exposed:
            check_exposed(settings, works.env, works.exposed, made=bool(in_force(rows)))
        elif works.needed_key and not (entries or rows):  # half a file must open no door
            raise BadConfig("There is no [keys.NAME] any more; restart to serve without keys.")
        works.fleet.check(settings.local)
        self._put(entries, rows)  # the first to change anything, and the last that can refuse
        works.fleet.configure(settings.local)
        works.metrics.named = self.plan.is_named
        routes = self.plan.routes.values()
        works.health.follow(c.target for route in routes for c in route.candidates)
        works.store.responses.keep_for(settings.server.responses_days)
        if learning is not None:
            learning.begin()

    def put_keys(self, rows: Iterable[KeyRow]) -> None:
        """Put the file's keys and those made at run time in force, and nobody else's."""
        made = list(rows)
        self._put(self._entries(made), made)
        self.works.on_keys(made)

    def _entries(self, rows: list[KeyRow]) -> list[Entry]:
        works = self.works
        own = file_keys(self.settings, works.env, works.hasher)
        return [*all_placed(own, self.tenants), *made_keys(rows, self.tenants)]

    def _put(self, entries: list[Entry], rows: list[KeyRow]) -> None:
        works = self.works
        before = {key.id for key in works.keyring}
        works.keyring.replace(entries)
        keys = list(works.keyring)
        if gone := before - {key.id for key in keys}:
            for tell in works.on_gone:
                tell(gone)
        # Revoking the last key must not open the doors to the one it was taken from.
        self.needs_key = works.needed_key = bool(works.exposed or keys or rows)
        works.desk.update(keys)
        for key in keys:
            works.book.limit(key.id, key.limits.caps, key.caller.tenant)
        for course in self.plan.courses.values():
            works.book.limit(course.shadow, (course.spend.cap,) if course.spend.cap else ())
        for name in {*works.book.tenants, *self.tenants}:
            tenant = self.tenants.get(name)
            works.book.limit_tenant(name, tenant.limits.caps if tenant else ())

    def key(self, secret_given: bytes | None) -> Key:
        """The key behind a secret.

        Raises:
            Unauthorized: none, unknown, revoked or expired.
        """
        return self.works.keyring.find(secret_given)

    def key_of(self, caller: Caller) -> Key | None:
        """The key that a caller holds."""
        return next((k for k in self.works.keyring if k.id == caller.id), None)

    def names(self, caller: Caller) -> list[str]:
        """Routes, then targets by full name: what this caller may ask for."""
        key = self.key_of(caller)
        names = [n for n in self.plan.routes if "*" not in n] + self.plan.listed()
        names = [n for n in dict.fromkeys(names) if key is None or key.allows(n)]
        region = caller.region
        return [n for n in names if self.plan.answers_in(n, region)] if region else names

    def lines(self, route: str, target: str, cache: str = "off") -> str:
        """The header lines that say who answered, made once per route, target and cache."""
        found = self._lines.get((route, target, cache))
        if found is None:
            if len(self._lines) >= MOST_LINES:
                self._lines.clear()
            found = self._lines[(route, target, cache)] = (
                f"x-octoplex-model: {header_safe(target)}\r\n"
                f"x-octoplex-provider: {header_safe(target.partition('/')[0])}\r\n"
                f"x-octoplex-route: {header_safe(route)}\r\n"
                f"x-octoplex-cache: {cache}\r\n"
            )
        return found


def open_gateway(
    settings: Settings,
    env: Mapping[str, str],
    data: Path,
    *,
    address: str = "",
    exposed: str = "",
    found: Found = NONE_FOUND,
) -> Gateway:
    """Open everything and put a configuration in force. Close it with `await works.close()`.

    `exposed` is the listener's host where others than this machine can reach it.

    Raises:
        BadConfig: the configuration is wrong.
        StoreFailed: the data folder is held by another server or cannot be written.
    """
    database, sharing = database_of(settings, env), sharing_of(settings, env)
    works = Works.open(data, env, address, exposed, database, sharing)
    try:
        gateway = Gateway(settings, works, works.keys_now(), found, anew=True)
    except BaseException:
        works.cache.stock.close()
        works.store.close()
        raise
    works.begin()
    return gateway
