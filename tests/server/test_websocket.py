"""RFC 6455 as callers speak it, and as they should not: opening, frames, limits, closing."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Opcode

from octoplex.server.websocket import Limits
from tests.server import provider
from tests.server.caller import Line, request
from tests.server.check import error_of
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, until
from tests.server.inside import inside
from tests.server.talking import (
    PATH,
    close_code,
    frame,
    id_of,
    opened,
    opening,
    said,
    talk,
)
from tests.upstream_server import Exchange, Upstream, head

KEYS = "[keys.app]\nsecret = 'env:APP_KEY'\n"
HELLO = "Hello, world!"
AT_ONCE_S = 0.25


def create(**members: Any) -> bytes:
    asked = {"type": "response.create", "model": "a/m", "input": "Hi", **members}
    return json.dumps(asked).encode()


# -- opening ----------------------------------------------------------------------------------


def test_who_may_open_one(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(provider.streamed("openai-chat")) as up:
            text = file(KEYS, "cors = ['https://app.example']", a=up)
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                good = ("authorization", f"Bearer {APP_KEY}")
                cases: list[tuple[int, tuple[tuple[str, str], ...], str]] = [
                    (101, (good,), ""),
                    (101, (("x-api-key", APP_KEY),), ""),
                    (101, (good, ("origin", "http://localhost")), ""),  # Host is localhost
                    (101, (good, ("origin", "https://app.example")), ""),
                    (101, (good, ("upgrade", "WebSocket")), ""),
                    (101, (good, ("sec-websocket-extensions", "permessage-deflate")), ""),
                    (101, (good, ("sec-websocket-protocol", "realtime")), ""),
                    (401, (), ""),
                    (401, (("authorization", "Bearer oct-wrong"),), ""),
                    (400, (good, ("x-api-key", "oct-other")), ""),
                    (403, (good, ("origin", "https://evil.example")), ""),
                    (403, (good, ("origin", "null")), ""),
                    (403, (good, ("origin", "http://localhost:3000")), ""),
                    (400, (good,), "sec-websocket-key"),
                    (400, (good, ("sec-websocket-key", "c2hvcnQ=")), ""),
                    (400, (good, ("sec-websocket-key", "ä" * 24)), ""),
                    (426, (good, ("sec-websocket-version", "8")), ""),
                    (426, (good,), "sec-websocket-version"),
                    (405, (good,), "upgrade"),
                    (405, (good,), "connection"),
                    (405, (good, ("upgrade", "h2c")), ""),
                    (405, (good, ("content-length", "0")), ""),
                ]
                for status, more, without in cases:
                    async with gate.line() as line:
                        line.send(opening(*more, without=without))
                        reply = await line.head()
                        assert reply.status == status, (more, without)
                        if status != 101:
                            await line.rest(reply)
                        gate.seen.append(reply.raw)
                        if status == 101:
                            assert not {
                                "sec-websocket-extensions", "sec-websocket-protocol",
                            } & reply.headers.keys()  # fmt: skip
                            assert "x-request-id" in reply.headers
                        else:
                            error_of(reply, "openai-responses")
                        if status == 426:
                            assert reply.headers["sec-websocket-version"] == "13"
                        if status == 405:
                            assert reply.headers["allow"] == "POST"
                async with gate.line() as line:
                    line.send(opening(path=f"{PATH}?key={APP_KEY}"))
                    assert (await line.head()).status == 101
                assert up.book == []

    run(main())


def test_without_keys_only_this_machine_may(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream() as up, Gate(tmp_path, file(a=up)) as gate:
            for status, more in (
                (101, ("origin", "http://localhost")),
                (403, ("origin", "https://evil.example")),
                (403, ("host", "evil.example")),
            ):
                async with gate.line() as line:
                    line.send(opening(more))
                    assert (await line.head()).status == status, more

    run(main())


def test_an_offer_elsewhere_is_ignored_as_ever(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream() as up, Gate(tmp_path, file(a=up)) as gate:
            async with gate.line() as line:
                line.send(opening(path="/v1/models") + request("GET", "/health/live"))
                assert (await line.reply()).status == 200
                assert (await line.reply()).status == 200
            # behind a request that is still being answered there is no way to switch
            async with gate.line() as line:
                line.send(request("GET", "/health/live") + opening())
                assert [(await line.reply()).status for _ in range(2)] == [200, 405]
            async with gate.line() as line:  # but after one there is
                line.send(request("GET", "/health/live"))
                await line.reply()
                await opened(line)

    run(main())


# -- frames -----------------------------------------------------------------------------------


def test_a_message_in_pieces_with_pings_between_them(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.streamed("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            body = create(input="Grüße " * 1_000)
            async with talk(gate) as ws:
                pieces = [body[i : i + 101].decode("latin-1") for i in range(0, len(body), 101)]
                assert "".join(pieces).isascii()
                await ws.socket.send(pieces)
                assert said(await ws.answer()) == HELLO
            async with gate.line() as line:
                wire = b"".join(
                    frame(Opcode.CONT if i else Opcode.TEXT, body[i : i + 7], fin=False)
                    + frame(Opcode.PING, b"%d" % i)
                    for i in range(0, 70, 7)
                )
                wire += frame(Opcode.CONT, body[70:])
                line.send(opening() + wire[:50])  # frames may come with the head
                assert (await line.head()).status == 101
                for i in range(50, len(wire), 3):
                    line.send(wire[i : i + 3])
                    if i % 300 < 3:
                        await line.writer.drain()
                got = b""
                while b"response.completed" not in got:
                    async with asyncio.timeout(10):
                        got += await line.reader.read(65_536)
                assert got.startswith(b"\x8a\x010\x8a\x017"), "each ping is answered, with its data"
            assert len(up.book) == 2

    run(main())


BROKEN = {
    "unmasked": (frame(Opcode.TEXT, b"{}", mask=False), 1002),
    "reserved bit": (b"\xc1\x80\0\0\0\0", 1002),
    "reserved opcode": (b"\x83\x80\0\0\0\0", 1002),
    "a long ping": (b"\x89\xfe\x01\x00\0\0\0\0" + b"x" * 256, 1002),
    "a ping in pieces": (b"\x09\x80\0\0\0\0", 1002),
    "a piece of nothing": (frame(Opcode.CONT, b"{}"), 1002),
    "two beginnings": (frame(Opcode.TEXT, b"{", fin=False) + frame(Opcode.TEXT, b"{}"), 1002),
    "a close of one byte": (frame(Opcode.CLOSE, b"\x03"), 1002),
    "binary": (frame(Opcode.BINARY, b"{}"), 1003),
    "no UTF-8": (frame(Opcode.TEXT, b'{"type":"\xff"}'), 1007),
    "too large": (frame(Opcode.TEXT, b" " * 5_000), 1009),
    "too large in pieces": (
        frame(Opcode.TEXT, b" " * 3_000, fin=False) + frame(Opcode.CONT, b" " * 3_000),
        1009,
    ),
    "a size beyond reason": (b"\x81\xff\x7f" + b"\xff" * 7 + b"\0\0\0\0", 1009),
    "HTTP": (request("GET", "/health/live"), 1002),
    "a goodbye": (frame(Opcode.CLOSE, b"\x03\xe8bye"), 1000),
}


def test_nonsense_ends_its_own_connection_with_a_code(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.streamed("openai-chat")) as up,
            Gate(tmp_path, file("", "max_body = '4 KB'", a=up)) as gate,
            talk(gate) as other,
        ):
            for name, (wire, code) in BROKEN.items():
                async with gate.line() as line:
                    await opened(line)
                    line.send(wire)
                    assert await close_code(line) == code, name
            assert up.book == []
            await other.create("a/m")
            assert said(await other.answer()) == HELLO

    run(main())


# -- limits -----------------------------------------------------------------------------------


def test_one_that_has_fallen_silent_is_given_up(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream() as up, inside(tmp_path, file(a=up)) as at:
            at.app.socket_limits = Limits(ping_s=0.05, silent_s=0.3)
            async with at.line() as deaf, talk(at) as awake:
                await opened(deaf)
                got = await deaf.ended()
                assert b"\x89\x00" in got, "it was pinged"
                assert b"\x88" not in got, "nobody is there to say goodbye to"
                await asyncio.wait_for(await awake.socket.ping(), 5)

    run(main())


def test_one_that_asks_nothing_for_long_is_closed(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.streamed("openai-chat")) as up,
            inside(tmp_path, file(a=up)) as at,
        ):
            at.app.socket_limits = Limits(ping_s=0.05, idle_s=0.3)
            async with talk(at) as ws:
                await ws.create("a/m")
                await ws.answer()
                assert (await ws.closed())[0] == 1001

    run(main())


def test_its_age_ends_it_after_what_is_being_answered(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        seen = asyncio.Event()
        tail = b"".join(provider.chat_events()[3:])
        play = provider.broken_after("openai-chat", 3, "done", seen, tail)
        async with Upstream(play) as up, inside(tmp_path, file(a=up)) as at:
            at.app.socket_limits = Limits(ping_s=0.05, life_s=0.2)
            async with talk(at) as ws:
                await ws.create("a/m")
                await ws.create("a/m")
                await ws.until("response.output_text.delta")
                code = "websocket_connection_limit_reached"
                while True:  # until its age is noticed
                    await ws.create("nobody/m", stream_id="late")
                    if (await ws.refused("late"))["error"]["code"] == code:
                        break
                seen.set()
                assert said(await ws.answer()) == HELLO, "what runs is finished"
                assert (await ws.refused())["error"]["code"] == code, "what waits is not begun"
                assert (await ws.refused())["error"]["code"] == code, "and why it ends is said"
                assert (await ws.closed())[0] == 1001
                assert len(up.book) == 1

    run(main())


@pytest.mark.parametrize("how", ["reset", "goodbye"])
def test_a_slow_reader_pauses_the_upstream(tmp_path: Path, run: Run, how: str) -> None:
    full = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        exchange.send(head(200, kind))
        while not exchange.gone.is_set():
            exchange.chunk(provider.chunk({"content": "x" * 10_000}))
            if exchange.buffered() > 1_000_000:
                full.set()
            await exchange.flushed()
        full.set()

    async def main() -> None:
        async with (
            Upstream(endless) as up,
            Gate(tmp_path, file(a=up, each="timeouts = { idle_s = 20.0 }")) as gate,
        ):
            async with Line(gate.port, small=True) as line:
                await opened(line)
                line.send(frame(Opcode.TEXT, create()))
                await until(lambda: up.book and up.book[0].sent > 1_000_000)
                sent, still = 0, 0
                while still < 20:  # nothing goes out any more: it waits for its reader
                    await asyncio.sleep(0.02)
                    still = still + 1 if up.book[0].sent == sent else 0
                    sent = up.book[0].sent
                assert up.book[0].closed_at is None
                left_at = asyncio.get_running_loop().time()
                if how == "reset":
                    line.leave(hard=True)
                else:  # what we wrote is still unread, and may be for ever
                    line.send(frame(Opcode.CLOSE, b"\x03\xe8"))
                await until(lambda: up.book[0].closed_at is not None)
                assert up.book[0].closed_at is not None
                assert up.book[0].closed_at - left_at < AT_ONCE_S
            (row,) = await gate.rows(1)
            assert row["outcome"] == "left"

    run(main())


def test_whoever_pings_and_never_reads_is_cut_off(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream() as up, Gate(tmp_path, file(a=up)) as gate:
            async with Line(gate.port, small=True) as line:
                await opened(line)
                flood = frame(Opcode.PING, b"x" * 125) * 1_000
                with contextlib.suppress(ConnectionError):
                    async with asyncio.timeout(10):
                        while True:
                            line.send(flood)
                            await line.writer.drain()
            async with talk(gate) as ws:
                await asyncio.wait_for(await ws.socket.ping(), 5)

    run(main())


def test_ids_are_of_each_request(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.streamed("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
            talk(gate) as ws,
        ):
            ids = []
            for _ in range(2):
                await ws.create("a/m")
                ids.append(id_of(await ws.answer()))
            assert len({*ids}) == 2
            assert len({r["id"] for r in await gate.records(2)}) == 2

    run(main())
