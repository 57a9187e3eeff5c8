"""How near is near enough: what callers said of semantic hits, by tenant and route.

    least = await marks.least(caller, rule)                  what a hit must score now
    least = await marks.mark(caller, rule, id, score, good)  somebody has looked at a hit

It begins at `min` of the file. Then it is the least score from which on at most `MOST_WRONG` of
the marked hits were wrong: above hits that were wrong, and no higher, never below `min`. What one
tenant says moves nothing for another.

A mark is a row of the stock without a reply, in a group of its own, for `KEPT_MS`; a second
one of the same request takes its place. Another process sees it within `FRESH_S`. Marks belong
to a model of embeddings: with another one they mean nothing. A purge forgets them too.
"""

import math
from collections import OrderedDict
from collections.abc import Iterable
from time import monotonic

import msgspec
from msgspec import Struct

from octoplex.ledger.rows import Kept
from octoplex.ledger.stock import Stock
from octoplex.reflex.cache.fingerprint import Keyed, Rule, whose
from octoplex.wire.ask import Caller

MOST_WRONG = 0.05
"""The share of wrong ones among the marked hits that may be given."""
KEPT_MS = 30 * 86_400_000
FRESH_S = 60.0
MOST = 1_000
"""Marks of one tenant and route that count, the newest."""
MOST_GROUPS = 10_000
SAID = "semantic cache: "
"""How a record tells the score of a hit, with three digits."""
STEP = 0.0005
"""Half of the last of these digits."""


class Mark(Struct, frozen=True, array_like=True):
    """What was said of one hit."""

    score: float
    good: bool


_pack = msgspec.msgpack.Encoder().encode
_mark = msgspec.msgpack.Decoder(Mark).decode


class _Group(Struct):
    marks: dict[bytes, Mark] = {}
    loaded_at: float = -math.inf
    least: float = 0.0


class Marks:
    """Owned by the event loop."""

    def __init__(self, stock: Stock, keyed: Keyed) -> None:
        self._stock, self._keyed = stock, keyed
        self._groups: OrderedDict[bytes, _Group] = OrderedDict()

    async def least(self, caller: Caller, rule: Rule) -> float:
        """The cosine from which on what was asked before is a hit."""
        assert rule.near is not None
        group = await self._group(self._name(caller, rule))
        return max(rule.near.least, group.least)

    async def mark(self, caller: Caller, rule: Rule, id_: str, score: float, good: bool) -> float:
        """Keep what was said of the hit that a request got; what `least` is now."""
        name = self._name(caller, rule)
        key, mark = self._keyed(_pack(("mark of", name, id_))), Mark(score, good)
        group = await self._group(name)
        group.marks[key] = mark
        group.least = from_which(group.marks.values())
        now_ms = self._stock.now_ms()
        row = Kept(key, rule.route, now_ms, now_ms + KEPT_MS, 0, b"")
        self._stock.keep(msgspec.structs.replace(row, group=name, vector=_pack(mark)))
        return await self.least(caller, rule)

    def clear(self) -> None:
        """Forget all; what the stock has still is read anew."""
        self._groups.clear()

    def _name(self, caller: Caller, rule: Rule) -> bytes:
        assert rule.near is not None
        return self._keyed(_pack(("marks 1", *whose(caller), rule.route, rule.near.model)))

    async def _group(self, name: bytes) -> _Group:
        group = self._groups.setdefault(name, _Group())
        self._groups.move_to_end(name)
        if len(self._groups) > MOST_GROUPS:
            self._groups.popitem(last=False)
        if group.loaded_at + FRESH_S < monotonic():
            group.loaded_at = monotonic()  # so that of many at once one reads
            found = await self._stock.vectors(name, MOST)
            if found is not None:  # what was said here a moment ago may not be in the file yet
                group.marks = {**group.marks, **_read(reversed(found))}
                while len(group.marks) > MOST:
                    del group.marks[next(iter(group.marks))]
                group.least = from_which(group.marks.values())
        return group


def _read(rows: Iterable[tuple[bytes, bytes]]) -> dict[bytes, Mark]:
    marks = {}
    for key, packed in rows:
        try:
            marks[key] = _mark(packed)
        except msgspec.MsgspecError:  # written by another version
            continue
    return marks


def from_which(marks: Iterable[Mark]) -> float:
    """The least score from which on at most `MOST_WRONG` of the marked hits were wrong; 0: any."""
    by_score: dict[float, list[bool]] = {}
    for mark in marks:
        by_score.setdefault(mark.score, []).append(mark.good)
    count, good, least = 0, 0, math.inf
    for score in sorted(by_score, reverse=True):
        count += len(by_score[score])
        good += sum(by_score[score])
        if count - good <= MOST_WRONG * count:
            least = score
    below = max((score for score in by_score if score < least), default=None)
    return 0.0 if below is None else below + STEP


def score_of(why: str) -> float | None:
    """The score of the semantic hit that a record tells of."""
    text = why.removeprefix(SAID)
    return None if text == why else float(text)
