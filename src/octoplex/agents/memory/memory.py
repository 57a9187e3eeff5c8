"""What agents remember, across tasks: kept through the guard, found by words and by likeness.

    memory = Memory(open_file(data))                     one for a process
    mine = memory.of(owner_of(caller), screen=screen, task="task-1", who="app")
    await mine.keep("The nightly backup runs at 02:30 UTC.", source="ops.md", is_untrusted=False)
    await mine.find("when is the backup made")           facts, best first

Two searches are made and fused by rank (reciprocal rank fusion: Cormack et al., SIGIR 2009): by
words, the rarer among one's own the more they say; and by vectors, of a model or of n-grams
(`reflex/cache/vectors.py`). Vectors of another model than the present one are not compared; a fact
that is found by its words is given one of the present model then.

An owner sees what is its own only, and not even how rare a word is with others. Text of strangers
stays marked as such, however often it is found.

Not promised: that n-grams see what two texts mean; they see how alike they are written.
"""

import asyncio
import hashlib
import secrets
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from math import log
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

from octoplex.agents.memory.embedding import Embed
from octoplex.agents.memory.facts import Facts
from octoplex.agents.memory.near import Near, closest, small
from octoplex.agents.memory.rows import (
    COMMON,
    MOST_FACTS,
    Fact,
    Found,
    Group,
    Vector,
    Which,
    words_of,
)
from octoplex.agents.words import Screen
from octoplex.ledger.period import DAY_MS
from octoplex.ledger.stock import unix_ms
from octoplex.reflex.cache.vectors import ngrams
from octoplex.wire.error import InvalidCall

DAYS = 90
MOST_DAYS = 36_500
LONGEST = 8_000
"""Characters of a fact."""
LONGEST_SOURCE, LONGEST_NAME = 500, 200
"""Characters of where it came from, and of names, which stand in indexes."""
LONGEST_QUERY = 2_000
MOST_FOUND = 100
LIST = 50
"""So many of each search are fused, at least."""
RANK = 60
"""The constant of reciprocal rank fusion, as published."""
CLOSER = 2
"""So many times the list are compared exactly, of those whose signs agree."""
MOST_NEAR, MOST_GROUPS = 400_000, 4_000
"""Vectors in memory, and groups that they belong to."""
MANY = 2_000
"""From so many on they are compared beside the event loop: 0.2 us each."""
EACH = 8
"""Facts of a search that are given a vector of the present model, at most."""
LEAST = 0.25
"""Of n-grams. Of pieces of sentences of our docs, with a slip in each, one in twelve is below it
beside its own sentence, and four in five are beside another."""
SWEEP_MS = 3_600_000
NGRAMS = "ngrams 1"
SEEN = 2_000
"""Characters of a text that n-grams are made of: 1 ms."""


class _Ngrams:
    """Vectors without a model."""

    model = NGRAMS

    async def __call__(self, texts: Sequence[str]) -> Sequence[bytes | None]:
        vectors = [ngrams(text[:SEEN]) for text in texts]
        return [vector and small(vector) for vector in vectors]


