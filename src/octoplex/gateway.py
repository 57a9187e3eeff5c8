"""The sentence: reflex -> routing -> metered(target) -> upstream.

    recorded(admitted(chain(metered(upstream))))

Each layer is an Answerer around the next; `compose` joins them, and nothing else does.
What the configuration decides (`Plan`) is replaced whole at a reload; what lives on
(`Works`: connections, ledger, money, health, limits) is not.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from octoplex.assembly.plan import Plan
from octoplex.assembly.works import Works
from octoplex.ledger.rows import KeyRow
from octoplex.reflex.gate import admitted
from octoplex.reflex.keys import Key, KeySpec, from_config, in_force
from octoplex.reflex.record import Recorded
from octoplex.routing import Chain
from octoplex.settings import Settings, secret
from octoplex.wire.answer import Answerer
from octoplex.wire.ask import Caller
from octoplex.wire.error import BadConfig

STREAM_S, PLAIN_S = 3_600.0, 600.0


def compose(plan: Plan, works: Works) -> Answerer:
    """Reflex -> routing -> metered(target) -> upstream. The plan's lanes are metered upstreams."""
    routed = Chain(plan.resolver.route_of, works.health)
    guarded = admitted(routed, works.desk, plan.other_names)
    return Recorded(guarded, works.store, works.metrics)


class Gateway:
    """One configuration in force. A reload makes another one over the same `Works`."""

    def __init__(
        self,
        settings: Settings,
        works: Works,
        run_time_keys: Iterable[KeyRow] = (),
        found: frozenset[str] = frozenset(),
    ) -> None:
        """Compile and put in force.

        Raises:
            BadConfig: nothing has changed then; the old gateway keeps serving.
        """
        self.settings, self.works, self.found = settings, works, found
        self.plan = Plan(settings, works, found)
        self.answer = compose(self.plan, works)
        self.max_body = settings.server.max_body_bytes
        self.metrics, self.store = works.metrics, works.store
        self.now = time.monotonic
        self.put_keys(run_time_keys)

    def put_keys(self, rows: Iterable[KeyRow]) -> None:
        """Put the file's keys and those made at run time in force, and nobody else's."""
        works, entries = self.works, []
        for name, table in self.settings.keys.items():
            where = f"[keys.{name}]"
            value = secret(table.secret, works.env, f"{where} secret")
            spec = KeySpec(name=name, tenant=table.tenant, models=table.models, limits=table.limits)
            try:
                entries.append(from_config(spec, value, works.hasher))
            except ValueError as error:
                raise BadConfig(f"{where}: {error}.") from None
        works.keyring.replace([*entries, *in_force(rows)])
        keys = list(works.keyring)
        works.desk.update(keys)
        for key in keys:
            works.book.limit(key.id, key.limits.caps)

    @property
    def needs_key(self) -> bool:
        """Whether any key is configured: then every route needs one."""
        return len(self.works.keyring) > 0

    def key(self, secret_given: bytes | None) -> Key:
        """The key behind a secret.

        Raises:
            Unauthorized: none, unknown, revoked or expired.
        """
        return self.works.keyring.find(secret_given)

    def key_of(self, caller: Caller) -> Key | None:
        """The key that a caller holds."""
        return next((k for k in self.works.keyring if k.id == caller.id), None)

    def patience_s(self, stream: bool, client_limit: bytes | None) -> float:
        """How long a request may take in all: our limit, or the caller's own if shorter."""
        given = self.settings.server.timeouts.total_s
        limit_s = given or (STREAM_S if stream else PLAIN_S)
        try:
            asked_s = float(client_limit) if client_limit else limit_s
        except ValueError:
            return limit_s
        return min(limit_s, asked_s) if asked_s > 0 else limit_s

    def limit_headers(self, caller: Caller, face: str) -> bytes:
        """Rate-limit header lines as the SDKs of this face look for them; none without limits."""
        return self.works.desk.header_block(caller.id, face) if caller.id else b""


def open_gateway(
    settings: Settings,
    env: Mapping[str, str],
    data: Path,
    *,
    address: str = "",
    found: frozenset[str] = frozenset(),
) -> Gateway:
    """Open everything and put a configuration in force. Close it with `await works.close()`.

    Raises:
        BadConfig: the configuration is wrong.
        StoreFailed: the data folder is held by another server or cannot be written.
    """
    works = Works.open(data, env, address)
    try:
        return Gateway(settings, works, works.keys_now(), found)
    except BaseException:
        works.store.close()
        raise
