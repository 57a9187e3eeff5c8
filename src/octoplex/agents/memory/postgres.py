"""Facts in a PostgreSQL: the tables `facts` and `vectors` of the schema `octoplex`.

    facts = PostgresFacts(database)        connects when first asked

What `Facts` promises holds over hosts: vectors of an owner are numbered under a lock of its own,
so that whoever has read number 8 has seen 7. The ledger makes the tables (`migrations/postgres`).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec.structs import astuple

from octoplex.agents.memory.rows import COMMON, MOST_FACTS, Fact, Found, Group, Vector, Which
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.link import Connection, Link, Work

STEP = 1_000
_NAMES = tuple(f for f in Fact.__struct_fields__)
_FACT = ", ".join(_NAMES)
_OF = ", ".join(f"f.{name}" for name in _NAMES)
_LOCK = "select pg_advisory_xact_lock(hashtextextended('octoplex memory ' || $1, 0))"
_KEEP = f"""insert into octoplex.facts as f ({_FACT}, whose)
    values ({", ".join(f"${n}" for n in range(1, len(_NAMES) + 2))})
    on conflict (id) do update set task = excluded.task, step = excluded.step,
        who = excluded.who, at_ms = excluded.at_ms, until_ms = excluded.until_ms
    where f.owner = excluded.owner returning seq"""
_UNEMBED = "delete from octoplex.vectors where seq = $1 and owner = $2 and arm = $3"
_EMBED = """insert into octoplex.vectors (seq, owner, arm, model, body)
    select seq, owner, arm, $4, $5 from octoplex.facts
    where seq = $1 and owner = $2 and arm = $3"""
_HAVING = """select n, array(select seq from (select seq, owner, arm from octoplex.facts
        where words @@ (to_tsquery('simple', $1) && plainto_tsquery('english', word))
        offset 0) f where owner = $2 and arm = $3 limit $4)
    from unnest($5::text[]) with ordinality as asked (word, n) order by n"""
"""`offset 0` keeps the planner from looking by owner: it would read all that the owner has."""
_VECTORS = """select n, seq, body from octoplex.vectors
    where owner = $1 and arm = $2 and model = $3 and n > $4 order by n"""
_FACTS = f"""select f.seq, v.body, {_OF} from octoplex.facts f
    left join octoplex.vectors v on v.seq = f.seq and v.model = $3
    where f.owner = $1 and f.arm = $2 and f.seq = any($4)"""
_WHICH = """owner = $1 and ($2 = '' or id = $2) and ($3 = '' or thread = $3 or task = $3)"""
_LISTED = f"""select {_FACT} from octoplex.facts where {_WHICH} and until_ms > $4
    order by seq desc limit $5"""
_SWEEP = """delete from octoplex.facts where seq in
    (select seq from octoplex.facts where until_ms <= $1 order by until_ms limit $2)"""


class PostgresFacts:
    """Implements `Facts`."""

    def __init__(self, database: Database) -> None:
        self._link = Link(database, "octoplex-memory")

    async def _do(self, work: Work[Any]) -> Any:
        return await asyncio.wrap_future(self._link.ask(work))

    async def _fetch(self, text: str, *values: object) -> list[Any]:
        async def work(connection: Connection) -> list[Any]:
            rows: list[Any] = await connection.fetch(text, *values)
            return rows

        found: list[Any] = await self._do(work)
        return found

    async def keep(self, fact: Fact, vector: Vector | None) -> bool:
        """See `Facts`."""

        async def work(connection: Connection) -> bool:
            async with connection.transaction():
                await connection.execute(_LOCK, fact.owner)
                many = "select count(*) from octoplex.facts where owner = $1"
                if await connection.fetchval(many, fact.owner) >= MOST_FACTS:
                    return False
                seq = await connection.fetchval(_KEEP, *astuple(fact), fact.group.word)
                if vector is not None and seq is not None:
                    await _embed(connection, fact.group, seq, vector)
            return True

        return bool(await self._do(work))

    async def having(self, group: Group, words: Sequence[str]) -> tuple[int, list[list[int]]]:
        """See `Facts`."""
        owned = (group.owner, group.arm)
        text = "select count(*) from octoplex.facts where owner = $1 and arm = $2"
        ((many,),) = await self._fetch(text, *owned)
        rows = await self._fetch(_HAVING, group.word, *owned, COMMON, list(words))
        return many, [list(seqs) for _, seqs in rows]

    async def vectors(self, group: Group, model: str, after: int) -> list[tuple[int, int, bytes]]:
        """See `Facts`."""
        rows = await self._fetch(_VECTORS, group.owner, group.arm, model, after)
        return [tuple(row) for row in rows]

    async def facts(self, group: Group, model: str, seqs: Sequence[int]) -> list[Found]:
        """See `Facts`."""
        rows = await self._fetch(_FACTS, group.owner, group.arm, model, list(seqs))
        return [Found(seq, _fact(row), vector) for seq, vector, *row in rows]

    async def embed(self, group: Group, seq: int, vector: Vector) -> None:
        """See `Facts`."""

        async def work(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(_LOCK, group.owner)
                await _embed(connection, group, seq, vector)

        await self._do(work)

    async def listed(self, which: Which, limit: int, now_ms: int) -> list[Fact]:
        """See `Facts`."""
        rows = await self._fetch(_LISTED, *astuple(which), now_ms, limit)
        return [_fact(row) for row in rows]

    async def owners(self) -> list[tuple[str, int]]:
        """See `Facts`."""
        text = "select owner, count(*) from octoplex.facts group by owner order by owner"
        return [(owner, many) for owner, many in await self._fetch(text)]

    async def forget(self, which: Which) -> int:
        """See `Facts`."""
        return await self._deleted(f"delete from octoplex.facts where {_WHICH}", *astuple(which))

    async def sweep(self, now_ms: int) -> int:
        """See `Facts`."""
        return await self._deleted(_SWEEP, now_ms, STEP)

    async def _deleted(self, text: str, *values: object) -> int:
        async def work(connection: Connection) -> int:
            said: str = await connection.execute(text, *values)
            return int(said.rpartition(" ")[2])

        return int(await self._do(work))

    async def close(self) -> None:
        """See `Facts`."""
        await asyncio.to_thread(self._link.close)


async def _embed(connection: Connection, group: Group, seq: int, vector: Vector) -> None:
    owned = (seq, group.owner, group.arm)
    await connection.execute(_UNEMBED, *owned)
    await connection.execute(_EMBED, *owned, vector.model, vector.body)


def _fact(row: Sequence[Any]) -> Fact:
    return Fact(**dict(zip(_NAMES, row, strict=True)))
