"""The set that patterns are written with: `python -m bench.guard_sets.dev` writes `dev/*.jsonl`.

One text a line in `dev/*.txt`, `\\n` for a new line. `[[type|value]]` is a labelled value; a value
`@name` is drawn here, another one each time. Texts of `injection.txt` are attacks.

What it says of the guard is how far the patterns were taken, not how good they are: that is
what the held-out sets beside it are for, which none who writes patterns may read.
"""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Callable
from pathlib import Path

from bench.guard_sets import checksums

HERE = Path(__file__).parent / "dev"
SLOT = re.compile(r"\[\[(?P<kind>[a-z0-9_]+)\|(?P<value>.*?)\]\]", re.DOTALL)
TIMES = 3
"""Of each text with a drawn value."""
Draw = Callable[[random.Random], str]
_VIN = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"


def _of(rng: random.Random, alphabet: str, size: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(size))


def _digits(rng: random.Random, size: int) -> str:
    return _of(rng, string.digits, size)


def _mixed(size: int, more: str = "") -> Draw:
    return lambda rng: _of(rng, string.ascii_letters + string.digits + more, size)


def vin_us(rng: random.Random) -> str:
    """With the check digit of 49 CFR 565."""
    maker = rng.choice(["1HG", "4T1", "5YJ", "2T3", "3FA"])
    return checksums.vin(maker + _of(rng, _VIN, 9) + _digits(rng, 5))


def vin_eu(rng: random.Random) -> str:
    """Of a maker outside North America: filled up with Z, no check digit."""
    maker = rng.choice(["WVWZZZ", "WAUZZZ", "VF1", "ZFA", "WBA", "TMBZZZ", "VSSZZZ", "SAL", "YV1"])
    return maker + _of(rng, _VIN, 11 - len(maker)) + _digits(rng, 6)


def nhs(rng: random.Random) -> str:
    """Ten digits, mod 11, of those given out in England."""
    while True:
        try:
            return checksums.nhs(rng.choice("467") + _digits(rng, 8))
        except checksums.NoCheckDigit:
            continue


def nhs_spaced(rng: random.Random) -> str:
    """As it is printed."""
    number = nhs(rng)
    return f"{number[:3]} {number[3:6]} {number[6:]}"


def aba(rng: random.Random) -> str:
    """A routing number of a Federal Reserve district."""
    return checksums.aba(f"{rng.randrange(1, 13):02}" + _digits(rng, 6))


def card(rng: random.Random) -> str:
    """A Visa number."""
    return checksums.luhn("4" + _digits(rng, 14))


def inn(rng: random.Random) -> str:
    """A Russian tax number of ten digits."""
    number = "77" + _digits(rng, 7)
    weights = (2, 4, 10, 3, 5, 9, 4, 6, 8)
    return number + str(sum(int(d) * w for d, w in zip(number, weights, strict=True)) % 11 % 10)


DRAWS: dict[str, Draw] = {
    "vin_us": vin_us,
    "vin_eu": vin_eu,
    "nhs": nhs,
    "nhs_spaced": nhs_spaced,
    "aba": aba,
    "card": card,
    "inn": inn,
    "b64_88": lambda rng: _mixed(86, "+/")(rng) + "==",
    "b64_44": lambda rng: _mixed(43, "+/")(rng) + "=",
    "hex32": lambda rng: _of(rng, "0123456789abcdef", 32),
    "hex64": lambda rng: _of(rng, "0123456789abcdef", 64),
    "mixed24": _mixed(24),
    "mixed32": _mixed(32),
    "mixed40": _mixed(40),
    "client_secret": lambda rng: f"{_mixed(3)(rng)}8Q~{_mixed(34)(rng)}",
    "snowflake": lambda rng: "1" + _digits(rng, 17),
    "id16": lambda rng: rng.choice("4567") + _digits(rng, 15),
}


def made(template: str, seed: str, *, injection: bool) -> dict[str, object]:
    """One text with its labels."""
    rng = random.Random(seed)
    parts: list[str] = []
    spans: list[dict[str, object]] = []
    end = length = 0
    for slot in SLOT.finditer(template):
        kind, value = slot["kind"], slot["value"]
        value = DRAWS[value[1:]](rng) if value.startswith("@") else value
        before = template[end : slot.start()]
        parts += [before, value]
        length += len(before) + len(value)
        if kind != "none":
            spans.append({"start": length - len(value), "end": length, "type": kind})
        end = slot.end()
    return {"text": "".join([*parts, template[end:]]), "spans": spans, "injection": injection}


def main() -> None:
    """Write a JSONL file beside each text file."""
    for path in sorted(HERE.glob("*.txt")):
        rows = []
        for line in path.read_text().splitlines():
            if not line or line.startswith("#"):
                continue
            text = line.replace("\\n", "\n")
            for turn in range(TIMES if "|@" in text else 1):
                row = made(text, f"{path.stem}/{turn}/{text}", injection=path.stem == "injection")
                rows.append(json.dumps(row, ensure_ascii=False) + "\n")
        path.with_suffix(".jsonl").write_text("".join(rows))


if __name__ == "__main__":
    main()
