"""The pool: bounds, queues, ages."""

import asyncio
import socket

import pytest

from octoplex.transport import Bounds, Client
from octoplex.wire.error import DeadlinePassed, UpstreamUnreachable
from tests.transport.asking import ask, client, drain, limits, until
from tests.transport.conftest import Run
from tests.upstream_server import Exchange, Upstream, closed_port, reset, says, stalls

EVENTS = [b"data: 1\n\n"]


def test_never_more_connections_than_allowed(run: Run) -> None:
    async def main() -> None:
        bounds = Bounds(connections=3)
        async with Upstream(says(b"{}")) as up, client(bounds=bounds) as asks:
            replies = await asyncio.gather(*[asks.send(ask(up.url), limits()) for _ in range(50)])
            assert all(r.body == b"{}" for r in replies)
            assert up.connections == 3
            assert len(up.book) == 50

    run(main())


def test_who_waits_for_a_connection_gives_up_at_the_connect_limit(run: Run) -> None:
    async def main() -> None:
        async with Upstream(stalls()) as up, client(bounds=Bounds(connections=1)) as asks:
            holder = asyncio.create_task(asks.send(ask(up.url), limits()))
            await until(lambda: bool(up.book))
            with pytest.raises(UpstreamUnreachable, match="all connections are in use"):
                await asks.send(ask(up.url), limits(connect_s=0.1))
            with pytest.raises(DeadlinePassed):
                await asks.send(ask(up.url), limits(total_s=0.1))
            holder.cancel()
            await asyncio.wait([holder])

    run(main())


def test_a_lost_connections_place_goes_to_who_waits(run: Run) -> None:
    async def main() -> None:
        plays = [reset(), reset(), says(b"{}")]
        async with Upstream(*plays) as up, client(bounds=Bounds(connections=1)) as asks:
            results = await asyncio.gather(
                *[asks.send(ask(up.url), limits()) for _ in range(4)], return_exceptions=True
            )
            assert sum(isinstance(r, UpstreamUnreachable) for r in results) == 2
            assert len(up.book) == 4

    run(main())


def test_a_failed_dials_place_goes_to_who_waits(run: Run) -> None:
    async def main() -> None:
        url = f"http://127.0.0.1:{closed_port()}"
        async with client(bounds=Bounds(connections=1)) as asks:
            results = await asyncio.gather(
                *[asks.send(ask(url), limits()) for _ in range(5)], return_exceptions=True
            )
            assert all(isinstance(r, UpstreamUnreachable) for r in results)
            assert asks.open_connections == 0

    run(main())


@pytest.mark.parametrize("turns", range(6))
def test_a_waiter_who_is_cancelled_loses_nothing(run: Run, turns: int) -> None:
    """Cancelled at every step of the hand-over, also just after it was given a connection."""

    async def main() -> None:
        go = asyncio.Event()

        async def held(exchange: Exchange) -> None:
            await go.wait()
            await says(b"{}")(exchange)

        bounds = Bounds(connections=1)
        async with Upstream(held) as up, client(bounds=bounds) as asks:
            first = asyncio.create_task(asks.send(ask(up.url), limits()))
            await until(lambda: bool(up.book))
            waiter = asyncio.create_task(asks.send(ask(up.url), limits()))
            await asyncio.sleep(0)
            go.set()
            await first
            for _ in range(turns):
                await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.wait([waiter])
            assert (await asks.send(ask(up.url), limits())).body == b"{}"
            assert asks.open_connections == 1

    run(main())


def test_the_surplus_is_closed_and_the_rest_ages(run: Run) -> None:
    async def main() -> None:
        bounds = Bounds(idle=2, idle_s=0.2)
        async with Upstream(says(b"{}")) as up, client(bounds=bounds) as asks:
            await asyncio.gather(*[asks.send(ask(up.url), limits()) for _ in range(6)])
            await until(lambda: asks.open_connections <= 2)
            await until(lambda: asks.open_connections == 0)
            await until(lambda: up.open_connections == 0)
            assert (await asks.send(ask(up.url), limits())).body == b"{}"

    run(main())


def test_a_stream_keeps_its_connection_until_its_end(run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def play(exchange: Exchange) -> None:
            exchange.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
            exchange.send(b"transfer-encoding: chunked\r\n\r\n")
            exchange.chunk(EVENTS[0])
            await go.wait()
            exchange.send(b"0\r\n\r\n")

        async with Upstream(play, says(b"{}")) as up, client() as asks:
            stream = await asks.send(ask(up.url), limits())
            await asks.send(ask(up.url), limits())
            assert up.connections == 2
            go.set()
            assert await drain(stream) == EVENTS[0]
            await asyncio.gather(*[asks.send(ask(up.url), limits()) for _ in range(2)])
            assert up.connections == 2

    run(main())


def test_origins_do_not_share_connections(run: Run) -> None:
    async def main() -> None:
        async with Upstream(says(b"1")) as one, Upstream(says(b"2")) as two, client() as asks:
            for _ in range(2):
                assert (await asks.send(ask(one.url + "/v1"), limits())).body == b"1"
                assert (await asks.send(ask(two.url), limits())).body == b"2"
                assert (await asks.send(ask(one.url + "/v2"), limits())).body == b"1"
            assert (one.connections, two.connections) == (1, 1)

    run(main())


def test_many_that_are_cancelled_while_connecting_leave_nothing(run: Run) -> None:
    async def some(asks: Client, url: str, after: int) -> None:
        task = asyncio.create_task(asks.send(ask(url), limits()))
        for _ in range(after):
            await asyncio.sleep(0)
        left = task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() is left  # never anything else in a cancellation's place

    async def main() -> None:
        async with Upstream(says(b"{}")) as up, client() as asks:
            await asyncio.gather(*[some(asks, up.url, n) for n in range(40)])
            (pool,) = asks._pools.values()
            await until(lambda: asks.open_connections == len(pool.idle))

    run(main())


def test_small_writes_are_not_held_back(run: Run) -> None:
    async def main() -> None:
        async with Upstream(says(b"{}")) as up, client() as asks:
            await asks.send(ask(up.url), limits())
            (pool,) = asks._pools.values()
            transport = pool.idle[0]._transport
            assert transport is not None
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(main())
