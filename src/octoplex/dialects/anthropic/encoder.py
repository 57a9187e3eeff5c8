"""Events -> an Anthropic stream: a push machine that puts blocks in order.

Anthropic's grammar has one block open at a time, with indices 0, 1, 2 in order;
elsewhere tool calls interleave. Blocks wait in line: the first one streams, later ones
are buffered until it is known that nothing more can come for it. That is so for text
and thinking once another block has begun, and for a tool call once its arguments are
one whole JSON object; at the end everything is written out in line.

`message_start` always holds usage: where the provider has not counted the input yet, the
estimate that is reserved for it; the final counts stand in `message_delta`. A signature is
sent whole, because clients replace rather than append. Blocks that stay empty are not written.

Reference: https://platform.claude.com/docs/en/build-with-claude/streaming

Not promised: that arguments streamed by a model are valid JSON when they end.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from octoplex.dialects.anthropic.failure import write_fail_event
from octoplex.dialects.anthropic.tool_ids import ReplyIds
from octoplex.dialects.anthropic.usage import write_usage
from octoplex.dialects.anthropic.whole import settled_stop
from octoplex.dialects.arguments import Gathered
from octoplex.dialects.signed_ids import sign
from octoplex.wire.error import GatewayError
from octoplex.wire.event import (
    Delta,
    Event,
    Finished,
    RedactedThinking,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    Usage,
)

_encode = msgspec.json.Encoder().encode

Body = dict[str, object]
Key = tuple[str, int]

_DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n'
)
_TEXT = _DELTA.replace(b"%b", b'{"type":"text_delta","text":%b}')


def frame(event: str, body: Body) -> bytes:
    """One SSE event of this dialect; its data always repeats the event's name."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), _encode({"type": event, **body}))


class _Block:
    """A block in line: what it starts with, and the deltas that wait for their turn."""

    __slots__ = ("arguments", "key", "signature", "start", "waiting")

    def __init__(self, key: Key, start: Body) -> None:
        self.key, self.start = key, start
        self.waiting: list[Body] = []
        self.arguments = Gathered()
        self.signature = ""

    def take(self, event: Delta) -> Body | None:
        """The wire delta of an event, None when it adds nothing yet."""
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                return {"type": "text_delta", "text": text} if text else None
            case ThinkingDelta(text=text, signature=signature):
                self.signature += signature
                return {"type": "thinking_delta", "thinking": text} if text else None
            case ToolDelta(arguments=arguments):
                self.arguments.add(arguments)
                return (
                    {"type": "input_json_delta", "partial_json": arguments} if arguments else None
                )
            case _:
                return None

    def is_over(self) -> bool:
        """Whether nothing more can come, given that another block has begun."""
        return self.key[0] != "tool" or self.arguments.is_whole()

    def last(self) -> Body | None:
        """The delta that closes it: a signature, or the arguments of a call that has none."""
        if self.signature:
            return {"type": "signature_delta", "signature": self.signature}
        if self.key[0] == "tool" and not self.arguments.text.strip():
            return {"type": "input_json_delta", "partial_json": "{}"}
        return None


