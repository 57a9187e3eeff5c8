"""PostgreSQL: killed and begun anew under load, one process a host, never behind its own code."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from octoplex.ledger import Order, Page, Record, Settlement, SpendQuery
from octoplex.ledger.folder import Folder
from octoplex.ledger.postgres import link
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.store import (
    PostgresStore,
    open_locked,
    open_postgres,
    open_reader,
)
from octoplex.ledger.rows import Heirs
from octoplex.wire.error import BadConfig, StoreFailed
from octoplex.wire.event import Usage
from tests.ledger.faults import rollup, sums
from tests.ledger.postgres import Server
from tests.ledger.test_store import DAY1, KeyRow, order, settle
from tests.shell import until

CHILD = Path(__file__).with_name("child_postgres.py")


@pytest.fixture
def own() -> Iterator[Server]:
    """One that this test may kill."""
    with Server() as server:
        yield server


def at(server: Server, url: str) -> Database:
    return Database(url, lambda: server.password)


def spent(store: PostgresStore) -> int:
    return asyncio.run(store.spend(SpendQuery())).total_nano


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_calls_go_on_while_the_database_is_away_and_count_once(tmp_path: Path, own: Server) -> None:
    """F56: killed mid-flight, twice, under load from a thread that never waits."""
    url = own.database()
    store = open_postgres(tmp_path / "data", at(own, url))
    owed: Counter[str] = Counter()
    stop = threading.Event()

    def load() -> None:
        number = 0
        while not stop.is_set():
            made = order(number, nano=1_000, key=f"k{number % 3}")
            store.reserve(made)
            settle(store, made, number % 1_000, Usage(1, 2))
            store.record(Record(made.request_id, DAY1, key_id=made.key_id))
            owed["nano"] += number % 1_000
            owed["rows"] += 1
            number += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=load)
    thread.start()
    for how in (own.kill, own.stop):
        rows = owed["rows"]
        until(lambda: owed["rows"] > rows + 200)  # noqa: B023 - it is asked at once
        how()
        until(lambda: store.condition().spooled > 50)
        assert (store.condition().away, store.condition().refusal) == (True, "")
        own.start()
        until(lambda: not store.condition().away and not store.condition().spooled)
    stop.set()
    thread.join()
    assert asyncio.run(store.drain())
    assert store.condition().conflicts == 0
    assert spent(store) == owed["nano"]
    assert rollup(store.reader) == sums(store.reader)
    assert sum(amounts[0] for amounts in rollup(store.reader).values()) == owed["rows"]
    assert len(asyncio.run(store.requests(Page(limit=10**6)))) == owed["rows"]
    assert own.sql(name_of(url), "select count(*) from octoplex.opened") == [(0,)]
    store.close()
    assert not (tmp_path / "data" / "spool.log").exists()


def test_what_waits_survives_the_process_and_is_written_at_the_next_start(
    tmp_path: Path, own: Server
) -> None:
    url = own.database()
    store = open_postgres(tmp_path / "data", at(own, url))
    open_, done = order(1), order(2)
    store.reserve(open_)
    assert asyncio.run(store.drain())
    own.kill()
    store.reserve(done)
    settle(store, done, 700)
    settle(store, open_, 300)
    until(lambda: store.condition().spooled == 2)
    store.close()
    assert (tmp_path / "data" / "spool.log").stat().st_size
    with pytest.raises(BadConfig, match="does not start without it"):
        open_postgres(tmp_path / "data", at(own, url))
    own.start()
    again = open_postgres(tmp_path / "data", at(own, url))
    assert (spent(again), again.condition().lost) == (1_000, 0)
    again.close()


def test_a_batch_whose_commit_nobody_saw_counts_once(tmp_path: Path, own: Server) -> None:
    """The commit took longer than it is waited for, and then came."""
    url = own.database()
    store = open_postgres(tmp_path / "data", at(own, url))
    made = order(1)
    store.reserve(made)
    settle(store, made, 500)
    asyncio.run(store.drain())
    with open_lock(own, url):
        for number in range(2, 6):
            late = order(number)
            store.reserve(late)
            settle(store, late, 500)
        until(lambda: store.condition().spooled)
    until(lambda: not store.condition().spooled and not store.condition().away)
    assert spent(store) == 2_500
    assert rollup(store.reader) == sums(store.reader)
    store.close()


def test_a_standby_that_is_read_only_is_away(tmp_path: Path, own: Server) -> None:
    """A failover that is not over, F56."""
    url = own.database()
    store = open_postgres(tmp_path / "data", at(own, url))
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name <> ''"
    own.sql("postgres", f"alter database {name_of(url)} set default_transaction_read_only = on")
    own.sql("postgres", cut)
    for number in range(5):
        made = order(number)
        store.reserve(made)
        settle(store, made, 100)
        assert asyncio.run(store.drain())
    assert store.condition().spooled
    own.sql("postgres", f"alter database {name_of(url)} reset default_transaction_read_only")
    own.sql("postgres", cut)
    until(lambda: not store.condition().spooled and not store.condition().away)
    assert spent(store) == 500
    store.close()


class open_lock:  # noqa: N801 - a context
    """Hold a lock: of the table of attempts, so that whoever writes it waits."""

    def __init__(
        self, server: Server, url: str, text: str = "lock table octoplex.ended in exclusive mode"
    ) -> None:
        self._server, self._name, self._text = server, name_of(url), text

    def __enter__(self) -> None:
        self._begun, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._hold(),))
        self._thread.start()
        assert self._begun.wait(20)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _hold(self) -> None:
        import asyncpg

        url = self._server.url(self._name)
        db = await asyncpg.connect(url, password=self._server.password)
        async with db.transaction():
            await db.execute(self._text)
            self._begun.set()
            while not self._stop.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.01)
        await db.close()


def test_a_full_spool_refuses_paid_calls_and_owes_what_it_took(tmp_path: Path, own: Server) -> None:
    store = open_postgres(tmp_path / "data", at(own, own.database()))
    own.kill()
    store._writing.spool._most = 20_000
    taken = 0

    def refused() -> bool:
        nonlocal taken
        made = order(taken)
        try:
            store.reserve(made)
        except StoreFailed:
            return True
        settle(store, made, 10)
        taken += 1
        time.sleep(0.001)
        return False

    until(refused)
    assert "already wait for the database" in store.condition().refusal
    store.reserve(order(10**6, nano=0))
    own.start()
    until(lambda: not store.condition().refusal and not store.condition().away)
    until(lambda: not store.condition().spooled)
    assert spent(store) == 10 * taken
    store.close()


def test_keys_stay_known_while_the_database_is_away(tmp_path: Path, own: Server) -> None:
    store = open_postgres(tmp_path / "data", at(own, own.database()))
    row = KeyRow(id="key_1", name="app", hash=b"h", prefix="oct-", last4="wxyz")
    asyncio.run(store.add_key(row))
    own.kill()
    until(lambda: store.condition().away)
    assert store.keys_now() == [row]
    for change in (
        store.add_key(KeyRow(id="k", name="n", hash=b"n", prefix="", last4="")),
        store.revoke_key("app", 1),
    ):
        with pytest.raises(StoreFailed, match="cannot be reached"):
            asyncio.run(change)
    with pytest.raises(StoreFailed, match="cannot be reached"):
        asyncio.run(store.spend(SpendQuery()))
    own.start()
    until(lambda: not store.condition().away)
    assert asyncio.run(store.revoke_key("app", 5)) is not None
    store.close()


def test_a_copy_of_a_data_folder_is_refused_while_the_original_is_at_work(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "BEGIN_S", 0.3)
    first = open_postgres(tmp_path / "one", database)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    with pytest.raises(StoreFailed, match="this very data folder, or a copy") as refused:
        open_postgres(tmp_path / "two", database)
    assert f"process {os.getpid()}" in str(refused.value)
    first.close()
    open_postgres(tmp_path / "two", database).close()


def test_one_that_shares_with_nobody_is_refused_and_refuses(
    tmp_path: Path, postgres: Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An octoplex that knew one gateway only holds the lock alone; so does a change of schema."""
    monkeypatch.setattr(link, "BEGIN_S", 0.3)
    name, alone = name_of(database.url), f"select pg_try_advisory_lock({link.LOCK})"
    store = open_postgres(tmp_path / "one", database)
    assert postgres.sql(name, alone) == [(False,)]
    newest = "(select max(number) from octoplex.migrations)"
    postgres.sql(name, f"delete from octoplex.migrations where number = {newest}")
    with pytest.raises(StoreFailed, match="other hosts are using it: stop them"):
        open_postgres(tmp_path / "two", database)
    store.close()
    refused = pytest.raises(StoreFailed, match="shares it with nobody")
    with open_lock(postgres, database.url, alone), refused:
        open_postgres(tmp_path / "two", database)


