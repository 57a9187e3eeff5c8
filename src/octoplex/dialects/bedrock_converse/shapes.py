"""Converse's replies as they are on the wire, and what their words mean here.

One permissive struct per object: every member is optional and unknown ones are read over,
so that a field, block or event not yet invented never breaks a reply. Usage is kept raw
and read on its own, so that a bad count never costs the reply it came with.

A reply names neither its model nor itself: the model is in the path, the id in a header.

Reference: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html

Not promised: citations (their text is kept), images that a model makes, guardrail traces.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.anthropic.usage import Counts
from octoplex.dialects.members import UNREADABLE
from octoplex.wire.error import UpstreamFailed
from octoplex.wire.event import StopReason, Usage

_STOPS: dict[str, StopReason] = {
    "end_turn": "end",
    "tool_use": "tool",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "refusal",
    "content_filtered": "refusal",
    "model_context_window_exceeded": "context",
}
_BROKEN_STOPS = frozenset({"malformed_model_output", "malformed_tool_use"})
"""Stop reasons that say the model gave up: not an end."""


class _Wire(Struct, gc=False, rename="camel"):
    pass


class ReasoningText(_Wire):
    """Thinking in the open."""

    text: str = ""
    signature: str = ""


class Reasoning(_Wire):
    """A block of thinking, or a piece of one: then its members are not inside another."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str = ""
    text: str = ""
    signature: str = ""


class ToolUseWire(_Wire):
    """A tool call. `input` is an object in a reply, a piece of JSON text in a stream."""

    tool_use_id: str = ""
    name: str = ""
    input: Raw = Raw()


class _Said(_Wire):
    text: str = ""


class Cited(_Wire):
    """Text with its citations."""

    content: list[_Said] = []


class BlockWire(_Wire):
    """A content block, or a piece of one; exactly one member is there."""

    text: str | None = None
    tool_use: ToolUseWire | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Cited | None = None


class _Message(_Wire):
    content: list[Raw] = []


class _Output(_Wire):
    message: _Message | None = None


class _Fields(Struct):
    stop_sequence: str | None = None


class ReplyWire(_Wire):
    """A whole reply."""

    output: _Output | None = None
    stop_reason: str | None = None
    usage: Raw = Raw()
    additional_model_response_fields: Raw = Raw()


class EventWire(_Wire):
    """Any event of a stream; which one its frame says."""

    content_block_index: int = 0
    start: Raw = Raw()
    delta: Raw = Raw()
    stop_reason: str | None = None
    usage: Raw = Raw()
    additional_model_response_fields: Raw = Raw()


class _Written(_Wire):
    input_tokens: int = 0
    ttl: str = ""


class _Tokens(_Wire):
    input_tokens: int | float | None = None
    output_tokens: int | float | None = None
    cache_read_input_tokens: int | float | None = None
    cache_write_input_tokens: int | float | None = None
    cache_details: list[_Written] = []


read_reply = msgspec.json.Decoder(ReplyWire).decode
read_event = msgspec.json.Decoder(EventWire).decode
_read_block = msgspec.json.Decoder(BlockWire).decode
_read_tokens = msgspec.json.Decoder(_Tokens).decode
_read_fields = msgspec.json.Decoder(_Fields).decode


def read_block(raw: Raw) -> BlockWire:
    """Read a block; one of a form that no documentation knows is a block without members."""
    try:
        return _read_block(raw)
    except UNREADABLE:
        return BlockWire()


def stop_of(reason: str | None) -> StopReason | None:
    """Our word for a stop reason; one that nobody documents is a plain end.

    Raises:
        UpstreamFailed: the model gave up.
    """
    if reason in _BROKEN_STOPS:
        error = UpstreamFailed(f"The provider gave up with the stop reason {reason!r}.")
        error.reached = True
        raise error
    return _STOPS.get(reason, "end") if reason else None


def stop_sequence_of(fields: Raw) -> str | None:
    """The sequence that stopped it, where the model says."""
    try:
        return _read_fields(fields).stop_sequence
    except UNREADABLE:
        return None


def usage_of(wire: Raw) -> Usage | None:
    """Read a `usage` object; None when it is none or cannot be. `inputTokens` lacks the cache."""
    try:
        tokens = _read_tokens(wire)
    except UNREADABLE:
        return None
    if tokens.input_tokens is None and tokens.output_tokens is None:
        return None
    counts = Counts(
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        cache_read_input_tokens=tokens.cache_read_input_tokens,
        cache_creation_input_tokens=tokens.cache_write_input_tokens,
    )
    if not counts.is_possible():
        return None
    usage = counts.usage()
    hour = sum(max(d.input_tokens, 0) for d in tokens.cache_details if d.ttl == "1h")
    if not hour:
        return usage
    hour = min(hour, usage.cache_write_tokens)
    return msgspec.structs.replace(usage, cache_write_1h_tokens=hour)
