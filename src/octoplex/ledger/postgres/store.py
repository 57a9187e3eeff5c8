"""The ledger on PostgreSQL: what is spent, recorded and who may ask, on a server of its own.

    store = open_postgres(folder, database, "127.0.0.1:8080")

The data folder stays: it holds the lock against a second gateway on this machine, the pepper
of the keys, `host` (who this is among the hosts on the database), `orders.ring` (what the next
commit will hold, `slate.py`), `spool.log` (what the database could not take, `spool.py`), and
what is this host's own: callers' files and batches (`archive.py`), stored responses (`shelf.py`)
and replies that are given again (`stock.py`).

As with SQLite the loop appends and one thread writes (`writer.py`); it hands each batch to
the connections' own loop (`link.py`) and waits for the commit. While the database is away
calls go on: budgets and keys are in memory, and what they owe goes to the spool.
"""

import asyncio
import atexit
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from octoplex.ledger.allowance import KEPT_DAYS
from octoplex.ledger.archive import Archive
from octoplex.ledger.folder import Folder
from octoplex.ledger.period import DAY_MS, HOUR, MINUTE_MS
from octoplex.ledger.postgres import queries
from octoplex.ledger.postgres.common import PostgresCommon
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.link import Connection, Link, Work
from octoplex.ledger.postgres.notices import PostgresNotices
from octoplex.ledger.postgres.queries import PostgresReader
from octoplex.ledger.postgres.till import PostgresTill
from octoplex.ledger.postgres.watch import Tempo as Beats
from octoplex.ledger.postgres.writing import KEYS, Writing
from octoplex.ledger.rows import (
    NO_HEIRS,
    Balance,
    Condition,
    Heirs,
    KeyRow,
    Minute,
    Order,
    Page,
    Record,
    Spend,
    SpendQuery,
    Turned,
)
from octoplex.ledger.shelf import SqliteShelf
from octoplex.ledger.slate import Slate
from octoplex.ledger.spool import NAME, Spool
from octoplex.ledger.writer import Tempo, Writer
from octoplex.wire.error import StoreFailed

T = TypeVar("T")
NUL = "\0"
"""What no text in a PostgreSQL can hold."""
log = logging.getLogger("octoplex.ledger")


class How(Struct, frozen=True, kw_only=True):
    """When to write, and how soon other hosts are missed."""

    tempo: Tempo | None = None
    beats: Beats | None = None


USUAL = How()


class PostgresStore:
    """Implements `State`. Make one with `open_postgres`."""

    def __init__(self, folder: Folder, link: Link, how: How, heirs: Heirs = NO_HEIRS) -> None:
        """Connect, migrate, write what waits, settle what a kill left open.

        Raises:
            BadConfig: the database or the folder cannot be used.
            StoreFailed: another process is this host, or others use an older schema.
        """
        self._folder, self._link = folder, link
        slate = _slate(folder)
        self.archive = Archive(folder)
        spool, laid = Spool(folder.path / NAME), self.archive.laid
        self._writing = Writing(link, spool, slate, heirs, link.host, laid)
        self._keys_heard: Callable[[list[KeyRow]], None] = lambda rows: None
        self._loop: asyncio.AbstractEventLoop | None = None
        link.begin(self._begin, self._again)
        self.till = PostgresTill(link, link.name, self._all_written, how.beats)
        self.till.kept = self._writing.kept
        self.common = PostgresCommon(self.till.ask)
        self.notices = PostgresNotices(self.till.ask, link.host)
        self.responses = SqliteShelf(folder)
        self._writer = Writer(self._writing, how.tempo, slate.note if slate else None)
        self.reader = PostgresReader(link, folder.path)
        self.reserve = self._writer.reserve
        self.settle = self._writer.settle
        self.record = self._writer.record
        self._closed = False
        atexit.register(self.close)
        self.till.begin(self._hear)

    async def _begin(self, connection: Connection) -> None:
        await self._writing.begin(connection)
        now_ms = time.time_ns() // 1_000_000
        since_ms = now_ms - HOUR * MINUTE_MS
        self._balances = await queries.balances(connection, now_ms // DAY_MS - KEPT_DAYS)
        self._minutes = await queries.minutes(connection, since_ms - since_ms % MINUTE_MS)

    @property
    def inherited(self) -> list[Order]:
        """The open orders of processes that outlived the last owner."""
        return self._writing.inherited

    def hear(self, listener: Callable[[Record], None] | None) -> None:
        self._writer.heard = listener

    async def drain(self) -> bool:
        return await asyncio.wrap_future(self._writer.drain())

    async def spend(self, query: SpendQuery) -> Spend:
        return await self._ask(lambda connection: queries.spend(connection, query))

    async def requests(self, page: Page) -> list[Record]:
        return await self._ask(lambda connection: queries.requests(connection, page))

    async def request(self, id_: str) -> Record | None:
        return await self._ask(lambda connection: queries.request(connection, id_))

    async def balances(self) -> list[Balance]:
        since_day = time.time_ns() // 1_000_000 // DAY_MS - KEPT_DAYS
        return await self._ask(lambda connection: queries.balances(connection, since_day))

    def balances_now(self) -> list[Balance]:
        """What every key had spent when this store was opened, for `Book`."""
        return self._balances

    def minutes_now(self) -> list[Minute]:
        """What had been spent of late when this store was opened, for `Book`."""
        return self._minutes

    def keys_now(self) -> list[KeyRow]:
        """All run-time keys, from memory, as they were when somebody last changed them."""
        return self._writing.keys

    def hear_keys(self, heard: Callable[[list[KeyRow]], None]) -> None:
        """Have all run-time keys told, on this loop, when another host changed them."""
        self._loop, self._keys_heard = asyncio.get_running_loop(), heard

    def _hear(self, topic: str) -> None:
        if topic == KEYS and not self._closed:
            self._writer.call(self._read_keys)
        elif self._loop is not None:
            with suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self.common.wake)

    def _read_keys(self) -> None:
        self._writing.read_keys()
        self._tell_keys()

    async def _again(self, connection: Connection) -> None:
        """Whoever told of a change meanwhile may have been heard when nothing could be read."""
        await self._writing.again(connection)
        self._tell_keys()

    def _tell_keys(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._keys_heard, self._writing.keys)

    async def keys(self) -> list[KeyRow]:
        with suppress(StoreFailed):  # else as they were
            await self._change(self._writing.read_keys)
        return self._writing.keys

    async def add_key(self, row: KeyRow) -> None:
        await self._change(lambda: self._writing.add_key(row))

    async def revoke_key(self, name: str, at_ms: int) -> KeyRow | None:
        if NUL in name:
            return None
        return self._key(await self._change(lambda: self._writing.revoke_key(name, at_ms)))

    async def rotate_key(self, turned: Turned) -> KeyRow | None:
        if NUL in turned.name:
            return None
        return self._key(await self._change(lambda: self._writing.rotate_key(turned)))

    def condition(self) -> Condition:
        writing = self._writing
        return msgspec.structs.replace(
            self._writer.condition(),
            conflicts=writing.conflicts,
            lost=writing.lost,
            responses_dropped=self.responses.dropped,
            spooled=writing.spool.rows,
            away=not self._link.up or self.till.away,
        )

    def tell_address(self, address: str) -> None:
        """Write the listener's address into the folder's lock once it is known."""
        self._folder.tell(address)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self.till.end()
        self.responses.close()
        self.archive.close()
        self._writer.close()
        self.reader.close()
        self._folder.unlock()

    def _key(self, id_: str | None) -> KeyRow | None:
        return next((row for row in self._writing.keys if row.id == id_), None)

    async def _change(self, work: Callable[[], T]) -> T:
        """Have the writer do it, and wait until it is committed."""
        return await asyncio.wrap_future(self._writer.call(work))

    async def _all_written(self) -> bool:
        await asyncio.wrap_future(self._writer.call(self._writing.rest))
        return await asyncio.wrap_future(self._writer.drain()) and not self._writing.spool

    async def _ask(self, work: Work[T]) -> T:
        """Read what was written down before the question, too."""
        await self.drain()
        return await asyncio.wrap_future(self._link.ask(work))


