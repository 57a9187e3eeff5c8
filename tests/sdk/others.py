"""What five more vendors answer, typed from their documentation, for scripted upstreams.

A reply is given as blocks in Anthropic's shape (`vendors.text`, `use`, `thinking`) and comes
out as the vendor's whole reply or stream, each text and each argument in two pieces:

    openai-responses  https://developers.openai.com/api/reference/resources/responses
    gemini            https://ai.google.dev/api/generate-content
    bedrock-converse  https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
    bedrock-anthropic https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
    vertex-anthropic  what Anthropic itself answers (`vendors.message_events`)
    vertex            what the Gemini API answers
    sagemaker         a container's OpenAI chat in the frames of
                      https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_ResponseStream.html
    oci               https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/ChatResult/Chat
    cohere-v2         https://docs.cohere.com/reference/chat-stream
    ollama            https://docs.ollama.com/api/chat

Every one bills `BILL`. Nothing here is made by the code under test.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from zlib import crc32

from tests.dialects.frames import frame, told
from tests.sdk import near
from tests.sdk.vendors import (
    Json,
    called,
    called_deltas,
    chat_body,
    chat_events,
    message_body,
    message_events,
    sse,
)

BILL = (19, 10)
Wires = list[bytes]
"""The events of a stream, in the vendor's framing."""


def halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]


def named(events: Iterable[Json]) -> Wires:
    """SSE events whose name is repeated in their data."""
    return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]


# -- openai-responses -----------------------------------------------------------------------

RESPONSE: Json = {
    "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
    "object": "response",
    "created_at": 1741476542,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "model": "gpt-5.1-2025-11-13",
    "output": [],
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": None,
    "user": None,
    "metadata": {},
}
RESPONSE_USAGE: Json = {
    "input_tokens": BILL[0],
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": BILL[1],
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": sum(BILL),
}


def response_item(block: Json, number: int) -> Json:
    match block["type"]:
        case "text":
            part = {"type": "output_text", "text": block["text"], "annotations": [], "logprobs": []}
            body: Json = {"type": "message", "role": "assistant", "content": [part]}
            return {"id": f"msg_{number}", "status": "completed", **body}
        case "thinking":
            summary = [{"type": "summary_text", "text": block["thinking"]}]
            proof = {"encrypted_content": block["signature"]}
            return {"id": f"rs_{number}", "type": "reasoning", "summary": summary, **proof}
        case _:
            call = {"call_id": block["id"], "name": block["name"]}
            written = {"arguments": json.dumps(block["input"]), "status": "completed"}
            return {"id": f"fc_{number}", "type": "function_call", **call, **written}


def response_of(blocks: Sequence[Json], stop: str) -> Json:
    cut = stop == "max_tokens"
    ended: Json = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    output = [response_item(block, number) for number, block in enumerate(blocks)]
    return {**RESPONSE, "output": output, "usage": RESPONSE_USAGE, **(ended if cut else {})}


def response(blocks: Sequence[Json], stop: str) -> bytes:
    """A `response` object."""
    return json.dumps(response_of(blocks, stop)).encode()


def response_events(blocks: Sequence[Json], stop: str) -> Wires:
    """The named events of a response."""
    whole, begun = response_of(blocks, stop), {**RESPONSE, "status": "in_progress"}
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for number, item in enumerate(whole["output"]):
        at = {"output_index": number}
        empty = {"message": "content", "reasoning": "summary"}.get(item["type"])
        opening = {**item, empty: []} if empty else {**item, "arguments": ""}
        opening |= {"status": "in_progress"} if "status" in item else {}
        opening.pop("encrypted_content", None)
        events.append({"type": "response.output_item.added", **at, "item": opening})
        events += [{**e, **at, "item_id": item["id"]} for e in _pieces(item)]
        events.append({"type": "response.output_item.done", **at, "item": item})
    events.append({"type": f"response.{whole['status']}", "response": whole})
    return named({**event, "sequence_number": number} for number, event in enumerate(events))


