"""Websockets that break, are left, or meet a server that stops: nobody is misled."""

import asyncio
import signal
from pathlib import Path

import pytest

from octoplex.server.out import Quiet
from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route, until
from tests.server.inside import inside
from tests.server.responses_scene import config
from tests.server.talking import Gated, Talk, said, talk
from tests.server.turns import turns
from tests.upstream_server import Exchange, Upstream, stalls

HELLO = "Hello, world!"
AT_ONCE_S = 0.25


# -- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["reset", "close", "done"])
def test_a_stream_that_breaks_says_so_on_its_strand(tmp_path: Path, run: Run, end: str) -> None:
    async def main() -> None:
        seen = asyncio.Event()
        plays = [provider.broken_after("openai-chat", 3, end, seen)]
        plays += [provider.streamed("openai-chat")]
        alone = route("main", "a/m", "b/m", more='rescue = "off"')
        async with (
            Upstream(*plays) as up,
            Gate(tmp_path, file(alone, a=up, b=up)) as gate,
            talk(gate) as ws,
        ):
            await ws.create("main", stream_id="s", store=False)
            await ws.until("response.output_text.delta", "s")
            seen.set()
            *_, error, failed = await ws.answer("s")
            assert (error["type"], failed["type"]) == ("error", "response.failed")
            assert {error["stream_id"], failed["stream_id"]} == {"s"}
            assert error["error"]["octoplex"]["code"] == "bad_upstream_response"
            await ws.create("main", stream_id="s")
            assert said(await ws.answer("s")) == HELLO
            assert [r["outcome"] for r in await gate.rows(2)] == ["cut", "done"]

    run(main())


def test_an_event_without_members_is_marked_too(tmp_path: Path, run: Run) -> None:
    """Every text is JSON, whatever a provider of this dialect puts between its events."""

    async def noisy(exchange: Exchange) -> None:
        say = exchange.chunk
        vars(exchange)["chunk"] = lambda data: say(b"data: {}\n\n" + data)
        await turns("openai-responses", stream=True)[1](exchange)

    async def main() -> None:
        async with (
            Upstream(noisy) as up,
            Gate(tmp_path, config(up=("openai-responses", up)), key=APP_KEY) as gate,
            talk(gate) as ws,
        ):
            await ws.create("up/m", stream_id="s")
            event = await ws.event()
            assert event == {"stream_id": "s"}
            while event.get("type") != "response.completed":
                event = await ws.event()

    run(main())


def test_what_fails_before_content_falls_over(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        more = route("main", "a/m", "claude/m", more="retry = { attempts = 1 }")
        async with (
            Upstream(provider.fails("openai-chat", 500)) as up,
            Upstream(provider.streamed("anthropic")) as claude,
            Gate(tmp_path, file(more, a=up, claude=claude)) as gate,
            talk(gate) as ws,
        ):
            await ws.create("main")
            assert said(await ws.answer()) == HELLO
            (record,) = await gate.records(1)
            assert [a["target"] for a in record["attempts"]] == ["a/m", "claude/m"]
            await ws.create("a/m", stream_id="s")
            event = await ws.refused("s")
            assert event["status"] == 500
            assert event["error"]["headers"]["x-should-retry"] == "false"

    run(main())


def test_a_long_silence_sends_no_comment(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(stalls()) as up:
            text = file(
                route("main", "a/m", more="retry = { attempts = 1 }"),
                each="timeouts = { header_s = 0.3 }",
                a=up,
            )
            async with inside(tmp_path, text, Quiet(after_s=0.05, step_s=0.02)) as at:
                async with talk(at) as ws:
                    await ws.create("main")
                    error, failed = await ws.answer()
                    assert error["error"]["octoplex"]["code"] == "upstream_slow"
                    assert failed["response"]["status"] == "failed"
                await at.rows(1)

    run(main())


# -- leaving and stopping ---------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "close", "goodbye"])
def test_whoever_leaves_closes_its_providers(tmp_path: Path, run: Run, how: str) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.broken_after("openai-chat", 3, "stall", asyncio.Event())) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            async with talk(gate, close_timeout=0.1) as ws:
                for strand in ("one", "two", "two"):
                    await ws.create("a/m", stream_id=strand)
                for strand in ("one", "two"):
                    await ws.until("response.output_text.delta", strand)
                left_at = asyncio.get_running_loop().time()
                await leave(ws, how)
                await until(lambda: all(e.closed_at is not None for e in up.book))
                for entry in up.book:
                    assert entry.closed_at is not None
                    assert entry.closed_at - left_at < AT_ONCE_S
            rows = await gate.rows(2)
            assert {(r["outcome"], r["estimated"]) for r in rows} == {("left", 1)}
            assert [r["outcome"] for r in await gate.records(2)] == ["left"] * 2
            assert len(up.book) == 2, "what waited was never asked"

    run(main())


async def leave(ws: Talk, how: str) -> None:
    if how == "abort":
        ws.socket.transport.abort()
    elif how == "close":
        ws.socket.transport.close()
    else:
        await ws.socket.close()


def test_stopping_finishes_what_runs(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        async with Upstream(gated) as up, Gate(tmp_path, file(a=up)) as gate:
            async with talk(gate) as ws, talk(gate) as idle:
                await ws.create("a/m")
                await ws.create("a/m")
                await ws.until("response.output_text.delta")
                gate.process.send_signal(signal.SIGTERM)
                assert (await idle.closed())[0] == 1001
                gated.let()
                assert said(await ws.answer()) == HELLO
                event = await ws.refused()
                assert event["error"]["octoplex"]["code"] == "stopping"
                assert (await ws.closed())[0] == 1001
            await until(lambda: gate.process.poll() is not None)
            assert len(up.book) == 1

    run(main())


def test_stopping_does_not_wait_for_ever(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.broken_after("openai-chat", 3, "stall", asyncio.Event())) as up,
            Gate(tmp_path, file("", "", a=up).replace("drain_s = 2.0", "drain_s = 0.2")) as gate,
        ):
            async with talk(gate) as ws:
                await ws.create("a/m")
                await ws.until("response.output_text.delta")
                gate.process.send_signal(signal.SIGTERM)
                *_, error, failed = await ws.answer()
                assert error["error"]["octoplex"]["code"] == "stopping"
                assert failed["type"] == "response.failed"
                assert (await ws.closed())[0] == 1001
            await until(lambda: gate.process.poll() is not None)
            (row,) = gate.ledger()
            assert row["outcome"] == "stopped"

    run(main())
