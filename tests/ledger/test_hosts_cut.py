"""Several hosts on one PostgreSQL: what is on its way when a connection is cut, or is slow."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg
import pytest

from octoplex.ledger import Cap
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.gifts import GIVE
from octoplex.ledger.postgres.link import BEGINNING
from octoplex.ledger.postgres.store import How, open_postgres
from octoplex.ledger.postgres.watch import Tempo
from octoplex.ledger.rows import KeyRow, SpendQuery
from octoplex.ledger.shared.till import RateWant
from octoplex.reflex.limit import parse
from octoplex.reflex.shared import SharedBuckets, SharedDesk
from octoplex.wire.error import BadConfig, StoreFailed
from tests.ledger.postgres import PASSWORD, Server
from tests.ledger.redis import until
from tests.ledger.test_hosts import NOON, QUICK, Host, asked, order, own, run, settles

__all__ = ["own"]
PATIENT = How(beats=Tempo(beat_s=0.2, term_s=60.0, gone_s=60.0, answer_s=0.3))
CUT = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cut'"


class Place:
    """One database, as two hosts reach it: one of them can be cut off."""

    def __init__(self, server: Server) -> None:
        self.server, url = server, server.database()
        server.sql("postgres", f"create role cut superuser login password '{PASSWORD}'")
        self.near = Database(url, lambda: PASSWORD)
        self.far = Database(url.replace("octoplex@", "cut@"), lambda: PASSWORD)

    async def cut(self) -> None:
        await asked(self.server, self.near, "alter role cut nologin")
        await asked(self.server, self.near, CUT)

    async def mend(self) -> None:
        await asked(self.server, self.near, "alter role cut login")

    @asynccontextmanager
    async def nobody_writes_again(self) -> AsyncIterator[None]:
        """As while another host begins: the connection that writes comes back after the till's."""
        held = await asyncpg.connect(self.near.url, password=PASSWORD)
        try:
            await held.execute(f"select pg_advisory_lock({BEGINNING})")
            yield
        finally:
            await held.close()


def test_a_key_that_was_revoked_during_a_cut_is_so_after_it(tmp_path: Path, own: Server) -> None:
    async def main() -> None:
        place = await asyncio.to_thread(Place, own)
        a = open_postgres(tmp_path / "a", place.far, how=QUICK)
        b = open_postgres(tmp_path / "b", place.near, how=QUICK)
        heard: list[list[int | None]] = []
        a.hear_keys(lambda rows: heard.append([row.revoked_at_ms for row in rows]))
        await b.add_key(KeyRow(id="key_1", name="app", hash=b"h", prefix="oct-", last4="wxyz"))
        await until(lambda: heard[-1:] == [[None]])
        await place.cut()
        await until(lambda: a.condition().away)
        await b.revoke_key("app", 5)
        async with place.nobody_writes_again():
            await place.mend()
            await until(a.till._up.is_set)
            await asyncio.sleep(0.3)  # it looks for news, and cannot read
        await until(lambda: heard[-1] == [5])
        a.close()
        b.close()

    run(main())


def test_a_host_whose_last_connection_lingers_stops_using_what_it_took(
    tmp_path: Path, own: Server
) -> None:
    """The server has not noticed that it is gone, so that the next one waits for its lock."""

    async def main() -> None:
        place, caps = await asyncio.to_thread(Place, own), [Cap("total", 10**9)]
        a = Host(tmp_path / "a", place.far, caps)
        b = Host(tmp_path / "b", place.near, caps)
        await until(lambda: a.store.till.hosts == 2)
        assert await a.call(0)
        assert a.book.room("k", NOON) > 0
        held = await asyncpg.connect(place.near.url, password=PASSWORD)
        lock = f"select pg_advisory_lock({a.store._link.own_lock + 1})"
        waiting = asyncio.create_task(held.execute(lock))
        await asyncio.sleep(0.1)
        await asked(own, place.near, CUT)
        await waiting

        async def goes_on() -> None:
            for number in itertools.count(1):
                await a.call(number)

        with pytest.raises(StoreFailed, match="share their limits"):
            await asyncio.wait_for(goes_on(), 10)
        await held.close()
        a.store.close()
        b.store.close()

    run(main())


def test_a_database_that_hangs_is_away_though_nothing_is_written(
    tmp_path: Path, own: Server
) -> None:
    """Else a key that another host has made meanwhile would be a 401."""

    async def main() -> None:
        url = await asyncio.to_thread(own.database)
        store = open_postgres(tmp_path / "a", Database(url, lambda: PASSWORD), how=PATIENT)
        with closing(store):
            await until(lambda: not store.condition().away)
            own.hang()
            try:
                await until(lambda: store.condition().away)
            finally:
                own.go_on()
            await until(lambda: not store.condition().away)

    run(main())


def test_a_database_is_reached_again_under_another_password(tmp_path: Path, own: Server) -> None:
    """Whose file was not there for a moment, as while a secret is replaced."""

    async def main() -> None:
        place, words, asked_for = await asyncio.to_thread(Place, own), [PASSWORD], []

        def word() -> str:
            asked_for.append(words)
            if not words:
                raise BadConfig("[server] database_password: there is no file.")
            return words[0]

        store = open_postgres(tmp_path / "a", Database(place.far.url, word), how=QUICK)
        with closing(store):
            assert (await store.spend(SpendQuery())).rows == []
            await until(lambda: not store.condition().away)
            words.clear()
            asked_for.clear()
            await asked(own, place.near, "alter role cut password 'canary-another'")
            await asked(own, place.near, CUT)
            await until(lambda: len(asked_for) > 4)
            with pytest.raises(StoreFailed):
                await store.spend(SpendQuery())
            words.append("canary-another")
            await until(lambda: not store.condition().away)
            assert (await store.spend(SpendQuery())).rows == []

    run(main())


