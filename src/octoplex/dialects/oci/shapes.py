"""OCI's replies as they are on the wire, read into the shapes of the Chat dialect.

    whole    {"modelId", "chatResponse": {"choices": [choice], "usage"}}          GENERIC
             {"modelId", "chatResponse": {"text", "finishReason", "usage"}}       COHERE
    stream   choice by choice, then {"usage"}                                     GENERIC
             {"text"} by {"text"}, then all of it again with "finishReason"       COHERE

A choice is a message of the Chat dialect in other letters, so what reads that dialect reads
this one too. Every member is optional and unknown ones (`pad`) are read over; usage is read
on its own, so that a bad count never costs the reply it came with.

Reference: https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/datatypes/GenericChatResponse
and .../datatypes/CohereChatResponse beside it

Not promised: citations, grounding, log probabilities.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.shapes import (
    Choice,
    Count,
    FunctionPiece,
    Said,
    TokenDetails,
    ToolPiece,
    Wire,
    WireUsage,
)

_REASONS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "ERROR_LIMIT": "model_length",
    "ERROR": "error",
    "USER_CANCEL": "error",
}
"""Cohere's words for the ends of the Chat dialect, which the other makers use as they are."""


class _Camel(Struct, gc=False, rename="camel"):
    pass


class _Details(_Camel):
    cached_tokens: Count = None
    reasoning_tokens: Count = None


class _Usage(_Camel):
    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Call(_Camel):
    id: str | None = None
    name: str | None = None
    arguments: str | dict[str, Raw] | None = None


class _Message(_Camel):
    content: str | list[Raw] | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class Told(_Camel):
    """One event: a choice, a piece of Cohere's text, usage, or an error, whose `message` is text.

    A whole reply is the same, inside `chatResponse`.
    """

    model_id: str | None = None
    chat_response: "Told | None" = None
    choices: list["Told"] | None = None
    index: int = 0
    message: _Message | str | None = None
    text: str | None = None
    finish_reason: str | None = None
    error_message: str | None = None
    code: str | int | None = None
    usage: Raw = Raw()


read_told = msgspec.json.Decoder(Told).decode
_read_usage = msgspec.json.Decoder(_Usage | None).decode


def choice_of(told: Told, *, streamed: bool) -> Choice:
    """What one choice says. The last event of Cohere's stream only repeats what was said."""
    said = told.message if isinstance(told.message, _Message) else _Message()
    reason = told.finish_reason
    text = None if streamed and reason else told.text
    calls = [
        ToolPiece(None, call.id or None, FunctionPiece(call.name, call.arguments))
        for call in said.tool_calls or ()
    ]
    delta = Said(
        content=said.content or text,
        reasoning_content=said.reasoning_content,
        refusal=said.refusal or None,
        tool_calls=calls or None,
    )
    reason = _REASONS.get(reason, reason) if reason else None
    return Choice(index=told.index, delta=delta, finish_reason=reason)


def chunk_of(told: Told, *, streamed: bool = True) -> Wire:
    """An event, or what is inside `chatResponse`, as a chunk of the Chat dialect."""
    choices = told.choices or [told]
    return Wire(
        id="",
        choices=[choice_of(choice, streamed=streamed) for choice in choices],
        usage=_usage(told.usage),
    )


def _usage(raw: Raw) -> WireUsage | None:
    if not bytes(raw):
        return None
    try:
        said = _read_usage(raw)
    except UNREADABLE:
        return None
    if said is None:
        return None
    read, wrote = said.prompt_tokens_details, said.completion_tokens_details
    return WireUsage(
        prompt_tokens=said.prompt_tokens,
        completion_tokens=said.completion_tokens,
        total_tokens=said.total_tokens,
        prompt_tokens_details=read and TokenDetails(cached_tokens=read.cached_tokens),
        completion_tokens_details=wrote and TokenDetails(reasoning_tokens=wrote.reasoning_tokens),
    )
