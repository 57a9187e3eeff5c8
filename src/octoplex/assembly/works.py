"""What lives as long as the process: connections, ledger, money, health, local engines.

A reload makes a new `Plan` over the same Works, so that no connection is dropped, no
breaker forgotten and no reservation lost.
"""

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec import Struct

from octoplex.assembly.agent_route import Answers
from octoplex.assembly.dialects import dialects, faces
from octoplex.assembly.hosts import ALONE, Hosts, Sharing
from octoplex.assembly.report import Report
from octoplex.assembly.state import open_state
from octoplex.ledger.allowance import Left
from octoplex.ledger.book import Book
from octoplex.ledger.common import Common
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.rows import KeyRow
from octoplex.ledger.shared.till import account_of
from octoplex.ledger.stock import Stock
from octoplex.ledger.stock_disk import DiskStock
from octoplex.ledger.store import State
from octoplex.optimizer.trying import Tries
from octoplex.reflex.cache.layer import Cache
from octoplex.reflex.gate import Desk
from octoplex.reflex.idempotency import Claims
from octoplex.reflex.keys import Hasher, Keyring
from octoplex.reflex.limit import Figure
from octoplex.reflex.shared import SharedDesk
from octoplex.routing.figures import gauges as routing
from octoplex.routing.health import Health
from octoplex.telemetry.metrics import Gauge, Labels, Metrics
from octoplex.transport.http import Client
from octoplex.transport.origin import Proxies
from octoplex.transport.tokens import Purse
from octoplex.upstreams.judge import Judge
from octoplex.upstreams.local.fleet import Fleet
from octoplex.wire.eager import in_task
from octoplex.wire.error import BadConfig, StoreFailed

Environment = Mapping[str, str]
B = TypeVar("B", bound=Book)
SPENT_S = 2.0
"""How long the ledger is asked for what all hosts have spent."""


def make_book(store: State, kind: type[B]) -> B:
    """A book that begins with what the ledger says was spent."""
    return kind(store, store.balances_now(), store.minutes_now, store.till)


def make_desk(store: State, kind: type[Desk]) -> Desk:
    """A desk of this kind; one that shares its rates where the store is shared by hosts."""
    return SharedDesk(store.till) if store.till is not None else kind()


class Standing(Struct, frozen=True):
    """How a key stands: its rate limits, its budgets, all that it ever spent."""

    figures: list[Figure]
    budgets: list[Left]
    spent_nano: int


class Shared(Struct, frozen=True):
    """What one of several processes has instead of its own (`server/supervisor`)."""

    book: Book
    desk: Desk
    stock: Stock | None = None
    """Of a worker; None where it lies on this process's own disk, or in Redis."""
    standing: Callable[[str], Awaitable[Standing]] | None = None
    """Asks whoever knows how a key stands."""
    claims: Claims | None = None
    """Of a worker."""


class Closes(Protocol):
    """What is closed with everything else."""

    async def close(self) -> None:
        """End what is under way, write what waits."""
        ...