def test_connections_are_made_anew_whatever_the_library_raises(
    tmp_path: Path, own: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a server, or a proxy, that says `ready` and nothing else: no failure of its own."""

    async def main() -> None:
        place = await asyncio.to_thread(Place, own)
        store = open_postgres(tmp_path / "a", place.far, how=QUICK)
        dial, odd = store._link.dial, [1, 2, 3, 4]

        async def oddly() -> object:
            if odd:
                odd.pop()
                raise AttributeError("server_version")
            return await dial()

        with closing(store):
            await until(lambda: not store.condition().away)
            monkeypatch.setattr(store._link, "dial", oddly)
            await asked(own, place.near, CUT)
            await until(lambda: not (odd or store.condition().away))

    run(main())


def test_what_was_given_back_and_not_answered_is_not_given_twice(
    tmp_path: Path, own: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks while nobody knows what became of it must not take its number."""

    async def main() -> None:
        place, caps = await asyncio.to_thread(Place, own), [Cap("total", 1_000)]
        a = Host(tmp_path / "a", place.far, caps, PATIENT)
        b = Host(tmp_path / "b", place.near, caps, PATIENT)
        till, lost = a.store.till, threading.Event()
        await until(lambda: till.hosts == b.store.till.hosts == 2)
        holds = [await a.book.wait(order(number, 100)) for number in range(5)]
        assert await a.store.drain()
        ask = till._ask

        async def unheard(text: str, *values: object) -> list[object]:
            rows = await ask(text, *values)
            if text == GIVE and not lost.is_set():
                await asyncio.to_thread(own.sql, "postgres", "alter role cut nologin")
                assert till._connection is not None
                till._drop(till._connection)
                lost.set()
                raise StoreFailed("nobody hears it")
            return rows

        monkeypatch.setattr(till, "_ask", unheard)
        holds[0].release("failed")
        await until(lost.is_set)
        for _ in range(2):
            with pytest.raises(StoreFailed):
                await till.widen([RateWant("key k", "req", 60, 60, 0, 1)])
        await place.mend()
        await settles(own, place.near, "select sum(nano) from octoplex.leases", 400)
        passed = await b.count(range(100, 200))
        assert passed == 60
        for hold in holds[1:]:
            hold.release("failed")
        a.store.close()
        b.store.close()

    run(main())


def test_a_part_of_a_rate_that_is_given_while_more_is_asked_for_counts_once(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    async def main() -> None:
        stores = [open_postgres(tmp_path / name, database, how=QUICK) for name in "ab"]
        desks = [SharedDesk(store.till) for store in stores]
        both = []
        for desk in desks:
            desk._now_ns = lambda: 0
            buckets = desk.make("k", parse("60 req/day").rates)
            assert isinstance(buckets, SharedBuckets)
            guest = type("Guest", (), {"buckets": buckets, "models": None})()
            desk._guests = {"k": guest}  # type: ignore[dict-item]
            both.append(buckets)
        await until(lambda: all(store.till.hosts == 2 for store in stores))
        for desk, buckets in zip(desks, both, strict=True):
            await desk._widen(buckets, 1, 0)

        async def busy() -> None:
            async with stores[0].till._turn:
                await asyncio.sleep(0.1)

        stores[0].till._link.start(busy())
        more = asyncio.create_task(desks[0]._widen(both[0], 40, 0))
        await asyncio.sleep(0.02)
        await asyncio.gather(more, desks[1].get(both[1], 35, 0))
        await asyncio.sleep(0.1)
        for desk, buckets in zip(desks, both, strict=True):
            await desk._widen(buckets, 1, 0)
        ((left,),) = await asked(postgres, database, "select part from octoplex.rates")
        assert sum(bucket.count for own in both for bucket in own.all) + left == 60
        for desk in desks:
            await desk.close()
        for store in stores:
            store.close()

    run(main())


def test_a_budget_that_was_away_for_a_while_counts_once_what_was_spent_meanwhile(
    tmp_path: Path, database: Database
) -> None:
    async def main() -> None:
        caps = [Cap("total", 1_000)]
        a, b = (Host(tmp_path / name, database, caps) for name in "ab")
        assert await a.count(range(10)) == 10
        a.book.limit("k", (), "acme.web")
        assert await a.count(range(10, 30)) == 20
        assert await a.store.drain()
        a.book.limit("k", caps, "acme.web")
        assert await a.count(range(30, 40)) + await b.count(range(100, 200)) == 70
        a.store.close()
        b.store.close()

    run(main())


def test_a_cap_beyond_all_money_is_a_cap(tmp_path: Path, database: Database) -> None:
    """No bigint holds it."""

    async def main() -> None:
        host = Host(tmp_path / "a", database, [Cap("total", 10**21)])
        assert await host.count(range(3)) == 3
        assert host.book.left("k", NOON)[0].cap_nano == 10**21
        host.store.close()

    run(main())