class Memory:
    """The memory of all, and the vectors that were asked for of late. Owned by the event loop."""

    def __init__(
        self, facts: Facts, *, days: float = DAYS, now_ms: Callable[[], int] = unix_ms
    ) -> None:
        self.facts, self.days, self.now_ms = facts, days, now_ms
        self._near: OrderedDict[tuple[Group, str], Near] = OrderedDict()
        self._swept_ms = 0

    def of(
        self,
        owner: str,
        *,
        screen: Screen,
        embed: Embed | None = None,
        task: str = "",
        who: str = "",
    ) -> "Remembered":
        """The memory of one owner (`owner_of`), as a task of it uses it."""
        return Remembered(self, Whose(_short(owner), task, who), screen, embed or _Ngrams())

    async def nearest(self, group: Group, model: str, body: bytes, most: int) -> list[int]:
        """The seqs of a group whose vectors are nearest by their signs."""
        key = (group, model)
        near = self._near.setdefault(key, Near())
        self._near.move_to_end(key)
        async with near.turn:
            for number, seq, vector in await self.facts.vectors(group, model, near.upto):
                near.add(seq, vector)
                near.upto = number
            if len(near) < MANY:
                found = near.nearest(body, most)
            else:
                found = await asyncio.to_thread(near.nearest, body, most)
        self._bound(key)
        return found

    def gone(self, group: Group, model: str, seqs: Sequence[int], among: int) -> None:
        """These of so many that were found are there no more. Are they most, all is read anew."""
        near = self._near.get((group, model))
        if near is None or not seqs:
            return
        if 2 * len(seqs) > among:
            del self._near[group, model]
        else:
            near.drop(set(seqs))

    async def sweep(self) -> None:
        """Once an hour, delete some of what is over."""
        now_ms = self.now_ms()
        if now_ms - self._swept_ms >= SWEEP_MS:
            self._swept_ms = now_ms
            await self.facts.sweep(now_ms)

    async def forget_owner(self, owner: str) -> int:
        """Delete all of an owner; how many facts it had."""
        return await self.facts.forget(Which(owner=_short(owner)))

    async def close(self) -> None:
        """Let go of it."""
        await self.facts.close()

    def _bound(self, key: tuple[Group, str]) -> None:
        """Forget the vectors that were not asked for longest; they are read again. Of groups that
        have none, whose names anybody may think up, nothing is known."""
        near = self._near
        if key in near and not len(near[key]):
            del near[key]
        held = sum(map(len, near.values()))
        while len(near) > 1 and (held > MOST_NEAR or len(near) > MOST_GROUPS):
            held -= len(near.popitem(last=False)[1])


class Whose(Struct, frozen=True):
    """Who remembers, in which task."""

    owner: str
    task: str = ""
    who: str = ""


