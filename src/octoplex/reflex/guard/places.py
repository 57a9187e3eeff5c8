"""Where in a text each pattern is tried: around its sign, and where its word stands near by.

    places = Places(patterns, forms, memory)
    places.of(data, Tables(data))     {number: [(10, 520)]}, bytes between which its matches lie

A pattern whose sign says little (nine letters or digits) is led to by the word that must stand
before it instead. One that has such a word and a sign of its own (nine digits) is tried only where
that word is within its reach, or may be the name of a column above.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from octoplex.reflex.guard import normal
from octoplex.reflex.guard.chars import ANY, most
from octoplex.reflex.guard.engine import Sieve
from octoplex.reflex.guard.finding import LONGEST, Pattern
from octoplex.reflex.guard.signs import Sign, sign, word_said
from octoplex.reflex.guard.tables import Tables

Span = tuple[int, int]
_END = re.compile(r"(?<!\\)\$")
_CELL_ENDS = r"(?:[\\s\"'`*>\\[\\]]*(?:[|;,)\\t\\n]|$))"
"""What stands in a text where a heading (`tables.py`) ends."""
OFTEN = 14.0
"""Bits: what tells less stands in every text."""
SLACK = 16
"""Bytes more: in JSON a name is farther from its value than in `name: value`."""


class _Way(Struct, frozen=True):
    """How one pattern is come upon."""

    sign: Sign | None
    """None: by the word that must stand before it alone."""
    before: int
    after: int
    """Bytes before and behind the beginning of its sign, or of that word, in which a match lies."""
    hint: Sign | None = None
    """The word that must stand before it."""
    lead: int = 0
    """Bytes from the beginning of that word to a match, at most."""


_NONE = Sign((), 0, 0.0)


class Places:
    """For patterns, and then forms, by number: where their matches may lie."""

    def __init__(self, patterns: Sequence[Pattern], forms: Sequence[str], memory: int) -> None:
        longest = max([LONGEST, *(pattern.longest for pattern in patterns)])
        ways = [*map(_way, patterns), *(_Way(sign(form), 0, 0) for form in forms)]
        self.count, self._ways = len(ways), ways
        hinted = [number for number, way in enumerate(ways) if way.hint]
        self._hinted = dict(enumerate(hinted, self.count))
        self._hint = {number: at for at, number in self._hinted.items()}
        signs = [way.sign or _NONE for way in ways] + [way.hint for way in ways if way.hint]
        self.sieve = Sieve(signs, longest, memory)

    def of(self, data: bytes, tables: Tables, *, named: bool = True) -> dict[int, list[Span]]:
        """Where each is tried, all of them everywhere where memory ran out.

        Where not `named`, also where no word is near.
        """
        found = self.sieve.passes(data)
        if found is None:
            return {number: [(0, len(data))] for number in range(self.count)}
        tried: dict[int, list[Span]] = {}
        for number, starts in found.items():
            if number < self.count:
                words = found.get(self._hint.get(number, -1)) if named else None
                around = self._around(number, starts, words, tables, named=named)
            else:
                number = self._hinted[number]
                around = self._behind(number, starts, tables, len(data))
            if around:
                tried[number] = around
        return tried

    def _around(
        self,
        number: int,
        starts: Sequence[int],
        words: Sequence[int] | None,
        tables: Tables,
        *,
        named: bool,
    ) -> list[Span]:
        """Around its signs, where one of its words is near."""
        way = self._ways[number]
        if way.hint is None or not named:
            return spans(starts, way.before, way.after)
        if not words:
            return []
        around = spans(starts, way.before, way.after)
        return [span for span in around if _is_named(span, words, way.lead, tables)]

    def _behind(self, number: int, words: Sequence[int], tables: Tables, size: int) -> list[Span]:
        """Behind its words, if it is come upon by these alone; where one may be the name of a
        column, everywhere."""
        way = self._ways[number]
        if way.sign is not None:
            return []
        if any(map(tables.may_name, words)):
            return [(0, size)]
        return spans(words, 0, way.after)


def spans(starts: Sequence[int], before: int, after: int) -> list[Span]:
    """What lies around these bytes, each once."""
    found: list[Span] = []
    for start in sorted(starts):
        begin, end = max(0, start - before), start + after
        if found and begin <= found[-1][1]:
            begin = found.pop()[0]
        found.append((begin, end))
    return found


def _is_named(span: Span, words: Sequence[int], lead: int, tables: Tables) -> bool:
    """Whether one of the words stands before what lies there, or may stand above."""
    begin, end = span
    return any(begin - lead <= word < end for word in words) or tables.may_hold(begin, end)


def _way(pattern: Pattern) -> _Way:
    own, longest = sign(whole(pattern)), pattern.longest
    before = min(own.before, longest)
    if not pattern.near:
        return _Way(own, before, longest)
    word, lead = word_said(hint(pattern)), min(ANY, most(hint(pattern))) + pattern.reach + SLACK
    if own.bits < OFTEN:
        return _Way(None, 0, lead + longest, word, lead)
    return _Way(own, before, longest, word, lead)


def whole(pattern: Pattern) -> str:
    """What is searched for."""
    return f"(?:{pattern.lead})(?:{pattern.regex})"


def hint(pattern: Pattern) -> str:
    """What stands in a text wherever a word of `near` does, also where a heading ends."""
    return anycase(_END.sub(_CELL_ENDS, pattern.near)) if pattern.near else ""


def anycase(words: str) -> str:
    """Words in any case."""
    return f"(?i:{normal.anycase(words)})"
