"""The dialect's replies as they are on the wire, and what their words mean to us.

Lenient on purpose: every member is optional and unknown ones are read over. Members
whose form may surprise (items, usage, errors) are kept raw and read on their own, so
that a bad count never costs the event it came with.

Reference: https://developers.openai.com/api/reference/resources/responses/methods/create
and https://developers.openai.com/api/reference/resources/responses/streaming-events

Not promised: items of tools that the provider runs itself, annotations and log
probabilities; they pass only where a reply passes verbatim.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.shapes import Count, TokenDetails, WireUsage, usage_of
from octoplex.wire.event import StopReason, Usage

NAME = "openai-responses"
NOTHING = Raw()
"""An absent member. It is false; a JSON null is not, see `given`."""


class PartWire(Struct, gc=False):
    """A part of a message, of a summary, or of reasoning in plain words."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None


class ItemWire(Struct):
    """An output item; `type` says which of the members it has."""

    type: str = ""
    id: str | None = None
    content: list[PartWire] | None = None
    summary: list[PartWire] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | dict[str, Raw] | None = None
    input: Raw = NOTHING
    action: Raw = NOTHING
    operation: Raw = NOTHING


class Why(Struct, gc=False):
    """Why a response is incomplete."""

    reason: str | None = None


class ResponseWire(Struct):
    """The response object. An error body fits it too."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[Raw] | None = None
    usage: Raw = NOTHING
    error: Raw = NOTHING
    incomplete_details: Why | None = None
    service_tier: str | None = None


class EventWire(Struct):
    """One event of a stream."""

    type: str | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    item: Raw = NOTHING
    response: Raw = NOTHING


class _Read(TokenDetails):
    """Of what was read, the subsets: by OpenAI's names, or by Perplexity's."""

    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None


class _Usage(Struct, gc=False):
    input_tokens: Count = None
    output_tokens: Count = None
    total_tokens: Count = None
    input_tokens_details: _Read | None = None
    output_tokens_details: TokenDetails | None = None


read_response = msgspec.json.Decoder(ResponseWire).decode
read_event = msgspec.json.Decoder(EventWire).decode
_read_item = msgspec.json.Decoder(ItemWire).decode
_read_usage = msgspec.json.Decoder(_Usage).decode


def given(member: Raw) -> bool:
    """Whether a member is there and not null."""
    return bool(member) and bytes(member) != b"null"


def read_item(raw: Raw) -> ItemWire:
    """Read an item; one of a form that no documentation knows is an item of no type."""
    try:
        return _read_item(raw)
    except UNREADABLE:
        return ItemWire()


def read_usage(raw: Raw) -> Usage | None:
    """Our usage; None where there is none, or nothing that counts."""
    try:
        said = _read_usage(raw)
    except UNREADABLE:
        return None
    read = said.input_tokens_details
    if read is not None:
        read.cached_tokens = read.cached_tokens or read.cache_read_input_tokens
        read.cache_write_tokens = read.cache_write_tokens or read.cache_creation_input_tokens
    return usage_of(
        WireUsage(
            said.input_tokens,
            said.output_tokens,
            said.total_tokens,
            read,
            said.output_tokens_details,
        )
    )


def stop_of(why: Why | None, status: str | None) -> StopReason:
    """Our word for how a response ended; a cause that nobody documents is a lack of room."""
    if status != "incomplete":
        return "end"
    return "refusal" if why is not None and why.reason == "content_filter" else "length"
