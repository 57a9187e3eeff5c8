"""Tasks over a real gateway: given, watched, allowed, stopped, fetched, and seen by whom."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from octoplex.agents.journal.folders import is_own
from octoplex.assembly.assigning import own_folders
from tests.agents.doors.looks import from_afar, not_twice
from tests.agents.doors.models import BILL, WORKED, mind, of, plan, step
from tests.server import provider
from tests.server.caller import request
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, question, route
from tests.upstream_server import Upstream

OTHER_KEY = "oct-other-0f1e2d3c4b5a6978"
BOSS_KEY = "oct-boss-7766554433aa91c2"
LEAD_KEY = "oct-lead-1122334455bb73e0"
ADD = "print(sum(map(int, open('n.txt'))))\nopen('out%41.txt', 'w').write('<b>42</b>')"
WAIT = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)"
PLANS = {
    "add up": plan(
        step(
            "add",
            "executor.python",
            {"code": ADD},
            criteria=[{"kind": "file", "path": "out%41.txt"}],
        ),
        step("say", "model.ask", {"prompt": "Say it.", "data": of("add", "/text")}),
        answer=of("say", "/text"),
    ),
    "greet": plan(step("hi", "model.ask", {"prompt": "Greet."}), answer=of("hi", "/text")),
    "post": plan(
        step("send", "executor.python_online", {"code": "print('sent')", "hosts": ["a.example"]}),
        answer=of("send", "/text"),
    ),
    "linger": plan(
        step("nap", "executor.python", {"code": WAIT}),
        step("write", "executor.write", {"path": "after", "text": "x"}, after=["nap"]),
        answer=of("nap", "/text"),
    ),
    "sleep": plan(
        step("nap", "executor.python", {"code": "import time\ntime.sleep(60)"}),
        answer=of("nap", "/text"),
    ),
}
TABLES = """
[agents.clerk]
workspaces = "{shared}"
allow = ["write:workspace", "run:python", "net:a.example"]
limits = "$0.10, 1 min, 9 steps"
[keys.app]
secret = "env:APP_KEY"
tenant = "acme.web"
[keys.other]
secret = "env:OTHER_KEY"
tenant = "acme"
models = ["main"]
[keys.boss]
secret = "env:BOSS_KEY"
role = "viewer"
[keys.lead]
secret = "env:LEAD_KEY"
tenant = "acme"
user = "lea"
[tenants.acme]
roles = { lea = "admin" }
[tenants.acme.web]
"""


def events_of(body: bytes) -> list[dict[str, Any]]:
    lines = body.decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


class Desk:
    """Tasks of one gateway, as a caller gives them."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    async def give(self, goal: str, *headers: tuple[str, str], **more: Any) -> dict[str, Any]:
        body = json.dumps({"goal": goal, **more}).encode()
        reply = await self.gate.post("/v1/tasks", body, *headers)
        assert reply.status == 202, reply.body
        assert reply.headers["location"] == reply.json["links"]["self"]
        return dict(reply.json)

    async def refused(self, **body: Any) -> tuple[int, str | None]:
        reply = await self.gate.post("/v1/tasks", json.dumps(body).encode())
        return reply.status, reply.json["error"]["param"]

    async def seen(self, task: dict[str, Any]) -> dict[str, Any]:
        return dict((await self.gate.get(task["links"]["self"])).json)

    async def over(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        return events_of((await self.gate.get(task["links"]["events"])).body)

    async def post(self, task: dict[str, Any], verb: str, **body: Any) -> Any:
        return await self.gate.post(task["links"][verb], json.dumps(body).encode())

    async def becomes(self, task: dict[str, Any], status: str) -> None:
        while (await self.seen(task))["status"] != status:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.02)


