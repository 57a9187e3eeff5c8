"""Servers of tools behind a URL, played byte by byte: sessions, streams that break, bad answers."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octoplex.agents.words import Failed
from tests.agents.mcp.scene import called, names, only, opened, tool
from tests.server.conftest import Run
from tests.upstream_server import Exchange, Play, Upstream, head

TOKEN = "s3cret-token-0123456789"
JSON = ("content-type", "application/json")
SSE = ("content-type", "text/event-stream")
Answers = Callable[[Exchange, dict[str, Any]], bool]


def send(exchange: Exchange, status: int, body: Any, *headers: tuple[str, str]) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [*headers, ("content-length", str(len(data)))]
    exchange.send(head(status, lines) + data)


def reply(message: dict[str, Any], result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def plays(answers: Answers) -> Play:
    """A server of the handshake era with sessions; `answers` says whether it has answered."""

    async def play(exchange: Exchange) -> None:
        message = json.loads(exchange.entry.body or b"{}")
        if answers(exchange, message):
            return
        method = message.get("method")
        if method == "server/discover":
            send(exchange, 400, {"error": "no session"}, JSON)
        elif method == "initialize":
            found = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {}}
            send(exchange, 200, reply(message, found), JSON, ("mcp-session-id", "s-1"))
        elif method == "tools/list":
            send(exchange, 200, reply(message, {"tools": [tool("echo")]}), JSON)
        elif method == "tools/call":
            said = {"content": [{"type": "text", "text": f"hello {TOKEN}"}]}
            send(exchange, 200, reply(message, said), JSON)
        else:
            send(exchange, 202, b"")

    return play


def table(up: Upstream, more: str = "") -> str:
    head = f"[mcp.box]\nurl = '{up.url}/mcp'\ntoken = 'env:MINE'\n"
    return f"{head}trust = 'first'\ntimeout_s = 5\n{more}"


def of(up: Upstream, method: str) -> list[Any]:
    return [e for e in up.book if json.loads(e.body or b"{}").get("method") == method]


def test_a_session_is_kept_renewed_and_ended(tmp_path: Path, run: Run) -> None:
    gone = [False]

    def answers(exchange: Exchange, message: dict[str, Any]) -> bool:
        if gone[0] and message.get("method") == "tools/call":
            gone[0] = False
            send(exchange, 404, b"")
            return True
        return False

    async def main() -> None:
        async with Upstream(plays(answers)) as up:
            async with opened(tmp_path, table(up), {"MINE": TOKEN}) as arm:
                said = await called(arm, tmp_path, "mcp.box.echo")
                assert said.text == "hello [redacted]"
                (entry,) = of(up, "tools/call")
                assert entry.headers[b"mcp-session-id"] == b"s-1"
                assert entry.headers[b"mcp-protocol-version"] == b"2025-06-18"
                assert entry.headers[b"authorization"] == f"Bearer {TOKEN}".encode()
                assert set(entry.headers) == {
                    b"host",
                    b"user-agent",
                    b"accept-encoding",
                    b"accept",
                    b"content-type",
                    b"content-length",
                    b"authorization",
                    b"mcp-session-id",
                    b"mcp-protocol-version",
                }
                gone[0] = True  # it never reached the tool, so it is asked again
                assert (await called(arm, tmp_path, "mcp.box.echo")).text == "hello [redacted]"
                assert len(of(up, "initialize")) == 2
            assert up.book[-1].head.startswith(b"DELETE /mcp ")

    run(main())


def test_a_broken_stream_is_taken_up_again(tmp_path: Path, run: Run) -> None:
    pending: list[Any] = []

    def answers(exchange: Exchange, message: dict[str, Any]) -> bool:
        if message.get("method") == "tools/call":
            pending.append(message)
            note = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}'
            body = b"id: 7\nretry: 1\ndata:\n\nid: 8\nevent: message\ndata: %b\n\n" % note
            send(exchange, 200, body, SSE)
            return True
        if exchange.entry.head.startswith(b"GET"):
            assert exchange.entry.headers[b"last-event-id"] == b"8"
            said = {"content": [{"type": "text", "text": "at last"}]}
            data = json.dumps(reply(pending.pop(), said)).encode()
            send(exchange, 200, b": hm\r\n\r\nid: 9\r\ndata: %b\r\n\r\n" % data, SSE)
            return True
        return False

    async def main() -> None:
        async with (
            Upstream(plays(answers)) as up,
            opened(tmp_path, table(up), {"MINE": TOKEN}) as arm,
        ):
            assert (await called(arm, tmp_path, "mcp.box.echo")).text == "at last"
            assert len(of(up, "tools/call")) == 1

    run(main())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((302, b"", ("location", "http://127.0.0.1:1/mcp")), "redirects are not followed"),
        ((401, b"who?"), "refuses our credentials"),
        ((500, b"oops"), "answers with 500"),
        ((200, b"<html>", JSON), "what is no message"),
        ((200, b'{"jsonrpc":"2.0","id":"\xff"}', JSON), "what is no message"),
        ((200, b'data: {"jsonrpc":"2.0","id":"\xff"}\n\n', SSE), "what is no message"),
        ((200, b'{"jsonrpc":"2.0","id":999,"result":{}}', JSON), "no request of ours"),
        ((200, b"[" * 100_000, JSON), "what is no message"),
        ((200, b"data: {}\n\n", SSE), "ended without an answer"),
        ((200, "id: \u20ac\nretry: 1\ndata:\n\n".encode(), SSE), "cannot carry"),
        ((200, b"id: 5\nretry: 1\ndata:\n\n", SSE), "does not take it up again"),
        ((200, b"x" * 9_000_000, JSON), "cap"),
        ((200, b"data: " + b"x" * 9_000_000, SSE), "cap"),
        ((200, b'{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}}', JSON), "no"),
    ],
)
def test_a_bad_answer_is_one_failure(tmp_path: Path, run: Run, answer: Any, why: str) -> None:
    bad = [True]

    def answers(exchange: Exchange, message: dict[str, Any]) -> bool:
        if message.get("method") != "tools/call" or not bad[0]:
            return False
        status, body, *headers = answer
        send(exchange, status, body, *headers)
        return True

    async def main() -> None:
        async with (
            Upstream(plays(answers)) as up,
            opened(tmp_path, table(up), {"MINE": TOKEN}) as arm,
        ):
            with pytest.raises(Failed, match=why) as caught:
                await called(arm, tmp_path, "mcp.box.echo")
            assert TOKEN not in str(caught.value)
            assert all(entry.path == "/mcp" for entry in up.book)
            bad[0] = False
            assert (await called(arm, tmp_path, "mcp.box.echo")).text == "hello [redacted]"

    run(main())


def test_what_may_have_been_heard_is_not_said_again(tmp_path: Path, run: Run) -> None:
    def answers(exchange: Exchange, message: dict[str, Any]) -> bool:
        if message.get("method") != "tools/call":
            return False
        exchange.close()
        return True

    async def main() -> None:
        async with (
            Upstream(plays(answers)) as up,
            opened(tmp_path, table(up), {"MINE": TOKEN}) as arm,
        ):
            with pytest.raises(Failed):
                await called(arm, tmp_path, "mcp.box.echo")
            assert len(of(up, "tools/call")) == 1

    run(main())


def test_a_public_name_must_lead_to_a_public_address(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async def here(host: str, port: int, **_: Any) -> Any:
            return [(2, 1, 6, "", ("169.254.169.254", port))]

        asyncio.get_running_loop().getaddrinfo = here  # type: ignore[method-assign,assignment]
        text = "[mcp.box]\nurl = 'https://tools.example.com/mcp'\ntrust = 'first'\n"
        async with opened(tmp_path, text) as arm:
            assert "leads to no public address" in (await arm.ready())["box"]

    run(main())


def test_who_is_away_is_tried_again_later_and_later(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        text = "[mcp.box]\nurl = 'http://127.0.0.1:9/mcp'\n"
        async with opened(tmp_path, text) as arm:
            server = only(arm)
            now = [100.0]
            server._now = lambda: now[0]
            pauses = []
            for _ in range(9):
                assert "Cannot reach" in (await arm.ready())["box"]
                pauses.append(server._rests_until - now[0])
                if pauses[-1] > 0:
                    assert "it is tried again in" in (await arm.ready())["box"]
                now[0] += max(pauses[-1], 0)
            assert pauses[1:] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
            assert names(arm) == []

    run(main())


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ({"tools": [tool(f"t{n}") for n in range(300)]}, "more than 256 tools"),
        ({"tools": [], "nextCursor": "again"}, "more than 64 pages"),
        ({"tools": "none"}, "are no tools"),
        ({"tools": [7]}, "are no tools"),
    ],
)
def test_a_listing_has_an_end(tmp_path: Path, run: Run, page: Any, why: str) -> None:
    def answers(exchange: Exchange, message: dict[str, Any]) -> bool:
        if message.get("method") != "tools/list":
            return False
        send(exchange, 200, reply(message, page), JSON)
        return True

    async def main() -> None:
        async with (
            Upstream(plays(answers)) as up,
            opened(tmp_path, table(up), {"MINE": TOKEN}) as arm,
        ):
            assert why in (await arm.ready())["box"]
            assert names(arm) == []

    run(main())
