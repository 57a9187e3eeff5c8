"""How seldom what a part of a regex takes stands in ordinary text, in bits: 10 is once a KB.

Words are told by `needs.often`, characters by how often they are written; what is of a kind that
was met (a digit behind digits) tells little more.
"""

import math
from collections.abc import Sequence

from octoplex.reflex.guard.chars import among
from octoplex.reflex.guard.needs import Words, held, often
from octoplex.reflex.guard.prefix import Char, Group, Node, Times, Zero


def bits(nodes: Sequence[Node]) -> float:
    """What parts behind each other tell; of ways that they may begin with, all together."""
    words = held(nodes)
    at = next((at for at, node in enumerate(nodes) if not isinstance(node, Zero)), len(nodes))
    if words or at == len(nodes) or not isinstance(first := nodes[at], Group):
        return _row_bits(nodes, words)
    rows = [[*way, *nodes[at + 1 :]] for way in first.ways]
    return -math.log2(sum(2.0 ** -_row_bits(row, held(row)) for row in rows))


def _row_bits(nodes: Sequence[Node], words: Sequence[Words]) -> float:
    """Words by how seldom they are said, all else as drawn from ordinary text."""
    rates = sorted(sum(map(often, one)) for one in words)
    told = 10 - math.log2(max(rates[0], 2.0**-20)) if rates else 0.0
    told += sum(-math.log2(min(1.0, rate / 16)) for rate in rates[1:])
    return told + _class_bits(nodes, set(), bool(words))


def _class_bits(row: Sequence[Node], met: set[str], worded: bool) -> float:
    """The same of characters. What is of a kind that was met tells little more."""
    total = 0.0
    for node in row:
        if isinstance(node, Zero):
            total += 0.0 if worded or met else 2.0
        elif isinstance(node, Char):
            total += _char_bits(node.text, met, worded)
        elif isinstance(node, Times) and node.least:
            first = _class_bits([node.node], met, worded)
            more = _class_bits([node.node], met, worded)
            total += first + (node.least - 1) * more
        elif isinstance(node, Group):
            ways = [
                (_class_bits(way, seen := set(met), worded), len(seen), seen) for way in node.ways
            ]
            bits, _, seen = min(ways, key=lambda way: way[:2])
            met |= seen
            total += bits
    return total


def _char_bits(text: str, met: set[str], worded: bool) -> float:
    taken = among(text)
    if not text.isascii():
        return 0.0 if worded else 6.0
    if len(taken) == 1 and (worded or taken.isalpha()):
        return 0.0 if worded else 3.0
    kind = "digit" if taken.isdigit() else "upper" if taken == taken.upper() else taken
    bits = -math.log2(max(2e-4, min(1.0, sum(map(_share, taken)))))
    if kind in met:
        return min(1.0, max(0.5, bits))
    met.add(kind)
    return bits


def _share(char: str) -> float:
    """Of ordinary text."""
    if char.isalpha():
        return 0.75 / 26 if char.islower() else 0.04 / 26
    if char.isdigit():
        return 0.003
    return {" ": 0.16, ".": 0.01, ",": 0.01, "-": 0.01, "_": 0.01}.get(char, 0.005)
