"""Disks that are full, damaged, locked or not ours."""

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from octoplex.ledger import Book, Order, Reader, Record, SpendQuery, SqliteStore, open_store
from octoplex.ledger.folder import Folder
from octoplex.ledger.writer import Tempo
from octoplex.wire.error import BadConfig, StoreFailed
from octoplex.wire.event import Usage
from tests.ledger.conftest import fill_up

HERE = Path(__file__).parent


def order(number: int, nano: int = 10) -> Order:
    return Order(f"req_{number:09}", 1, time.time_ns() // 10**6, "k", "k", "", "p", "m", "v", nano)


def pay(book: Book, number: int, nano: int) -> None:
    hold = book.hold(order(number))
    assert hold is not None
    hold.settle(nano, Usage(1, 1), "done")


def pay_until_refused(book: Book, why: str = "full") -> int:
    """How many calls were taken before the ledger refused one."""
    for taken in range(1, 200_000):
        try:
            pay(book, taken, 7)
        except StoreFailed as refused:
            assert why in str(refused)  # noqa: PT017
            return taken - 1
        time.sleep(0.0001)
    raise AssertionError("never refused")


def spent(store: SqliteStore) -> int:
    return asyncio.run(store.spend(SpendQuery())).total_nano


def test_files_that_cannot_grow_refuse_paid_calls_and_recover(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "starve.py", tmp_path / "data"], capture_output=True, text=True
    )
    assert done.stdout == "ok\n", done.stderr


def test_a_full_disk_refuses_paid_calls_and_recovers_without_restart(small_disk: Path) -> None:
    store = open_store(small_disk / "data")
    book = Book(store)
    pay(book, 0, 7)
    assert spent(store) == 7
    ballast = fill_up(small_disk)
    taken = pay_until_refused(book)
    ballast.unlink()
    deadline = time.monotonic() + 10
    while store.condition().refusal:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pay(book, 10**6, 5)
    assert spent(store) == book.settled_nano == 7 + taken * 7 + 5
    store.close()
    db = sqlite3.connect(f"file:{small_disk}/data/ledger.db?mode=ro", uri=True)
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    db.close()


def test_what_was_open_cannot_be_settled_on_a_full_disk(tmp_path: Path) -> None:
    store = open_store(tmp_path / "data")
    book = Book(store)
    for number in range(30):
        assert book.hold(order(number)) is not None
        asyncio.run(store.drain())
    killed = shutil.copytree(tmp_path / "data", tmp_path / "killed")
    store.close()
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((killed / "ledger.db-wal").stat().st_size, most[1]))
    try:
        with pytest.raises(StoreFailed, match="what was open cannot be settled"):
            open_store(killed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    store = open_store(killed)
    assert spent(store) == 300
    store.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process's backup or shell is in the middle of writing."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        yield
        other.execute("rollback")


def test_f53_a_locked_ledger_refuses_nothing_and_has_all_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(tmp_path / "data")
    book = Book(store)
    with locked(tmp_path / "data" / "ledger.db"):
        for number in range(60):  # three times as long as SQLite waits by itself
            pay(book, number, 7)
            time.sleep(0.05)
        assert "the ledger cannot be written: database is locked" in caplog.text
        assert store.condition().refusal == ""
    assert spent(store) == 60 * 7
    assert caplog.text.count("cannot be written") == 1
    assert "the ledger can be written again" in caplog.text
    store.close()


def test_f53_more_than_the_slate_holds_is_refused_until_the_lock_is_gone(tmp_path: Path) -> None:
    store = open_store(tmp_path / "data", tempo=Tempo(locked_rows=20))
    book = Book(store)
    with locked(tmp_path / "data" / "ledger.db"):
        taken = pay_until_refused(book, "locked")
        assert taken >= 10
    end_at = time.monotonic() + 10
    while store.condition().refusal:
        assert time.monotonic() < end_at
        time.sleep(0.01)
    pay(book, 0, 7)
    assert spent(store) == (taken + 1) * 7
    store.close()


def test_a_second_process_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from octoplex.ledger import open_store\n"
            "s = open_store(sys.argv[1]); s.tell_address('127.0.0.1:8080')\n"
            "print('open', flush=True); time.sleep(60)",
            folder,
        ],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"open\n"
    with pytest.raises(StoreFailed, match=rf"process {child.pid} at 127\.0\.0\.1:8080") as refused:
        open_store(folder)
    assert refused.value.facts == {"pid": child.pid, "address": "127.0.0.1:8080"}
    child.kill()
    child.wait()
    child.stdout.close()
    open_store(folder).close()


def test_everything_in_the_folder_is_private(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        store = open_store(tmp_path / "a" / "data")
        pay(Book(store), 1, 1)
        store.record(Record("r", 1))
        asyncio.run(store.drain())
    finally:
        os.umask(mask)
    folder = tmp_path / "a" / "data"
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {p.name: p.stat().st_mode & 0o777 for p in folder.iterdir()}
    assert len(modes) >= 5
    assert set(modes.values()) == {0o600}
    store.close()


def test_a_folder_of_somebody_elses_things_is_not_closed(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    (shared / "other").touch()
    Folder(shared).make()
    assert shared.stat().st_mode & 0o777 == 0o755


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadConfig, match=r"\[server\] data"):
        open_store(tmp_path / "file" / "data")


@pytest.mark.parametrize("name", ["ledger.db", "control.db"])
def test_a_damaged_ledger_is_never_replaced(tmp_path: Path, name: str) -> None:
    open_store(tmp_path).close()
    (tmp_path / name).write_bytes(b"not a database" * 1000)
    with pytest.raises(BadConfig, match="restore"):
        open_store(tmp_path)
    assert (tmp_path / name).read_bytes().startswith(b"not a database")


def test_a_damaged_log_is_put_aside_and_service_goes_on(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record(Record("r1", 1_767_225_600_000))
    store.close()
    (log,) = tmp_path.glob("logs-??????.db")
    log.write_bytes(b"not a database" * 1000)
    store = open_store(tmp_path)
    store.record(Record("r2", 1_767_225_600_000))
    assert asyncio.run(store.drain())
    assert asyncio.run(store.request("r2"))
    assert len(list(tmp_path.glob("logs-??????.db.damaged-*"))) == 1
    store.close()


def test_readers_in_other_threads_and_processes_see_whole_batches(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    book = Book(store)
    asyncio.run(store.drain())
    reader = subprocess.Popen(
        [sys.executable, HERE / "watch.py", tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "watching\n"
    deadline = time.monotonic() + 2
    number = 0
    while time.monotonic() < deadline:
        for _ in range(50):
            number += 1
            pay(book, number, 3)
        assert spent(store) == number * 3
    asyncio.run(store.drain())
    (tmp_path / "stop").touch()
    assert reader.wait(timeout=20) == 0
    reader.stdout.close()
    store.close()


def test_a_reader_needs_no_server_and_leaves_nothing_writable(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    pay(Book(store), 1, 9)
    store.close()

    reader = Reader(tmp_path)
    assert reader.spend(SpendQuery()).total_nano == 9
    with reader._borrowed(tmp_path / "ledger.db") as db, pytest.raises(sqlite3.OperationalError):
        db.execute("delete from batches")
    reader.close()
    assert Reader(tmp_path / "nowhere").spend(SpendQuery()).rows == []
