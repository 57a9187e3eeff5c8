"""Whole replies and streams, as they should be."""

import asyncio
import gc
import zlib

import pytest

from octoplex.transport import Client, Limits
from octoplex.transport.connection import Caps
from octoplex.wire.error import InvalidCall, UpstreamBroken
from tests.transport.asking import ask, client, drain, limits, until
from tests.transport.conftest import Run
from tests.upstream_server import Exchange, Upstream, head, raw, says, streams

EVENTS = [b'data: {"n": %d}\n\n' % i for i in range(5)]


def test_a_whole_reply_comes_at_once_and_the_connection_is_used_again(run: Run) -> None:
    async def main() -> None:
        async with Upstream(says(b'{"a": 1}')) as up, client() as asks:
            for _ in range(3):
                response = await asks.send(ask(up.url, b'{"q": 1}'), limits())
                assert (response.status, response.body) == (200, b'{"a": 1}')
                assert response.headers["content-type"] == "application/json"
            assert up.connections == 1
            entry = up.book[0]
            assert entry.body == b'{"q": 1}'
            assert entry.head.startswith(b"POST /chat HTTP/1.1\r\nhost: 127.0.0.1:")
            assert entry.headers[b"accept-encoding"] == b"identity"
            assert entry.headers[b"content-length"] == b"8"

    run(main())


def test_a_stream_opens_with_its_headers_and_is_read_to_its_end(run: Run) -> None:
    async def main() -> None:
        async with Upstream(streams(EVENTS)) as up, client() as asks:
            for _ in range(2):
                response = await asks.send(ask(up.url), limits())
                assert response.body is None
                assert await drain(response) == b"".join(EVENTS)
                assert await response.read() == b""
            assert up.connections == 1

    run(main())


def test_an_error_reply_is_whole_whatever_its_type(run: Run) -> None:
    async def main() -> None:
        play = says(b"data: {}\n\n", 429, [("Content-Type", "text/event-stream")])
        async with Upstream(play) as up, client() as asks:
            response = await asks.send(ask(up.url), limits())
            assert (response.status, response.body) == (429, b"data: {}\n\n")

    run(main())


@pytest.mark.parametrize("step", [1, 2, 7])
def test_a_reply_may_come_in_pieces(run: Run, step: int) -> None:
    wire = head(100) + head(103, [("link", "</x>")])
    wire += head(200, [("x-a", "1"), ("X-A", "2"), ("transfer-encoding", "chunked")])
    wire += b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"

    async def play(exchange: Exchange) -> None:
        for i in range(0, len(wire), step):
            exchange.send(wire[i : i + step])
            await asyncio.sleep(0)

    async def main() -> None:
        async with Upstream(play) as up, client() as asks:
            for _ in range(2):
                response = await asks.send(ask(up.url), limits())
                assert (response.status, response.body) == (200, b"abcde")
                assert response.headers["x-a"] == "1, 2"
                assert "link" not in response.headers
            assert up.connections == 1

    run(main())


