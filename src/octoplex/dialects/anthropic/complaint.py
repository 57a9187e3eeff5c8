"""Reading a member of a caller's request, with the place of a mistake in the error.

msgspec says `$[0].content`; a caller of this API expects `messages.0.content`.

Reference: https://jcristharif.com/msgspec/ (ValidationError)

Not promised: the wording of what is wrong.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw

from octoplex.dialects.anthropic.shapes import UNREADABLE
from octoplex.wire.error import InvalidCall

T = TypeVar("T")

_SAID = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\[(\d+)\]")
_MISSING = re.compile(r"Object missing required field `(\w+)`")


def read(decode: Callable[[Raw], T], raw: Raw, path: str) -> T:
    """Decode the member at `path`.

    Raises:
        InvalidCall: naming the path, down to the part that is wrong.
    """
    try:
        return decode(raw)
    except UNREADABLE as error:
        raise _complaint(str(error), path) from None


def wrong(path: str, shown: object, wanted: str) -> InvalidCall:
    """The error for a value that cannot be: say where, what it is, and what to send."""
    text = msgspec.json.encode(shown).decode("utf-8", "replace")[:80]
    return InvalidCall(f"`{path}` is {text}; send {wanted}.", param=path)


def missing(path: str, wanted: str) -> InvalidCall:
    """The error for a value that is not there."""
    return InvalidCall(f"`{path}` is missing; send {wanted}.", param=path)


def _complaint(said: str, path: str) -> InvalidCall:
    found = _SAID.fullmatch(said)
    what = found["what"] if found else said
    path += _STEP.sub(r".\1", (found["path"] if found else None) or "")
    lacks = _MISSING.match(what)
    if lacks:
        path = f"{path}.{lacks[1]}"
    return InvalidCall(f"`{path}`: {what}.", param=path)
