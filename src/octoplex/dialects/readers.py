"""The members of a request in OpenAI's dialects -> arguments of `Chat`.

Each member has one reader in the dialect's table; what has none is `extra`. A null counts
as absent, as it does at OpenAI. Complaints name the JSON path of what they are about.

Not promised: anything about members that no reader looks at.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from octoplex.dialects.members import UNREADABLE
from octoplex.wire.error import InvalidCall

Found = dict[str, Any]
"""What was understood so far: arguments of `Chat`."""
Reader = Callable[[Raw, Found], None]

_NULL = b"null"
_members = msgspec.json.Decoder(dict[str, Raw]).decode


def read_members(fields: Mapping[str, Raw], readers: Mapping[str, Reader]) -> Found:
    """Let each member's reader add what it means; the rest becomes `extra`.

    Raises:
        InvalidCall: naming the path of what means nothing.
    """
    found: Found = {"extra": {}}
    for name, raw in fields.items():
        reader = readers.get(name)
        if memoryview(raw)[:5] == _NULL:
            continue
        if reader is None:
            found["extra"][name] = raw
            continue
        try:
            reader(raw, found)
        except UNREADABLE as error:
            raise complaint(error, name) from None
    return found


def kept(attribute: str, kind: Any) -> Reader:
    """A reader that checks the type and keeps the value."""
    read = msgspec.json.Decoder(kind).decode

    def keep(raw: Raw, found: Found) -> None:
        found[attribute] = read(raw)

    return keep


def kept_raw(attribute: str) -> Reader:
    """A reader that keeps the bytes."""

    def keep(raw: Raw, found: Found) -> None:
        found[attribute] = raw

    return keep


def kept_native(name: str) -> Reader:
    """A reader of what only this dialect has and what changes the answer."""

    def keep(raw: Raw, found: Found) -> None:
        found.setdefault("native", {})[name] = raw

    return keep


def keep_rest(path: str, raw: Raw, known: Iterable[str], found: Found) -> None:
    """Keep members of an object that have no word here as `extra`, under their path."""
    for name, value in _members(raw).items():
        if name not in known and bytes(value) != _NULL:
            found["extra"][f"{path}.{name}"] = value


def in_head(raw: Raw, found: Found) -> None:
    """A reader for what `head.py` has read."""


def complaint(error: Exception, name: str) -> InvalidCall:
    """msgspec's complaint about the member `name`, with the JSON path as `param`."""
    if isinstance(error, UnicodeDecodeError | RecursionError):
        why = "nested too deeply" if isinstance(error, RecursionError) else "not valid UTF-8"
        return InvalidCall(f"`{name}` is {why}.", param=name)
    said, _, where = str(error).partition(" - at `$")
    path = name + where.rstrip("`").replace("[...]", "{}")
    return InvalidCall(f"`{path}`: {said}.", param=path)
