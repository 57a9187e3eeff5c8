"""Hosts that are given up while they live: what they had comes back, once, and passes no budget."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger import Cap
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.store import open_postgres
from octoplex.ledger.postgres.till import _HOSTS, _TAKE
from octoplex.ledger.postgres.watch import Tempo, Watch
from octoplex.ledger.shared import drawer
from octoplex.ledger.shared.till import RatePart, RateWant
from octoplex.reflex.limit import parse
from octoplex.reflex.shared import SharedBuckets, SharedDesk
from octoplex.reflex.shared_parallel import SharedCrowd
from octoplex.wire.error import StoreFailed, TooFast
from octoplex.wire.event import Usage
from tests.ledger.postgres import Server
from tests.ledger.redis import until
from tests.ledger.test_hosts import (
    NOON,
    Host,
    agrees,
    asked,
    nothing_lent,
    order,
    own,
    run,
    settles,
    sql,
)
from tests.ledger.test_hosts_cut import PATIENT, Place

__all__ = ["own"]
CAPS = [Cap("total", 1_000)]
BURY = "select octoplex.bury(h.id, h.beat) from octoplex.hosts h where h.id = '{}'"


class Two:
    """Hosts on one database, of which `a` is given up."""

    def __init__(self, folder: Path, server: Server, database: Database) -> None:
        self.server, self.database = server, database
        self.a, self.b = (Host(folder / name, database, CAPS, PATIENT) for name in "ab")
        self.name = self.a.store._link.host

    async def met(self) -> None:
        """Wait until they know each other."""
        await until(lambda: self.a.store.till.hosts == self.b.store.till.hosts == 2)

    async def bury(self) -> None:
        """As `b` does when it has not heard of `a` for too long."""
        await asked(self.server, self.database, BURY.format(self.name))

    async def anew(self, life: int = 1) -> None:
        """Wait until `a` is there again."""
        till = self.a.store.till
        await until(lambda: till._life_heard == life and till._up.is_set())

    async def leased(self) -> int:
        """What `a` may still spend, as the database has it."""
        text = f"select coalesce(sum(nano), 0) from octoplex.leases where host = '{self.name}'"
        nano = int((await asked(self.server, self.database, text))[0][0])
        return nano

    async def has(self, held: int) -> None:
        """Wait until the database has what `a` may spend, and no more."""
        end_at = time.monotonic() + 20
        while await self.leased() != (mine := self.a.book.room("k", NOON) + held):
            assert time.monotonic() < end_at, mine
            await asyncio.sleep(0.05)

    async def spend_all(self, expected: int) -> None:
        """Whatever both are granted from now on is what is left, and nothing stays lent."""
        passed = await self.b.count(range(1_000, 1_060)) + await self.a.count(range(2_000, 2_060))
        passed += await self.b.count(range(3_000, 3_060))
        assert passed == expected
        await nothing_lent(self.server, self.database)
        await asyncio.to_thread(agrees, self.server, self.database)
        self.a.store.close()
        self.b.store.close()


def test_what_was_open_at_a_host_that_was_given_up_costs_what_it_cost(
    tmp_path: Path, postgres: Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of it stands as lost by then, some ends before it hears of it, some later."""

    async def main() -> None:
        monkeypatch.setattr(drawer, "WRITTEN_S", 0.0)
        two = Two(tmp_path, postgres, database)
        await two.met()
        holds = [await two.a.book.wait(order(number, 100)) for number in range(3)]
        assert await two.a.store.drain()
        held = threading.Event()
        two.a.store._writer.call(held.wait)  # what comes now is written after it is given up
        holds += [await two.a.book.wait(order(number, 100)) for number in range(3, 5)]
        await two.bury()
        holds[0].settle(40, Usage(7, 2), "done")
        holds[3].settle(20, Usage(7, 2), "done")
        held.set()
        await two.anew()
        assert two.a.book.open_nano == 0
        assert await two.a.call(10)
        kept = await two.a.book.wait(order(11, 100))
        holds[1].settle(140, Usage(7, 2), "done")  # above its reservation
        holds[2].release("failed")
        holds[4].settle(30, Usage(7, 2), "done")
        assert await two.a.store.drain()
        await two.a.store.till.flushed()
        await two.has(100)
        kept.release("failed")
        assert await two.a.store.drain()
        text = "select nano, outcome, estimated, input_tokens from octoplex.ended order by 1"
        rows = await asked(postgres, database, text)
        done = [(nano, "done", False, 7) for nano in (20, 30, 40, 140)]
        assert rows == [*[(0, "failed", False, 0)] * 2, (10, "done", False, 1), *done]
        days = (
            "select sum(requests), sum(input_tokens), sum(nano), sum(estimated) from octoplex.days"
        )
        assert await asked(postgres, database, days) == [(5, 29, 240, 0)]
        await two.spend_all(76)

    run(main())


