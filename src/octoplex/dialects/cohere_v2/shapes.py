"""Cohere's replies as they are on the wire, and what their words mean here.

One permissive struct per object: every member is optional and unknown ones are read over.
Members whose form may surprise (content, tool calls, usage) are kept raw and read on their
own. A reply does not name its model.

`billed_units` is the bill; `tokens` counts also what Cohere adds to a prompt, and is only
used where there is no bill.

Reference: https://docs.cohere.com/reference/chat and https://docs.cohere.com/reference/chat-stream

Not promised: citations, log probabilities.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct, field

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.shapes import FunctionPiece, WireUsage, usage_of
from octoplex.wire.event import StopReason, Usage

_STOPS: dict[str, StopReason] = {
    "COMPLETE": "end",
    "MAX_TOKENS": "length",
    "STOP_SEQUENCE": "stop_sequence",
    "TOOL_CALL": "tool",
    "ERROR_TOXIC": "refusal",
}
BROKEN_STOPS = frozenset({"ERROR", "TIMEOUT"})
"""Finish reasons that say the server gave up: not an end."""


class Piece(Struct, gc=False):
    """A block of content, or a piece of one."""

    text: str = ""
    thinking: str = ""


class Call(Struct, gc=False):
    """A tool call, or a piece of one."""

    id: str = ""
    function: FunctionPiece = field(default_factory=FunctionPiece)


class Said(Struct):
    """The message, or what an event adds to it."""

    content: Raw = Raw()
    tool_plan: str | None = None
    tool_calls: Raw = Raw()


class Delta(Struct):
    """What an event adds, or (`message-end`) how it ended."""

    message: Said | None = None
    finish_reason: str | None = None
    usage: Raw = Raw()
    error: str | None = None


class Wire(Struct):
    """A whole reply or one event of a stream. An error body fits it too: `message` is text."""

    id: str | None = None
    type: str | None = None
    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    message: Said | str | None = None
    usage: Raw = Raw()


class _Counted(Struct):
    input_tokens: int | float | None = None
    output_tokens: int | float | None = None


class _Counts(Struct):
    billed_units: _Counted | None = None
    tokens: _Counted | None = None
    cached_tokens: int | float | None = None


read_wire = msgspec.json.Decoder(Wire).decode
_read_piece = msgspec.json.Decoder(Piece).decode
_read_list = msgspec.json.Decoder(list[Raw]).decode
_read_call = msgspec.json.Decoder(Call).decode
_read_counts = msgspec.json.Decoder(_Counts).decode

T = TypeVar("T")


def pieces_of(raw: Raw) -> list[Piece]:
    """The blocks in `content`."""
    return _each(raw, _read_piece)


def calls_of(raw: Raw) -> list[Call]:
    """The calls in `tool_calls`."""
    return _each(raw, _read_call)


def _each(raw: Raw, read: Callable[[Raw], T]) -> list[T]:
    """What a member holds, be it a list or one object; what is neither is left out."""
    found: list[T] = []
    try:
        items = _read_list(raw)
    except UNREADABLE:
        items = [raw]
    for item in items:
        try:
            found.append(read(item))
        except UNREADABLE:
            continue
    return found


def stop_of(reason: str | None) -> StopReason | None:
    """Our word for a finish reason; one that nobody documents is a plain end."""
    return _STOPS.get(reason, "end") if reason else None


def usage_read(raw: Raw) -> Usage | None:
    """Read a `usage` object; None when it is none or says nothing."""
    try:
        counts = _read_counts(raw)
    except UNREADABLE:
        return None
    for counted in (counts.billed_units, counts.tokens):
        if counted is not None:
            said = WireUsage(
                prompt_tokens=counted.input_tokens,
                completion_tokens=counted.output_tokens,
                cached_tokens=counts.cached_tokens,
            )
            usage = usage_of(said)
            if usage is not None:
                return usage
    return None
