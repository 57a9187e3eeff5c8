"""The ledger on SQLite: WAL files in the data folder, one writer each.

    control.db       keys made at run time           synchronous = full
    ledger.db        money                           synchronous = full, group commit
    orders.ring      what the next commit will hold  a mapped file, see `slate.py`
    logs-YYYYMM.db   request records, one a month    synchronous = normal
    responses.db     responses kept for callers      synchronous = normal, see `shelf.py`
    archive.db       callers' files and batches      synchronous = full, see `archive.py`
    cache.db         replies that are given again    synchronous = normal, see `stock.py`

    store = open_store("~/.local/share/octoplex", "127.0.0.1:8080")
    reader = Reader(path)      # the same questions, synchronously, from any process

`open_store` takes the folder's lock, migrates, settles what a kill left open, and
starts the writer; it may take a moment and belongs before the listener. A month's
records are dropped by deleting its file. A log file that SQLite calls corrupt is put
aside and a new one begun (F54); a corrupt ledger or control file is never replaced.

Each file is written and checkpointed by exactly one connection (see `folder.py`).
"""

import asyncio
import atexit
import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from octoplex.ledger.accounts import Accounts
from octoplex.ledger.allowance import KEPT_DAYS
from octoplex.ledger.archive import Archive
from octoplex.ledger.connect import Kind, connect, corrupt, put_aside, unsynced
from octoplex.ledger.folder import Folder
from octoplex.ledger.period import DAY_MS, HOUR, MINUTE_MS, month_text
from octoplex.ledger.queries import Reader
from octoplex.ledger.records import Records
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
from octoplex.ledger.writer import Money, Tempo, Writer
from octoplex.wire.error import BadConfig, InvalidCall, StoreFailed

T = TypeVar("T")
_MEANT = """id = (select id from keys where (id = :name or name = :name)
    and revoked_at_ms is null order by id <> :name limit 1)"""
"""The key in use of this id, else of this name."""
NEVER_NEW: frozenset[Kind] = frozenset({"control", "ledger"})
"""Files that an empty one stands in the place of: they get their names when they have tables."""
log = logging.getLogger("octoplex.ledger")


