"""Streams and calls for the tests of this folder, built from short words."""

import json
from typing import Any

from octoplex.dialects.anthropic import AnthropicFace
from octoplex.dialects.verbatim import split
from octoplex.wire.ask import Call

FACE = AnthropicFace()
HELLO = [{"role": "user", "content": "Hello"}]


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join([f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events])


def start(**usage: Any) -> dict[str, Any]:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-6",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 25, "output_tokens": 1},
    }
    return {"type": "message_start", "message": message}


def begin(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": members}


def text(value: str, index: int = 0) -> dict[str, Any]:
    return delta(index, type="text_delta", text=value)


def close(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def end(reason: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    stop = {"stop_reason": reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": stop, "usage": usage or {"output_tokens": 15}}


STOP = {"type": "message_stop"}
PING = {"type": "ping"}
TEXT = begin(0, type="text", text="")


def call(**members: Any) -> Call:
    """A call of this face, as a door would make it."""
    body = {"model": "claude-opus-4-6", "max_tokens": 100, "messages": HELLO, **members}
    return call_of(json.dumps(body).encode())


def call_of(raw: bytes) -> Call:
    fields = split(raw)
    head = FACE.read_head(fields)
    return Call(
        id="req-1",
        face="anthropic",
        model=head.model,
        raw=raw,
        deadline_at=0.0,
        stream=head.stream,
        fields=fields,
        understand=FACE.decode_chat,
        max_tokens=head.max_tokens,
        may_hold_media=head.may_hold_media,
    )
