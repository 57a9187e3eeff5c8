"""Keeps responses behind the path, and gives them back to whose they are.

    shelf.keep(row)                       # an append; the thread writes
    row = await shelf.find(key_id, id_)   # asked of the same thread, so it is there

The shelf has a file and a thread of its own beside the ledger's: bodies are large, and a
commit that waits behind one of 16 MB would break the promise that money is on disk within
20 ms. Requests to the thread are served in their order over one connection, so whoever
asks for a response waits for it to be written, and nobody else does.

File and thread begin with the first response. What cannot be kept (a full queue, a body
above the cap, a disk that is full or fails) is dropped, counted and logged once per
spell; the caller has its answer and is told by a later 404. The last `spare_bytes` of the
disk are not taken: when they are gone, the ledger refuses paid calls.

Retention counts from a response's creation and is swept in steps of a few rows, between
which the queue is served. `days` at 0 keeps nothing and sweeps everything.

Not promised: that a response survives a kill within the milliseconds before its commit,
or a power cut within the seconds before its checkpoint.
"""

import asyncio
import itertools
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

import msgspec
from msgspec import Struct

from octoplex.ledger.connect import connect, corrupt, put_aside
from octoplex.ledger.folder import Folder
from octoplex.ledger.period import DAY_MS
from octoplex.ledger.responses import Responses
from octoplex.ledger.rows import Stored
from octoplex.wire.error import BadConfig, StoreFailed

log = logging.getLogger("octoplex.ledger")
T = TypeVar("T")
Job = Stored | Callable[[], None] | None
"""What the thread is asked; None: to end."""
NAME = "responses.db"


class Bounds(Struct, frozen=True, kw_only=True):
    """How much is kept where."""

    row_bytes: int = 16_000_000
    """One response with its input."""
    queue_bytes: int = 64_000_000
    """What waits to be written."""
    spare_bytes: int = 256_000_000
    """Room on the disk that is left to the ledger."""
    batch_rows: int = 64
    sweep_rows: int = 64
    sweep_s: float = 600.0


def unix_ms() -> int:
    """Milliseconds of the Unix clock."""
    return time.time_ns() // 1_000_000


