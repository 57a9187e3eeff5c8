"""The head of a request: what is checked on every path, the verbatim one too.

Only these members are decoded, each from its own bytes; `messages` is not looked into.
`max_tokens` may be 0, which fills the prompt cache without an answer.

Reference: https://platform.claude.com/docs/en/api/messages

Not promised: anything about the other members; verbatim, they are the provider's to judge.
"""

import contextlib
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from octoplex.dialects.dialect import HeadFields
from octoplex.dialects.foreign import ANTHROPIC_MARKS
from octoplex.dialects.members import (
    UNREADABLE,
    messages_of,
    model_of,
    stream_of,
    value_of,
    wrong,
)
from octoplex.dialects.signed_ids import BYTES_MARK

MARKS = (b'"image"', b'"document"', *ANTHROPIC_MARKS)
OwnProof = Annotated[str, Meta(pattern="^(?!octoplex:).")]
"""Of Anthropic's making: neither empty nor pinned to another provider (`foreign.py`)."""


class _Part(Struct, gc=False):
    """A part without media, of thinking only what may go back as it is."""

    type: Literal["text", "tool_use", "tool_result", "thinking", "redacted_thinking"]
    content: "str | list[_Part] | None" = None
    signature: OwnProof = "-"
    data: OwnProof = "-"


class _Turn(Struct, gc=False):
    """A turn of such parts. Decoding a history as these is its own proof."""

    content: str | list[_Part]


_plain = msgspec.json.Decoder(list[_Turn]).decode


def read_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    max_tokens = value_of(fields, "max_tokens")
    if type(max_tokens) is not int or not 0 <= max_tokens < 2**53:
        raise wrong("max_tokens", max_tokens, "a whole number: this API requires a limit")
    return HeadFields(
        model_of(fields, "anthropic/claude-haiku-4-5"),
        stream_of(fields),
        max_tokens,
        1,
        _messages(fields),
    )


def read_count_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head of a request that only counts tokens: it has no `max_tokens`.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    return HeadFields(
        model_of(fields, "anthropic/claude-haiku-4-5"), False, None, 1, _messages(fields)
    )


def _messages(fields: Mapping[str, Raw]) -> bool:
    """Check that `messages` is a list with something in it.

    Returns whether it may hold media, or thinking that must be looked at (`foreign.py`).
    """
    text = messages_of(fields)
    # Parts are lists: without a second one there are only strings.
    return text.find(b"[", 1) > 0 and _may_hold_media(text)


def _may_hold_media(text: bytes) -> bool:
    """Decode what must be looked at: 1 us a kB, where each word to search costs 0.3."""
    if BYTES_MARK not in text:
        with contextlib.suppress(*UNREADABLE):
            _plain(text)
            return False
    return any(mark in text for mark in MARKS)
