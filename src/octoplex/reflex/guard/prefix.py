r"""From a regex the regex of everything that may still become a match of it.

    prefixes(r"ab{2}[cd]")  matches "", "a", "ab", "abb", "abbc", "abbd"

A stream holds the longest end of its text that matches this. It is made from the regex
itself, so that nobody has to declare how a match may begin, and cannot be wrong about it.
High counts (`{16,200}`) become `+`: looking for it starts at every place within a match at
once, and with a state per count that took 200 us instead of 5. So it matches a little more.

Syntax is re2's (https://github.com/google/re2/wiki/Syntax). Assertions (`\b`, `$`) are kept
between two things and taken as true at the end, where it is not yet known.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

_PIECE = re.compile(
    r"""
      (?P<zero> \\[bBAz] | \^ | \$ | \(\?[imsU-]+\) )
    | (?P<open> \( (?: \?(?:[imsU-]*:|P?<\w+>) )? )
    | (?P<close> \) )
    | (?P<bar> \| )
    | (?P<times> (?:[*+?]|\{\d+(?:,\d*)?\}) \?? )
    | (?P<char> \\Q.*?(?:\\E|\Z)
        | \\[pPx]\{[^}]*\} | \\x[0-9a-fA-F]{2} | \\[pP]. | \\[0-7]{1,3} | \\.
        | \[\^?\]?(?:\[:\^?\w+:\]|\\[pPx]\{[^}]*\}|\\.|[^\]\\])*\]
        | . )
    """,
    re.VERBOSE | re.DOTALL,
)


MANY = 6
"""What may come more often is not counted."""


class Char(Struct):
    """One character: itself, a class, an escape."""

    text: str


class Zero(Struct):
    """What takes no character: `\\b`, `^`, flags."""

    text: str


class Group(Struct):
    """Brackets, or all of it: ways of things behind each other."""

    begin: str
    ways: list[list["Node"]]


class Times(Struct):
    """Something so many times; `most` is None without end."""

    node: "Node"
    least: int
    most: int | None


Node = Char | Zero | Group | Times


def prefixes(regex: str) -> str:
    """A regex of all beginnings of what this one matches, and of all that it matches.

    Raises:
        ValueError: it cannot be read.
    """
    return _begun(parsed(regex))


def parsed(regex: str) -> Group:
    """The regex as a tree.

    Raises:
        ValueError: it cannot be read.
    """
    pieces = [(m.lastgroup or "", m.group()) for m in _PIECE.finditer(regex)][::-1]
    if sum(kind == "open" for kind, _ in pieces) != sum(kind == "close" for kind, _ in pieces):
        raise ValueError("brackets do not match")
    return _group("(?:", pieces)


def _group(begin: str, pieces: list[tuple[str, str]]) -> Group:
    """Read to the closing bracket, or to the end."""
    ways: list[list[Node]] = [[]]
    while pieces:
        kind, text = pieces.pop()
        way = ways[-1]
        if kind == "close":
            break
        if kind == "bar":
            ways.append([])
        elif kind == "open":
            way.append(_group("(?:" if text == "(" or "<" in text else text, pieces))
        elif kind == "zero":
            way.append(Zero(text))
        elif kind == "times":
            if not way:
                raise ValueError(f"nothing before {text}")
            way.append(Times(way.pop(), *_bounds(text)))
        elif text.startswith("\\Q"):
            way += [Char(re.escape(c)) for c in text[2:].removesuffix("\\E")]
        else:
            way.append(Char(text))
    return Group(begin, ways)


def _bounds(text: str) -> tuple[int, int | None]:
    sign = text[0]
    if sign != "{":
        return (1 if sign == "+" else 0), (1 if sign == "?" else None)
    least, _, most = text.rstrip("?").strip("{}").partition(",")
    if "," not in text:
        return int(least), int(least)
    return int(least), int(most) if most else None


def _text(node: Node) -> str:
    """The regex of the node itself. Greed does not matter to what it matches."""
    if isinstance(node, Char | Zero):
        return node.text
    if isinstance(node, Group):
        return node.begin + "|".join("".join(map(_text, way)) for way in node.ways) + ")"
    return _single(node.node) + _count(node.least, node.most)


def _count(least: int, most: int | None) -> str:
    if most is None or most > MANY:
        return "+" if least else "*"
    return f"{{{least},{most}}}"


def _single(node: Node) -> str:
    return _text(node) if isinstance(node, Char | Group) else f"(?:{_text(node)})"


def _begun(node: Group | Times) -> str:
    """The regex of its beginnings; it always matches the empty text."""
    if isinstance(node, Group):
        return node.begin + "|".join(_begun_way(way) for way in node.ways) + ")"
    if node.most == 0:
        return ""
    if not isinstance(node.node, Group):
        return _single(node.node) + _count(0, node.most)
    before = None if node.most is None else node.most - 1
    return f"(?:{_single(node.node)}{_count(0, before)}{_begun(node.node)})"


def _begun_way(way: Sequence[Node]) -> str:
    rest = ""
    for node in reversed(way):
        if isinstance(node, Zero) and node.text.startswith("(?"):
            rest = node.text + rest  # flags hold for what follows
        elif isinstance(node, Zero | Char):
            rest = f"(?:{node.text}{rest})?"
        else:
            rest = f"(?:{_text(node)}{rest}|{_begun(node)})" if rest else _begun(node)
    return rest
