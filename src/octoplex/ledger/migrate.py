"""Bring a database file to the schema this code knows: forwards only, in order.

`migrations/<file>/NNNN_name.sql` are applied one per transaction and written down
with their checksum in the table `migrations`. A file with a migration this code does
not know was written by a newer octoplex and is refused untouched (F78); one whose
checksum differs means that this build or that file was tampered with. Before an
existing file is changed, a copy is kept beside it.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from msgspec import Struct

from octoplex.wire.error import BadConfig

LOG = """create table if not exists migrations (
    number integer primary key, name text not null, checksum text not null, at_ms integer not null
) strict"""


class Step(Struct, frozen=True):
    """One migration."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def steps(kind: str) -> list[Step]:
    """The migrations of a kind of file (`connect.Kind`), in order."""
    folder = resources.files("octoplex.ledger") / "migrations" / kind
    files = [f for f in folder.iterdir() if f.name.endswith(".sql")]
    found = [Step(int(f.name[:4]), f.name[5:-4], f.read_text("utf-8")) for f in files]
    return sorted(found, key=lambda step: step.number)


def migrate(db: sqlite3.Connection, path: Path, known: list[Step], *, copied: bool = True) -> None:
    """Apply what is missing. `db` is in autocommit mode and the only writer.

    `copied` False: what the file holds may be lost, and must not outlive it.

    Raises:
        BadConfig: the file is newer than this code, or a migration was changed.
    """
    db.execute(LOG)
    done = dict(db.execute("select number, checksum from migrations order by number"))
    check(done, str(path), known)
    for step in known:
        if step.number in done:
            continue
        if done and copied:
            _keep_copy(db, path, step)
        _apply(db, step)


def check(done: dict[int, str], where: str, known: list[Step]) -> None:
    """Refuse what a newer octoplex wrote, or another migration of the same number.

    Raises:
        BadConfig: which it is, of `where`; or one is missing before others.
    """
    newest = known[-1].number
    if done and max(done) > newest:
        raise BadConfig(
            f"{where} has schema {max(done)}, and this octoplex knows up to {newest}: it was "
            "written by a newer version; upgrade octoplex, or restore the copy kept beside it"
        )
    missing = set(range(1, max(done, default=0))) - done.keys()
    if missing:
        raise BadConfig(
            f"{where} has schema {max(done)}, but migration {min(missing)} was never applied to "
            "it: restore a copy"
        )
    for step in known:
        if step.number in done and done[step.number] != step.checksum:
            raise BadConfig(
                f"migration {step.number:04}_{step.name} of {where} is not the one that was "
                "applied to it: reinstall octoplex"
            )


def _keep_copy(db: sqlite3.Connection, path: Path, step: Step) -> None:
    copy = path.with_name(f"{path.name}.before-{step.number:04}")
    copy.unlink(missing_ok=True)
    copy.touch(mode=0o600)
    target = sqlite3.connect(copy)
    try:
        db.backup(target)
    finally:
        target.close()


def _apply(db: sqlite3.Connection, step: Step) -> None:
    db.execute("begin immediate")
    try:
        for statement in _statements(step.sql):
            db.execute(statement)
        row = (step.number, step.name, step.checksum, time.time_ns() // 1_000_000)
        db.execute("insert into migrations values (?, ?, ?, ?)", row)
        db.execute("commit")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("rollback")
        raise


def _statements(sql: str) -> Iterator[str]:
    text = ""
    for line in sql.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""
