"""What stands around the values of the fourth set and carries no label: names, moments, hashes.

A filler takes what follows its name as its argument: ``<<_hex:12>>`` is twelve hex digits,
``<<_time:%H:%M>>`` a moment in that shape, ``<<_of:a|b>>`` one of several words.
"""

# ruff: noqa: RUF001 (texts in one line, in all letters)

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from bench.guard_sets.drawing import ALNUM, BASE32, DIGITS, HEX, LOWER, UPPER, URLSAFE, Random, some

NAMES = (
    "Marisol Quintana",
    "Edwin Achterberg",
    "Priya Venkatesan",
    "Tomasz Wrona",
    "Aoife Gallagher",
    "Jean-Marc Tissot",
    "Keiko Arai",
    "Bongani Dlamini",
    "Ragnhild Solberg",
    "Dimitris Kallas",
    "Lucía Ferreyra",
    "Hyun-woo Cho",
    "Ferhat Aydın",
    "Nadia Benali",
    "Callum Strachan",
    "Oksana Bondar",
    "Wei-Ling Tan",
    "Gustavo Prates",
    "Elif Demirtaş",
    "Samuel Okonjo",
)
FIRMS = (
    "Pellworth Dental",
    "Ostrava Couriers",
    "Tern & Vale Insurance",
    "Copperbeech Lettings",
    "Mistral Optique",
    "Hafen Logistik",
    "Salt River Credit Union",
    "Orchard Row Clinic",
    "Fjordheim Hotell",
    "Lumen Labs",
)
TOWNS = ("Leeds", "Graz", "Porto", "Tucson", "Lyon", "Poznań", "Bergen", "Osaka", "Bari", "Cork")
PRODUCTS = ("trail shoes", "desk lamp", "espresso grinder", "rain cover", "wool blanket", "router")

Fill = Callable[[Random, str], str]


def moment(rng: Random, shape: str) -> str:
    """A moment of the years 2022 to 2026."""
    second = rng.randrange(1_641_000_000, 1_790_000_000)
    return datetime.fromtimestamp(second, UTC).strftime(shape or "%Y-%m-%dT%H:%M:%SZ")


def number(rng: Random, size: str) -> str:
    """As many digits as said, the first not zero."""
    return some(rng, "123456789", 1) + some(rng, DIGITS, int(size or 6) - 1)


def blob(rng: Random, size: str) -> str:
    """So many random bytes in base64."""
    return base64.b64encode(rng.randbytes(int(size or 48))).decode()


FILL: dict[str, Fill] = {
    "_name": lambda rng, _: rng.choice(NAMES),
    "_firm": lambda rng, _: rng.choice(FIRMS),
    "_town": lambda rng, _: rng.choice(TOWNS),
    "_product": lambda rng, _: rng.choice(PRODUCTS),
    "_time": moment,
    "_epoch": lambda rng, more: (
        str(rng.randrange(1_641_000_000, 1_790_000_000)) + (more and some(rng, DIGITS, int(more)))
    ),
    "_num": number,
    "_range": lambda rng, top: str(rng.randrange(1, int(top or 100))),
    "_digits": lambda rng, size: some(rng, DIGITS, int(size)),
    "_hex": lambda rng, size: some(rng, HEX, int(size or 40)),
    "_HEX": lambda rng, size: some(rng, HEX.upper(), int(size or 8)),
    "_b64": blob,
    "_url64": lambda rng, size: some(rng, URLSAFE, int(size or 22)),
    "_alnum": lambda rng, size: some(rng, ALNUM, int(size or 12)),
    "_low": lambda rng, size: some(rng, LOWER + DIGITS, int(size or 8)),
    "_letters": lambda rng, size: some(rng, LOWER, int(size or 6)),
    "_up": lambda rng, size: some(rng, UPPER, int(size or 3)),
    "_base32": lambda rng, size: some(rng, BASE32, int(size or 16)),
    "_uuid": lambda rng, _: str(uuid.UUID(bytes=rng.randbytes(16), version=4)),
    "_amount": lambda rng, _: f"{rng.randrange(5, 4000)}.{rng.randrange(100):02}",
    "_ver": lambda rng, _: f"{rng.randrange(9)}.{rng.randrange(30)}.{rng.randrange(20)}",
    "_of": lambda rng, words: rng.choice(words.split("|")),
    "_ean": lambda rng, head: ean(head + some(rng, DIGITS, 12 - len(head))),
    "_isbn": lambda rng, _: ean("9780" + some(rng, DIGITS, 8)),
}


def ean(body: str) -> str:
    """Return the thirteen digits of GS1 with their check digit."""
    total = sum(int(d) * (1, 3)[i % 2] for i, d in enumerate(body))
    return f"{body}{-total % 10}"
