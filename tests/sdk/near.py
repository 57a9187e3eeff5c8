"""What three more vendors answer, whose dialects are near Chat, typed from their documentation.

    watsonx   https://cloud.ibm.com/apidocs/watsonx-ai#text-chat-stream
    gigachat  https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-chat
    ernie-v1  https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Fm3e8i4zy

The last two have one call in a reply. Blocks are those of `others.py`, and so is the bill.
"""

import json
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from tests.sdk.vendors import Json, called, called_deltas, sse

BILL = (19, 10)
USAGE: Json = {
    "prompt_tokens": BILL[0],
    "completion_tokens": BILL[1],
    "total_tokens": sum(BILL),
}
STOPS = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


def _said(blocks: Sequence[Json]) -> tuple[str, list[Json]]:
    words = "".join(b["text"] for b in blocks if b["type"] == "text")
    return words, [b for b in blocks if b["type"] == "tool_use"]


def _halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]


def _only(calls: Sequence[Json]) -> Json | None:
    assert len(calls) <= 1, "there is no more than one in a reply"
    return calls[0] if calls else None


# -- watsonx --------------------------------------------------------------------------------

WATSONX: Json = {
    "id": "chatcmpl-2f47da4026950db321698cb733b25e89",
    "model_id": "ibm/granite-4-h-small",
    "model": "ibm/granite-4-h-small",
    "created": 1739311926,
    "model_version": "4.0.0",
    "created_at": "2025-02-11T22:12:07.243Z",
}
WARNED: Json = {"system": {"warnings": [{"message": "A disclaimer.", "id": "disclaimer_warning"}]}}


def watsonx(blocks: Sequence[Json], stop: str) -> bytes:
    words, calls = _said(blocks)
    message: Json = {"role": "assistant"}
    message |= {"content": words} if words else {}
    uses = called(*((b["id"], b["name"], b["input"]) for b in calls))
    message |= {"tool_calls": uses} if uses else {}
    choice = {"index": 0, "message": message, "finish_reason": STOPS[stop]}
    return json.dumps({**WATSONX, "choices": [choice], "usage": USAGE, **WARNED}).encode()


def watsonx_events(blocks: Sequence[Json], stop: str) -> list[bytes]:
    """Numbered events of one name, the usage in one without choices, and a last without data."""
    words, calls = _said(blocks)
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in _halves(words)]
    deltas += called_deltas(*((b["id"], b["name"], b["input"]) for b in calls))
    so_far = {"prompt_tokens": BILL[0], "total_tokens": BILL[0]}
    choices: list[list[Json]] = [
        [{"index": 0, "finish_reason": None, "delta": delta}] for delta in deltas
    ]
    choices.append([{"index": 0, "finish_reason": STOPS[stop], "delta": {"content": ""}}])
    chunks = [{**WATSONX, "choices": choice, "usage": so_far} for choice in choices]
    chunks.append({**WATSONX, "choices": [], "usage": USAGE})
    numbered = [
        f"id: {number}\nevent: message\n".encode() + sse(chunk)
        for number, chunk in enumerate(chunks, 1)
    ]
    return [*numbered, f"id: {len(chunks) + 1}\nevent: close\ndata: {{}}\n\n".encode()]


# -- gigachat -------------------------------------------------------------------------------

GIGACHAT_STOPS = STOPS | {"tool_use": "function_call"}


def gigachat_state(block: Json) -> str:
    """What GigaChat wants back with a call."""
    return f"0199e210-2f13-744c-8fe5-0000{crc32(json.dumps(block).encode()):08x}"


def _gigachat_call(block: Json) -> Json:
    call = {"name": block["name"], "arguments": block["input"]}
    return {"function_call": call, "functions_state_id": gigachat_state(block)}


def _gigachat(choice: Json, **more: Any) -> Json:
    head = {"created": 1760434636, "model": "GigaChat-2-Max:2.0.28.2", "object": "chat.completion"}
    return {"choices": [{"index": 0, **choice}], **head, **more}


GIGACHAT_USAGE = {"usage": {**USAGE, "precached_prompt_tokens": 0}}


def gigachat(blocks: Sequence[Json], stop: str) -> bytes:
    words, calls = _said(blocks)
    call = _only(calls)
    message = {"role": "assistant", "content": words, **(_gigachat_call(call) if call else {})}
    choice = {"message": message, "finish_reason": GIGACHAT_STOPS[stop]}
    return json.dumps(_gigachat(choice, **GIGACHAT_USAGE)).encode()


def gigachat_events(blocks: Sequence[Json], stop: str) -> list[bytes]:
    """Chunks; a call is whole in one, the usage in the last."""
    words, calls = _said(blocks)
    call = _only(calls)
    deltas: list[Json] = [{"content": piece} for piece in _halves(words)]
    deltas += [{"content": "", **_gigachat_call(call)}] if call else []
    deltas[0] |= {"role": "assistant"}
    wires = [sse(_gigachat({"delta": delta})) for delta in deltas]
    last = {"delta": {"content": ""}, "finish_reason": GIGACHAT_STOPS[stop]}
    return [*wires, sse(_gigachat(last, **GIGACHAT_USAGE)), b"data: [DONE]\n\n"]


# -- ernie-v1 -------------------------------------------------------------------------------


def _ernie(blocks: Sequence[Json], stop: str, **more: Any) -> Json:
    words, calls = _said(blocks)
    call = _only(calls)
    piece: Json = {"id": "as-bcmt5ct4iy", "object": "chat.completion", "created": 1680167072}
    piece |= {"result": words, "is_truncated": stop == "max_tokens", "need_clear_history": False}
    if call:
        used = {"name": call["name"], "arguments": json.dumps(call["input"])}
        piece["function_call"] = used
    return {**piece, "usage": USAGE, **more}


def ernie(blocks: Sequence[Json], stop: str) -> bytes:
    return json.dumps(_ernie(blocks, stop)).encode()


def ernie_events(blocks: Sequence[Json], stop: str) -> list[bytes]:
    """Numbered pieces, a call whole in the last; what each counts as written is its own."""
    words, calls = _said(blocks)
    texts = [[{"type": "text", "text": piece}] for piece in _halves(words)]
    pieces: list[list[Json]] = [*texts, [*calls]]
    so_far = {"prompt_tokens": BILL[0], "completion_tokens": 0, "total_tokens": BILL[0]}
    last = {"prompt_tokens": BILL[0], "completion_tokens": 1, "total_tokens": sum(BILL)}
    return [
        sse(
            _ernie(piece, stop, sentence_id=number, is_end=piece is pieces[-1])
            | {"usage": last if piece is pieces[-1] else so_far}
        )
        for number, piece in enumerate(pieces)
    ]


# -- failures -------------------------------------------------------------------------------

_IBM = {
    "own key": "authentication_token_not_valid",
    "busy": "rate_limit_reached_requests",
    "failed": "downstream_request_failed",
    "overloaded": "service_unavailable",
}
_BAIDU = {"own key": 110, "busy": 18, "failed": 336000, "overloaded": 336100}


def refusal(target: str, name: str, status: int, words: str) -> tuple[int, Json]:
    """Status and body of an error; Baidu's come in a 200."""
    match target:
        case "wat":
            error = {"code": _IBM[name], "message": words, "more_info": "https://cloud.ibm.com/"}
            return status, {"errors": [error], "trace": "bb4d1a9c", "status_code": status}
        case "giga":
            return status, {"status": status, "message": words}
        case _:
            return 200, {"error_code": _BAIDU[name], "error_msg": words}
