"""Whole replies of Cohere: read lightly, or decoded.

A tool plan is the model's reasoning before its calls, so it is thinking here.

Reference: https://docs.cohere.com/reference/chat

Not promised: a model's name; the reply has none. Citations.
"""

from octoplex.dialects.broken import named, readable, unreadable
from octoplex.dialects.cohere_v2.shapes import (
    BROKEN_STOPS,
    Said,
    Wire,
    calls_of,
    pieces_of,
    read_wire,
    stop_of,
    usage_read,
)
from octoplex.dialects.cohere_v2.verdict import gave_up, judge_in_band
from octoplex.dialects.dialect import Seen
from octoplex.dialects.openai_chat.toolcalls import arguments_of, made_id
from octoplex.wire.event import Block, Reply, Text, Thinking, ToolUse, Usage

UNKNOWN_USAGE = Usage(estimated=True)


def read_whole(body: bytes) -> Seen:
    """Scan a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    wire, _ = _read(body)
    return Seen("", usage_read(wire.usage), stop_of(wire.finish_reason))


def decode_reply(body: bytes) -> Reply:
    """Decode a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    wire, said = _read(body)
    id_ = wire.id or ""
    blocks: list[Block] = []
    if said.tool_plan:
        blocks.append(Thinking(said.tool_plan))
    for piece in pieces_of(said.content):
        if piece.thinking:
            blocks.append(Thinking(piece.thinking))
        if piece.text:
            blocks.append(Text(piece.text))
    taken: set[str] = set()
    for number, call in enumerate(calls_of(said.tool_calls)):
        call_id = made_id(call.id, id_, number, taken)
        blocks.append(ToolUse(call_id, named(call.function.name), arguments_of(call.function)))
    return Reply(
        id=id_,
        model="",
        blocks=tuple(blocks),
        stop=stop_of(wire.finish_reason) or "end",
        usage=usage_read(wire.usage) or UNKNOWN_USAGE,
    )


def _read(body: bytes) -> tuple[Wire, Said]:
    wire = readable(read_wire, body)
    if wire.finish_reason in BROKEN_STOPS:
        raise gave_up(wire.finish_reason or "", "")
    if isinstance(wire.message, str):
        raise judge_in_band(wire.message)
    if wire.message is None:
        raise unreadable(body)
    return wire, wire.message