@pytest.mark.parametrize(
    ("method", "wire", "body", "kept"),
    [
        ("GET", head(204), b"", True),
        ("GET", head(304, [("etag", "x")]), b"", True),
        ("HEAD", head(200, [("content-length", "100")]), b"", False),
        ("POST", head(200, [("content-length", "0")]), b"", True),
        (
            "POST",
            head(200, [("connection", "close"), ("content-length", "2")]) + b"hi",
            b"hi",
            False,
        ),
        ("POST", b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", b"hi", False),
        (
            "POST",
            b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
            b"hi",
            False,
        ),
        (
            "POST",
            head(200, [("content-length", "2"), ("keep-alive", "timeout=5")]) + b"hi",
            b"hi",
            True,
        ),
    ],
)
def test_framing_decides_whether_a_connection_is_kept(
    run: Run, method: str, wire: bytes, body: bytes, kept: bool
) -> None:
    async def main() -> None:
        async with Upstream(raw(wire)) as up, client() as asks:
            for _ in range(2):
                response = await asks.send(ask(up.url, b"", method=method), limits())
                assert response.body == body
            assert up.connections == (1 if kept else 2)
            if method == "GET":
                assert b"content-length" not in up.book[0].headers

    run(main())


def test_a_body_without_length_ends_with_the_connection(run: Run) -> None:
    async def main() -> None:
        plain = raw(head(200) + b"all of it", "close")
        stream = raw(head(200, [("content-type", "text/event-stream")]) + EVENTS[0], "close")
        async with Upstream(plain, stream) as up, client() as asks:
            assert (await asks.send(ask(up.url), limits())).body == b"all of it"
            assert await drain(await asks.send(ask(up.url), limits())) == EVENTS[0]
            assert up.connections == 2

    run(main())


def packed(data: bytes, wbits: int) -> bytes:
    machine = zlib.compressobj(wbits=wbits)
    return machine.compress(data) + machine.flush()


@pytest.mark.parametrize(
    ("coding", "wbits"), [("gzip", 31), ("X-GZIP", 31), ("deflate", 15), ("deflate", -15)]
)
def test_what_comes_compressed_all_the_same_is_inflated(run: Run, coding: str, wbits: int) -> None:
    async def main() -> None:
        text = b'{"text": "%b"}' % (b"abc" * 1000)
        whole = says(packed(text, wbits), headers=[("content-encoding", coding)])
        wire = packed(b"".join(EVENTS), wbits)

        async def stream(exchange: Exchange) -> None:
            lines = [("content-type", "text/event-stream"), ("content-encoding", coding)]
            exchange.send(head(200, [*lines, ("transfer-encoding", "chunked")]))
            for i in range(0, len(wire), 3):
                exchange.chunk(wire[i : i + 3])
                await asyncio.sleep(0)
            exchange.send(b"0\r\n\r\n")

        async with Upstream(whole, stream) as up, client() as asks:
            assert (await asks.send(ask(up.url), limits())).body == text
            assert await drain(await asks.send(ask(up.url), limits())) == b"".join(EVENTS)

    run(main())


def test_utf_8_that_is_split_over_reads_stays_what_it_was(run: Run) -> None:
    text = 'data: "grüße 🐙"\n\n'.encode()

    async def play(exchange: Exchange) -> None:
        exchange.send(head(200, [("content-type", "text/event-stream")]))
        await exchange.drip(text, 0.001)
        exchange.close()

    async def main() -> None:
        async with Upstream(play) as up, client() as asks:
            assert await drain(await asks.send(ask(up.url), limits())) == text

    run(main())


@pytest.mark.parametrize("extra", [b"x: 1", b"x: 1\r\n\r\nGET / HTTP/1.1\r\n", b"\r\nGET /x\r\n"])
def test_extra_bytes_cannot_end_the_head(run: Run, extra: bytes) -> None:
    async def main() -> None:
        async with Upstream(says(b"{}")) as up, client() as asks:
            with pytest.raises(InvalidCall):
                await asks.send(ask(up.url, extra=extra), limits())
            assert not up.book

    run(main())


def test_trailers_are_not_headers(run: Run) -> None:
    async def main() -> None:
        wire = head(200, [("transfer-encoding", "chunked"), ("x", "1")])
        wire += b"2\r\nhi\r\n0\r\nx: 2\r\ncontent-type: text/html\r\nconnection: y\r\n"
        plays = [raw(wire + b"\r\n"), raw(wire + b"a: b\r\n" * 300, "stall")]
        async with Upstream(*plays) as up, client() as asks:
            response = await asks.send(ask(up.url), limits())
            assert response.body == b"hi"
            assert response.headers == {"transfer-encoding": "chunked", "x": "1"}
            with pytest.raises(UpstreamBroken, match="trailers"):
                await asks.send(ask(up.url), limits())
            assert up.connections == 1

    run(main())


def test_a_redirect_is_a_reply_and_is_not_followed(run: Run) -> None:
    """F36."""

    async def main() -> None:
        async with Upstream(says(b"{}")) as other, client() as asks:
            moved = says(b"", 307, [("location", other.url)])
            async with Upstream(moved) as up:
                response = await asks.send(ask(up.url), limits())
                assert (response.status, response.headers["location"]) == (307, other.url)
                assert not other.book

    run(main())


def test_a_request_leaves_nothing_for_the_collector(run: Run) -> None:
    """Trap 2: a cycle per request costs 6 to 12 us."""

    async def some(asks: Client, url: str, bounds: Limits) -> None:
        for _ in range(50):
            assert (await asks.send(ask(url), bounds)).body == b"{}"
            assert await drain(await asks.send(ask(url), bounds)) == b"".join(EVENTS)

    async def main() -> None:
        plays = [says(b"{}"), streams(EVENTS)] * 100
        async with Upstream(*plays) as up, client() as asks:
            await some(asks, up.url, limits())
            gc.collect()
            gc.disable()
            try:
                await some(asks, up.url, limits())
                found = gc.collect()
            finally:
                gc.enable()
            assert found < 50, f"{found} objects after 100 requests"

    run(main())


def test_a_slow_reader_holds_the_provider_back(run: Run) -> None:
    """F14: what nobody reads stays with the provider."""
    total, piece = 64, b"x" * 256 * 1024

    async def main() -> None:
        # a reader that is slow is not a provider that is late: idle_s is tiny here
        async with Upstream(streams([piece] * total)) as up, client() as asks:
            response = await asks.send(ask(up.url), limits(idle_s=0.1))
            await until(lambda: response.unread > 256 * 1024)
            first_at = response.expires_at
            await until(lambda: response.expires_at > first_at + 0.1)
            assert response.unread < 1024 * 1024
            assert up.book[0].sent < total * len(piece)
            response.expires_at = asyncio.get_running_loop().time() + 10
            assert len(await drain(response)) == total * len(piece)
            assert up.book[0].done

    run(main())


def test_a_whole_reply_has_a_cap(run: Run) -> None:
    async def main() -> None:
        caps = Caps(body_bytes=1000)
        told = says(b"x" * 1001)
        untold = raw(head(200) + b"x" * 1001, "stall")
        async with Upstream(says(b"x" * 1000), told, untold) as up, client(caps=caps) as asks:
            assert (await asks.send(ask(up.url), limits())).status == 200
            for _ in range(2):
                with pytest.raises(UpstreamBroken, match="above the cap"):
                    await asks.send(ask(up.url), limits())
            await until(lambda: up.open_connections == 0)

    run(main())
