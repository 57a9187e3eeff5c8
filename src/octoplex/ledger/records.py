"""Request records into tables: the writing side of `logs-YYYYMM.db`.

A batch of records is one row that holds a JSON array, and a few marks (`marks.py`) by
which it is found. Measured in the gateway's place, CPU in the writer per record: 5.7 us
as columns, 2.9 as a row of JSON with two indices.
"""

import sqlite3

import msgspec

from octoplex.ledger.bulk import cleaned
from octoplex.ledger.marks import mark_batch
from octoplex.ledger.rows import NO_METADATA, Record

MOST = 512
"""Records in a row at most: a reader decodes whole rows, at about 1 us a record."""
REFUSED = (OverflowError, ValueError, TypeError, sqlite3.IntegrityError)

_INSERT = "insert into batches (first_id, last_id, count, records) values (?, ?, ?, ?)"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode
_check = msgspec.json.Decoder(msgspec.Raw).decode


def write_records(db: sqlite3.Connection, records: list[Record]) -> None:
    """Write a batch in one transaction."""
    db.execute("begin immediate")
    try:
        for start in range(0, len(records), MOST):
            _write(db, records[start : start + MOST])
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        raise


def _write(db: sqlite3.Connection, records: list[Record]) -> None:
    try:
        for record in records:
            if record.metadata is not NO_METADATA:
                _check(record.metadata)  # one that is not JSON would spoil its neighbours
        _insert(db, records, _encode(records).decode())
    except REFUSED:
        clean = [_clean(record) for record in records]
        _insert(db, clean, _encode(clean).decode())


def _insert(db: sqlite3.Connection, records: list[Record], text: str) -> None:
    ids = [record.id for record in records]
    row = (min(ids), max(ids), len(ids), text)
    seq = db.execute(_INSERT, row).lastrowid or 0
    mark_batch(db, seq, ids, {record.key_id for record in records})


def _clean(record: Record) -> Record:
    """The record if it can be read back, else its values made so, without metadata."""
    try:
        return _decode(_encode(record).decode())
    except (*REFUSED, msgspec.MsgspecError):
        fields = {n: cleaned(v) for n, v in msgspec.structs.asdict(record).items()}
        fields |= {"attempts": (), "metadata": NO_METADATA}
        return Record(**fields)  # type: ignore[arg-type]
