"""Runs the batches that are open: so many lines at once, each asked as its caller would.

    async with Runner(archive, answer, rules) as runner:

Each batch has a task that reads its lines and a task per line in flight; all of them share
`rules.at_once` places, which are taken in turn, so that a small batch need not wait for a
large one. A line that is to be asked later (its key's rate limit, a provider that is busy)
gives its place back while it waits.

A line has ended when its result is in the batch's file. So what a kill interrupts is asked
again and nothing else, and no result comes twice. The end of the window, a cancellation and
a stop of the server all let lines in flight finish; only the last has a limit, after which
they are cancelled and asked again by the next server.

Not promised: the order of results.
"""

import asyncio
import io
import logging
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec import Struct, field

from octoplex.jobs.forwarding import Forwarding
from octoplex.jobs.lines import Asked, Replied, Sheet, check, sheet_of
from octoplex.ledger.archive import Archive
from octoplex.ledger.batch import Batch, Status
from octoplex.wire.error import StoreFailed

log = logging.getLogger("octoplex.jobs")
Answer = Callable[[Batch, Asked], Awaitable[Replied]]
"""Asks one line as the caller of its batch. Failures of any kind are replies, too."""
READ_BYTES = 1_000_000
BATCHES_AT_ONCE, MOST_BYTES = 16, 16_000_000
"""How many batches of one key are asked here at once, and what the lines of one may have in
memory, but for a single one: so neither files nor memory run out, however many are made."""
BUSY_TRIES = 5
"""How often a provider that is busy is asked for one line; routing tries for itself, too."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
DISK_WAIT_S = 5.0
SWEEP_S = 600.0


class Rules(Struct, frozen=True, kw_only=True):
    """What the configuration in force says of batches."""

    at_once: int
    longest_line: int
    keep_days: int


class Run(Struct, eq=False):
    """A batch that is being run."""

    batch: Batch
    sheet: Sheet
    room: asyncio.Semaphore
    """Places for lines of this batch, those that wait among them."""
    halt: asyncio.Event = field(default_factory=asyncio.Event)
    """No further line is to be asked."""
    lines: set[asyncio.Task[None]] = field(default_factory=set)
    bytes: int = 0
    """Of the lines that are being asked, or wait to be."""


class Runner:
    """Open while the server serves."""

    def __init__(
        self,
        archive: Archive,
        answer: Answer,
        rules: Callable[[], Rules],
        forwarding: Forwarding,
    ) -> None:
        self._archive, self._answer, self._rules = archive, answer, rules
        self._forwarding = forwarding
        self._at_once = rules().at_once
        self._places = asyncio.Semaphore(self._at_once)
        self._runs: dict[str, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def __aenter__(self) -> "Runner":
        self._own(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        lines = [task for run in self._runs.values() for task in run.lines]
        for task in lines:
            task.cancel("stopped")
        await asyncio.gather(*lines, return_exceptions=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        """Begin no further line."""
        self._stopping = True
        for run in self._runs.values():
            run.halt.set()

    @property
    def busy(self) -> bool:
        """Whether a line is being answered."""
        return any(run.lines for run in self._runs.values())

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(_ended, self._tasks))

    async def _watch(self) -> None:
        """Take up what is open, tell what is cancelled, and sweep now and then."""
        archive, loop = self._archive, asyncio.get_running_loop()
        sweep_at = 0.0
        while not self._stopping:
            archive.changed.clear()
            try:
                await self._forwarding.end_revoked()
            except StoreFailed as error:
                log.error("batches of revoked keys are not cancelled yet: %s", error)
                sweep_at = min(sweep_at, loop.time() + DISK_WAIT_S)
            self._start()
            if loop.time() >= sweep_at:
                sweep_at = loop.time() + SWEEP_S
                try:
                    await archive.do(archive.sweep, self._rules().keep_days)
                except StoreFailed as error:
                    log.error("old files are not deleted: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(sweep_at):
                    await archive.changed.wait()

    def _start(self) -> None:
        """Start what has its turn, and tell what is cancelled."""
        here = (run.batch for run in self._runs.values() if run.batch.remote is None)
        running, now = Counter(batch.key_id for batch in here), self._archive.now()
        for batch in list(self._archive.open.values()):
            run, cancelled = self._runs.get(batch.id), batch.status == "cancelling"
            ends = cancelled or batch.remote is not None or now >= batch.expires_at
            if run is None and (ends or running[batch.key_id] < BATCHES_AT_ONCE):
                running[batch.key_id] += 1
                sheet, room = sheet_of(batch.face), asyncio.Semaphore(self._at_once)
                run = self._runs[batch.id] = Run(batch, sheet, room)
                self._own(self._run(run))
            if run is not None and cancelled:
                run.halt.set()

    async def _run(self, run: Run) -> None:
        """See a batch to its end, or to that of the server."""
        batch, archive = run.batch, self._archive
        while not batch.over and not self._stopping:
            try:
                if batch.status == "validating":
                    await self._check(batch, run.sheet)
                if batch.remote is not None and not batch.over:
                    await self._follow(run)
                elif not batch.over:
                    await self._ask_lines(run)
            except (StoreFailed, OSError, sqlite3.Error) as error:
                log.error("batch %s waits: %s", batch.id, error)
                await asyncio.sleep(DISK_WAIT_S)
        if batch.over:
            self._forwarding.done(batch)
            archive.open.pop(batch.id, None)
            del self._runs[batch.id]
            archive.changed.set()

    async def _follow(self, run: Run) -> None:
        """Wait for the provider that runs it."""
        became = await self._forwarding.follow(run.batch, run.sheet, run.halt)
        if became == "ended" or became == "expired":
            await self._close(run, became == "expired")

    async def _check(self, batch: Batch, sheet: Sheet) -> None:
        """Look whether every line can be asked."""
        archive = self._archive
        if not batch.total:
            path, longest = archive.part(batch, "in"), self._rules().longest_line
            # Not on the archive's thread: a large file takes seconds.
            checked = await asyncio.to_thread(check, path, batch.endpoint, longest)
            batch.total, batch.errors = checked.total, checked.complaints
        if batch.errors:
            await archive.do(archive.finish, batch, "failed")
        elif batch.status == "validating":
            batch.turn("in_progress", archive.now())
            await self._forwarding.offer(batch, sheet)  # it may be cancelled meanwhile
            await archive.do(archive.save, batch)
            archive.changed.set()  # handed over, it leaves its turn to another

    # -- lines ------------------------------------------------------------------------------

    async def _ask_lines(self, run: Run) -> None:
        """Ask every line that has no result; then write down what became of the rest."""
        batch, archive = run.batch, self._archive
        done = await archive.do(archive.recover, batch)
        with await archive.do(archive.part(batch, "in").open, "rb") as file:
            while not self._over(run) and (found := await archive.do(_some, file, run.sheet)):
                for asked in found:
                    if asked.custom_id not in done:
                        await self._begin(run, asked)
        while run.lines:
            await asyncio.wait(run.lines)
        if not self._stopping:
            await self._close(run, archive.now() >= batch.expires_at)

    async def _begin(self, run: Run, asked: Asked) -> None:
        """Ask a line as soon as there is a place for it."""
        await run.room.acquire()
        size = len(memoryview(asked.body))
        while run.lines and run.bytes + size > MOST_BYTES:
            await asyncio.wait(run.lines, return_when=asyncio.FIRST_COMPLETED)
        if self._over(run):
            run.room.release()
            return
        run.bytes += size
        task = asyncio.get_running_loop().create_task(self._line(run, asked))
        run.lines.add(task)
        task.add_done_callback(partial(_ended, run.lines))
        task.add_done_callback(lambda _: _left(run, size))

    async def _line(self, run: Run, asked: Asked) -> None:
        """Ask one line until there is an answer, and keep that."""
        tries, wait_s = 0, 0.0
        while not self._over(run):
            async with self._places:
                if self._over(run):
                    return
                reply = await self._answer(run.batch, asked)
                again_s = reply.again_s
                tries += reply.busy
                if again_s is None or tries >= BUSY_TRIES:
                    line = run.sheet.answered(asked, reply)
                    await self._archive.put_down(run.batch, line.part, line.data)
                    run.batch.count(line.count)
                    return
            wait_s = min(max(again_s, wait_s * 2 if reply.busy else 0.0), LONGEST_WAIT_S)
            await self._pause(run, wait_s or FIRST_WAIT_S)

    async def _pause(self, run: Run, wait_s: float) -> None:
        """Wait, but not beyond the end of the batch."""
        left_s = max(0.0, run.batch.expires_at - self._archive.now())
        with suppress(TimeoutError):
            async with asyncio.timeout(min(wait_s, left_s)):
                await run.halt.wait()

    def _over(self, run: Run) -> bool:
        """Whether no further line of it is to be asked."""
        return run.halt.is_set() or self._archive.now() >= run.batch.expires_at

    async def _close(self, run: Run, expired: bool) -> None:
        """All lines have ended, or the batch has: say so of those that were never asked."""
        batch, archive = run.batch, self._archive
        cancelled = batch.status == "cancelling"
        done = await archive.do(archive.recover, batch)
        missing = len(done) < batch.total
        if missing and batch.remote is None and not cancelled and not expired:
            raise StoreFailed("some of its results are missing")
        expired = not cancelled and (missing or (expired and batch.remote is not None))
        if not cancelled and not expired:
            batch.turn("finalizing", archive.now())
        await archive.do(self._write_left, run, done, cancelled)
        status: Status = "cancelled" if cancelled else "expired" if expired else "completed"
        await archive.do(archive.finish, batch, status)

    def _write_left(self, run: Run, done: set[str], cancelled: bool) -> None:
        """On the archive's thread: the results of the lines that were never asked."""
        batch, archive = run.batch, self._archive
        with archive.part(batch, "in").open("rb") as file:
            while found := _some(file, run.sheet):
                for asked in found:
                    if asked.custom_id in done:
                        continue
                    line = run.sheet.left(asked, "canceled" if cancelled else "expired")
                    if line is not None:
                        archive.append(batch, line.part, line.data)
                        batch.count(line.count)


def _some(file: io.BufferedReader, sheet: Sheet) -> list[Asked]:
    """The next lines of an input; none at its end."""
    found: list[Asked] = []
    size = 0
    while size < READ_BYTES and (line := file.readline()):
        size += len(line)
        if line.strip():
            found.append(sheet.read(line))
    return found or (_some(file, sheet) if size else [])


def _left(run: Run, size: int) -> None:
    run.bytes -= size
    run.room.release()


def _ended(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a batch cannot go on", exc_info=error)
