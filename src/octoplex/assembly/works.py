"""What lives as long as the process: connections, ledger, money, health, local engines.

A reload makes a new `Plan` over the same Works, so that no connection is dropped, no
breaker forgotten and no reservation lost.
"""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

from octoplex.assembly.dialects import dialects, faces
from octoplex.ledger.book import Book
from octoplex.ledger.rows import KeyRow
from octoplex.ledger.sqlite import SqliteStore, open_store
from octoplex.reflex.gate import Desk
from octoplex.reflex.keys import Hasher, Keyring, pepper
from octoplex.routing.health import Health
from octoplex.telemetry.metrics import Gauge, Labels, Metrics
from octoplex.transport.http import Client
from octoplex.transport.origin import Proxies
from octoplex.transport.tokens import Purse
from octoplex.upstreams.judge import Judge
from octoplex.upstreams.local.fleet import Fleet

Environment = Mapping[str, str]


class Works:
    """Opened once, inside the event loop that will serve."""

    def __init__(self, data: Path, env: Environment, store: SqliteStore, exposed: str = "") -> None:
        self.data, self.env, self.store = data, env, store
        self.exposed = exposed
        """The listener's address where others can reach it: then nobody is served keyless."""
        self.trust: ssl.SSLContext | None = _trust(env)
        self.client = Client(self.trust)
        self.purse = Purse(self.client)
        self.proxies = Proxies.of(env)
        self.book = Book(store, store.balances_now())
        self.health = Health()
        self.counting = Health()
        """The health of the providers' token counts, which is not that of their chats."""
        self.hasher = Hasher(pepper(data))
        self.keyring = Keyring(self.hasher)
        self.desk = Desk()
        self.stopping = False
        self.config_error = ""
        """Why the last reload was refused; "" when the file in force is the file on disk."""
        self.metrics = Metrics(self._gauges())
        self.dialects = dialects()
        self.fleet = Fleet(data, self.client, self.dialects)
        self.faces = faces()
        self.judge = Judge()

    @classmethod
    def open(cls, data: Path, env: Environment, address: str = "", exposed: str = "") -> "Works":
        """Open the data folder (locked against a second server) and everything over it.

        Raises:
            StoreFailed: another server holds the folder, or it cannot be written.
        """
        return cls(data, env, open_store(data, address), exposed)

    def keys_now(self) -> list[KeyRow]:
        """The keys made at run time, read at once (before anything is served)."""
        return self.store.keys_now()

    async def close(self) -> None:
        """Close connections and engines, then write what is left to write."""
        self.client.close()
        await self.fleet.close()
        await self.judge.close()
        try:
            await asyncio.to_thread(self.store.close)
        except RuntimeError:  # the interpreter is ending and gives no more work to threads
            self.store.close()

    def _gauges(self) -> list[Gauge]:
        def breakers() -> list[tuple[Labels, float]]:
            states = {"closed": 0.0, "probing": 1.0, "open": 2.0}
            return [((c.target,), states[c.breaker]) for c in self.health.report()]

        def batches() -> list[tuple[Labels, float]]:
            found = list(self.store.archive.open.values())
            return [((), float(sum(not batch.over for batch in found)))]

        def condition() -> list[tuple[Labels, float]]:
            store = self.store.condition()
            return [
                (("dropped",), store.records_dropped),
                (("backlog",), store.backlog),
                (("responses_dropped",), store.responses_dropped),
            ]

        return [
            Gauge("octoplex_breaker_state", "0 closed, 1 probing, 2 open.", ("target",), breakers),
            Gauge("octoplex_batches_open", "Batches with lines still to do.", (), batches),
            Gauge(
                "octoplex_log",
                "Rows for logs: dropped, waiting; responses dropped.",
                ("kind",),
                condition,
            ),
        ]


def _trust(env: Environment) -> ssl.SSLContext:
    """The system's roots, or those of SSL_CERT_FILE / SSL_CERT_DIR. Always verified."""
    context = ssl.create_default_context(
        cafile=env.get("SSL_CERT_FILE") or None, capath=env.get("SSL_CERT_DIR") or None
    )
    context.set_alpn_protocols(["http/1.1"])
    return context
