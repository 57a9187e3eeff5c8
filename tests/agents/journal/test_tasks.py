"""Tasks in one process: their order, their journal, what is refused, what is forgotten."""

import asyncio
import base64
import logging
import os
import pickle
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from octoplex.agents.journal import Reader, Rules, TaskRow, Tasks, cabinet, folders, tasks
from octoplex.agents.task import Event, Journal, Task
from octoplex.wire.error import BadConfig, InvalidCall, NotFound, StoreFailed
from tests.agents.journal.worker import hurry, looped, place
from tests.ledger.conftest import fill_up
from tests.ledger.postgres import Server

SOON_S = 20.0
Work = Callable[[TaskRow, Journal], Awaitable[None]]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch.setattr)


@asynccontextmanager
async def opened(where: Any, work: Work, **rules: Any) -> AsyncIterator[Tasks]:
    made = await Tasks.open(where, work, Rules(**rules))
    try:
        yield made
    finally:
        await made.close()


async def until(made: Tasks, task_id: str, kind: str, times: int = 1) -> list[Event]:
    async with asyncio.timeout(SOON_S):
        events = await made.events(task_id)
        while sum(event.kind == kind for event in events) < times:
            events += await made.changed(task_id, len(events), 1.0)
    return events


def kinds(events: list[Event]) -> list[str]:
    return [event.kind.partition(".")[2] for event in events]


