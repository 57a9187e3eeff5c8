"""Make the second held-out sets: `python -m bench.guard_sets.second DIR` writes five files.

They were written without sight of the guard's patterns and of the first sets' texts; the format
is that of ``README.md``. Each text is its own seed, so that the files are the same on every run.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

from bench.guard_sets import second_attacks, second_benign, second_keys, second_pii, second_plain
from bench.guard_sets.drawing import Draw, Random
from bench.guard_sets.second_values import NONE, VALUES

SLOT = re.compile(r"<<([a-z0-9_]+)(?:\.([a-z0-9_]+))?>>")
MARKED_TIMES = 18
FEW_TIMES = 30
DEVELOPER = 1000
PROSE = 500


class Made(NamedTuple):
    """A finished text and where its values stand, in characters."""

    text: str
    spans: list[tuple[int, int, str]]
    is_attack: bool = False


def draw_of(kind: str, variant: str | None, rng: Random) -> Draw:
    """Return what draws a value of this type, any variant where none is named."""
    if kind in NONE:
        return NONE[kind]
    if kind in second_keys.FEW:
        return rng.choice(second_keys.FEW[kind])
    variants = VALUES[kind]
    return variants[variant or rng.choice(sorted(variants))]


def fill(template: str, rng: Random) -> Made:
    """Put values into the slots and note where those of a type stand."""
    text, end = "", 0
    spans: list[tuple[int, int, str]] = []
    for slot in SLOT.finditer(template):
        kind, variant = slot.groups()
        text += template[end : slot.start()]
        drawn = draw_of(kind, variant, rng)(rng)
        if kind not in NONE:
            spans.append((len(text), len(text) + len(drawn), second_keys.NAMED.get(kind, kind)))
        text, end = text + drawn, slot.end()
    return Made(text + template[end:], spans)


def pii() -> Iterator[Made]:
    """Texts with data on persons, each with other values and other words around it."""
    for block, times, is_wrapped in second_pii.TIMES:
        for template in block:
            for turn in range(times):
                rng = random.Random(f"second/pii/{turn}/{template}")
                around = rng.choice(second_pii.AROUND) if is_wrapped and turn else "{}"
                yield fill(around.replace("{}", template, 1), rng)


def secrets() -> Iterator[Made]:
    """Texts with secrets: those with a vendor's mark in any carrier, others in their own."""
    for kind, (variable, draws) in second_keys.MARKED.items():
        for turn in range(MARKED_TIMES):
            rng = random.Random(f"second/{kind}/{turn}")
            carrier = rng.choice(second_keys.CARRIERS)
            carrier = carrier.replace("<<VAR>>", variable).replace("<<var>>", variable.lower())
            before, after = (fill(part, rng) for part in carrier.split("<<secret>>"))
            value = rng.choice(draws)(rng)
            start = len(before.text)
            yield Made(before.text + value + after.text, [(start, start + len(value), kind)])
    for kind, texts in second_keys.TEXTS.items():
        for turn in range(FEW_TIMES):
            yield fill(texts[turn % len(texts)], random.Random(f"second/{kind}/{turn}"))


def injection() -> Iterator[Made]:
    """Attacks, then texts that only talk of such things."""
    for attack in second_attacks.attacks(random.Random("second/attacks")):
        yield fill(attack, random.Random(f"second/{attack}"))._replace(is_attack=True)
    for text in second_benign.texts(random.Random("second/benign")):
        yield fill(text, random.Random(f"second/{text}"))


def developer() -> Iterator[Made]:
    """Code, logs and the like with nothing to find, without end."""
    for turn in count():
        template = second_plain.DEVELOPER[turn % len(second_plain.DEVELOPER)]
        yield fill(template, random.Random(f"second/developer/{turn}/{template}"))


def prose() -> Iterator[Made]:
    """Paragraphs put together of sentences of one subject, without end."""
    for turn in count():
        rng = random.Random(f"second/prose/{turn}")
        sentences = second_plain.PROSE[turn % len(second_plain.PROSE)]
        size = min(len(sentences), rng.randrange(3, 6))
        yield fill(" ".join(rng.sample(sentences, size)), rng)


def different(texts: Iterator[Made], size: int) -> Iterator[Made]:
    """Take so many texts of an endless row, none twice."""
    seen: set[str] = set()
    while len(seen) < size:
        made = next(texts)
        if made.text not in seen:
            seen.add(made.text)
            yield made


SETS = {
    "pii": pii,
    "secrets": secrets,
    "injection": injection,
    "developer": lambda: different(developer(), DEVELOPER),
    "prose": lambda: different(prose(), PROSE),
}


def line(made: Made) -> str:
    """Write one text as a line of JSON."""
    spans = [{"start": start, "end": end, "type": kind} for start, end, kind in made.spans]
    whole = {"text": made.text, "spans": spans, "injection": made.is_attack}
    return json.dumps(whole, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every set into the directory that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in SETS.items():
        (folder / f"second_{name}.jsonl").write_text("".join(map(line, make())), encoding="utf-8")


if __name__ == "__main__":
    main()
