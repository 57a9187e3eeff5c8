"""Whole replies of Ollama: read lightly, or decoded.

Reference: https://docs.ollama.com/api/chat

Not promised: the order of text and tool calls; the dialect does not keep it.
"""

from octoplex.dialects.broken import readable, unreadable
from octoplex.dialects.dialect import Seen
from octoplex.dialects.ollama.shapes import Made, Wire, read_wire, usage_in
from octoplex.dialects.ollama.verdict import judge_in_band
from octoplex.wire.event import Block, Reply, Text, Thinking, Usage

UNKNOWN_USAGE = Usage(estimated=True)


def read_whole(body: bytes) -> Seen:
    """Scan a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    wire = _read(body)
    made = Made(wire)
    made.uses(wire)
    return Seen(wire.model, usage_in(wire), made.stop(wire))


def decode_reply(body: bytes) -> Reply:
    """Decode a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    wire = _read(body)
    made = Made(wire)
    blocks: list[Block] = []
    if wire.message is not None and wire.message.thinking:
        blocks.append(Thinking(wire.message.thinking))
    if wire.message is not None and wire.message.content:
        blocks.append(Text(wire.message.content))
    blocks += made.uses(wire)
    return Reply(
        id=made.id,
        model=wire.model,
        blocks=tuple(blocks),
        stop=made.stop(wire),
        usage=usage_in(wire) or UNKNOWN_USAGE,
    )


def _read(body: bytes) -> Wire:
    wire = readable(read_wire, body)
    if wire.error:
        raise judge_in_band(bytes(wire.error))
    if wire.message is None and not wire.done:
        raise unreadable(body)
    return wire
