"""The head of a request: what is checked on every path, the verbatim one too.

Only these members are decoded, each from its own bytes; `messages` is not looked into.
`max_tokens` may be 0, which fills the prompt cache without an answer.

Reference: https://platform.claude.com/docs/en/api/messages

Not promised: anything about the other members; verbatim, they are the provider's to judge.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from octoplex.dialects.anthropic.shapes import UNREADABLE
from octoplex.dialects.dialect import HeadFields
from octoplex.dialects.foreign import ANTHROPIC_MARKS
from octoplex.wire.error import InvalidCall

MARKS = (b'"image"', b'"document"', *ANTHROPIC_MARKS)
_any = msgspec.json.Decoder().decode


def read_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    max_tokens = _value(fields, "max_tokens")
    if type(max_tokens) is not int or not 0 <= max_tokens < 2**53:
        raise _wrong("max_tokens", max_tokens, "a whole number: this API requires a limit")
    return HeadFields(_model(fields), _stream(fields), max_tokens, 1, _messages(fields))


def read_count_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head of a request that only counts tokens: it has no `max_tokens`.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    return HeadFields(_model(fields), False, None, 1, _messages(fields))


def _model(fields: Mapping[str, Raw]) -> str:
    value = _value(fields, "model")
    if not isinstance(value, str) or not value.strip():
        raise _wrong("model", value, "a model's name, such as `anthropic/claude-haiku-4-5`")
    return value


def _stream(fields: Mapping[str, Raw]) -> bool:
    value = _value(fields, "stream")
    if value is None or value is False or value is True:
        return bool(value)
    raise _wrong("stream", value, "true or false")


def _messages(fields: Mapping[str, Raw]) -> bool:
    """Check that `messages` is a list with something in it.

    Returns whether it may hold media, or thinking that must be looked at (`foreign.py`).
    """
    raw = fields.get("messages")
    if not raw:
        raise _wrong("messages", None, "a list of messages")
    text = bytes(raw)
    if text[:1] != b"[":
        raise _wrong("messages", _value(fields, "messages"), "a list of messages")
    if text[1:64].lstrip()[:1] == b"]":
        raise _wrong("messages", [], "at least one message")
    # Parts are lists: without a second one there are only strings. Looking for one character
    # costs a tenth of looking for a word (20 us for 36 kB).
    return text.count(b"[") > 1 and any(mark in text for mark in MARKS)


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
