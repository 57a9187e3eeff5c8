"""F01-F05 and F08: no connection, or one that was already dead."""

import asyncio
import socket
import time
from typing import Any

import pytest

from octoplex.transport.resolve import Address, Resolver
from octoplex.wire.error import (
    DeadlinePassed,
    UpstreamUnreachable,
)
from tests.transport.asking import ask, client, fails, limits, until
from tests.transport.conftest import Run
from tests.upstream_server import (
    Upstream,
    closed_port,
    raw,
    reset,
    says,
)

LOCAL: tuple[int, Any] = (socket.AF_INET, ("127.0.0.1", 0))


def test_f01_refused(run: Run) -> None:
    async def main() -> None:
        async with client() as asks:
            request = ask(f"http://127.0.0.1:{closed_port()}")
            with pytest.raises(UpstreamUnreachable, match="connection refused") as caught:
                await asks.send(request, limits())
            assert not caught.value.reached
            assert not request.reached

    run(main())


def test_f02_a_name_that_does_not_resolve_is_asked_for_once(run: Run) -> None:
    asked: list[str] = []

    async def nowhere(host: str, port: int) -> list[Address]:
        asked.append(host)
        await asyncio.sleep(0)
        raise socket.gaierror(-2, "Name or service not known")

    async def main() -> None:
        resolver = Resolver(asyncio.get_running_loop(), nowhere)
        async with client(resolver=resolver) as asks:
            errors = await asyncio.gather(
                *[fails(asks, UpstreamUnreachable, "http://nowhere.example") for _ in range(5)]
            )
            errors.append(await fails(asks, UpstreamUnreachable, "http://nowhere.example"))
            assert all(not e.reached and e.next == "target" for e in errors)
            assert asked == ["nowhere.example"]

    run(main())


def test_f02_a_slow_resolver_holds_up_only_its_own_calls(run: Run) -> None:
    async def slow(host: str, port: int) -> list[Address]:
        if host == "slow.example":
            await asyncio.Event().wait()
        return [(LOCAL[0], ("127.0.0.1", port))]

    async def main() -> None:
        async with Upstream(says(b"{}")) as up:
            resolver = Resolver(asyncio.get_running_loop(), slow)
            async with client(resolver=resolver) as asks:
                waiting = asyncio.create_task(
                    fails(asks, UpstreamUnreachable, "http://slow.example", connect_s=0.2)
                )
                await asyncio.sleep(0)
                good = await asks.send(ask(f"http://good.example:{up.port}"), limits())
                assert good.status == 200
                assert not waiting.done()
                assert "within 0.2 s" in str(await waiting)

    run(main())


class Blackhole:
    """A port that drops SYNs: a listener whose backlog is full."""

    def __enter__(self) -> int:
        self.sockets = [socket.socket()]
        self.sockets[0].bind(("127.0.0.1", 0))
        self.sockets[0].listen(0)
        port: int = self.sockets[0].getsockname()[1]
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            self.sockets.append(filler)
        return port

    def __exit__(self, *_: object) -> None:
        for each in self.sockets:
            each.close()


def test_f03_a_black_hole_ends_at_the_connect_limit(run: Run) -> None:
    async def main() -> None:
        with Blackhole() as port:
            async with client() as asks:
                began = time.monotonic()
                error = await fails(
                    asks, UpstreamUnreachable, f"http://127.0.0.1:{port}", connect_s=0.2
                )
                assert 0.15 < time.monotonic() - began < 3
                assert not error.reached
                assert error.next == "target"
                with pytest.raises(DeadlinePassed):
                    await asks.send(ask(f"http://127.0.0.1:{port}"), limits(total_s=0.1))

    run(main())


@pytest.mark.parametrize("first", ["refused", "blackhole"])
def test_the_next_address_is_tried(run: Run, first: str) -> None:
    async def main() -> None:
        async with Upstream(says(b"{}")) as up:
            with Blackhole() as port:
                bad = port if first == "blackhole" else closed_port()
                addresses: list[Address] = [
                    (socket.AF_INET, ("127.0.0.1", bad)),
                    (socket.AF_INET, ("127.0.0.1", up.port)),
                ]

                async def two(host: str, port: int) -> list[Address]:
                    return addresses

                resolver = Resolver(asyncio.get_running_loop(), two)
                async with client(resolver=resolver) as asks:
                    assert (await asks.send(ask("http://two.example"), limits())).status == 200

    run(main())


def test_f05_a_reset_on_a_fresh_connection_is_the_callers_to_repeat(run: Run) -> None:
    async def main() -> None:
        async with Upstream(reset(), says(b"{}")) as up, client() as asks:
            error = await fails(asks, UpstreamUnreachable, up.url)
            assert error.reached
            assert len(up.book) == 1

    run(main())


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("seen", [False, True], ids=["unseen", "seen"])
def test_f05_f08_a_stale_connection_is_replaced_in_silence(
    run: Run, hard: bool, seen: bool
) -> None:
    async def main() -> None:
        async with Upstream(says(b"{}")) as up, client() as asks:
            await asks.send(ask(up.url), limits())
            idle_at = time.monotonic() + 0.03  # younger than 10 ms, a reset cannot be told apart
            await until(lambda: time.monotonic() > idle_at)
            up.drop_idle(hard=hard)
            if seen:
                await until(lambda: asks.open_connections == 0)
            request = ask(up.url, b'{"again": 1}')
            assert (await asks.send(request, limits())).body == b"{}"
            assert request.reached
            assert [e.body for e in up.book] == [b"{}", b'{"again": 1}']
            assert up.connections == 2

    run(main())


def test_f08_what_a_provider_took_before_it_hung_up_is_not_sent_twice(run: Run) -> None:
    """A polite close after reading: its kernel acknowledged the request, so it may be billed."""

    async def main() -> None:
        hang_up = raw(b"", "close")
        async with Upstream(says(b"{}"), hang_up, says(b"{}")) as up, client() as asks:
            await asks.send(ask(up.url), limits())
            error = await fails(asks, UpstreamUnreachable, up.url)
            assert error.reached
            assert len(up.book) == 2

    run(main())


def test_f08_an_idempotent_request_is_repeated_once(run: Run) -> None:
    async def main() -> None:
        hang_up = raw(b"", "close")
        async with Upstream(says(b"{}"), hang_up, says(b"{}")) as up, client() as asks:
            await asks.send(ask(up.url), limits())
            assert (await asks.send(ask(up.url, idempotent=True), limits())).status == 200
            assert len(up.book) == 3
            up.plays.extendleft([hang_up, hang_up])
            with pytest.raises(UpstreamUnreachable):
                await asks.send(ask(up.url, idempotent=True), limits())
            assert len(up.book) == 5

    run(main())
