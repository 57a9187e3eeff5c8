r"""Parts of regexes written out as ways, each with the word that it begins with.

    `\b(?:read|forget)ing?`     Way(r"(?i)\breadin", b"readin", edge=True, ...), ...

Words are looked for all at once (`engine.Words`); a way without one must begin with something that
is seldom written, since its automaton follows it from wherever it may begin.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from octoplex.reflex.guard.chars import (
    LETTERS,
    among,
    is_cased,
    may_be_empty,
    single,
    size,
    taken,
    takes,
)
from octoplex.reflex.guard.needs import often
from octoplex.reflex.guard.prefix import Char, Group, Node, Times, Zero
from octoplex.reflex.guard.rarity import bits

FOLD = "(?i)"
"""What ignores case begins with it."""
RARE = 9.0
"""Bits: what tells more need not be begun with more."""
_SPREAD = 400
"""Ways that a beginning is written out to, at most."""
WORD, LEAST, DEEP = 16, 3, 4
"""Bytes of a word that is looked for, at most and at least; so many are written out."""
SELDOM = 0.2
"""A word that 1 KB says more often is written out farther."""
_CLASS = 6
"""Letters of a class that are taken for so many words, at most."""
LOOSE, FEW = 16, 4
"""What may come more often is not counted; letters are not from `FEW` on."""
LONG = 40
RUN = f"[A-Za-z0-9+/]{{{LONG}}}"
"""The sign of all keys that are longer: one run is looked for."""
_KEY = frozenset(re.findall("[A-Za-z0-9+/]", bytes(range(128)).decode()))
_WIDE = 36
"""Characters: what takes so many tells nothing."""
_IN_WORDS = frozenset(map(ord, LETTERS))
_NO_WORD = frozenset(range(256)) - _IN_WORDS


ANYTHING = (1 << 257) - 1


class Way(Struct, frozen=True):
    """One thing that a sign may be."""

    regex: str
    word: bytes = b""
    """What it begins with, in lower case; none where that says nothing."""
    edge: bool = False
    """Nothing of a word stands before."""
    all_said: bool = False
    """It is the word, in any case."""
    after: int = ANYTHING
    """Bits of the bytes one of which stands behind the word; of 256, that nothing need."""


class Item(Struct, frozen=True):
    """A part, and whether its case is ignored."""

    node: Node
    fold: bool


EVERY = Way("(?s:.)")
"""Where a sign would be empty: it is everywhere."""
_RUN = Item(Times(Char("[A-Za-z0-9+/]"), LONG, LONG), False)


def written_out(row: Sequence[Item]) -> tuple[list[Way], int]:
    """What stands behind each other as ways; and how many bytes of it they may begin later."""
    made: list[Way] = []
    more = 0
    for one in _spread(row):
        for way, skipped in _begun(one):
            more = max(more, skipped)
            made += _ways(way) if way else [EVERY]
    return made, more


def row_of(node: Node, fold: bool = False) -> list[Item]:
    """What stands behind each other, groups of one way opened."""
    if isinstance(node, Zero) and node.text.startswith("(?"):
        raise ValueError("flags for what follows")
    if isinstance(node, Zero) and node.text == r"\B":
        return []  # it tells little, and not what stands in a piece of the text
    if not isinstance(node, Group):
        return [Item(node, fold)]
    inner = flag(node, fold)
    if len(node.ways) != 1:
        return [Item(Group("(?:", node.ways), inner)]
    return [item for part in node.ways[0] for item in row_of(part, inner)]


def flag(node: Group, fold: bool) -> bool:
    """Whether case is ignored in it, where it is around it or not."""
    known = {"(?:": fold, "(?i:": True, "(?-i:": False}
    if node.begin not in known:
        raise ValueError(f"flags {node.begin}")
    return known[node.begin]


def _ways(items: Sequence[Item]) -> list[Way]:
    """A way with what it begins with; more where that is said often."""
    one = _way(items)
    if not one.word or one.all_said or often(one.word.decode("utf-8", "replace")) < SELDOM:
        return [one]
    return [_way(way) for way in _spread(items, _SPREAD, 2 * DEEP + 4)]


def _way(items: Sequence[Item]) -> Way:
    """A way with what it begins with."""
    edge = isinstance(items[0].node, Zero) and items[0].node.text == r"\b"
    word, rest = "", list(items[edge:])
    while rest and len(word) < WORD and (char := _letter(rest[0])):
        word += char
        rest.pop(0)
    fold = all(item.fold or not _cased(item) for item in items)
    if sum(char.isalnum() or not char.isascii() for char in word) < LEAST - (not word.isascii()):
        return Way(_text(items))
    after = _firsts([(item.node, item.fold) for item in rest], word[-1] in LETTERS)
    ends = len(rest) == 1 and _is_edge(rest[0].node) and after is not None
    return Way(_text(items), word.encode().lower(), edge, (not rest or ends) and fold, _mask(after))


@lru_cache(maxsize=512)
def _mask(taken_by: frozenset[int] | None) -> int:
    return ANYTHING if taken_by is None else sum(1 << byte for byte in taken_by) | 1 << 256


def _firsts(row: Sequence[tuple[Node, bool]], in_word: bool) -> frozenset[int] | None:
    """What it may begin with; behind a letter of a word an edge says that the word ends."""
    found: frozenset[int] = frozenset()
    for node, fold in row:
        if isinstance(node, Zero) and node.text == r"\b" and in_word:
            return found | _NO_WORD
        here = _first(node, fold, in_word)
        if here is None:
            return None
        found |= here
        if in_word and _is_edge(node):
            return found
        if not may_be_empty(node):
            return found
        in_word = in_word and here <= _IN_WORDS
    return None


def _is_edge(node: Node) -> bool:
    """Whether it is where a word ends, or a sign that stands there."""
    if isinstance(node, Group):
        ways = [way[0] for way in node.ways if len(way) == 1]
        alone = all(isinstance(one, Char) or _is_edge(one) for one in ways)
        return len(ways) == len(node.ways) and alone and any(map(_is_edge, ways))
    return isinstance(node, Zero) and node.text == r"\b"


def _first(node: Node, fold: bool, in_word: bool) -> frozenset[int] | None:
    if isinstance(node, Zero):
        return frozenset()
    if isinstance(node, Times):
        return _first(node.node, fold, in_word)
    if isinstance(node, Group):
        inner = flag(node, fold)
        ways = [_firsts([(part, inner) for part in way], in_word) for way in node.ways if way]
        told = [way for way in ways if way is not None]
        return frozenset().union(*told) if len(told) == len(ways) else None
    return taken(node.text, fold)


def _cases(ways: Sequence[list[Item]]) -> Sequence[list[Item]]:
    """Ways that are letters beyond ASCII with all their cases, each once."""
    if not all(len(way) == 1 and isinstance(way[0].node, Char) for way in ways):
        return ways
    made: dict[tuple[str, bool], list[Item]] = {}
    for (item,) in ways:
        assert isinstance(item.node, Char)
        text = item.node.text
        cased = item.fold and is_cased(text)
        for case in sorted({text, text.lower(), text.upper()}) if cased else [text]:
            if len(case) == len(text):
                fold = item.fold and not cased
                made[case, fold] = [Item(Char(case), fold)]
    return list(made.values())


def _cased(item: Item) -> bool:
    return _letter(item).lower() != _letter(item).upper()


def _letter(item: Item) -> str:
    """The one letter that a part is; none where its other case is not ASCII's."""
    node = item.node
    if isinstance(node, Times) and node.least == node.most == 1:
        node = node.node
    if not isinstance(node, Char) or len(taken := single(node.text)) != 1:
        return ""
    return "" if item.fold and not taken.isascii() and taken.lower() != taken.upper() else taken


