"""What hosts tell each other, the same over a Redis and over a PostgreSQL."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from octoplex.ledger.common import Common
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.store import PostgresStore, open_common, open_postgres
from octoplex.ledger.redis.common import RedisCommon
from octoplex.ledger.redis.link import Link
from octoplex.ledger.switches import Off, StoredKey, Switches
from octoplex.wire.error import StoreFailed
from tests.ledger.postgres import Server as Postgres
from tests.ledger.redis import Server as Redis
from tests.ledger.redis import until

OFF = Off("key:ops", "2026-01-01T00:00:00Z")
STORED = StoredKey(sealed="s", last4="last", who="key:ops", at="2026-01-01T00:00:00Z")


class Host:
    """What one host has in common with the others."""

    def __init__(self, common: Common, end: Callable[[], Awaitable[None]]) -> None:
        self.common, self._end = common, end
        self.heard: list[str] = []
        self.own = Switches()
        self.lock = asyncio.Lock()

    async def hear_switches(self) -> None:
        async with self.lock:
            self.own = await self.common.switches(self.own)

    async def hear_keys(self) -> None:
        self.heard.append("keys")

    async def put(self, id_: str, off: Off | None, key: StoredKey | None = None) -> None:
        async with self.lock:
            self.own = self.own.with_provider(id_, off).with_key(id_, key)
            self.common.put(id_, self.own)

    async def vanish(self) -> None:
        await self.common.close()
        await self._end()


class InRedis:
    def __init__(self, server: Redis) -> None:
        self.server, self._prefix = server, server.address().prefix

    async def host(self) -> Host:
        link = Link(self.server.address(self._prefix), "octoplex test")
        link.begin()
        assert await link.ready(10)
        return Host(RedisCommon(link), link.close)

    async def raise_unheard(self) -> None:
        """A counter goes up, and nobody hears of it."""
        self.server.do("ACL", "SETUSER", "default", "-publish", "resetchannels")
        self.server.do("CLIENT", "KILL", "TYPE", "pubsub")
        self.server.do("HINCRBY", f"{self._prefix}news", "keys", "1")

    async def forget_switches(self) -> None:
        self.server.do("DEL", f"{self._prefix}switches")

    async def spoil(self) -> None:
        self.server.do("HSET", f"{self._prefix}switches", "openai", b"\xff\xff")


class InPostgres:
    def __init__(self, server: Postgres, folder: Path) -> None:
        self.server, self._folder, self._numbers = server, folder, count()
        self._url = server.database()
        self.database = Database(self._url, lambda: server.password)

    async def host(self) -> Host:
        store: PostgresStore = open_postgres(
            self._folder / f"host-{next(self._numbers)}", self.database
        )
        store.hear_keys(lambda rows: None)

        async def end() -> None:
            await asyncio.to_thread(store.close)

        return Host(store.common, end)

    async def raise_unheard(self) -> None:
        """A counter goes up, and nobody hears of it."""
        await self._sql("update octoplex.news set number = number + 1 where topic = 'keys'")

    async def forget_switches(self) -> None:
        await self._sql("delete from octoplex.switches")

    async def spoil(self) -> None:
        await self._sql("insert into octoplex.switches values ('openai', '\\xffff')")

    async def _sql(self, text: str) -> None:
        await asyncio.to_thread(self.server.sql, self._url.rpartition("/")[2], text)


Place = InRedis | InPostgres


@pytest.fixture(params=["redis", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    server = request.getfixturevalue(request.param)
    return InRedis(server) if request.param == "redis" else InPostgres(server, tmp_path)


@asynccontextmanager
async def hosts(place: Place, wanted: int) -> AsyncIterator[list[Host]]:
    made: list[Host] = []
    try:
        for _ in range(wanted):
            made.append(await place.host())
            made[-1].common.begin()
        yield made
    finally:
        for host in made:
            await host.vanish()


def play(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(50):
            await work()

    asyncio.run(bounded())


@pytest.mark.parametrize("lost", [False, True], ids=["heard", "lost"])
def test_news_reach_the_others(place: Place, lost: bool) -> None:
    async def main() -> None:
        async with hosts(place, 3) as all_:
            for host in all_:
                host.common.listen("keys", host.hear_keys)
            await until(lambda: all(host.heard for host in all_))
            all_[0].common.say("keys")
            await until(lambda: all_[1].heard[1:] and all_[2].heard[1:])
            assert not all_[0].heard[1:], "nobody is told what it said itself"
            if lost:  # no word is ever heard: the counter is
                before = [len(host.heard) for host in all_]
                await place.raise_unheard()
                await until(
                    lambda: all(len(h.heard) > n for h, n in zip(all_, before, strict=True))
                )

    play(main)


def test_the_counter_is_another_one_after_each_word(place: Place) -> None:
    async def main() -> None:
        async with hosts(place, 2) as (one, two):
            assert (one.common.number("cache"), two.common.number("cache")) == (b"", b"")
            seen = set()
            for host in (one, two, one):
                host.common.say("cache")
                await host.common.flush()
                await until(lambda: one.common.number("cache") == two.common.number("cache") != b"")
                await until(lambda: one.common.number("cache") not in seen)
                seen.add(one.common.number("cache"))

    play(main)


def test_what_could_not_be_said_is_said_when_it_is_back(place: Place) -> None:
    async def main() -> None:
        async with hosts(place, 2) as (one, two):
            two.common.listen("switches", two.hear_switches)
            place.server.kill()
            await one.put("openai", OFF)
            await asyncio.sleep(0.05)
            await asyncio.to_thread(place.server.start)
            await until(lambda: two.own.off == {"openai": OFF})

    play(main)


def test_what_was_to_be_said_is_said_before_the_end(place: Place) -> None:
    async def main() -> None:
        async with hosts(place, 2) as (one, two):
            two.common.listen("switches", two.hear_switches)
            await one.put("openai", OFF)
            await one.common.close()
            await until(lambda: two.own.off == {"openai": OFF})

    play(main)


def test_one_that_fails_to_take_news_tries_again(place: Place) -> None:
    async def main() -> None:
        async with hosts(place, 1) as (one,):
            tries: list[int] = []

            async def fails() -> None:
                tries.append(1)
                if len(tries) < 3:
                    raise StoreFailed("the database is away")

            one.common.listen("keys", fails)
            await until(lambda: len(tries) == 3)

    play(main)


def test_switches_are_the_last_written_on_all_hosts(place: Place) -> None:
    async def main() -> None:
        async with hosts(place, 3) as all_:
            for host in all_:
                host.common.listen("switches", host.hear_switches)
            dice = random.Random(1)
            for _ in range(30):
                host, name = dice.choice(all_), dice.choice("abc")
                off, key = dice.choice([OFF, None]), dice.choice([STORED, None])
                wanted = host.own.with_provider(name, off).with_key(name, key)
                if wanted == host.own:
                    continue  # nobody would see when it has arrived
                await host.put(name, off, key)
                await until(lambda: all(h.own == wanted for h in all_))  # noqa: B023

    play(main)


def test_what_was_forgotten_is_filled_again_and_a_new_host_learns(place: Place) -> None:
    async def main() -> None:
        async with hosts(place, 1) as (one,):
            one.common.listen("switches", one.hear_switches)
            await one.put("openai", OFF)
            await one.common.flush()
            await place.forget_switches()
            one.common.listen("switches", one.hear_switches)  # it looks again
            async with hosts(place, 1) as (new,):
                new.common.listen("switches", new.hear_switches)
                await until(lambda: new.own.off == {"openai": OFF})
                await new.put("openai", None)
                await until(lambda: not one.own.off)

    play(main)


def test_what_cannot_be_read_changes_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with hosts(place, 1) as (one,):
            one.own = Switches(off={"openai": OFF})
            await place.spoil()
            one.common.listen("switches", one.hear_switches)
            await until(lambda: f"in {one.common.place} cannot be read" in caplog.text)
            assert one.own == Switches(off={"openai": OFF})

    play(main)


def test_a_command_tells_hosts_and_is_no_host(postgres: Postgres, tmp_path: Path) -> None:
    place = InPostgres(postgres, tmp_path)

    async def main() -> None:
        async with open_common(place.database) as common:
            assert common is None, "nobody has ever been there"
        async with hosts(place, 1) as (one,):
            one.common.listen("switches", one.hear_switches)
            async with open_common(place.database) as common:
                assert common is not None
                common.put("openai", Switches(off={"openai": OFF}))
                await common.flush()
            await until(lambda: one.own.off == {"openai": OFF})

    play(main)
