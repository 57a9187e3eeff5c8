"""Hosts over one Redis: whose call it is, and what they tell each other."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from octoplex.ledger.redis.claims import HELD_S, RedisClaims
from octoplex.ledger.redis.common import RedisCommon
from octoplex.ledger.redis.link import Link
from octoplex.ledger.redis.stock import RedisStock
from octoplex.ledger.switches import Off, Switches
from tests.ledger.redis import Server, until
from tests.ledger.test_common import play
from tests.ledger.test_stock import key, row

OFF = Off("key:ops", "2026-01-01T00:00:00Z")


class Host:
    """What one host has of a Redis."""

    def __init__(self, server: Server, prefix: str) -> None:
        self.link = Link(server.address(prefix), "octoplex test")
        self.common = RedisCommon(self.link)
        self.stock = RedisStock(self.link, bytes, self.common)
        self.claims = RedisClaims(self.link, self.stock)
        self.heard: list[str] = []
        self.own = Switches()
        self.lock = asyncio.Lock()

    async def hear_switches(self) -> None:
        async with self.lock:
            self.own = await self.common.switches(self.own)

    async def hear_keys(self) -> None:
        self.heard.append("keys")

    async def vanish(self) -> None:
        """As a machine dies."""
        await self.claims.close()
        await self.common.close()
        await self.link.close()


@asynccontextmanager
async def hosts(server: Server, count: int, prefix: str = "") -> AsyncIterator[list[Host]]:
    prefix = prefix or server.address().prefix
    made = [Host(server, prefix) for _ in range(count)]
    for host in made:
        host.link.begin()
        host.common.begin()
        assert await host.link.ready(10)
    try:
        yield made
    finally:
        for host in made:
            await host.vanish()


def soon() -> float:
    return asyncio.get_running_loop().time() + 20


# -- claims ---------------------------------------------------------------------------------


def test_one_of_two_has_a_claim_and_the_other_finds_what_it_brought(redis_server: Server) -> None:
    async def main() -> None:
        async with hosts(redis_server, 2) as (one, two):
            assert await one.claims.take(key(1), b"asked") is None
            assert await two.claims.take(key(1), b"other") == b"asked"
            assert await one.claims.take(key(1), b"other") == b"asked", "in the same process, too"
            waiting = asyncio.ensure_future(two.claims.freed(key(1), soon()))
            one.stock.keep(row(1))
            one.claims.give_back(key(1))
            await waiting
            while await two.claims.take(key(1), b"x") is not None:  # it may have looked early
                await two.claims.freed(key(1), soon())
            assert await two.stock.find(key(1)) is not None
            two.claims.give_back(key(1))

    play(main)


def test_of_many_at_once_each_key_is_held_by_one(redis_server: Server) -> None:
    async def main() -> None:
        async with hosts(redis_server, 3) as all_:
            held: set[bytes] = set()
            most = 0

            async def one(host: Host, name: bytes) -> None:
                nonlocal most
                while await host.claims.take(name, b"") is not None:
                    await host.claims.freed(name, soon())
                assert name not in held
                held.add(name)
                most = max(most, len(held))
                await asyncio.sleep(0.001)
                held.discard(name)
                host.claims.give_back(name)

            names = [key(number) for number in range(5)]
            await asyncio.gather(*[one(host, name) for name in names for host in all_ * 6])
            assert most > 1, "different keys do not wait for each other"

    play(main)


def test_of_two_asks_at_two_hosts_at_once_one_is_told_that_it_is_free(
    redis_server: Server,
) -> None:
    """Each at each: what a host is still asking for refuses nobody."""

    async def main() -> None:
        async with hosts(redis_server, 2) as both:
            for number in range(40):
                name, order = key(number), random.Random(number)
                asks = [(host, asked) for host in both for asked in (b"a", b"b")] * 3
                order.shuffle(asks)
                told = await asyncio.gather(*[h.claims.take(name, asked) for h, asked in asks])
                (won,) = [asked for (_, asked), holder in zip(asks, told, strict=True)
                          if holder is None]  # fmt: skip
                assert {holder for holder in told if holder is not None} == {won}

    play(main)


def test_a_claim_outlives_its_expiry_while_it_is_held(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octoplex.ledger.redis.claims.HELD_S", 0.4)

    async def main() -> None:
        async with hosts(redis_server, 2) as (one, two):
            assert await one.claims.take(key(1), b"asked") is None
            for _ in range(20):
                await asyncio.sleep(0.05)
                assert await two.claims.take(key(1), b"asked") == b"asked"
            await one.vanish()
            while await two.claims.take(key(1), b"asked") is not None:
                await two.claims.freed(key(1), soon())

    play(main)


def test_a_claim_is_made_again_in_a_redis_that_forgot_it(
    redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octoplex.ledger.redis.claims.HELD_S", 0.4)

    async def main() -> None:
        async with hosts(redis, 2) as (one, two):
            assert await one.claims.take(key(1), b"asked") is None
            redis.do("FLUSHALL")
            await until(lambda: redis.do("KEYS", "*claim*"))
            assert await two.claims.take(key(1), b"asked") == b"asked"

    play(main)


def test_while_redis_is_down_every_host_asks_for_itself(redis: Server) -> None:
    async def main() -> None:
        async with hosts(redis, 2) as (one, two):
            redis.kill()
            assert await one.claims.take(key(1), b"asked") is None
            assert await two.claims.take(key(1), b"asked") is None
            assert await one.claims.take(key(1), b"asked") == b"asked", "one of its own process"
            one.claims.give_back(key(1))
            assert await one.claims.take(key(1), b"asked") is None

    play(main)


def test_giving_back_late_does_not_end_the_next_claim(redis_server: Server) -> None:
    async def main() -> None:
        async with hosts(redis_server, 2) as (one, two):
            assert await one.claims.take(key(1), b"a") is None
            one.claims.give_back(key(1))
            assert await one.claims.take(key(1), b"a") is None
            await one.stock.drain(10)
            assert await two.claims.take(key(1), b"a") == b"a"

    play(main)


def test_a_poisoned_claim_only_lasts_until_it_ends(redis_server: Server) -> None:
    async def main() -> None:
        async with hosts(redis_server, 1) as (one,):
            name = one.link.key("claim", key(1).hex())
            redis_server.do("SET", name, "short", "PX", "50")
            while await one.claims.take(key(1), b"a") is not None:
                await one.claims.freed(key(1), soon())
            redis_server.do("DEL", name)
            redis_server.do("HSET", name, "a", "b")
            one.claims.give_back(key(1))
            await one.stock.drain(10)
            assert await one.claims.take(key(1), b"a") is None

    play(main)


def test_holding_is_a_matter_of_seconds() -> None:
    assert HELD_S <= 10


# -- news and switches: what a Redis does beside `test_common.py` ----------------------------


def test_a_redis_that_forgot_is_filled_again_and_a_new_host_learns(redis: Server) -> None:
    async def main() -> None:
        prefix = redis.address().prefix
        async with hosts(redis, 1, prefix) as (one,):
            one.own = Switches(off={"openai": OFF})
            one.common.listen("switches", one.hear_switches)
            await until(lambda: redis.do("EXISTS", one.link.key("switches")))
            redis.kill()
            redis.start()
            async with hosts(redis, 1, prefix) as (new,):
                new.common.listen("switches", new.hear_switches)
                await until(lambda: new.own.off == {"openai": OFF})
                new.own = new.own.with_provider("openai", None)
                new.common.put("openai", new.own)
                await until(lambda: not one.own.off)

    play(main)


def test_a_redis_that_forgot_everything_is_news(redis: Server) -> None:
    """Also where no counter had begun, so that none has changed."""

    async def main() -> None:
        async with hosts(redis, 1) as (one,):
            one.common.listen("keys", one.hear_keys)
            await until(lambda: one.heard)
            one.heard.clear()
            redis.do("FLUSHALL")
            await until(lambda: one.heard)

    play(main)


def test_poisoned_news_and_switches_change_nothing(redis_server: Server) -> None:
    async def main() -> None:
        async with hosts(redis_server, 1) as (one,):
            one.own = Switches(off={"openai": OFF})
            one.common.listen("switches", one.hear_switches)
            one.common.listen("keys", one.hear_keys)
            await until(lambda: one.heard)
            one.heard.clear()
            redis_server.do("HSET", one.link.key("switches"), "openai", b"\xff\xff", b"\xff", b"x")
            redis_server.do(
                "HSET", one.link.key("news"), "switches", "many", "keys", "-9" * 40
            )  # as no counter is
            await until(lambda: one.heard)
            assert one.own == Switches(off={"openai": OFF})
            redis_server.do("DEL", one.link.key("news"))
            redis_server.do("SET", one.link.key("news"), "x")
            one.common.say("keys")
            await until(lambda: redis_server.do("TYPE", one.link.key("news")) == b"hash")

    play(main)
