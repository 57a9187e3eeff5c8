"""Whole replies of Converse: read lightly, or decoded.

Reference: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html

Not promised: an id and a model; the reply has none (`shapes.py`).
"""

from octoplex.dialects.arguments import input_text
from octoplex.dialects.bedrock_converse.shapes import (
    BlockWire,
    Reasoning,
    ReasoningText,
    ReplyWire,
    read_block,
    read_reply,
    stop_of,
    stop_sequence_of,
    usage_of,
)
from octoplex.dialects.broken import named, readable, unreadable
from octoplex.dialects.dialect import Seen
from octoplex.dialects.openai_chat.toolcalls import made_id
from octoplex.wire.event import Block, Reply, Text, Thinking, ToolUse, Usage

UNKNOWN_USAGE = Usage(estimated=True)


def read_whole(body: bytes) -> Seen:
    """Scan a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or the model gave up.
    """
    wire = _read(body)
    return Seen("", usage_of(wire.usage), stop_of(wire.stop_reason))


def decode_reply(body: bytes) -> Reply:
    """Decode a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or the model gave up.
    """
    wire = _read(body)
    message = wire.output and wire.output.message
    content = message.content if message else []
    taken: set[str] = set()
    blocks = [_block(read_block(raw), taken) for raw in content]
    return Reply(
        id="",
        model="",
        blocks=tuple(b for b in blocks if b is not None),
        stop=stop_of(wire.stop_reason) or "end",
        usage=usage_of(wire.usage) or UNKNOWN_USAGE,
        stop_sequence=stop_sequence_of(wire.additional_model_response_fields),
    )


def _read(body: bytes) -> ReplyWire:
    wire = readable(read_reply, body)
    if wire.output is None and wire.stop_reason is None:
        raise unreadable(body)
    return wire


def _block(wire: BlockWire, taken: set[str]) -> Block | None:
    if wire.text is not None:
        return Text(wire.text) if wire.text else None
    if wire.tool_use is not None:
        call = wire.tool_use
        id_ = made_id(call.tool_use_id, "", len(taken), taken)
        return ToolUse(id_, named(call.name), input_text(call.input))
    if wire.reasoning_content is not None:
        return _thinking(wire.reasoning_content)
    if wire.citations_content is not None:
        return Text("".join(said.text for said in wire.citations_content.content))
    return None


def _thinking(wire: Reasoning) -> Thinking | None:
    said = wire.reasoning_text or ReasoningText()
    thinking = Thinking(said.text, said.signature, wire.redacted_content)
    return None if thinking == Thinking() else thinking
