"""Large bodies are read, understood and written beside the event loop, which answers others."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octoplex.assembly import guards
from octoplex.server import chat, operations, passing, responses, strands, websocket
from octoplex.upstreams.single import SingleUpstream
from octoplex.upstreams.upstream import Upstream as Target
from octoplex.wire import ask
from octoplex.wire.beside import LARGE
from tests.server import caller, provider
from tests.server.conftest import Run
from tests.server.gate import PATHS, file, until
from tests.server.inside import inside
from tests.server.learning_scene import learning
from tests.server.talking import said, talk
from tests.upstream_server import Upstream, says

TEXT = "word é " * (LARGE // 7)
IMAGE = "QUJD" * (LARGE // 4)
GEMINI = "/v1beta/models/{}%2Fm:generateContent"


def body(path: str, model: str, *, image: bool) -> bytes:
    """A chat in the words of this path, with a long text or a large image."""
    url = f"data:image/png;base64,{IMAGE}"
    if path == GEMINI:
        part: Any = {"inlineData": {"mimeType": "image/png", "data": IMAGE}} if image else None
        parts = [part or {"text": TEXT}]
        return json.dumps({"contents": [{"role": "user", "parts": parts}]}).encode()
    if path == PATHS["openai-responses"]:
        part = {"type": "input_image", "image_url": url}
        turn = {"role": "user", "content": [part] if image else TEXT}
        return json.dumps({"model": model, "input": [turn], "store": False}).encode()
    if path == PATHS["anthropic"]:
        source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
        content: Any = [{"type": "image", "source": source}]
    else:
        content = [{"type": "image_url", "image_url": {"url": url}}]
    turn = {"role": "user", "content": content if image else TEXT}
    return json.dumps({"model": model, "max_tokens": 9, "messages": [turn]}).encode()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done with bodies on the event loop's thread."""
    seen: list[str] = []

    def watched(owner: Any, name: str, size: Callable[..., int]) -> None:
        does = getattr(owner, name)

        def watch(*args: Any, **named: Any) -> Any:
            on_loop = threading.current_thread() is threading.main_thread()
            if on_loop and size(*args) >= LARGE:
                seen.append(name)
            return does(*args, **named)

        monkeypatch.setattr(owner, name, watch)

    watched(chat, "read_call", lambda _, body, *rest: len(body))
    watched(ask, "check_utf8", len)
    watched(Target, "_sending", lambda _, call: len(call.raw))
    watched(SingleUpstream, "_request", lambda _, call: len(call.raw))
    watched(operations, "split", len)
    watched(passing, "named", lambda _, method, body: len(body))
    watched(strands, "split", len)
    watched(responses, "_row", lambda turn, *_: len(turn.call.raw))
    watched(websocket, "check_utf8", len)
    watched(guards, "compile_ruling", lambda wanted, *_: LARGE if wanted is guards.ALL else 0)
    return seen


@pytest.mark.parametrize("image", [False, True], ids=["text", "image"])
@pytest.mark.parametrize("to", ["a", "claude"])
@pytest.mark.parametrize("path", [*PATHS.values(), GEMINI])
def test_a_large_chat_holds_nobody_up(
    tmp_path: Path, run: Run, here: list[str], path: str, to: str, image: bool
) -> None:
    async def main() -> None:
        dialect = "anthropic" if to == "claude" else "openai-chat"
        async with Upstream(provider.whole(dialect)) as up:
            async with inside(tmp_path, file(**{to: up})) as gate:
                data = body(path, f"{to}/m", image=image)
                reply = await caller.ask(gate.port, "POST", path.format(to), data)
                assert reply.status == 200, reply.body
                assert b"Hello, world!" in reply.body
            assert len(up.book[0].body) >= LARGE
        assert not here

    run(main())


@pytest.mark.parametrize("path", ["/v1/embeddings", "/providers/a/v1/embeddings"])
def test_so_does_no_other_large_body(tmp_path: Path, run: Run, here: list[str], path: str) -> None:
    said = json.dumps({"data": [{"embedding": [1.0], "index": 0}], "model": "m"}).encode()

    async def main() -> None:
        async with (
            Upstream(says(said, billed=provider.BILL)) as up,
            inside(tmp_path, file(a=up)) as gate,
        ):
            data = json.dumps({"model": "a/m", "input": TEXT}).encode()
            reply = await caller.ask(gate.port, "POST", path, data)
            assert reply.status == 200, reply.body
        assert not here

    run(main())


def test_a_large_message_of_a_websocket_is_read_before_the_next(
    tmp_path: Path, run: Run, here: list[str]
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.streamed("openai-chat")) as up,
            inside(tmp_path, file(a=up)) as gate,
        ):
            async with talk(gate) as ws:
                await ws.create("a/m", TEXT, store=False)
                await ws.create("a/m", "Hi", store=False)
                assert [said(await ws.answer()) for _ in range(2)] == ["Hello, world!"] * 2
            assert [len(entry.body) >= LARGE for entry in up.book] == [True, False]
            async with talk(gate) as ws:
                await ws.socket.send([b"\xff" * LARGE, b"x"], text=True)
                assert (await ws.closed())[0] == 1007
        assert not here

    run(main())


def test_nothing_more_is_taken_while_a_large_message_is_read(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, read = threading.Event(), strands.Strands.read

    def slowly(self: strands.Strands, text: bytes) -> Any:
        go_on.wait(20)
        return read(self, text)

    monkeypatch.setattr(strands.Strands, "read", slowly)

    async def main() -> None:
        async with (
            Upstream(says(b"")) as up,
            inside(tmp_path, file(a=up)) as gate,
            talk(gate) as ws,
        ):
            sending = asyncio.create_task(ws.send(type="x", text=TEXT))
            (socket,) = [c for c in gate.connections if isinstance(c, websocket.WebSocket)]
            await until(lambda: socket.busy)
            assert not socket.transport.is_reading()
            go_on.set()
            await sending
            assert (await ws.event())["type"] == "error"
            await until(lambda: not socket.busy and socket.transport.is_reading())

    run(main())


def test_what_the_guard_looks_for_alone_is_compiled_beside_the_loop(
    tmp_path: Path, run: Run, here: list[str]
) -> None:
    async def main() -> None:
        async with Upstream(says(b"")) as up, inside(tmp_path, file(a=up)) as gate:
            reply = await caller.ask(gate.port, "POST", "/v1/guard", b'{"text": "x"}')
            assert reply.json["action"] == "allow"
        assert not here

    run(main())


def test_a_route_that_learns_reads_a_large_chat_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: list[str]
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch) as at:
            await at.taught()
            await at.ask(messages=[{"role": "user", "content": TEXT}])
            assert len(at.memory.decisions) == 1
        assert not here

    asyncio.run(main())


@pytest.mark.parametrize("bad", [b"\xff", b"\xe2\x82", b"\xed\xa0\x80"])
def test_what_is_not_utf8_is_found_wherever_it_stands(bad: bytes) -> None:
    text = ("é" * 3).encode()
    for at in (0, 1_000_000 - 1, 2_000_000):
        whole = b"a" * at + text + bad
        with pytest.raises(ask.InvalidCall, match="not UTF-8"):
            ask.check_utf8(whole)
        ask.check_utf8(b"a" * at + text + "€".encode() * 9)
