"""Single members of a request's head, decoded from their own bytes, for every face.

Each reader names the field, its value and what to send instead when it is wrong.
"""

from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from octoplex.wire.error import InvalidCall

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
MOST_TOKENS = 2**53
_any = msgspec.json.Decoder().decode
_text = msgspec.json.Decoder(str).decode
_count: Callable[[Raw], int | None] = msgspec.json.Decoder(
    Annotated[int, Meta(gt=0, lt=MOST_TOKENS)] | None
).decode


def value_of(fields: Mapping[str, Raw], name: str) -> object:
    """A member as it is; None when it is absent or null."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return _any(raw)
    except UNREADABLE:
        raise InvalidCall(f"`{name}` is not valid JSON; correct it.", param=name) from None


def model_of(fields: Mapping[str, Raw], example: str) -> str:
    """The model's name, which may not be blank."""
    try:
        name = _text(fields["model"])
    except (KeyError, *UNREADABLE):
        name = ""
    if name and not name.isspace():
        return name
    raise wrong("model", value_of(fields, "model"), f"a model's name, such as `{example}`")


def count_of(fields: Mapping[str, Raw], name: str) -> int | None:
    """A number of tokens or choices, above 0; None when it is absent or null."""
    if name not in fields:
        return None
    try:
        return _count(fields[name])
    except UNREADABLE:
        raise wrong(name, value_of(fields, name), "a whole number above 0") from None


def stream_of(fields: Mapping[str, Raw]) -> bool:
    """Whether a stream is asked for."""
    value = value_of(fields, "stream")
    if value is None or value is False or value is True:
        return bool(value)
    raise wrong("stream", value, "true or false")


def messages_of(fields: Mapping[str, Raw]) -> bytes:
    """The bytes of `messages`, a list with something in it, not looked into."""
    raw = fields.get("messages")
    text = bytes(raw) if raw else b""
    if text.startswith(b"[{"):  # nearly always
        return text
    if not text:
        raise wrong("messages", None, "a list of messages")
    if text[:1] != b"[":
        raise wrong("messages", value_of(fields, "messages"), "a list of messages")
    if text[1:64].lstrip()[:1] == b"]":
        raise wrong("messages", [], "at least one message")
    return text


def wrong(name: str, value: object, wanted: str) -> InvalidCall:
    """The refusal of a member."""
    if value is None:
        return InvalidCall(f"`{name}` is missing; send {wanted}.", param=name)
    shown = msgspec.json.encode(value).decode()[:80]
    return InvalidCall(f"`{name}` is {shown}; send {wanted}.", param=name)