@looped
async def test_what_a_journal_keeps(tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    async def work(row: TaskRow, journal: Journal) -> None:
        told["loop"], told["thread"] = asyncio.get_running_loop(), threading.current_thread()
        for times in range(2):

            async def do(times: int = times) -> Any:
                return {"a": (1, "\udc80"), "times": times}

            told[f"once {times}"] = await journal.once("k", do)
            told[f"begin {times}"] = await journal.begin("b")
        await asyncio.gather(*(journal.once(f"p{n}", nothing) for n in range(50)))
        await journal.tell("step.progress", "s", text="half")
        told["events"], told["kept"] = list(journal.events), dict(journal.kept)
        with pytest.raises(TypeError):
            await journal.once("bad", what_is_no_json)
        await journal.tell("task.done")

    async with opened(tmp_path / "tasks.db", work) as made:
        task = Task("x", metadata={"a": "ü"})
        row = await made.submit("1", task, "key-1", "team")
        assert row == TaskRow(
            id="1", key_id="key-1", tenant="team", task=task,
            created_at_ms=row.created_at_ms, status=row.status,
        )  # fmt: skip
        events = await until(made, "1", "task.done")
        assert kinds(events) == ["queued", "progress", "done"]
        assert events[1].body == {"text": "half"}
        assert events[1].step == "s"
        assert told["events"] == events[:2]
        assert told["kept"] == {"k": told["once 0"]} | {f"p{n}": None for n in range(50)}
        assert told["loop"] is asyncio.get_running_loop()
        assert told["thread"] is threading.main_thread()
        assert told["once 0"] == told["once 1"] == {"a": [1, "?"], "times": 0}
        assert told["begin 0"] is told["begin 1"] is False


@looped
async def test_how_tasks_are_listed_and_how_they_fail(tmp_path: Path) -> None:
    async def work(row: TaskRow, journal: Journal) -> None:
        if row.task.goal == "break":
            raise ZeroDivisionError("nothing to divide")
        if row.task.goal == "refuse":
            raise NotFound("No such agent.")
        if row.task.goal == "end":
            await journal.tell("task.done")

    async with opened(tmp_path / "tasks.db", work) as made:
        await made.submit("end", Task("end"), "key-1", "team")
        events = await until(made, "end", "task.done")
        for goal, why in (
            ("break", "ZeroDivisionError: nothing to divide"),
            ("refuse", "No such agent."),
            ("silent", "Its work ended and did not say how."),
        ):
            await made.submit(goal, Task(goal), "key-2", "team")
            assert (await until(made, goal, "task.failed"))[-1].body == {"why": why}
        assert await made.row("none") is None
        assert await made.row("no\0ne") is await made.row("no\ud800ne") is None
        assert await made.events("none") == []
        with pytest.raises(NotFound):
            await made.tell("none", "topic", 1)
        with pytest.raises(NotFound):
            await made.rows(before="none")
        with pytest.raises(ValueError, match="a/b"):
            await made.submit("a/b", Task("x"))
        listed = [r.id for r in await made.rows()]  # within a second SQLite knows no order
        assert sorted(listed) == ["break", "end", "refuse", "silent"]
        assert [r.id for r in await made.rows(2)] == listed[:2]
        assert [r.id for r in await made.rows(2, before=listed[1])] == listed[2:]
        assert "end" not in [r.id for r in await made.rows(key_id="key-2")]
        assert len(await made.rows(sees=lambda row: row.tenant == "team")) == 4
        assert not await made.rows(sees=lambda row: row.tenant == "other")
    reader = await Reader.open(tmp_path / "tasks.db")
    assert sorted(r.status for r in await reader.rows()) == ["done"] + ["failed"] * 3
    assert await reader.events("end") == events
    await reader.close()
    nowhere = await Reader.open(tmp_path / "other.db")
    assert await nowhere.rows() == []
    assert await nowhere.row("end") is None
    assert not (tmp_path / "other.db").exists()
    assert (tmp_path / "tasks.db").stat().st_mode & 0o777 == 0o600


async def nothing() -> None:
    return None


async def what_is_no_json() -> object:
    return object()


@looped
async def test_the_order_of_tasks_and_their_ends(tmp_path: Path) -> None:
    order: list[str] = []
    go_on = asyncio.Event()

    async def work(row: TaskRow, journal: Journal) -> None:
        order.append(row.id)
        if row.task.goal == "fail" and "resumed" not in kinds(journal.events):
            await journal.tell("task.failed", why="no")
            return
        if row.task.goal == "wait":
            await go_on.wait()
        if row.task.goal == "hear":
            await journal.tell("task.cancelled", why=await journal.told("cancel"))
            return
        await journal.tell("task.done")

    async with opened(tmp_path / "tasks.db", work, at_once=1) as made:
        await made.submit("first", Task("wait"))
        for name in ("low", "critical", "medium", "never"):
            priority: Any = "low" if name == "never" else name
            await made.submit(name, Task("x", priority=priority))
        await made.cancel("never", "not needed")
        assert kinds(await made.events("never")) == ["queued", "cancelled"]
        go_on.set()
        for name in ("low", "critical", "medium"):
            await until(made, name, "task.done")
        assert order == ["first", "critical", "medium", "low"]

        await made.resume("never")
        assert kinds(await until(made, "never", "task.done")) == [
            "queued", "cancelled", "resumed", "done",
        ]  # fmt: skip
        await made.submit("f", Task("fail"))
        await settled(made, "f", "failed")
        await made.resume("f")
        assert kinds(await until(made, "f", "task.done")) == ["queued", "failed", "resumed", "done"]
        await made.submit("h", Task("hear"))
        for times in (1, 2):  # the word of a cancellation holds until the task is resumed
            await settled(made, "h", "running")
            await made.cancel("h", f"reason {times}")
            events = await until(made, "h", "task.cancelled", times)
            assert events[-1].body == {"why": f"reason {times}"}
            await settled(made, "h", "cancelled")
            if times == 1:
                await made.resume("h")
        await settled(made, "f", "done")
        with pytest.raises(InvalidCall, match="done"):
            await made.resume("f")


async def settled(made: Tasks, task_id: str, status: str) -> None:
    async with asyncio.timeout(SOON_S):
        while (row := await made.row(task_id)) is None or row.status != status:
            await made.changed("", 0, 0.01)


@looped
async def test_a_task_that_kills_its_process_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "MOST_DEATHS", 2)
    lives: list[str] = []

    async def work(row: TaskRow, journal: Journal) -> None:
        lives.append(row.id)
        raise asyncio.CancelledError  # as if its process were gone, but cheaper

    async with opened(tmp_path / "tasks.db", work) as made:
        await made.submit("t", Task("x"))
        last = (await until(made, "t", "task.failed"))[-1]
        assert "cut off at the same place" in last.body["why"]
        assert len(lives) == 3


