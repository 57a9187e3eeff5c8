"""Streams that fail: F07, F11, F12, F14, F20, F23, over real sockets, on all four crossings."""

import asyncio
import json
import resource
from pathlib import Path

import pytest

from octoplex.client import AsyncOctoplex
from octoplex.server.out import Quiet
from tests.server import provider
from tests.server.caller import Reply, comments
from tests.server.check import error_of, failed, finished, text_of
from tests.server.conftest import Run
from tests.server.gate import QUICK, file, route, until
from tests.server.inside import inside
from tests.server.scene import CROSSINGS, Scene, scene
from tests.upstream_server import Exchange, Play, Upstream, head, streams

COUNT = {"openai-chat": 3, "anthropic": 4}
"""Events up to the second word."""


ALONE = "".join(f'[models.{n}]\ntry = ["{n}/m"]\nrescue = "off"\n' for n in ("a", "claude"))
"""Routes on which a stream that breaks is not asked for again."""


async def _watched(at: Scene, crossing: tuple[str, str], seen: asyncio.Event) -> Reply:
    """A stream's whole reply, of a route in `ALONE`; its provider goes on after the second word."""
    face, name = crossing
    async with at.gate.line() as line:
        line.send(at.gate.question(name, face, stream=True))
        reply = await line.head()
        assert reply.status == 200
        got = await line.until(b'", "')
        seen.set()
        await line.rest(reply)
        reply.body = got + reply.body
        at.gate.seen.append(reply.raw)
    return reply


async def _cut(at: Scene, seen: asyncio.Event, code: str) -> None:
    for crossing in CROSSINGS:
        face = crossing[0]
        reply = await _watched(at, crossing, seen)
        assert failed(reply, face)["code"] == code
        assert text_of(reply, face) == "Hello, "
        said = comments(reply.body)
        assert [c for c in said if c.startswith("x-octoplex-cost-nano:")]
        assert "estimated" in said[-2]
    for row in await at.gate.rows(4):
        assert row["outcome"] == "cut"
        assert row["estimated"]
        assert 0 < row["nano"] <= row["reserved_nano"]
        assert row["output_tokens"] >= 2
        if row["provider"] == "claude":  # the head of its stream had said so
            assert row["input_tokens"] == provider.BILL[0]
    for record in await at.gate.records(4):
        assert record["outcome"] == "cut"
        assert record["estimated"]
        assert record["attempts"][-1]["outcome"] == "cut"
    assert len(at.book) == 4  # never restarted in silence


@pytest.mark.parametrize("end", ["reset", "close", "done"])
def test_f07_a_stream_cut_after_content_fails_in_band(tmp_path: Path, run: Run, end: str) -> None:
    """`done`: the connection ends politely, but nobody said why the model stopped."""

    async def main() -> None:
        seen = asyncio.Event()
        async with scene(
            tmp_path, lambda d: [provider.broken_after(d, COUNT[d], end, seen)], ALONE
        ) as at:
            await _cut(at, seen, "bad_upstream_response")

    run(main())


