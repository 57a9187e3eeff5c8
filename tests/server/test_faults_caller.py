"""Callers that leave, and bodies that do not come: F38-F41, over real sockets."""

import asyncio
import json
from pathlib import Path

import pytest

from octoplex.server import protocol
from tests.server import provider
from tests.server.caller import request
from tests.server.check import FACES, error_of, finished
from tests.server.conftest import Run
from tests.server.gate import PATHS, Gate, file, question, route, until
from tests.server.inside import inside
from tests.server.scene import CROSSINGS, Scene, scene
from tests.upstream_server import Exchange, Play, Upstream, head, stalls

AT_ONCE_S = 0.25


async def _closed(at: Scene, name: str, left_at: float) -> None:
    entry = at.of(name).book[-1]
    await until(lambda: entry.closed_at is not None)
    assert entry.closed_at is not None
    assert entry.closed_at - left_at < AT_ONCE_S


@pytest.mark.parametrize("size", [10, 100_000, 300_000])
@pytest.mark.parametrize("hard", [False, True])
def test_f38_leaving_before_the_answer(tmp_path: Path, run: Run, hard: bool, size: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with scene(tmp_path, lambda d: [stalls()], each="") as at:
            asked = 0
            for face, name in CROSSINGS:
                for stream in (False, True):
                    async with at.gate.line() as line:
                        line.send(
                            at.gate.question(f"{name}/m", face, stream=stream, user="x" * size)
                        )
                        asked += 1
                        await until(lambda: len(at.book) == asked)  # noqa: B023
                        left_at = loop.time()
                        line.leave(hard)
                        await _closed(at, name, left_at)
            for row in await at.gate.rows(asked):
                assert row["outcome"] == "left"
                assert row["estimated"]  # the request had gone out
                assert 0 < row["nano"] < row["reserved_nano"]
                assert row["output_tokens"] == 0
            for record in await at.gate.records(asked):
                assert (record["outcome"], record["status"]) == ("left", 499)

    run(main())


def test_f38_leaving_between_two_attempts(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        more = route("main", "a/m", more="retry = { attempts = 3, backoff_s = 2.0 }")
        async with scene(tmp_path, lambda d: [provider.fails(d, 500)], more) as at:
            async with at.gate.line() as line:
                line.send(at.gate.question("main"))
                await until(lambda: len(at.book) == 1)
            assert [r["nano"] for r in await at.gate.rows(1)] == [0]
            (record,) = await at.gate.records()
            assert record["outcome"] == "left"
            assert record["nano"] == 0
            assert len(at.book) == 1

    run(main())


@pytest.mark.parametrize("hard", [False, True])
def test_f39_leaving_mid_stream(tmp_path: Path, run: Run, hard: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def plays(dialect: str) -> list[Play]:
            return [provider.broken_after(dialect, 4, "stall", asyncio.Event())]

        async with scene(tmp_path, plays, each="") as at:
            for face, name in CROSSINGS:
                async with at.gate.line() as line:
                    line.send(at.gate.question(f"{name}/m", face, stream=True))
                    await line.head()
                    await line.until(b"Hello")
                    left_at = loop.time()
                    line.leave(hard)
                    await _closed(at, name, left_at)
            for row in await at.gate.rows(4):
                assert row["outcome"] == "left"
                assert row["estimated"]
                assert 0 < row["nano"] < row["reserved_nano"]
                assert row["output_tokens"] > 0
            for record in await at.gate.records(4):
                assert record["outcome"] == "left"
                assert record["attempts"][0]["outcome"] == "left"

    run(main())


def test_f40_leaving_after_the_last_event_is_success(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with scene(
            tmp_path, lambda d: [provider.broken_after(d, 9, "stall", asyncio.Event())], each=""
        ) as at:
            for face, name in CROSSINGS:
                async with at.gate.line() as line:
                    line.send(at.gate.question(f"{name}/m", face, stream=True))
                    await line.head()
                    await line.until(b"message_stop" if face == "anthropic" else b"[DONE]")
                    line.leave(hard=True)
            for row in await at.gate.rows(4):
                assert row["outcome"] == "done"
                assert (row["nano"], row["estimated"]) == (provider.nano(provider.BILL), 0)
            for record in await at.gate.records(4):
                assert (record["outcome"], record["status"]) == ("done", 200)

    run(main())


def test_f41_a_body_cut_short_is_not_sent_on(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with scene(tmp_path, lambda d: [provider.whole(d)]) as at:
            body = question("a/m")
            for face in FACES:
                async with at.gate.line() as line:
                    line.send(request("POST", PATHS[face], body[:-20] + b" " * 20))
                    reply = await line.reply()
                    assert reply.status == 400
                    error_of(reply, face)
                async with at.gate.line() as line:
                    pairs = [("content-length", str(len(body)))]
                    line.send(request("POST", PATHS[face], None, pairs) + body[:-5])
                    line.writer.write_eof()
                    assert (await line.ended()).startswith(b"HTTP/1.1 400")
                for data in (b"zz\r\n{}\r\n0\r\n\r\n", b"5\r\nabc\r\n0\r\n\r\n", b"-1\r\n\r\n"):
                    async with at.gate.line() as line:
                        chunked = [("transfer-encoding", "chunked")]
                        line.send(request("POST", PATHS[face], None, chunked))
                        line.send(data)
                        reply = await line.reply()
                        assert reply.status == 400, data
                        assert reply.headers["connection"] == "close"
                        assert await line.ended() == b""
            assert at.book == []
            records = (await at.gate.get("/v1/requests")).json["data"]
            assert {(r["outcome"], r["status"]) for r in records} == {
                ("failed", 400),
                ("left", 499),
            }

    run(main())


def test_f41_chunked_bodies_in_any_pieces(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with scene(tmp_path, lambda d: [provider.whole(d)]) as at:
            body = question("a/m")
            async with at.gate.line() as line:
                line.send(
                    request("POST", PATHS["openai-chat"], None, [("transfer-encoding", "chunked")])
                )
                for i in range(0, len(body), 5):
                    piece = body[i : i + 5]
                    line.send(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
                    await line.writer.drain()
                line.send(b"0\r\ntrailer: x\r\n\r\n")
                assert (await line.reply()).status == 200
                # and the connection is good for another one
                line.send(request("POST", PATHS["openai-chat"], body))
                assert (await line.reply()).status == 200
            sent = [json.loads(e.body) for e in at.a.book]
            assert sent == [{**json.loads(body), "model": "m"}] * 2

    run(main())


def test_f41_a_body_that_stops_coming(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "UPLOAD_GAP_S", 0.2)

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            inside(tmp_path, file(a=up)) as gate,
        ):
            for face in FACES:
                async with gate.line() as line:
                    pairs = [("content-length", "500")]
                    line.send(request("POST", PATHS[face], None, pairs) + b'{"model":')
                    reply = await line.reply()
                    assert reply.status == 408
                    assert error_of(reply, face)["code"] == "caller_slow"
                    assert reply.headers["connection"] == "close"
            assert up.book == []

    run(main())


def test_f39_a_caller_that_only_stops_sending_is_still_answered(tmp_path: Path, run: Run) -> None:
    """Half-closing after the request is legal (RFC 9112 9.6); it must not corrupt anything."""

    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.1)
        await provider.whole("openai-chat")(exchange)

    async def main() -> None:
        async with Upstream(slow) as up, Gate(tmp_path, file(a=up)) as gate:
            async with gate.line() as line:
                line.send(gate.question("a/m"))
                line.writer.write_eof()
                said = await line.ended()
                assert said == b"" or said.startswith(b"HTTP/1.1 200")
            await gate.rows(1)

    run(main())


def test_leaving_does_not_disturb_others(tmp_path: Path, run: Run) -> None:
    """Half of fifty callers leave at odd moments; the others get everything."""

    async def paced(exchange: Exchange) -> None:
        exchange.bill(*provider.BILL)
        exchange.send(head(200, [("content-type", "text/event-stream"), ("connection", "close")]))
        for event in provider.chat_events():
            if exchange.gone.is_set():
                return
            exchange.send(event)
            await asyncio.sleep(0.01)
        exchange.close()

    async def main() -> None:
        async with Upstream(paced) as up, inside(tmp_path, file(a=up)) as gate:

            async def one(number: int) -> None:
                face = FACES[number % 2]
                if number % 3:
                    finished(await gate.chat("a/m", face, stream=True), face)
                    return
                async with gate.line() as line:
                    line.send(gate.question("a/m", face, stream=True))
                    await asyncio.sleep(number * 0.002)
                    line.leave(hard=number % 2 == 0)

            await asyncio.gather(*(one(number) for number in range(50)))
            await until(lambda: gate.works.book.open_nano == 0)
            await gate.works.store.drain()
            rows = gate.works.store.reader.attempts()
            good = [r for r in rows if r["outcome"] == "done"]
            assert len(good) >= 17
            assert len([r for r in rows if r["state"] == "settled"]) >= len(up.book)
            assert {r["nano"] for r in good} == {provider.nano(provider.BILL)}

    run(main())
