"""Two gateways on one PostgreSQL: tasks given at one are watched, allowed and ended at the other,
who goes on with them when the first is killed."""

import asyncio
import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octoplex.agents.journal import TaskRow
from octoplex.agents.task import Event, Task
from octoplex.assembly.assigning import have_folder
from octoplex.settings import Settings
from octoplex.wire.error import NotFound
from tests.agents.doors.models import WORKED, mind, of, plan, step
from tests.agents.doors.test_tasks import Desk, events_of
from tests.agents.journal.line import Line
from tests.ledger.conftest import postgres
from tests.ledger.postgres import PASSWORD, Server
from tests.server.gate import APP_KEY, Gate, file, route
from tests.upstream_server import Exchange, Upstream

__all__ = ["postgres"]
SEND = "import os, time\nopen('sent', 'a').write('x')\nwhile {wait}: time.sleep(0.02)"
PLANS = {
    f"{name} a letter": plan(
        step("look", "executor.list", {}),
        step(
            "send",
            "executor.python",
            {"code": SEND.replace("{wait}", wait)},
            effect="once",
            after=["look"],
        ),
        answer=of("send", "/text"),
    )
    for name, wait in (("send", "False"), ("hold", "not os.path.exists('go')"))
} | {"greet": plan(step("hi", "model.ask", {"prompt": "Greet."}), answer=of("hi", "/text"))}
PEPPER = base64.b64encode(bytes(range(32))).decode()
SOON_S = 30.0
WHOLE_S = 180.0


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(SOON_S):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class Greeted:
    """A provider whose greetings wait to be let go."""

    def __init__(self) -> None:
        self.asked, self.go = 0, asyncio.Event()
        self._play = mind(PLANS)

    async def __call__(self, exchange: Exchange) -> None:
        if b"Greet." in exchange.entry.body and b"lan how to" not in exchange.entry.body:
            self.asked += 1
            await self.go.wait()
        await self._play(exchange)


def sent(task: dict[str, Any]) -> str:
    """What a task has done that must not be done twice."""
    file = Path(task["task"]["workspace"]) / "sent"
    return file.read_text() if file.exists() else ""


async def allow(desk: Desk, task: dict[str, Any]) -> dict[str, Any]:
    """Allow a task its step, once it is asked about and the database is there; the task."""
    path = task["links"]["self"]
    word = json.dumps({"step": "send", "decision": "approve"}).encode()
    async with asyncio.timeout(SOON_S):
        while (seen := await desk.gate.get(path)).json.get("status") != "waiting":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        while (said := await desk.gate.post(f"{path}/approve", word)).status == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert said.status == 200, said.body
    return dict(seen.json)


def test_two_gateways_on_one_postgres(postgres: Server, tmp_path: Path) -> None:
    async def main() -> None:
        url, greeted = await asyncio.to_thread(postgres.database), Greeted()
        async with Upstream(greeted) as up, Line(postgres.port) as line:

            def gate(name: str, port: int) -> Gate:
                at = url.replace(str(postgres.port), str(port))
                place = f"database = '{at}'\ndatabase_password = 'env:DATABASE_PASSWORD'\n"
                place += "pepper = 'env:PEPPER'\n"
                keys = "[keys.app]\nsecret = 'env:APP_KEY'\n"
                (tmp_path / name).mkdir()
                env = {"DATABASE_PASSWORD": PASSWORD, "PEPPER": PEPPER}
                text = file(route("main", "a/m") + keys, place, a=up)
                return Gate(tmp_path / name, text, key=APP_KEY, clean=False, env=env)

            async with gate("a", postgres.port) as one, gate("b", line.port) as two:
                await _killed(one, two, greeted)
                await one.start()
                await _followed(one, two, line)
                await _shared(one, two, greeted)

    asyncio.run(asyncio.wait_for(main(), WHOLE_S))