def _begun(way: Sequence[Item]) -> list[tuple[list[Item], int]]:
    """A way, as ways that begin with what tells most; and the bytes that are missing."""
    free, more = _without_word(way)
    shorter, skipped = trimmed(free)
    if shorter and _is_run(shorter[0].node):
        shorter = [_RUN]
    return [(one, skipped + more) for one in _spread(shorter)] if shorter else [([], 0)]


def _without_word(way: Sequence[Item]) -> tuple[Sequence[Item], int]:
    """Not begun with a word of any letters: a search must not follow each."""
    if len(way) > 2 and isinstance(way[0].node, Zero):
        for at in (1, 2) if _is_wide(way[1].node) else (1,):
            token = way[at].node
            free = isinstance(token, Times) and token.least != token.most
            if free and is_token(token) and len(way) > at + 1 and _told(way[at + 1 :]) > RARE:
                return way[at + 1 :], sum(size(item.node) for item in way[: at + 1])
    return way, 0


def _is_wide(node: Node) -> bool:
    return isinstance(node, Char) and len(among(node.text)) > _WIDE // 2


def _is_run(node: Node) -> bool:
    """Whether it is a long run of what keys are made of: all of them are looked for as one."""
    if not isinstance(node, Times) or node.least < LONG or not isinstance(node.node, Char):
        return False
    return set(among(node.node.text)) <= _KEY


def trimmed(run: Sequence[Item]) -> tuple[list[Item], int]:
    """Without what need not be at its ends, and the bytes that may be missing before it."""
    items, skipped = list(run), 0
    while items and (shorter := _without_first(items)) is not None:
        skipped += size(items[0].node)
        items = shorter
    while items and isinstance(last := items[-1].node, Times) and last.least != last.most:
        items[-1:] = _least(last, items[-1].fold)
    return items, skipped