class Works:
    """Opened once, inside the event loop that will serve."""

    school: Closes | None = None
    """Where routes learn (`assembly/classroom.py`)."""

    agents: Answers | None = None
    """The tasks of this process (`assembly/agents.py`)."""

    tries: Tries | None = None
    """The results of experiments, once there is one."""

    def __init__(
        self,
        data: Path,
        env: Environment,
        store: State,
        exposed: str = "",
        shared: Shared | None = None,
        sharing: Sharing = ALONE,
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
        self.hasher = Hasher(sharing.pepper_in(data, store.keys_now()))
        self.hosts: Hosts | None = None
        """What is shared with other hosts, in the process that owns the data folder."""
        if sharing.redis is not None:
            self.hosts = Hosts(sharing.redis, self.hasher.hash, sharing.token)
        self.claims: Claims | None = shared.claims if shared else None
        """Whose call an idempotency key is, where others may be given it, too."""
        self.common: Common | None = store.common
        """What hosts tell each other."""
        if self.hosts is not None:
            self.claims = self.claims or self.hosts.claims
            self.common = self.hosts.common
        self.keyring = Keyring(self.hasher, unsure=lambda: store.condition().away)
        self.desk = shared.desk if shared else make_desk(store, Desk)
        if store.till is not None:
            store.till.agree(self.hasher.hash(b"pepper").hex())
        self.others: Callable[[], dict[str, int]] = dict
        """How many processes answer here, where there are several."""
        self.reports: Callable[[], Awaitable[list[Report]]] = self._own_reports
        """Of all processes that answer here."""
        self.on_keys: Callable[[list[KeyRow]], None] = lambda rows: None
        self.on_gone: list[Callable[[set[str]], None]] = []
        """Told the ids of keys that open nothing any more."""
        """Told of the keys made at run time when they change."""
        self.needed_key = False
        """Whether every route needed a key in what was last put in force."""
        self.stopping = False
        self.stalls = 0
        """How often the event loop stood still."""
        self.reloads_failed = 0
        self.config_error = ""
        """Why the last reload was refused; "" when the file in force is the file on disk."""
        self.dialects = dialects()
        self.cache = Cache(self._stock(), self.hasher.hash, self.dialects)
        beside = self.hosts.gauges() if self.hosts else []
        self.metrics = Metrics([*self._gauges(), *self.cache.gauges(), *self._routing(), *beside])
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
        sharing: Sharing = ALONE,
    ) -> "Works":
        """Open the data folder (locked against a second server) and everything over it.

        Raises:
            StoreFailed: another server holds the folder or the database, or it cannot be written.
        """
        store = open_state(data, database, address)
        try:
            return cls(data, env, store, exposed, sharing=sharing)
        except BaseException:
            store.close()
            raise

    def begin(self) -> None:
        """Find what is shared with other hosts; nothing waits for it."""
        if self.hosts is not None:
            self.hosts.begin()
        elif self.common is not None:
            self.common.begin()

    def _stock(self) -> Stock:
        """Where replies lie that are given again."""
        if self._shared is not None and self._shared.stock is not None:
            return self._shared.stock
        return self.hosts.stock if self.hosts is not None else DiskStock(self.data)

    def keys_now(self) -> list[KeyRow]:
        """The keys made at run time, read at once (before anything is served)."""
        return self.store.keys_now()

    async def standing(self, key_id: str) -> Standing:
        """How a key stands now."""
        if self._shared is not None and self._shared.standing is not None:
            return await self._shared.standing(key_id)
        spent = await self.spent(key_id)
        await self.book.look(key_id, (), time.time_ns() // 1_000_000)
        # Budgets last, without a wait: who takes off what is lent does so at this very moment.
        budgets = self.book.left(key_id, time.time_ns() // 1_000_000)
        return Standing(self.desk.figures(key_id), budgets, spent)

    async def spent(self, key_id: str | None = None) -> int:
        """All that was ever spent by a key, or by all: at other hosts, too, where they share it
        and can be asked."""
        till = self.store.till
        if till is not None:
            await in_task()
            with suppress(StoreFailed, TimeoutError):
                async with asyncio.timeout(SPENT_S):
                    await self.store.drain()
                    return await till.spent("" if key_id is None else account_of(key_id))
        return self.book.settled_nano if key_id is None else self.book.spent(key_id)

    def stalled(self) -> None:
        """Count one more stall, in whichever thread."""
        self.stalls += 1

    async def report(self, kind: str = "process") -> Report:
        """What this process has seen."""
        return Report(
            process=f"{kind} {os.getpid()}",
            targets=self.health.report(),
            resting=self.health.resting(),
            cache=await self.cache.stats(),
        )

    async def _own_reports(self) -> list[Report]:
        return [await self.report()]

    async def close(self) -> None:
        """Close connections and engines, then write what is left to write."""
        if self.agents is not None:
            await self.agents.close()
        if self.tries is not None:
            await _closed(self.tries.close)
        if self.school is not None:
            await self.school.close()
        await self.cache.close()
        if self.hosts is not None:
            await self.hosts.close()
        elif self.common is not None:
            await self.common.close()
        self.client.close()
        await self.fleet.close()
        await self.judge.close()
        if isinstance(self.desk, SharedDesk):
            await self.desk.close()
        await _closed(self.store.close)

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
            count("stalls", "Times nothing was answered for 2 s.", lambda: self.stalls),
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


async def _closed(close: Callable[[], None]) -> None:
    """Close in a thread what may take a while."""
    try:
        await asyncio.to_thread(close)
    except RuntimeError:  # the interpreter is ending and gives no more work to threads
        close()