def _pieces(item: Json) -> list[Json]:
    match item["type"]:
        case "function_call":
            kind, name = "response.function_call_arguments", {"name": item["name"]}
            deltas = [{"type": f"{kind}.delta", "delta": p} for p in halves(item["arguments"])]
            return [*deltas, {"type": f"{kind}.done", "arguments": item["arguments"], **name}]
        case "message":
            part, at = item["content"][0], {"content_index": 0}
            kind, outer, logs = "response.output_text", "response.content_part", {"logprobs": []}
        case _:
            part, at = item["summary"][0], {"summary_index": 0}
            kind, outer = "response.reasoning_summary_text", "response.reasoning_summary_part"
            logs = {}
    deltas = [{"type": f"{kind}.delta", **at, "delta": p, **logs} for p in halves(part["text"])]
    return [
        {"type": f"{outer}.added", **at, "part": {**part, "text": ""}},
        *deltas,
        {"type": f"{kind}.done", **at, "text": part["text"], **logs},
        {"type": f"{outer}.done", **at, "part": part},
    ]


# -- gemini ---------------------------------------------------------------------------------


def gemini_reply(parts: Sequence[Json], stop: str | None, id_: str) -> Json:
    """One response object; `stop` None: another one follows."""
    candidate: Json = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    usage: Json = {"promptTokenCount": BILL[0], "totalTokenCount": BILL[0]}
    if stop is not None:
        candidate["finishReason"] = "MAX_TOKENS" if stop == "max_tokens" else "STOP"
        usage |= {"candidatesTokenCount": BILL[1], "totalTokenCount": sum(BILL)}
    names = {"modelVersion": "gemini-3-flash-preview", "responseId": id_}
    return {"candidates": [candidate], "usageMetadata": usage, **names}


def gemini_parts(blocks: Sequence[Json]) -> list[Json]:
    """A `signature` of a tool_use block is its thoughtSignature."""
    parts: list[Json] = []
    for block in blocks:
        match block["type"]:
            case "text":
                parts.append({"text": block["text"]})
            case "thinking":
                parts.append({"text": block["thinking"], "thought": True})
            case _:
                part: Json = {"functionCall": {"name": block["name"], "args": block["input"]}}
                proof = block.get("signature")
                parts.append(part | ({"thoughtSignature": proof} if proof else {}))
    return parts


def gemini(blocks: Sequence[Json], stop: str) -> bytes:
    return json.dumps(gemini_reply(gemini_parts(blocks), stop, _id_of(blocks))).encode()


def _id_of(blocks: Sequence[Json]) -> str:
    """Each reply has an id of its own; calls have none."""
    return f"AdVRaMmDCYekqtsPrb_{crc32(json.dumps(blocks).encode()):x}"


def gemini_events(blocks: Sequence[Json], stop: str) -> Wires:
    """Response objects; a tool call is whole in one, the reason to stop in the last."""
    pieces: list[Json] = []
    for part in gemini_parts(blocks):
        texts = halves(part["text"]) if "text" in part else []
        pieces += [{**part, "text": text} for text in texts] or [part]
    last, id_ = pieces.pop(), _id_of(blocks)
    begun = [sse(gemini_reply([piece], None, id_)) for piece in pieces]
    return [*begun, sse(gemini_reply([last], stop, id_))]


# -- bedrock-converse -----------------------------------------------------------------------

CONVERSE_USAGE: Json = {
    "inputTokens": BILL[0],
    "outputTokens": BILL[1],
    "totalTokens": sum(BILL),
}


