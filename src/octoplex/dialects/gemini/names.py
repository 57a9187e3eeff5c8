"""Members by either of their names: Google's API takes `topP` and `top_p` alike.

The names of one object are made those of the reference (camel case); what stands inside
its members keeps its bytes, since names in arguments, schemas and results are the caller's.

A list with one item may be the item alone (`"parts": {"text": "x"}`), as in JSON that is
made of protocol buffers.

Reference: https://protobuf.dev/programming-guides/json/
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.readers import complaint

T = TypeVar("T")

_SNAKE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")
_encode = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_items = msgspec.json.Decoder(list[Raw]).decode


def camel(name: str) -> str:
    """The reference's name of a member."""
    return _SNAKE.sub(lambda found: found[1].upper(), name)


def members(raw: Raw, path: str) -> dict[str, Raw]:
    """The members of an object that are not null, by the reference's names.

    Raises:
        InvalidCall: it is no object.
    """
    found = plainly(_members, raw, path)
    return {camel(name): value for name, value in found.items() if bytes(value) != b"null"}


def items(raw: Raw, path: str) -> list[Raw]:
    """The items of a list, or the one that stands for a list.

    Raises:
        InvalidCall: it is neither.
    """
    if bytes(raw)[:1] == b"{":
        return [raw]
    return plainly(_items, raw, path)


def read(decode: Callable[[Raw], T], raw: Raw, path: str) -> T:
    """Decode an object by the reference's names.

    Raises:
        InvalidCall: naming the path, down to the part that is wrong.
    """
    return plainly(decode, Raw(_encode(members(raw, path))) if b"_" in bytes(raw) else raw, path)


def plainly(decode: Callable[[Raw], T], raw: Raw, path: str) -> T:
    """Decode a value that has no members.

    Raises:
        InvalidCall: naming the path, down to the part that is wrong.
    """
    try:
        return decode(raw)
    except UNREADABLE as error:
        raise complaint(error, path) from None
