"""Events -> Gemini's stream: a push machine.

An event is a reply in pieces with one part. A tool call is given whole, so calls are held
until their arguments are one JSON object and all calls before them have gone out; the last
part stands in the event with the finish reason and the usage. Nothing marks the end.

`JsonArray` makes of such a stream what a caller without `alt=sse` expects: one JSON array,
an item an event.

Reference: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent

Not promised: that arguments streamed by a model are valid JSON when they end.
"""

from collections.abc import Sequence
from heapq import heappop, heappush

import msgspec

from octoplex.dialects.arguments import Gathered
from octoplex.dialects.gemini.failure import write_fail_event
from octoplex.dialects.gemini.shapes import Body
from octoplex.dialects.gemini.stream import data_of
from octoplex.dialects.gemini.whole import ending, write_call, write_reply, write_thought
from octoplex.wire.error import GatewayError
from octoplex.wire.event import (
    LONGEST_NAME,
    Delta,
    Event,
    Finished,
    RedactedThinking,
    RefusalDelta,
    Started,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    ToolUse,
)

_json = msgspec.json.Encoder().encode


class _Held:
    """A tool call while its arguments come."""

    __slots__ = ("arguments", "start")

    def __init__(self, start: ToolStart) -> None:
        self.start = start
        self.arguments = Gathered()

    def use(self) -> ToolUse:
        start = self.start
        return ToolUse(start.id, start.name, self.arguments.text, start.signature)


class GeminiEncoder:
    """One stream to one caller, with the id and the model of his request.

    They stand in for what the provider leaves out.
    """

    __slots__ = (
        "_begun", "_called", "_calls", "_done", "_id", "_last", "_model", "_order", "_request_id",
        "_thought",
    )  # fmt: skip

    def __init__(self, request_id: str, model: str) -> None:
        self._id = self._request_id = request_id
        self._model = model
        self._calls: dict[int, _Held] = {}
        """Block index -> a tool call that has not gone out."""
        self._order: list[int] = []
        """The indices of these, as a heap."""
        self._thought: tuple[int, str, bool] | None = None
        """The open block of thinking, its signature so far, and whether it said anything."""
        self._last: Body | None = None
        """The part that waits: the next one, or the end, sends it on its way."""
        self._begun = self._called = self._done = False
        """Whether an event has gone out, a call has, the end has."""

    def feed(self, events: Sequence[Event]) -> bytes:
        """Write the events that may be written now."""
        out: list[bytes] = []
        for event in events:
            if self._done:
                break
            if isinstance(event, Started):
                if self._begun:
                    continue
                # Every event repeats them: a long one would make a large reply of a small one.
                self._id = (event.id or self._id)[:LONGEST_NAME]
                self._model = (event.model or self._model)[:LONGEST_NAME]
            elif isinstance(event, Finished):
                self._finish(event, out)
            else:
                self._delta(event, out)
        return b"".join(out)

    def resume(self, told: Sequence[Event]) -> None:
        """Go on after these events, which the caller has from somebody else."""
        self.feed(told)
        self._begun, self._called = True, self._called or bool(self._calls)
        self._calls, self._order, self._last = {}, [], None  # whole, and given
        if self._thought is not None and self._thought[1]:
            self._thought = None  # its proof was given with it

    def fail(self, error: GatewayError, request_id: str = "") -> bytes:
        """The in-band failure event; nothing may follow it."""
        self._done = True
        return write_fail_event(error, request_id or self._request_id)

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        thought = self._thought
        if thought is not None and not (
            isinstance(event, ThinkingDelta) and event.index == thought[0]
        ):
            self._close_thought(out)
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                if text:
                    self._put({"text": text}, out)
            case ThinkingDelta():
                self._think(event, out)
            case RedactedThinking(data=data):
                self._put(write_thought(Thinking(data=data)), out)
            case ToolStart():
                self._hold(event, out)
            case ToolDelta():
                held = self._calls.get(event.index)
                if held is not None:
                    held.arguments.add(event.arguments)
                if len(self._calls) > 1:
                    self._send_calls(out)

    def _hold(self, start: ToolStart, out: list[bytes]) -> None:
        self._send_calls(out)
        if start.index not in self._calls:
            self._calls[start.index] = _Held(start)
            heappush(self._order, start.index)

    def _think(self, event: ThinkingDelta, out: list[bytes]) -> None:
        _, signature, said = self._thought or (0, "", False)
        self._thought = (event.index, signature + event.signature, said or bool(event.text))
        if event.text:
            self._put({"text": event.text, "thought": True}, out)

    def _close_thought(self, out: list[bytes]) -> None:
        """A block of thinking has ended: its proof follows in a part of its own."""
        _, signature, said = self._thought or (0, "", False)
        self._thought = None
        if signature:
            part = write_thought(Thinking("", signature))
            self._put(part | {"thought": True} if said else part, out)

    def _send_calls(self, out: list[bytes], *, all_of_them: bool = False) -> None:
        """Send the calls that are whole, in their order; at the end, all."""
        while self._order and (all_of_them or self._calls[self._order[0]].arguments.is_whole()):
            use = self._calls.pop(heappop(self._order)).use()
            self._put(write_call(use, first=not self._called), out)
            self._called = True

    def _put(self, part: Body, out: list[bytes]) -> None:
        """Send a part; a call or a proof waits, because the end may come with it."""
        if self._last is not None:
            out.append(self._event(self._last, None))
        self._last = None
        if "functionCall" in part or "thoughtSignature" in part:
            self._last = part
        else:
            out.append(self._event(part, None))

    def _finish(self, event: Finished, out: list[bytes]) -> None:
        self._close_thought(out)
        self._send_calls(out, all_of_them=True)
        out.append(self._event(self._last or {"text": ""}, ending(event.stop, event.usage)))
        self._done = True

    def _event(self, part: Body, end: tuple[str, Body] | None) -> bytes:
        self._begun = True
        return b"data: %b\n\n" % _json(write_reply([part], self._id, self._model, end))


class JsonArray:
    """A stream of SSE events as one JSON array."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = False

    def feed(self, wire: bytes) -> bytes:
        """The events in these bytes, which hold whole events only, as items of the array."""
        out = b""
        for data in data_of(wire)[0]:
            out += (b"," if self._begun else b"[") + b"\r\n" * self._begun + data
            self._begun = True
        return out

    def end(self) -> bytes:
        """What closes the array."""
        return b"\r\n]" if self._begun else b"[]"