def _slate(folder: Folder) -> Slate | None:
    """None where the folder cannot hold it: a full disk must not keep a server from starting."""
    try:
        return Slate(folder.file("orders.ring"))
    except OSError as error:
        log.warning("orders.ring cannot be used (%s): a kill may lose the last moments", error)
        return None


def identity(folder: Folder) -> str:
    """Who the data folder is among the hosts on a database: made once."""
    path = folder.file("host")
    found = path.read_text().strip()
    if not found:
        found = f"host_{secrets.token_hex(8)}"
        path.write_text(found + "\n")
    return found


def open_postgres(
    path: Path | str, database: Database, address: str = "", how: How = USUAL
) -> PostgresStore:
    """Open a database for writing, and the data folder that belongs to it.

    Raises:
        StoreFailed: another process has the folder, or writes as this host.
        BadConfig: one of them cannot be used, or is newer than this code.
    """
    folder = Folder(path)
    folder.lock(address)
    return open_locked(folder, database, how)


def open_locked(
    folder: Folder, database: Database, how: How = USUAL, heirs: Heirs = NO_HEIRS
) -> PostgresStore:
    """The same in a data folder that this process has locked. `heirs` outlived who had it before.

    Raises:
        StoreFailed, BadConfig: see `open_postgres`; the folder is let go of.
    """
    name = f"octoplex on {socket.gethostname()}, process {os.getpid()}"[:63]
    link = Link(database, name, identity(folder))
    try:
        return PostgresStore(folder, link, how, heirs)
    except BaseException:
        link.close()
        folder.unlock()
        raise


@asynccontextmanager
async def open_common(database: Database) -> AsyncIterator[PostgresCommon | None]:
    """What hosts have in common, for one that does not run; None where none has ever run.

    Raises:
        StoreFailed: the database cannot be asked.
    """
    link = Link(database, f"octoplex command, process {os.getpid()}")

    async def ask(text: str, *values: object) -> list[Any]:
        return await asyncio.wrap_future(link.ask(lambda found: found.fetch(text, *values)))

    try:
        is_there = (await ask("select to_regclass('octoplex.switches') is not null"))[0][0]
        yield PostgresCommon(ask) if is_there else None
    finally:
        link.close()


def open_reader(path: Path, database: Database) -> PostgresReader:
    """Read beside whoever writes."""
    return PostgresReader(Link(database, f"octoplex reader, process {os.getpid()}"), path)