class Files:
    """The write connections. Opened before the writer's thread starts, then its own."""

    def __init__(self, folder: Folder, heirs: Heirs = NO_HEIRS) -> None:
        self._folder = folder
        self.conflicts = 0
        self.quarantined: list[str] = []
        self._control = self._open("control.db", "control", "full")
        self._ledger = self._open("ledger.db", "ledger", "full")
        self._accounts = Accounts(self._ledger)
        self.slate = _slate(folder)
        noted = self.slate.take_left() if self.slate else ()
        try:
            self.lost = self._accounts.settle_lost((*noted, *heirs.noted), heirs)
        except sqlite3.Error as error:
            path = folder.path / "ledger.db"
            raise StoreFailed(f"{path}: what was open cannot be settled: {error}") from error
        self.inherited = self._accounts.open_now
        if self.slate:
            self.slate.clear()
        self._logs: sqlite3.Connection | None = None
        self._records: Records | None = None
        self._month = ""
        self._wrote = False

    def money(self, rows: list[Money]) -> None:
        """Write a batch of money in one transaction."""
        self.conflicts += self._accounts.write(rows)
        if self.slate:
            self.slate.wrote(sum(type(row) is Order for row in rows))
        self._wrote = True

    def records(self, rows: list[Record]) -> None:
        """Write records into the file of their month (of the last one's: a batch is short)."""
        month = month_text(rows[-1].at_ms)
        if self._records is None or month > self._month:
            self._turn(month)
        assert self._records is not None
        try:
            self._records.write(rows)
        except sqlite3.DatabaseError as error:
            if not corrupt(error):
                raise
            self._put_aside(f"logs-{self._month}.db")
            self._turn(self._month)
            self._records.write(rows)
        self._wrote = True

    def add_key(self, row: KeyRow) -> None:
        """Keep a key; names in use are unique."""
        taken = "select 1 from keys where name = ? and revoked_at_ms is null"
        if self._control.execute(taken, (row.name,)).fetchone():
            raise InvalidCall(f"a key named {row.name!r} is in use; revoke it or choose another")
        values = msgspec.structs.asdict(row) | {"models": msgspec.json.encode(row.models).decode()}
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        text = f"insert into keys ({names}) values ({marks})"  # the names of the row's fields
        self._control.execute(text, values)  # nosemgrep: value-in-statement

    def revoke_key(self, name: str, at_ms: int) -> str | None:
        """Mark a key revoked; its id."""
        text = f"update keys set revoked_at_ms = :at_ms where {_MEANT} returning id"
        rows = self._control.execute(text, {"at_ms": at_ms, "name": name}).fetchall()
        return str(rows[0][0]) if rows else None

    def rotate_key(self, turned: Turned) -> str | None:
        """Put another secret in the place of a key's; its id."""
        text = f"""update keys set former = hash, former_until_ms = :former_until_ms, hash = :hash,
            prefix = :prefix, last4 = :last4 where {_MEANT} returning id"""
        rows = self._control.execute(text, msgspec.structs.asdict(turned)).fetchall()
        return str(rows[0][0]) if rows else None

    def rest(self) -> None:
        """Fold the logs of the files into them, once per busy spell."""
        if self._wrote:
            self._wrote = False
            if self._logs is not None:
                with suppress(sqlite3.Error):  # the next one writes all of it again
                    self._logs.execute("pragma wal_checkpoint(passive)")
            self._ledger.execute("pragma wal_checkpoint(passive)")

    def close(self) -> None:
        """Fold the logs in and close; a file that cannot be written keeps its log."""
        for db in filter(None, (self._control, self._ledger, self._logs)):
            with suppress(sqlite3.Error):
                db.execute("pragma wal_checkpoint(truncate)")
            db.close()

    def _turn(self, month: str) -> None:
        if self._logs is not None:
            self._logs.close()
            self._logs = None
        self._logs = self._open(f"logs-{month}.db", "logs", "normal")
        self._records = Records(self._logs)
        self._month = month

    def _open(self, name: str, kind: Kind, synchronous: str) -> sqlite3.Connection:
        path = self._folder.path / name
        if kind in NEVER_NEW and path.exists() and not path.stat().st_size:
            raise BadConfig(
                f"{path} is empty, so what it held is lost: restore the folder from a backup, or "
                "delete this file to begin without it"
            )
        try:
            return connect(path, kind, synchronous)
        except sqlite3.DatabaseError as error:
            if not corrupt(error):
                raise BadConfig(f"{path} cannot be opened: {error}") from error
            if kind != "logs":
                raise BadConfig(
                    f"{path} is damaged ({error}): restore it from a backup; octoplex does not "
                    "start without it, so that no money is forgotten"
                ) from error
        self._put_aside(name)
        return connect(path, kind, synchronous)

    def _put_aside(self, name: str) -> None:
        if self._logs is not None:
            self._logs.close()
            self._logs = None
        aside = put_aside(self._folder.path / name, time.time_ns() // 1_000_000)
        self.quarantined.append(aside)


def _slate(folder: Folder) -> Slate | None:
    """None where the folder cannot hold it: a full disk must not keep a server from starting."""
    try:
        return Slate(folder.file("orders.ring"))
    except OSError as error:
        log.warning("orders.ring cannot be used (%s): a kill may lose the last 20 ms", error)
        return None


class SqliteStore:
    """Implements `Store`. Make one with `open_store`."""

    def __init__(self, folder: Folder, files: Files, tempo: Tempo | None = None) -> None:
        self._folder, self._files = folder, files
        self.responses = SqliteShelf(folder)
        self.archive = Archive(folder)
        self._writer = Writer(files, tempo, files.slate.note if files.slate else None)
        self.reader = Reader(folder.path)
        self._opened_at = self.reader.newest_batch()
        self.reserve = self._writer.reserve
        self.settle = self._writer.settle
        self.record = self._writer.record
        self._spoiled = ""
        """Why keys cannot be written any more before the next start."""
        self._closed = False
        atexit.register(self.close)

    @property
    def inherited(self) -> list[Order]:
        """The open orders of processes that outlived the last owner."""
        return self._files.inherited

    def hear(self, listener: Callable[[Record], None] | None) -> None:
        self._writer.heard = listener

    async def drain(self) -> bool:
        return await asyncio.wrap_future(self._writer.drain())

    async def spend(self, query: SpendQuery) -> Spend:
        return await self._ask(lambda: self.reader.spend(query))

    async def requests(self, page: Page) -> list[Record]:
        return await self._ask(lambda: self.reader.requests(page))

    async def request(self, id_: str) -> Record | None:
        return await self._ask(lambda: self.reader.request(id_))

    async def balances(self) -> list[Balance]:
        return await self._ask(self.balances_now)

    def balances_now(self) -> list[Balance]:
        """What every key has spent, without a loop: for a start before one runs."""
        today = time.time_ns() // 1_000_000 // DAY_MS
        return self.reader.balances(today - KEPT_DAYS)

    def minutes_now(self) -> list[Minute]:
        """What was spent of late before this store was opened, for `Book`."""
        since_ms = time.time_ns() // 1_000_000 - HOUR * MINUTE_MS
        return self.reader.minutes(since_ms - since_ms % MINUTE_MS, self._opened_at)

    def keys_now(self) -> list[KeyRow]:
        """All run-time keys, without a loop: for a start before one runs."""
        return self.reader.keys()

    async def keys(self) -> list[KeyRow]:
        return await asyncio.to_thread(self.reader.keys)

    async def add_key(self, row: KeyRow) -> None:
        await self._change(lambda: self._files.add_key(row))

    async def revoke_key(self, name: str, at_ms: int) -> KeyRow | None:
        return await self._key(await self._change(lambda: self._files.revoke_key(name, at_ms)))

    async def rotate_key(self, turned: Turned) -> KeyRow | None:
        return await self._key(await self._change(lambda: self._files.rotate_key(turned)))

    async def _key(self, id_: str | None) -> KeyRow | None:
        return next((row for row in await self.keys() if row.id == id_), None)

    def condition(self) -> Condition:
        files = self._files
        return msgspec.structs.replace(
            self._writer.condition(),
            conflicts=files.conflicts,
            lost=files.lost,
            responses_dropped=self.responses.dropped,
        )

    till = None
    """The budgets are this host's own."""
    common = notices = None

    def hear_keys(self, heard: Callable[[list[KeyRow]], None]) -> None:
        """Nobody else changes them."""

    def tell_address(self, address: str) -> None:
        """Write the listener's address into the folder's lock once it is known."""
        self._folder.tell(address)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self.reader.close()
        self.responses.close()
        self.archive.close()
        self._writer.close()
        self._folder.unlock()

    async def _change(self, work: Callable[[], T]) -> T:
        """Have the writer do it, and wait until it is on disk."""
        if self._spoiled:
            raise StoreFailed(self._spoiled)
        try:
            return await asyncio.wrap_future(self._writer.call(work))
        except sqlite3.Error as error:
            why = f"the keys cannot be written: {error}"
            if unsynced(error):
                why = self._spoiled = f"{why}; check the disk, then restart"
                log.error("%s", why)
            raise StoreFailed(why) from error

    async def _ask(self, read: Callable[[], T]) -> T:
        """Read what was written down before the question, too."""
        await self.drain()
        return await asyncio.to_thread(read)


def open_store(path: Path | str, address: str = "", tempo: Tempo | None = None) -> SqliteStore:
    """Open a data folder for writing.

    Raises:
        StoreFailed: another process has it.
        BadConfig: it cannot be written, is damaged, or is newer than this code.
    """
    folder = Folder(path)
    folder.lock(address)
    return open_locked(folder, tempo)


def open_locked(folder: Folder, tempo: Tempo | None = None, heirs: Heirs = NO_HEIRS) -> SqliteStore:
    """Open a data folder that this process has locked. `heirs` outlived who had it before.

    Raises:
        BadConfig: see `open_store`.
        StoreFailed: the ledger cannot be written.
    """
    try:
        return SqliteStore(folder, Files(folder, heirs), tempo)
    except BaseException:
        folder.unlock()
        raise
