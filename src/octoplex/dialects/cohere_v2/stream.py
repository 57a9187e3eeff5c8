"""A Cohere stream -> events: a push machine.

Content blocks and tool calls count from 0 each, so a block's index here is the order in
which it began. `message-end` says why it stopped and what it cost, and is the end. A tool
call without arguments gets `{}`. Events that are not valid JSON are skipped and counted.

Reference: https://docs.cohere.com/reference/chat-stream

Not promised: citations.
"""

from collections.abc import Sequence

import msgspec

from octoplex.dialects import sse
from octoplex.dialects.broken import cut, named
from octoplex.dialects.cohere_v2.shapes import (
    BROKEN_STOPS,
    Delta,
    Said,
    Wire,
    calls_of,
    pieces_of,
    read_wire,
    stop_of,
    usage_read,
)
from octoplex.dialects.cohere_v2.verdict import gave_up, judge_in_band
from octoplex.dialects.cohere_v2.whole import UNKNOWN_USAGE
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.toolcalls import arguments_of, made_id
from octoplex.wire.event import (
    Event,
    Finished,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
)

_NOTHING = Said()


class CohereDecoder:
    """One stream. `feed` wire bytes of whole events, then `end`."""

    __slots__ = ("_argued", "_blocks", "_done", "_id", "_stop", "_taken", "read", "skipped")

    def __init__(self) -> None:
        self.skipped = 0
        """Events that were not valid JSON."""
        self.read: list[Event] = []
        self._id = ""
        self._done = False
        self._stop: StopReason | None = None
        self._blocks: dict[tuple[str, int], int] = {}
        self._argued: dict[int, bool] = {}
        """Tool calls by their block -> whether arguments have come."""
        self._taken: set[str] = set()

    @property
    def stop(self) -> StopReason | None:
        """Why it stopped, as soon as the provider has said so."""
        return self._stop

    def feed(self, wire: bytes) -> Sequence[Event]:
        """Decode the wire bytes of one or more whole SSE events.

        Raises:
            UpstreamError: an in-band error.
        """
        events = self.read = []
        for name, data in sse.events(wire):
            if self._done:
                break
            try:
                event = read_wire(data)
            except msgspec.ValidationError:
                continue  # valid JSON of a form that no documentation knows
            except UNREADABLE:
                self.skipped += data != b"[DONE]"
                continue
            if isinstance(event.message, str):
                raise judge_in_band(event.message)
            self._event(event.type or name, event, event.delta or Delta(), events)
        return events

    def end(self) -> Sequence[Event]:
        """The upstream closed.

        Raises:
            UpstreamBroken: it never said why it stopped.
        """
        if not self._done:
            raise cut("The provider's stream ended without saying why it stopped.")
        return ()

    def _event(self, type_: str, event: Wire, delta: Delta, events: list[Event]) -> None:
        said = delta.message or _NOTHING
        match type_:
            case "content-delta" | "content-start":
                self._content(event.index, said, events)
            case "tool-plan-delta" if said.tool_plan:
                events.append(ThinkingDelta(said.tool_plan, self._at("plan", 0)))
            case "tool-call-start":
                self._call(event.index, said, events)
            case "tool-call-delta":
                self._arguments(event.index, said, events)
            case "message-start":
                self._id = event.id or ""
                events.append(Started(self._id, ""))
            case "message-end":
                self._end(delta, events)

    def _at(self, kind: str, index: int) -> int:
        """The block of this kind and number; a new one where there is none yet."""
        return self._blocks.setdefault((kind, index), len(self._blocks))

    def _content(self, index: int, said: Said, events: list[Event]) -> None:
        for piece in pieces_of(said.content):
            if piece.thinking:
                events.append(ThinkingDelta(piece.thinking, self._at("thinking", index)))
            if piece.text:
                events.append(TextDelta(piece.text, self._at("text", index)))

    def _call(self, index: int, said: Said, events: list[Event]) -> None:
        if ("call", index) in self._blocks:
            return
        for call in calls_of(said.tool_calls)[:1]:
            block = self._at("call", index)
            id_ = made_id(call.id, self._id, len(self._argued), self._taken)
            self._argued[block] = False
            events.append(ToolStart(id_, named(call.function.name), block))
            self._arguments(index, said, events)

    def _arguments(self, index: int, said: Said, events: list[Event]) -> None:
        block = self._blocks.get(("call", index))
        for call in calls_of(said.tool_calls)[:1]:
            if block is not None and call.function.arguments:
                self._argued[block] = True
                events.append(ToolDelta(arguments_of(call.function), block))

    def _end(self, delta: Delta, events: list[Event]) -> None:
        if delta.finish_reason in BROKEN_STOPS:
            raise gave_up(delta.finish_reason or "", delta.error or "")
        self._stop, self._done = stop_of(delta.finish_reason) or "end", True
        events += [ToolDelta("{}", block) for block, argued in self._argued.items() if not argued]
        usage = usage_read(delta.usage) or UNKNOWN_USAGE
        events.append(Finished(stop=self._stop, usage=usage))
