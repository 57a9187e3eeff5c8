"""Replies and events -> the Chat dialect's whole body and stream.

A stream is: a chunk with the role, chunks with deltas, one with the finish reason, one
with usage and no choices where the caller asked for it, `[DONE]`. Chunks of text are
most of a stream, so they are cut from ready-made bytes around the encoded text.

Reference: https://platform.openai.com/docs/api-reference/chat-streaming

Not promised: the stop sequence that was met; the dialect has no member for it.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from octoplex.dialects.openai_chat.failure import write_fail_event
from octoplex.dialects.openai_chat.reasoning import must_echo, write_detail, write_details
from octoplex.dialects.signed_ids import sign
from octoplex.wire.error import GatewayError
from octoplex.wire.event import (
    LONGEST_NAME,
    Event,
    Finished,
    RedactedThinking,
    Refusal,
    RefusalDelta,
    Reply,
    Started,
    StopReason,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    Usage,
)

_json = msgspec.json.Encoder().encode
Body = dict[str, object]
Reason = Literal["stop", "length", "tool_calls", "content_filter"]

_REASONS: dict[StopReason, Reason] = {
    "end": "stop",
    "stop_sequence": "stop",
    "pause": "stop",
    "length": "length",
    "context": "length",
    "tool": "tool_calls",
    "refusal": "content_filter",
}
_TEXT = b'{"content":'
_DONE = b"data: [DONE]\n\n"
_TAIL = b',"logprobs":null,"finish_reason":null}]'


def reason_of(stop: StopReason, *, refused: bool) -> Reason:
    """The finish reason. A refusal in the model's own words ends with "stop", as at OpenAI."""
    return "stop" if stop == "refusal" and refused else _REASONS[stop]