class AnthropicEncoder:
    """One stream to one caller, with the id and the model of his request.

    They stand in for what the provider leaves out.
    """

    __slots__ = (
        "_blocks", "_done", "_expected", "_ids", "_index", "_line", "_model", "_request_id",
        "_started", "_tools",
    )  # fmt: skip

    def __init__(self, request_id: str, model: str, input_tokens: int = 0) -> None:
        """`input_tokens` is the estimate."""
        self._request_id, self._model = request_id, model
        self._expected = Usage(input_tokens, estimated=True)
        self._ids = ReplyIds(request_id)
        self._index = 0
        self._line: deque[_Block] = deque()
        """Blocks not yet closed, the streaming one first."""
        self._blocks: dict[Key, _Block] = {}
        """The same by what they are."""
        self._started = self._tools = self._done = False

    def feed(self, events: Sequence[Event]) -> bytes:
        """Write the events that may be written now."""
        out: list[bytes] = []
        text_at = self._text_at()
        for event in events:
            if type(event) is TextDelta and event.index == text_at and event.text:
                # Most of a stream: cut from ready-made bytes around the encoded text.
                out.append(_TEXT % (self._index, _encode(event.text)))
                continue
            if self._done:
                break
            if isinstance(event, Started):
                self._start(event, out)
            elif isinstance(event, Finished):
                self._finish(event, out)
            else:
                self._delta(event, out)
            text_at = self._text_at()
        return b"".join(out)

    def resume(self, told: Sequence[Event], kinds: Sequence[str], *, is_open: bool) -> None:
        """Go on after these events, which the caller has from somebody else.

        `kinds` are those of all its blocks, of which the last one may be open and still empty.
        """
        self.feed(told)
        last = self._line[-1] if self._line else None
        self._line.clear()
        self._blocks.clear()
        self._started, self._index = True, len(kinds) - is_open
        if not is_open:
            return
        key = kinds[-1], self._index
        if last is None or last.key != key:
            last = _Block(key, {})
        last.waiting.clear()
        last.signature = ""  # given already
        self._line.append(last)
        self._blocks[key] = last

    def fail(self, error: GatewayError, request_id: str = "") -> bytes:
        """The in-band failure event; nothing may follow it."""
        self._done = True
        return write_fail_event(error, request_id or self._request_id)

    def _text_at(self) -> int:
        """The index of the text block that alone is open; -1 where another is, or none."""
        line = self._line
        kind, index = line[0].key if len(line) == 1 and not self._done else ("", -1)
        return index if kind == "text" else -1

    def _start(self, event: Started, out: list[bytes]) -> None:
        if self._started:
            return
        self._started = True
        self._ids = ReplyIds(event.id or self._request_id)
        message: Body = {
            "id": event.id or self._request_id,
            "type": "message",
            "role": "assistant",
            "model": event.model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(event.usage or self._expected),
        }
        out.append(frame("message_start", {"message": message}))

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        if not self._started:
            self._start(Started("", ""), out)
        key = (_KINDS[type(event)], event.index)
        block = self._blocks.get(key) or self._begin(key, event, out)
        if block is None:
            return
        delta = block.take(event)
        if delta is None:
            return
        if block is self._line[0]:
            out.append(self._written(delta))
        else:
            block.waiting.append(delta)
        if len(self._line) > 1:
            self._advance(out)

    def _begin(self, key: Key, event: Delta, out: list[bytes]) -> _Block | None:
        """Put a new block in line; None for an event that opens none."""
        start = self._opening(event)
        if start is None:
            return None
        block = self._blocks[key] = _Block(key, start)
        self._line.append(block)
        if len(self._line) == 1:
            self._open(block, out)
        else:
            self._advance(out)
        return block

    def _opening(self, event: Delta) -> Body | None:
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text) if text:
                return {"type": "text", "text": ""}
            case ThinkingDelta(text=text, signature=signature) if text or signature:
                return {"type": "thinking", "thinking": "", "signature": ""}
            case RedactedThinking(data=data):
                return {"type": "redacted_thinking", "data": data}
            case ToolStart(id=id_, name=name, signature=signature):
                self._tools = True
                wire_id = sign(self._ids.give(id_), signature)
                return {"type": "tool_use", "id": wire_id, "name": name, "input": {}}
            case _:
                return None  # an empty piece, or arguments of a call that nobody began

    def _advance(self, out: list[bytes]) -> None:
        """Close the streaming block while it is over and another one waits."""
        while len(self._line) > 1 and self._line[0].is_over():
            self._close(out)
            self._open(self._line[0], out)

    def _open(self, block: _Block, out: list[bytes]) -> None:
        start: Body = {"index": self._index, "content_block": block.start}
        out.append(frame("content_block_start", start))
        out.extend([self._written(delta) for delta in block.waiting])
        block.waiting.clear()

    def _close(self, out: list[bytes]) -> None:
        block = self._line.popleft()
        del self._blocks[block.key]
        last = block.last()
        if last is not None:
            out.append(self._written(last))
        out.append(frame("content_block_stop", {"index": self._index}))
        self._index += 1

    def _written(self, delta: Body) -> bytes:
        return _DELTA % (self._index, _encode(delta))

    def _finish(self, event: Finished, out: list[bytes]) -> None:
        if not self._started:
            self._start(Started("", ""), out)
        while self._line:
            self._close(out)
            if self._line:
                self._open(self._line[0], out)
        stop = settled_stop(event.stop, tools=self._tools)
        delta: Body = {"stop_reason": stop, "stop_sequence": event.stop_sequence}
        out.append(frame("message_delta", {"delta": delta, "usage": write_usage(event.usage)}))
        out.append(frame("message_stop", {}))
        self._done = True


_KINDS: dict[type, str] = {
    TextDelta: "text",
    RefusalDelta: "text",
    ThinkingDelta: "thinking",
    RedactedThinking: "redacted",
    ToolStart: "tool",
    ToolDelta: "tool",
}
