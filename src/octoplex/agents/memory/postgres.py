"""Facts in a PostgreSQL: the tables `facts` and `vectors` of the schema `octoplex`.

    facts = PostgresFacts(database)        connects when first asked

What `Facts` promises holds over hosts, by a lock for each owner. The ledger makes the tables
(`migrations/postgres`).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from octoplex.agents.memory.facts import OF, Asked, Facts, Rows
from octoplex.agents.memory.rows import COMMON, Group
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.link import Connection, Link, Work

_LOCK = "select pg_advisory_xact_lock(hashtextextended('octoplex memory ' || $1, 0))"
_HAVING = """select n, array(select seq from (select seq, owner, arm from octoplex.facts
        where words @@ (to_tsquery('simple', $1) && plainto_tsquery('english', word))
        offset 0) f where owner = $2 and arm = $3 limit $4)
    from unnest($5::text[]) with ordinality as asked (word, n) order by n"""
"""`offset 0` keeps the planner from looking by owner: it would read all that the owner has."""
_FOUND = f"""select f.seq, v.body, {OF} from octoplex.facts f
    left join octoplex.vectors v on v.seq = f.seq and v.model = $3
    where f.owner = $1 and f.arm = $2 and f.seq = any($4)"""


class PostgresFacts(Facts):
    """The facts of a database."""

    def __init__(self, database: Database) -> None:
        self._link = Link(database, "octoplex-memory")

    async def close(self) -> None:
        """Let go of it."""
        await asyncio.to_thread(self._link.close)

    async def _do(self, work: Work[Any]) -> Any:
        return await asyncio.wrap_future(self._link.ask(work))

    async def _rows(self, text: str, *values: object) -> Rows:
        found: Rows = await self._do(lambda connection: connection.fetch(text, *values))
        return found

    async def _together(self, owner: str, asked: Sequence[Asked]) -> Sequence[Rows]:
        async def work(connection: Connection) -> list[Rows]:
            async with connection.transaction():
                await connection.execute(_LOCK, owner)
                return [await connection.fetch(text, *values) for text, values in asked]

        found: list[Rows] = await self._do(work)
        return found

    async def _deleted(self, text: str, *values: object) -> int:
        said: str = await self._do(lambda connection: connection.execute(text, *values))
        return int(said.rpartition(" ")[2])

    async def _having(self, group: Group, words: Sequence[str]) -> list[list[int]]:
        asked = (group.word, group.owner, group.arm, COMMON, list(words))
        return [list(seqs) for _, seqs in await self._rows(_HAVING, *asked)]

    async def _found(self, group: Group, model: str, seqs: list[int]) -> Rows:
        return await self._rows(_FOUND, group.owner, group.arm, model, seqs)
