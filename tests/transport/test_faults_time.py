"""F10, F12, F13: slow providers, deadlines, and callers who leave."""

import asyncio

import pytest

from octoplex.transport import Splitter
from octoplex.wire.error import (
    DeadlinePassed,
    Stopping,
    UpstreamSlow,
)
from tests.transport.asking import ask, client, cut, drain, fails, limits, until
from tests.transport.conftest import Run
from tests.upstream_server import (
    Exchange,
    Play,
    Upstream,
    head,
    raw,
    says,
    stalls,
    streams,
)

EVENTS = [b'data: {"n": %d}\n\n' % i for i in range(5)]
CHUNKED = head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")])


def test_f10_headers_that_do_not_come(run: Run) -> None:
    async def drips(exchange: Exchange) -> None:
        await exchange.drip(CHUNKED, 0.05)

    async def main() -> None:
        async with Upstream(stalls(), drips) as up, client() as asks:
            for _ in range(2):
                error = await fails(asks, UpstreamSlow, up.url, first_s=0.2)
                assert error.reached
                assert error.next == "target"
            await until(lambda: up.open_connections == 0)

    run(main())


def test_f10_a_stream_that_opens_and_says_nothing(run: Run) -> None:
    async def main() -> None:
        async with Upstream(raw(CHUNKED, "stall")) as up, client() as asks:
            response = await asks.send(ask(up.url), limits(first_s=0.2, idle_s=9))
            assert await cut(response, UpstreamSlow) == b""

    run(main())


def test_f12_a_stall_in_a_stream(run: Run) -> None:
    async def main() -> None:
        async with Upstream(streams(EVENTS, "stall")) as up, client() as asks:
            response = await asks.send(ask(up.url), limits(idle_s=0.2))
            assert await cut(response, UpstreamSlow) == b"".join(EVENTS)
            await until(lambda: up.book[0].closed_at is not None)

    run(main())


def test_f13_a_drip_is_no_progress(run: Run) -> None:
    """Only whole events move `expires_at` on, and only the layer above knows those."""

    async def drips(exchange: Exchange) -> None:
        exchange.send(head(200, [("content-type", "text/event-stream")]) + EVENTS[0])
        await exchange.drip(b"data: " + b"x" * 10_000, 0.01)

    async def main() -> None:
        async with Upstream(drips) as up, client() as asks:
            loop = asyncio.get_running_loop()
            response = await asks.send(ask(up.url), limits(idle_s=0.3))
            splitter, events = Splitter(), []

            async def read_on() -> None:
                while data := await response.read():
                    if whole := splitter.feed(data):
                        events.append(whole)
                        response.expires_at = loop.time() + 0.3

            with pytest.raises(UpstreamSlow):
                await read_on()
            assert events == [EVENTS[0]]

    run(main())


def test_f13_a_whole_reply_that_drips_ends_at_the_deadline(run: Run) -> None:
    async def drips(exchange: Exchange) -> None:
        exchange.send(head(200, [("content-length", "10000")]))
        await exchange.drip(b"x" * 10_000, 0.01)

    async def main() -> None:
        async with Upstream(drips) as up, client() as asks:
            with pytest.raises(DeadlinePassed):
                await asks.send(ask(up.url), limits(idle_s=0.2, total_s=0.5))
            await until(lambda: up.book[0].closed_at is not None)

    run(main())


def test_a_deadline_that_is_over_sends_nothing(run: Run) -> None:
    async def main() -> None:
        async with Upstream(says(b"{}")) as up, client() as asks:
            request = ask(up.url)
            for _ in range(2):
                with pytest.raises(DeadlinePassed):
                    await asks.send(request, limits(total_s=-1))
                assert not request.reached
            assert not up.book
            await asks.send(ask(up.url), limits())
            with pytest.raises(DeadlinePassed):
                await asks.send(request, limits(total_s=-1))
            assert len(up.book) == 1

    run(main())


PLAYS: dict[str, Play] = {
    "before": stalls(),
    "in the head": raw(b"HTTP/1.1 200 OK\r\n", "stall"),
    "in the body": raw(head(200, [("content-length", "100")]) + b"x", "stall"),
}


@pytest.mark.parametrize("when", PLAYS)
def test_a_cancelled_send_closes_at_once(run: Run, when: str) -> None:
    async def main() -> None:
        async with Upstream(PLAYS[when]) as up, client() as asks:
            request = ask(up.url)
            task = asyncio.create_task(asks.send(request, limits()))
            await until(lambda: bool(up.book))
            left_at = asyncio.get_running_loop().time()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: up.book[0].closed_at is not None)
            assert (up.book[0].closed_at or 0) - left_at < 0.25
            assert request.reached

    run(main())


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_a_stream_that_is_left_closes_at_once(run: Run, how: str) -> None:
    async def main() -> None:
        async with Upstream(streams(EVENTS, "stall")) as up, client() as asks:
            response = await asks.send(ask(up.url), limits())
            await response.read()
            left_at = asyncio.get_running_loop().time()
            if how == "close":
                response.close()
                response.close()
            else:
                task = asyncio.create_task(drain(response))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await until(lambda: up.book[0].closed_at is not None)
            assert (up.book[0].closed_at or 0) - left_at < 0.25

    run(main())


def test_closing_a_stream_that_has_ended_keeps_the_connection(run: Run) -> None:
    async def main() -> None:
        async with Upstream(streams(EVENTS)) as up, client() as asks:
            for _ in range(3):
                response = await asks.send(ask(up.url), limits())
                await drain(response)
                response.close()
            assert up.connections == 1

    run(main())


def test_a_closed_client_ends_what_is_under_way(run: Run) -> None:
    async def main() -> None:
        async with Upstream(streams(EVENTS, "stall"), stalls()) as up, client() as asks:
            response = await asks.send(ask(up.url), limits())
            waiting = asyncio.create_task(asks.send(ask(up.url), limits()))
            await until(lambda: len(up.book) == 2)
            asks.close()
            with pytest.raises(Stopping):
                await waiting
            await cut(response, Stopping)
            with pytest.raises(Stopping):
                await asks.send(ask(up.url), limits())

    run(main())
