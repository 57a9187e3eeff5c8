"""The write connection of a file: its pragmas, its schema, and what damage looks like.

Each file is written and checkpointed by exactly one connection (see `folder.py`).
"""

import sqlite3
from pathlib import Path
from typing import Literal

from octoplex.ledger.migrate import migrate, steps

Kind = Literal["control", "ledger", "logs", "responses", "archive"]

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
}
"""A page costs four calls of the kernel until it is in its place, whatever its size."""
EMPTIED: frozenset[Kind] = frozenset({"responses"})
"""Files out of which rows are deleted: what they held is overwritten, and room is given back."""


def connect(path: Path, kind: Kind, synchronous: str) -> sqlite3.Connection:
    """Open a file for writing and bring it to the schema this code knows.

    Raises:
        sqlite3.DatabaseError: it cannot be opened, or is damaged.
        BadConfig: it is newer than this code.
    """
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
    try:
        db.execute(f"pragma page_size = {PAGE_BYTES[kind]}")
        if kind in EMPTIED:
            db.execute("pragma auto_vacuum = incremental")
            db.execute("pragma secure_delete = on")
        db.execute("pragma journal_mode = wal")
        db.execute(f"pragma synchronous = {synchronous}")
        db.execute(f"pragma wal_autocheckpoint = {WAL_PAGES}")
        migrate(db, path, steps(kind))
    except BaseException:
        db.close()
        raise
    return db


def corrupt(error: Exception) -> bool:
    """Whether SQLite calls the file damaged."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def put_aside(path: Path, at_ms: int) -> str:
    """Rename a damaged file, whose connection is closed; its new name."""
    aside = f"{path.name}.damaged-{at_ms}"
    path.rename(path.with_name(aside))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside
