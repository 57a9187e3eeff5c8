"""Responses into tables: the SQL of `responses.db`, on its one connection.

Bodies are most of it, so they are packed (zlib at its fastest: text to a quarter). The
input of a response that went on from another holds everything before it, so that no
response depends on one that was deleted or has expired (`docs/decisions/responses-storage.md`
says what that costs).

`since_ms` is when the oldest response was made that is still kept.
"""

import sqlite3
import zlib
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

import msgspec

from octoplex.ledger.connect import Transaction
from octoplex.ledger.rows import Stored

LEVEL = 1
FREED_PAGES = 256
"""Given back to the file system per step of a sweep: 2 MB."""

_COLUMNS = """id, key_id, tenant, created_at_ms, model, status, origin, whole, gone, body, input"""
_SELECT = f"select {_COLUMNS} from responses where not gone and created_at_ms > :since_ms"
_FIND = f"{_SELECT} and id = :id and key_id = :key_id"
_HOLDING = f"""{_SELECT} and seq in (select seq from items where key_id = :key_id
    and id in (select value from json_each(:ids)))"""
_KNOWN = """select value from json_each(?)
    where exists (select 1 from responses where id = value)
    or exists (select 1 from items where id = value)"""
_INSERT = f"""insert into responses ({_COLUMNS})
    values (:id, :key_id, :tenant, :created_at_ms, :model, :status, :origin, :whole, :gone,
        :body, :input)"""
_ITEMS = "insert or replace into items (id, key_id, seq) values (?, ?, ?)"
_BEFORE = "select seq from responses where id = ? and key_id = ?"
_OLD = "select seq from responses where created_at_ms <= ? order by created_at_ms limit ?"
_FORGET = """update responses set gone = 1, body = x'', input = x''
    where id = ? and key_id = ? and not gone and created_at_ms > ?"""

_json = msgspec.json.Encoder().encode


class Responses:
    """The file. Each method is one transaction; only the shelf's thread calls them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._stale = False
        """Something was swept, and may still stand in the log."""

    def write(self, rows: Iterable[Stored]) -> None:
        """Keep responses; one of the same id and key takes the place of the one before."""
        packed = [(row, _packed(row)) for row in rows]
        with Transaction(self._db) as db:
            for row, values in packed:
                self._remove(db.execute(_BEFORE, (row.id, row.key_id)).fetchall())
                seq = db.execute(_INSERT, values).lastrowid
                db.executemany(_ITEMS, [(item, row.key_id, seq) for item in row.items])

    def find(self, key_id: str, id_: str, since_ms: int) -> Stored | None:
        """A response of this key."""
        values = {"id": id_, "key_id": key_id, "since_ms": since_ms}
        row = self._db.execute(_FIND, values).fetchone()
        return None if row is None else _unpacked(row)

    def holding(self, key_id: str, ids: Collection[str], since_ms: int) -> list[Stored]:
        """The responses of this key in which these items first came, the newest first."""
        values = {"ids": _text(ids), "key_id": key_id, "since_ms": since_ms}
        rows = self._db.execute(f"{_HOLDING} order by seq desc", values)
        return [_unpacked(row) for row in rows]

    def known(self, ids: Collection[str]) -> set[str]:
        """Those of these ids that are here, whosever they are and whatever is left of them."""
        return {str(row[0]) for row in self._db.execute(_KNOWN, (_text(ids),))}

    def forget(self, key_id: str, id_: str, since_ms: int) -> bool:
        """Delete a response of this key, all but its id."""
        found = self._db.execute(_FORGET, (id_, key_id, since_ms)).rowcount > 0
        if found:
            self._fold()
        return found

    def sweep(self, since_ms: int, most: int) -> int:
        """Delete at most so many that are too old; how many it were."""
        old = self._db.execute(_OLD, (since_ms, most)).fetchall()
        if old:
            with Transaction(self._db):
                self._remove(old)
            # As a script, because `execute` would stop after the first page.
            self._db.executescript(f"pragma incremental_vacuum({FREED_PAGES})")
            self._stale = True
        if self._stale and len(old) < most:
            self._fold()
            self._stale = False
        return len(old)

    def close(self) -> None:
        """Fold the log in and close; a file that cannot be written keeps its log."""
        self._fold()
        self._db.close()

    def _fold(self) -> None:
        """Fold the log in and empty it: what was deleted must not be left there."""
        with suppress(sqlite3.Error):
            self._db.execute("pragma wal_checkpoint(truncate)")

    def _remove(self, seqs: Sequence[tuple[int]]) -> None:
        self._db.executemany("delete from items where seq = ?", seqs)
        self._db.executemany("delete from responses where seq = ?", seqs)


def _packed(row: Stored) -> dict[str, object]:
    values: dict[str, object] = msgspec.structs.asdict(row)
    del values["items"]
    if row.gone:
        return values
    return values | {"body": _pack(row.body), "input": _pack(row.input)}


def _pack(text: bytes) -> bytes:
    return zlib.compress(text, LEVEL)


def _unpacked(row: tuple[object, ...]) -> Stored:
    *named, whole, gone, body, input_ = row
    names = [name.strip() for name in _COLUMNS.split(",")]
    values = dict(zip(names, named, strict=False))
    assert isinstance(body, bytes)
    assert isinstance(input_, bytes)
    return Stored(
        **values,  # type: ignore[arg-type]
        whole=bool(whole),
        gone=bool(gone),
        body=zlib.decompress(body),
        input=zlib.decompress(input_),
    )


def _text(ids: Collection[str]) -> str:
    return _json(list(ids)).decode()
