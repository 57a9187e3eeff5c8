"""Values as TOML, which the standard library only reads.

Numbers are written as they were given, never through a float: prices are among them. A name
that is more than letters, digits and dashes is quoted; in a comment it stays on its line.
"""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from octoplex.cli.show import clean

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDE = 88


def table(head: Sequence[str], values: Mapping[str, Any], comment: str) -> str:
    """One `[table]` with a comment above it."""
    lines = [f"# {clean(comment)}", f"[{'.'.join(key(name) for name in head)}]"]
    lines += [f"{key(name)} = {value(v)}" for name, v in values.items()]
    return "\n".join(lines) + "\n"


def key(name: str) -> str:
    """A name left of `=` or between brackets."""
    return name if _BARE.fullmatch(name) else _text(name)


def value(given: Any) -> str:
    """Any value; a list that is too wide goes over several lines."""
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, str):
        return _text(given)
    if isinstance(given, Mapping):
        return "{ " + ", ".join(f"{key(k)} = {value(v)}" for k, v in given.items()) + " }"
    if isinstance(given, Sequence):
        parts = [value(part) for part in given]
        flat = f"[{', '.join(parts)}]"
        return (
            flat if len(flat) <= _WIDE else "".join(["[\n", *(f"    {p},\n" for p in parts), "]"])
        )
    return _number(given)


def _number(given: int | float | Decimal) -> str:
    number = Decimal(str(given))
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