def test_two_that_begin_at_once_make_one_schema(tmp_path: Path, database: Database) -> None:
    """The lock comes before the migrations: the second waits, and finds them done."""
    opened: list[PostgresStore] = []

    def begin(name: str) -> None:
        store = open_postgres(tmp_path / name, database)
        opened.append(store)
        store.close()

    threads = [threading.Thread(target=begin, args=(name,)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 3


def test_a_gateway_whose_connection_was_cut_does_not_write_beside_its_heir(
    tmp_path: Path, own: Server
) -> None:
    url = own.database()
    own.sql("postgres", f"create role cut superuser login password '{own.password}'")
    first = open_postgres(tmp_path / "one", at(own, url.replace("octoplex@", "cut@")))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    own.sql("postgres", "alter role cut nologin")
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cut'"
    own.sql("postgres", cut)
    heir = open_postgres(tmp_path / "two", at(own, url))
    own.sql("postgres", "alter role cut login")
    for store, number in ((first, 1), (heir, 2)):
        made = order(number)
        store.reserve(made)
        settle(store, made, 100)
    until(lambda: first.condition().spooled)
    assert spent(heir) == 100
    heir.close()
    until(lambda: not first.condition().spooled)
    assert spent(first) == 200
    first.close()


def test_a_newer_database_is_refused_untouched(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    """F78."""
    open_postgres(tmp_path / "data", database).close()
    name = name_of(database.url)
    postgres.sql(name, "insert into octoplex.migrations values (99, 'later', 'x', 0)")
    with pytest.raises(BadConfig, match=r"schema 99.*upgrade octoplex"):
        open_postgres(tmp_path / "data", database)
    postgres.sql(name, "delete from octoplex.migrations where number = 99")
    postgres.sql(name, "update octoplex.migrations set checksum = 'y'")
    with pytest.raises(BadConfig, match="0001_begin of the database is not the one"):
        open_postgres(tmp_path / "data", database)


def test_a_wrong_password_is_said_and_not_shown(tmp_path: Path, database: Database) -> None:
    wrong = Database(database.url, lambda: "canary-wrong-password")
    with pytest.raises(BadConfig, match="password authentication failed") as refused:
        open_postgres(tmp_path / "data", wrong)
    assert "canary" not in str(refused.value)
    assert "canary" not in repr(wrong)


def test_a_reader_asks_beside_the_writer_and_of_an_empty_database(
    tmp_path: Path, database: Database
) -> None:
    reader = open_reader(tmp_path, database)
    assert reader.keys() == []
    assert reader.requests(Page()) == []
    reader.close()
    store = open_postgres(tmp_path / "data", database)
    made = order(1)
    store.reserve(made)
    assert asyncio.run(store.drain())
    reader = open_reader(tmp_path / "data", database)
    assert [row["state"] for row in reader.attempts(made.request_id)] == ["reserved"]
    settle(store, made, 7)
    assert asyncio.run(store.drain())
    (row,) = reader.attempts(made.request_id)
    assert (row["state"], row["nano"], row["at"]) == ("settled", 7, "2026-01-01T00:00:00.000Z")
    assert reader.attempts("req_of_nobody") == []
    assert [b.total_nano for b in reader.balances(0)] == [7]
    reader.close()
    store.close()


def test_a_start_knows_what_was_spent(tmp_path: Path, database: Database) -> None:
    store = open_postgres(tmp_path / "data", database)
    now_ms = time.time_ns() // 1_000_000
    made = Order("req_1", 1, now_ms, "k", "k", "", "p", "m", "v", 50, "acme.web")
    store.reserve(made)
    store.settle(Settlement(made, 40))
    store.close()
    again = open_postgres(tmp_path / "data", database)
    (balance,) = again.balances_now()
    assert (balance.key_id, balance.tenant, balance.total_nano) == ("k", "acme.web", 40)
    assert [(m.key_id, m.tenant, m.nano) for m in again.minutes_now()] == [("k", "acme.web", 40)]
    found = asyncio.run(again.spend(SpendQuery(tenant="acme"))).rows
    assert [(row.tenant, row.nano) for row in found] == [("acme.web", 40)]
    assert asyncio.run(again.spend(SpendQuery(tenant="acm"))).rows == []
    again.close()


def test_what_outlived_the_owner_stays_open(tmp_path: Path, database: Database) -> None:
    """Orders that a worker goes on with; the others are settled at their reservation."""
    store = open_postgres(tmp_path / "data", database)
    ended, living, missing, dead = (order(number) for number in range(4))
    for one in (ended, living, dead):
        store.reserve(one)
    settle(store, ended, 10)
    store.close()
    folder = Folder(tmp_path / "data")
    folder.lock()
    heirs = Heirs(opened=(ended, living, missing), noted=(order(9),))
    again = open_locked(folder, database, heirs=heirs)
    assert again.inherited == [living, missing]
    assert (again.condition().lost, spent(again)) == (2, 10 + 1_000 + 1_000)
    for one in again.inherited:
        settle(again, one, 5)
    assert spent(again) == 2_020
    again.close()


def test_a_dump_restored_elsewhere_is_the_same_ledger(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    store = open_postgres(tmp_path / "data", database)
    for number in range(20):
        made = order(number)
        store.reserve(made)
        settle(store, made, number)
        store.record(Record(made.request_id, DAY1))
    asyncio.run(store.add_key(KeyRow(id="k", name="n", hash=b"h", prefix="", last4="")))
    store.close()
    dump, other = tmp_path / "octoplex.dump", postgres.database()
    postgres.tool("pg_dump", "-Fc", "--schema=octoplex", f"--file={dump}", database.url)
    postgres.tool("pg_restore", f"--dbname={other}", str(dump))
    restored = open_postgres(tmp_path / "other", at(postgres, other))
    assert spent(restored) == sum(range(20))
    assert rollup(restored.reader) == sums(restored.reader)
    assert len(asyncio.run(restored.requests(Page(limit=50)))) == 20
    assert [row.name for row in restored.keys_now()] == ["n"]
    made = order(50)
    restored.reserve(made)
    settle(restored, made, 1)
    restored.record(Record(made.request_id, DAY1))
    assert asyncio.run(restored.drain())
    assert spent(restored) == sum(range(20)) + 1
    restored.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_gateway_loses_nothing(tmp_path: Path, own: Server, seed: int) -> None:
    """F46, F47: the process is killed at any moment, and in one life the database before it."""
    folder, url = tmp_path / "data", own.database()
    certain: dict[str, int] = {}
    noted: dict[str, int] = {}
    for life in range(3):
        for what, *rest in kill_after(folder, url, seed * 10 + life, own if life == 1 else None):
            if what == "settled":
                certain[rest[0]] = int(rest[1])
            elif what == "noted":
                noted[rest[0]] = int(rest[1])
        if life == 1:
            own.start()
        store = open_postgres(folder, at(own, url))
        rows = {str(row["request_id"]): row for row in store.reader.attempts()}
        assert {id_: rows[id_]["nano"] for id_ in certain} == certain
        assert {id_: rows[id_]["reserved_nano"] for id_ in noted} == noted
        assert not any(row["state"] == "reserved" for row in rows.values())
        for row in rows.values():
            if row["outcome"] == "lost":
                assert (row["nano"], row["estimated"]) == (row["reserved_nano"], 1)
        assert sums(store.reader) == rollup(store.reader)
        assert spent(store) == sum(int(row["nano"]) for row in rows.values())
        store.close()
    again = open_postgres(folder, at(own, url))
    assert again.condition().lost == 0
    again.close()


def kill_after(folder: Path, url: str, seed: int, server: Server | None) -> list[list[str]]:
    """Run the child, kill it at a random byte of its output; the complete lines it printed."""
    words = [folder, str(seed), url, "canary-postgres-password"]
    child = subprocess.Popen([sys.executable, CHILD, *words], stdout=subprocess.PIPE)
    assert child.stdout is not None
    wanted = random.Random(seed).randint(10_000, 200_000)
    said = b""
    while len(said) < wanted:
        if server is not None and len(said) > wanted // 2:
            server.kill()
            server = None
        piece = os.read(child.stdout.fileno(), wanted - len(said))
        assert piece, f"the child ended by itself: {child.wait()}"
        said += piece
    child.send_signal(signal.SIGKILL)
    child.wait()
    said += child.stdout.read()
    child.stdout.close()
    return [line.split() for line in said.decode().split("\n")[:-1] if line]
