"""The line to the PostgreSQL of tasks is cut, or dead; others have theirs."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy

from octoplex.agents.journal import Rules, TaskRow, Tasks, are_kept, tasks
from octoplex.agents.journal.engine import engines_of
from octoplex.agents.task import Event, Journal, Task
from octoplex.ledger.postgres.database import Database
from octoplex.wire.error import BadConfig, StoreFailed
from tests.agents.journal.line import Line
from tests.agents.journal.worker import Worker, hurry, looped
from tests.ledger.postgres import Server

SOON_S = 30.0


async def soon(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@looped
async def test_after_a_cut_nobody_sleeps_on_and_what_others_did_is_seen(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch.setattr)
    effects, slept = tmp_path / "effects", list[float]()
    sleep = time.sleep

    def noted(seconds: float) -> None:
        slept.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", noted)
    url, is_cut = await asyncio.to_thread(postgres.database), asyncio.Event()

    async def held(row: TaskRow, journal: Journal) -> None:
        await journal.tell("task.planning")
        await is_cut.wait()
        await journal.tell("step.started", "lost")
        await asyncio.Event().wait()

    async with Line(postgres.port) as line:
        far = Database(url.replace(str(postgres.port), str(line.port)), lambda: postgres.password)
        assert not await are_kept(far)
        made = await Tasks.open(far, held, Rules(at_once=40))
        try:
            await made.submit("t", Task("steps", context=str(effects)))
            assert await are_kept(far)
            await soon(lambda: "t" in made._lives and len(made._lives["t"].past.events) > 1)
            line.cut()
            is_cut.set()
            near = await asyncio.to_thread(Worker, (url, postgres.password))
            try:
                with pytest.raises(StoreFailed):
                    await made.row("t")
                slept.clear()
                await soon(lambda: len(slept) > 20 and effects.exists())
                line.mend()
                events: list[Event] = []
                async with asyncio.timeout(SOON_S):
                    while "task.done" not in [event.kind for event in events]:
                        try:
                            events += await made.changed("t", len(events), 0.5)
                        except StoreFailed:
                            await asyncio.sleep(0.05)
            finally:
                await asyncio.to_thread(near.close)
            assert [event.number for event in events] == list(range(1, len(events) + 1))
            assert "lost" not in [event.step for event in events]
            assert max(slept) <= 1.5, "DBOS's pauses have grown"
            await _dead(made, line, monkeypatch)
        finally:
            line.mend()
            await made.close()


async def _dead(made: Tasks, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever for a database that says nothing."""
    monkeypatch.setattr(tasks, "ANSWER_S", 0.1)
    line.die()
    for _ in range(tasks.THREADS + 1):
        with pytest.raises(StoreFailed, match="has not answered"):
            await made.row("t")
    line.mend()
    monkeypatch.setattr(tasks, "ANSWER_S", SOON_S)
    row = await made.row("t")
    assert row is not None
    assert row.status == "done"


def test_a_password_whose_file_is_being_replaced_is_asked_for_again(postgres: Server) -> None:
    """What DBOS is given waits for it; who asks is told at once."""
    words, asked_for = list[str](), list[float]()

    def word() -> str:
        asked_for.append(time.monotonic())
        if not words:
            raise BadConfig("[server] database_password: there is no file.")
        return words[0]

    where = Database(postgres.database(), word)
    own, asked = engines_of(sqlalchemy, where, lambda: False, lambda: False)
    with pytest.raises(OSError, match="there is no file"):
        asked.connect()
    with ThreadPoolExecutor(1) as one:
        waiting = one.submit(lambda: own.connect().close())
        try:
            end_at = time.monotonic() + SOON_S
            while len(asked_for) < 4 and not waiting.done() and time.monotonic() < end_at:
                time.sleep(0.01)
        finally:
            words.append(postgres.password)
        waiting.result(SOON_S)
    own.dispose()
