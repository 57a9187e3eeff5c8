"""Of the same requests at one time one goes up, over real sockets: who pays, and who gets what."""

import asyncio
from pathlib import Path

import pytest

from octoplex.ledger import Page
from tests.server import provider
from tests.server.cache_scene import (
    COST,
    cached,
    gated,
    numbered,
    stats,
    told,
)
from tests.server.caller import Reply, request
from tests.server.gate import APP_KEY, PATHS, Gate, file, question, route, until
from tests.server.inside import inside
from tests.upstream_server import Exchange, Upstream, head

# -- at the same time -------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_of_fifty_at_once_one_goes_up(tmp_path: Path, stream: bool) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        play = provider.streamed("openai-chat") if stream else provider.whole("openai-chat")
        async with (
            Upstream(gated(opened, play)) as up,
            Gate(tmp_path, file(cached(), a=up)) as gate,
        ):
            more = {"stream": True} if stream else {}
            asks = [asyncio.create_task(gate.chat("main", **more)) for _ in range(50)]
            await until(lambda: up.book)
            await asyncio.sleep(0.2)
            opened.set()
            replies = await asyncio.gather(*asks)
            assert len(up.book) == 1
            assert sorted(told(r) for r in replies) == ["hit"] * 49 + ["miss"]
            assert len({r.body.replace(b"nano: %d" % COST, b"nano: 0") for r in replies}) == 1
            records = await gate.records(50)
            assert sum(r["nano"] for r in records) == COST == gate.spent()
            assert sum(r["saved_nano"] for r in records) == 49 * COST

    asyncio.run(main())


def test_when_the_one_fails_each_goes_its_own_way(tmp_path: Path) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        refused = gated(opened, provider.fails("openai-chat", 400))
        async with (
            Upstream(refused, *numbered()) as up,
            Gate(tmp_path, file(cached(), a=up)) as gate,
        ):
            asks = [asyncio.create_task(gate.chat("main")) for _ in range(5)]
            await until(lambda: up.book)
            await asyncio.sleep(0.1)
            opened.set()
            replies = await asyncio.gather(*asks)
            assert sorted(r.status for r in replies) == [200] * 4 + [400]
            assert len(up.book) == 5

    asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("began", [False, True])
def test_when_the_first_leaves_the_others_get_it_and_it_is_paid_once(
    tmp_path: Path, stream: bool, began: bool
) -> None:
    async def main() -> None:
        opened = asyncio.Event()

        async def play(exchange: Exchange) -> None:
            if not (stream and began):
                await opened.wait()
                await (provider.streamed if stream else provider.whole)("openai-chat")(exchange)
                return
            exchange.bill(*provider.BILL)
            kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
            exchange.send(head(200, kind))
            events = provider.chat_events()
            exchange.chunk(b"".join(events[:3]))
            await opened.wait()
            exchange.chunk(b"".join(events[3:]))
            exchange.send(b"0\r\n\r\n")

        async with Upstream(play) as up, Gate(tmp_path, file(cached(), a=up)) as gate:
            more = {"stream": True} if stream else {}
            async with gate.line() as first:
                first.send(gate.question("main", **more))
                await until(lambda: up.book)
                if stream and began:
                    await first.head()
                    await first.until(b"Hello")
                asks = [asyncio.create_task(gate.chat("main", **more)) for _ in range(3)]
                await asyncio.sleep(0.2)
                first.leave()
            await asyncio.sleep(0.1)
            opened.set()
            replies = await asyncio.gather(*asks)
            assert [told(r) for r in replies] == ["hit"] * 3
            assert len(up.book) == 1
            records = await gate.records(4)
            assert sorted(r["outcome"] for r in records) == ["done"] * 3 + ["left"]
            assert sum(r["nano"] for r in records) == COST
            (row,) = await gate.rows(1)
            assert (row["nano"], row["estimated"]) == (COST, 0)

    asyncio.run(main())


def test_when_all_leave_the_provider_is_left_too(tmp_path: Path) -> None:
    async def main() -> None:
        async def play(exchange: Exchange) -> None:
            exchange.bill(*provider.BILL)
            kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
            exchange.send(head(200, kind))
            exchange.chunk(b"".join(provider.chat_events()[:3]))
            await exchange.stall()

        async with Upstream(play) as up, Gate(tmp_path, file(cached(), a=up)) as gate:
            async with gate.line() as first, gate.line() as second:
                first.send(gate.question("main", stream=True))
                await first.head()
                second.send(gate.question("main", stream=True))
                await asyncio.sleep(0.2)
                first.leave()
                await asyncio.sleep(0.2)
                assert up.book[0].closed_at is None, "somebody still waits for it"
                second.leave()
            await until(lambda: up.book[0].closed_at is not None)
            records = await gate.records(2)
            assert [r["outcome"] for r in records] == ["left", "left"]
            (row,) = await gate.rows(1)
            assert row["estimated"] == 1
            assert (await stats(gate))["memory"]["entries"] == 0

    asyncio.run(main())


def test_limits_count_what_goes_on_without_its_caller(tmp_path: Path) -> None:
    """Else whoever hangs up, and asks again with its idempotency key, has none."""
    limits = "[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '600 tok/hour, 2 parallel'\n"

    async def main() -> None:
        opened = asyncio.Event()
        async with (
            Upstream(gated(opened, provider.whole("openai-chat"))) as up,
            inside(tmp_path, file(limits + route("main", "a/m"), a=up)) as gate,
        ):

            async def send(number: int, leaves: bool = False) -> Reply | None:
                headers = [("authorization", f"Bearer {APP_KEY}"), ("idempotency-key", f"{number}")]
                body = question("main", seed=number)
                async with gate.line() as line:
                    line.send(request("POST", PATHS["openai-chat"], body, headers))
                    if not leaves:
                        return await line.reply()
                    await until(lambda: len(up.book) == number)
                    line.leave()
                    return None

            await send(1, leaves=True)
            await send(2, leaves=True)
            await asyncio.sleep(0.05)  # so that the server sees it go
            refused = await send(3)
            assert refused is not None
            assert refused.status == 429
            opened.set()
            await until(lambda: not gate.works.cache.flights)
            again = await send(2)
            assert again is not None
            assert "idempotent-replayed" in again.headers
            left = int(again.headers["x-ratelimit-remaining-tokens"])
            assert left <= 600 - 2 * sum(provider.BILL) + 1, "it is refilled by one in six seconds"
            await gate.rows(2)
            records = gate.works.store.reader.requests(Page())
            assert sorted(r.nano for r in records) == [0, 0, COST, COST]

    asyncio.run(main())
