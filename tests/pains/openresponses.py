"""What the Open Responses specification says of a response and of each event of its stream.

    resource(value), event(value)       raise msgspec.ValidationError with the place

Typed from the models of github.com/openresponses/openresponses (`schema/*.tsp`, 2026-04-24).
What is optional there may be absent, and may not be null.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct, defstruct

Status = Literal["in_progress", "completed", "incomplete"]
Phase = Literal["commentary", "final_answer"]
Number = int | float


class Named(Struct, tag_field="type"):
    """What says in `type` what it is."""


class OutputText(Named, tag="output_text"):
    text: str
    annotations: list[dict[str, Any]]
    logprobs: list[dict[str, Any]] = []


class Refusal(Named, tag="refusal"):
    refusal: str


class SummaryText(Named, tag="summary_text"):
    text: str


class ReasoningText(Named, tag="reasoning_text"):
    text: str


class InputText(Named, tag="input_text"):
    text: str


Part = OutputText | Refusal | SummaryText | ReasoningText | InputText


class Message(Named, tag="message"):
    id: str
    status: Status
    role: Literal["user", "assistant", "system", "developer"]
    content: list[Part]
    phase: Phase = "final_answer"


class FunctionCall(Named, tag="function_call"):
    id: str
    call_id: str
    name: str
    arguments: str
    status: Status


class FunctionCallOutput(Named, tag="function_call_output"):
    id: str
    call_id: str
    output: str | list[dict[str, Any]]
    status: Status


class Reasoning(Named, tag="reasoning"):
    id: str
    summary: list[Part]
    content: list[Part] = []
    encrypted_content: str = ""


class Compaction(Named, tag="compaction"):
    id: str
    encrypted_content: str


Item = Message | FunctionCall | FunctionCallOutput | Reasoning | Compaction


class Function(Named, tag="function"):
    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool | None


class Cached(Struct):
    cached_tokens: int


class Reasoned(Struct):
    reasoning_tokens: int


class Usage(Struct):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: Cached
    output_tokens_details: Reasoned


class Text(Struct):
    format: dict[str, Any]
    verbosity: Literal["low", "medium", "high"] = "medium"


class Effort(Struct):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None
    summary: Literal["concise", "detailed", "auto"] | None


class Why(Struct):
    reason: str


class Problem(Struct):
    code: str
    message: str


class Resource(Struct):
    """The response object."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: str
    incomplete_details: Why | None
    model: str
    previous_response_id: str | None
    instructions: str | None
    output: list[Item]
    error: Problem | None
    tools: list[Function]
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any]
    truncation: Literal["auto", "disabled"]
    parallel_tool_calls: bool
    text: Text
    top_p: Number
    presence_penalty: Number
    frequency_penalty: Number
    top_logprobs: int
    temperature: Number
    reasoning: Effort | None
    usage: Usage | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    store: bool
    background: bool
    service_tier: str
    metadata: dict[str, str]
    safety_identifier: str | None
    prompt_cache_key: str | None


class Compacted(Struct):
    """What /responses/compact answers."""

    id: str
    object: Literal["response.compaction"]
    output: list[Item]
    created_at: int
    usage: Usage


OF_RESPONSE = ("created", "queued", "in_progress", "completed", "failed", "incomplete")
PLACE = {"item_id": str, "output_index": int}
CONTENT, SUMMARY = PLACE | {"content_index": int}, PLACE | {"summary_index": int}
EVENTS: dict[str, dict[str, Any]] = {
    **{name: {"response": Resource} for name in OF_RESPONSE},
    "output_item.added": {"output_index": int, "item": Item | None},
    "output_item.done": {"output_index": int, "item": Item | None},
    "content_part.added": {**CONTENT, "part": Part},
    "content_part.done": {**CONTENT, "part": Part},
    "output_text.delta": {**CONTENT, "delta": str},
    "output_text.done": {**CONTENT, "text": str},
    "refusal.delta": {**CONTENT, "delta": str},
    "refusal.done": {**CONTENT, "refusal": str},
    "function_call_arguments.delta": {**PLACE, "delta": str},
    "function_call_arguments.done": {**PLACE, "arguments": str},
    "reasoning_summary_part.added": {**SUMMARY, "part": Part},
    "reasoning_summary_part.done": {**SUMMARY, "part": Part},
    "reasoning_summary_text.delta": {**SUMMARY, "delta": str},
    "reasoning_summary_text.done": {**SUMMARY, "text": str},
}
SHAPES = {
    f"response.{name}": defstruct(
        name.replace(".", "_"), [("sequence_number", int), *fields.items()]
    )
    for name, fields in EVENTS.items()
}


def resource(value: Any) -> Resource:
    """The response object of a decoded JSON value."""
    return msgspec.convert(value, Resource)


def compacted(value: Any) -> Compacted:
    """The answer of /responses/compact."""
    return msgspec.convert(value, Compacted)


def event(value: Any) -> str:
    """The type of an event of a stream, which must be what it says."""
    kind: str = value["type"]
    msgspec.convert(value, SHAPES[kind])
    return kind
