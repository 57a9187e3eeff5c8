"""F14, callers that do not read: they are given up, and what was held for them is free again."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from octoplex.server.out import Quiet
from tests.server import provider
from tests.server.caller import request
from tests.server.conftest import Run
from tests.server.gate import PATHS, file, question, route, until
from tests.server.inside import Inside, inside
from tests.server.talking import Opcode, frame
from tests.server.test_websocket import create, opened
from tests.upstream_server import Exchange, Upstream, head

KIND = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]


async def endless(exchange: Exchange) -> None:
    """A stream that goes on as long as it is read."""
    exchange.bill(*provider.BILL)
    exchange.send(head(200, KIND))
    while not exchange.gone.is_set():
        exchange.chunk(provider.chunk({"content": "x" * 20_000}))
        await exchange.flushed()


def quick(unread_s: float) -> Quiet:
    return Quiet(step_s=0.02, unread_s=unread_s)


async def given_up(gate: Inside, up: Upstream) -> None:
    """Wait until the only attempt is settled, and its provider left."""
    await until(lambda: up.book)
    await until(lambda: up.book[0].closed_at is not None)
    (row,) = await gate.rows(1)
    assert (row["outcome"], row["estimated"]) == ("left", 1)
    assert 0 < row["nano"] <= row["reserved_nano"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/providers/a/chat/completions"])
def test_f14_a_caller_that_does_not_read_is_given_up(tmp_path: Path, run: Run, path: str) -> None:
    async def main() -> None:
        async with (
            Upstream(endless) as up,
            inside(tmp_path, file(a=up), quick(0.3)) as gate,
            gate.line(small=True) as line,
        ):
            question = gate.question("a/m" if path.startswith("/v1") else "m", stream=True)
            line.send(question.replace(b"/v1/chat/completions", path.encode(), 1))
            await line.head()
            await given_up(gate, up)
            assert len(await line.ended()) < 10_000_000

    run(main())


def test_f14_a_caller_that_reads_slowly_is_given_up_at_the_deadline(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        text = route("main", "a/m", more="deadline_s = 0.4")
        async with (
            Upstream(endless) as up,
            inside(tmp_path, file(text, a=up), quick(60)) as gate,
            gate.line(small=True) as line,
        ):
            line.send(gate.question("main", stream=True))
            await line.head()
            assert gate.works.book.open_nano > 0
            with contextlib.suppress(ConnectionError):
                while await line.reader.read(50_000):  # noqa: ASYNC110 - it is slow, not waiting
                    await asyncio.sleep(0.01)
            await given_up(gate, up)
            assert gate.works.book.open_nano == 0

    run(main())


def test_f14_a_caller_that_reads_slowly_is_waited_for(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with (
            Upstream(endless) as up,
            inside(tmp_path, file(a=up), quick(0.5)) as gate,
            gate.line(small=True) as line,
        ):
            line.send(gate.question("a/m", stream=True))
            await line.head()
            until_at, got = loop.time() + 2.0, 0
            while loop.time() < until_at:
                got += len(await line.reader.read(400_000))
                await asyncio.sleep(0.05)
            assert got > 100_000
            assert up.book[0].closed_at is None
            line.leave()
            await given_up(gate, up)

    run(main())


def test_f14_whole_replies_that_are_not_read_keep_no_descriptor(tmp_path: Path, run: Run) -> None:
    """One that would be kept alive, one that would not, and one behind which more is asked.

    What they cost is settled at once; the connections go when nothing was taken for so long.
    """

    async def main() -> None:
        text = "x" * 1_000_000
        async with (
            Upstream(
                provider.whole("openai-chat", text=text * 8),
                provider.whole("openai-chat", text=text * 8),
                provider.whole("openai-chat", text=text),
            ) as up,
            inside(tmp_path, file(a=up), quick(0.3)) as gate,
            gate.line(small=True) as kept,
            gate.line(small=True) as closed,
            gate.line(small=True) as asks_on,
        ):
            close = ("connection", "close")
            for line, asks in (
                (kept, gate.question("a/m")),
                (closed, request("POST", PATHS["openai-chat"], question("a/m"), [close])),
                (asks_on, gate.question("a/m") * 100),
            ):
                line.send(asks)
                await line.head()
            assert len(gate.connections) == 3
            await until(lambda: not gate.connections, 20)
            assert 3 < len(up.book) < 30, "it was written to without end"
            rows = await gate.rows(len(up.book))
            assert {(row["outcome"], row["estimated"]) for row in rows[:3]} == {("done", 0)}
            assert len(await kept.ended()) < 8_000_000

    run(main())


def test_f14_a_caller_that_reads_slowly_has_the_whole_reply(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        text = "x" * 12_000_000
        async with (
            Upstream(provider.whole("openai-chat", text=text)) as up,
            inside(tmp_path, file(a=up), quick(0.3)) as gate,
            gate.line(small=True) as line,
        ):
            line.send(gate.question("a/m"))
            head = await line.head()
            got, whole, left_s = 0, int(head.headers["content-length"]), 12.0
            while got < whole:  # for longer than it takes to be seen, then as fast as it can
                got += len(await line.reader.read(20_000 if left_s > 0 else 1 << 20))
                left_s -= 0.05
                await asyncio.sleep(0.05 if left_s > 0 else 0)
            assert (head.status, got) == (200, whole)

    run(main())


def test_f14_a_websocket_that_is_not_read_is_given_up(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(endless) as up,
            inside(tmp_path, file(a=up), quick(0.3)) as gate,
            gate.line(small=True) as line,
        ):
            await opened(line)
            line.send(frame(Opcode.TEXT, create()))
            await given_up(gate, up)

    run(main())
