"""The Chat dialect's replies as they are on the wire, and what their words mean to us.

One set of shapes reads whole replies and stream chunks, since a `delta` is a message
in pieces. They are lenient on purpose: every member is optional, and the spellings of
several vendors stand side by side (`reasoning_content` of DeepSeek, `reasoning` and
`reasoning_details` of OpenRouter, content parts of Mistral, cache counts of DeepSeek
and Moonshot). msgspec reads over members that are not named here.

Reference: https://platform.openai.com/docs/api-reference/chat/object and
https://platform.openai.com/docs/api-reference/chat-streaming

Not promised: choices other than the first, log probabilities and audio in replies;
they pass verbatim only.
"""

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from octoplex.wire.event import MOST_TOKENS, StopReason, Usage, is_possible


class FunctionPiece(Struct, gc=False):
    """Name and arguments of a tool call; some servers send arguments as an object."""

    name: str | None = None
    arguments: str | dict[str, Raw] | None = None


class CustomPiece(Struct, gc=False):
    """Name and text of a call of a custom tool."""

    name: str | None = None
    input: str | None = None


class ToolPiece(Struct):
    """A tool call or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: FunctionPiece | None = None
    custom: CustomPiece | None = None

    def said(self) -> FunctionPiece:
        """Name and arguments, which of a custom tool are its text."""
        if self.function is None and self.custom is not None:
            return FunctionPiece(self.custom.name, self.custom.input)
        return self.function or FunctionPiece()


class ReasoningDetail(Struct, gc=False):
    """OpenRouter's shape for thinking that must be echoed: text with signature, or a cipher."""

    type: str = ""
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None


class Said(Struct):
    """A message of the assistant, or a delta of one."""

    content: str | list[Raw] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    refusal: str | None = None
    tool_calls: list[ToolPiece] | None = None
    function_call: FunctionPiece | None = None


class Choice(Struct):
    """One of the alternatives; `delta` in chunks, `message` in whole replies."""

    index: int = 0
    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None
    tool_calls: list[ToolPiece] | None = None
    """Beside the message, where AssemblyAI has them."""


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading JSON raises: msgspec lets invalid UTF-8 and depth through as they are."""

Count = int | float | None


class TokenDetails(Struct, gc=False):
    """The subsets of a token count."""

    cached_tokens: Count = None
    cache_write_tokens: Count = None
    reasoning_tokens: Count = None


class WireUsage(Struct):
    """`usage` as servers send it; `usage_of` makes it possible numbers."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: TokenDetails | None = None
    completion_tokens_details: TokenDetails | None = None
    prompt_cache_hit_tokens: Count = None
    cached_tokens: Count = None


class Groq(Struct):
    """Groq's own member, where it puts usage on streams."""

    usage: WireUsage | None = None


WireError = dict[str, Raw] | str | None
"""An in-band error. What it says is read by `verdict.py`, from the bytes."""


class Wire(Struct):
    """A whole reply or a chunk."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: WireUsage | None = None
    error: WireError = None
    x_groq: Groq | None = None
    service_tier: str | None = None
    request_id: str | None = None
    """What AssemblyAI has in the place of `id`."""


class Last(Wire):
    """A chunk after which nothing comes, in a dialect near Chat that says so."""


_Nothing = Literal["", None]
_NoList = Annotated[list[Raw], Meta(max_length=0)] | None


class OnlyText(Struct, gc=False):
    """A delta of text: whatever else a delta may say is absent or empty."""

    content: str
    reasoning_content: _Nothing = None
    reasoning: _Nothing = None
    reasoning_details: _NoList = None
    refusal: _Nothing = None
    tool_calls: _NoList = None
    function_call: None = None


class OnlyChoice(Struct, gc=False):
    """The first choice of a chunk that goes on with text."""

    delta: OnlyText
    index: Literal[0] = 0
    finish_reason: _Nothing = None


class More(Struct, gc=False):
    """A chunk that goes on with text and says nothing else, as nearly all of a stream do.

    That it could be read proves it: nothing need be asked of it in Python.
    """

    choices: tuple[OnlyChoice]
    usage: None = None
    error: _Nothing = None
    x_groq: None = None


read_more = msgspec.json.Decoder(More).decode

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_NO_DETAILS = TokenDetails()

read_wire = msgspec.json.Decoder(Wire).decode

_STOPS: dict[str, StopReason] = {
    "stop": "end",
    "length": "length",
    "max_tokens": "length",
    "model_length": "context",
    "model_context_window_exceeded": "context",
    "tool_calls": "tool",
    "function_call": "tool",
    "content_filter": "refusal",
    "safety": "refusal",
    "sensitive": "refusal",
}
BROKEN_STOPS = frozenset({"error", "insufficient_system_resource", "network_error"})
"""Finish reasons that say the server gave up (OpenRouter, DeepSeek, Zhipu): not an end."""


def stop_of(reason: str) -> StopReason:
    """Our word for a finish reason; one that nobody documents is a plain end."""
    return _STOPS.get(reason, "end")


T = TypeVar("T")


def read_leniently(read: Callable[[bytes], T], data: bytes) -> T:
    """Read a reply; a count that is none costs the count, never the reply it came with.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: not for its usage.
    """
    try:
        return read(data)
    except UNREADABLE:
        members = _members(data)
        if "usage" not in members:
            raise
        del members["usage"]
        return read(msgspec.json.encode(members))


def counts_of(usage: object) -> Usage | None:
    """Usage of whatever shape; None when it holds no counts."""
    try:
        return usage_of(msgspec.convert(usage, WireUsage))
    except msgspec.ValidationError:
        return None


def usage_of(said: WireUsage) -> Usage | None:
    """Our usage; None when it is none, or a count in it cannot be.

    Some servers leave thinking out of `completion_tokens` and show it by a larger
    `total_tokens` (xAI): it is billed as output, so it is added.
    """
    prompt, completion = said.prompt_tokens, said.completion_tokens
    if prompt is None and completion is None:
        return None
    read, wrote = said.prompt_tokens_details, said.completion_tokens_details
    if (
        type(prompt) is int
        and type(completion) is int
        and 0 <= prompt <= MOST_TOKENS
        and 0 <= completion <= MOST_TOKENS
        and not (
            (read and (read.cached_tokens or read.cache_write_tokens))
            or (wrote and wrote.reasoning_tokens)
            or said.prompt_cache_hit_tokens
            or said.cached_tokens
        )
    ):
        return Usage(prompt, completion)  # nearly always: a third of the cost of what follows
    read = read or _NO_DETAILS
    cached = read.cached_tokens or said.prompt_cache_hit_tokens or said.cached_tokens or 0
    written = read.cache_write_tokens or 0
    reasoning = (wrote.reasoning_tokens or 0) if wrote else 0
    if reasoning and said.total_tokens == (prompt or 0) + (completion or 0) + reasoning:
        completion = (completion or 0) + reasoning
    if not is_possible(prompt, completion, reasoning):
        return None
    return _consistent(int(prompt or 0), int(completion or 0), cached, written, int(reasoning))


def _consistent(read: int, wrote: int, cached: float, written: float, reasoning: int) -> Usage:
    """Subsets no larger than their whole. What was billed of those that were is a guess."""
    hit = _within(cached, read)
    kept = _within(written, read - hit)
    return Usage(
        read,
        wrote,
        hit,
        kept,
        reasoning_tokens=min(reasoning, wrote),
        estimated=hit != cached or kept != written,
    )


def _within(part: float, whole: int) -> int:
    return int(min(max(part, 0), whole))
