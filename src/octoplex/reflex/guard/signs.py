r"""From a regex a part that every match holds, that is rare, and that is cheap to look for.

    sign(r"(?i:\b(?:read|forget)(?: \w+){0,4} rules\b)").ways      (Way(r"(?i)\brules\b", ...),)

An automaton of many regexes is small only where each of them ends or fails within a word: one that
waits for its end over words ("forget ... rules") is a state more for every word that may stand
there. So a regex is cut where it does, and of what is left the part is taken that says most. A
text without a sign of a regex is not tried for it; where one stands, the match lies around it. (The
idea of RE2's FilteredRE2 and of Google Code Search, https://swtch.com/~rsc/regexp/regexp4.html,
with parts of regexes for words.)
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from octoplex.reflex.guard.chars import ANY, among, may_be_empty, size, takes
from octoplex.reflex.guard.prefix import Char, Group, Node, Times, Zero, parsed
from octoplex.reflex.guard.rarity import bits
from octoplex.reflex.guard.ways import (
    EVERY,
    Item,
    Way,
    flag,
    is_token,
    row_of,
    trimmed,
    written_out,
)

ENOUGH = 24.0
"""Bits: so seldom that to look for more of it would cost more than it spares."""


class Sign(Struct, frozen=True):
    """One of `ways` stands in every match, at most `before` bytes from its beginning."""

    ways: tuple[Way, ...]
    before: int
    bits: float
    """What it tells: the higher, the less often it stands in a text."""


class _Part(Struct):
    """One of these rows stands in every match."""

    rows: list[list[Item]]
    before: int
    bits: float


@lru_cache(maxsize=1024)
def sign(regex: str) -> Sign:
    """What tells most of it; all of it where it cannot be read."""
    try:
        return _made(_best(row_of(parsed(regex))), Way(regex))
    except ValueError:
        return Sign((Way(regex),), 0, 0.0)


def word_said(regex: str) -> Sign:
    """The same of a text whose `_` may have been spaces when the regex matched."""
    try:
        return _made(_best(row_of(_blanks(parsed(regex)))), EVERY)
    except ValueError:
        return Sign((EVERY,), 0, 0.0)


def _made(part: _Part | None, otherwise: Way) -> Sign:
    """A part written out, as ways that begin with words."""
    if part is None:
        return Sign((otherwise,), 0, 0.0)
    made: dict[Way, None] = {}
    later = 0
    for row in part.rows:
        ways, more = written_out(row)
        made |= dict.fromkeys(ways)
        later = max(later, more)
    return Sign(tuple(made), min(ANY, part.before + later), part.bits)


def _blanks(node: Node, outer: tuple[bool, bool] = (True, True)) -> Node:
    """With `_` wherever a space may be, and beside an edge; `outer`: nothing is before, behind."""
    if isinstance(node, Zero) and node.text == r"\b":
        return Group("(?:", [[node], [Char("_")], *([] if any(outer) else [[]])])
    if isinstance(node, Char) and " " in among(node.text) and "_" not in among(node.text):
        return Group("(?:", [[node], [Char("_")]])
    if isinstance(node, Times):
        return Times(_blanks(node.node, (False, False)), node.least, node.most)
    if not isinstance(node, Group):
        return node
    ways = []
    for way in node.ways:
        ends = [(outer[0] and at == 0, outer[1] and at == len(way) - 1) for at in range(len(way))]
        ways.append(list(map(_blanks, way, ends)))
    return Group(node.begin, ways)


def _best(row: Sequence[Item]) -> _Part | None:
    """Of all parts the one that tells most."""
    found: list[_Part] = []
    run: list[Item] = []
    at = begun = 0
    for item in row:
        if _wanders(item.node) or (is_token(item.node) and _ends_blank(run)):
            found += _told(run, begun)
            if not _wanders(item.node):
                run.append(item)
                found += _told(run, begun)
            else:
                found += _inner(item, at)
            run, begun = [], at + size(item.node)
        else:
            run.append(item)
        at += size(item.node)
    found += _told(run, begun)
    return max(found, key=lambda one: one.bits, default=None)


def _told(run: Sequence[Item], before: int) -> list[_Part]:
    """A part as a sign."""
    items, skipped = trimmed(run)
    if not items:
        return []
    nodes = [item.node for item in items]
    told = bits(nodes)
    if told > ENOUGH:
        items = items[: next(at for at in range(1, len(items) + 1) if bits(nodes[:at]) > ENOUGH)]
    return [_Part([items], min(ANY, before + skipped), told)]


def _inner(item: Item, before: int) -> list[_Part]:
    """Of ways one of which must be: what tells most of each."""
    node = item.node
    if isinstance(node, Times):
        if node.least == 0:
            return []
        return _inner(Item(node.node, item.fold), before if node.most == 1 else ANY)
    if not isinstance(node, Group):
        return []
    fold = flag(node, item.fold)
    best = [_best([one for part in way for one in row_of(part, fold)]) for way in node.ways]
    known = [one for one in best if one is not None]
    if len(known) < len(best):
        return []
    rows = [row for one in known for row in one.rows]
    told = -math.log2(sum(2.0**-one.bits for one in known))
    return [_Part(rows, min(ANY, before + max(one.before for one in known)), told)]


def _wanders(node: Node) -> bool:
    """Whether it goes on over words, whatever they are."""
    if isinstance(node, Times):
        if isinstance(node.node, Char):
            many = node.most is None or node.most > 2
            return many and takes(node.node, " ") and takes(node.node, "e")
        return _wanders(node.node) or _holds_word(node.node)
    if isinstance(node, Group):
        return any(_wanders(part) for way in node.ways for part in way) or _holds_word(node)
    return False


def _holds_word(node: Node) -> bool:
    """Whether a word of any letters stands in it beside a blank."""
    if not isinstance(node, Group):
        return False
    for way in node.ways:
        parts = _parts(way)
        if any(map(is_token, parts)) and any(_is_blank(part) for part in parts):
            return True
    return False


def _parts(way: Sequence[Node]) -> list[Node]:
    found: list[Node] = []
    for part in way:
        if isinstance(part, Group):
            found += [one for inner in part.ways for one in _parts(inner)]
        elif isinstance(part, Times) and isinstance(part.node, Group):
            found += _parts([part.node])
        else:
            found.append(part)
    return found


def _is_blank(node: Node) -> bool:
    node = node.node if isinstance(node, Times) else node
    return isinstance(node, Char) and takes(node, " ")


def _ends_blank(run: Sequence[Item]) -> bool:
    """Whether what stands behind it may begin a word."""
    for item in reversed(run):
        if _may_end_blank(item.node):
            return True
        if not may_be_empty(item.node):
            return False
    return not run


def _may_end_blank(node: Node) -> bool:
    if isinstance(node, Group):
        return any(_ends_blank([Item(part, False) for part in way]) for way in node.ways if way)
    return _is_blank(node)
