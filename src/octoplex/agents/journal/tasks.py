"""Tasks: handed in, run, watched, told, cancelled and taken up again.

    tasks = await Tasks.open(data / "tasks.db", work, Rules())
    await tasks.submit("task-1", Task("..."), key_id, tenant)
    while events := await tasks.changed("task-1", after, 15.0): ...
    await tasks.close()

Every process that opens them runs tasks, so many at once, and takes over those of processes that
died. `work` runs in the loop that opened them; the database is asked from threads.

    queued -> running -> done | failed | cancelled -> resumed -> running ...

What holds when a worker dies: docs/guides/agents.md.
"""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from octoplex.agents.journal import folders, watch
from octoplex.agents.journal.cabinet import Cabinet
from octoplex.agents.journal.engine import Lost
from octoplex.agents.journal.life import Life
from octoplex.agents.journal.reading import Reading, listed, row_of
from octoplex.agents.journal.records import (
    Entry,
    Order,
    Past,
    Rules,
    TaskRow,
    read,
    status_of,
)
from octoplex.agents.journal.watch import Watch
from octoplex.agents.task import Event, Journal, Task
from octoplex.ledger.postgres.database import Database
from octoplex.wire.error import GatewayError, InvalidCall, NotFound, StoreFailed

log = logging.getLogger("octoplex.agents")
Work = Callable[[TaskRow, Journal], Awaitable[None]]
"""Runs a task to its end, which it tells; what it raises is why the task failed. When it is
cancelled, somebody else goes on."""
THREADS = 4
ELSEWHERE_S = 0.5
"""How often a task that runs in another process is looked at, while somebody waits."""
MOST_DEATHS = 5
"""So often is a task taken up at the same place."""
DRAIN_S = 10.0
SOON_S = 0.02
ANSWER_S = 10.0
"""So long the database is waited for, where somebody waits for what it says."""
SWEEP_S = 3600.0