class SqliteShelf:
    """Implements `Shelf`. `keep` belongs to the event loop."""

    def __init__(
        self, folder: Folder, bounds: Bounds | None = None, now_ms: Callable[[], int] = unix_ms
    ) -> None:
        """Open the file if there is one.

        Raises:
            BadConfig: it cannot be opened, or is newer than this code.
        """
        self._folder, self._bounds, self._now_ms = folder, bounds or Bounds(), now_ms
        self.days = 30
        self.dropped = 0
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._put_bytes = 0  # counted by the loop
        self._taken_bytes = 0  # counted by the thread
        self._sweep_at = 0.0
        self._failing = False
        self._closed = self._over = False
        self._file: Responses | None = None
        self._thread: threading.Thread | None = None
        if (folder.path / NAME).exists():
            try:
                self._file = self._open()
            except sqlite3.DatabaseError as error:
                raise BadConfig(f"{folder.path / NAME} cannot be opened: {error}") from error
            self._start()

    # The loop's side.

    def keep_for(self, days: int) -> None:
        """Keep responses so long from their creation, also those that are there already."""
        if days != self.days:
            self.days = days
            self._jobs.put(self._sweep_step)

    def keep(self, row: Stored) -> None:
        """Write it down behind the path."""
        if self._closed or not self.days:
            return
        bounds = self._bounds
        if row.size > bounds.row_bytes:
            self._drop(1, f"one of {row.size:,} bytes is above the cap of {bounds.row_bytes:,}")
            row = msgspec.structs.replace(row, gone=True, body=b"", input=b"", items=())
        if self._put_bytes - self._taken_bytes + row.size > bounds.queue_bytes:
            self._drop(1, f"{bounds.queue_bytes:,} bytes already wait to be written")
            return
        self._put_bytes += row.size
        if self._thread is None:
            self._start()
        self._jobs.put(row)

    async def find(self, key_id: str, id_: str) -> Stored | None:
        """A response of this key."""
        return await self._ask(lambda file: file.find(key_id, id_, self._since_ms()), None)

    async def holding(self, key_id: str, ids: Collection[str]) -> list[Stored]:
        """The responses of this key in which these items first came."""
        return await self._ask(lambda file: file.holding(key_id, ids, self._since_ms()), [])

    async def known(self, ids: Collection[str]) -> set[str]:
        """Those of these ids that are or were somebody's here."""
        return await self._ask(lambda file: file.known(ids), set())

    async def forget(self, key_id: str, id_: str) -> bool:
        """Delete a response of this key; on disk when this returns."""
        return await self._ask(lambda file: file.forget(key_id, id_, self._since_ms()), False)

    async def sweep(self) -> int:
        """Delete what is too old now, all of it; how many it were."""
        return await self._ask(lambda _: self._sweep(), 0)

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits, then let go of the file."""
        self._closed = True
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(timeout_s)

    async def _ask(self, work: Callable[[Responses], T], empty: T) -> T:
        """Have the thread do it after everything before."""
        if self._thread is None or self._closed:
            return empty
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work(self._opened()))
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                future.set_exception(error)

        self._jobs.put(run)
        try:
            return await asyncio.wrap_future(future)
        except (sqlite3.Error, OSError) as error:
            why = getattr(error, "strerror", None) or str(error)  # not the path
            raise StoreFailed(f"The stored responses cannot be reached: {why}.") from error

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="octoplex-responses", daemon=True)
        self._thread.start()

    def _drop(self, count: int, why: str) -> None:
        self.dropped += count
        if not self._failing:
            self._failing = True
            log.error("a response is not stored: %s", why)

    # The thread's side.

    def _run(self) -> None:
        while self._serve(self._gather()):
            if time.monotonic() >= self._sweep_at:
                self._sweep_step()
        self._over = True
        if self._file is not None:
            self._file.close()
        with suppress(Empty):  # nobody may wait for a thread that has ended
            while True:
                late = self._jobs.get_nowait()
                if callable(late):
                    late()

    def _serve(self, jobs: list[Job]) -> bool:
        """Do what is asked, in its order; False when that is to end."""
        for is_row, group in itertools.groupby(jobs, lambda job: isinstance(job, Stored)):
            if is_row:
                self._write([job for job in group if isinstance(job, Stored)])
                continue
            for job in group:
                if job is None:
                    return False
                if callable(job):
                    job()
        return True

    def _gather(self) -> list[Job]:
        """What is asked now; nothing when it is time to sweep."""
        jobs: list[Job] = []
        with suppress(Empty):
            jobs.append(self._jobs.get(timeout=max(0.0, self._sweep_at - time.monotonic())))
            while len(jobs) < self._bounds.batch_rows:
                jobs.append(self._jobs.get_nowait())
        return jobs

    def _write(self, rows: list[Stored]) -> None:
        try:
            self._check_room()
            self._opened().write(rows)
            self._failing = False
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live on
            self._lost(rows, error)
        finally:
            self._taken_bytes += sum(row.size for row in rows)

    def _lost(self, rows: list[Stored], error: Exception) -> None:
        """A batch could not be written: those of it that can be are."""
        if corrupt(error) and self._file is not None:
            self._file.close()
            self._file = None
            aside = put_aside(self._folder.path / NAME, self._now_ms())
            log.error("%s is damaged (%s); it is now %s", NAME, error, aside)
        if len(rows) == 1:
            self._drop(1, str(error))
            return
        for row in rows:
            try:
                self._opened().write([row])
            except Exception as again:  # noqa: BLE001 - as above
                self._drop(1, str(again))

    def _check_room(self) -> None:
        place = os.statvfs(self._folder.path)
        if place.f_bavail * place.f_frsize < self._bounds.spare_bytes:
            raise OSError(f"less than {self._bounds.spare_bytes:,} bytes are free on the disk")

    def _sweep_step(self) -> None:
        """Delete a few that are too old; soon again if there are more."""
        count = 0
        try:
            if self._file is not None:
                count = self._file.sweep(self._since_ms(), self._bounds.sweep_rows)
        except sqlite3.Error as error:
            log.error("old responses cannot be deleted now: %s", error)
        full = count >= self._bounds.sweep_rows
        self._sweep_at = time.monotonic() + (0.01 if full else self._bounds.sweep_s)

    def _sweep(self) -> int:
        total = 0
        while count := self._opened().sweep(self._since_ms(), self._bounds.sweep_rows):
            total += count
        return total

    def _since_ms(self) -> int:
        """When the oldest response was made that is still kept."""
        return self._now_ms() - self.days * DAY_MS

    def _opened(self) -> Responses:
        if self._over:
            raise sqlite3.ProgrammingError("the store is closed")
        if self._file is None:
            self._file = self._open()
        return self._file

    def _open(self) -> Responses:
        path = self._folder.path / NAME
        try:
            return Responses(connect(path, "responses", "normal"))
        except sqlite3.DatabaseError as error:
            if not corrupt(error):
                raise
            aside = put_aside(path, self._now_ms())
            log.error("%s is damaged (%s); it is now %s", NAME, error, aside)
        return Responses(connect(path, "responses", "normal"))