@looped
async def test_old_tasks_are_forgotten_with_all_that_was_said(tmp_path: Path) -> None:
    async def work(row: TaskRow, journal: Journal) -> None:
        await journal.told("approval/s")
        await journal.tell("task.done")

    async with opened(tmp_path / "tasks.db", work, keep_days=1) as made:
        for name in ("old", "new"):
            await made.submit(name, Task("x"))
            await made.tell(name, "approval/s", True)
            await settled(made, name, "done")
        two_days_ago = f"completed_at = completed_at - {2 * 86_400_000}"
        with sqlite3.connect(tmp_path / "tasks.db") as db:
            db.execute(f"update workflow_status set {two_days_ago} where workflow_uuid = 'old'")
        assert made._cabinet.sweep(1) == 1
        assert [row.id for row in await made.rows()] == ["new"]
        with sqlite3.connect(tmp_path / "tasks.db") as db:
            tables = ("workflow_status", "workflow_input", "operation_outputs")
            ids = {row[0] for t in tables for row in db.execute(f"select workflow_uuid from {t}")}
        assert ids - {made._cabinet.executor} == {"new", "new/approval/s"}


@looped
async def test_folders_go_with_their_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "SWEEP_S", 0.02)
    root = tmp_path / "workspaces"
    release = asyncio.Event()

    async def work(row: TaskRow, journal: Journal) -> None:
        (Path(row.task.workspace) / "made").mkdir(parents=True)
        if row.id == "task_runs":
            await release.wait()
        await journal.tell("task.done")

    async with opened(tmp_path / "tasks.db", work, keep_days=0, folders=root) as made:
        at = root / "own" / "task"
        at.mkdir(parents=True)
        folders.claim(root, at / "task_named" / "made")
        for name in ("task_runs", "task_ends", "task_named"):
            await made.submit(name, Task("x", workspace=str(at / name)))

        async def left(*names: str) -> None:
            async with asyncio.timeout(SOON_S):
                while sorted(os.listdir(at)) != sorted(names):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

        async with asyncio.timeout(SOON_S):
            while len(await made.rows()) > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await left("task_runs", "task_named", "task_named.named")
        assert (at / "task_named" / "made").is_dir()
        release.set()
        await left("task_named", "task_named.named")


def test_nothing_but_old_folders_of_tasks_is_removed(tmp_path: Path) -> None:
    at, beyond = tmp_path / "own" / "task", tmp_path / "beyond"
    beyond.mkdir()
    (beyond / "kept").touch()
    (at / "task_old" / "sub").mkdir(parents=True)
    (at / "task_old" / "sub" / "link").symlink_to(beyond)
    (at / "task_link").symlink_to(beyond)
    (at / "mine").mkdir()
    (at / "task_file").touch()
    (tmp_path / "own" / "task_else").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "task").symlink_to(at)
    assert folders.sweep(tmp_path, 1, lambda ids: set()) == 0, "they have changed today"
    assert folders.sweep(tmp_path, 0, lambda ids: {"task_old"}) == 0
    assert folders.sweep(tmp_path, 0, lambda ids: set()) == 1
    assert sorted(os.listdir(at)) == ["mine", "task_file", "task_link"]
    assert (beyond / "kept").exists()
    assert (tmp_path / "own" / "task_else").is_dir()
    folders.claim(tmp_path, at / "mine")
    folders.claim(tmp_path, tmp_path / "elsewhere")
    assert sorted(os.listdir(at)) == ["mine", "task_file", "task_link"]


class Bomb:
    def __reduce__(self) -> Any:
        return os.mkdir, (str(Path(os.environ["BOMB"])),)