def test_f12_a_stall_after_content_fails_in_band(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        seen = asyncio.Event()
        async with scene(
            tmp_path, lambda d: [provider.broken_after(d, COUNT[d], "stall", seen)], ALONE
        ) as at:
            await _cut(at, seen, "upstream_slow")
            await until(lambda: all(e.closed_at is not None for e in at.book))

    run(main())


def test_f07_a_partial_event_never_reaches_the_caller(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        seen = asyncio.Event()

        def plays(dialect: str) -> list[Play]:
            half = provider.stream_of(dialect)[COUNT[dialect]][:-9]
            return [provider.broken_after(dialect, COUNT[dialect], "reset", seen, half)]

        async with scene(tmp_path, plays, ALONE) as at:
            await _cut(at, seen, "bad_upstream_response")

    run(main())


def test_an_error_event_in_the_read_of_the_last_content_is_told_at_once(
    tmp_path: Path, run: Run
) -> None:
    """The upstream says what it has to say, and then keeps the connection open."""

    async def main() -> None:
        seen = asyncio.Event()

        def plays(dialect: str) -> list[Play]:
            last = provider.stream_of(dialect)[COUNT[dialect]] + provider.sorry(dialect)
            return [provider.broken_after(dialect, COUNT[dialect], "stall", seen, last)]

        async with scene(tmp_path, plays, ALONE, each="timeouts = { idle_s = 10.0 }") as at:
            loop = asyncio.get_running_loop()
            for crossing in CROSSINGS:
                began = loop.time()
                reply = await _watched(at, crossing, seen)
                assert failed(reply, crossing[0])["code"] == "upstream_overloaded"
                assert loop.time() - began < 3, "it waited for more"
                assert text_of(reply, crossing[0]) == "Hello, world"
            rows = await at.gate.rows(4)
            assert all(r["outcome"] == "cut" and r["nano"] for r in rows)

    run(main())


def test_content_and_an_error_in_one_read_cost_what_came(tmp_path: Path, run: Run) -> None:
    """Nothing had gone to the caller, so another target could be asked; what came is billed."""

    async def main() -> None:
        def plays(dialect: str) -> list[Play]:
            made = provider.stream_of(dialect)[: COUNT[dialect]]
            return [streams([b"".join(made) + provider.sorry(dialect)])]

        more = _once("one", "a/m") + _once("two", "claude/m")
        async with scene(tmp_path, plays, more) as at:
            for face, _ in CROSSINGS[::2]:
                for name in ("one", "two"):
                    reply = await at.gate.chat(name, face, stream=True)
                    assert error_of(reply, face)["code"] == "upstream_overloaded"
            for row in await at.gate.rows(4):
                assert row["estimated"]
                assert 0 < row["output_tokens"] < 20
                assert row["nano"] == provider.nano((row["input_tokens"], row["output_tokens"]))
                assert row["nano"] < row["reserved_nano"]

    run(main())


def test_a_stream_that_fails_before_content_is_not_billed(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        def plays(dialect: str) -> list[Play]:
            return [streams([provider.stream_of(dialect)[0], provider.sorry(dialect)])]

        more = "[models.x]\ntry = ['a/m']\nretry = { attempts = 1 }\n"
        more += "[models.y]\ntry = ['claude/m']\nretry = { attempts = 1 }\n"
        async with scene(tmp_path, plays, more) as at:
            for face, _ in CROSSINGS[::2]:
                for model in "xy":
                    reply = await at.gate.chat(model, face, stream=True)
                    assert reply.status == (529 if face == "anthropic" else 503)
                    assert error_of(reply, face)["code"] == "upstream_overloaded"
            rows = await at.gate.rows(4)
            assert [(r["state"], r["nano"]) for r in rows] == [("released", 0)] * 4

    run(main())


# -- F11: keep-alives -----------------------------------------------------------------------


def _hurry() -> Quiet:
    return Quiet(after_s=0.1, step_s=0.02)


def _late(dialect: str, gap_s: float, end: str = "done") -> Play:
    async def play(exchange: Exchange) -> None:
        kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        exchange.send(head(200, kind))
        made = provider.stream_of(dialect)
        exchange.chunk(made[0])
        await asyncio.sleep(gap_s)  # the model thinks
        if end == "reset":
            exchange.reset()
            return
        exchange.bill(*provider.BILL)
        for event in made[1:]:
            exchange.chunk(event)
        exchange.send(b"0\r\n\r\n")

    return play


def test_f11_a_model_that_thinks_is_kept_alive(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(_late("openai-chat", 0.4)) as a,
            Upstream(_late("anthropic", 0.4)) as claude,
            inside(tmp_path, file(a=a, claude=claude), _hurry()) as gate,
        ):
            for face, name in CROSSINGS:
                reply = await gate.chat(f"{name}/m", face, stream=True)
                finished(reply, face)
                assert text_of(reply, face) == "Hello, world!"
                first = reply.pieces[0][1]
                assert first == b": keep-alive\n\n"
                assert sum(p == first for _, p in reply.pieces) >= 2
                assert reply.headers["x-request-id"]
            assert [r["nano"] for r in await gate.rows(4)] == [provider.nano(provider.BILL)] * 4

    run(main())


def test_f11_another_target_may_still_answer_after_keep_alives(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(_late("openai-chat", 0.4, "reset")) as a,
            Upstream(provider.streamed("anthropic")) as claude,
            inside(
                tmp_path, file(_once("main", "a/m", "claude/m"), a=a, claude=claude), _hurry()
            ) as gate,
        ):
            for face in ("openai-chat", "anthropic"):
                reply = await gate.chat("main", face, stream=True)
                finished(reply, face)
                assert reply.pieces[0][1] == b": keep-alive\n\n"
                assert text_of(reply, face) == "Hello, world!"
                said = comments(reply.body)
                assert "x-octoplex-attempts: 2" in said
                for told in ("model: claude/m", "route: main", "cache: off"):
                    assert f"x-octoplex-{told}" in said, "no header could say it any more"
            async with AsyncOctoplex(url=f"http://127.0.0.1:{gate.port}") as ours:
                stream = await ours.chat("main", "Hello", stream=True)
                assert (await stream.reply()).text == "Hello, world!"
                assert stream.receipt.target == "claude/m"
            await gate.rows(6)

    run(main())


def test_f11_a_failure_after_keep_alives_is_in_band(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(_late("openai-chat", 0.3, "reset")) as a,
            inside(tmp_path, file(_once("one", "a/m"), a=a), _hurry()) as gate,
        ):
            for face in ("openai-chat", "anthropic"):
                reply = await gate.chat("one", face, stream=True)
                assert failed(reply, face)["code"] == "bad_upstream_response"
                assert reply.pieces[0][1] == b": keep-alive\n\n"
            await gate.rows(2)

    run(main())


def _once(name: str, *targets: str) -> str:
    return route(name, *targets, more="retry = { attempts = 1 }")


# -- sizes and slow readers -----------------------------------------------------------------


def test_f14_a_slow_reader_pauses_the_upstream(tmp_path: Path, run: Run) -> None:
    async def flood(exchange: Exchange) -> None:
        exchange.bill(*provider.BILL)
        kind = [("content-type", "text/event-stream"), ("connection", "close")]
        exchange.send(head(200, kind))
        event = provider.chunk({"role": "assistant", "content": "x" * 20_000})
        for _ in range(1000):
            await exchange.flushed()
            if exchange.gone.is_set():
                return
            exchange.send(event)

    async def main() -> None:
        async with (
            Upstream(flood) as up,
            inside(tmp_path, file(a=up)) as gate,
            gate.line(small=True) as line,
        ):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            line.send(gate.question("a/m", stream=True))
            await line.head()
            await until(lambda: bool(up.book) and up.book[0].sent > 100_000)
            sent = -1
            while sent != up.book[0].sent:  # it goes on until the buffers on the way are full
                sent = up.book[0].sent
                await asyncio.sleep(0.25)
            assert sent < 12_000_000, "nobody paused the provider"
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert grown < 30_000, f"{grown} kB for one slow reader"
            line.leave()
            await until(lambda: up.book[0].closed_at is not None)

    run(main())


def test_f20_letters_split_between_reads_arrive_whole(tmp_path: Path, run: Run) -> None:
    words = ["Grüße ", "日本", "🦑!"]

    async def main() -> None:
        def plays(dialect: str) -> list[Play]:
            made = _wide(dialect, words)
            return [streams([made[i : i + 3] for i in range(0, len(made), 3)], billed=(12, 7))]

        async with scene(tmp_path, plays) as at:
            for face, name in CROSSINGS:
                reply = await at.gate.chat(f"{name}/m", face, stream=True)
                finished(reply, face)
                assert text_of(reply, face) == "".join(words)
            await at.gate.rows(4)

    run(main())


def _wide(dialect: str, words: list[str]) -> bytes:
    """A stream whose text stands there as UTF-8, not as escapes."""
    events = provider.chat_events(words) if dialect == "openai-chat" else None
    made = b"".join(events or provider.message_events(words))
    for word in words:
        made = made.replace(json.dumps(word)[1:-1].encode(), word.encode())
    return made


def test_f20_invalid_utf8_is_not_forwarded(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        def plays(dialect: str) -> list[Play]:
            made = provider.stream_of(dialect)
            at = 2 if dialect == "openai-chat" else 3
            bad = made[at].replace(b", ", b"\xff\xfe").replace(b"Hello", b"\xff\xfe")
            return [streams([*made[:at], bad, *made[at:]], billed=(12, 7))]

        async with scene(tmp_path, plays) as at:
            for face, name in CROSSINGS:
                reply = await at.gate.chat(f"{name}/m", face, stream=True)
                assert b"\xff" not in reply.body
                finished(reply, face)
            await at.gate.rows(4)
            metrics = (await at.gate.get("/metrics")).body
            assert b"octoplex_events_skipped_total 4\n" in metrics

    run(main())


@pytest.mark.parametrize("after_content", [False, True])
def test_f23_a_line_without_end_is_not_kept_in_memory(
    tmp_path: Path, run: Run, after_content: bool
) -> None:
    async def endless(exchange: Exchange) -> None:
        kind = [("content-type", "text/event-stream"), ("connection", "close")]
        exchange.send(head(200, kind))
        if after_content:
            exchange.send(b"".join(provider.chat_events()[:3]))
        exchange.send(b'data: {"x": "')
        for _ in range(100):
            await exchange.flushed()
            if exchange.gone.is_set():
                return
            exchange.send(b"y" * 500_000)

    async def main() -> None:
        async with (
            Upstream(endless) as up,
            inside(tmp_path, file(_once("one", "a/m"), each=QUICK, a=up)) as gate,
        ):
            for face in ("openai-chat", "anthropic"):
                reply = await gate.chat("one", face, stream=True)
                error = failed(reply, face) if after_content else error_of(reply, face)
                assert error["code"] == "bad_upstream_response"
            await until(lambda: all(e.closed_at is not None for e in up.book))
            assert all(e.sent < 20_000_000 for e in up.book)
            await gate.rows(2)

    run(main())
