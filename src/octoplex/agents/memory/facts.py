"""A store of facts: what it can be asked, in the SQL that SQLite and PostgreSQL have in common.

Each question names the owner. Everything raises `StoreFailed` where it cannot be done now. Vectors
of an owner are numbered by one writer at a time: whoever has read number 8 has seen 7.

A database (`file.py`, `postgres.py`) has four primitives and the search of words, which is its own.
Texts are PostgreSQL's: `$1` and the schema `octoplex`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from msgspec.structs import astuple

from octoplex.agents.memory.rows import MOST_FACTS, Fact, Found, Group, Vector, Which

STEP = 1_000
"""Old facts that are deleted at once."""
NAMES = Fact.__struct_fields__
FACT = ", ".join(NAMES)
OF = ", ".join(f"f.{name}" for name in NAMES)
Rows = Sequence[Sequence[Any]]
Asked = tuple[str, Sequence[object]]
"""A statement with its values."""
_KEEP = f"""insert into octoplex.facts as f ({FACT}, whose)
    select {", ".join(f"${n}" for n in range(1, len(NAMES) + 2))}
    where (select count(*) from octoplex.facts where owner = $2) < ${len(NAMES) + 2}
        or exists (select 1 from octoplex.facts where id = $1)
    on conflict (id) do update set task = excluded.task, step = excluded.step,
        who = excluded.who, at_ms = excluded.at_ms, until_ms = excluded.until_ms
    where f.owner = excluded.owner returning seq"""
_MANY = "select count(*) from octoplex.facts where owner = $1 and arm = $2"
_VECTORS = """select n, seq, body from octoplex.vectors
    where owner = $1 and arm = $2 and model = $3 and n > $4 order by n"""
_WHICH = "owner = $1 and ($2 = '' or id = $2) and ($3 = '' or thread = $3 or task = $3)"
_LISTED = f"""select {FACT} from octoplex.facts where {_WHICH} and until_ms > $4
    order by seq desc limit $5"""
_OWNERS = "select owner, count(*) from octoplex.facts group by owner order by owner"
_FORGET = f"delete from octoplex.facts where {_WHICH}"
_SWEEP = """delete from octoplex.facts where seq in
    (select seq from octoplex.facts where until_ms <= $1 order by until_ms limit $2)"""


class Facts(ABC):
    """A store."""

    async def keep(self, fact: Fact, vector: Vector | None) -> bool:
        """Keep it in place of the one of its id; False where its owner has `MOST_FACTS` others."""
        asked: list[Asked] = [(_KEEP, (*astuple(fact), fact.group.word, MOST_FACTS))]
        if vector is not None:
            asked += _embedding("id", fact.id, fact.group, vector)
        kept, *_ = await self._together(fact.owner, asked)
        return bool(kept)

    async def having(self, group: Group, words: Sequence[str]) -> tuple[int, list[list[int]]]:
        """How many a group has, and for each word which have it, `COMMON` at most."""
        ((many,),) = await self._rows(_MANY, group.owner, group.arm)
        return many, await self._having(group, words)

    async def vectors(self, group: Group, model: str, after: int) -> list[tuple[int, int, bytes]]:
        """(n, seq, vector) of a group by one model, in the order of `n`."""
        rows = await self._rows(_VECTORS, group.owner, group.arm, model, after)
        return [(n, seq, body) for n, seq, body in rows]

    async def facts(self, group: Group, model: str, seqs: Sequence[int]) -> list[Found]:
        """Those of them that are there, whatever their time."""
        rows = await self._found(group, model, list(seqs))
        return [Found(seq, _fact(row), vector) for seq, vector, *row in rows]

    async def embed(self, group: Group, seq: int, vector: Vector) -> None:
        """Give a fact this vector in place of another."""
        await self._together(group.owner, _embedding("seq", seq, group, vector))

    async def listed(self, which: Which, limit: int, now_ms: int) -> list[Fact]:
        """The newest of them, newest first, but for those whose time is over."""
        return [_fact(row) for row in await self._rows(_LISTED, *astuple(which), now_ms, limit)]

    async def owners(self) -> list[tuple[str, int]]:
        """Whose facts there are, and how many."""
        return [(owner, many) for owner, many in await self._rows(_OWNERS)]

    async def forget(self, which: Which) -> int:
        """Delete them; how many there were."""
        return await self._deleted(_FORGET, *astuple(which))

    async def sweep(self, now_ms: int) -> int:
        """Delete some of those whose time is over; how many."""
        return await self._deleted(_SWEEP, now_ms, STEP)

    @abstractmethod
    async def close(self) -> None:
        """Let go of it."""

    @abstractmethod
    async def _rows(self, text: str, *values: object) -> Rows:
        """What a question brings."""

    @abstractmethod
    async def _together(self, owner: str, asked: Sequence[Asked]) -> Sequence[Rows]:
        """What each brings, in one transaction beside which nobody writes for this owner."""

    @abstractmethod
    async def _deleted(self, text: str, *values: object) -> int:
        """How many facts it deletes."""

    @abstractmethod
    async def _having(self, group: Group, words: Sequence[str]) -> list[list[int]]:
        """Which of a group have each word."""

    @abstractmethod
    async def _found(self, group: Group, model: str, seqs: list[int]) -> Rows:
        """seq, vector and fact of those of a group that are there."""


def _embedding(by: str, key: object, group: Group, vector: Vector) -> list[Asked]:
    """Give the fact that has this key a vector, if it is of that group, in place of another."""
    own = (key, group.owner, group.arm)
    where = f"from octoplex.facts where {by} = $1 and owner = $2 and arm = $3"
    into = "insert into octoplex.vectors (seq, owner, arm, model, body)"
    return [
        (f"delete from octoplex.vectors where seq in (select seq {where})", own),
        (f"{into} select seq, owner, arm, $4, $5 {where}", (*own, vector.model, vector.body)),
    ]


def _fact(row: Sequence[Any]) -> Fact:
    *values, is_untrusted = row
    return Fact(**dict(zip(NAMES, values, strict=False)), is_untrusted=bool(is_untrusted))
