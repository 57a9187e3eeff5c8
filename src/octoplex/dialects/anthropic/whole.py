"""Whole replies: read lightly, decoded, and written for a caller.

Empty text blocks are left out both ways: the API refuses them when they come back as
history.

Reference: https://platform.claude.com/docs/en/api/messages

Not promised: server tool blocks and citations of a decoded reply.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.anthropic.shapes import (
    NOTHING,
    STOP_WORDS,
    UNREADABLE,
    BlockWire,
    given,
    read_block,
    read_message,
    redacted,
    stop_of,
)
from octoplex.dialects.anthropic.tool_ids import ReplyIds
from octoplex.dialects.anthropic.usage import read_counts, write_usage
from octoplex.dialects.anthropic.verdict import judge_in_band
from octoplex.dialects.arguments import input_object, input_text
from octoplex.dialects.broken import named, unreadable
from octoplex.dialects.dialect import Seen
from octoplex.dialects.openai_chat.toolcalls import made_id
from octoplex.dialects.signed_ids import sign
from octoplex.wire.event import (
    Block,
    Refusal,
    Reply,
    StopReason,
    Text,
    Thinking,
    ToolUse,
    Usage,
)

UNKNOWN_USAGE = Usage(estimated=True)

_encode = msgspec.json.Encoder().encode


class _Light(Struct):
    """What a reply that passes verbatim is asked for; its content is checked but not read."""

    type: str | None = None
    model: str | None = None
    content: Raw = NOTHING
    stop_reason: str | None = None
    usage: Raw = NOTHING
    error: Raw = NOTHING


_read_light = msgspec.json.Decoder(_Light).decode


def read_whole(body: bytes) -> Seen:
    """Scan a whole 200 reply lightly.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    try:
        light = _read_light(body)
    except UNREADABLE:
        raise unreadable(body) from None
    if light.type == "error" or given(light.error):
        raise judge_in_band(body)
    if not light.content and light.stop_reason is None:
        raise unreadable(body)
    counts = read_counts(light.usage)
    usage = None if counts is None else counts.usage()
    return Seen(light.model or "", usage, stop_of(light.stop_reason))


def decode_reply(body: bytes) -> Reply:
    """Decode a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    try:
        wire = read_message(body)
    except UNREADABLE:
        raise unreadable(body) from None
    if wire.type == "error" or given(wire.error):
        raise judge_in_band(body)
    if wire.content is None and wire.stop_reason is None:
        raise unreadable(body)
    counts = read_counts(wire.usage)
    taken: set[str] = set()
    blocks = [_block(read_block(raw), wire.id or "", taken) for raw in wire.content or ()]
    return Reply(
        id=wire.id or "",
        model=wire.model or "",
        blocks=tuple(b for b in blocks if b is not None),
        stop=stop_of(wire.stop_reason) or "end",
        usage=UNKNOWN_USAGE if counts is None else counts.usage(),
        stop_sequence=wire.stop_sequence,
    )


def _block(wire: BlockWire, reply_id: str, taken: set[str]) -> Block | None:
    match wire.type:
        case "text":
            return Text(wire.text) if wire.text else None
        case "thinking":
            return Thinking(wire.thinking or "", wire.signature or "")
        case "redacted_thinking":
            return Thinking(data=redacted(wire.data))
        case "tool_use":
            id_ = made_id(wire.id, reply_id, len(taken), taken)
            return ToolUse(id_, named(wire.name), input_text(wire.input))
        case _:
            return None


def settled_stop(stop: StopReason, *, tools: bool) -> str:
    """Anthropic's word for why it ended; clients act on tool calls only under `tool_use`."""
    return "tool_use" if tools and stop == "end" else STOP_WORDS[stop]


def encode_reply(reply: Reply) -> bytes:
    """Write a whole reply for a caller."""
    ids = ReplyIds(reply.id)
    return _encode(
        {
            "id": reply.id or "msg_unknown",
            "type": "message",
            "role": "assistant",
            "model": reply.model,
            "content": [w for b in reply.blocks if (w := _write(b, ids)) is not None],
            "stop_reason": settled_stop(reply.stop, tools=bool(reply.tool_calls)),
            "stop_sequence": reply.stop_sequence,
            "usage": write_usage(reply.usage),
        }
    )


def _write(block: Block, ids: ReplyIds) -> dict[str, object] | None:
    match block:
        case Text(text=text) | Refusal(text=text):
            return {"type": "text", "text": text} if text else None
        case Thinking(data="", text=text, signature=signature):
            return {"type": "thinking", "thinking": text, "signature": signature}
        case Thinking(data=data):
            return {"type": "redacted_thinking", "data": data}
        case ToolUse(id=id_, name=name, arguments=arguments, signature=signature):
            return {
                "type": "tool_use",
                "id": sign(ids.give(id_), signature),
                "name": name,
                "input": input_object(arguments),
            }