def test_what_was_lent_while_it_was_given_up_is_nobodys(
    tmp_path: Path, postgres: Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is heard after the host was told that nothing is its own."""

    async def main() -> None:
        two, once = Two(tmp_path, postgres, database), threading.Event()
        await two.met()
        till, ask = two.a.store.till, two.a.store.till._ask

        async def late(text: str, *values: object) -> list[Any]:
            rows = await ask(text, *values)
            if text == _TAKE and not once.is_set():
                once.set()
                await asyncio.to_thread(sql, postgres, database, BURY.format(two.name))
                till.narrow([RatePart("key k", "req", 86_400, 60, 30, 0.0)])  # nobody told it
                till._miss()
            return rows

        monkeypatch.setattr(till, "_ask", late)
        for host in (two.a, two.b):
            await host.store.till.widen([RateWant("key k", "req", 86_400, 60, 0, 20)])
        with pytest.raises(StoreFailed, match="taken for gone"):
            await two.a.call(0)
        await two.anew()
        await till.flushed()
        parts = "select r.part + (select sum(p.part) from octoplex.parts p) from octoplex.rates r"
        assert await asked(postgres, database, parts) == [(60,)]
        assert two.a.book.room("k", NOON) == 0
        hold = await two.a.book.wait(order(1, 40))
        await two.has(40)
        hold.release("failed")
        await two.spend_all(100)

    run(main())


def test_what_was_asked_before_it_was_given_up_is_not_asked_after(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    async def main() -> None:
        two = Two(tmp_path, postgres, database)
        await two.met()
        till = two.a.store.till
        await two.bury()
        await two.anew()
        waited = till._widen(0, [RateWant("key k", "req", 86_400, 60, 0, 20)])
        with pytest.raises(StoreFailed, match="taken for gone"):
            await asyncio.wrap_future(till._link.start(waited))
        assert await asked(postgres, database, "select count(*) from octoplex.parts") == [(0,)]
        await two.spend_all(100)

    run(main())


def test_what_was_to_be_given_back_is_not_taken_off_what_is_taken_anew(
    tmp_path: Path, postgres: Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        late: list[Callable[[], None]] = []
        two = Two(tmp_path, postgres, database)
        await two.met()
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def later(delay_s: float, told: Callable[..., Any], *words: Any) -> Any:
            if delay_s == drawer.WRITTEN_S:
                late.append(lambda: told(*words))
                return None
            return call_later(delay_s, told, *words)

        monkeypatch.setattr(loop, "call_later", later)
        assert await two.a.call(0, nano=40, paid=60)
        assert await two.a.store.drain()
        await two.bury()
        await two.anew()
        hold = await two.a.book.wait(order(1, 40))
        assert late
        for told in late:
            told()
        await two.a.store.till.flushed()
        await two.has(40)
        hold.settle(40, Usage(1, 1), "done")
        await two.spend_all(90)

    run(main())


def test_a_host_learns_that_it_was_given_up_though_its_return_was_not_answered(
    tmp_path: Path, postgres: Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is among the hosts again, and takes nothing of its last life for its own."""

    async def main() -> None:
        two = Two(tmp_path, postgres, database)
        await two.met()
        assert await two.a.call(0)
        assert two.a.book.room("k", NOON) > 0
        till, link = two.a.store.till, two.a.store._link
        dial, lost = link.dial, threading.Event()

        class Cut:
            """A connection that breaks once the host is there again."""

            def __init__(self, inner: Any) -> None:
                self._inner = inner

            def __getattr__(self, name: str) -> Any:
                return getattr(self._inner, name)

            async def fetch(self, text: str, *values: object) -> Any:
                found = await self._inner.fetch(text, *values)
                if text == _HOSTS and two.name in {row[0] for row in found} and not lost.is_set():
                    lost.set()
                    raise OSError("nobody hears it")
                return found

        async def cut() -> Any:
            return Cut(await dial())

        monkeypatch.setattr(link, "dial", cut)

        async def away() -> None:
            async with till._turn:
                await asyncio.to_thread(sql, postgres, database, BURY.format(two.name))
                till._drop(till._connection)

        await asyncio.wrap_future(link.start(away()))
        await until(lambda: lost.is_set() and till._up.is_set())
        await two.anew()
        assert two.a.book.room("k", NOON) == 0
        await two.spend_all(99)

    run(main())


def test_a_connection_that_breaks_before_anybody_looks_at_it_is_made_anew(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    """Else its host is never heard of again, and spends what others were lent meanwhile."""
    mine = """from pg_stat_activity where datname = current_database()
        and application_name like 'octoplex on%' and query = '{}'"""

    async def main() -> None:
        text = mine.format(_HOSTS)
        host = Host(tmp_path / "a", database, CAPS, PATIENT)
        till, link = host.store.till, host.store._link
        await until(till._up.is_set)
        go_on = threading.Event()

        async def busy() -> None:
            async with till._turn:
                till._drop(till._connection)
                await asyncio.to_thread(go_on.wait, 20)

        waiting = asyncio.wrap_future(link.start(busy()))
        try:
            await settles(postgres, database, f"select count(*) {text} and state = 'idle'", 1)
            await asked(postgres, database, f"select pg_terminate_backend(pid) {text}")
            await settles(postgres, database, f"select count(*) {text}", 0)
        finally:
            go_on.set()
        await waiting
        (before,) = await asked(postgres, database, "select beat from octoplex.hosts")
        await settles(
            postgres, database, f"select beat > {before[0]} + 3 from octoplex.hosts", True
        )
        assert not host.store.condition().away
        host.store.close()

    run(main())


def test_what_was_spent_while_it_was_cut_off_is_in_the_ledger_before_a_host_takes_more(
    tmp_path: Path, own: Server
) -> None:
    async def main() -> None:
        place = await asyncio.to_thread(Place, own)
        a = Host(tmp_path / "a", place.far, CAPS, PATIENT)
        b = Host(tmp_path / "b", place.near, CAPS, PATIENT)
        await until(lambda: a.store.till.hosts == b.store.till.hosts == 2)
        hold = await a.book.wait(order(0, 100))
        hold.release("failed")
        assert await a.store.drain()
        await place.cut()
        await until(lambda: a.store.condition().away)
        assert await a.count(range(1, 11)) == 10
        assert await a.store.drain()
        await asked(own, place.near, BURY.format(a.store._link.host))
        async with place.nobody_writes_again():
            await place.mend()
            with pytest.raises(StoreFailed):  # else it would have a lease that its spool uses up
                await a.call(20, nano=100)
        await until(lambda: a.store.till._life_heard == 1 and a.store.till._up.is_set())
        passed = await b.count(range(100, 200)) + await a.count(range(200, 300))
        assert passed + await b.count(range(300, 400)) == 90
        await nothing_lent(own, place.near)
        await asyncio.to_thread(agrees, own, place.near)
        a.store.close()
        b.store.close()

    run(main())


def test_what_runs_at_a_host_that_was_given_up_is_counted_on(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    """So that there are never more requests at the same time than the limit."""

    class Key:
        """As much of a key as a crowd looks at."""

        id, crowds = "k", ()
        limits = parse("6 parallel")
        caller = type("Caller", (), {"tenant": ""})()

    async def main() -> None:
        stores = [open_postgres(tmp_path / name, database, how=PATIENT) for name in "ab"]
        a, b = crowds = [SharedCrowd(store.till) for store in stores]
        keys: Sequence[Any] = [Key()]
        for crowd in crowds:
            crowd.update(keys)
        await until(lambda: all(store.till.hosts == 2 for store in stores))
        ends = [await a.begin("k") for _ in range(4)]
        name = stores[0]._link.host
        await asked(postgres, database, BURY.format(name))
        await until(lambda: stores[0].till._life_heard == 1 and stores[0].till._up.is_set())
        text = f"select coalesce(sum(nano), 0) from octoplex.leases where host = '{name}'"
        await settles(postgres, database, text, 4)
        ends += [await b.begin("k") for _ in range(2)]
        with pytest.raises(TooFast):
            await b.begin("k")
        for end in ends:
            end()
        await nothing_lent(postgres, database)
        for store in stores:
            store.close()

    run(main())


def test_a_part_of_a_rate_that_came_with_the_word_that_it_was_given_up_is_nobodys(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        store = open_postgres(tmp_path / "a", database, how=PATIENT)
        desk, widen = SharedDesk(store.till), store.till.widen
        buckets = desk.make("k", parse("60 req/day").rates)
        assert isinstance(buckets, SharedBuckets)

        async def late(wants: Sequence[RateWant]) -> list[int]:
            got = await widen(wants)
            assert got == [60]
            asyncio.get_running_loop().call_soon(desk._ended, True)
            return got

        monkeypatch.setattr(store.till, "widen", late)
        await desk._widen(buckets, 1, 0)
        assert [bucket.count for bucket in buckets.all] == [0]
        store.close()

    run(main())


def test_who_stood_still_has_seen_nobody_stand_still() -> None:
    """All machines of a cluster may stand still at the same time, and then each would bury each."""
    watch = Watch(Tempo(beat_s=1.0, term_s=10.0, gone_s=30.0))
    other, third = ("b", "host b", 7), ("c", "host c", 0)
    assert watch.gone([other], 0.0) == []
    assert watch.gone([other], 60.0) == []
    looks = [watch.gone([other, third], 60.0 + second) for second in range(1, 33)]
    assert looks[:30] == [[]] * 30
    assert looks[30] == [other]
    assert looks[31] == [other, third]
    assert watch.gone([third], 93.0) == [third]
    assert watch.gone([("c", "host c", 1)], 94.0) == []
    assert watch.gone([], 95.0) == []
    assert watch.gone([third], 96.0) == []  # it is there again, with the beat it had first
