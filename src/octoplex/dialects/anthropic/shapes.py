"""Anthropic's replies as they are on the wire, and what their words mean here.

One permissive struct per object: every member is optional and unknown ones are read
over, so that a field, block or event not yet invented never breaks a reply. Members
whose form may surprise (blocks, usage, errors) are kept raw and read on their own, so
that a bad count never costs the event it came with.

Reference: https://platform.claude.com/docs/en/api/messages and
https://platform.claude.com/docs/en/build-with-claude/streaming

Not promised: blocks of tools that the provider runs itself (`server_tool_use`, search
results) and citations; they pass only where a reply passes verbatim.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.wire.event import StopReason

NOTHING = Raw()
"""An absent member. It is false; a JSON null is not, see `given`."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for bytes that are not what they should be."""

DELTA = b"event: content_block_delta\ndata: {"
"""How nearly every event of a stream begins."""
JSON_AT = len(DELTA) - 1

STOPS: dict[str, StopReason] = {
    "end_turn": "end",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool",
    "refusal": "refusal",
    "pause_turn": "pause",
    "model_context_window_exceeded": "context",
}
STOP_WORDS: dict[StopReason, str] = {ours: wire for wire, ours in STOPS.items()}


class BlockWire(Struct, gc=False):
    """A content block; `type` says which of the members it has."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: Raw = NOTHING
    id: str | None = None
    name: str | None = None
    input: Raw = NOTHING


class DeltaWire(Struct, gc=False):
    """A piece of a block, or (`message_delta`) the end of the message."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class MessageWire(Struct):
    """A whole reply, or the head of a streamed one. An error body fits it too."""

    type: str | None = None
    id: str | None = None
    model: str | None = None
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Raw = NOTHING
    error: Raw = NOTHING


class EventWire(Struct):
    """One event of a stream."""

    type: str | None = None
    index: int = 0
    message: MessageWire | None = None
    content_block: Raw = NOTHING
    delta: DeltaWire | None = None
    usage: Raw = NOTHING
    error: Raw = NOTHING


read_message = msgspec.json.Decoder(MessageWire).decode
read_event = msgspec.json.Decoder(EventWire).decode
_read_block = msgspec.json.Decoder(BlockWire).decode
_read_text = msgspec.json.Decoder(str).decode


def is_one_delta(wire: bytes) -> bool:
    """Whether the bytes are one `content_block_delta`, its two lines and nothing else.

    Then its JSON is `wire[JSON_AT:-2]`, which spares a parse of the lines.
    """
    return wire.find(b"\n", JSON_AT) == len(wire) - 2 and wire.startswith(DELTA)


def stop_of(reason: str | None) -> StopReason | None:
    """Our word for a stop reason; one that nobody documents is a plain end."""
    return STOPS.get(reason, "end") if reason else None


def given(member: Raw) -> bool:
    """Whether a member is there and not null."""
    return bool(member) and bytes(member) != b"null"


def read_block(raw: Raw) -> BlockWire:
    """Read a block; one of a form that no documentation knows is a block of no type."""
    try:
        return _read_block(raw)
    except UNREADABLE:
        return BlockWire()


def redacted(data: Raw) -> str:
    """The cipher of a `redacted_thinking` block."""
    try:
        return _read_text(data)
    except UNREADABLE:
        return ""
