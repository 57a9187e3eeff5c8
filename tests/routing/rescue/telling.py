"""One reply told as each vendor tells it, with ids of its own and cut where one likes.

    tell("anthropic", [think("Hm."), text("Hello"), call("get", '{"a":1}')], "one", cut=3)

gives the events of a stream, each as its bytes. Shapes from the vendors' references:
https://platform.openai.com/docs/api-reference/chat-streaming
https://platform.claude.com/docs/en/build-with-claude/streaming
https://developers.openai.com/api/reference/resources/responses/streaming-events
https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

Block = tuple[str, str, str]
"""Kind, text or arguments, and the name of a tool."""
Body = dict[str, Any]
BILL = (20, 9)


def text(words: str) -> Block:
    return "text", words, ""


def think(words: str) -> Block:
    return "think", words, ""


def call(name: str, arguments: str) -> Block:
    return "tool", arguments, name


def tell(dialect: str, blocks: Sequence[Block], by: str, cut: int = 4) -> list[bytes]:
    """The events of a whole stream; pieces have `cut` letters, ids are `by` this teller."""
    return TELLERS[dialect](blocks, by, cut)


def pieces(words: str, cut: int) -> list[str]:
    return [words[i : i + cut] for i in range(0, len(words), cut)]


def data(body: Body) -> bytes:
    return b"data: %b\n\n" % json.dumps(body).encode()


def event(body: Body) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (body["type"].encode(), json.dumps(body).encode())


def _chat(blocks: Sequence[Block], by: str, cut: int) -> list[bytes]:
    head = {"id": f"chatcmpl-{by}", "object": "chat.completion.chunk", "created": 7, "model": "m-1"}

    def chunk(delta: Body, finish: str | None = None) -> bytes:
        return data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    found, calls = [chunk({"role": "assistant", "content": ""})], 0
    for kind, words, name in blocks:
        if kind == "tool":
            function = {"name": name, "arguments": ""}
            begun = {"index": calls, "id": f"call_{by}_{calls}", "type": "function"}
            found.append(chunk({"tool_calls": [{**begun, "function": function}]}))
            found += [
                chunk({"tool_calls": [{"index": calls, "function": {"arguments": piece}}]})
                for piece in pieces(words, cut)
            ]
            calls += 1
        else:
            member = "content" if kind == "text" else "reasoning_content"
            found += [chunk({member: piece}) for piece in pieces(words, cut)]
    usage = {
        "prompt_tokens": BILL[0],
        "completion_tokens": BILL[1],
        "total_tokens": sum(BILL),
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    end = chunk({}, "tool_calls" if calls else "stop")
    return [*found, end, data({**head, "choices": [], "usage": usage}), b"data: [DONE]\n\n"]


def _messages(blocks: Sequence[Block], by: str, cut: int) -> list[bytes]:
    message = {
        "id": f"msg_{by}",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": BILL[0], "output_tokens": 1},
    }
    found = [event({"type": "message_start", "message": message}), event({"type": "ping"})]
    for index, (kind, words, name) in enumerate(blocks):
        start: Body = {"type": "text", "text": ""}
        wraps = [{"type": "text_delta", "text": piece} for piece in pieces(words, cut)]
        if kind == "think":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            wraps = [{"type": "thinking_delta", "thinking": p} for p in pieces(words, cut)]
            wraps.append({"type": "signature_delta", "signature": signature(by)})
        elif kind == "tool":
            start = {"type": "tool_use", "id": f"toolu_{by}_{index}", "name": name, "input": {}}
            wraps = [{"type": "input_json_delta", "partial_json": p} for p in pieces(words, cut)]
        found.append(event({"type": "content_block_start", "index": index, "content_block": start}))
        found += [event({"type": "content_block_delta", "index": index, "delta": w}) for w in wraps]
        found.append(event({"type": "content_block_stop", "index": index}))
    stop = "tool_use" if any(b[0] == "tool" for b in blocks) else "end_turn"
    end = {"stop_reason": stop, "stop_sequence": None}
    usage = {"output_tokens": BILL[1]}
    found.append(event({"type": "message_delta", "delta": end, "usage": usage}))
    return [*found, event({"type": "message_stop"})]


def signature(by: str) -> str:
    return b64encode(f"signed {by}".encode()).decode()


class _Response:
    """A Responses stream while it is told."""

    def __init__(self, by: str) -> None:
        self.found: list[bytes] = []
        self.output: list[Body] = []
        self.head: Body = {
            "id": f"resp_{by}",
            "object": "response",
            "created_at": 7,
            "model": "m-1",
            "status": "in_progress",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "instructions": "Be brief.",
            "incomplete_details": None,
            "error": None,
            "usage": None,
        }

    def say(self, kind: str, **members: Any) -> None:
        number = len(self.found)
        self.found.append(event({"type": f"response.{kind}", "sequence_number": number, **members}))

    def add(self, item: Body, filled: Body) -> "tuple[int, Body]":
        number = len(self.output)
        self.output.append(filled)
        self.say("output_item.added", output_index=number, item=item)
        return number, {"item_id": item["id"], "output_index": number}

    def message(self, words: str, by: str, cut: int) -> None:
        item: Body = {"type": "message", "id": f"msg_{by}_{len(self.output)}", "role": "assistant"}
        part: Body = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        whole = {**part, "text": words}
        done = {**item, "status": "completed", "content": [whole]}
        number, at = self.add({**item, "status": "in_progress", "content": []}, done)
        at["content_index"] = 0
        self.say("content_part.added", **at, part=part)
        for piece in pieces(words, cut):
            self.say("output_text.delta", **at, delta=piece, logprobs=[])
        self.say("output_text.done", **at, text=words, logprobs=[])
        self.say("content_part.done", **at, part=whole)
        self.say("output_item.done", output_index=number, item=done)

    def thought(self, words: str, by: str, cut: int) -> None:
        item: Body = {"type": "reasoning", "id": f"rs_{by}_{len(self.output)}", "summary": []}
        whole = {"type": "summary_text", "text": words}
        done = {**item, "summary": [whole], "encrypted_content": signature(by)}
        number, at = self.add({**item, "encrypted_content": None}, done)
        at["summary_index"] = 0
        self.say("reasoning_summary_part.added", **at, part={**whole, "text": ""})
        for piece in pieces(words, cut):
            self.say("reasoning_summary_text.delta", **at, delta=piece)
        self.say("reasoning_summary_text.done", **at, text=words)
        self.say("reasoning_summary_part.done", **at, part=whole)
        self.say("output_item.done", output_index=number, item=done)

    def call(self, name: str, words: str, by: str, cut: int) -> None:
        number = len(self.output)
        item: Body = {
            "type": "function_call",
            "id": f"fc_{by}_{number}",
            "call_id": f"call_{by}_{number}",
            "name": name,
        }
        done = {**item, "arguments": words, "status": "completed"}
        number, at = self.add({**item, "arguments": "", "status": "in_progress"}, done)
        for piece in pieces(words, cut):
            self.say("function_call_arguments.delta", **at, delta=piece)
        self.say("function_call_arguments.done", **at, arguments=words, name=name)
        self.say("output_item.done", output_index=number, item=done)


def _responses(blocks: Sequence[Block], by: str, cut: int) -> list[bytes]:
    told = _Response(by)
    told.say("created", response=told.head)
    told.say("in_progress", response=told.head)
    for kind, words, name in blocks:
        if kind == "text":
            told.message(words, by, cut)
        elif kind == "think":
            told.thought(words, by, cut)
        else:
            told.call(name, words, by, cut)
    usage = {
        "input_tokens": BILL[0],
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": BILL[1],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sum(BILL),
    }
    whole = {**told.head, "status": "completed", "output": told.output, "usage": usage}
    told.say("completed", response=whole)
    return told.found


def _gemini(blocks: Sequence[Block], by: str, cut: int) -> list[bytes]:
    def reply(part: Body, **more: Any) -> bytes:
        content = {"parts": [part], "role": "model"}
        usage = {"usageMetadata": more.pop("usage")} if "usage" in more else {}
        candidate = {"content": content, "index": 0, **more}
        head = {"modelVersion": "m-1", "responseId": by}
        return data({"candidates": [candidate], **usage, **head})

    found = []
    for number, (kind, words, name) in enumerate(blocks):
        if kind == "tool":
            use = {"id": f"{by}{number}", "name": name, "args": json.loads(words)}
            found.append(reply({"functionCall": use, "thoughtSignature": signature(by)}))
        else:
            more = {"thought": True} if kind == "think" else {}
            found += [reply({"text": piece, **more}) for piece in pieces(words, cut)]
    usage = {
        "promptTokenCount": BILL[0],
        "candidatesTokenCount": BILL[1],
        "totalTokenCount": sum(BILL),
    }
    return [*found, reply({"text": ""}, finishReason="STOP", usage=usage)]


TELLERS = {
    "openai-chat": _chat,
    "anthropic": _messages,
    "openai-responses": _responses,
    "gemini": _gemini,
}
