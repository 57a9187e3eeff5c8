"""Schemas go forwards only; what is newer, or was tampered with, is left alone."""

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from octoplex.ledger import Book, Order, Reader, SpendQuery, open_store
from octoplex.ledger.migrate import Step, migrate, steps
from octoplex.ledger.rows import REQUEST_FIELDS
from octoplex.wire.error import BadConfig
from octoplex.wire.event import NO_USAGE


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


@pytest.mark.parametrize("kind", ["control", "ledger", "logs", "responses", "archive", "cache"])
def test_migrations_are_numbered_without_gaps(kind: str) -> None:
    assert [step.number for step in steps(kind)] == list(range(1, len(steps(kind)) + 1))


def test_a_newer_file_is_refused_and_not_touched(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    db = connect(tmp_path / "ledger.db")
    db.execute("insert into migrations values (99, 'later', 'x', 0)")
    db.close()
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(BadConfig, match="has schema 99, and this octoplex knows up to"):
        open_store(tmp_path)
    assert (tmp_path / "ledger.db").read_bytes() == before
    with pytest.raises(BadConfig, match="schema 99"):  # and the lock was let go
        open_store(tmp_path)


def test_a_changed_migration_is_refused(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    db = connect(tmp_path / "control.db")
    db.execute("update migrations set checksum = 'other'")
    db.close()
    with pytest.raises(BadConfig, match=r"0001_begin of .*control\.db"):
        open_store(tmp_path)


def test_a_migration_that_was_passed_over_is_not_applied_after_later_ones(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    db = connect(tmp_path / "control.db")
    db.execute("delete from migrations where number = 2")
    db.close()
    with pytest.raises(BadConfig, match="migration 2 was never applied to it: restore a copy"):
        open_store(tmp_path)


def test_a_later_migration_is_applied_once_and_a_copy_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    first = Step(1, "begin", "create table a (n integer) strict;")
    second = Step(2, "more", "-- why\ncreate table b (n text) strict;\ninsert into a values (2);")
    db = connect(path)
    migrate(db, path, [first])
    db.execute("insert into a values (1)")
    migrate(db, path, [first, second])
    migrate(db, path, [first, second])
    assert db.execute("select n from a").fetchall() == [(1,), (2,)]
    copy = connect(tmp_path / "x.db.before-0002")
    assert copy.execute("select n from a").fetchall() == [(1,)]
    assert (tmp_path / "x.db.before-0002").stat().st_mode & 0o777 == 0o600
    copy.close()
    db.close()


KEY = (
    "key_1",
    "app",
    b"h",
    "oct-",
    "wxyz",
    "",
    '["main"]',
    "$5/day",
    1_767_225_600_000,
    None,
    None,
)


def test_keys_of_the_first_schema_are_kept_and_bound_to_no_region(tmp_path: Path) -> None:
    """Read as they are by the shell, and brought to the newest schema by what writes."""
    path = tmp_path / "control.db"
    db = connect(path)
    migrate(db, path, steps("control")[:1])
    db.execute(f"insert into keys values ({', '.join('?' * len(KEY))})", KEY)
    db.close()
    reader = Reader(tmp_path)
    before = reader.keys()
    reader.close()
    store = open_store(tmp_path)
    asyncio.run(store.add_key(msgspec.structs.replace(before[0], id="key_2", name="b", hash=b"i",
                                                      region="eu")))  # fmt: skip
    after = asyncio.run(store.keys())
    store.close()
    assert after[0] == before[0]
    assert [(k.name, k.models, k.limits, k.region) for k in after] == [
        ("app", ("main",), "$5/day", ""),
        ("b", ("main",), "$5/day", "eu"),
    ]


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    db = connect(path)
    broken = Step(1, "begin", "create table a (n integer) strict;\ninsert into nowhere values (1);")
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, path, [broken])
    assert db.execute("select name from sqlite_master where name = 'a'").fetchall() == []
    db.close()


def test_the_view_of_records_counts_fields_right(tmp_path: Path) -> None:
    """`migrations/logs` names fields of a record by their place."""
    sql = steps("logs")[0].sql
    named = {"key": "key", "at": "at_ms"}
    for line in sql.splitlines():
        if "json_extract" in line:
            place = int(line.split("$[")[1].split("]")[0])
            name = line.rsplit(" as ", 1)[1].strip(", ")
            assert REQUEST_FIELDS[place] == named.get(name, name)


def test_what_was_spent_survives_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    book = Book(store)
    for number in range(10):
        hold = book.hold(Order(f"r{number}", 1, 10**12, "k", "k", "", "p", "m", "v", 10))
        assert hold is not None
        if number:
            hold.settle(number, NO_USAGE, "done")
    store.close()
    store = open_store(tmp_path)
    book = Book(store, asyncio.run(store.balances()))
    assert store.condition().lost == 1
    assert book.spent("k") == sum(range(10)) + 10
    (row,) = asyncio.run(store.spend(SpendQuery())).rows
    assert (row.nano, row.requests, row.estimated) == (55, 10, 1)
    store.close()