def _without_first(items: Sequence[Item]) -> list[Item] | None:
    """Begun later, None where that would tell less."""
    first, rest = items[0].node, items[1:]
    if isinstance(first, Times) and first.least != first.most:
        return [*_least(first, items[0].fold), *rest]
    one = first.node if isinstance(first, Times) else first
    if not rest or not isinstance(one, Char):
        return None
    taken = among(one.text)
    if not taken or (len(single(one.text)) == 1 and taken != " "):
        return None
    if not set(taken) & LETTERS - {"_"}:
        edges: list[list[Node]] = [[Zero(r"\b")]]
        if "_" in taken:
            edges.append([Char("_")])
        return [Item(Group("(?:", edges), False), *rest] if _begin_word(rest) else None
    if isinstance(first, Times) and first.least > 8 and _told(rest) < RARE + 2:
        return None
    wide = len(taken) >= _WIDE or (len(taken) > _WIDE // 2 and is_token(rest[0].node))
    return list(rest) if wide and _told(rest) > RARE else None


def _told(items: Sequence[Item]) -> float:
    return bits([item.node for item in items])


def _least(node: Times, fold: bool) -> list[Item]:
    return [Item(Times(node.node, node.least, node.least), fold)] * (node.least > 0)


def _begin_word(items: Sequence[Item]) -> bool:
    for item in items:
        node = item.node
        inner = node.node if isinstance(node, Times) else node
        if not _begins_word(inner):
            return False
        if not may_be_empty(node):
            return True
    return False


def _begins_word(node: Node) -> bool:
    """Whether it begins with a letter or digit."""
    if isinstance(node, Group):
        return all(way and _begins_word(way[0]) for way in node.ways)
    if isinstance(node, Times):
        return node.least > 0 and _begins_word(node.node)
    return isinstance(node, Char) and set(among(node.text)) <= LETTERS


def is_token(node: Node) -> bool:
    """Whether it may be most of a word, of any letters."""
    return (
        isinstance(node, Times)
        and isinstance(node.node, Char)
        and (node.most is None or node.most > 3)
        and takes(node.node, "e")
        and takes(node.node, "t")
    )


def _spread(items: Sequence[Item], left: int = _SPREAD, deep: int = DEEP) -> list[list[Item]]:
    """As ways that begin with letters, as far as may be."""
    first, rest = items[0], list(items[1:])
    node = first.node
    if rest and (isinstance(node, Zero) or (_letter(first) and deep > 1)):
        deep -= len(_letter(first).encode())
        return [[first, *way] for way in _spread(rest, left, deep)]
    ways: list[list[Item]] = []
    if isinstance(node, Group):
        fold = flag(node, first.fold)
        begun = [[one for part in way for one in row_of(part, fold)] for way in node.ways]
        ways = [[*way, *rest] for way in _cases(begun)]
    elif isinstance(node, Times) and node.least == 0 and node.most == 1 and rest:
        ways = [[*row_of(node.node, first.fold), *rest], rest]
    elif isinstance(node, Char) and first.fold and is_cased(node.text):
        ways = [[*way, *rest] for way in _cases([[first]])]
    elif isinstance(node, Char) and 1 < len(taken := single(node.text)) <= _CLASS:
        ways = [[Item(Char(re.escape(one)), first.fold), *rest] for one in taken]
    if not ways or len(ways) > left:
        return [list(items)]
    return [one for way in ways for one in (_spread(way, left // len(ways), deep) if way else [[]])]


def _text(items: Sequence[Item]) -> str:
    """As a regex; what ignores case is marked so by its beginning."""
    fold = next((item.fold for item in items if not isinstance(item.node, Zero)), False)
    parts = [
        _loose(item.node)
        if item.fold == fold or isinstance(item.node, Zero)
        else f"(?{'' if item.fold else '-'}i:{_loose(item.node)})"
        for item in items
    ]
    return (FOLD if fold else "") + "".join(parts)


def _loose(node: Node) -> str:
    """Its regex, high counts without an end."""
    if isinstance(node, Char | Zero):
        return node.text
    if isinstance(node, Group):
        return node.begin + "|".join("".join(map(_loose, way)) for way in node.ways) + ")"
    inner = _loose(node.node)
    inner = inner if isinstance(node.node, Char | Group) else f"(?:{inner})"
    if node.most == node.least:
        return f"{inner}{{{node.least}}}"
    if node.most is not None and node.most <= (FEW if is_token(node) else LOOSE):
        return f"{inner}{{{node.least},{node.most}}}"
    return inner + ({0: "*", 1: "+"}.get(node.least) or f"{{{node.least},}}")
