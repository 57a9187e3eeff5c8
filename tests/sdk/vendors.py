"""What the vendors answer, typed from their documentation, for scripted upstreams.

Whole replies and streams of both dialects. OpenAI:
https://platform.openai.com/docs/api-reference/chat/object and
https://platform.openai.com/docs/api-reference/chat-streaming. Anthropic:
https://platform.claude.com/docs/en/api/messages and
https://platform.claude.com/docs/en/build-with-claude/streaming. Nothing here is made
by the code under test.
"""

import asyncio
import json
from typing import Any

from tests.upstream_server import Exchange, Play, head, says, streams

Json = dict[str, Any]

CHAT_ID = "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"
GPT, CLAUDE = "gpt-5-mini-2025-08-07", "claude-haiku-4-5-20251001"
FINGERPRINT = "fp_44709d6fcb"
CHAT_USAGE: Json = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
CLAUDE_USAGE: Json = {
    "input_tokens": 19,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 10,
    "service_tier": "standard",
}


def chat(message: Json, finish: str = "stop", usage: Json = CHAT_USAGE) -> Play:
    """A `chat.completion` object."""
    return says(chat_body(message, finish, usage))


def chat_body(message: Json, finish: str = "stop", usage: Json = CHAT_USAGE) -> bytes:
    """The same as bytes."""
    reply = {
        "id": CHAT_ID,
        "object": "chat.completion",
        "created": 1741569952,
        "model": GPT,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "refusal": None, "annotations": [], **message},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": usage,
        "service_tier": "default",
    }
    return json.dumps(reply).encode()


def chat_stream(deltas: list[Json], finish: str | None = "stop", usage: Json = CHAT_USAGE) -> Play:
    """Chunks as OpenAI sends them when usage was asked for, then `[DONE]`."""
    wire = chat_events(deltas, finish, usage)
    return streams(wire, end="close" if finish is None else "done")


def chat_events(deltas: list[Json], finish: str | None, usage: Json = CHAT_USAGE) -> list[bytes]:
    """The same as bytes; `finish` None: it breaks off."""

    def chunk(delta: Json, reason: str | None = None, **more: Any) -> Json:
        return {
            "id": CHAT_ID,
            "object": "chat.completion.chunk",
            "created": 1741569952,
            "model": GPT,
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
            "usage": None,
            **more,
        }

    first: Json = {"role": "assistant", "content": "", "refusal": None}
    chunks = [chunk(first), *(chunk(d) for d in deltas)]
    if finish is None:
        return [sse(c) for c in chunks]
    chunks += [chunk({}, finish), chunk({}) | {"choices": [], "usage": usage}]
    return [*(sse(c) for c in chunks), b"data: [DONE]\n\n"]


def sse(value: Json) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def message(content: list[Json], stop: str = "end_turn", usage: Json = CLAUDE_USAGE) -> Play:
    """A `message` object."""
    return says(message_body(content, stop, usage))


def message_body(content: list[Json], stop: str, usage: Json = CLAUDE_USAGE) -> bytes:
    """The same as bytes."""
    reply = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }
    return json.dumps(reply).encode()


def message_stream(
    content: list[Json], stop: str | None = "end_turn", usage: Json = CLAUDE_USAGE
) -> Play:
    """The named events of a message, each block in two deltas. `stop` None: an error instead."""
    wire = message_events(content, stop, usage)
    return streams(wire) if stop else breaking(wire)


def message_events(
    content: list[Json], stop: str | None, usage: Json = CLAUDE_USAGE
) -> list[bytes]:
    """The same as bytes."""
    opening = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    events: list[Json] = [{"type": "message_start", "message": opening}, {"type": "ping"}]
    for index, block in enumerate(content):
        start, deltas = _block(block)
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        events.append({"type": "content_block_stop", "index": index})
    if stop is None:
        error = {"type": "overloaded_error", "message": "Overloaded"}
        events.append({"type": "error", "error": error})
    else:
        delta = {"stop_reason": stop, "stop_sequence": None}
        last = {"output_tokens": usage["output_tokens"]}
        events.append({"type": "message_delta", "delta": delta, "usage": last})
        events.append({"type": "message_stop"})
    return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]


def breaking(wire: list[bytes], kind: str = "text/event-stream") -> Play:
    """A stream whose last event is an error, which comes once the others have been read."""

    async def play(exchange: Exchange) -> None:
        lines = [("content-type", kind), ("transfer-encoding", "chunked")]
        exchange.send(head(200, lines))
        for event in wire[:-1]:
            exchange.chunk(event)
        await exchange.flushed()
        await asyncio.sleep(0.05)  # an error in one read with the content is met before it
        exchange.chunk(wire[-1])
        exchange.send(b"0\r\n\r\n")

    return play


def _block(block: Json) -> tuple[Json, list[Json]]:
    def halves(text: str) -> list[str]:
        middle = len(text) // 2
        return [text[:middle], text[middle:]]

    match block["type"]:
        case "text":
            deltas = [{"type": "text_delta", "text": t} for t in halves(block["text"])]
            return {"type": "text", "text": ""}, deltas
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": t} for t in halves(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {"type": "thinking", "thinking": "", "signature": ""}, deltas
        case "tool_use":
            pieces = ["", *halves(json.dumps(block["input"]))]
            deltas = [{"type": "input_json_delta", "partial_json": t} for t in pieces]
            return {**block, "input": {}}, deltas
        case _:
            return block, []


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def use(id_: str, name: str, **given: Any) -> Json:
    return {"type": "tool_use", "id": id_, "name": name, "input": given}


def thinking(words: str, signature: str) -> Json:
    return {"type": "thinking", "thinking": words, "signature": signature}


def redacted(data: str) -> Json:
    return {"type": "redacted_thinking", "data": data}


def called(*calls: tuple[str, str, Json]) -> list[Json]:
    """The `tool_calls` of a whole Chat message: (id, name, arguments)."""
    return [
        {"id": i, "type": "function", "function": {"name": n, "arguments": json.dumps(a)}}
        for i, n, a in calls
    ]


def called_deltas(*calls: tuple[str, str, Json]) -> list[Json]:
    """The same as deltas: id and name first, then the arguments in two pieces."""
    deltas: list[Json] = []
    for index, (id_, name, given) in enumerate(calls):
        function = {"name": name, "arguments": ""}
        first = {"index": index, "id": id_, "type": "function", "function": function}
        deltas.append({"tool_calls": [first]})
        written = json.dumps(given)
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in (written[:4], written[4:])
        ]
    return deltas


def openai_error(status: int, kind: str, code: str | None, words: str, **headers: str) -> Play:
    """OpenAI's error envelope."""
    error = {"message": words, "type": kind, "param": None, "code": code}
    lines = [("content-type", "application/json"), *_named(headers)]
    return says(json.dumps({"error": error}).encode(), status, lines)


def claude_error(status: int, kind: str, words: str, **headers: str) -> Play:
    """Anthropic's error envelope."""
    body = {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_011"}
    lines = [("content-type", "application/json"), *_named(headers)]
    return says(json.dumps(body).encode(), status, lines)


def _named(headers: dict[str, str]) -> list[tuple[str, str]]:
    return [(name.replace("_", "-"), value) for name, value in headers.items()]
