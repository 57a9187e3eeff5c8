"""The head of a Chat request: what is checked on every path, the verbatim one too.

Only these members are decoded, each from its own bytes; `messages` is not looked into.

Reference: https://platform.openai.com/docs/api-reference/chat/create

Not promised: anything about the other members; verbatim, they are the provider's to judge.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.dialect import HeadFields
from octoplex.dialects.openai_chat.shapes import UNREADABLE
from octoplex.wire.error import InvalidCall

_any = msgspec.json.Decoder().decode
NOTHING = Raw(b"")
_MEDIA = (b'"image_url"', b'"input_audio"', b'"file"', b'"video_url"')


class _Turn(Struct, gc=False):
    """What may hold media, or thinking that must be looked at (`dialects/foreign.py`)."""

    content: Raw = NOTHING
    reasoning_details: Raw = NOTHING


_peek = msgspec.json.Decoder(list[_Turn]).decode


def read_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    # Positional: keywords cost a third of a microsecond here.
    return HeadFields(
        _model(fields),
        "stream" in fields and _stream(fields),
        _limit(fields),
        (_count(fields, "n") or 1) if "n" in fields else 1,
        _messages(fields),
    )


def _limit(fields: Mapping[str, Raw]) -> int | None:
    """The newer name wins, as at OpenAI."""
    limit = _count(fields, "max_completion_tokens") if "max_completion_tokens" in fields else None
    if limit is None and "max_tokens" in fields:
        return _count(fields, "max_tokens")
    return limit


def _model(fields: Mapping[str, Raw]) -> str:
    value = _value(fields, "model")
    if not isinstance(value, str) or not value.strip():
        raise _wrong("model", value, "a model's name, such as `openai/gpt-5-mini`")
    return value


def _stream(fields: Mapping[str, Raw]) -> bool:
    value = _value(fields, "stream")
    if value is None or value is False or value is True:
        return bool(value)
    raise _wrong("stream", value, "true or false")


def _count(fields: Mapping[str, Raw], name: str) -> int | None:
    value = _value(fields, name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**53:
        raise _wrong(name, value, "a whole number above 0")
    return value


def _messages(fields: Mapping[str, Raw]) -> bool:
    """Check that `messages` is a list with something in it; say whether it may hold media.

    Only content that is a list is searched: 15 us for 36 kB, where a decode takes 100.
    """
    raw = fields.get("messages")
    if not raw:
        raise _wrong("messages", None, "a list of messages")
    text = bytes(raw)
    if text[:1] != b"[":
        raise _wrong("messages", _any(raw), "a list of messages")
    if text[1:64].lstrip()[:1] == b"]":
        raise _wrong("messages", [], "at least one message")
    # Parts are lists: without a second one there are only strings.
    return text.count(b"[") > 1 and _may_hold_media(text)


def _may_hold_media(text: bytes) -> bool:
    """Look into those messages that have parts; a word is dear to find in long text."""
    try:
        turns = _peek(text)
    except UNREADABLE:
        return True
    for turn in turns:
        if turn.reasoning_details is not NOTHING:
            return True
        parts = bytes(turn.content)
        if parts[:1] == b"[" and any(mark in parts for mark in _MEDIA):
            return True
    return False


def _value(fields: Mapping[str, Raw], name: str) -> object:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return _any(raw)
    except UNREADABLE:
        raise InvalidCall(f"`{name}` is not valid JSON; correct it.", param=name) from None


def _wrong(name: str, value: object, wanted: str) -> InvalidCall:
    if value is None:
        return InvalidCall(f"`{name}` is missing; send {wanted}.", param=name)
    shown = msgspec.json.encode(value).decode()[:80]
    return InvalidCall(f"`{name}` is {shown}; send {wanted}.", param=name)
