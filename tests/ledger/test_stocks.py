"""What every stock does that lies beside a memory: on the disk, and in a Redis."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from octoplex.ledger.redis.common import RedisCommon
from octoplex.ledger.redis.link import Link
from octoplex.ledger.redis.stock import RedisStock
from octoplex.ledger.rows import Kept
from octoplex.ledger.stock import Room, Stock
from octoplex.ledger.stock_disk import DiskStock
from octoplex.reflex.keys import Hasher
from octoplex.wire.error import StoreFailed
from tests.ledger.redis import Server, until
from tests.ledger.test_stock import NOW, key, row

PEPPER = b"p" * 32
NOISE = random.Random(2)
Open = Callable[..., AbstractAsyncContextManager[Any]]
"""Opens the same stock anew, with an empty memory."""


@asynccontextmanager
async def redis_stock(
    server: Server, prefix: str, now: Callable[[], int] = lambda: NOW, pepper: bytes = PEPPER,
    **room: float,
) -> AsyncIterator[RedisStock]:  # fmt: skip
    link = Link(server.address(prefix), "octoplex test")
    common = RedisCommon(link)
    room = {"wait_s": 10.0, "patient_s": 10.0, **room}
    stock = RedisStock(link, Hasher(pepper).hash, common, Room(**room), now)  # type: ignore[arg-type]
    link.begin()
    common.begin()
    assert await link.ready(10)
    try:
        yield stock
    finally:
        stock.close()
        await stock.drain(10)
        await common.close()
        await link.close()


@pytest.fixture(params=["disk", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        prefix = server.address().prefix

        def again(now: Callable[[], int] = lambda: NOW, **room: float) -> Any:
            return redis_stock(server, prefix, now, **room)

        return again

    @asynccontextmanager
    async def anew(now: Callable[[], int] = lambda: NOW, **room: float) -> AsyncIterator[Stock]:
        usual = {"spare_bytes": 0, "wait_s": 10.0}
        stock = DiskStock(tmp_path, Room(**usual | room), now)  # type: ignore[arg-type]
        try:
            yield stock
        finally:
            stock.close()

    return anew


def play(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(50):
            await work()

    asyncio.run(bounded())


async def settled(stock: Stock) -> None:
    """Everything that was kept is there."""
    if isinstance(stock, RedisStock):
        await stock.drain(10)
    await stock.routes()


def test_what_was_kept_is_found_in_both_places(opened: Open) -> None:
    async def main() -> None:
        rows = [row(number, size=number * 400) for number in range(200)]
        async with opened() as stock:
            for kept in rows:
                stock.keep(kept)
                assert stock.near(kept.key) is kept
        async with opened() as stock:
            assert stock.near(key(1)) is None
            assert [await stock.find(key(number)) for number in range(200)] == rows
            assert stock.near(key(1)) == rows[1]
            assert await stock.find(key(999)) is None

    play(main)


def test_a_later_one_takes_the_place_of_an_earlier(opened: Open) -> None:
    async def main() -> None:
        later = row(1, "main", 50)
        async with opened() as stock:
            stock.keep(row(1))
            stock.keep(later)
            await settled(stock)
            holding = stock.holding()
            assert holding.disk_entries == holding.memory_entries == 1
        async with opened() as stock:
            assert await stock.find(key(1)) == later

    play(main)


def test_what_has_ended_is_not_found(opened: Open) -> None:
    async def main() -> None:
        now = NOW
        async with opened(lambda: now) as stock:
            stock.keep(row(1, for_ms=1_000))
            await settled(stock)
            now += 1_000
            assert stock.near(key(1)) is None
            assert await stock.find(key(1)) is None
        async with opened(lambda: now) as stock:
            assert await stock.find(key(1)) is None

    play(main)


def test_one_that_is_too_large_is_not_kept(opened: Open) -> None:
    async def main() -> None:
        async with opened(row_bytes=2_000) as stock:
            stock.keep(row(1, size=2_000))
            assert await stock.find(key(1)) is None

    play(main)


def test_what_waits_to_be_written_is_bounded(opened: Open) -> None:
    async def main() -> None:
        async with opened(queue_bytes=20_000) as stock:
            for number in range(100):
                stock.keep(row(number))
            assert stock.holding().dropped > 50
            await settled(stock)
            assert 0 < stock.holding().disk_entries < 50

    play(main)


def test_a_purge_of_one_route_leaves_the_others(opened: Open) -> None:
    async def main() -> None:
        async with opened() as stock:
            for number in range(700):
                stock.keep(row(number, "main" if number % 2 else "other", 100))
            assert [name for name, *_ in await stock.routes()] in (["main", "other"], [])
            await settled(stock)
            assert await stock.purge("main") == 350
            assert await stock.find(key(1)) is None
            assert [r[:2] for r in await stock.routes()] == [("other", 350)]
            assert await stock.purge("main") == 0
            assert await stock.find(key(2))
            assert await stock.purge() == 350
            assert await stock.routes() == []
        async with opened() as stock:
            assert await stock.find(key(2)) is None

    play(main)


def test_what_is_read_during_a_purge_is_gone_after_it(opened: Open) -> None:
    async def main() -> None:
        async with opened() as stock:
            stock.keep(row(1))
        async with opened() as stock:
            reading = asyncio.ensure_future(stock.find(key(1)))
            await asyncio.sleep(0)
            await stock.purge()
            await reading
            assert stock.near(key(1)) is None
            assert await stock.find(key(1)) is None

    play(main)


def test_vectors_of_a_group_are_found_until_they_are_purged(opened: Open) -> None:
    async def main() -> None:
        rows = [
            replace(row(number), group=b"g%d" % (number % 2), vector=b"v%d" % number)
            for number in range(20)
        ]  # fmt: skip
        async with opened() as stock:
            for kept in rows:
                stock.keep(kept)
                await settled(stock)
        async with opened() as stock:
            found = await stock.vectors(b"g1", 3)
            assert len(found) == 3
            assert set(found) <= {(kept.key, kept.vector) for kept in rows[1::2]}
            assert len(await stock.vectors(b"g0", 100)) == 10
            assert await stock.vectors(b"g2", 100) == []
            await stock.purge()
            assert await stock.vectors(b"g1", 100) == []

    play(main)


# -- what only a Redis does -----------------------------------------------------------------


def test_hosts_share_it_and_a_purge_empties_the_other_s_memory(redis_server: Server) -> None:
    async def main() -> None:
        prefix = redis_server.address().prefix
        async with (
            redis_stock(redis_server, prefix) as one,
            redis_stock(redis_server, prefix) as two,
        ):
            one.keep(row(1))
            await settled(one)
            assert await two.find(key(1)) == row_like(one, 1)
            assert await one.purge() == 1
            assert two.near(key(1)), "it has not heard of it"
            await two.find(key(2))  # and sees that there was a purge
            assert two.near(key(1)) is None
            assert two.purges == 1

    play(main)


def row_like(stock: Stock, number: int) -> Kept:
    found = stock.near(key(number))
    assert found is not None
    return found


def test_what_was_asked_before_another_host_s_purge_is_not_kept_after_it(
    redis_server: Server,
) -> None:
    async def main() -> None:
        prefix = redis_server.address().prefix
        async with (
            redis_stock(redis_server, prefix) as one,
            redis_stock(redis_server, prefix) as two,
        ):
            await two.find(key(1))  # it knows how many purges there were
            await one.purge()
            two.keep(row(1))
            await settled(two)
            assert await one.find(key(1)) is None
            assert two.near(key(1)) is None
            two.keep(row(1))
            await settled(two)
            assert await one.find(key(1))

    play(main)


def test_redis_itself_lets_go_of_what_has_ended(redis_server: Server) -> None:
    async def main() -> None:
        prefix = redis_server.address().prefix
        async with redis_stock(redis_server, prefix) as stock:
            stock.keep(replace(row(1, for_ms=60_000), group=b"g", vector=b"v"))
            stock.keep(row(2, for_ms=20))
            await settled(stock)
            gone = f"{prefix}kept:{key(2).hex()}"
            await until(lambda: not redis_server.do("EXISTS", gone))
            names = redis_server.do("KEYS", f"{prefix}*")
            assert isinstance(names, list)
            for name in {*names} - {f"{prefix}news".encode()}:
                left_ms = redis_server.do("PTTL", name)
                assert isinstance(left_ms, int)
                assert 0 < left_ms <= 60_000, name

    play(main)


SPOILED: dict[str, Callable[[bytes, bytes], bytes]] = {
    "nothing": lambda value, other: b"",
    "noise": lambda value, other: NOISE.randbytes(2_000),
    "another version": lambda value, other: b"\1" + value[1:],
    "cut": lambda value, other: value[:-3],
    "longer": lambda value, other: value + b"x",
    "a letter changed": lambda value, other: value[:40] + bytes([value[40] ^ 1]) + value[41:],
    "another reply": lambda value, other: other,
    "huge": lambda value, other: value + b"\0" * 30_000_000,
    "only a version": lambda value, other: b"\2",
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_value_is_a_miss(redis_server: Server, how: str) -> None:
    async def main() -> None:
        prefix = redis_server.address().prefix
        names = [f"{prefix}kept:{key(number).hex()}" for number in (1, 2)]
        async with redis_stock(redis_server, prefix) as stock:
            stock.keep(row(1))
            stock.keep(row(2))
            await settled(stock)
        values = [redis_server.do("GET", name) for name in names]
        assert isinstance(values[0], bytes)
        assert isinstance(values[1], bytes)
        redis_server.do("SET", names[0], SPOILED[how](values[0], values[1]))
        async with redis_stock(redis_server, prefix) as stock:
            assert await stock.find(key(1)) is None
            assert await stock.find(key(2))
            stock.keep(row(1))
            await settled(stock)
        async with redis_stock(redis_server, prefix) as stock:
            assert await stock.find(key(1))

    play(main)


def test_what_is_purged_is_gone_though_redis_has_evicted_where_it_stood(
    redis_server: Server,
) -> None:
    """An index is read by nobody but a purge, and so goes before the replies in it."""

    async def main() -> None:
        prefix = redis_server.address().prefix
        async with (
            redis_stock(redis_server, prefix) as one,
            redis_stock(redis_server, prefix) as two,
        ):
            one.keep(row(1))
            one.keep(replace(row(2), route="other"))
            await settled(one)
            redis_server.do("DEL", f"{prefix}route:main", f"{prefix}route:other")
            await one.purge("main")
            assert await two.find(key(1)) is None
            assert await two.find(key(2))
            await one.purge("other")
            two.forget()  # as it does when it hears of it
            assert await two.find(key(2)) is None
            one.keep(row(1))
            await settled(one)
            assert await two.find(key(1))
            redis_server.do("DEL", f"{prefix}route:main")
            await one.purge()
            two.forget()
            assert await two.find(key(1)) is None
            one.keep(row(1))
            await settled(one)
            assert await two.find(key(1))

    play(main)


@pytest.mark.parametrize("kind", ["kept", "route", "routes", "purged", "group", "vec"])
def test_keys_of_another_type_make_misses_and_no_errors(redis_server: Server, kind: str) -> None:
    async def main() -> None:
        prefix = redis_server.address().prefix
        tail = {"route": ":main", "kept": f":{key(1).hex()}", "vec": f":{key(1).hex()}"}
        tail["group"] = f":{b'g'.hex()}"
        name = f"{prefix}{kind}{tail.get(kind, '')}"
        redis_server.do(*(["SET", name, "a"] if kind == "purged" else ["HSET", name, "a", "b"]))
        async with redis_stock(redis_server, prefix) as stock:
            stock.keep(replace(row(1), group=b"g", vector=b"v"))
            await settled(stock)
            stock.forget()
            await stock.find(key(1))
            await stock.vectors(b"g", 10)
            await stock.routes()
            assert stock.near(key(3)) is None

    play(main)


def test_another_pepper_reads_nothing(redis_server: Server) -> None:
    async def main() -> None:
        prefix = redis_server.address().prefix
        async with redis_stock(redis_server, prefix) as stock:
            stock.keep(row(1))
        async with redis_stock(redis_server, prefix, pepper=b"q" * 32) as stock:
            assert await stock.find(key(1)) is None

    play(main)


def test_a_full_redis_takes_nothing_and_says_so_once(
    redis: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        prefix = redis.address().prefix
        async with redis_stock(redis, prefix) as stock:
            stock.keep(row(1))
            await settled(stock)
            redis.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
            redis.do("CONFIG", "SET", "maxmemory", "1mb")
            for number in range(2, 30):
                stock.keep(row(number))
            await settled(stock)
            assert stock.holding().dropped == 28
            stock.forget()
            assert await stock.find(key(1)), "what is there is still given"
            redis.do("CONFIG", "SET", "maxmemory", "0")
            stock.keep(row(40))
            await settled(stock)
            stock.forget()
            assert await stock.find(key(40))

    play(main)
    assert caplog.text.count("takes nothing") == 1


def test_while_it_is_down_all_is_a_miss_and_a_purge_fails(redis: Server) -> None:
    async def main() -> None:
        prefix = redis.address().prefix
        async with redis_stock(redis, prefix) as stock:
            stock.keep(row(1))
            await settled(stock)
            redis.kill()
            stock.keep(row(2))
            assert stock.near(key(2)), "one's own memory goes on"
            assert await stock.find(key(3)) is None
            assert await stock.vectors(b"g", 10) is None
            assert await stock.routes() == []
            await settled(stock)
            assert stock.holding().dropped == 1
            with pytest.raises(StoreFailed, match="cannot be purged now"):
                await stock.purge()
            assert stock.near(key(1)) is None, "memory is empty all the same"
            redis.start()
            while await stock.find(key(5)) is None:
                stock.keep(row(5))
                await settled(stock)
                stock.forget()

    play(main)
