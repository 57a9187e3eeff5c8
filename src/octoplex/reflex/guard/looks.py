r"""How regexes without words begin: those alike share an automaton, others would multiply states.

    look(r"\b[A-Z]{2}\d{9}\b")     "digits": what it says from some digit on is rare enough

What a regex tells is counted in bits: as if all that is printed were as frequent.
"""

import math
import re
from typing import Literal

from octoplex.reflex.guard.prefix import Char, Group, Node, Times, Zero, parsed

FAIR, WEAK = 14.0, 16.0
"""Bits: so much must be told from a digit on; what tells less stands in every second text."""
_MARK = re.compile(r"\\\^|[@<]")
"""What is seldom written: it leads to what stands around it."""
_PRINTABLE = bytes(range(32, 127)).decode()
Look = Literal["digits", "marks", "letters", "often"]


def look(regex: str) -> Look:
    """Of which kind it is; "letters" where it cannot be read."""
    try:
        tree = parsed(regex)
        told, from_digit = _bits(tree), _from_digit(_row(tree))
    except (ValueError, re.error):
        return "letters"
    if from_digit >= FAIR:
        return "digits"
    if told < WEAK:
        return "often"
    return "marks" if _MARK.search(regex) else "letters"


def _from_digit(row: list[Node]) -> float:
    """What is told from the first digit on that must be there."""
    at = next((at for at, part in enumerate(row) if _is_digit(part)), len(row))
    return sum(map(_bits, row[at:]))


def _row(node: Group) -> list[Node]:
    """What stands behind each other, groups of one way opened."""
    if node.begin != "(?:" or len(node.ways) != 1:
        return [node]
    found: list[Node] = []
    for part in node.ways[0]:
        found += _row(part) if isinstance(part, Group) else [part]
    return found


def _is_digit(node: Node) -> bool:
    """Whether it begins with a digit, whatever it matches."""
    if isinstance(node, Times):
        return node.least > 0 and _is_digit(node.node)
    if isinstance(node, Group):
        return all(way and _is_digit(way[0]) for way in node.ways)
    return isinstance(node, Char) and "".join(_among(node.text)).isdigit()


def _bits(node: Node) -> float:
    """The same of a part: none of a match costs less, where all that is printed is as frequent."""
    if isinstance(node, Zero):
        return 0.0
    if isinstance(node, Char):
        return _rarity(node.text)
    if isinstance(node, Times):
        return node.least * _bits(node.node)
    return min(sum(map(_bits, way)) for way in node.ways)


def _rarity(text: str) -> float:
    if not text.isascii() or text.startswith("\\x{"):
        return 10.0
    return math.log2(len(_PRINTABLE) / max(1, len(_among(text))))


def _among(text: str) -> list[str]:
    """What of all that is printed one character of a regex takes."""
    if not text.isascii() or text.startswith(("\\x{", "\\p", "\\P")):
        return list(_PRINTABLE)
    if len(text) == 1:
        return [text]
    # To Python a bracket in a class may mean something one day.
    return re.findall(text[0] + re.sub(r"(?<!\\)\[", r"\\[", text[1:]), _PRINTABLE)
