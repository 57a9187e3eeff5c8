"""Replies that are given again, into a table: the SQL of `cache.db`, on its one connection.

The oldest make room for new ones. Only the stock's thread calls this (`stock.py`); `has`
belongs to every thread, so that nobody waits for a disk to hear that it has nothing.
"""

import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import suppress

from octoplex.ledger.connect import Transaction
from octoplex.ledger.rows import Kept

LEVEL = 1
KNOWN_BY = 8
ROW_BYTES = 256
"""What a row takes beside its body, with its places in the indices."""
FREED_PAGES = 256
"""Given back to the file system per step of a sweep: 2 MB."""

_SIZES = "select key, size from kept"
_ROUTES = "select route, count(*), sum(size) from kept group by route order by route"
_FIND = "select route, kept_at_ms, ends_at_ms, nano, body from kept where key = ?"
_INSERT = """insert into kept (key, route, kept_at_ms, ends_at_ms, nano, size, body)
    values (?, ?, ?, ?, ?, ?, ?)"""
_INSERT_VECTOR = "insert into vectors (key, grp, vector) values (?, ?, ?)"
_OF_GROUP = "select key, vector from vectors where grp = ? order by seq desc limit ?"
_REPLACED = "delete from kept where key = ? returning key, size"
_DELETE = "delete from kept where seq in (select seq from kept {} limit ?) returning key, size"
_OLDEST = _DELETE.format("order by seq")
_ENDED = _DELETE.format("where ends_at_ms <= ? order by ends_at_ms")
_ALL = _DELETE.format("where ? is null")
_OF_ROUTE = _DELETE.format("where route = ?")


class StockFile:
    """The file. `size` is what it holds, in bytes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.size = 0
        self._there: set[bytes] = set()
        self._count()

    @property
    def entries(self) -> int:
        """How many it holds."""
        return len(self._there)

    def has(self, key: bytes) -> bool:
        """Whether anything is kept under a key, from memory: 8 bytes of each, about 70 of RAM."""
        return key[:KNOWN_BY] in self._there

    def find(self, key: bytes) -> Kept | None:
        """What is kept under a key, whether its time has ended or not."""
        row = self._db.execute(_FIND, (key,)).fetchone()
        if row is None:
            return None
        route, kept_at_ms, ends_at_ms, nano, body = row
        return Kept(key, route, kept_at_ms, ends_at_ms, nano, zlib.decompress(body))

    def vectors(self, group: bytes, most: int) -> list[tuple[bytes, bytes]]:
        """(key, vector) of the newest of a group."""
        return self._db.execute(_OF_GROUP, (group, most)).fetchall()

    def write(self, rows: Iterable[Kept], most_bytes: int) -> None:
        """Keep rows, each in place of one with its key; delete the oldest beyond so many bytes."""
        packed = [(row, zlib.compress(row.body, LEVEL)) for row in rows]
        try:
            with Transaction(self._db) as db:
                for row, body in packed:
                    self._gone(db.execute(_REPLACED, (row.key,)))
                    size = len(body) + len(row.vector) + ROW_BYTES
                    times = (row.kept_at_ms, row.ends_at_ms)
                    db.execute(_INSERT, (row.key, row.route, *times, row.nano, size, body))
                    if row.group:
                        db.execute(_INSERT_VECTOR, (row.key, row.group, row.vector))
                    self._there.add(row.key[:KNOWN_BY])
                    self.size += size
                while self.size > most_bytes and self._gone(db.execute(_OLDEST, (16,))):
                    pass
        except BaseException:
            self._count()
            raise

    def sweep(self, now_ms: int, most: int) -> int:
        """Delete at most so many whose time has ended; how many it were."""
        return self._delete(_ENDED, now_ms, most)

    def purge(self, route: str | None, most: int) -> int:
        """Delete at most so many of a route, or of all; how many it were."""
        return self._delete(_ALL if route is None else _OF_ROUTE, route, most)

    def routes(self) -> list[tuple[str, int, int]]:
        """(route, entries, bytes), by name."""
        return [(str(r), int(n), int(b)) for r, n, b in self._db.execute(_ROUTES)]

    def fold(self) -> None:
        """Fold the log in and empty it: what was deleted must not be left there."""
        with suppress(sqlite3.Error):
            self._db.execute("pragma wal_checkpoint(truncate)")

    def close(self) -> None:
        """Fold the log in and close; a file that cannot be written keeps its log."""
        self.fold()
        self._db.close()

    def _count(self) -> None:
        there: set[bytes] = set()
        self.size = 0
        for key, size in self._db.execute(_SIZES):
            there.add(key[:KNOWN_BY])
            self.size += size
        self._there = there

    def _delete(self, text: str, value: object, most: int) -> int:
        with Transaction(self._db) as db:
            count = self._gone(db.execute(text, (value, most)))
        if count:  # as a script, because `execute` would stop after the first page
            self._db.executescript(f"pragma incremental_vacuum({FREED_PAGES})")
        return count

    def _gone(self, deleted: sqlite3.Cursor) -> int:
        rows = deleted.fetchall()
        for key, size in rows:
            self._there.discard(key[:KNOWN_BY])
            self.size -= size
        return len(rows)