class Remembered:
    """Implements `Recall`."""

    def __init__(self, memory: Memory, whose: Whose, screen: Screen, embed: Embed) -> None:
        self._memory, self._whose = memory, whose
        self._screen, self._embed = screen, embed

    async def keep(
        self,
        text: str,
        *,
        source: str,
        notes_of: str = "",
        days: float | None = None,
        step: str = "",
        is_untrusted: bool = True,
    ) -> str:
        """See `Recall`. The same of the same source is kept once, and its time begins anew.

        Raises:
            Blocked: the guard refuses it.
            InvalidCall: it is empty or too long, or the owner's memory is full.
            StoreFailed: it cannot be kept now.
        """
        if len(text) > LONGEST:
            why = f"A fact has at most {LONGEST:,} characters, not {len(text):,}: keep its parts."
            raise InvalidCall(why, param="text")
        text, source = await self._screened(text), await self._screened(source[:LONGEST_SOURCE])
        arm = _short(notes_of)
        what = (self._whose.owner, arm, source, str(is_untrusted), text)
        digest = hashlib.blake2b("\0".join(what).encode(), digest_size=12)
        return await self._put(
            digest.hexdigest(), days, arm=arm, kind="note" if arm else "fact", text=text,
            source=source, step=_short(step), is_untrusted=is_untrusted,
        )  # fmt: skip

    async def log(
        self,
        thread: str,
        text: str,
        *,
        kind: Literal["turn", "task"] = "turn",
        role: str = "",
        is_untrusted: bool = True,
    ) -> str:
        """Keep what was said in a conversation, or what became of a task; what is too long is cut.

        Raises: as `keep`.
        """
        text = await self._screened(text[:LONGEST])
        thread = _short(thread)
        return await self._put(
            secrets.token_hex(12), None, kind=kind, thread=thread, role=_short(role), text=text,
            source=f"{kind} {thread}", is_untrusted=is_untrusted,
        )  # fmt: skip

    async def history(self, thread: str, limit: int = 50) -> list[dict[str, Any]]:
        """The last that was said in a conversation or kept of a task, oldest first."""
        which = Which(owner=self._whose.owner, thread=_short(thread))
        if not which.thread:
            return []
        rows = await self._memory.facts.listed(which, limit, self._memory.now_ms())
        return [fact.shown() for fact in reversed(rows) if not fact.arm]

    async def find(
        self, query: str, *, limit: int = 10, notes_of: str = ""
    ) -> list[dict[str, Any]]:
        """See `Recall`. At most 100; those whose time is over are not found.

        Raises:
            StoreFailed: nothing can be read now.
        """
        limit = max(1, min(limit, MOST_FOUND))
        group, query = Group(self._whose.owner, _short(notes_of)), _clean(query[:LONGEST_QUERY])
        most = max(LIST, limit)
        (vector,) = await self._embed([query]) if query.strip() else (None,)
        worded = await self._worded(group, query, most)
        model, near = self._embed.model, []
        if vector is not None:
            near = await self._memory.nearest(group, model, vector, most * CLOSER)
        seqs = list(dict.fromkeys([*worded, *near]))
        rows = await self._memory.facts.facts(group, model, seqs)
        now_ms = self._memory.now_ms()
        there = {row.seq: row for row in rows if row.fact.until_ms > now_ms}
        gone = [seq for seq in near if seq not in there]
        self._memory.gone(group, model, gone, len(near))
        alike: list[int] = []
        if vector is not None:
            bodies = [(seq, there[seq].vector or b"") for seq in near if seq in there]
            alike = closest(vector, bodies, LEAST if model == NGRAMS else 0.0)
        fused = fuse([seq for seq in worded if seq in there][:most], alike[:most])[:limit]
        if vector is not None:
            await self._embed_late(group, [there[seq] for seq, _ in fused])
        return [there[seq].fact.shown(score) for seq, score in fused]

    async def forget(self, id_: str) -> bool:
        """Delete one; whether it was there."""
        which = Which(owner=self._whose.owner, id=_short(id_))
        return bool(id_ and await self._memory.facts.forget(which))

    async def forget_thread(self, thread: str) -> int:
        """Delete what was kept of a conversation or by a task; how many."""
        which = Which(owner=self._whose.owner, thread=_short(thread))
        return await self._memory.facts.forget(which) if thread else 0

    async def _screened(self, text: str) -> str:
        """The text as the guard lets it in: what is kept enters tasks to come."""
        text = _clean(await self._screen(_clean(text), "in"))
        if not text.strip():
            raise InvalidCall("There is nothing in it that could be kept.", param="text")
        return text

    async def _put(self, id_: str, days: float | None, **said: Any) -> str:
        """Keep a fact of this owner and task, for so many days."""
        days = self._memory.days if days is None else days
        if not 0 < days <= MOST_DAYS:
            raise InvalidCall(f"days must be above 0 and at most {MOST_DAYS:,}.", param="days")
        now_ms = self._memory.now_ms()
        until_ms = now_ms + int(days * DAY_MS)
        own = asdict(self._whose)
        fact = Fact(id=f"mem_{id_}", at_ms=now_ms, until_ms=until_ms, **own, **said)
        (body,) = await self._embed([fact.text])
        vector = None if body is None else Vector(self._embed.model, body)
        await self._memory.sweep()
        if not await self._memory.facts.keep(fact, vector):
            raise InvalidCall(
                f"This memory is full: {MOST_FACTS:,} facts. Forget some, or keep them for fewer "
                "days."
            )
        return fact.id

    async def _worded(self, group: Group, query: str, most: int) -> list[int]:
        """By words: the sum of how much each says; of equals the newer first."""
        words = words_of(query)
        if not words:
            return []
        many, lists = await self._memory.facts.having(group, words)
        telling = [seqs for seqs in lists if len(seqs) < COMMON] or lists
        scores: defaultdict[int, float] = defaultdict(float)
        for seqs in telling:
            weight = log(1 + (many + 1) / (len(seqs) + 1))
            for seq in seqs:
                scores[seq] += weight
        return sorted(scores, key=lambda seq: (-scores[seq], -seq))[: most * CLOSER]

    async def _embed_late(self, group: Group, rows: Sequence[Found]) -> None:
        """Give those a vector that have none of this model."""
        without = [row for row in rows if row.vector is None][:EACH]
        bodies = await self._embed([row.fact.text for row in without]) if without else ()
        for row, body in zip(without, bodies, strict=True):
            if body is not None:
                vector = Vector(self._embed.model, body)
                await self._memory.facts.embed(group, row.seq, vector)


def fuse(*lists: Sequence[int]) -> list[tuple[int, float]]:
    """Reciprocal rank fusion: (seq, score), best first."""
    scores: defaultdict[int, float] = defaultdict(float)
    for ranked in lists:
        for rank, seq in enumerate(ranked, 1):
            scores[seq] += 1 / (RANK + rank)
    return sorted(scores.items(), key=lambda one: (-one[1], -one[0]))


def _clean(text: str) -> str:
    """Without what no database takes: NUL, and halves of surrogate pairs."""
    return text.replace("\0", " ").encode(errors="replace").decode()


def _short(name: str) -> str:
    return _clean(name)[:LONGEST_NAME]