@looped
async def test_nothing_of_the_database_is_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOMB", str(tmp_path / "exploded"))
    bomb = base64.b64encode(pickle.dumps(Bomb())).decode()

    async def work(row: TaskRow, journal: Journal) -> None:
        await journal.once("k", nothing)
        await journal.tell("task.done")

    async with opened(tmp_path / "tasks.db", work) as made:
        await made.submit("t", Task("x"))
        await settled(made, "t", "done")
    with sqlite3.connect(tmp_path / "tasks.db") as db:
        for table in ("operation_outputs", "workflow_status"):
            db.execute(f"update {table} set serialization = 'py_pickle'")
        db.execute("update operation_outputs set output = ?", (bomb,))
        db.execute("update workflow_input set inputs = ?", (bomb,))
        db.execute("update workflow_output set output = ?", (bomb,))
        db.execute(
            "update workflow_status set status = 'ENQUEUED', queue_name = ?", (cabinet.QUEUE,)
        )
    async with opened(tmp_path / "tasks.db", work) as made:
        async with asyncio.timeout(SOON_S):
            while [row.status for row in made._cabinet.rows(None, None)] != ["ERROR"]:
                await made.changed("", 0, 0.01)
        with pytest.raises(StoreFailed, match="damaged"):
            await made.row("t")
        with pytest.raises(StoreFailed, match="damaged"):
            await made.events("t")
        assert await made.rows() == []
        await made.submit("u", Task("x"))  # others go on
        await settled(made, "u", "done")
    assert not (tmp_path / "exploded").exists()


@looped
async def test_a_full_disk_is_waited_for(small_disk: Path) -> None:
    async def work(row: TaskRow, journal: Journal) -> None:
        for n in range(20):
            await journal.once(f"k{n}", some)
        await journal.tell("task.done")

    async def some() -> str:
        if (small_disk / "full").exists():
            (small_disk / "full").unlink()
            full.append(fill_up(small_disk))
        return "x" * 20_000

    full: list[Path] = []
    async with opened(small_disk / "tasks.db", work) as made:
        await made.submit("t", Task("x"))
        await settled(made, "t", "done")
        (small_disk / "full").touch()
        await made.submit("u", Task("x"))
        async with asyncio.timeout(SOON_S):
            while not full:
                await made.changed("", 0, 0.01)
        with pytest.raises(StoreFailed, match="full"):
            await made.submit("v", Task("y" * 10_000, context="z" * 50_000))
        assert (await made.row("u")).status == "running"  # type: ignore[union-attr]
        full[0].unlink()
        await until(made, "u", "task.done")


@looped
async def test_a_database_that_goes_away_is_waited_for(postgres: Server) -> None:
    go_on = asyncio.Event()
    url = await asyncio.to_thread(postgres.database)
    name = url.rpartition("/")[2]

    async def lets_in(word: str) -> None:
        others = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        for text in (f"alter database {name} allow_connections {word}", others):
            await asyncio.to_thread(postgres.sql, "postgres", text)

    async def work(row: TaskRow, journal: Journal) -> None:
        await journal.once("before", nothing)
        await go_on.wait()
        await journal.once("after", nothing)
        await journal.tell("task.done")

    async with opened(place((url, postgres.password)), work) as made:
        await made.submit("t", Task("x"))
        await lets_in("false")
        go_on.set()
        with pytest.raises(StoreFailed, match=r"127\.0\.0\.1"):
            await made.submit("u", Task("x"))
        with pytest.raises(StoreFailed):
            await made.rows()
        await lets_in("true")
        assert kinds(await until(made, "t", "task.done"))[-1] == "done"


def test_without_the_extra_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dbos", None)
    with pytest.raises(BadConfig, match=r'pip install "octoplex\[agents\]"'):
        asyncio.run(Tasks.open(tmp_path / "tasks.db", lambda row, journal: nothing()))
    assert logging.getLogger("dbos").propagate


@looped
async def test_an_end_that_was_told_before_its_row_had_it(tmp_path: Path) -> None:
    """A process that died between the two; nobody else is there to bring it to its end."""
    where = tmp_path / "tasks.db"

    async def work(row: TaskRow, journal: Journal) -> None:
        is_back = "task.resumed" in [event.kind for event in journal.events]
        await journal.tell("task.done" if is_back or row.id == "done" else "task.failed")

    async with opened(where, work, takes_up=False) as made:
        for name in ("failed", "done"):
            await made.submit(name, Task("x"))
            await until(made, name, f"task.{name}")
            await made.settled(name)
        with sqlite3.connect(where, timeout=30) as db:
            db.execute(
                "update workflow_status set status = 'PENDING', executor_id = 'dead', "
                "output = null, completed_at = null where workflow_uuid in ('failed', 'done')"
            )
        with pytest.raises(InvalidCall, match="is done"):
            await made.resume("done")
        await made.resume("failed")
        assert kinds(await until(made, "failed", "task.done"))[-3:] == ["failed", "resumed", "done"]
