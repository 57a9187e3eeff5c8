"""Which words every match of parts of a regex holds, and how often they are said.

    held(parsed(r"(?:read|forget) \\w+ (?:rules|orders)").ways[0])
                                    [{"read ", "forget "}, {" rules", " orders"}]

Each match holds a word of every set, in lower case; digits and classes alone have none.
"""

import math
import re
from collections.abc import Iterable
from functools import cache
from itertools import product

from msgspec import Struct

from octoplex.reflex.guard.prefix import Char, Node, Times, Zero

LEAST = 2
"""Bytes: shorter words stand in every text."""
_RARE = frozenset(["pw"])
"""Short and seldom all the same."""
LONG = 16
"""Characters of a word that are looked for: more tell no more, and cost states."""
_WAYS = 24
"""Words that neighbours are joined to, at most."""
_CLASS = 6
"""Letters of a class that are taken for so many words, at most."""
_PLAIN = {r"\n": "\n", r"\t": "\t", r"\r": "\r"}

EDGE = "\0"
"""Stands for `\\b` at the beginning of a word."""

Words = frozenset[str]


class _Need(Struct):
    """Of a part: all that it can be, or only what it must hold."""

    exact: Words | None
    holds: list[Words]


def held(row: Iterable[Node]) -> list[Words]:
    """The sets of words of parts behind each other."""
    need = _row(row)
    return [*need.holds, *_held(need.exact)]


_COMMON = frozenset(
    re.findall(
        r"\S+",
        "a about after again all also always an and any are as at back be because been "
        "before but by can come could day did do even every first for from get give go good "
        "had has have he her here him his how i if in into is it its just know less like "
        "look made make many may me more most much must my need never new no not note now of "
        "on one only or other our out over people please read said say see she should so "
        "some such than that the their them then there these they this time to two up us use "
        "used very want was way we well were what when where which while who why will with "
        "work would year you your call content context data document file function hello hey "
        "https input key keys language limit link list mail message model name order page "
        "response show system tell test text token tokens url user write add list return",
    )
)
"""Words that stand in every second text, though they are long."""
_OFTEN = frozenset(["http", "https"])
_USUAL = re.findall(
    r"\S+",
    "object open option parameter pass process pull require run server set string value version "
    "api append block build called change check command config control copy current decode "
    "developer direct display encode execute filters following format full handle help ignore "
    "include index inform insert install license mark memory number output part private "
    "programming provide query remove replace reset rules share skip source start tools "
    "transfer type using variable warning none mode code email client access basic",
)
_BEGUN = frozenset(word[:size] for word in _USUAL for size in range(3, len(word) + 1))
"""Words, whole or begun, that 1 KB in five says."""


def telling(words: Words) -> float:
    """How seldom one of them stands in a text; the rarest is the highest."""
    return -sum(map(often, words))


@cache
def often(word: str) -> float:
    """About how often 1 KB says it."""
    parts = re.findall(r"\w+", word)
    if not parts:
        return 4.0
    if parts[0] in _RARE:
        return 0.0
    if parts[0] in _OFTEN:
        return 4.0
    return _alone(parts[0]) * math.prod(0.15 * min(1.0, _alone(part)) for part in parts[1:])


def _alone(part: str) -> float:
    if part in _COMMON:
        return 1.0 if len(part) > 2 else 4.0
    if len(part) == 2:
        return 0.2
    if part in _BEGUN:
        return 0.2
    return min(1.0, 400 * 12.0 ** -min(_size(part), 6))


def _size(word: str) -> int:
    return len(word.strip(EDGE).encode())


def _held(exact: Words | None) -> list[Words]:
    """As words to look for, if all are long enough."""
    short = [w for w in exact or () if _size(w) < LEAST and w.strip(EDGE) not in _RARE]
    if not exact or short:
        return []
    return [frozenset(word[:LONG] for word in exact)]


_NOTHING = _Need(None, [])


def _of(node: Node) -> _Need:
    if isinstance(node, Zero):
        return _Need(frozenset([EDGE if node.text == r"\b" else ""]), [])
    if isinstance(node, Char):
        return _Need(_letters(node.text), [])
    if isinstance(node, Times):
        return _repeated(node)
    return _any([_row(way) for way in node.ways])


def _letters(text: str) -> Words | None:
    """What one character may be, None for many."""
    if text in _PLAIN:
        return frozenset([_PLAIN[text]])
    if len(text) == 1:
        return None if text == "." else frozenset([text.lower()])
    if text[0] == "\\":
        return None if text[1].isalnum() else frozenset([text[1]])
    inner = text[1:-1]
    simple = text[0] == "[" and not set(inner) & set("\\^-[")
    return frozenset(inner.lower()) if simple and len(inner) <= _CLASS else None


def _repeated(node: Times) -> _Need:
    if node.least == 0:
        inner = _of(node.node) if node.most == 1 else _NOTHING
        return _NOTHING if inner.exact is None else _Need(inner.exact | frozenset([""]), [])
    inner = _of(node.node)
    if node.most == node.least <= 4:
        return _row([node.node] * node.least)
    return _Need(None, [*inner.holds, *_held(inner.exact)])


def _any(ways: list[_Need]) -> _Need:
    """One of them."""
    if len(ways) == 1:
        return ways[0]
    exact: set[str] = set()
    for way in ways:
        exact |= way.exact or frozenset()
    if all(way.exact is not None for way in ways):
        return _Need(frozenset(exact), [])
    best = [max([*way.holds, *_held(way.exact)], key=telling, default=None) for way in ways]
    held = [words for words in best if words]
    return _Need(None, [frozenset().union(*held)] if len(held) == len(ways) else [])


def _row(nodes: Iterable[Node]) -> _Need:
    """One behind the other."""
    holds: list[Words] = []
    run: Words = frozenset([""])
    whole = True
    for node in nodes:
        need = _of(node)
        if need.exact is not None and len(run) * len(need.exact) <= _WAYS:
            run = frozenset(a + (b.lstrip(EDGE) if a else b) for a, b in product(run, need.exact))
            continue
        whole = False
        holds += [*_held(run), *need.holds]
        run = need.exact or frozenset([""])
    return _Need(run, []) if whole else _Need(None, [*holds, *_held(run)])
