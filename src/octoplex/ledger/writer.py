"""The one thread that writes: appends on the loop in front, commits behind.

The event loop appends to a list and goes on; it takes no lock, and wakes the thread
only when that is idle (`_idle`, checked after the append; the thread sets it, then
looks again, so nothing is missed). Awake, the thread gathers for 12 ms less twice the
time of the last commit, and writes all that has come in one transaction: a row that
just misses a batch waits for that commit, the pause and its own commit, 12 ms in all,
which leaves 8 for a busy machine.
Above `full_rows` it does not pause at all. A commit costs 160 us of CPU, half of it for
the fsync, so that gathering longer is what makes a request cheap: 1.3 us at 10,000 a second.

Money is never dropped. While it cannot be written (`refusal`), `reserve` refuses paid
calls, what is already owed waits in memory, and the thread tries again five times a
second: when the disk has room again, calls go through again (F52). While another process
has the file locked nothing is refused that the slate can hold (F53). A failed fsync is
final (F55): the kernel may have thrown the pages away, and a second fsync that
succeeds would prove nothing; the files stay as they lie until the next start, which settles
what the slate has noted. Records may be dropped above their bound, counted.

Measured with the SQLite store, CPU in this thread per request (an attempt and a
record): 6.4 to 7.6 us at 10,000 a second beside a busy loop, 5 alone with warm caches
(`python -m bench.ledger`; `bench/notes.md`). `reserve` costs the loop 0.09 us.

Not promised: that a row is on disk when `reserve` or `settle` returns (`drain` waits); that
a kill loses no order is the matter of `slate.py`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from msgspec import Struct

from octoplex.ledger.connect import corrupt, unsynced
from octoplex.ledger.rows import Condition, Order, Record, Settlement
from octoplex.wire.error import StoreFailed

T = TypeVar("T")
Money = Order | Settlement
log = logging.getLogger("octoplex.ledger")


class Sink(Protocol):
    """Where batches go. Called by the writer's thread only; each call is one transaction."""

    def money(self, rows: list[Money]) -> None:
        """Write all or raise."""
        ...

    def records(self, rows: list[Record]) -> None:
        """Write all or raise."""
        ...

    def rest(self) -> None:
        """Nothing is waiting: tidy up."""
        ...

    def close(self) -> None:
        """No more batches."""
        ...


class Tempo(Struct, frozen=True, kw_only=True):
    """When and how much to write."""

    within_s: float = 0.012
    """A row is on disk after this, as long as a commit takes at most half of it."""
    records_s: float = 0.05
    rest_s: float = 0.5
    retry_s: float = 0.2
    full_rows: int = 512
    """Enough for a batch: do not gather any longer."""
    batch_rows: int = 4096
    records_rows: int = 512
    """Records in one row of the file: readers decode whole rows, at 1 us a record."""
    money_bound: int = 200_000
    records_bound: int = 50_000
    locked_rows: int = 6_000
    """What may wait for a file that another process has locked: the slate holds as many orders."""


