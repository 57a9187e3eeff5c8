"""The response object: what came, and what the request had asked for.

A response repeats the request's parameters, with the documented default where the
request had none. `store` is true only where somebody stores (`OpenAIResponsesFace`).

Reference: https://developers.openai.com/api/reference/resources/responses/methods/create

Not promised: members that only OpenAI could fill (`billing`, `tool_usage`, ...), and a
`service_tier` other than the one asked for.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_responses.calls import Forms
from octoplex.dialects.openai_responses.items import write_items
from octoplex.wire.event import Refusal, Reply, StopReason, Usage

Body = dict[str, object]

_DEFAULTS: dict[str, object] = {
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
_REASONING: Body = {"effort": None, "summary": None}
_TEXT: Body = {"format": {"type": "text"}}
_FUNCTION: Body = {"description": None, "parameters": None, "strict": None}
_IS_FUNCTION = Raw(b'"function"')
_NULL, _NONE = b"null", Raw(b"[]")

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_listed = msgspec.json.Decoder(list[dict[str, Raw]] | None).decode


class Head(Struct, frozen=True):
    """What is the same in every response object of a reply. `created` is Unix time, seconds.

    `forms` are those of the request's tools.
    """

    id: str
    model: str
    created: int
    echo: Body
    forms: Forms = {}


def echo_of(fields: Mapping[str, Raw], *, stores: bool) -> Body:
    """The request's parameters as the response repeats them.

    Without white space between their parts: a line end would end a line of an event.
    """
    echo: Body = {"background": False}
    for name, default in _DEFAULTS.items():
        raw = fields.get(name)
        echo[name] = default if raw is None or bytes(raw) == _NULL else _compact(raw)
    echo["tools"] = _tools(fields.get("tools", _NONE))
    echo["reasoning"] = _merged(fields.get("reasoning"), _REASONING)
    echo["text"] = _merged(fields.get("text"), _TEXT)
    if not stores:
        echo["store"] = False
    return echo


def _merged(raw: Raw | None, defaults: Body) -> Body:
    if raw is None:
        return defaults
    try:
        return {**defaults, **_members(_compact(raw))}
    except UNREADABLE:
        return defaults


def _tools(raw: Raw) -> list[dict[str, object]]:
    """The tools, every function with all the members that it has in a response."""
    try:
        tools = _listed(_compact(raw)) or ()
    except UNREADABLE:
        return []
    return [{**_FUNCTION, **t} if t.get("type") == _IS_FUNCTION else {**t} for t in tools]


def _compact(raw: Raw) -> Raw:
    return Raw(msgspec.json.format(bytes(raw), indent=-1))


def status_of(stop: StopReason, *, refused: bool) -> tuple[str, Body | None]:
    """Status and `incomplete_details`. A refusal in the model's own words is complete."""
    if stop in ("length", "context"):
        return "incomplete", {"reason": "max_output_tokens"}
    if stop == "refusal" and not refused:
        return "incomplete", {"reason": "content_filter"}
    return "completed", None


def write_usage(usage: Usage) -> Body:
    """The `usage` object; no member of it is ever absent."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def write_response(head: Head, status: str, output: list[Body], **said: object) -> Body:
    """The object. `said` are `usage`, `error`, `incomplete_details`, `completed_at`."""
    return {
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "status": status,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": head.model,
        "output": output,
        "usage": None,
        **head.echo,
        **said,
    }


def write_reply(reply: Reply, head: Head) -> Body:
    """The object of a whole reply."""
    refused = any(isinstance(b, Refusal) for b in reply.blocks)
    status, why = status_of(reply.stop, refused=refused)
    return write_response(
        head,
        status,
        write_items(reply.blocks, reply.id, status, head.forms),
        usage=write_usage(reply.usage),
        incomplete_details=why,
        completed_at=head.created if status == "completed" else None,
    )
