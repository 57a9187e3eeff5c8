"""What the scripted providers say: replies and streams of both dialects, with what they bill.

Prices in every test: a dollar per million input tokens, ten per million output tokens, so
that an attempt of (i, o) tokens costs i * 1,000 + o * 10,000 nano-dollars (`nano`).
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any

from tests.upstream_server import Exchange, Play, head, says, streams

BILL = (12, 7)
PRICE = "{ input = 1.0, output = 10.0 }"
WORDS = ("Hello", ", ", "world", "!")


def nano(billed: tuple[int, int]) -> int:
    return billed[0] * 1_000 + billed[1] * 10_000


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


# -- the Chat dialect -----------------------------------------------------------------------


def chat_body(text: str = "Hello, world!", bill: tuple[int, int] | None = BILL) -> bytes:
    reply: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
    }
    if bill:
        reply["usage"] = chat_usage(bill)
    return json.dumps(reply).encode()


def chat_usage(bill: tuple[int, int]) -> dict[str, Any]:
    return {
        "prompt_tokens": bill[0],
        "completion_tokens": bill[1],
        "total_tokens": sum(bill),
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return data(_head() | {"choices": choices} | more)


def _head() -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}


def usage_chunk(bill: tuple[int, int] = BILL) -> bytes:
    return data(_head() | {"choices": [], "usage": chat_usage(bill)})


DONE = b"data: [DONE]\n\n"


def chat_events(
    words: Iterable[str] = WORDS, bill: tuple[int, int] | None = BILL, done: bool = True
) -> list[bytes]:
    """A whole Chat stream."""
    made = [chunk({"role": "assistant", "content": ""})]
    made += [chunk({"content": word}) for word in words]
    made.append(chunk({}, "stop"))
    if bill:
        made.append(usage_chunk(bill))
    return [*made, DONE] if done else made


# -- Anthropic's dialect --------------------------------------------------------------------


def message_body(text: str = "Hello, world!", bill: tuple[int, int] = BILL) -> bytes:
    reply = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": bill[0], "output_tokens": bill[1]},
    }
    return json.dumps(reply).encode()


def named(kind: str, **members: Any) -> bytes:
    value = json.dumps({"type": kind, **members})
    return f"event: {kind}\ndata: {value}\n\n".encode()


def message_start(bill: tuple[int, int] = BILL) -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": bill[0], "output_tokens": 1},
    }
    return named("message_start", message=message)


def text_delta(text: str) -> bytes:
    return named("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def message_events(words: Iterable[str] = WORDS, bill: tuple[int, int] = BILL) -> list[bytes]:
    """A whole Messages stream."""
    return [
        message_start(bill),
        named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(text_delta(word) for word in words),
        named("content_block_stop", index=0),
        named(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": bill[1]},
        ),
        named("message_stop"),
    ]


# -- either, by name ------------------------------------------------------------------------

DIALECTS = ("openai-chat", "anthropic")


def whole(dialect: str, bill: tuple[int, int] = BILL, text: str = "Hello, world!") -> Play:
    body = chat_body(text, bill) if dialect == "openai-chat" else message_body(text, bill)
    return says(body, billed=bill)


def stream_of(dialect: str, words: Sequence[str] = WORDS) -> list[bytes]:
    return chat_events(words) if dialect == "openai-chat" else message_events(words)


def streamed(dialect: str, words: Sequence[str] = WORDS, bill: tuple[int, int] = BILL) -> Play:
    made = chat_events(words, bill) if dialect == "openai-chat" else message_events(words, bill)
    return streams(made, billed=bill)


def broken_after(
    dialect: str, count: int, end: str, seen: asyncio.Event, tail: bytes = b""
) -> Play:
    """A stream of which the first `count` events come; once they were `seen`, `tail` and `end`."""

    async def play(exchange: Exchange) -> None:
        exchange.bill(*BILL)
        kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        exchange.send(head(200, kind))
        exchange.chunk(b"".join(stream_of(dialect)[:count]))
        await seen.wait()
        seen.clear()
        if tail:
            exchange.chunk(tail)
        if end == "reset":
            await asyncio.sleep(0.05 if tail else 0)  # a reset overtakes what was not yet read
            exchange.reset()
        elif end == "close":
            exchange.close()
        elif end == "done":
            exchange.send(b"0\r\n\r\n")
        else:
            await exchange.stall()

    return play


def sorry(dialect: str) -> bytes:
    """The in-band error of a provider that sheds load."""
    if dialect == "anthropic":
        return named("error", error={"type": "overloaded_error", "message": "busy"})
    return data({"error": {"message": "busy", "code": "overloaded"}})


def error_body(dialect: str, kind: str, message: str = "no") -> bytes:
    if dialect == "anthropic":
        return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    return json.dumps({"error": {"message": message, "type": kind, "code": kind}}).encode()


def fails(dialect: str, status: int, headers: Iterable[tuple[str, str]] = ()) -> Play:
    kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
    pairs = [("content-type", "application/json"), *headers]
    return says(error_body(dialect, kind), status=status, headers=pairs)
