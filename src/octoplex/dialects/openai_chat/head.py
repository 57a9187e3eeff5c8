"""The head of a Chat request: what is checked on every path, the verbatim one too.

Only these members are decoded, each from its own bytes; `messages` is not looked into.

Reference: https://platform.openai.com/docs/api-reference/chat/create

Not promised: anything about the other members; verbatim, they are the provider's to judge.
"""

import contextlib
from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.dialect import HeadFields
from octoplex.dialects.members import UNREADABLE, count_of, messages_of, model_of, stream_of
from octoplex.dialects.signed_ids import BYTES_MARK

NOTHING = Raw(b"")
_MEDIA = (b'"image_url"', b'"input_audio"', b'"file"', b'"video_url"')


class _Turn(Struct, gc=False):
    """What may hold media, or thinking that must be looked at (`dialects/foreign.py`)."""

    content: Raw = NOTHING
    reasoning_details: Raw = NOTHING


class _Plain(Struct, gc=False):
    """A turn that holds text and calls only. Decoding a history as these is its own proof."""

    content: str | None = None
    reasoning_details: None = None


_peek = msgspec.json.Decoder(list[_Turn]).decode
_plain = msgspec.json.Decoder(list[_Plain]).decode


def read_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    # Both names of the limit go upstream, and servers differ in which one they know.
    limit = count_of(fields, "max_tokens")
    if "max_completion_tokens" in fields:
        newer = count_of(fields, "max_completion_tokens")
        if newer is not None and (limit is None or newer >= limit):
            limit = newer
    text = messages_of(fields)
    return HeadFields(  # by position: keywords cost a third of a microsecond here
        model_of(fields, "openai/gpt-5-mini"),
        "stream" in fields and stream_of(fields),
        limit,
        ("n" in fields and count_of(fields, "n")) or 1,
        # Parts are lists: without a second one there are only strings.
        text.find(b"[", 1) > 0 and _may_hold_media(text),
    )


def _may_hold_media(text: bytes) -> bool:
    """Look into those messages that have parts; a word is dear to find in long text.

    Only content that is a list is searched: 17 us for 36 kB, where a decode takes 100.
    """
    if BYTES_MARK in text:  # 6 us for 36 kB; looking into each turn's calls costs 20
        return True
    with contextlib.suppress(*UNREADABLE):
        _plain(text)
        return False
    try:
        turns = _peek(text)
    except UNREADABLE:
        return True
    for turn in turns:
        if turn.reasoning_details is not NOTHING:
            return True
        parts = bytes(turn.content)
        if parts.startswith(b"[") and any(mark in parts for mark in _MEDIA):
            return True
    return False
