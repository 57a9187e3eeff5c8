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

from octoplex.agents.memory.facts import OF, Asked, Facts, Rows
from octoplex.agents.memory.rows import COMMON, Group
from octoplex.ledger.connect import Transaction, connect_beside
from octoplex.wire.error import BadConfig, StoreFailed

T = TypeVar("T")
NAME = "memory.db"
_HAVING = "select rowid from words where words match ? limit ?"
"""Whose they are is a word of what is matched, and a condition where they are read (`_FOUND`)."""
_FOUND = f"""select f.seq, v.body, {OF} from json_each($1) asked
    cross join octoplex.facts f on f.seq = asked.value
    left join octoplex.vectors v on v.seq = f.seq and v.model = $2
    where f.owner = $3 and f.arm = $4"""
"""`cross` fixes the order: by an index on owners it would read all that they have."""


def open_file(data: Path) -> "FactsFile":
    """The facts of a data folder. Nothing is opened before it is asked."""
    return FactsFile(data)


class FactsFile(Facts):
    """The facts of a data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._db: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "octoplex-memory")

    async def close(self) -> None:
        """Let go of it."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()

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

    async def _rows(self, text: str, *values: object) -> Rows:
        return await self._do(lambda db: _ask(db, text, values).fetchall())

    async def _together(self, owner: str, asked: Sequence[Asked]) -> Sequence[Rows]:
        def work(db: sqlite3.Connection) -> list[Rows]:
            with Transaction(db):
                return [_ask(db, text, values).fetchall() for text, values in asked]

        return await self._do(work)

    async def _deleted(self, text: str, *values: object) -> int:
        """Delete; and since the index keeps words of what was deleted, have it written anew."""

        def work(db: sqlite3.Connection) -> int:
            with Transaction(db):
                many = _ask(db, text, values).rowcount
                if many:
                    db.execute("insert into words (words) values ('optimize')")
            return many

        return await self._do(work)

    async def _having(self, group: Group, words: Sequence[str]) -> list[list[int]]:
        matches = [f'whose : "{group.word}" AND text : "{word}"' for word in words]

        def work(db: sqlite3.Connection) -> list[list[int]]:
            return [[seq for (seq,) in db.execute(_HAVING, (one, COMMON))] for one in matches]

        return await self._do(work)

    async def _found(self, group: Group, model: str, seqs: list[int]) -> Rows:
        return await self._rows(_FOUND, str(seqs), model, group.owner, group.arm)


def _ask(db: sqlite3.Connection, text: str, values: Sequence[object]) -> sqlite3.Cursor:
    """Ask as SQLite has it: `?1`, and no schema."""
    return db.execute(text.replace("octoplex.", "").replace("$", "?"), values)
