"""What a scripted upstream answers, in the words of each provider, whole or streamed.

    told("gemini", [text("Looking."), use("c1", "weather", city="Paris")], stream=True) -> Play

Blocks are in Anthropic's shape (`tests/sdk/vendors.py`). Gemini signs the first call of a
step, and the signature tells which call it was: `signed`.

Gemini: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse and
https://ai.google.dev/gemini-api/docs/thought-signatures. Responses:
https://developers.openai.com/api/reference/resources/responses/streaming-events.
"""

import base64
import json
from typing import Any

from tests.sdk import vendors
from tests.upstream_server import Play, says, streams

Json = dict[str, Any]
Blocks = list[Json]


def told(dialect: str, blocks: Blocks, stream: bool) -> Play:
    """One answer of a provider."""
    return WRITERS[dialect](blocks, stream)


def openai_chat(blocks: Blocks, stream: bool) -> Play:
    calls = [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
    words = "".join(b["text"] for b in blocks if b["type"] == "text")
    finish = "tool_calls" if calls else "stop"
    if stream:
        deltas: list[Json] = [{"content": piece} for piece in (words[:3], words[3:]) if piece]
        return vendors.chat_stream(deltas + vendors.called_deltas(*calls), finish)
    message: Json = {"content": words or None}
    if calls:
        message["tool_calls"] = vendors.called(*calls)
    return vendors.chat(message, finish)


def anthropic(blocks: Blocks, stream: bool) -> Play:
    stop = "tool_use" if any(b["type"] == "tool_use" for b in blocks) else "end_turn"
    return (vendors.message_stream if stream else vendors.message)(blocks, stop)


def signed(call_id: str) -> str:
    """The signature of the step that begins with this call."""
    return base64.b64encode(f"proof of {call_id}".encode()).decode()


def gemini(blocks: Blocks, stream: bool) -> Play:
    parts: list[Json] = []
    for block in blocks:
        if block["type"] == "text":
            parts.append({"text": block["text"]})
            continue
        part: Json = {"functionCall": {"name": block["name"], "args": block["input"]}}
        if not any("functionCall" in p for p in parts):
            part["thoughtSignature"] = signed(block["id"])
        parts.append(part)
    if not stream:
        return says(json.dumps(_generated(parts, "STOP")).encode())
    events = [_generated([part]) for part in parts[:-1]] + [_generated(parts[-1:], "STOP")]
    return streams([b"data: " + json.dumps(event).encode() + b"\r\n\r\n" for event in events])


def _generated(parts: list[Json], finish: str | None = None) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    counts = {"promptTokenCount": 19, "candidatesTokenCount": 10, "totalTokenCount": 29}
    return {
        "candidates": [candidate],
        "usageMetadata": counts,
        "modelVersion": "gemini-3-flash",
        "responseId": "uVkSaZ",
    }


def openai_responses(blocks: Blocks, stream: bool) -> Play:
    items = [_item(number, block) for number, block in enumerate(blocks)]
    if not stream:
        return says(json.dumps(_response("completed", items)).encode())
    events: list[Json] = [
        {"type": "response.created", "response": _response("in_progress", [])},
        {"type": "response.in_progress", "response": _response("in_progress", [])},
    ]
    for index, item in enumerate(items):
        events += _item_events(index, item)
    events.append({"type": "response.completed", "response": _response("completed", items)})
    return streams(
        f"event: {event['type']}\ndata: {json.dumps(event | {'sequence_number': n})}\n\n".encode()
        for n, event in enumerate(events)
    )


def _response(status: str, items: list[Json]) -> Json:
    usage: Json = {
        "input_tokens": 19,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 29,
    }
    return {
        "id": "resp_67ccd2bed1ec8190b14f964abc054267",
        "object": "response",
        "created_at": 1741476542,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": "gpt-5-mini-2025-08-07",
        "output": items,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "temperature": 1.0,
        "top_p": 1.0,
        "metadata": {},
        "usage": usage if status == "completed" else None,
    }


def _item(number: int, block: Json) -> Json:
    if block["type"] == "text":
        part = {"type": "output_text", "text": block["text"], "annotations": [], "logprobs": []}
        message = {"type": "message", "id": f"msg_{number}", "role": "assistant"}
        return message | {"status": "completed", "content": [part]}
    return {
        "type": "function_call",
        "id": f"fc_{number}",
        "call_id": block["id"],
        "name": block["name"],
        "arguments": json.dumps(block["input"]),
        "status": "completed",
    }


def _item_events(index: int, item: Json) -> list[Json]:
    at = {"item_id": item["id"], "output_index": index}
    opened: Json = {"type": "response.output_item.added", "output_index": index}
    closed: Json = {"type": "response.output_item.done", "output_index": index, "item": item}
    if item["type"] == "function_call":
        kind = "response.function_call_arguments"
        written = item["arguments"]
        return [
            opened | {"item": item | {"arguments": "", "status": "in_progress"}},
            *({"type": f"{kind}.delta", **at, "delta": p} for p in (written[:4], written[4:])),
            {"type": f"{kind}.done", **at, "name": item["name"], "arguments": written},
            closed,
        ]
    part, at = item["content"][0], at | {"content_index": 0}
    words = part["text"]
    return [
        opened | {"item": item | {"content": [], "status": "in_progress"}},
        {"type": "response.content_part.added", **at, "part": part | {"text": ""}},
        *(
            {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
            for piece in (words[:3], words[3:])
            if piece
        ),
        {"type": "response.output_text.done", **at, "text": words, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        closed,
    ]


WRITERS = {
    "openai-chat": openai_chat,
    "anthropic": anthropic,
    "gemini": gemini,
    "openai-responses": openai_responses,
}