class Tasks:
    """Open from `open` to `close`; one of a process. Raises StoreFailed everywhere: its database
    cannot be asked."""

    def __init__(self, cabinet: Cabinet, work: Work, rules: Rules) -> None:
        self._cabinet, self._work, self._rules = cabinet, work, rules
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._pool = ThreadPoolExecutor(THREADS, "octoplex-tasks")
        self._places = asyncio.Semaphore(rules.at_once)
        self._lives: dict[str, Life] = {}
        self._arrivals = asyncio.Event()
        """Replaced by another whenever it is set: a task runs here that did not."""
        self._here: set[str] = set()
        """Tasks of this process, those among them that only begin."""
        self._halt = threading.Event()
        self._watch = Watch(cabinet, self._now, self._soon, rules)
        self._sweeping: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, where: Path | Database, work: Work, rules: Rules | None = None) -> "Tasks":
        """Open the database, make it where there is none, and go on with what is in it.

        Raises:
            BadConfig: the extra `agents` is not installed.
            StoreFailed: it cannot be opened.
        """
        tasks = cls(await asyncio.to_thread(Cabinet, where), work, rules or Rules())
        try:
            await tasks._done(tasks._cabinet.launch, tasks._live, tasks._rules)
        except BaseException:
            await tasks._done(tasks._cabinet.stop)
            await tasks._done(tasks._cabinet.close)
            tasks._pool.shutdown(wait=False)
            raise
        tasks._watch.start()
        tasks._sweeping = tasks._loop.create_task(tasks._sweep())
        return tasks

    async def close(self) -> None:
        """End all work here; others, or the next process, go on with it."""
        self._halt.set()
        if self._sweeping is not None:
            self._sweeping.cancel()
        lives = list(self._lives.values())
        for life in lives:
            life.lose()
        if courses := [life.course for life in lives if life.course is not None]:
            await asyncio.wait(courses, timeout=DRAIN_S)
        await self._done(self._watch.stop)
        await self._done(self._cabinet.stop)
        await self._done(self._cabinet.close)
        self._pool.shutdown(wait=False)

    # ── what others ask ──

    async def submit(self, task_id: str, task: Task, key_id: str = "", tenant: str = "") -> TaskRow:
        """Hand a task in. It runs at once where this process has room, else where another has."""
        if not task_id or "/" in task_id:
            raise ValueError(f"{task_id!r} is no id of a task")
        order = Order(task, key_id, tenant)
        if len(self._here) >= self._rules.at_once and self._rules.takes_up:
            await self._do(self._cabinet.enqueue, task_id, order)
            return await self._found(task_id)
        self._here.add(task_id)
        try:
            await self._do(self._cabinet.start, task_id, order)
        except BaseException:
            self._here.discard(task_id)
            raise
        return await self._found(task_id)

    async def row(self, task_id: str) -> TaskRow | None:
        """A task, or that there is none."""
        row = await self._do(self._cabinet.row, task_id)
        return None if row is None else row_of(row)

    async def rows(
        self,
        limit: int = 20,
        before: str = "",
        key_id: str | None = None,
        sees: Callable[[TaskRow], bool] = lambda _: True,
    ) -> list[TaskRow]:
        """Tasks, newest first: those handed in before one, of a key, that may be seen."""
        found: list[TaskRow] = await self._do(listed, self._cabinet, limit, before, key_id, sees)
        return found

    async def events(self, task_id: str, after: int = 0) -> list[Event]:
        """What happened, from the event after that number on."""
        return await self.changed(task_id, after, 0.0)

    async def changed(self, task_id: str, after: int, timeout_s: float) -> list[Event]:
        """Wait until there are events after that number, at most so long; [] where none came."""
        until_at = self._loop.time() + timeout_s
        reading = Reading(self._cabinet, task_id)
        while True:
            life = self._life(task_id)
            arrivals = self._arrivals
            events = await self._do(reading.events) if life is None else life.past.events
            left_s = until_at - self._loop.time()
            if events[after:] or left_s <= 0:
                return events[after:]
            news = arrivals if life is None else life.news
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, ELSEWHERE_S)):
                    await news.wait()

    async def tell(self, task_id: str, topic: str, value: Any) -> Any:
        """Say something to a task; what holds on this topic is what was said first.

        Raises:
            NotFound: there is no such task.
        """
        await self._found(task_id)
        value = await self._do(self._cabinet.say, task_id, topic, value)
        if (life := self._lives.get(task_id)) is not None:
            life.hear(topic, value)
        return value

    async def cancel(self, task_id: str, value: Any = None) -> None:
        """Let a task end: `told("cancel")` gives this value. One that is queued ends at once.

        Raises:
            NotFound: there is no such task.
        """
        row = await self._found(task_id)
        await self.tell(task_id, "cancel", value)
        if row.status == "queued":
            await self._do(self._cabinet.cancel, task_id)

    async def resume(self, task_id: str) -> None:
        """Let a task go on that was cancelled or failed; it is as it was but for "cancel".

        Raises:
            NotFound: there is no such task.
            InvalidCall: it has not ended, or it is done.
        """
        row = await self.settled(task_id)
        told = status_of(await self.events(task_id))
        is_alive = row.status == "running" and told is None and await self._is_alive(task_id)
        is_taken = row.status == "queued" and self._rules.takes_up
        if is_alive or is_taken or "done" in (row.status, told):
            status = told or row.status
            raise InvalidCall(f"The task {task_id!r} is {status}; there is nothing to resume.")
        await self._do(self._reopen, task_id)

    async def settled(self, task_id: str) -> TaskRow:
        """A task; one that has told its end once its row has it, too, if that comes to be soon.

        Raises:
            NotFound: there is no such task.
        """
        until_at = self._loop.time() + watch.SILENT_S
        while (row := await self._found(task_id)).status == "running":
            told = status_of(await self.events(task_id))
            if told is None or self._loop.time() >= until_at:
                break
            await asyncio.sleep(SOON_S)
        return row

    @property
    def living(self) -> list[str]:
        """The tasks that run here."""
        return list(self._lives)

    def _life(self, task_id: str) -> Life | None:
        """The life of a task here, if it is one that goes on. One that is lost may stay a while."""
        life = self._lives.get(task_id)
        return None if life is None or life.is_lost else life

    async def _is_alive(self, task_id: str) -> bool:
        """Whether who runs a task still beats."""
        until_at = self._loop.time() + watch.SILENT_S
        beats: set[object] = set()
        while self._life(task_id) is None and len(beats) < 2:
            if self._loop.time() >= until_at:
                return False
            beats.add(await self._do(self._cabinet.beat_of, task_id))
            await asyncio.sleep(ELSEWHERE_S)
        return True

    # ── in threads of the pool ──

    def _reopen(self, task_id: str) -> None:
        reading = Reading(self._cabinet, task_id)
        events = reading.events()
        if status_of(events) is not None:  # maybe its row does not have it yet
            self._cabinet.note(task_id, end=msgspec.to_builtins(events[-1]))
        self._cabinet.unsay(task_id, "cancel")
        if reading.state in ("SUCCESS", "ERROR"):
            self._cabinet.reopen(task_id, reading.steps)
        else:
            self._cabinet.resume(task_id)

    # ── a life, in a thread of DBOS's ──

    def _live(self, order: dict[str, Any]) -> str:
        """The workflow. What it returns is how the task ended."""
        task_id = self._cabinet.task
        self._end_other(task_id)
        self._here.add(task_id)
        over, life = threading.Event(), None
        try:
            life = self._taken_up(task_id, over)
            if life.status is not None:  # it was cut off between its last event and this
                return life.status
            if self._halt.is_set():
                raise Lost
            self._lives[task_id] = life
            self._soon(self._begin, life)
            life.serve(self._write)
            if not life.is_whole:
                raise Lost
            return life.status or "failed"
        finally:
            if self._lives.get(task_id) is life:
                self._lives.pop(task_id, None)
            self._here.discard(task_id)
            over.set()

    def _write(self, entries: list[Entry]) -> None:
        self._cabinet.write(entries, self._halt)

    def _end_other(self, task_id: str) -> None:
        """An earlier life that does not know yet that it is lost."""
        if (other := self._lives.get(task_id)) is not None:
            self._soon(other.lose)
            other.over.wait()

    def _taken_up(self, task_id: str, over: threading.Event) -> Life:
        """What is known of a task, and that it is this life's now."""
        reading = Reading(self._cabinet, task_id)
        try:
            if (row := self._cabinet.row(task_id)) is None:
                raise Lost
            past, given = reading.read(row), row_of(row)
        except StoreFailed as failed:
            if "damaged" in failed.facts:
                raise  # which is how it ends
            log.error("task %s cannot be read: %s", task_id, failed)
            raise Lost from None
        self._cabinet.pass_over(reading.steps)
        if news := _news(row, past, is_first=not reading.steps):
            self._write(news)
            for entry in news:
                past.add(entry)
        return Life(given, past, self._loop, self._watch.wake, over)

    # ── in the loop ──

    def _begin(self, life: Life) -> None:
        life.course = self._loop.create_task(self._run(life))
        life.course.add_done_callback(lambda _: life.end())  # even if it never came to run
        arrivals, self._arrivals = self._arrivals, asyncio.Event()
        arrivals.set()
        if life.is_lost or self._halt.is_set():
            life.lose()

    async def _run(self, life: Life) -> None:
        async with self._places:
            await self._worked(life)
        life.is_whole = True

    async def _worked(self, life: Life) -> None:
        if life.past.deaths > MOST_DEATHS:
            why = f"{life.past.deaths} times in a row it was cut off at the same place"
            await life.tell("task.failed", why=f"The task was given up: {why}.")
        why = "Its work ended and did not say how."
        if life.status is None:
            try:
                await self._work(life.row, life)
            except GatewayError as failed:
                why = str(failed)
                log.warning("task %s: %s", life.row.id, failed)
            except Exception as failed:
                why = f"{type(failed).__name__}: {failed}"
                log.exception("task %s", life.row.id)
        if life.status is None:
            await life.tell("task.failed", why=why)

    async def _sweep(self) -> None:
        """Now and then forget tasks that ended long ago. Not by the watch: it may take a while."""
        while True:
            try:
                while await self._done(self._swept) and not self._halt.is_set():
                    pass
            except StoreFailed as failed:
                log.warning("old tasks are removed later: %s", failed)
            except Exception:
                log.exception("old tasks are removed later")
            await asyncio.sleep(SWEEP_S)

    def _swept(self) -> int:
        days, root = self._rules.keep_days, self._rules.folders
        if root is not None:  # first: what has no row any more stays for as long again
            folders.sweep(root, days, partial(self._cabinet.staying, keep_days=days))
        return self._cabinet.sweep(days)

    def _now(self) -> tuple[dict[str, Life], set[str]]:
        """For the watch: what lives here, and what will. In this order: nothing is in neither."""
        here = set(self._here)
        return dict(self._lives), here

    def _soon(self, act: Callable[..., object], *args: Any) -> None:
        """Do it in the loop; without what DBOS lays into the context of its threads."""
        self._loop.call_soon_threadsafe(act, *args, context=self._context)

    async def _do(self, act: Callable[..., Any], *args: Any) -> Any:
        asked = self._done(act, *args)
        try:
            await asyncio.wait((asked,), timeout=ANSWER_S)  # there may be no task to time out in
            if asked.done():
                return asked.result()
        finally:
            asked.cancel()
        raise StoreFailed(
            f"The database of tasks has not answered for {ANSWER_S:g} s; what it was asked to do "
            "may still be done."
        )

    def _done(self, act: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        return self._loop.run_in_executor(self._pool, partial(act, *args))

    async def _found(self, task_id: str) -> TaskRow:
        if (row := await self.row(task_id)) is None:
            raise NotFound(f"There is no task {task_id!r}.")
        return row


def _news(row: Any, past: Past, *, is_first: bool) -> list[Entry]:
    """What a life writes before its work begins: so it is certain that the task is its own."""
    end = (row.attributes or {}).get("end")
    last = read(end, Event) if end else None
    news = []
    if last is not None and last.number == len(past.events) + 1:  # nobody could write it down
        news.append(last)
    number = len(past.events) + len(news)
    if status_of(past.events) is not None and (last is None or last.number != number):
        return []  # it has ended, and nobody wants it to go on
    if is_first and not news:
        return [Entry("life", begun=True)]
    return [
        *(Entry(event=event) for event in news),
        Entry(event=Event(number + 1, "task.resumed", int(time.time() * 1000))),
    ]