def converse(blocks: Sequence[Json], stop: str) -> bytes:
    content: list[Json] = []
    for block in blocks:
        match block["type"]:
            case "text":
                content.append({"text": block["text"]})
            case "thinking":
                said = {"text": block["thinking"], "signature": block["signature"]}
                content.append({"reasoningContent": {"reasoningText": said}})
            case _:
                call = {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}
                content.append({"toolUse": call})
    reply = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop,
        "usage": CONVERSE_USAGE,
        "metrics": {"latencyMs": 100},
    }
    return json.dumps(reply).encode()


def converse_events(blocks: Sequence[Json], stop: str) -> Wires:
    """AWS event frames."""
    events: list[Json] = [{"event": "messageStart", "payload": {"role": "assistant"}}]
    for number, block in enumerate(blocks):
        at = {"contentBlockIndex": number}
        if block["type"] == "tool_use":
            start = {"toolUse": {"toolUseId": block["id"], "name": block["name"]}}
            events.append({"event": "contentBlockStart", "payload": {**at, "start": start}})
        events += [
            {"event": "contentBlockDelta", "payload": {**at, "delta": delta, "p": "abcd"}}
            for delta in _converse_deltas(block)
        ]
        events.append({"event": "contentBlockStop", "payload": at})
    events.append({"event": "messageStop", "payload": {"stopReason": stop}})
    rest = {"usage": CONVERSE_USAGE, "metrics": {"latencyMs": 100}}
    return [told(event) for event in [*events, {"event": "metadata", "payload": rest}]]


def _converse_deltas(block: Json) -> list[Json]:
    match block["type"]:
        case "text":
            return [{"text": piece} for piece in halves(block["text"])]
        case "thinking":
            said = [{"reasoningContent": {"text": piece}} for piece in halves(block["thinking"])]
            return [*said, {"reasoningContent": {"signature": block["signature"]}}]
        case _:
            pieces = halves(json.dumps(block["input"]))
            return [{"toolUse": {"input": piece}} for piece in pieces]


# -- the clouds' Claude ---------------------------------------------------------------------


def claude(blocks: Sequence[Json], stop: str) -> bytes:
    return message_body(list(blocks), stop)


def claude_events(blocks: Sequence[Json], stop: str) -> Wires:
    return message_events(list(blocks), stop)


def chunks(wires: Iterable[bytes]) -> Wires:
    """Anthropic's events as Bedrock frames them: the data alone, in base64."""
    data = [wire.partition(b"data: ")[2].strip() for wire in wires]
    padded = [{"bytes": b64encode(piece).decode(), "p": "abcdefg"} for piece in data]
    return [told({"event": "chunk", "payload": payload}) for payload in padded]


def invoked_events(blocks: Sequence[Json], stop: str) -> Wires:
    return chunks(claude_events(blocks, stop))


# -- sagemaker ------------------------------------------------------------------------------

CHAT_STOPS = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


def _used(blocks: Sequence[Json]) -> tuple[str, list[tuple[str, str, Json]]]:
    words = "".join(b["text"] for b in blocks if b["type"] == "text")
    return words, [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]


def contained(blocks: Sequence[Json], stop: str) -> bytes:
    words, calls = _used(blocks)
    message: Json = {"content": words or None}
    return chat_body(message | ({"tool_calls": called(*calls)} if calls else {}), CHAT_STOPS[stop])


def parted_events(blocks: Sequence[Json], stop: str) -> Wires:
    """A container's events, each cut into two frames."""
    words, calls = _used(blocks)
    deltas: list[Json] = [{"content": piece} for piece in halves(words)]
    return framed(chat_events(deltas + called_deltas(*calls), CHAT_STOPS[stop]))


