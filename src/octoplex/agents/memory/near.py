"""Vectors of many facts in memory: which of them are nearest to one.

    index = Near()
    index.add(seq, body)
    index.nearest(small(vector), 64)        seqs, nearest first, by the signs of their members alone

A vector is kept as one signed byte for each member, the largest being 127: enough to put the few
nearest in order (`closest`), and a quarter of what floats take. All others are compared by signs
only, +, - or nothing: where they agree, by one operation on long numbers.
"""

import asyncio
from array import array
from collections.abc import Collection, Iterable
from heapq import nlargest
from math import sqrt
from operator import mul

LARGEST = 127
_PLUS = bytes(ord("1") if 0 < byte < 128 else ord("0") for byte in range(256))
_MINUS = bytes(ord("1") if byte >= 128 else ord("0") for byte in range(256))


def small(vector: bytes) -> bytes:
    """A vector of 32-bit floats, not all zero, as bytes."""
    floats = memoryview(vector).cast("f")
    scale = LARGEST / max(map(abs, floats))
    return array("b", [round(value * scale) for value in floats]).tobytes()


def closest(own: bytes, among: Iterable[tuple[int, bytes]], least: float) -> list[int]:
    """Which are nearest, the nearest first, of those whose cosine is above `least`."""
    one = memoryview(own).cast("b")
    length = _square(one)
    scored = []
    for seq, body in among:
        if len(body) == len(own):
            other = memoryview(body).cast("b")
            scored.append((sum(map(mul, one, other)) / sqrt(length * _square(other)), seq))
    return [seq for score, seq in sorted(scored, reverse=True) if score > least]


def _square(members: memoryview) -> int:
    return sum(map(mul, members, members))


class Near:
    """The vectors of one group by one model, as far as `upto`."""

    __slots__ = ("_codes", "_scales", "_seqs", "_size", "turn", "upto")

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        """Who has it reads on from `upto`."""
        self.upto = self._size = 0
        self._seqs: list[int] = []
        self._codes: list[int] = []
        self._scales: list[float] = []

    def __len__(self) -> int:
        return len(self._seqs)

    def add(self, seq: int, body: bytes) -> None:
        """Let it be found. One of another length is not of the same model: it is left out."""
        self._size = self._size or len(body)
        code = _code(body)
        if len(body) == self._size and code:
            self._seqs.append(seq)
            self._codes.append(code)
            self._scales.append(1 / sqrt(code.bit_count()))

    def nearest(self, body: bytes, most: int) -> list[int]:
        """The seqs of those whose signs agree best."""
        if len(body) != self._size:
            return []
        seqs, codes, scales = self._seqs, self._codes, self._scales  # `drop` makes new ones
        own = _code(body)
        scores = [
            (own & code).bit_count() * scale for code, scale in zip(codes, scales, strict=True)
        ]
        return [seqs[at] for at in nlargest(most, range(len(scores)), scores.__getitem__)]

    def drop(self, seqs: Collection[int]) -> None:
        """Forget those that are there no more."""
        kept = [at for at, seq in enumerate(self._seqs) if seq not in seqs]
        self._seqs = [self._seqs[at] for at in kept]
        self._codes = [self._codes[at] for at in kept]
        self._scales = [self._scales[at] for at in kept]


def _code(body: bytes) -> int:
    """Two bits for each member: above zero, below it."""
    return int(body.translate(_PLUS), 2) << len(body) | int(body.translate(_MINUS), 2)