def write_usage(usage: Usage) -> Body:
    """The `usage` object."""
    read: Body = {"cached_tokens": usage.cached_tokens}
    if usage.cache_write_tokens:
        read["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": read,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def write_reply(reply: Reply, created: int) -> bytes:
    """The whole body."""
    refusals = [b.text for b in reply.blocks if isinstance(b, Refusal)]
    thinking = [b for b in reply.blocks if isinstance(b, Thinking)]
    calls = reply.tool_calls
    message: Body = {
        "role": "assistant",
        "content": reply.text or (None if calls or refusals else ""),
        "refusal": "".join(refusals) or None,
    }
    if reply.thinking:
        message["reasoning_content"] = reply.thinking
    if must_echo(thinking):
        message["reasoning_details"] = write_details(thinking)
    if calls:
        message["tool_calls"] = [
            {
                "id": sign(c.id, c.signature),
                "type": "function",
                "function": {"name": c.name, "arguments": c.arguments or "{}"},
            }
            for c in calls
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": reason_of(reply.stop, refused=bool(refusals)),
    }
    return _json(
        {
            "id": reply.id,
            "object": "chat.completion",
            "created": created,
            "model": reply.model,
            "choices": [choice],
            "usage": write_usage(reply.usage),
        }
    )


class ChatEncoder:
    """One stream for one caller."""

    __slots__ = (
        "_calls", "_created", "_details", "_ended", "_fallback", "_head", "_include_usage",
        "_refused", "_request_id", "_tail", "_thinking", "_unargued",
    )  # fmt: skip

    def __init__(self, *, created: int, request_id: str, model: str, include_usage: bool) -> None:
        self._created, self._request_id = created, request_id
        self._fallback = Started(f"chatcmpl-{request_id}", model)
        self._include_usage = include_usage
        self._head = b""
        # Every chunk says `"usage": null` once usage was asked for, as the reference has it.
        self._tail = _TAIL + (b',"usage":null}\n\n' if include_usage else b"}\n\n")
        self._calls: dict[int, int] = {}
        """Block index -> index of the tool call, which counts from 0."""
        self._unargued: set[int] = set()
        self._thinking: tuple[int, list[str], str] | None = None
        self._details = 0
        self._refused = self._ended = False

    def feed(self, events: Sequence[Event]) -> bytes:
        """The wire bytes of whole chunks for these events."""
        return b"".join([self._write(event) for event in events])

    def resume(self, told: Sequence[Event]) -> None:
        """Go on after these events, which the caller has from somebody else."""
        self.feed(told)
        if self._thinking is not None and self._thinking[2]:
            self._thinking = None  # its proof was given with it

    def fail(self, error: GatewayError, request_id: str = "") -> bytes:
        """The in-band failure event; nothing comes after it."""
        self._ended = True
        return write_fail_event(error, request_id or self._request_id)

    def _write(self, event: Event) -> bytes:
        if self._ended:
            return b""
        if type(event) is TextDelta and self._head and self._thinking is None:
            return self._delta(_TEXT, event.text) if event.text else b""
        if isinstance(event, Started):
            return b"" if self._head else self._start(event)
        lead = b"" if self._head else self._start(self._fallback)
        if isinstance(event, TextDelta):
            if not event.text:
                return lead
            return lead + self._close_thinking() + self._delta(_TEXT, event.text)
        return lead + self._rarer(event)

    def _rarer(self, event: Event) -> bytes:
        match event:
            case ThinkingDelta():
                return self._think(event)
            case Finished():
                return self._close_thinking() + self._finish(event)
            case RefusalDelta():
                self._refused = True
                return self._close_thinking() + self._delta(b'{"refusal":', event.text)
            case RedactedThinking():
                return self._close_thinking() + self._detail(Thinking(data=event.data))
            case ToolStart():
                return self._close_thinking() + self._begin_call(event)
            case ToolDelta() if event.index in self._calls and event.arguments:
                self._unargued.discard(event.index)
                return self._arguments(event.index, event.arguments)
            case _:
                return b""

    def _start(self, started: Started) -> bytes:
        # Every chunk repeats them: a long one would make a large reply of a small one.
        id_ = (started.id or self._fallback.id)[:LONGEST_NAME]
        model = (started.model or self._fallback.model)[:LONGEST_NAME]
        self._head = (
            b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":['
            % (_json(id_), self._created, _json(model))
        )
        return self._chunk(b'{"role":"assistant","content":"","refusal":null}')

    def _chunk(self, delta: bytes) -> bytes:
        return b'%b{"index":0,"delta":%b%b' % (self._head, delta, self._tail)

    def _delta(self, member: bytes, text: str) -> bytes:
        return b"".join((self._head, b'{"index":0,"delta":', member, _json(text), b"}", self._tail))

    def _think(self, event: ThinkingDelta) -> bytes:
        """Thinking as it comes; its signature is kept until the block ends."""
        before = b""
        if self._thinking is None or self._thinking[0] != event.index:
            before = self._close_thinking()
            self._thinking = (event.index, [], "")
        index, texts, signature = self._thinking
        texts.append(event.text)
        self._thinking = (index, texts, signature + event.signature)
        if not event.text:
            return before
        return before + self._delta(b'{"reasoning_content":', event.text)

    def _close_thinking(self) -> bytes:
        """A block of thinking has ended: if it was signed, give it whole, to be echoed."""
        if self._thinking is None:
            return b""
        _, texts, signature = self._thinking
        self._thinking = None
        return self._detail(Thinking("".join(texts), signature)) if signature else b""

    def _detail(self, thinking: Thinking) -> bytes:
        detail = write_detail(thinking, self._details)
        self._details += 1
        return self._chunk(_json({"reasoning_details": [detail]}))

    def _begin_call(self, start: ToolStart) -> bytes:
        index = self._calls.setdefault(start.index, len(self._calls))
        self._unargued.add(start.index)
        function = {"name": start.name, "arguments": ""}
        id_ = sign(start.id, start.signature)
        call = {"index": index, "id": id_, "type": "function", "function": function}
        return self._chunk(_json({"tool_calls": [call]}))

    def _arguments(self, block: int, arguments: str) -> bytes:
        return self._chunk(
            b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}'
            % (self._calls[block], _json(arguments))
        )

    def _finish(self, end: Finished) -> bytes:
        self._ended = True
        # A call without arguments is a call with none: the pieces must add up to JSON.
        chunks = [self._arguments(block, "{}") for block in sorted(self._unargued)]
        reason = reason_of(end.stop, refused=self._refused)
        usage_member = b',"usage":null' if self._include_usage else b""
        chunks.append(
            b'%b{"index":0,"delta":{},"logprobs":null,"finish_reason":"%b"}]%b}\n\n'
            % (self._head, reason.encode(), usage_member)
        )
        if self._include_usage:
            chunks.append(b'%b],"usage":%b}\n\n' % (self._head, _json(write_usage(end.usage))))
        return b"".join([*chunks, _DONE])
