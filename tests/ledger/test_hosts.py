"""Several hosts on one PostgreSQL: budgets and rates under kills, cuts and any order of things."""

import asyncio
import gc
import random
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger import Book, Cap, Order
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.store import How, PostgresStore, open_postgres
from octoplex.ledger.postgres.watch import Tempo
from octoplex.ledger.rows import KeyRow
from octoplex.ledger.shared.till import RateWant
from octoplex.reflex.limit import parse
from octoplex.reflex.shared import SharedBuckets, SharedDesk
from octoplex.wire.error import BadConfig, OverBudget, StoreFailed, TooFast
from octoplex.wire.event import Usage
from tests.ledger.child_hosts import BEGAN_MS, MINUTE, MOST, TOTAL, now_ms
from tests.ledger.postgres import PASSWORD, Server
from tests.shell import until

CHILD = Path(__file__).with_name("child_hosts.py")
QUICK = How(beats=Tempo(beat_s=0.05, term_s=0.3, gone_s=2.0))
NOON = BEGAN_MS + 60_000 * 720


@pytest.fixture
def own() -> Iterator[Server]:
    """One that this test may kill, or whose connections it cuts."""
    with Server() as server:
        yield server


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


def order(number: int, nano: int = 10, at_ms: int = NOON) -> Order:
    return Order(f"req_{number}", 1, at_ms, "k", "k", "", "p", "m", "v", nano, "acme.web")


class Host:
    """A store and the book over it."""

    def __init__(self, folder: Path, database: Database, caps: list[Cap], how: How = QUICK):
        self.store: PostgresStore = open_postgres(folder, database, how=how)
        self.book = Book(
            self.store, self.store.balances_now(), self.store.minutes_now, self.store.till
        )
        self.book.limit("k", caps, "acme.web")

    async def call(self, number: int, nano: int = 10, paid: int | None = None) -> bool:
        """Make an attempt; whether there was money for it."""
        made = order(number, nano)
        try:
            hold = self.book.hold(made) or await self.book.wait(made, 1.0)
        except OverBudget:
            return False
        await asyncio.sleep(0.002)
        hold.settle(nano if paid is None else paid, Usage(1, 1), "done")
        return True

    async def count(self, numbers: range) -> int:
        """How many of so many at once there was money for."""
        return sum(await asyncio.gather(*[self.call(number) for number in numbers]))


def sql(server: Server, database: Database, text: str) -> list[tuple[Any, ...]]:
    return server.sql(database.url.rpartition("/")[2], text)


async def asked(server: Server, database: Database, text: str) -> list[tuple[Any, ...]]:
    return await asyncio.to_thread(sql, server, database, text)


def agrees(server: Server, database: Database) -> None:
    """Every row of the till has what the ledger has."""
    text = "select *, octoplex.spent(account, kind, first, after) from octoplex.till"
    for row in sql(server, database, text):
        assert row[-2] == row[-1], row


async def settles(server: Server, database: Database, text: str, wanted: object) -> None:
    """Wait until a question is answered so."""
    end_at = time.monotonic() + 20
    while (found := (await asked(server, database, text))[0][0]) != wanted:
        assert time.monotonic() < end_at, found
        await asyncio.sleep(0.05)


async def nothing_lent(server: Server, database: Database) -> None:
    """What lies idle comes back."""
    text = "select coalesce(sum(nano), 0) from octoplex.leases"
    await settles(server, database, text, 0)


def test_a_host_alone_hardly_asks_the_till(tmp_path: Path, database: Database) -> None:
    async def main() -> None:
        host = Host(tmp_path / "a", database, [Cap("month", 10**6), Cap("day", 10**6)])
        assert await host.count(range(1_000)) == 1_000
        assert host.store.till.trips == 1
        host.store.close()

    run(main())


