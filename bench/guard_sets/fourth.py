"""Write the fourth set of texts that judge the guard.

    python -m bench.guard_sets.fourth DIR

Written on 2026-11-22 without sight of the guard's patterns, of its documents and of the texts of the
other sets; the names of the types were known. Texts are in the modules beside this one, with slots:
``<<type:kind>>`` is a value with a label, ``<<_name:...>>`` a filler without one
(`fourth_fill.py`). Where a text is used more than once, each time has other values. The text and the number of the
time are the seed, so the files are the same on every run.
"""

# ruff: noqa: E501 (texts in one line, in all letters)

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.guard_sets.drawing import Draw
from bench.guard_sets.fourth_attacks import ATTACKS
from bench.guard_sets.fourth_code import DEVELOPER
from bench.guard_sets.fourth_fill import FILL
from bench.guard_sets.fourth_forms import records
from bench.guard_sets.fourth_keys import SECRET
from bench.guard_sets.fourth_leaks import LEAKS
from bench.guard_sets.fourth_mail import MAIL
from bench.guard_sets.fourth_prose import PROSE
from bench.guard_sets.fourth_talk import TALK
from bench.guard_sets.fourth_tongues import TONGUES
from bench.guard_sets.fourth_values import PERSONAL

SLOT = re.compile(r"<<(_?[A-Za-z_0-9]+)(?::([^<>]*))?>>")
Row = dict[str, Any]
VALUES: dict[str, dict[str, Draw]] = PERSONAL | SECRET


def filled(text: str, turn: int = 0, *, injection: bool = False) -> Row:
    """Return one line: the text with its slots filled, and where labelled values came to lie."""
    rng = random.Random(f"fourth {turn} {text}")
    parts: list[str] = []
    spans: list[dict[str, Any]] = []
    at = end = 0
    for slot in SLOT.finditer(text):
        parts.append(text[end : slot.start()])
        name, how = slot[1], slot[2] or ""
        at += len(parts[-1])
        if name in FILL:
            value = FILL[name](rng, how)
        elif name not in VALUES:  # a template of Llama's, a heredoc
            value = slot[0]
        else:
            kinds = VALUES[name]
            value = kinds[how or rng.choice(sorted(kinds))](rng)
            spans.append({"start": at, "end": at + len(value), "type": name})
        parts.append(value)
        at, end = at + len(value), slot.end()
    parts.append(text[end:])
    return {"text": "".join(parts), "spans": spans, "injection": injection}


def turns(texts: Iterable[str], count: int) -> Iterator[Row]:
    """Fill each text, and again from the first on, until there are ``count`` different lines."""
    seen: set[str] = set()
    pool = list(texts)
    for turn in range(100):
        for text in pool:
            row = filled(text, turn)
            if row["text"] not in seen and len(seen) < count:
                seen.add(row["text"])
                yield row
    if len(seen) < count:
        raise ValueError(f"{len(seen)} lines of {count}")


def files() -> dict[str, list[Row]]:
    """Return every file of the set."""
    return {
        "fourth_mail": list(turns(MAIL, 2 * len(MAIL))),
        "fourth_records": [filled(text) for text in records()],
        "fourth_tongues": list(turns(TONGUES, 2 * len(TONGUES))),
        "fourth_secrets": list(turns(LEAKS, 2 * len(LEAKS))),
        "fourth_attacks": [filled(text, injection=True) for text in ATTACKS],
        "fourth_developer": list(turns(DEVELOPER, 600)),
        "fourth_talk": list(turns(TALK, 300)),
        "fourth_prose": list(turns(PROSE, 300)),
    }


def main() -> None:
    """Write one file after the other and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m bench.guard_sets.fourth")
    parser.add_argument("dir", type=Path)
    folder = parser.parse_args().dir
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files().items():
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as out:
            for row in rows:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        spans = sum(len(row["spans"]) for row in rows)
        print(f"{name:18}{len(rows):6} texts{spans:6} spans")


if __name__ == "__main__":
    main()
