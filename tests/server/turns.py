"""Scripted turns of a conversation with a tool, as providers of three dialects say them.

    Upstream(*turns("anthropic", stream=True))

The first turn thinks and calls `weather`, the second says that it is sunny, the third and
every later one says goodbye. Shapes from the vendors' references:
https://developers.openai.com/api/reference/resources/responses/methods/create
https://developers.openai.com/api/reference/chat-completions
https://platform.claude.com/docs/en/api/messages
"""

import json
from typing import Any

from tests.server.provider import BILL, DONE, chat_usage, chunk, message_start, named, usage_chunk
from tests.upstream_server import Play, says, streams

SUNNY, BYE = "It is sunny.", "Goodbye!"
ARGUMENTS = '{"city":"Oslo"}'
SIGNATURE = "c2lnbmF0dXJlLW9mLXRoZS1tYWtlcg=="
CIPHER = "gAAAAcipher"
IDS = [f"resp_{'0a1b2c3d' * 6}{number}" for number in range(9)]
"""The ids that the provider of Responses gives."""
TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def turns(dialect: str, *, stream: bool, cipher: bool = True) -> list[Play]:
    """The plays of one conversation; `cipher`: reasoning can be sent back anywhere."""
    if dialect == "openai-responses":
        bodies = [_response(0, [_reasoning(cipher), _call()])]
        bodies += [_response(n, [_message(n, text)]) for n, text in ((1, SUNNY), (2, BYE))]
        return [_streamed(body) if stream else _said(body) for body in bodies]
    make = _claude if dialect == "anthropic" else _chat
    return [make(text, stream) for text in ("", SUNNY, BYE)]


def _said(body: dict[str, Any]) -> Play:
    return says(json.dumps(body).encode(), billed=BILL)


# -- Responses ------------------------------------------------------------------------------


def _reasoning(cipher: bool) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "reasoning", "id": "rs_0a1b2c3d0", "summary": []}
    return item | ({"encrypted_content": CIPHER} if cipher else {})


def _call() -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": "fc_0a1b2c3d0",
        "call_id": "call_1",
        "name": "weather",
        "arguments": ARGUMENTS,
        "status": "completed",
    }


def _message(number: int, text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    head = {"type": "message", "id": f"msg_0a1b2c3d{number}", "status": "completed"}
    return {**head, "role": "assistant", "content": [part]}


def _response(number: int, output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {
        "input_tokens": BILL[0],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": BILL[1],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sum(BILL),
    }
    return {
        "id": IDS[number],
        "object": "response",
        "created_at": 1_741_569_952,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": "m-1",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }


def _streamed(body: dict[str, Any]) -> Play:
    begun = body | {"status": "in_progress", "output": [], "usage": None}
    events: list[tuple[str, dict[str, Any]]] = [("response.created", {"response": begun})]
    for index, item in enumerate(body["output"]):
        at = {"item_id": item["id"], "output_index": index}
        empty = item | {"status": "in_progress"} | ({"content": []} if "content" in item else {})
        events.append(("response.output_item.added", {"output_index": index, "item": empty}))
        if item["type"] == "message":
            part = item["content"][0]
            at |= {"content_index": 0}
            bare = part | {"text": ""}
            events += [
                ("response.content_part.added", at | {"part": bare}),
                ("response.output_text.delta", at | {"delta": part["text"], "logprobs": []}),
                ("response.output_text.done", at | {"text": part["text"], "logprobs": []}),
                ("response.content_part.done", at | {"part": part}),
            ]
        if item["type"] == "function_call":
            arguments = item["arguments"]
            events += [
                ("response.function_call_arguments.delta", at | {"delta": arguments}),
                ("response.function_call_arguments.done", at | {"arguments": arguments}),
            ]
        events.append(("response.output_item.done", {"output_index": index, "item": item}))
    events.append(("response.completed", {"response": body}))
    wire = [named(kind, sequence_number=n, **data) for n, (kind, data) in enumerate(events)]
    return streams(wire, billed=BILL)


# -- Chat -----------------------------------------------------------------------------------


def _chat(text: str, stream: bool) -> Play:
    function = {"name": "weather", "arguments": ARGUMENTS}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    if stream:
        delta = {"content": text} if text else {"tool_calls": [call]}
        wire = [chunk({"role": "assistant"}), chunk(delta)]
        wire += [chunk({}, "stop" if text else "tool_calls"), usage_chunk(), DONE]
        return streams(wire, billed=BILL)
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if not text:
        message["tool_calls"] = [{n: v for n, v in call.items() if n != "index"}]
    finish = "stop" if text else "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-1"}
    return _said(body | {"choices": [choice], "usage": chat_usage(BILL)})


# -- Anthropic ------------------------------------------------------------------------------


def _claude(text: str, stream: bool) -> Play:
    thought = {"type": "thinking", "thinking": "I look it up.", "signature": SIGNATURE}
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else [thought, use]
    stop = "end_turn" if text else "tool_use"
    usage = {"input_tokens": BILL[0], "output_tokens": BILL[1]}
    if not stream:
        body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1"}
        end = {"stop_reason": stop, "stop_sequence": None, "usage": usage}
        return _said(body | {"content": blocks} | end)
    wire = [message_start()]
    for index, block in enumerate(blocks):
        wire += _block(index, block)
    delta = {"stop_reason": stop, "stop_sequence": None}
    wire += [named("message_delta", delta=delta, usage={"output_tokens": BILL[1]})]
    return streams([*wire, named("message_stop")], billed=BILL)


def _block(index: int, block: dict[str, Any]) -> list[bytes]:
    pieces: list[dict[str, Any]]
    if block["type"] == "text":
        start, pieces = {"text": ""}, [{"type": "text_delta", "text": block["text"]}]
    elif block["type"] == "thinking":
        start = {"thinking": "", "signature": ""}
        pieces = [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    else:
        start = {"input": {}}  # type: ignore[dict-item]
        pieces = [{"type": "input_json_delta", "partial_json": ARGUMENTS}]
    return [
        named("content_block_start", index=index, content_block=block | start),
        *(named("content_block_delta", index=index, delta=piece) for piece in pieces),
        named("content_block_stop", index=index),
    ]
