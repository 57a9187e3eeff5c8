"""What lives as long as the process: connections, ledger, money, health, local engines.

A reload makes a new `Plan` over the same Works, so that no connection is dropped, no
breaker forgotten and no reservation lost.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from octoplex.assembly.dialects import dialects, faces
from octoplex.assembly.state import open_state
from octoplex.ledger.allowance import Left
from octoplex.ledger.book import Book
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.rows import KeyRow
from octoplex.ledger.stock import Stock
from octoplex.ledger.store import State
from octoplex.reflex.cache.layer import Cache
from octoplex.reflex.gate import Desk
from octoplex.reflex.keys import Hasher, Keyring, pepper
from octoplex.reflex.limit import Figure
from octoplex.routing.figures import gauges as routing
from octoplex.routing.health import Health
from octoplex.telemetry.metrics import Gauge, Labels, Metrics
from octoplex.transport.http import Client
from octoplex.transport.origin import Proxies
from octoplex.transport.tokens import Purse
from octoplex.upstreams.judge import Judge
from octoplex.upstreams.local.fleet import Fleet
from octoplex.wire.error import BadConfig

Environment = Mapping[str, str]
B = TypeVar("B", bound=Book)


def make_book(store: State, kind: type[B]) -> B:
    """A book that begins with what the ledger says was spent."""
    return kind(store, store.balances_now(), store.minutes_now)


class Standing(Struct, frozen=True):
    """How a key stands: its rate limits, its budgets, all that it ever spent."""

    figures: list[Figure]
    budgets: list[Left]
    spent_nano: int


class Shared(Struct, frozen=True):
    """What one of several processes has instead of its own (`server/supervisor`)."""

    book: Book
    desk: Desk
    stock: Stock
    standing: Callable[[str], Awaitable[Standing]] | None = None
    """Asks whoever knows how a key stands."""


class Works:
    """Opened once, inside the event loop that will serve."""

    def __init__(
        self,
        data: Path,
        env: Environment,
        store: State,
        exposed: str = "",
        shared: Shared | None = None,
    ) -> None:
        self.data, self.env, self.store = data, env, store
        self.exposed = exposed
        """The listener's address where others can reach it: then nobody is served keyless."""
        self.trust: ssl.SSLContext | None = _trust(env)
        self.client = Client(self.trust)
        self.purse = Purse(self.client)
        self.proxies = Proxies.of(env)
        self._shared = shared
        self.book = shared.book if shared else make_book(store, Book)
        self.health = Health()
        self.counting = Health()
        """The health of the providers' token counts, which is not that of their chats."""
        self.hasher = Hasher(pepper(data))
        self.keyring = Keyring(self.hasher, unsure=lambda: store.condition().away)
        self.desk = shared.desk if shared else Desk()
        self.others: Callable[[], dict[str, int]] = dict
        """How many processes answer here, where there are several."""
        self.on_keys: Callable[[list[KeyRow]], None] = lambda rows: None
        """Told of the keys made at run time when they change."""
        self.stopping = False
        self.reloads_failed = 0
        self.config_error = ""
        """Why the last reload was refused; "" when the file in force is the file on disk."""
        self.dialects = dialects()
        self.cache = Cache(shared.stock if shared else Stock(data), self.hasher.hash, self.dialects)
        self.metrics = Metrics([*self._gauges(), *self.cache.gauges(), *self._routing()])
        self.fleet = Fleet(data, self.client, self.dialects)
        self.faces = faces()
        self.judge = Judge()

    @classmethod
    def open(
        cls,
        data: Path,
        env: Environment,
        address: str = "",
        exposed: str = "",
        database: Database | None = None,
    ) -> "Works":
        """Open the data folder (locked against a second server) and everything over it.

        Raises:
            StoreFailed: another server holds the folder or the database, or it cannot be written.
        """
        return cls(data, env, open_state(data, database, address), exposed)

    def keys_now(self) -> list[KeyRow]:
        """The keys made at run time, read at once (before anything is served)."""
        return self.store.keys_now()

    async def standing(self, key_id: str) -> Standing:
        """How a key stands now."""
        if self._shared is not None and self._shared.standing is not None:
            return await self._shared.standing(key_id)
        return self.standing_now(key_id)

    def standing_now(self, key_id: str) -> Standing:
        """How a key stands, as far as this process knows."""
        budgets = self.book.left(key_id, time.time_ns() // 1_000_000)
        return Standing(self.desk.figures(key_id), budgets, self.book.spent(key_id))

    async def close(self) -> None:
        """Close connections and engines, then write what is left to write."""
        await self.cache.close()
        self.client.close()
        await self.fleet.close()
        await self.judge.close()
        try:
            await asyncio.to_thread(self.store.close)
        except RuntimeError:  # the interpreter is ending and gives no more work to threads
            self.store.close()

    def _routing(self) -> list[Gauge]:
        return routing(self.health, lambda name: self.metrics.named(name))

    def _gauges(self) -> list[Gauge]:
        def breakers() -> list[tuple[Labels, float]]:
            states = {"closed": 0.0, "probing": 1.0, "open": 2.0}
            named = self.metrics.named
            report = [c for c in self.health.report() if c.breaker != "closed" or named(c.target)]
            return [((c.target,), states[c.breaker]) for c in report]

        def batches() -> list[tuple[Labels, float]]:
            found = list(self.store.archive.open.values())
            return [((), float(sum(not batch.over for batch in found)))]

        def condition() -> list[tuple[Labels, float]]:
            store = self.store.condition()
            return [
                (("dropped",), store.records_dropped),
                (("backlog",), store.backlog),
                (("responses_dropped",), store.responses_dropped),
                (("spooled",), store.spooled),
            ]

        def count(name: str, text: str, figure: Callable[[], int]) -> Gauge:
            return Gauge(f"octoplex_{name}_total", text, (), lambda: [((), figure())], "counter")

        book = self.book
        return [
            count("bills_exceeded", "Bills above their reservation.", lambda: book.exceeded),
            count("bills_missing", "Replies without a usable usage.", lambda: book.unbilled),
            count("reloads_failed", "Reloads that were refused.", lambda: self.reloads_failed),
            Gauge("octoplex_breaker_state", "0 closed, 1 probing, 2 open.", ("target",), breakers),
            Gauge("octoplex_batches_open", "Batches with lines still to do.", (), batches),
            Gauge(
                "octoplex_log",
                "Rows: dropped, waiting, spooled; responses dropped.",
                ("kind",),
                condition,
            ),
        ]


def _trust(env: Environment) -> ssl.SSLContext:
    """The system's roots, or those of SSL_CERT_FILE / SSL_CERT_DIR. Always verified.

    Raises:
        BadConfig: what they name cannot be read.
    """
    file, folder = env.get("SSL_CERT_FILE") or None, env.get("SSL_CERT_DIR") or None
    try:
        context = ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        raise BadConfig(
            f"The roots for TLS cannot be read: {error.strerror or error} "
            f"(SSL_CERT_FILE={file or ''} SSL_CERT_DIR={folder or ''})."
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context