def test_two_hosts_ask_the_till_rarely_while_there_is_room(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    async def main() -> None:
        a, b = (Host(tmp_path / name, database, [Cap("month", 10**6)]) for name in "ab")
        for number in range(0, 1_000, 20):
            assert await a.count(range(number, number + 10)) == 10
            assert await b.count(range(number + 10, number + 20)) == 10
        assert a.store.till.trips + b.store.till.trips < 30
        await nothing_lent(postgres, database)
        a.store.close()
        b.store.close()
        await asyncio.to_thread(agrees, postgres, database)

    run(main())


def test_a_bill_above_its_reservation_is_the_only_thing_above_a_cap(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    async def main() -> None:
        a, b = (Host(tmp_path / name, database, [Cap("total", 1_000)]) for name in "ab")
        assert await a.call(0, nano=100, paid=160)
        passed = await a.count(range(1, 100)) + await b.count(range(100, 200))
        assert passed == (1_000 - 160) // 10
        left = a.book.left("k", NOON)
        a.store.close()
        b.store.close()
        assert left[0].cap_nano == 1_000
        await asyncio.to_thread(agrees, postgres, database)

    run(main())


def test_what_is_lost_on_the_way_to_the_till_is_not_lost_for_good(
    tmp_path: Path, own: Server
) -> None:
    """Connections are cut at any moment, so that nobody hears what became of what was asked."""
    database = Database(own.database(), lambda: PASSWORD)
    dice = random.Random(7)
    cut = """select pg_terminate_backend(pid) from pg_stat_activity
        where application_name like 'octoplex on%' and random() < 0.4"""

    async def main() -> None:
        hosts = [Host(tmp_path / name, database, [Cap("total", 20_000)]) for name in "ab"]
        passed = 0

        async def load(host: Host, first: int) -> None:
            nonlocal passed
            number = first
            while passed < 600:
                number += 1
                try:
                    passed += await host.call(number, dice.randint(1, 20), dice.randint(0, 1))
                except StoreFailed:
                    await asyncio.sleep(0.01)

        loads = [
            asyncio.create_task(load(h, 10_000 * (8 * i + j)))
            for i, h in enumerate(hosts)
            for j in range(8)
        ]
        while not all(task.done() for task in loads):
            await asked(own, database, cut)
            await asyncio.sleep(0.25)  # a busy machine must come to something in between
        await asyncio.gather(*loads)
        for host in hosts:
            while host.store.condition().spooled or not await host.store.drain():  # noqa: ASYNC110 - moved by another thread
                await asyncio.sleep(0.05)
        await nothing_lent(own, database)
        await asyncio.to_thread(agrees, own, database)
        for host in hosts:
            host.store.close()

    run(main())


def test_a_host_that_never_comes_back_is_given_up_once(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    child = begin(tmp_path / "dead", 1, database.url, time.time())
    assert child.stdout is not None
    assert len(child.stdout.read(200)) == 200
    child.kill()
    child.wait()
    child.stdout.close()

    async def main() -> None:
        hosts = [Host(tmp_path / name, database, [Cap("total", TOTAL)]) for name in "abc"]
        await settles(postgres, database, "select count(*) from octoplex.opened", 0)
        lost = await asked(
            postgres,
            database,
            "select nano = reserved_nano, estimated from octoplex.ended where outcome = 'lost'",
        )
        assert all(row == (True, True) for row in lost)
        await settles(postgres, database, "select count(*) from octoplex.hosts", 3)
        await nothing_lent(postgres, database)
        await asyncio.to_thread(agrees, postgres, database)
        (spent,) = (await asked(postgres, database, "select sum(nano) from octoplex.ended"))[0]
        while await hosts[0].call(random.getrandbits(40), MOST):
            spent += MOST
        assert spent <= TOTAL < spent + MOST
        for host in hosts:
            host.store.close()

    run(main())


def test_a_host_that_was_given_up_alive_begins_anew(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    async def main() -> None:
        a, b = (Host(tmp_path / name, database, [Cap("total", 1_000)]) for name in "ab")
        assert await a.call(0)
        hold = a.book.hold(order(1)) or await a.book.wait(order(1))
        assert await a.store.drain()
        bury = "select octoplex.bury(h.id, h.beat) from octoplex.hosts h where h.id = '{}'"
        await asked(postgres, database, bury.format(a.store._link.host))
        while a.book.room("k", NOON) > 0:  # noqa: ASYNC110 - moved by another thread
            await asyncio.sleep(0.01)
        hold.settle(4, Usage(1, 1), "done")
        passed = await b.count(range(200, 260))
        passed += await a.count(range(300, 360)) + await b.count(range(400, 460))
        assert passed == (1_000 - 10 - 4) // 10
        await nothing_lent(postgres, database)
        a.store.close()
        b.store.close()
        await asyncio.to_thread(agrees, postgres, database)

    run(main())


def test_a_host_that_is_cut_off_stops_using_what_it_took(tmp_path: Path, own: Server) -> None:
    url = own.database()
    own.sql("postgres", f"create role cut superuser login password '{PASSWORD}'")

    async def main() -> None:
        near = Database(url, lambda: PASSWORD)
        far = Database(url.replace("octoplex@", "cut@"), lambda: PASSWORD)
        caps = [Cap("total", 1_000)]
        a, b = Host(tmp_path / "a", far, caps), Host(tmp_path / "b", near, caps)
        while a.store.till.hosts < 2:  # noqa: ASYNC110 - moved by another thread
            await asyncio.sleep(0.01)
        assert await a.call(0)
        assert await a.store.drain()
        assert a.book.room("k", NOON) > 10
        await asked(own, near, "alter role cut nologin")
        cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cut'"
        await asked(own, near, cut)
        while a.book.room("k", NOON) > 0:  # noqa: ASYNC110 - moved by another thread
            await asyncio.sleep(0.02)
        with pytest.raises(StoreFailed, match="share their limits"):
            await a.call(1)
        spent = 1 + await b.count(range(100, 300))
        await asked(own, near, "alter role cut login")
        while a.store.condition().away or a.store.condition().spooled:  # noqa: ASYNC110 - moved by another thread
            await asyncio.sleep(0.02)
        spent += await a.count(range(300, 330))
        assert spent == 100
        a.store.close()
        b.store.close()
        await asyncio.to_thread(agrees, own, near)

    run(main())


def test_keys_of_one_host_are_known_to_the_others(tmp_path: Path, database: Database) -> None:
    async def main() -> None:
        a, b = (open_postgres(tmp_path / name, database) for name in "ab")
        heard: asyncio.Queue[list[KeyRow]] = asyncio.Queue()
        b.hear_keys(heard.put_nowait)
        row = KeyRow(id="key_1", name="app", hash=b"h", prefix="oct-", last4="wxyz")
        await a.add_key(row)
        while await heard.get() != [row]:
            pass
        await a.revoke_key("app", 5)
        while (await heard.get())[0].revoked_at_ms != 5:
            pass
        assert [r.revoked_at_ms for r in await b.keys()] == [5]
        a.close()
        b.close()

    run(main())


def test_hosts_with_different_peppers_do_not_meet(tmp_path: Path, database: Database) -> None:
    a, b = (open_postgres(tmp_path / name, database) for name in "ab")
    a.till.agree("one")
    b.till.agree("one")
    with pytest.raises(BadConfig, match="another pepper"):
        b.till.agree("other")
    a.close()
    b.till.agree("other")
    b.close()


def begin(folder: Path, seed: int, url: str, started_s: float) -> "subprocess.Popen[bytes]":
    words = [folder, str(seed), url, PASSWORD, str(started_s)]
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.child_hosts", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"open\n"
    return child


@pytest.mark.parametrize("seed", range(2))
def test_any_history_with_kills_keeps_every_cap(
    tmp_path: Path, postgres: Server, database: Database, seed: int
) -> None:
    """Three hosts, of which now one and now another is killed, over minutes that turn."""
    dice, started_s = random.Random(seed), time.time()
    folders = [tmp_path / name for name in "abc"]
    children = [begin(f, n, database.url, started_s) for n, f in enumerate(folders)]
    for life in range(4):
        unlucky = dice.randrange(3)
        out = children[unlucky].stdout
        assert out is not None
        out.read(dice.randint(1, 40))
        children[unlucky].kill()
        children[unlucky].communicate()
        children[unlucky] = begin(folders[unlucky], 10 + life, database.url, started_s)
    for child in children:
        child.communicate(b"\n", timeout=30)
        assert child.returncode == 0
    # What a kill left unwritten stands at its reservation, though its end had made room.
    minutes = """select sum(nano) filter (where outcome = 'done')::bigint, sum(nano)::bigint
        from octoplex.ended where state = 1 group by at_ms / 60000"""
    spent = done = 0
    for paid, nano in sql(postgres, database, minutes):
        assert (paid or 0) <= MINUTE
        done, spent = done + (paid or 0), spent + nano
    assert done <= TOTAL
    assert sql(postgres, database, "table octoplex.opened") == []
    assert sql(postgres, database, "select sum(nano) from octoplex.leases") in ([(0,)], [(None,)])
    agrees(postgres, database)

    async def finish() -> int:
        host, more = Host(tmp_path / "d", database, [Cap("total", TOTAL)]), 0
        while await host.call(10**9 + more, MOST):
            more += MOST
        host.store.close()
        return more

    more = asyncio.run(finish())
    assert done + more <= TOTAL < spent + more + MOST
    assert now_ms(started_s) > BEGAN_MS


def test_parts_of_rates_move_and_are_never_doubled(tmp_path: Path, database: Database) -> None:
    async def main() -> None:
        stores = [open_postgres(tmp_path / name, database, how=QUICK) for name in "ab"]
        clock = [0]
        desks = [SharedDesk(store.till) for store in stores]
        rates = parse("60 req/min, 1000 tok/min").rates
        both = []
        for desk in desks:
            desk._now_ns = lambda: clock[0]
            own = desk.make("k", rates)
            assert isinstance(own, SharedBuckets)
            guest = type("Guest", (), {"buckets": own, "models": None})()
            desk._guests = {"k": guest}  # type: ignore[dict-item]
            both.append(own)
        while not all(store.till.hosts == 2 for store in stores):  # noqa: ASYNC110 - moved by another thread
            await asyncio.sleep(0.01)

        async def ask(side: int, tokens: int) -> bool:
            try:
                if both[side].take(tokens):
                    await desks[side].ask("k", tokens)
            except TooFast:
                return False
            return True

        dice = random.Random(3)
        passed = sum([await ask(dice.randrange(2), 1) for _ in range(90)])
        assert passed == 60
        clock[0] += 30 * 10**9
        await asyncio.sleep(0.12)  # a refusal is remembered for so long
        passed = sum([await ask(0, 1) for _ in range(40)]) + await ask(1, 1)
        assert passed in (29, 30)  # half a request may have flowed in at each
        clock[0] += 60 * 10**9
        await asyncio.sleep(0.12)
        assert await ask(1, 900)
        assert not await ask(0, 200)
        both[1].settle(900, 900, 300)  # more than there was: the other waits for it, too
        assert sum(bucket.count for own in both for bucket in own.all) <= 60 + 1_000
        for desk in desks:
            await desk.close()
        for store in stores:
            store.close()

    run(main())


def test_a_host_that_went_without_a_word_leaves_its_part_empty(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    first = open_postgres(tmp_path / "a", database)
    second = open_postgres(tmp_path / "b", database)
    name = first._link.host
    part = f"""insert into octoplex.parts values ('key k', 'req', 86400, 100, '{name}', 40);
        insert into octoplex.rates values ('key k', 'req', 86400, 100, 60, 0, now())"""
    for text in part.split(";"):
        sql(postgres, database, text)
    first.close()
    ((whole, missing),) = sql(postgres, database, "select part, missing from octoplex.rates")
    assert (whole, round(missing)) == (100, 40)
    second.close()
    open_postgres(tmp_path / "b", database).close()
    until(lambda: sql(postgres, database, "table octoplex.rates") == [])


def test_what_is_asked_while_and_after_it_closes_is_refused_and_never_left_lying(
    tmp_path: Path, postgres: Server, recwarn: pytest.WarningsRecorder
) -> None:
    """A host that ends with questions to its till on the way."""

    databases = [Database(postgres.database(), lambda: PASSWORD) for _ in range(5)]

    async def main() -> None:
        for number, database in enumerate(databases):
            host = Host(tmp_path / str(number), database, [Cap("day", 1_000)])
            desk = SharedDesk(host.store.till)
            wants = [RateWant("key k", "req", 60, 100, 0, 1)]
            asking = [asyncio.create_task(host.store.till.widen(wants)) for _ in range(50)]
            await asyncio.sleep(0.001 * number)
            closing = asyncio.create_task(asyncio.to_thread(host.store.close))
            while not closing.done():
                asking.append(asyncio.create_task(host.store.till.widen(wants)))
                await asyncio.sleep(0.001)
            with pytest.raises(StoreFailed):
                await host.store.till.widen(wants)
            await desk.close()
            ends = await asyncio.gather(*asking, return_exceptions=True)
            kinds = {type(end) for end in ends}
            assert kinds <= {list, StoreFailed, asyncio.CancelledError}

    run(main())
    gc.collect()
    assert not [w for w in recwarn if "never awaited" in str(w.message)]
