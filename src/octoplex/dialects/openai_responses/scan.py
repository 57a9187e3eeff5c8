"""A look at a Responses stream that passes verbatim.

Per event one typed decode that reads only what the gateway must know: usage, how it
ended, error, and how much content came. `feed` returns the same bytes unless an event
must not reach the caller: one that is not valid JSON, a failure (held for the door to
write), anything after the terminal event. Nothing here raises; what cannot be understood
but is valid JSON passes on unread.

An announced reasoning item is no content: a model may think for minutes after it. Items
of tools that the provider runs itself are, since they have an effect.

Reference: https://developers.openai.com/api/reference/resources/responses/streaming-events

Not promised: exact bytes of content in `received`; it is the basis of an estimate.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.whole import settled_stop
from octoplex.dialects.openai_responses.calls import CALLS
from octoplex.dialects.openai_responses.shapes import NOTHING, Why, given, read_usage, stop_of
from octoplex.dialects.openai_responses.verdict import judge_failure
from octoplex.dialects.sieve import is_utf8, look_at_lines, parse_strictly, sift
from octoplex.dialects.tier import tiered
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import StopReason, Usage

_DELTA = b"event: response.output_text.delta\ndata: {"
_JSON_AT = len(_DELTA) - 1
_FAILURES = frozenset({"error", "response.failed"})
_ENDS = frozenset({"response.completed", "response.incomplete"})
_ITEMS = frozenset({"response.output_item.added", "response.output_item.done"})
_QUIET = frozenset({"message", "reasoning", None})


class _Delta(Struct, gc=False):
    delta: str | None = None


class _Typed(Struct, gc=False):
    type: str | None = None


class _Response(Struct):
    model: str | None = None
    status: str | None = None
    output: list[_Typed] | None = None
    usage: Raw = NOTHING
    service_tier: str | None = None
    incomplete_details: Why | None = None


class _Event(Struct):
    type: str | None = None
    delta: str | None = None
    item: _Typed | None = None
    response: _Response | None = None
    error: Raw = NOTHING


_read_delta = msgspec.json.Decoder(_Delta).decode
_read = msgspec.json.Decoder(_Event).decode


class ResponsesScanner:
    """One verbatim stream. See `dialects.dialect.Scanner` for the attributes."""

    __slots__ = (
        "content", "ended", "error", "model", "received", "skipped", "stop", "usage",
    )  # fmt: skip

    def __init__(self) -> None:
        self.content = self.ended = False
        self.stop: StopReason | None = None
        self.usage: Usage | None = None
        self.model = ""
        self.error: UpstreamError | None = None
        self.skipped = self.received = 0

    def feed(self, wire: bytes) -> bytes:
        """Look at whole events; return those that may reach the caller."""
        # Most reads hold one delta: its two lines and nothing else.
        if wire.find(b"\n", _JSON_AT) == len(wire) - 2 and wire.startswith(_DELTA):
            return wire if self._look_at_delta(wire[_JSON_AT:-2]) else b""
        return sift(wire, self._look_at_lines, self._look)

    def _look_at_lines(self, block: bytes) -> bool:
        if block.startswith(_DELTA) and block.find(b"\n", _JSON_AT) < 0:
            return self._look_at_delta(block[_JSON_AT:])
        return look_at_lines(block, self._look)

    def _is_over(self) -> bool:
        """Whether nothing counts any more, which is then counted."""
        self.skipped += self.ended
        return self.ended or self.error is not None

    def _look_at_delta(self, data: bytes) -> bool:
        """Look at a piece of text; False when it must not pass."""
        if self._is_over():
            return False
        try:
            text = _read_delta(data).delta
        except UNREADABLE:
            return self._look_slowly(data)
        if not data.isascii() and not is_utf8(data):
            self.skipped += 1
            return False
        if text:
            self.received += len(text)
            self.content = True
        return True

    def _look(self, name: bytes, data: bytes) -> bool:
        """Look at any event's JSON; False when it must not pass."""
        if self._is_over():
            return False
        if data.strip() == b"[DONE]":
            return True
        try:
            event = _read(data)
        except UNREADABLE:
            return self._look_slowly(data)
        if not data.isascii() and not is_utf8(data):
            self.skipped += 1
            return False
        kind = event.type or name.decode("latin-1")
        if kind in _FAILURES or given(event.error):
            self.error = judge_failure(data)
            return False
        self._note(kind, event)
        return True

    def _note(self, kind: str, event: _Event) -> None:
        response = event.response
        if response is not None:
            self.model = response.model or self.model
            if kind in _ENDS:
                self._finish(response)
        elif kind.endswith(".delta"):
            self.received += len(event.delta or "")
            self.content = self.content or bool(event.delta)
        elif kind in _ITEMS and event.item is not None:
            whole = kind.endswith(".done") and event.item.type == "message"
            self.content = self.content or whole or event.item.type not in _QUIET

    def _finish(self, response: _Response) -> None:
        called = any(item.type in CALLS for item in response.output or ())
        stop = stop_of(response.incomplete_details, response.status)
        self.stop = settled_stop(stop, tools=called, refused=False)
        self.usage = tiered(read_usage(response.usage), response.service_tier)
        self.content = self.ended = True

    def _look_slowly(self, data: bytes) -> bool:
        """Judge an event that the short path could not read: unusual shape, or no JSON."""
        try:
            found = parse_strictly(data)
        except (ValueError, RecursionError):
            self.skipped += 1
            return False
        if not isinstance(found, dict):
            return True
        kind = str(found.get("type"))
        if kind in _FAILURES or found.get("error"):
            self.error = judge_failure(data)
            return False
        if kind in _ENDS:
            self._finish(_Response())  # the end, whatever else it says
        elif b'.delta"' in data:
            self.content = True
            self.received += len(data) // 2
        return True
