"""Make the sets: `python -m bench.guard_sets.make` writes every JSONL file, always the same.

The texts are in ``texts/``: records after lines of ``%%``, to which ``xN`` (make N, with other
values) and ``long`` (put it among paragraphs of prose) may be added. In a text
``<<type.variant>>`` is a drawn value with a label, without its variant any of that type;
``<<name>>`` of a filler a value without; ``<<base64|text>>`` and its like disguise a text,
``<<base64~type.variant>>`` a value.
Each record is its own seed, so that a new one changes no other (but prose those that are long).
"""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from bench.guard_sets.drawing import Random
from bench.guard_sets.fillers import FILLERS
from bench.guard_sets.ids import LICENCE, NATIONAL, PASSPORT, TAX
from bench.guard_sets.keys import SECRETS
from bench.guard_sets.pii import PII

HERE = Path(__file__).parent
SETS = ("pii", "secrets", "disguised", "injection", "benign_injection", "developer", "prose")
STATES = {
    "national_id": NATIONAL,
    "tax_id": TAX,
    "driver_license": LICENCE,
    "passport": PASSPORT,
}
TYPES = PII | STATES | SECRETS
LONGEST = 4096
SLOT = re.compile(
    r"<<(?:(?P<over>[a-z0-9]+)~)?(?P<kind>[a-z0-9_]+)(?:\.(?P<variant>[a-z0-9_]+))?>>"
    r"|<<(?P<disguise>[a-z0-9]+)\|(?P<plain>.*?)>>",
    re.DOTALL,
)
ALIKE = str.maketrans("aceopxyiABCEHKMOPTX", "асеорхуіАВСЕНКМОРТХ")  # noqa: RUF001
LEET = str.maketrans("aeiost", "431057")


class Piece(NamedTuple):
    """One record of a text file: what to make of it how often."""

    text: str
    times: int
    is_long: bool


class Labelled(NamedTuple):
    """A finished text and where its values stand, in characters."""

    text: str
    spans: list[tuple[int, int, str]]


DISGUISES: dict[str, Callable[[str], str]] = {
    "base64": lambda t: base64.b64encode(t.encode()).decode(),
    "base64url": lambda t: base64.urlsafe_b64encode(t.encode()).decode().rstrip("="),
    "hex": lambda t: t.encode().hex(),
    "percent": lambda t: "".join(f"%{b:02X}" for b in t.encode()),
    "quoted": quote,
    "zero": lambda t: "\u200b".join(t),
    "joined": lambda t: " ".join("\u200d".join(w) for w in t.split()),
    "soft": lambda t: " ".join(w[:2] + "\u00ad" + w[2:] for w in t.split()),
    "alike": lambda t: t.translate(ALIKE),
    "wide": lambda t: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t),
    "bold": lambda t: "".join(
        chr(0x1D41A + ord(c) - 97)
        if c.islower()
        else chr(0x1D400 + ord(c) - 65)
        if c.isupper()
        else c
        for c in t
    ),
    "leet": lambda t: t.translate(LEET),
    "apart": lambda t: " ".join(t.replace(" ", "  ")),
    "tags": lambda t: "".join(chr(0xE0000 + ord(c)) for c in t),
}


def pieces(name: str) -> Iterator[Piece]:
    """Read the records of a text file in their order."""
    head, *rest = re.split(r"^%%(.*)\n", (HERE / "texts" / f"{name}.txt").read_text(), flags=re.M)
    if head:
        raise ValueError(f"{name}.txt does not begin with a line of %%")
    for options, text in zip(rest[::2], rest[1::2], strict=True):
        times = re.search(r"\bx(\d+)", options)
        yield Piece(text.rstrip("\n"), int(times[1]) if times else 1, "long" in options)


def value(kind: str, variant: str | None, rng: Random) -> str:
    """Draw a value of this type; without a variant any of its variants."""
    if kind in FILLERS:
        return FILLERS[kind](rng)
    draws = TYPES[kind]
    return draws[variant or rng.choice(sorted(draws))](rng)


def fill(template: str, rng: Random) -> Labelled:
    """Put values into the slots and note where those of a type stand."""
    parts: list[str] = []
    spans: list[tuple[int, int, str]] = []
    end = length = 0
    for slot in SLOT.finditer(template):
        kind, disguise = slot["kind"], slot["over"] or slot["disguise"]
        drawn = value(kind, slot["variant"], rng) if kind else slot["plain"]
        drawn = DISGUISES[disguise](drawn) if disguise else drawn
        parts += [template[end : slot.start()], drawn]
        length += len(parts[-2]) + len(drawn)
        if kind in TYPES:
            spans.append((length - len(drawn), length, kind))
        end = slot.end()
    return Labelled("".join([*parts, template[end:]]), spans)


def among(inner: Labelled, rng: Random) -> Labelled:
    """Put paragraphs of prose around a text, so that it stays within the longest length."""
    room = rng.randrange(1500, LONGEST - len(inner.text))
    paragraphs = [p.text for p in pieces("prose")]
    before, after, used = "", "", 0
    while True:
        paragraph = rng.choice(paragraphs)
        used += len(paragraph) + 2
        if used > room:
            break
        if rng.random() < 0.6:
            before += paragraph + "\n\n"
        else:
            after += "\n\n" + paragraph
    shift = len(before)
    moved = [(start + shift, end + shift, kind) for start, end, kind in inner.spans]
    return Labelled(before + inner.text + after, moved)


def records(name: str) -> Iterator[Labelled]:
    """Make every record of a set."""
    for piece in pieces(name):
        for turn in range(piece.times):
            rng = random.Random(f"{name}/{turn}/{piece.text}")
            made = fill(piece.text, rng)
            yield among(made, rng) if piece.is_long else made


def lines(name: str) -> Iterator[str]:
    """Write a set as JSON lines."""
    for text, spans in records(name):
        marks = [{"start": start, "end": end, "type": kind} for start, end, kind in spans]
        whole = {"text": text, "spans": marks, "injection": name == "injection"}
        yield json.dumps(whole, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every set beside this file."""
    for name in SETS:
        (HERE / f"{name}.jsonl").write_text("".join(lines(name)))


if __name__ == "__main__":
    main()