async def _killed(one: Gate, two: Gate, greeted: Greeted) -> None:
    """One dies; two, at which nobody has ever asked for tasks, goes on with what it had."""
    here, there = Desk(one), Desk(two)
    cut, waits, greets = [await here.give(g) for g in ("hold a letter", "send a letter", "greet")]
    cut = await allow(here, cut)
    await here.becomes(waits, "waiting")
    await until(lambda: greeted.asked == 1 and sent(cut))
    one.kill()
    await until(lambda: greeted.asked == 2)
    greeted.go.set()
    assert (await there.over(greets))[-1]["kind"] == "task.done"
    async with asyncio.timeout(SOON_S):
        await there.becomes(cut, "waiting")
    (asked,) = (await there.seen(cut))["approvals"]
    assert "it may have happened" in asked["why"]
    no = await there.post(cut, "approve", step="send", decision="deny", topic=asked["topic"])
    assert no.status == 200
    assert (await there.over(cut))[-1]["kind"] == "task.failed"
    assert (sent(cut), sent(await there.seen(waits))) == ("x", "")
    waits = await allow(there, waits)
    events = await there.over(waits)
    assert events[-1]["kind"] == "task.done"
    assert [event["kind"] for event in events].count("task.resumed") == 1
    assert sent(waits) == "x"


async def _followed(one: Gate, two: Gate, line: Line) -> None:
    """Followed at two, whose line to the database is cut meanwhile."""
    here, there = Desk(one), Desk(two)
    task = await here.give("send a letter")
    path = task["links"]["events"]
    following = asyncio.create_task(two.get(path, ("last-event-id", "2")))
    await there.becomes(task, "waiting")
    line.cut()
    assert (await two.get(task["links"]["self"])).status == 503
    await until(lambda: line.refused > 20)  # who follows, too, has found it so
    line.mend()
    task = await allow(there, task)
    events = events_of((await following).body)
    assert events[-1]["kind"] == "task.done"
    assert [event["number"] for event in events] == list(range(3, len(events) + 3))
    assert events == events_of((await one.get(path, ("last-event-id", "2"))).body)
    (made,) = (await two.get(task["links"]["artifacts"])).json["data"]
    assert (await two.get(made["url"])).body == b"x"
    folder = task["task"]["workspace"]
    os.rename(folder, f"{folder}-gone")
    absent = await two.get(made["url"])
    assert (absent.status, "not on this host" in absent.json["error"]["message"]) == (404, True)


async def _shared(one: Gate, two: Gate, greeted: Greeted) -> None:
    """One task for one Idempotency-Key; one that runs at one is ended and gone on with at two."""
    body, again = json.dumps({"goal": "greet"}).encode(), ("idempotency-key", "k")
    replies = await asyncio.gather(
        *(gate.post("/v1/tasks", body, again) for gate in (one, two, one, two))
    )
    replies += [await gate.post("/v1/tasks", body, again) for gate in (one, two)]
    assert [reply.status for reply in replies] == [202] * 6
    assert len({reply.json["id"] for reply in replies}) == 1
    await Desk(one).over(replies[0].json)
    asked = greeted.asked
    greeted.go.clear()
    here, there = Desk(one), Desk(two)
    task = await here.give("greet")
    await until(lambda: greeted.asked == asked + 1)
    assert (await there.post(task, "cancel")).status == 200
    assert (await here.over(task))[-1]["kind"] == "task.cancelled"
    greeted.go.set()
    assert (await there.post(task, "resume")).status == 200
    assert (await here.over(task))[-1]["kind"] == "task.done"
    assert (await there.seen(task))["text"] == WORKED


def test_a_folder_that_is_not_here(tmp_path: Path) -> None:
    made = Event(3, "step.done", 0, "s", {"artifacts": [{"path": "a"}]})
    own = tmp_path / "workspaces" / "own" / "task" / "t"

    def folder(path: Path, *events: Event) -> None:
        row = TaskRow(
            id="t",
            key_id="",
            tenant="",
            task=Task("x", workspace=str(path)),
            created_at_ms=0,
            status="running",
        )
        have_folder(Settings(), row, events)

    with pytest.raises(NotFound, match="not on this host"):
        folder(own, made)
    with pytest.raises(NotFound, match="not on this host"):
        folder(tmp_path / "named")
    folder(own)
    assert own.is_dir()
    folder(own, made)
