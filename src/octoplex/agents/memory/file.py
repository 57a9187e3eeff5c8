"""Facts on SQLite: `memory.db` in the data folder, its words in an FTS5 index.

    facts = open_file(data)        opened when first asked

Every process of a server may write it, so it has a journal that is rolled back (`connect.py`); each
asks by a thread of its own. What is forgotten is overwritten, in the index of words too.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from msgspec.structs import astuple

from octoplex.agents.memory.rows import COMMON, MOST_FACTS, Fact, Found, Group, Vector, Which
from octoplex.ledger.connect import Transaction, connect_beside
from octoplex.wire.error import BadConfig, StoreFailed

T = TypeVar("T")
NAME = "memory.db"
STEP = 1_000
"""Old facts that are deleted at once."""
_FACT = (
    "id, owner, arm, kind, thread, role, text, source, task, step, who, at_ms, until_ms, "
    "is_untrusted"
)
_OF = ", ".join(f"f.{name}" for name in _FACT.split(", "))
_KEEP = f"""insert into facts ({_FACT}, whose) values ({", ".join("?" * 15)})
    on conflict (id) do update set task = excluded.task, step = excluded.step,
        who = excluded.who, at_ms = excluded.at_ms, until_ms = excluded.until_ms
    where owner = excluded.owner returning seq"""
_EMBED = """insert or replace into vectors (seq, owner, arm, model, body)
    select seq, owner, arm, ?, ? from facts where seq = ? and owner = ? and arm = ?"""
_HAVING = "select rowid from words where words match ? limit ?"
"""Whose they are is a word of what is matched, and a condition where they are read (`_FACTS`)."""
_VECTORS = """select n, seq, body from vectors
    where owner = ? and arm = ? and model = ? and n > ? order by n"""
_FACTS = f"""select f.seq, v.body, {_OF} from json_each(?) asked
    cross join facts f on f.seq = asked.value
    left join vectors v on v.seq = f.seq and v.model = ?
    where f.owner = ? and f.arm = ?"""
"""`cross` fixes the order: by an index on owners it would read all that they have."""
_WHICH = """owner = ?1 and (?2 = '' or id = ?2) and (?3 = '' or thread = ?3 or task = ?3)"""
_LISTED = f"""select {_FACT} from facts where {_WHICH} and until_ms > ?4
    order by seq desc limit ?5"""


def open_file(data: Path) -> "FactsFile":
    """The facts of a data folder. Nothing is opened before it is asked."""
    return FactsFile(data)


class FactsFile:
    """Implements `Facts`."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._db: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "octoplex-memory")

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do it in the thread that has the file.

        Raises:
            StoreFailed: it cannot be opened, read or written.
        """

        def done() -> T:
            try:
                if self._db is None:
                    self._db = connect_beside(self._data, "memory")
                return work(self._db)
            except (sqlite3.Error, OSError, BadConfig) as error:
                raise StoreFailed(f"Memory cannot be used: {error}.") from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, done)

    async def keep(self, fact: Fact, vector: Vector | None) -> bool:
        """See `Facts`."""

        def work(db: sqlite3.Connection) -> bool:
            with Transaction(db):
                (many,) = db.execute(
                    "select count(*) from facts where owner = ?", (fact.owner,)
                ).fetchone()
                if many >= MOST_FACTS:
                    return False
                row = db.execute(_KEEP, (*astuple(fact), fact.group.word)).fetchone()
                if vector is not None and row is not None:
                    _embed(db, fact.group, row[0], vector)
            return True

        return await self._do(work)

    async def having(self, group: Group, words: Sequence[str]) -> tuple[int, list[list[int]]]:
        """See `Facts`."""
        owned = (group.owner, group.arm)

        def work(db: sqlite3.Connection) -> tuple[int, list[list[int]]]:
            text = "select count(*) from facts where owner = ? and arm = ?"
            (many,) = db.execute(text, owned).fetchone()
            found = []
            for word in words:
                match = f'whose : "{group.word}" AND text : "{word}"'
                rows = db.execute(_HAVING, (match, COMMON)).fetchall()
                found.append([seq for (seq,) in rows])
            return many, found

        return await self._do(work)

    async def vectors(self, group: Group, model: str, after: int) -> list[tuple[int, int, bytes]]:
        """See `Facts`."""
        asked = (group.owner, group.arm, model, after)
        return await self._do(lambda db: db.execute(_VECTORS, asked).fetchall())

    async def facts(self, group: Group, model: str, seqs: Sequence[int]) -> list[Found]:
        """See `Facts`."""
        asked = (str(list(seqs)), model, group.owner, group.arm)
        rows = await self._do(lambda db: db.execute(_FACTS, asked).fetchall())
        return [Found(seq, _fact(row), vector) for seq, vector, *row in rows]

    async def embed(self, group: Group, seq: int, vector: Vector) -> None:
        """See `Facts`."""
        await self._do(lambda db: _embed(db, group, seq, vector))

    async def listed(self, which: Which, limit: int, now_ms: int) -> list[Fact]:
        """See `Facts`."""
        asked = (*astuple(which), now_ms, limit)
        rows = await self._do(lambda db: db.execute(_LISTED, asked).fetchall())
        return [_fact(row) for row in rows]

    async def owners(self) -> list[tuple[str, int]]:
        """See `Facts`."""
        text = "select owner, count(*) from facts group by owner order by owner"
        return await self._do(lambda db: db.execute(text).fetchall())

    async def forget(self, which: Which) -> int:
        """See `Facts`."""
        text = f"delete from facts where {_WHICH}"
        return await self._do(lambda db: _delete(db, text, astuple(which)))

    async def sweep(self, now_ms: int) -> int:
        """See `Facts`."""
        text = """delete from facts where seq in
            (select seq from facts where until_ms <= ? order by until_ms limit ?)"""
        return await self._do(lambda db: _delete(db, text, (now_ms, STEP)))

    async def close(self) -> None:
        """See `Facts`."""
        thread = self._thread
        await asyncio.get_running_loop().run_in_executor(thread, self._close)
        thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()


def _embed(db: sqlite3.Connection, group: Group, seq: int, vector: Vector) -> None:
    db.execute(_EMBED, (vector.model, vector.body, seq, group.owner, group.arm))


def _delete(db: sqlite3.Connection, text: str, asked: Sequence[object]) -> int:
    """Delete; and since the index keeps words of what was deleted, have it written anew."""
    with Transaction(db):
        many = db.execute(text, asked).rowcount
        if many:
            db.execute("insert into words (words) values ('optimize')")
    return many


def _fact(row: Sequence[object]) -> Fact:
    *values, is_untrusted = row
    names = _FACT.split(", ")[:-1]
    return Fact(**dict(zip(names, values, strict=True)), is_untrusted=bool(is_untrusted))  # type: ignore[arg-type]