def test_a_task_from_its_goal_to_its_files(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(mind(PLANS)) as up:
            shared = tmp_path / "shared"
            (shared / "counts" / "may").mkdir(parents=True)
            (shared / "counts" / "may" / "n.txt").write_text("40\n2\n")
            (shared / "counts" / "out").symlink_to("/etc")
            tables = route("main", "a/m") + TABLES.replace("{shared}", str(shared))
            table = file(tables, "tasks_days = 90", a=up)
            env = {"BOSS_KEY": BOSS_KEY, "LEAD_KEY": LEAD_KEY}
            async with Gate(tmp_path, table, key=APP_KEY, env=env) as gate:
                desk = Desk(gate)
                task = await _given(desk)
                await _watched(desk, task)
                await _fetched(gate, task, shared)
                await _wrong(desk)
                await _stopped(desk)
                await _allowed(desk)
                await _seen_by(gate, task)
                await _served_alone(gate)
                await _spoken_to(gate, up)
                await from_afar(gate)
                await _paid(desk, up)
                await _revoked(desk, shared / "counts" / "may", table)

    run(main())


async def _given(desk: Desk) -> dict[str, Any]:
    again = ("idempotency-key", "once")
    folder = "counts/may"
    more = {"agent": "clerk", "workspace": folder, "metadata": {"job": "7"}}
    task = await desk.give("add up", again, **more)
    same = await desk.give("add up", again, **more)
    assert same["id"] == task["id"]
    other = await desk.gate.post("/v1/tasks", b'{"goal": "another"}', again)
    assert (other.status, other.json["error"]["code"]) == (422, "idempotency_key_reused")
    return task


async def _watched(desk: Desk, task: dict[str, Any]) -> None:
    events = await desk.over(task)
    kinds = [event["kind"] for event in events]
    assert [e["number"] for e in events] == list(range(1, len(events) + 1))
    assert kinds[0] == "task.queued"
    assert kinds[-1] == "task.done"
    later = await desk.gate.get(task["links"]["events"], ("last-event-id", "3"))
    assert events_of(later.body) == events[3:]
    assert later.headers["content-type"].startswith("text/event-stream")
    beyond = await desk.gate.get(task["links"]["events"], ("last-event-id", "999"))
    assert events_of(beyond.body) == []
    wrong = await desk.gate.get(task["links"]["events"], ("last-event-id", "x"))
    assert wrong.status == 400
    async with desk.gate.line() as line:  # whoever asks for the head alone has no body to skip
        for method in ("HEAD", "GET"):
            line.send(request(method, task["links"]["events"], None, desk.gate.headers()))
        heads = [await line.head(), await line.head()]
    assert [head.headers.get("content-length") for head in heads] == ["0", None]
    seen = await desk.seen(task)
    assert (seen["status"], seen["text"]) == ("done", WORKED)
    assert seen["nanos"] == 2 * provider.nano(BILL)
    assert [c["passed"] for c in seen["criteria"]] == [True]
    records = [r for r in await desk.gate.records(3) if r["status"] == 200]
    labels = {"job": "7", "task": task["id"]}
    assert [record["metadata"] for record in records] == [labels, labels]
    assert {record["key"] for record in records} == {"app"}
    found = await desk.gate.get(f"/v1/requests?task={task['id']}")
    assert [record["id"] for record in found.json["data"]] == [record["id"] for record in records]


async def _fetched(gate: Gate, task: dict[str, Any], shared: Path) -> None:
    listed = (await gate.get(task["links"]["artifacts"])).json["data"]
    assert [(one["path"], one["size"]) for one in listed] == [("out%41.txt", 9)]
    got = await gate.get(listed[0]["url"])
    assert got.body == b"<b>42</b>"
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["x-content-type-options"] == "nosniff"
    for name in ("n.txt", "../may/out%2541.txt", "%2e%2e/secret"):  # what it made, and nothing else
        assert (await gate.get(f"{task['links']['artifacts']}/{name}")).status == 404
    made = shared / "counts" / "may" / "out%41.txt"
    os.truncate(made, 200_000_000)  # whatever its size, it goes out in pieces
    async with gate.line(small=True) as line:
        line.send(request("GET", listed[0]["url"], None, gate.headers()))
        assert (await line.head()).status == 200
        assert await line.piece()
    made.unlink()
    made.symlink_to(gate.config)
    assert (await gate.get(listed[0]["url"])).status == 400
    made.unlink()


async def _wrong(desk: Desk) -> None:
    refused = desk.refused
    assert await refused() == (400, "goal")
    assert await refused(goal=" ") == (400, "goal")
    assert await refused(goal="x", gaol="x") == (400, "gaol")
    assert await refused(goal="x", agent="clark") == (404, "agent")
    assert await refused(goal="x", budget={"dollars": -1}) == (400, "budget.dollars")
    assert await refused(goal="x", workspace="/etc") == (400, "workspace")
    assert await refused(goal="x", workspace="a/../../b") == (400, "workspace")
    assert await refused(goal="x", allow=["net:b.example"]) == (400, "allow")
    assert await refused(goal="x", approve="never") == (400, "approve")
    assert await refused(goal="x", model="agent/clerk") == (400, "model")
    assert await refused(goal="x", model="mian") == (404, "model")
    assert await refused(goal="x", constraints=["y"] * 101) == (400, "constraints")
    assert await refused(goal="x", acceptance_criteria=["y"] * 101) == (400, "acceptance_criteria")
    assert (await refused(goal="x", metadata={"a": "b" * 1_001}))[0] == 400
    assert (await desk.gate.chat("agent/usual", metadata={"a": "b" * 1_001})).status == 400
    assert await refused(goal="x", agent="clerk", workspace="counts/out") == (400, "workspace")


async def _stopped(desk: Desk) -> None:
    task = await desk.give("sleep")
    await desk.becomes(task, "running")
    said = await desk.post(task, "cancel")
    assert said.status == 200
    events = await desk.over(task)
    assert events[-1]["kind"] == "task.cancelled"
    assert events[-1]["body"]["by"] == "app"
    resumed = await desk.post(task, "resume")
    assert resumed.json["status"] == "running"
    await desk.post(task, "cancel", why="again")
    assert (await desk.over(task))[-1]["kind"] == "task.cancelled"
    folder = Path((await desk.seen(task))["task"]["workspace"])
    assert is_own(own_folders(desk.gate.data), str(folder), task["id"])
    after = await desk.give("greet", workspace=f"task/{task['id']}")  # whose folder it is from now
    assert (await desk.seen(after))["task"]["workspace"] == str(folder)
    assert not is_own(own_folders(desk.gate.data), str(folder), task["id"])


async def _allowed(desk: Desk) -> None:
    task = await desk.give("post", agent="clerk")
    await desk.becomes(task, "waiting")
    (asked,) = (await desk.seen(task))["approvals"]
    assert (asked["step"], asked["action"]) == ("send", "executor.python_online")
    wrong = await desk.post(task, "approve", step="other", decision="approve")
    assert (wrong.status, wrong.json["error"]["param"]) == (400, "step")
    wrong = await desk.post(task, "approve", step="send", decision="maybe")
    assert (wrong.status, wrong.json["error"]["param"]) == (400, "decision")
    held = await desk.post(task, "approve", step="send", decision="deny", why="not today")
    assert held.json == {"approved": False, "by": "app", "note": "not today"}
    events = await desk.over(task)
    assert "step.started" not in [event["kind"] for event in events]
    assert "not today" in events[-1]["body"]["why"]
    await desk.post(task, "resume")
    await desk.becomes(task, "waiting")
    yes = {"step": "send", "decision": "approve"}
    again = await desk.post(task, "approve", **yes)  # sent once more, by whoever saw the first
    assert (again.status, again.json["error"]["param"]) == (400, "topic")
    first = await desk.post(task, "approve", **yes, topic=asked["topic"])
    assert first.json == held.json
    (asked,) = (await desk.seen(task))["approvals"]
    no = await desk.post(task, "approve", step="send", decision="deny", topic=asked["topic"])
    assert no.json["approved"] is False
    assert (await desk.over(task))[-1]["kind"] == "task.failed"
    paid = len(desk.gate.ledger())
    task = await desk.give("greet", budget={"dollars": 0})
    assert (await desk.over(task))[-1]["body"]["failure"] == "budget"
    assert len(desk.gate.ledger()) == paid


async def _seen_by(gate: Gate, task: dict[str, Any]) -> None:
    path, listed = task["links"]["self"], {}
    for name, key in {"other": OTHER_KEY, "boss": BOSS_KEY, "lead": LEAD_KEY}.items():
        gate.key = key
        looks = (await gate.get(path)).status, (await gate.post(f"{path}/cancel", b"")).status
        listed[name] = len((await gate.get("/v1/tasks")).json["data"])
        assert looks == {"other": (404, 404), "boss": (200, 403), "lead": (200, 200)}[name], name
    gate.key = OTHER_KEY
    gone = (await gate.get("/v1/tasks/task_0/artifacts")).json["error"]
    hidden = (await gate.get(task["links"]["artifacts"])).json["error"]
    assert "90 days after its end ([server] tasks_days) a task is removed" in gone["message"]
    assert hidden["message"] == gone["message"].replace("task_0", task["id"])
    for id_ in ("task_0", task["id"]):  # nor does a page say that there is one
        after = await gate.get(f"/v1/tasks?after={id_}")
        assert (after.status, after.json["error"]["message"]) == (404, f"There is no task '{id_}'.")
    body = json.dumps({"goal": "x"}).encode()
    refused = await gate.post("/v1/tasks", body)
    assert (refused.status, refused.json["error"]["param"]) == (403, "agent")
    gate.key = APP_KEY
    first = (await gate.get("/v1/tasks?limit=2")).json
    rest = (await gate.get(f"/v1/tasks?after={first['last_id']}")).json
    assert first["has_more"]
    assert len(first["data"]) + len(rest["data"]) == listed["boss"] == listed["lead"] == 5
    assert listed["other"] == 0


async def _paid(desk: Desk, up: Upstream) -> None:
    """What a call may cost is there before it is made, also for one that is made once more."""
    gate, budget = desk.gate, {"dollars": 0.04}
    task = await desk.give("greet", budget=budget)
    assert (await desk.over(task))[-1]["kind"] == "task.done"
    task = await desk.give("greet, break off", budget=budget)
    failed = (await desk.over(task))[-1]["body"]
    assert failed["failure"] == "budget"
    assert "does not pay for an attempt" in failed["why"]
    for body in (up.book[-3].body, up.book[-1].body):  # two plans
        worst = (len(body) // 3, json.loads(body)["max_completion_tokens"])
        assert 0.039e9 < provider.nano(worst) <= 0.04e9
    assert 0.039e9 < gate.ledger()[-1]["nano"] <= 0.04e9


async def _revoked(desk: Desk, folder: Path, table: str) -> None:
    """The task of a key that has gone ends in the middle of its step."""
    gate = desk.gate
    task = await desk.give("linger", agent="clerk", workspace="counts/may")
    await desk.becomes(task, "running")
    gate.write(table.replace('[keys.app]\nsecret = "env:APP_KEY"\ntenant = "acme.web"\n', ""))
    gate.hup()
    while (await gate.get("/v1/tasks")).status != 401:  # noqa: ASYNC110 - another process's
        await asyncio.sleep(0.01)
    gate.key = BOSS_KEY
    await desk.becomes(task, "cancelled")
    assert "no longer in force" in (await desk.over(task))[-1]["body"]["why"]
    (folder / "go").touch()
    assert not (folder / "after").exists()


async def _served_alone(gate: Gate) -> None:
    """The arms by their contracts."""

    async def act(name: str, **body: Any) -> Any:
        return await gate.post(f"/v1/arms/{name}", json.dumps(body).encode())

    offers = {row["name"]: row for row in (await gate.get("/v1/arms")).json["data"]}
    assert offers["executor.python"]["endpoint"] == "/v1/arms/execute"
    done = (await act("execute", action_type="python", command="print(6 * 7)")).json
    assert (done["success"], done["stdout"], done["exit_code"]) == (True, "42\n", 0)
    assert done["provenance"]["capabilities_used"] == ["run:python", "write:workspace"]
    away = await act("execute", action_type="http", command="https://a.example/")
    assert away.status == 403
    planned = (await act("plan", goal="greet")).json
    assert [one["required_arm"] for one in planned["plan"]] == ["model.ask"]
    assert (await act("execute", action_type="ftp", command="x")).status == 400
    assert (await act("fly")).status == 404
    forged = await act("execute", action_type="python", command="1", capability_token="a.b")
    assert forged.status == 401


async def _spoken_to(gate: Gate, up: Upstream) -> None:
    """An agent as a model, asked by the vendors' own SDKs."""
    url = f"http://127.0.0.1:{gate.port}"
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=APP_KEY, max_retries=0) as client:
        assert "agent/clerk" in [model.id async for model in client.models.list()]
        stream = await client.chat.completions.create(
            model="agent/clerk",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "add up"},
            ],
            stream=True,
            stream_options={"include_usage": True},
            metadata={"workspace": "counts/may"},
        )
        chunks = [chunk async for chunk in stream]
        with pytest.raises(openai.APIError, match="tools of its own"):
            await client.chat.completions.create(
                model="agent/usual",
                messages=[{"role": "user", "content": "greet"}],
                tools=[{"type": "function", "function": {"name": "f"}}],
            )
        with pytest.raises(openai.UnprocessableEntityError, match="no plan for it"):
            await client.chat.completions.create(
                model="agent/usual", messages=[{"role": "user", "content": "fly"}]
            )
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert "plan of 2 steps: add (executor.python), say (model.ask)" in thought
    assert "".join(delta.content or "" for delta in deltas) == f"{WORKED}\n\nFiles: out%41.txt"
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (2 * BILL[0], 2 * BILL[1])
    async with anthropic.AsyncAnthropic(base_url=url, api_key=APP_KEY, max_retries=0) as claude:
        raw = await claude.messages.with_raw_response.create(
            model="agent/usual",
            max_tokens=100,
            messages=[{"role": "user", "content": "greet"}],
        )
    message = await raw.parse()
    thinking, text = message.content
    assert thinking.type == "thinking"
    assert "hi done" in thinking.thinking
    assert text.type == "text"
    assert text.text == WORKED
    assert message.usage.output_tokens == 2 * BILL[1]
    assert raw.headers["x-octoplex-cost-nano"] == str(2 * provider.nano(BILL))
    paid = sum(entry.billed is not None for entry in up.book)
    assert paid == gate.spent() // provider.nano(BILL)
    await not_twice(gate, raw.headers["x-request-id"])


