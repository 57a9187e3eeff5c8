"""F06, F07, F21-F23, F29: replies that break off, lie about their size, or are too large."""

import asyncio
import contextlib
import gc
import gzip

import pytest

from octoplex.transport import Response, Splitter
from octoplex.wire.error import (
    UpstreamBroken,
)
from tests.transport.asking import ask, client, cut, drain, fails, limits, until
from tests.transport.conftest import Run
from tests.upstream_server import (
    Exchange,
    Upstream,
    head,
    raw,
    says,
    streams,
)

EVENTS = [b'data: {"n": %d}\n\n' % i for i in range(5)]
CHUNKED = head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")])


@pytest.mark.parametrize("end", ["reset", "close"])
@pytest.mark.parametrize(
    "begin",
    [
        b"HTTP/1.1 2",
        head(200, [("content-length", "10")])[:-2],
        head(200, [("content-length", "10")]) + b"half",
        head(200, [("transfer-encoding", "chunked")]) + b"5\r\nhal",
        head(200, [("transfer-encoding", "chunked")]) + b"4\r\nhalf\r\n",
    ],
)
def test_f06_a_whole_reply_that_breaks_off(run: Run, begin: bytes, end: str) -> None:
    async def main() -> None:
        async with Upstream(raw(begin, end)) as up, client() as asks:
            error = await fails(asks, UpstreamBroken, up.url)
            assert error.reached
            assert len(up.book) == 1

    run(main())


@pytest.mark.parametrize("end", ["reset", "close"])
def test_f07_a_stream_that_breaks_off_gives_what_came_then_fails(run: Run, end: str) -> None:
    async def main() -> None:
        async with Upstream(streams(EVENTS, end)) as up, client() as asks:
            response = await asks.send(ask(up.url), limits())
            assert await cut(response, UpstreamBroken) == b"".join(EVENTS)
            assert len(up.book) == 1

    run(main())


@pytest.mark.parametrize("stream", [False, True])
def test_f21_a_gzip_bomb(run: Run, stream: bool) -> None:
    bomb = gzip.compress(b"\0" * 80 * 1024 * 1024)
    kind = "text/event-stream" if stream else "application/json"

    async def main() -> None:
        play = says(bomb, headers=[("content-encoding", "gzip"), ("content-type", kind)])
        async with Upstream(play) as up, client() as asks:
            with pytest.raises(UpstreamBroken, match="inflates to more"):
                await drain(await asks.send(ask(up.url), limits()))
            await until(lambda: up.open_connections == 0)

    run(main())


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("br", b"{}"),
        ("gzip, gzip", b"{}"),
        ("gzip", b"{}"),
        ("deflate", b"\xff\xff\xff"),
        ("gzip", gzip.compress(b"x" * 999, mtime=0)[:-9]),
    ],
)
def test_f21_a_content_encoding_that_is_not_what_it_says(
    run: Run, coding: str, body: bytes
) -> None:
    async def main() -> None:
        play = says(body, headers=[("content-encoding", coding)])
        until_close = raw(head(200, [("content-encoding", coding)]) + body, "close")
        async with Upstream(play, until_close) as up, client() as asks:
            for _ in range(2):
                await fails(asks, UpstreamBroken, up.url)

    run(main())


def lengths(*lines: str) -> bytes:
    return head(200, [tuple(line.split(": ")) for line in lines])  # type: ignore[misc]


