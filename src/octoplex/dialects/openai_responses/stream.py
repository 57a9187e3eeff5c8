"""A Responses stream -> events: a push machine.

A stream is `response.created`, then output items, each announced, filled by deltas and
repeated whole when it is done, then one terminal event that repeats everything. Blocks
begin where the first piece of a part comes; what no delta brought is taken from the
`done` events, and from the terminal event where no item came at all, because servers
that imitate the dialect leave events out. The cipher of a reasoning item comes when it is
done: the one in `output_item.added` may be a piece.

Reference: https://developers.openai.com/api/reference/resources/responses/streaming-events

Not promised: items of tools that the provider runs itself, annotations.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects import sse
from octoplex.dialects.broken import cut
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.toolcalls import made_id
from octoplex.dialects.openai_chat.whole import UNKNOWN_USAGE, settled_stop
from octoplex.dialects.openai_responses.calls import CALLS, OF_ONE_TOOL, called
from octoplex.dialects.openai_responses.reasoning import BETWEEN_PARTS, read_reasoning
from octoplex.dialects.openai_responses.shapes import (
    EventWire,
    ItemWire,
    ResponseWire,
    read_event,
    read_item,
    read_response,
    read_usage,
    stop_of,
)
from octoplex.dialects.openai_responses.verdict import judge_failure
from octoplex.dialects.tier import tiered
from octoplex.wire.event import (
    Event,
    Finished,
    RedactedThinking,
    RefusalDelta,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
)

Part = tuple[int, str, int]
"""An item's number, the kind of a part of it, and the part's number."""


class _Typed(Struct):
    type: str | None = None


class _Item:
    """An output item while it arrives. `part` is the last part of its thinking."""

    __slots__ = ("argued", "block", "part")

    def __init__(self, block: int) -> None:
        self.block = block
        self.argued = False
        self.part: Part | None = None


_read_type = msgspec.json.Decoder(_Typed).decode


class ResponsesDecoder:
    """One stream. `feed` wire bytes of whole events, then `end`."""

    __slots__ = (
        "_blocks", "_calls", "_done", "_early", "_id", "_next", "_refused", "_started", "_stop",
        "_taken", "_thoughts", "read", "skipped",
    )  # fmt: skip

    def __init__(self) -> None:
        self.skipped = 0
        """Events that were not valid JSON."""
        self.read: list[Event] = []
        self._started = self._done = self._refused = False
        self._id = ""
        self._next = 0
        self._stop: StopReason | None = None
        self._blocks: dict[Part, int] = {}
        """Parts of messages that have begun -> their blocks."""
        self._calls: dict[int, _Item] = {}
        self._thoughts: dict[int, _Item] = {}
        self._taken: set[str] = set()
        self._early: set[int] = set()
        """Calls of which arguments came before the name."""

    @property
    def stop(self) -> StopReason | None:
        """Why it stopped, as soon as the provider has said so."""
        return self._stop

    def feed(self, wire: bytes) -> Sequence[Event]:
        """Decode the wire bytes of one or more whole SSE events.

        Raises:
            UpstreamError: an in-band error, or content that cannot be read.
        """
        events = self.read = []
        for name, data in sse.events(wire):
            if self._done:
                break
            event = self._read(data)
            if event is not None:
                self._event(event.type or name, event, data, events)
        return events

    def end(self) -> Sequence[Event]:
        """The upstream closed.

        Raises:
            UpstreamBroken: it never said why it stopped.
        """
        if not self._done:
            raise cut("The provider's stream ended without saying why it stopped.")
        return ()

    def _read(self, data: bytes) -> EventWire | None:
        try:
            return read_event(data)
        except msgspec.ValidationError as error:
            try:
                kind = _read_type(data).type
            except msgspec.ValidationError:
                return None
            except UNREADABLE:  # misshapen first, and no JSON after that
                self.skipped += 1
                return None
            if kind in _PIECES:
                raise cut(f"The provider sent an event that cannot be read: {error}.") from None
        except UNREADABLE:
            self.skipped += data.strip() != b"[DONE]"
        return None

    def _event(self, kind: str, event: EventWire, data: bytes, events: list[Event]) -> None:
        take = _PIECES.get(kind)
        if take is not None:
            self._begin(events)
            take(self, event, events)
        elif kind in ("response.created", "response.in_progress", "response.queued"):
            self._start(event.response, events)
        elif kind in ("response.completed", "response.incomplete"):
            self._finish(event.response, events)
        elif kind in ("error", "response.failed"):
            raise judge_failure(data)

    def _start(self, response: Raw, events: list[Event]) -> ResponseWire:
        try:
            wire = read_response(response)
        except UNREADABLE:
            wire = ResponseWire()
        if not self._started:
            self._started, self._id = True, wire.id or ""
            events.append(Started(self._id, wire.model or ""))
        return wire

    def _begin(self, events: list[Event]) -> None:
        if not self._started:
            self._start(Raw(b"{}"), events)

    def _new(self) -> int:
        self._next += 1
        return self._next - 1

    def _text(self, event: EventWire, events: list[Event]) -> None:
        part = (event.output_index, "text", event.content_index)
        text = event.delta
        if text is None:  # done: whole, where no delta came
            text = "" if part in self._blocks else event.text or ""
        self._say(part, text, TextDelta, events)

    def _refusal(self, event: EventWire, events: list[Event]) -> None:
        part = (event.output_index, "refusal", event.content_index)
        text = event.delta
        if text is None:
            text = "" if part in self._blocks else event.refusal or ""
        self._say(part, text, RefusalDelta, events)

    def _say(
        self, part: Part, text: str, kind: type[TextDelta | RefusalDelta], events: list[Event]
    ) -> None:
        if not text:
            return
        block = self._blocks.get(part)
        if block is None:
            block = self._blocks[part] = self._new()
        self._refused = self._refused or kind is RefusalDelta
        events.append(kind(text, block))

    def _summary(self, event: EventWire, events: list[Event]) -> None:
        self._think((event.output_index, "summary", event.summary_index), event, events)

    def _reasoning(self, event: EventWire, events: list[Event]) -> None:
        self._think((event.output_index, "reasoning", event.content_index), event, events)

    def _think(self, part: Part, event: EventWire, events: list[Event]) -> None:
        """A piece of thinking. Of summary and plain reasoning the one that came first counts."""
        item = self._thoughts.get(part[0])
        before = item.part if item is not None else None
        text = event.delta
        if text is None:
            text = "" if before is not None and before[2] >= part[2] else event.text or ""
        if not text or (before is not None and before[1] != part[1]):
            return
        if item is None:
            item = self._thoughts[part[0]] = _Item(self._new())
        if before is not None and before != part:
            text = BETWEEN_PARTS + text
        item.part = part
        events.append(ThinkingDelta(text, item.block))

    def _arguments(self, event: EventWire, events: list[Event]) -> None:
        call = self._calls.get(event.output_index)
        if call is None:  # the name comes with `output_item.done`, and the arguments again
            self._early.add(event.output_index)
            return
        text = event.delta
        if text is None:
            text = "" if call.argued else event.arguments or ""
        if text:
            call.argued = True
            events.append(ToolDelta(text, call.block))

    def _added(self, event: EventWire, events: list[Event]) -> None:
        item = read_item(event.item)
        is_named = item.name or item.type in OF_ONE_TOOL
        if item.type in CALLS and is_named and event.output_index not in self._calls:
            self._call(event.output_index, item, events)

    def _call(self, number: int, item: ItemWire, events: list[Event]) -> _Item:
        call = self._calls[number] = _Item(self._new())
        id_ = made_id(item.call_id or item.id, self._id, len(self._calls) - 1, self._taken)
        self._early.discard(number)
        name, _ = called(item)
        events.append(ToolStart(id_, name, call.block))
        return call

    def _item_done(self, event: EventWire, events: list[Event]) -> None:
        self._whole(event.output_index, read_item(event.item), events)

    def _whole(self, number: int, item: ItemWire, events: list[Event]) -> None:
        """An item is complete: give what has not come yet."""
        match item.type:
            case "message":
                for index, part in enumerate(item.content or ()):
                    kind = "text" if part.refusal is None else "refusal"
                    key = (number, kind, index)
                    if key not in self._blocks:
                        delta = TextDelta if kind == "text" else RefusalDelta
                        self._say(key, part.text or part.refusal or "", delta, events)
            case "reasoning":
                self._proof(number, item, events)
            case kind if kind in CALLS:
                call = self._calls.get(number) or self._call(number, item, events)
                if not call.argued:
                    call.argued = True
                    events.append(ToolDelta(called(item)[1], call.block))

    def _proof(self, number: int, item: ItemWire, events: list[Event]) -> None:
        thought = read_reasoning(item)
        begun = self._thoughts.get(number)
        if thought is None:
            return
        if begun is not None:
            proof = thought.signature or thought.data
            if proof:
                events.append(ThinkingDelta("", begun.block, proof))
        elif thought.data:
            events.append(RedactedThinking(thought.data, self._new()))
        else:
            events.append(ThinkingDelta(thought.text, self._new(), thought.signature))

    def _finish(self, response: Raw, events: list[Event]) -> None:
        wire = self._start(response, events)
        if not self._next:
            for number, raw in enumerate(wire.output or ()):
                self._whole(number, read_item(raw), events)
        if self._early:
            raise cut("The provider's stream holds a tool call without a name.")
        calls = self._calls.values()
        events += [ToolDelta("{}", call.block) for call in calls if not call.argued]
        stop = stop_of(wire.incomplete_details, wire.status)
        self._stop = settled_stop(stop, tools=bool(self._calls), refused=self._refused)
        self._done = True
        usage = tiered(read_usage(wire.usage), wire.service_tier) or UNKNOWN_USAGE
        events.append(Finished(stop=self._stop, usage=usage))


_PIECES: dict[str, Callable[[ResponsesDecoder, EventWire, list[Event]], None]] = {
    "response.output_text.delta": ResponsesDecoder._text,
    "response.output_text.done": ResponsesDecoder._text,
    "response.refusal.delta": ResponsesDecoder._refusal,
    "response.refusal.done": ResponsesDecoder._refusal,
    "response.reasoning_summary_text.delta": ResponsesDecoder._summary,
    "response.reasoning_summary_text.done": ResponsesDecoder._summary,
    "response.reasoning_text.delta": ResponsesDecoder._reasoning,
    "response.reasoning_text.done": ResponsesDecoder._reasoning,
    "response.function_call_arguments.delta": ResponsesDecoder._arguments,
    "response.function_call_arguments.done": ResponsesDecoder._arguments,
    "response.output_item.added": ResponsesDecoder._added,
    "response.output_item.done": ResponsesDecoder._item_done,
}