async def in_pieces(gate: Gate, body: dict[str, Any]) -> bytes:
    """Ask so that the body comes after its head; the reply's first line."""
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(data)}\r\n"
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in gate.headers())
    writer.write(f"{head}{lines}\r\n".encode())
    await asyncio.sleep(0.05)
    writer.write(data)
    try:
        return await reader.readline()
    finally:
        writer.close()


def test_several_workers(tmp_path: Path, run: Run) -> None:
    """Tasks live in one process, and so do chats that name an agent, whichever worker has them."""

    async def main() -> None:
        async with Upstream(mind(PLANS)) as up:
            table = file(route("main", "a/m"), "workers = 2", a=up)
            async with Gate(tmp_path, table) as gate:
                said = [{"role": "user", "content": "greet"}]
                whole = await gate.chat("agent/usual", messages=said)
                assert whole.json["choices"][0]["message"]["content"] == WORKED
                other = await gate.chat("main", messages=[{"role": "user", "content": "agent/"}])
                assert other.headers["x-octoplex-model"] == "a/m"
                escaped = question("agent/usual", messages=said).replace(b"agent/", b"agent\\/")
                hidden = question("main", messages=said, models=["agent/usual"])
                for body in (escaped, escaped.replace(b"agent", b"\\u0061gent"), hidden):
                    given = await gate.post("/v1/chat/completions", body)
                    assert given.json["choices"][0]["message"]["content"] == WORKED, given.body
                await _tools(gate)
                many = await asyncio.gather(*[gate.get("/v1/tasks?limit=1") for _ in range(300)])
                assert {one.status for one in many} == {200}
                for model in ("main", "agent/usual"):
                    reply = await in_pieces(gate, {"model": model, "messages": said})
                    assert reply.startswith(b"HTTP/1.1 200 "), reply
                task = await Desk(gate).give("greet")
                assert (await Desk(gate).over(task))[-1]["kind"] == "task.done"
                listed = (await gate.get("/v1/tasks")).json["data"]
                assert [one["status"] for one in listed] == ["done"] * 6

    run(main())


async def _tools(gate: Gate) -> None:
    """By MCP a goal is as good as a chat, whichever process has the connection."""

    async def call(method: str, **params: Any) -> Any:
        said = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return (await gate.post("/mcp", json.dumps(said).encode())).json["result"]

    names = {tool["name"] for tool in (await call("tools/list"))["tools"]}
    assert {"chat", "run_task", "recall"} <= names
    for model, answer in (("agent/usual", WORKED), ("main", WORKED)):
        asked = {"name": "chat", "arguments": {"model": model, "prompt": "greet"}}
        assert (await call("tools/call", **asked))["content"][0]["text"] == answer
    assert (await gate.post("/mcp", b"{")).status == 400
