"""A gateway's worker, without the gateway: a process that runs tasks, and that may be killed.

It is forked from a server that has imported everything, so that a process costs little.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from octoplex.agents.journal import Rules, TaskRow, Tasks, cabinet, tasks, watch
from octoplex.agents.journal.engine import modules
from octoplex.agents.journal.records import Entry
from octoplex.agents.task import Journal, Task
from octoplex.ledger.postgres.database import Database

modules()  # before the server forks
WRITES = 7
"""Of one task: its life; the plan; that a begins; what it gave; that b begins; what it gave; the
end. Events go with what is kept next."""
STOPS = [
    *(f"{when}-{number}" for number in range(1, WRITES + 1) for when in ("before", "after")),
    *(f"inside-{name}" for name in ("plan", "a", "b")),
]
"""Where a task may stand still: around each write, and where something is done."""


def looped(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs in a loop of its own."""

    @wraps(test)
    def run(**given: Any) -> None:
        asyncio.run(test(**given))

    return run


def hurry(change: Callable[[object, str, object], None] = setattr) -> None:
    """In a tenth of the time."""
    for name, seconds in (("HEAR_S", 0.05), ("BEAT_S", 0.1), ("SILENT_S", 0.6)):
        change(watch, name, seconds)
    change(cabinet, "QUEUE_S", 0.05)
    change(tasks, "ELSEWHERE_S", 0.05)


class Stage:
    """Where tasks of this process stand still; none, unless it is told."""

    def __init__(self) -> None:
        self.stops: dict[str, str] = {}
        self.writes: Counter[str] = Counter()
        self._still, self._lock = 0, threading.Lock()

    def stand(self) -> None:
        """Stand still; when all do, the process is killed."""
        with self._lock:
            self._still += 1
            if self._still == len(self.stops):
                os.kill(os.getpid(), signal.SIGKILL)

    async def act(self, row: TaskRow, name: str) -> str:
        """What has an effect: a line."""
        line = f"{row.id} {name}\n".encode()
        file = os.open(row.task.context, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line)
        os.close(file)
        if self.stops.get(row.id) == f"inside-{name}":
            self.stand()
            await asyncio.Event().wait()
        return f"did {name}"

    def write(
        self, own: cabinet.Cabinet, write: Any, entries: list[Entry], halt: threading.Event
    ) -> None:
        """As a cabinet writes, unless the task is to stand still here."""
        stop = self.stops.get(own.task)
        self.writes[own.task] += 1
        number = self.writes[own.task]
        if stop == f"before-{number}":
            self.stand()
            threading.Event().wait()
        write(entries, halt)
        if stop == f"after-{number}":
            self.stand()
            threading.Event().wait()


async def work(stage: Stage, row: TaskRow, journal: Journal) -> None:
    """A plan and two steps. "wait": for a word; "slow": until it is cancelled."""
    await journal.tell("task.planning")
    await journal.once("plan", partial(stage.act, row, "plan"))
    for name in ("a", "b"):
        if name == "b" and row.task.goal == "wait":
            await journal.tell("approval.asked", name, topic="approval/b")
            word = await journal.told("approval/b")
            await journal.tell("approval.given", name, word=word)

        async def do(name: str = name) -> str:
            if await journal.begin(name):
                return f"cut off in {name}"
            return await stage.act(row, name)

        await journal.tell("step.started", name)
        await journal.once(f"step/{name}", do)
        await journal.tell("step.done", name)
        if row.task.goal == "slow":
            why = await journal.told("cancel")
            await journal.tell("task.cancelled", why=why)
            return
    await journal.tell("task.done")


def serve(where: Path | tuple[str, str], pipe: Connection, stops: bool) -> None:
    """Run tasks; hand in what comes through the pipe as (id, task); None ends it."""
    hurry()
    try:
        asyncio.run(_serve(place(where), pipe, stops))
    except Exception:  # who waits for a word sees why there is none
        pipe.send(traceback.format_exc())
        raise


def place(where: Path | tuple[str, str]) -> Path | Database:
    """A file, or a URL and its password."""
    return where if isinstance(where, Path) else Database(where[0], lambda: where[1])


async def _serve(where: Path | Database, pipe: Connection, stops: bool) -> None:
    stage = Stage()
    opened = await Tasks.open(where, partial(work, stage), Rules(at_once=40))
    if stops:
        own = opened._cabinet
        own.write = partial(stage.write, own, own.write)  # type: ignore[method-assign]
    pipe.send("open")
    while (given := await asyncio.to_thread(pipe.recv)) is not None:
        stage.stops = {task_id: task.metadata.get("stop", "") for task_id, task in given}
        for task_id, task in given:
            await opened.submit(task_id, task)
        pipe.send("taken")
    await opened.close()


class Worker:
    """One such process."""

    def __init__(self, where: Path | tuple[str, str], *, stops: bool = False) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.pipe, there = context.Pipe()
        self.process: ForkServerProcess = context.Process(target=serve, args=(where, there, stops))
        self.process.start()
        there.close()
        assert self.pipe.recv() == "open"

    def give(self, *given: tuple[str, Task]) -> None:
        """Hand tasks in."""
        self.pipe.send(given)

    def signal(self, number: signal.Signals) -> None:
        """To the process."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def close(self) -> None:
        """Let it end, if it has not."""
        if self.process.is_alive():
            self.pipe.send(None)
        self.process.join(20)
        self.process.kill()
        self.pipe.close()
