"""Whole replies: read lightly, decoded, and written for a caller.

Empty text blocks are left out both ways: the API refuses them when they come back as
history. Arguments of a tool call that are not a JSON object are wrapped as
`{"INVALID_JSON": "..."}`, which is Anthropic's own documented way to hand them on.

Reference: https://platform.claude.com/docs/en/api/messages and
https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming

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
from octoplex.dialects.anthropic.verdict import broken, judge_in_band
from octoplex.dialects.dialect import Seen
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
_is_object = msgspec.json.Decoder(dict[str, Raw]).decode


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
        raise broken(body) from None
    if light.type == "error" or given(light.error):
        raise judge_in_band(body)
    if not light.content and light.stop_reason is None:
        raise broken(body)
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
        raise broken(body) from None
    if wire.type == "error" or given(wire.error):
        raise judge_in_band(body)
    if wire.content is None and wire.stop_reason is None:
        raise broken(body)
    counts = read_counts(wire.usage)
    blocks = [_block(read_block(raw)) for raw in wire.content or ()]
    return Reply(
        id=wire.id or "",
        model=wire.model or "",
        blocks=tuple(b for b in blocks if b is not None),
        stop=stop_of(wire.stop_reason) or "end",
        usage=UNKNOWN_USAGE if counts is None else counts.usage(),
        stop_sequence=wire.stop_sequence,
    )


def _block(wire: BlockWire) -> Block | None:
    match wire.type:
        case "text":
            return Text(wire.text) if wire.text else None
        case "thinking":
            return Thinking(wire.thinking or "", wire.signature or "")
        case "redacted_thinking":
            return Thinking(data=redacted(wire.data))
        case "tool_use":
            return ToolUse(wire.id or "", wire.name or "", input_text(wire.input))
        case _:
            return None


def input_text(input_: Raw) -> str:
    """A tool call's `input` as JSON text, as the provider wrote it."""
    return bytes(input_).decode("utf-8", "replace") if given(input_) else "{}"


def input_object(arguments: str) -> Raw:
    """Arguments of a tool call as the JSON object that `input` must be."""
    text = arguments.strip()
    if not text or text == "null":
        return Raw(b"{}")
    try:
        _is_object(text)
    except (*UNREADABLE, UnicodeEncodeError):
        return Raw(_encode({"INVALID_JSON": arguments.encode("utf-8", "replace").decode()}))
    return Raw(text.encode())


def is_object(arguments: str) -> bool:
    """Whether arguments are one whole JSON object, so that nothing can follow."""
    if not arguments.rstrip().endswith("}"):
        return False
    try:
        _is_object(arguments)
    except (*UNREADABLE, UnicodeEncodeError):
        return False
    return True


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
        case ToolUse(id=id_, name=name, arguments=arguments):
            return {
                "type": "tool_use",
                "id": ids.give(id_),
                "name": name,
                "input": input_object(arguments),
            }
