"""A new file is whole from the moment it is there: readers of other processes come any time."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from octoplex.ledger import Page, Reader
from octoplex.ledger.connect import connect
from octoplex.ledger.migrate import Step, migrate


def test_a_reader_never_finds_a_file_without_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, seen = Reader(tmp_path), []

    def read() -> None:
        seen.append((reader.request("req_1"), reader.requests(Page(limit=1)), reader.batches(1)))

    def watched(
        db: sqlite3.Connection, path: Path, known: list[Step], *, copied: bool = True
    ) -> None:
        read()
        migrate(db, path, known, copied=copied)
        read()

    monkeypatch.setattr("octoplex.ledger.connect.migrate", watched)
    for name, kind in (("logs-202611.db", "logs"), ("archive.db", "archive")):
        connect(tmp_path / name, kind, "normal").close()  # type: ignore[arg-type]
    reader.close()
    assert seen == [(None, [], [])] * len(seen)
    assert len(seen) >= 8
    assert not [*tmp_path.glob("*.new*")]


def test_the_log_of_a_deleted_file_does_not_come_back_in_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "logs-202611.db"
    first = connect(path, "logs", "normal")
    first.execute("insert into batches values (1, 'a', 'a', 1, '[]')")
    log = path.with_name("logs-202611.db-wal")
    left = log.read_bytes()
    first.close()
    path.unlink()
    log.write_bytes(left)
    with closing(connect(path, "logs", "normal")) as second:
        assert second.execute("select count(*) from batches").fetchone() == (0,)
        assert second.execute("pragma integrity_check").fetchone() == ("ok",)


def test_what_a_kill_left_of_a_new_file_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    path.touch()
    path.with_name("archive.db.new").write_bytes(b"half")
    path.with_name("archive.db.new-journal").write_bytes(b"of it")
    with closing(connect(path, "archive", "full")) as db:
        assert db.execute("select count(*) from files").fetchone() == (0,)
    assert path.stat().st_mode & 0o777 == 0o600