def framed(wires: Iterable[bytes]) -> Wires:
    name = [(":event-type", "PayloadPart"), (":message-type", "event")]
    middles = [(wire, len(wire) // 2) for wire in wires]
    return [frame(name, wire[:at]) + frame(name, wire[at:]) for wire, at in middles]


# -- oci ------------------------------------------------------------------------------------

OCI_USAGE: Json = {
    "promptTokens": BILL[0],
    "completionTokens": BILL[1],
    "totalTokens": sum(BILL),
}


def _oci_call(block: Json) -> Json:
    call = {"id": block["id"], "name": block["name"], "arguments": json.dumps(block["input"])}
    return {"type": "FUNCTION", **call}


def oci(blocks: Sequence[Json], stop: str) -> bytes:
    texts = [{"type": "TEXT", "text": b["text"]} for b in blocks if b["type"] == "text"]
    calls = [_oci_call(b) for b in blocks if b["type"] == "tool_use"]
    message: Json = {"role": "ASSISTANT", "content": texts or None, "toolCalls": calls}
    choice = {"index": 0, "message": message, "finishReason": CHAT_STOPS[stop], "logprobs": {}}
    chat: Json = {"apiFormat": "GENERIC", "timeCreated": "2025-03-10T01:25:52.000Z"}
    chat |= {"choices": [choice], "usage": OCI_USAGE}
    model = {"modelId": "meta.llama-3.3-70b-instruct", "modelVersion": "1.0.0"}
    return json.dumps({**model, "chatResponse": chat}).encode()


def oci_events(blocks: Sequence[Json], stop: str) -> Wires:
    """Choices with a piece each, the reason to stop, the usage."""

    def said(**message: Any) -> Json:
        return {"index": 0, "message": {"role": "ASSISTANT", **message}, "pad": "aaa"}

    events: list[Json] = []
    for block in blocks:
        if block["type"] == "text":
            pieces = halves(block["text"])
            events += [said(content=[{"type": "TEXT", "text": piece}]) for piece in pieces]
            continue
        call = _oci_call(block)
        first, *rest = halves(call["arguments"])
        events.append(said(toolCalls=[{**call, "arguments": first}]))
        events += [said(toolCalls=[{"type": "FUNCTION", "arguments": p}]) for p in rest]
    events.append(said(content=[{"type": "TEXT", "text": ""}]) | {"finishReason": CHAT_STOPS[stop]})
    return [*map(sse, events), sse({"usage": OCI_USAGE, "pad": "a"}), b"data: [DONE]\n\n"]


# -- cohere-v2 ------------------------------------------------------------------------------

COHERE_STOPS = {"end_turn": "COMPLETE", "max_tokens": "MAX_TOKENS", "tool_use": "TOOL_CALL"}
COHERE_USAGE: Json = {
    "billed_units": {"input_tokens": BILL[0], "output_tokens": BILL[1]},
    "tokens": {"input_tokens": 71, "output_tokens": 11},
}
COHERE_ID = "c14c80c3-18eb-4519-9460-6c92edd8cfb4"


def cohere(blocks: Sequence[Json], stop: str) -> bytes:
    kept = ("text", "thinking")
    content = [{k: b[k] for k in ("type", *kept) if k in b} for b in blocks if b["type"] in kept]
    calls = [
        {"id": b["id"], "type": "function",
         "function": {"name": b["name"], "arguments": json.dumps(b["input"])}}
        for b in blocks if b["type"] == "tool_use"
    ]  # fmt: skip
    message: Json = {"role": "assistant"}
    message |= {"content": content} if content else {}
    message |= {"tool_calls": calls} if calls else {}
    ended = {"finish_reason": COHERE_STOPS[stop], "usage": COHERE_USAGE}
    return json.dumps({"id": COHERE_ID, "message": message, **ended}).encode()


def cohere_events(blocks: Sequence[Json], stop: str) -> Wires:
    def event(kind: str, index: int | None, message: Json | None) -> Json:
        at = {} if index is None else {"index": index}
        return {"type": kind, **at, **({"delta": {"message": message}} if message else {})}

    opening = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
    events = [{"id": COHERE_ID, **event("message-start", None, opening)}]
    for i, block in enumerate(blocks):
        kind = block["type"]
        if kind == "tool_use":
            name = {"name": block["name"], "arguments": ""}
            call = {"id": block["id"], "type": "function", "function": name}
            events.append(event("tool-call-start", i, {"tool_calls": call}))
            events += [
                event("tool-call-delta", i, {"tool_calls": {"function": {"arguments": piece}}})
                for piece in halves(json.dumps(block["input"]))
            ]
            events.append(event("tool-call-end", i, None))
        else:
            events.append(event("content-start", i, {"content": {"type": kind, kind: ""}}))
            events += [
                event("content-delta", i, {"content": {kind: piece}})
                for piece in halves(block[kind])
            ]
            events.append(event("content-end", i, None))
    last = {"finish_reason": COHERE_STOPS[stop], "usage": COHERE_USAGE}
    return named([*events, {"type": "message-end", "delta": last}])


# -- ollama ---------------------------------------------------------------------------------


def _ollama(message: Json, **more: object) -> bytes:
    head = {"model": "qwen3", "created_at": "2023-12-12T14:13:43.416799Z"}
    said = {"role": "assistant", "content": "", **message}
    return json.dumps({**head, "message": said, "done": False, **more}).encode() + b"\n"


def _ollama_end(stop: str) -> Json:
    counts = {"prompt_eval_count": BILL[0], "eval_count": BILL[1], "total_duration": 5191566416}
    return {"done": True, "done_reason": "length" if stop == "max_tokens" else "stop", **counts}


def _ollama_call(block: Json) -> Json:
    return {"id": block["id"], "function": {"name": block["name"], "arguments": block["input"]}}


def ollama(blocks: Sequence[Json], stop: str) -> bytes:
    message: Json = {"content": "".join(b["text"] for b in blocks if b["type"] == "text")}
    thoughts = "".join(b["thinking"] for b in blocks if b["type"] == "thinking")
    calls = [_ollama_call(b) for b in blocks if b["type"] == "tool_use"]
    message |= {"thinking": thoughts} if thoughts else {}
    message |= {"tool_calls": calls} if calls else {}
    return _ollama(message, **_ollama_end(stop))


def ollama_events(blocks: Sequence[Json], stop: str) -> Wires:
    """Lines of JSON; a tool call is whole in one."""
    lines: Wires = []
    for block in blocks:
        match block["type"]:
            case "text":
                lines += [_ollama({"content": piece}) for piece in halves(block["text"])]
            case "thinking":
                lines += [_ollama({"thinking": piece}) for piece in halves(block["thinking"])]
            case _:
                lines.append(_ollama({"tool_calls": [_ollama_call(block)]}))
    return [*lines, _ollama({}, **_ollama_end(stop))]


# -- any of them, by dialect ----------------------------------------------------------------

Write = Callable[[Sequence[Json], str], bytes]
Stream = Callable[[Sequence[Json], str], Wires]
OTHERS: dict[str, tuple[Write, Stream, str]] = {
    "openai-responses": (response, response_events, "text/event-stream"),
    "gemini": (gemini, gemini_events, "text/event-stream"),
    "bedrock-converse": (converse, converse_events, "application/vnd.amazon.eventstream"),
    "bedrock-anthropic": (claude, invoked_events, "application/vnd.amazon.eventstream"),
    "vertex-anthropic": (claude, claude_events, "text/event-stream"),
    "vertex": (gemini, gemini_events, "text/event-stream"),
    "sagemaker": (contained, parted_events, "application/vnd.amazon.eventstream"),
    "oci": (oci, oci_events, "text/event-stream"),
    "cohere-v2": (cohere, cohere_events, "text/event-stream"),
    "ollama": (ollama, ollama_events, "application/x-ndjson"),
    "watsonx": (near.watsonx, near.watsonx_events, "text/event-stream"),
    "gigachat": (near.gigachat, near.gigachat_events, "text/event-stream"),
    "ernie-v1": (near.ernie, near.ernie_events, "text/event-stream"),
}
"""Dialect -> whole reply, events, and the content type of a stream."""
