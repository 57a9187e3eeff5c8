"""Replies that are given again: a `Stock` on a file and a thread of its own.

Whatever is wrong with the disk makes misses and never errors: a file that is damaged or newer
than this code is put aside, one that does not answer within `wait_s` is left alone for a while,
what cannot be written is dropped and counted. What was kept first goes first.

File and thread begin with the first reply, or at the start where there is a file, so that
what has ended is deleted even if nothing is kept any more.

Not promised: that a reply survives a kill within the tenth of a second before its commit.
"""

import asyncio
import logging
import os
import sqlite3
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar

from octoplex.ledger.connect import connect, corrupt, put_aside
from octoplex.ledger.rows import Kept
from octoplex.ledger.stock import Room, Stock, unix_ms
from octoplex.ledger.stock_file import StockFile
from octoplex.wire.eager import in_task
from octoplex.wire.error import BadConfig, StoreFailed

log = logging.getLogger("octoplex.ledger")
T = TypeVar("T")
NAME = "cache.db"
FAILURES = (sqlite3.Error, OSError, zlib.error, BadConfig, TimeoutError)


class DiskStock(Stock):
    """Owned by the event loop, but for the methods of the thread's side."""

    place = "the file"

    def __init__(
        self, folder: Path, room: Room | None = None, now_ms: Callable[[], int] = unix_ms
    ) -> None:
        """Begin in a data folder that this process has locked."""
        super().__init__(room, now_ms)
        self._path = folder / NAME
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waiting: deque[Kept] = deque()
        self._put_bytes = 0  # counted by the loop
        self._taken_bytes = 0  # counted by the thread
        self._told = False
        """The thread has been told that rows wait."""
        self._rest_until_at = self._sweep_at = 0.0
        self._file: StockFile | None = None
        self._thread: threading.Thread | None = None
        if self._path.exists():
            self._start()

    # The loop's side.

    async def find(self, key: bytes, patient: bool = False) -> Kept | None:
        """See `Stock`; the file is never waited for longer than `wait_s`."""
        row = self.near(key)
        if row is not None or not self._may_have(key):
            return row
        await in_task()
        purges = self.purges
        try:
            async with asyncio.timeout(self.room.wait_s):
                row = await self._ask(lambda file: file.find(key))
        except FAILURES as error:
            if isinstance(error, TimeoutError):
                self._rest_until_at = time.monotonic() + self.room.rest_s
            row = None
        later = self.near(key)  # which has come while the file was asked
        if later is not None or row is None or row.ends_at_ms <= self.now_ms():
            return later
        if purges != self.purges:
            return None
        self._remember(row)
        return row

    async def vectors(self, group: bytes, most: int) -> list[tuple[bytes, bytes]] | None:
        """(key, vector) of the newest of a group in the file; None when it does not say in time."""
        if self._thread is None:
            return []
        if time.monotonic() < self._rest_until_at:
            return None
        await in_task()
        try:
            async with asyncio.timeout(self.room.wait_s):
                return await self._ask(lambda file: file.vectors(group, most))
        except FAILURES as error:
            if isinstance(error, TimeoutError):
                self._rest_until_at = time.monotonic() + self.room.rest_s
            return None

    def _may_have(self, key: bytes) -> bool:
        """Whether the file is worth asking."""
        if self._thread is None or time.monotonic() < self._rest_until_at:
            return False
        return self._file is None or self._file.has(key)

    def keep(self, row: Kept) -> None:
        """Keep a reply in place of the one under its key."""
        if self._closed or row.size > self.room.row_bytes:
            return
        self._remember(row)
        if self._put_bytes - self._taken_bytes + row.size > self.room.queue_bytes:
            self._drop(1, f"{self.room.queue_bytes:,} bytes already wait to be written")
            return
        self._put_bytes += row.size
        self._waiting.append(row)
        if not self._told:
            self._told = True  # soon: several in one go cost the interpreter a fraction
            asyncio.get_running_loop().call_later(self.room.gather_s, self._jobs.put, self._write)
        if self._thread is None:
            self._start()

    async def purge(self, route: str | None = None) -> int:
        """Forget the replies of a route, or all; how many there were in the file.

        Raises:
            StoreFailed: the file could not be written; memory is empty all the same.
        """
        self.forget(route)
        if self._thread is None:
            return 0
        self._jobs.put(self._write)
        try:
            return await self._ask(lambda file: self._purge(file, route))
        except FAILURES as error:
            why = getattr(error, "strerror", None) or str(error)  # not the path
            raise StoreFailed(f"The cache's file cannot be written: {why}.") from error

    async def routes(self) -> list[tuple[str, int, int]]:
        """(route, entries, bytes) of the file, by name; nothing when it cannot be read."""
        if self._thread is None:
            return []
        self._jobs.put(self._write)
        with suppress(*FAILURES):
            return await self._ask(lambda file: file.routes())
        return []

    @property
    def beside(self) -> tuple[int, int]:
        """Entries and bytes of the file."""
        file = self._file
        return (file.entries, file.size) if file is not None else (0, 0)

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits, then let go of the file."""
        self._closed = True
        if self._thread is not None:
            self._jobs.put(self._write)
            self._jobs.put(None)
            self._thread.join(timeout_s)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="octoplex-cache", daemon=True)
        self._thread.start()

    async def _ask(self, work: Callable[[StockFile], T]) -> T:
        """Have the thread do it after what it has been told before."""
        if self._closed:
            raise OSError("the cache is closed")
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._with_file(work))
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                    future.set_exception(error)

        self._jobs.put(run)
        return await asyncio.wrap_future(future)

    # The thread's side.

    def _run(self) -> None:
        while True:
            with suppress(Empty):
                job = self._jobs.get(timeout=max(0.0, self._sweep_at - time.monotonic()))
                if job is None:
                    break
                job()
            if time.monotonic() >= self._sweep_at:
                self._sweep()
        if self._file is not None:
            self._file.close()
        with suppress(Empty):  # nobody may wait for a thread that has ended
            while late := self._jobs.get_nowait():
                late()

    def _with_file(self, work: Callable[[StockFile], T]) -> T:
        """Work on the file; one that turns out to be damaged is put aside."""
        try:
            return work(self._opened())
        except sqlite3.Error as error:
            if corrupt(error):
                self._put_aside(error)
            raise

    def _opened(self) -> StockFile:
        if self._file is None:
            try:
                self._file = StockFile(connect(self._path, "cache", "normal"))
            except (sqlite3.DatabaseError, BadConfig) as error:
                if not (isinstance(error, BadConfig) or corrupt(error)):
                    raise
                self._put_aside(error)
                self._file = StockFile(connect(self._path, "cache", "normal"))
        return self._file

    def _put_aside(self, error: Exception) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        aside = put_aside(self._path, self.now_ms())
        log.error("%s cannot be used (%s); it is now %s", NAME, error, aside)

    def _write(self) -> None:
        """Write all that waits, a few at a time."""
        self._told = False
        while self._waiting:
            rows = [
                self._waiting.popleft() for _ in range(min(len(self._waiting), self.room.step_rows))
            ]
            try:
                self._check_room()
                self._with_file(lambda file: file.write(rows, self.room.disk_bytes))  # noqa: B023
                self._failing = False
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live on
                self._drop(len(rows), str(error))
            finally:
                self._taken_bytes += sum(row.size for row in rows)

    def _check_room(self) -> None:
        place = os.statvfs(self._path.parent)
        if place.f_bavail * place.f_frsize < self.room.spare_bytes:
            raise OSError(f"less than {self.room.spare_bytes:,} bytes are free on the disk")

    def _purge(self, file: StockFile, route: str | None) -> int:
        total = 0
        while count := file.purge(route, self.room.step_rows):
            total += count
        file.fold()
        return total

    def _sweep(self) -> None:
        """Delete a few whose time has ended; soon again if there are more."""
        most, count = self.room.step_rows, 0
        try:
            count = self._with_file(lambda file: file.sweep(self.now_ms(), most))
            if 0 < count < most:
                self._with_file(StockFile.fold)
        except Exception as error:  # noqa: BLE001 - as above
            log.error("old replies cannot be deleted now: %s", error)
        self._sweep_at = time.monotonic() + (0.01 if count >= most else self.room.sweep_s)
