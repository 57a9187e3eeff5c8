"""Workers are killed everywhere, and stand still; others go on. Real processes, both databases."""

import asyncio
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from octoplex.agents.journal import Rules, Tasks
from octoplex.agents.task import Event, Task
from tests.agents.journal.worker import STOPS, WRITES, Stage, Worker, hurry, looped, place, work

Where = Path | tuple[str, str]
SOON_S = 30.0


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch.setattr)


@contextmanager
def worker(where: Where, *, stops: bool = False) -> Iterator[Worker]:
    made = Worker(where, stops=stops)
    try:
        yield made
    finally:
        made.close()


@asynccontextmanager
async def opened(where: Where, **rules: Any) -> AsyncIterator[Tasks]:
    tasks = await Tasks.open(place(where), partial(work, Stage()), Rules(at_once=40, **rules))
    try:
        yield tasks
    finally:
        await tasks.close()


async def until(tasks: Tasks, task_id: str, kind: str) -> list[Event]:
    async with asyncio.timeout(SOON_S):
        events = await tasks.events(task_id)
        while kind not in [event.kind for event in events]:
            events += await tasks.changed(task_id, len(events), 1.0)
    return events


def effects(log: Path, task_id: str) -> Counter[str]:
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return Counter(name for owner, name in lines if owner == task_id)


@looped
async def test_killed_at_every_boundary_a_task_goes_on_elsewhere(
    where: Where, tmp_path: Path
) -> None:
    log = tmp_path / "effects"
    given = [(s, Task("steps", context=str(log), metadata={"stop": s})) for s in STOPS]
    async with opened(where) as tasks:
        with worker(where, stops=True) as other:
            other.give(*given)
            await asyncio.to_thread(other.process.join, SOON_S)
            assert other.process.exitcode == -signal.SIGKILL
            before = {stop: effects(log, stop) for stop, _ in given}
            for stop, _ in given:
                events = await until(tasks, stop, "task.done")
                check(stop, events, before[stop], effects(log, stop))


def check(stop: str, events: list[Event], before: Counter[str], after: Counter[str]) -> None:
    when, _, what = stop.partition("-")
    assert [event.number for event in events] == list(range(1, len(events) + 1)), stop
    kinds = Counter(event.kind for event in events)
    assert kinds["task.done"] == kinds["task.queued"] == 1, stop
    nothing_kept = stop == "before-1"
    all_kept = stop == f"after-{WRITES}"
    assert kinds["task.resumed"] == (0 if nothing_kept or all_kept else 1), stop
    # the plan may be made again, if it was cut off before it was kept: it leaves nothing
    assert after["plan"] == 1 + (stop in ("inside-plan", "before-2")), stop
    for name, marked, kept in (("a", 3, 4), ("b", 5, 6)):
        assert after[name] <= 1, f"{stop}: {name} was done again"
        cut = what == name or f"{when}-{what}" in (f"after-{marked}", f"before-{kept}")
        assert after[name] == (before[name] if cut else 1), stop


def freeze(other: Worker, where: Where) -> None:
    """Not in the middle of a write: on SQLite that would hold all others up."""
    while True:
        other.signal(signal.SIGSTOP)
        if not isinstance(where, Path):
            return
        with suppress(sqlite3.OperationalError), sqlite3.connect(where, timeout=0.01) as db:
            db.execute("begin immediate")
            return
        other.signal(signal.SIGCONT)


@looped
async def test_a_frozen_worker_that_comes_back_does_nothing_twice(
    where: Where, tmp_path: Path
) -> None:
    log = tmp_path / "effects"
    async with opened(where) as tasks:
        with worker(where) as other:
            other.give(*((name, Task("wait", context=str(log))) for name in ("early", "late")))
            assert other.pipe.recv() == "taken"
            for name in ("early", "late"):
                await until(tasks, name, "approval.asked")
            freeze(other, where)
            for name in ("early", "late"):
                await until(tasks, name, "task.resumed")
            await tasks.tell("early", "approval/b", "go")
            events = await until(tasks, "early", "task.done")
            other.signal(signal.SIGCONT)  # its steps have numbers that others have used
            assert await tasks.tell("late", "approval/b", "go") == "go"
            assert await tasks.tell("late", "approval/b", "no, stop") == "go"
            words = [e.body for e in await until(tasks, "late", "task.done") if e.body.get("word")]
            assert words == [{"word": "go"}]
            other.give(("new", Task("steps", context=str(log))))  # it goes on living
            assert other.pipe.recv() == "taken"
            await until(tasks, "new", "task.done")
        assert await tasks.events("early") == events
    for name in ("early", "late", "new"):
        assert effects(log, name) == Counter(plan=1, a=1, b=1), name


@looped
async def test_words_reach_a_task_in_another_process(where: Where, tmp_path: Path) -> None:
    log = tmp_path / "effects"
    async with opened(where) as tasks:
        with worker(where) as other:
            slow = Task("slow", context=str(log))
            other.give(("s", slow), ("w", Task("wait", context=str(log))))
            assert other.pipe.recv() == "taken"
            await until(tasks, "s", "step.done")
            await tasks.cancel("s", "enough")
            assert (await until(tasks, "s", "task.cancelled"))[-1].body == {"why": "enough"}
            first = await asyncio.gather(*(tasks.tell("w", "approval/b", n) for n in range(5)))
            assert len(set(first)) == 1
            events = await until(tasks, "w", "task.done")
            assert [e.body["word"] for e in events if e.kind == "approval.given"] == [first[0]]
            assert not tasks._lives  # nothing of it ran here


@looped
async def test_what_a_worker_leaves_goes_on_at_once(where: Where, tmp_path: Path) -> None:
    log = tmp_path / "effects"
    with worker(where) as other:
        other.give(("t", Task("wait", context=str(log))))
        assert other.pipe.recv() == "taken"
        async with opened(where, takes_up=False) as tasks:
            await until(tasks, "t", "approval.asked")
    async with opened(where) as tasks:  # it was closed, not killed
        await tasks.tell("t", "approval/b", 1)
        await until(tasks, "t", "task.done")
    assert effects(log, "t") == Counter(plan=1, a=1, b=1)
