"""`POST /mcp`, message by message: who may ask, in which revision, and what it costs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from octoplex.server import mcp
from tests.agents.doors.models import mind, of, plan, step
from tests.agents.mcp.scene import box, tool
from tests.server import caller, provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, until
from tests.server.inside import Inside, inside
from tests.upstream_server import Exchange, Upstream

KEYS = "[keys.app]\nsecret = 'env:APP_KEY'\nmodels = ['a/m']\n"
ACCEPT = ("accept", "application/json, text/event-stream")
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
MODERN = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call")]


def message(method: str, params: dict[str, Any] | None = None, **more: Any) -> bytes:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}, **more}
    return json.dumps(body).encode()


def call(tool: str, arguments: dict[str, Any], **more: Any) -> bytes:
    return message("tools/call", {"name": tool, "arguments": arguments, **more})


async def post(at: Inside, body: bytes, *headers: tuple[str, str]) -> caller.Reply:
    key = ("authorization", f"Bearer {APP_KEY}")
    return await caller.ask(at.port, "POST", "/mcp", body, [key, *headers])


def test_who_may_ask_and_what_is_no_message(tmp_path: Path, run: Run) -> None:
    wrong: list[tuple[bytes, list[tuple[str, str]], int, int]] = [
        (b"{", [], 400, -32700),
        (b"[]", [], 400, -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "\xff"}', [], 400, -32700),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', [], 400, -32600),
        (message("ping", id=None), [], 400, -32600),
        (message("ping", id=[1]), [], 400, -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "result": {}}', [], 400, -32600),
        (message("nothing"), [], 200, -32601),
        (call("nothing", {}), [], 200, -32602),
        (message("ping"), [("mcp-protocol-version", "1999-01-01")], 400, -32022),
        (call("models", {}, _meta=META), MODERN, 400, -32020),
        (call("models", {}, _meta=META), [*MODERN, ("mcp-name", "chat")], 400, -32020),
        (call("models", {}, _meta=META), [*MODERN, ("mcp-name", "models")], 200, 0),
        (call("models", {}, _meta=META), [*MODERN, ("mcp-name", "=?base64?bW9kZWxz?=")], 200, 0),
        (message("server/discover"), [], 200, -32602),
        (message("tools/list"), [("mcp-protocol-version", "2026-07-28")], 400, -32602),
        (message("ping", {"_meta": META}), [MODERN[0], ("mcp-method", "ping")], 404, -32601),
        (message("ping"), [("origin", "http://localhost:3000")], 200, 0),
        (message("ping"), [("origin", "http://[::1]:3000")], 200, 0),
    ]

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            inside(tmp_path, file(KEYS, a=up)) as at,
        ):
            for body, headers, status, code in wrong:
                reply = await post(at, body, *headers)
                assert reply.status == status, (body, reply.body)
                assert reply.json.get("error", {}).get("code", 0) == code, (body, reply.body)
            for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
                assert (await post(at, message("ping"), ("origin", origin))).status == 403
            reply = await caller.ask(at.port, "POST", "/mcp", message("ping"), [])
            assert reply.status == 401
            reply = await caller.ask(at.port, "GET", "/mcp", None, [ACCEPT])
            assert reply.status == 405
            assert reply.headers["allow"] == "POST"
            note = b'{"jsonrpc": "2.0", "method": "notifications/initialized"}'
            reply = await post(at, note, ACCEPT)
            assert (reply.status, reply.body) == (202, b"")
            assert not up.book
            reply = await post(at, message("initialize", {"protocolVersion": "2030-01-01"}))
            assert reply.json["result"]["protocolVersion"] == "2025-11-25"
            assert "mcp-session-id" not in reply.headers
            listed = (await post(at, message("tools/list"))).json["result"]["tools"]
            assert [tool["name"] for tool in listed] == ["chat", "models"]  # no tasks run here

    run(main())


def test_a_chat_is_any_request_of_its_key(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            inside(tmp_path, file(KEYS, a=up, b=up)) as at,
        ):
            turns = [{"role": "user", "content": "One"}, {"role": "assistant", "content": "Two"}]
            asked = {"model": "a/m", "prompt": "Three", "system": "Zero", "messages": turns}
            result = (await post(at, call("chat", asked))).json["result"]
            assert result["content"] == [{"type": "text", "text": "Hello, world!"}]
            assert result["structuredContent"]["cost_nano"] == provider.nano(provider.BILL)
            sent = json.loads(up.book[0].body)["messages"]
            assert [turn["content"] for turn in sent] == ["Zero", "One", "Two", "Three"]
            for arguments, why in (
                ({"model": "b/m", "prompt": "x"}, "b/m"),
                ({"model": "a/m"}, "prompt"),
                ({"model": "a/m", "prompt": "x", "tools": []}, "tools"),
            ):
                result = (await post(at, call("chat", arguments))).json["result"]
                assert result["isError"]
                assert why in result["content"][0]["text"]
            listed = (await post(at, call("models", {}))).json["result"]
            assert listed["content"][0]["text"] == "a/m"
            (row,) = await at.rows(1)
            assert row["nano"] == provider.nano(provider.BILL)
            assert len(up.book) == 1

    run(main())


def test_a_long_answer_is_kept_alive_and_one_who_leaves_ends_it(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp, "QUIET_S", 0.05)
    goes_on = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        waits = asyncio.ensure_future(goes_on.wait())
        gone = asyncio.ensure_future(exchange.gone.wait())
        await asyncio.wait([waits, gone], return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        gone.cancel()
        if not exchange.gone.is_set():
            await provider.whole("openai-chat")(exchange)

    async def main() -> None:
        async with Upstream(play) as up, inside(tmp_path, file(KEYS, a=up)) as at:
            key = ("authorization", f"Bearer {APP_KEY}")
            body = call("chat", {"model": "a/m", "prompt": "x"})
            request = caller.request("POST", "/mcp", body, [key, ACCEPT])
            async with at.line() as line:
                line.send(request)
                assert (await line.head()).headers["content-type"] == "text/event-stream"
                await line.until(b": still at it")
                line.leave()
                await until(lambda: up.book and up.book[0].closed_at)
            async with at.line() as line:
                line.send(request)
                await line.head()
                await line.until(b": still at it")
                goes_on.set()
                event = await line.until(b"isError")
                assert b"Hello, world!" in event

    run(main())


def test_tasks_and_memory_where_tasks_run(tmp_path: Path, run: Run) -> None:
    say = step("say", "model.ask", {"prompt": "How were sales?"})
    made = plan(say, step("echo", "mcp.box.echo", {"x": of("say", "/text")}), answer=of("echo"))
    agent = (
        "[agents.usual]\nplanner = 'a/m'\nworker = 'a/m'\njudge = 'a/m'\n"
        "arms = ['model', 'mcp.box']\nallow = ['mcp:box.echo']\napprove = 'never'\n"
    )
    agent += box(tmp_path, "echo", "env", more="")
    keys = KEYS.replace("['a/m']", "['a/m', 'agent/usual']")
    keys += "[keys.other]\nsecret = 'env:OTHER_KEY'\n"

    async def main() -> None:
        async with (
            Upstream(mind({"sales": made})) as up,
            Gate(tmp_path, file(keys + agent, a=up), key=APP_KEY) as gate,
        ):

            async def use(tool: str, **arguments: Any) -> Any:
                reply = await gate.post("/mcp", call(tool, arguments))
                return reply.json["result"]

            listed = (await gate.post("/mcp", message("tools/list"))).json["result"]["tools"]
            assert [one["name"] for one in listed][2:] == [
                "run_task",
                "task_status",
                "cancel_task",
                "remember",
                "recall",
            ]
            approved = {"do": "mcp.approve", "server": "box", "tool": tool("echo")}
            assert "ok" in await gate.control(approved)
            assert "error" in await gate.control({**approved, "server": "../box"})
            given = await use("run_task", goal="Say how sales were.")
            id_ = given["structuredContent"]["id"]
            async with asyncio.timeout(20):
                while True:
                    found = await use("task_status", id=id_)
                    if found["structuredContent"]["status"] in ("done", "failed"):
                        break
                    await asyncio.sleep(0.02)
            assert '{"x": "Sales rose in May."}' in found["content"][0]["text"], found
            assert (await use("cancel_task", id="task_nobody"))["isError"]
            assert not (await use("remember", text="The code word is heron."))["isError"]
            assert "heron" in (await use("recall", query="code word"))["content"][0]["text"]
            gate.key = "oct-other-0f1e2d3c4b5a6978"
            assert "heron" not in (await use("recall", query="code word"))["content"][0]["text"]
            assert (await use("task_status", id=id_))["isError"]

    run(main())