MALFORMED = {
    "both": lengths("content-length: 5", "transfer-encoding: chunked") + b"2\r\nhi\r\n0\r\n\r\n",
    "both, the other way": lengths("transfer-encoding: chunked", "content-length: 5")
    + b"0\r\n\r\n",
    "two lengths": lengths("content-length: 2", "content-length: 3") + b"hi!",
    "two equal lengths": lengths("content-length: 2", "content-length: 2") + b"hi",
    "a list of lengths": lengths("content-length: 2, 2") + b"hi",
    "a negative length": lengths("content-length: -2") + b"hi",
    "a signed length": lengths("content-length: +2") + b"hi",
    "no number": lengths("content-length: two") + b"hi",
    "a huge length": lengths("content-length: 99999999999999999999999") + b"hi",
    "too short a length": lengths("content-length: 2") + b"hi, and more",
    "a second reply": (lengths("content-length: 2") + b"hi") * 2,
    "gzip as a transfer coding": lengths("transfer-encoding: gzip, chunked") + b"0\r\n\r\n",
    "not chunked at the end": lengths("transfer-encoding: gzip") + b"hi",
    "chunked twice": lengths("transfer-encoding: chunked, chunked") + b"0\r\n\r\n",
    "no chunk size": lengths("transfer-encoding: chunked") + b"xyz\r\n",
    "a chunk longer than said": lengths("transfer-encoding: chunked") + b"2\r\nhi!\r\n0\r\n\r\n",
    "no HTTP at all": b"SSH-2.0-OpenSSH_9.6\r\n",
    "HTTP/2": b"HTTP/2 200\r\ncontent-length: 2\r\n\r\nhi",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi",
    "bare CR in a value": b"HTTP/1.1 200 OK\r\nx: a\rset-cookie: b\r\ncontent-length: 0\r\n\r\n",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
    "a folded header": b"HTTP/1.1 200 OK\r\nx: a\r\n b: c\r\ncontent-length: 0\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 0\r\n\r\n",
    "101": head(101, [("upgrade", "h2c"), ("connection", "upgrade")]),
    "101 without upgrade": head(101),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_f22_framing_that_is_wrong(run: Run, name: str) -> None:
    async def main() -> None:
        async with Upstream(raw(MALFORMED[name], "stall")) as up, client() as asks:
            for _ in range(2):
                error = await fails(asks, UpstreamBroken, up.url)
                assert error.reached
            assert up.connections == 2
            await until(lambda: up.open_connections == 0)

    run(main())


def leftovers() -> list[object]:
    return [o for o in gc.get_objects() if isinstance(o, Response | UpstreamBroken)]


def test_a_failure_leaves_nothing_for_the_collector(run: Run) -> None:
    """An exception that is kept holds the frames that hold it: a cycle per failure."""

    async def main() -> None:
        plays = [raw(MALFORMED["no HTTP at all"]), streams(EVENTS, "close")] * 60
        async with Upstream(*plays) as up, client() as asks:

            async def some() -> None:
                for _ in range(20):
                    with contextlib.suppress(UpstreamBroken):
                        await asks.send(ask(up.url), limits())
                    with contextlib.suppress(UpstreamBroken):
                        await drain(await asks.send(ask(up.url), limits()))
                await until(lambda: asks.open_connections == 0)
                await asyncio.sleep(0)  # from 3.12 on, a turn of the loop holds what woke it

            await some()
            gc.collect()
            gc.disable()
            try:
                others = {id(o) for o in leftovers()}  # of other tests in this process
                await some()
                kept = [o for o in leftovers() if id(o) not in others]
            finally:
                gc.enable()
            assert not kept

    run(main())


def test_f22_bytes_that_come_after_a_reply_spoil_the_connection(run: Run) -> None:
    async def later(exchange: Exchange) -> None:
        await says(b"{}")(exchange)
        await asyncio.sleep(0.02)
        exchange.send(head(200, [("content-length", "7")]) + b"spoiled")

    async def main() -> None:
        async with Upstream(later) as up, client() as asks:
            assert (await asks.send(ask(up.url), limits())).body == b"{}"
            await until(lambda: asks.open_connections == 0)
            assert (await asks.send(ask(up.url), limits())).body == b"{}"

    run(main())


def test_f22_bytes_after_the_last_chunk_spoil_only_the_connection(run: Run) -> None:
    async def main() -> None:
        play = raw(CHUNKED + b"2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n")
        async with Upstream(play) as up, client() as asks:
            for _ in range(2):
                assert await drain(await asks.send(ask(up.url), limits())) == b"hi"
            assert up.connections == 2

    run(main())


def test_f22_a_reply_before_the_request_was_sent_spoils_the_connection(run: Run) -> None:
    async def early(exchange: Exchange) -> None:
        exchange._wire.transport.pause_reading()
        await says(b'{"error": "too large"}', 413)(exchange)
        await exchange.stall()

    async def main() -> None:
        async with Upstream(early, early=True) as up, client() as asks:
            response = await asks.send(ask(up.url, b"x" * 30_000_000), limits())
            assert (response.status, response.body) == (413, b'{"error": "too large"}')
            await until(lambda: asks.open_connections == 0)
            assert up.connections == 1

    run(main())


@pytest.mark.parametrize("line", [b"x" * 1000, b"data: x\n" * 125], ids=["line", "event"])
def test_f23_an_event_without_end(run: Run, line: bytes) -> None:
    async def endless(exchange: Exchange) -> None:
        exchange.send(head(200, [("content-type", "text/event-stream")]) + b"data: ")
        for _ in range(50_000):
            await exchange.flushed()
            if exchange.gone.is_set():
                return
            exchange.send(line)

    async def main() -> None:
        async with Upstream(endless) as up, client() as asks:
            response = await asks.send(ask(up.url), limits())
            splitter = Splitter()

            async def read_on() -> None:
                while data := await response.read():
                    assert splitter.feed(data) == b""

            with pytest.raises(UpstreamBroken, match="above its cap"):
                await read_on()
            response.close()
            await until(lambda: up.open_connections == 0)
            assert up.book[0].sent < 16 * 1024 * 1024

    run(main())


MANY = [(f"x-{i}", "1") for i in range(1000)]


@pytest.mark.parametrize(
    "wire",
    [
        head(200, [("x", "y" * 66_000), ("content-length", "0")]),
        head(200, [("x", "y" * 500_000), ("content-length", "0")]),
        head(200, [("x", "y" * 70_000)])[:-4],
        head(200, [*MANY, ("content-length", "0")]),
        head(200, [*[("set-cookie", "a=b")] * 1000, ("content-length", "0")]),
        head(103, [("x", "y" * 40_000)]) * 3,
    ],
    ids=["66k", "500k", "unfinished", "1000", "1000 of a name", "interim"],
)
def test_f29_headers_have_caps(run: Run, wire: bytes) -> None:
    async def main() -> None:
        async with Upstream(raw(wire, "stall")) as up, client() as asks:
            await fails(asks, UpstreamBroken, up.url)
            await until(lambda: up.open_connections == 0)

    run(main())


def test_f29_a_large_head_below_the_cap_passes_with_a_large_body(run: Run) -> None:
    async def main() -> None:
        lines = [("x", "y" * 60_000), *MANY[:200]]
        async with Upstream(says(b"b" * 500_000, headers=lines)) as up, client() as asks:
            response = await asks.send(ask(up.url), limits())
            assert response.body == b"b" * 500_000
            assert response.headers["x"] == "y" * 60_000

    run(main())
