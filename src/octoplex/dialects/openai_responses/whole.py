"""A whole reply: looked at lightly, or decoded.

`read_whole` is for a reply that passes verbatim: it reads model, status and usage, and
of the output only the types. Both refuse what is no finished response: an error dressed
as a 200, a failed response, one that is still queued or running in the background.

Reference: https://developers.openai.com/api/reference/resources/responses/methods/create

Not promised: items of tools that the provider runs itself, in a decoded reply.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.broken import cut, readable, unreadable
from octoplex.dialects.dialect import Seen
from octoplex.dialects.openai_chat.toolcalls import made_id
from octoplex.dialects.openai_chat.whole import UNKNOWN_USAGE, settled_stop
from octoplex.dialects.openai_responses.calls import CALLS, called
from octoplex.dialects.openai_responses.reasoning import read_reasoning
from octoplex.dialects.openai_responses.shapes import (
    NOTHING,
    ItemWire,
    PartWire,
    Why,
    given,
    read_item,
    read_response,
    read_usage,
    stop_of,
)
from octoplex.dialects.openai_responses.verdict import judge_failure
from octoplex.dialects.tier import tiered
from octoplex.wire.event import Block, Refusal, Reply, Text, ToolUse

_FINISHED = frozenset({"completed", "incomplete", None})


class _Typed(Struct, gc=False):
    type: str | None = None


class _Light(Struct):
    model: str | None = None
    status: str | None = None
    output: list[_Typed] | None = None
    usage: Raw = NOTHING
    service_tier: str | None = None
    error: Raw = NOTHING
    incomplete_details: Why | None = None


_read_light = msgspec.json.Decoder(_Light).decode


def read_whole(body: bytes) -> Seen:
    """Scan a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    light = readable(_read_light, body)
    _refuse(body, light.status, light.error, has_output=light.output is not None)
    calls = any(item.type in CALLS for item in light.output or ())
    stop = settled_stop(stop_of(light.incomplete_details, light.status), tools=calls, refused=False)
    return Seen(light.model or "", tiered(read_usage(light.usage), light.service_tier), stop)


def decode_reply(body: bytes) -> Reply:
    """Decode a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    wire = readable(read_response, body)
    _refuse(body, wire.status, wire.error, has_output=wire.output is not None)
    taken: set[str] = set()
    blocks: list[Block] = []
    for raw in wire.output or ():
        blocks += blocks_of(read_item(raw), wire.id or "", taken)
    return Reply(
        id=wire.id or "",
        model=wire.model or "",
        blocks=tuple(blocks),
        stop=settled_stop(
            stop_of(wire.incomplete_details, wire.status),
            tools=any(isinstance(b, ToolUse) for b in blocks),
            refused=any(isinstance(b, Refusal) for b in blocks),
        ),
        usage=tiered(read_usage(wire.usage), wire.service_tier) or UNKNOWN_USAGE,
    )


def blocks_of(item: ItemWire, reply_id: str, taken: set[str]) -> list[Block]:
    """What an output item says; `taken` are the ids of tool calls so far."""
    match item.type:
        case "message":
            return [b for p in item.content or () if (b := part_block(p)) is not None]
        case "reasoning":
            thinking = read_reasoning(item)
            return [] if thinking is None else [thinking]
        case kind if kind in CALLS:
            id_ = made_id(item.call_id or item.id, reply_id, len(taken), taken)
            return [ToolUse(id_, *called(item))]
        case _:
            return []


def part_block(part: PartWire) -> Text | Refusal | None:
    """The block of a message's part; None when it is empty."""
    if part.refusal:
        return Refusal(part.refusal)
    return Text(part.text) if part.text else None


def _refuse(body: bytes, status: str | None, error: Raw, *, has_output: bool) -> None:
    """Raise for a 200 that is no finished response."""
    if given(error):
        raise judge_failure(body)
    if status not in _FINISHED:
        raise cut(f"The provider's response is {status!r} instead of completed.")
    if not has_output:
        raise unreadable(body)
