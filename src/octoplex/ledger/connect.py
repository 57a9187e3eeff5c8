"""The write connection of a file: its pragmas, its schema, and what damage looks like.

Each file is written and checkpointed by exactly one connection (see `folder.py`), but for those in
`SEVERAL`.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from octoplex.ledger.migrate import migrate, steps

Kind = Literal["control", "ledger", "logs", "responses", "archive", "cache", "learning", "memory"]

WAL_PAGES = 1_000
"""Checkpoint at 4 MB of log (responses: 8, records: 16) at the latest; sooner when nothing is
waiting. A log that has been folded in once is written over, and syncing it costs less than
letting it grow."""
PAGE_BYTES: dict[Kind, int] = {
    "control": 4_096,
    "ledger": 4_096,
    "logs": 16_384,
    "responses": 8_192,
    "archive": 4_096,
    "cache": 8_192,
    "learning": 4_096,
    "memory": 4_096,
}
"""A page costs four calls of the kernel until it is in its place, whatever its size."""
SUFFIXES = ("-wal", "-shm")
EMPTIED: frozenset[Kind] = frozenset({"responses", "cache"})
"""Files out of which rows are deleted all the time: what they held is overwritten, as in those of
`SEVERAL`, and room is given back."""
SEVERAL: frozenset[Kind] = frozenset({"learning", "memory"})
"""Files that several processes write: with a journal that is rolled back, which is safe there."""
WAIT_MS = 10_000
"""How long one of them waits for another to commit."""


def connect(path: Path, kind: Kind, synchronous: str) -> sqlite3.Connection:
    """Open a file for writing, a new one where there is none, at the schema this code knows.

    Raises:
        sqlite3.DatabaseError: it cannot be opened, or is damaged.
        OSError: it cannot be created.
        BadConfig: it is newer than this code.
    """
    if not path.exists() or not path.stat().st_size:
        _create(path, kind)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
    try:
        db.execute(f"pragma journal_mode = {_journal(kind)}")
        db.execute(f"pragma synchronous = {synchronous}")
        db.execute(f"pragma wal_autocheckpoint = {WAL_PAGES}")
        if kind in EMPTIED | SEVERAL:
            db.execute("pragma secure_delete = on")
        migrate(db, path, steps(kind), copied=kind != "cache")
    except BaseException:
        db.close()
        raise
    return db


def connect_beside(data: Path, kind: Kind) -> sqlite3.Connection:
    """Open the file of a kind in `SEVERAL`; nobody else makes or migrates it meanwhile.

    Raises: as `connect`.
    """
    with _alone(data / f"{kind}.lock"):
        db = connect(data / f"{kind}.db", kind, "normal")
    db.execute(f"pragma busy_timeout = {WAIT_MS}")
    return db


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _create(path: Path, kind: Kind) -> None:
    """Make a file, private, that has its tables from the moment it can be read."""
    new = path.with_name(f"{path.name}.new")
    for left in (new, _beside(new, "-journal"), *(_beside(new, s) for s in SUFFIXES)):
        left.unlink(missing_ok=True)
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.execute(f"pragma page_size = {PAGE_BYTES[kind]}")
        if kind in EMPTIED:
            db.execute("pragma auto_vacuum = incremental")
        migrate(db, new, steps(kind))
        db.execute(f"pragma journal_mode = {_journal(kind)}")
    _forget_log(path)  # that of a file somebody deleted: it would be played into this one
    new.rename(path)


def _journal(kind: Kind) -> str:
    return "truncate" if kind in SEVERAL else "wal"


class Transaction:
    """All or nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("begin immediate")
        return self._db

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._db.execute("commit")
        finally:
            if self._db.in_transaction:
                self._db.execute("rollback")


def corrupt(error: Exception) -> bool:
    """Whether SQLite calls the file damaged."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def unsynced(error: Exception) -> bool:
    """Whether a sync failed: what the kernel dropped then no later sync would tell (F55)."""
    return (getattr(error, "sqlite_errorname", None) or "").endswith("FSYNC")


def put_aside(path: Path, at_ms: int) -> str:
    """Rename a damaged file, whose connection is closed; its new name."""
    aside = f"{path.name}.damaged-{at_ms}"
    path.rename(path.with_name(aside))
    _forget_log(path)
    return aside


def _forget_log(path: Path) -> None:
    for suffix in SUFFIXES:
        _beside(path, suffix).unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
