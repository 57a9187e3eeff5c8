"""Random digits, letters and patterns: the small words that every kind of value is drawn with.

In a pattern ``#`` is a digit, ``N`` a digit from 2 to 9, ``@`` an upper-case letter; a part in
single quotes and every other character stands for itself.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable
from datetime import date, timedelta

from bench.guard_sets.checksums import NoCheckDigit

Random = random.Random
Draw = Callable[[Random], str]

DIGITS = string.digits
UPPER = string.ascii_uppercase
LOWER = string.ascii_lowercase
ALNUM = string.ascii_letters + string.digits
URLSAFE = ALNUM + "-_"
HEX = "0123456789abcdef"
BASE32 = UPPER + "234567"

_CLASSES = {"#": DIGITS, "N": "23456789", "@": UPPER}


def some(rng: Random, alphabet: str, count: int) -> str:
    """Draw ``count`` characters."""
    return "".join(rng.choices(alphabet, k=count))


def pattern(shape: str) -> Draw:
    """Return what draws this shape."""
    parts = re.findall(r"'[^']*'|.", shape)

    def draw(rng: Random) -> str:
        return "".join(
            p.strip("'") if len(p) > 1 else rng.choice(_CLASSES[p]) if p in _CLASSES else p
            for p in parts
        )

    return draw


def one_of(*shapes: str) -> Draw:
    """Return what draws one of these shapes, each as often as the next."""
    draws = [pattern(s) for s in shapes]
    return lambda rng: rng.choice(draws)(rng)


def whole(shape: str, *checks: Callable[[str], str]) -> Draw:
    """Return what draws the shape and lets each check complete it, again where none exists."""
    body = pattern(shape)

    def draw(rng: Random) -> str:
        while True:
            text = body(rng)
            try:
                for check in checks:
                    text = check(text)
            except NoCheckDigit:
                continue
            return text

    return draw


def spaced(draw: Draw, groups: str) -> Draw:
    """Return what writes the drawn text in groups: ``"4 4-4"`` puts these between; rest is kept."""
    steps = re.findall(r"(\d+)(\D*)", groups)

    def written(rng: Random) -> str:
        text, out = draw(rng), ""
        for size, gap in steps:
            out, text = (
                out + text[: int(size)] + (gap if len(text) > int(size) else ""),
                text[int(size) :],
            )
        return out + text

    return written


def day(rng: Random, first: int = 1942, last: int = 2006) -> date:
    """Draw a day on which a grown person may have been born."""
    start = date(first, 1, 1)
    return start + timedelta(days=rng.randrange((date(last, 12, 31) - start).days))