class Writer:
    """Owns the thread. `reserve`, `settle` and `record` belong to the event loop."""

    def __init__(
        self,
        sink: Sink,
        tempo: Tempo | None = None,
        note: Callable[[Order], None] | None = None,
    ) -> None:
        """`note` is told of every order at once, on the loop."""
        self._sink, self._tempo, self._note = sink, tempo or Tempo(), note
        self.refusal = ""
        self.dropped = 0
        self.heard: Callable[[Record], None] | None = None
        """Told each record, on the loop."""
        self._money: list[Money] = []
        self._records: list[Record] = []
        self._calls: deque[Callable[[], None]] = deque()
        self._owed: list[Money] = []
        self._unkept: list[Record] = []
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._idle = False
        self._final = self._failing = False
        self._stopping = False
        self._wrote_s = 0.0
        self._records_at = 0.0
        self._bound = self._tempo.money_bound
        self._thread = threading.Thread(target=self._run, name="octoplex-ledger", daemon=True)
        self._thread.start()

    # The loop's side.

    def reserve(self, order: Order) -> None:
        """Append a reservation.

        Raises:
            StoreFailed: a paid call while money cannot be written, or a full backlog.
        """
        money = self._money
        if (self.refusal and order.nano) or len(money) >= self._bound:
            raise self._refused()
        if self._note is not None:
            self._note(order)
        money.append(order)
        if self._idle:
            self._wake()

    def settle(self, settlement: Settlement) -> None:
        """Append a settlement; never refused."""
        self._money.append(settlement)
        if self._idle:
            self._wake()

    def record(self, record: Record) -> None:
        """Append a record, which can wait until the thread looks up by itself."""
        if self.heard is not None:
            self.heard(record)
        if len(self._records) >= self._tempo.records_bound:
            self.dropped += 1
            return
        self._records.append(record)

    def call(self, work: Callable[[], T]) -> "Future[T]":
        """Run `work` in the thread after everything appended so far was written (or failed)."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                future.set_exception(error)

        self._calls.append(run)
        self._wake()
        if not self._thread.is_alive():
            self._answer_late()
        return future

    def drain(self) -> "Future[bool]":
        """Done when all that was appended so far is on disk; False while that fails."""
        return self.call(lambda: not self._owed and not self._unkept)

    def condition(self) -> Condition:
        """How it is."""
        backlog = len(self._money) + len(self._owed)
        return Condition(refusal=self.refusal, backlog=backlog, records_dropped=self.dropped)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write what is waiting and end the thread; False when it could not all be written."""
        self._stopping = True
        self._bell.put(None)
        self._thread.join(timeout_s)
        return not (self._thread.is_alive() or self._money or self._owed)

    def _wake(self) -> None:
        self._idle = False
        self._bell.put(None)

    def _refused(self) -> StoreFailed:
        why = self.refusal or f"{self._bound:,} entries wait to be written"
        return StoreFailed(f"the ledger cannot take this call: {why}", retry_after_s=1.0)

    # The thread's side.

    def _run(self) -> None:
        while True:
            self._pause()
            stopping = self._stopping
            calls = [self._calls.popleft() for _ in range(len(self._calls))]
            urgent = stopping or bool(calls)
            written = self._write_money(len(self._money) if urgent else 1)
            if urgent or self._records_due():
                self._write_records(len(self._records) or 1)
            for run in calls:
                run()
            if stopping and (not written or not (self._money or self._records)):
                if not self._final:
                    self._sink.close()
                self._answer_late()
                return

    def _answer_late(self) -> None:
        """Nobody may wait for a thread that has ended: the closed files answer."""
        while self._calls:
            with suppress(IndexError):
                self._calls.popleft()()

    def _pause(self) -> None:
        """Sleep until there is something to do and, under load, a batch of it."""
        tempo = self._tempo
        if self._owed:
            self._listen(tempo.retry_s)
        elif self._money:
            if len(self._money) < tempo.full_rows:
                self._gather()
        else:
            self._sleep()

    def _sleep(self) -> None:
        self._idle = True
        if not (self._money or self._calls or self._stopping):
            records = bool(self._records or self._unkept)
            if not self._listen(self._tempo.records_s if records else self._tempo.rest_s):
                if not (records or self._final):
                    self._rest()
            elif not (self._calls or self._stopping):
                self._gather()
        self._idle = False

    def _rest(self) -> None:
        error = self._attempt(self._sink.rest)
        if error is not None and unsynced(error):
            self._failed(error)

    def _gather(self) -> None:
        """Let a batch come together: the last commit's time goes before it and after it."""
        self._listen(max(0.001, self._tempo.within_s - 2 * self._wrote_s))

    def _listen(self, timeout_s: float) -> bool:
        """Wait for the bell; False when it did not ring."""
        if self._calls or self._stopping:
            return True
        try:
            self._bell.get(timeout=timeout_s)
        except Empty:
            return False
        return True

    def _write_money(self, wanted: int) -> bool:
        """Write batches until `wanted` rows are on disk; False when that fails."""
        started_at = time.monotonic()
        while wanted > 0 and (self._owed or self._money):
            rows = self._owed or _take(self._money, self._tempo.batch_rows)
            self._owed = rows
            if self._final:
                return False
            if error := self._attempt(lambda: self._sink.money(self._owed)):
                self._failed(error)
                return False
            wanted -= len(rows)
            self._owed = []
            self.refusal = ""
            if self._failing:
                self._failing = False
                log.warning("the ledger can be written again")
        self._wrote_s = time.monotonic() - started_at
        return not self._owed

    def _records_due(self) -> bool:
        waiting = len(self._records)
        if not (waiting or self._unkept):
            return False
        now = time.monotonic()
        if waiting < self._tempo.full_rows and now < self._records_at:
            return False
        self._records_at = now + self._tempo.records_s
        return True

    def _write_records(self, wanted: int) -> None:
        while wanted > 0 and (self._unkept or self._records):
            rows = self._unkept or _take(self._records, self._tempo.records_rows)
            self._unkept = rows
            if self._attempt(lambda: self._sink.records(self._unkept)):
                return
            wanted -= len(rows)
            self._unkept = []

    def _attempt(self, work: Callable[[], None]) -> Exception | None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live on
            return error
        return None

    def _failed(self, error: Exception) -> None:
        """Say why, once; and refuse paid calls, unless somebody is only in front of us."""
        name = getattr(error, "sqlite_errorname", None) or ""
        if unsynced(error) or corrupt(error):
            self._final = True
            self.refusal = f"the disk failed ({name or error}); check it, then restart"
        elif self._can_wait(name):
            self.refusal = ""
        else:
            self.refusal = f"{error} (trying again; free space or fix the disk)"
        if not self._failing:
            self._failing = True
            log.error("the ledger cannot be written: %s", self.refusal or f"{error}; trying again")

    def _can_wait(self, name: str) -> bool:
        """Whether another process has the file locked, and the slate holds what waits for it."""
        waiting = len(self._money) + len(self._owed)
        locked = name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
        return locked and self._note is not None and waiting < self._tempo.locked_rows


def _take(queue: list[T], most: int) -> list[T]:
    """Take from the front of what another thread appends to: both steps are whole ones."""
    rows = queue[:most]
    del queue[: len(rows)]
    return rows
