"""A ConverseStream -> events: a push machine.

Blocks keep the provider's index. The stop reason comes in `messageStop`, usage after it in
`metadata`, and `Finished` with that: or with the closing of a stream that had already said
why it stopped. A tool call without arguments gets `{}` when its block closes, which is
what a whole reply says. An exception in a frame of its own ends the stream.

Reference: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html

Not promised: citations, and images that a model makes.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from octoplex.dialects import aws_events
from octoplex.dialects.aws_events import AwsEvent
from octoplex.dialects.bedrock_converse.shapes import (
    EventWire,
    read_block,
    read_event,
    stop_of,
    stop_sequence_of,
    usage_of,
)
from octoplex.dialects.bedrock_converse.verdict import judge_in_band
from octoplex.dialects.bedrock_converse.whole import UNKNOWN_USAGE
from octoplex.dialects.broken import cut, named
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.toolcalls import made_id
from octoplex.wire.event import (
    Event,
    Finished,
    RedactedThinking,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    Usage,
)

_read_text = msgspec.json.Decoder(str).decode


class ConverseDecoder:
    """One stream. `feed` wire bytes of whole frames, then `end`."""

    __slots__ = (
        "_begun", "_done", "_stop", "_stop_sequence", "_taken", "_tools", "_usage", "read",
        "skipped",
    )  # fmt: skip

    def __init__(self) -> None:
        self.skipped = 0
        """Events that were not valid JSON."""
        self.read: list[Event] = []
        self._done = False
        self._usage: Usage | None = None
        self._stop: StopReason | None = None
        self._stop_sequence: str | None = None
        self._tools: dict[int, bool] = {}
        """Open tool calls -> whether arguments have come."""
        self._begun: set[int] = set()
        self._taken: set[str] = set()

    @property
    def stop(self) -> StopReason | None:
        """Why it stopped, as soon as the provider has said so."""
        return self._stop

    def feed(self, wire: bytes) -> Sequence[Event]:
        """Decode the wire bytes of one or more whole frames.

        Raises:
            UpstreamError: an exception, or a frame that cannot be read.
        """
        events = self.read = []
        for told in aws_events.events(wire):
            if self._done:
                break
            if told.kind != "event":
                raise judge_in_band(told)
            self._event(told, events)
        return events

    def end(self) -> Sequence[Event]:
        """The upstream closed.

        Raises:
            UpstreamBroken: it never said why it stopped.
        """
        if self._done:
            return ()
        if self._stop is None:
            raise cut("The provider's stream ended without a stop reason.")
        events: list[Event] = []
        self._finish(events)
        return events

    def _event(self, told: AwsEvent, events: list[Event]) -> None:
        try:
            event = read_event(told.payload)
        except msgspec.ValidationError:
            return  # valid JSON of a form that no documentation knows
        except UNREADABLE:
            self.skipped += 1
            return
        match told.name:
            case "contentBlockDelta":
                self._delta(event.content_block_index, event.delta, events)
            case "contentBlockStart":
                self._start(event.content_block_index, event.start, events)
            case "contentBlockStop":
                self._close(event.content_block_index, events)
            case "messageStart":
                events.append(Started("", ""))
            case "messageStop":
                self._end(event)
            case "metadata":
                self._usage = usage_of(event.usage) or self._usage
                if self._stop is not None:
                    self._finish(events)

    def _start(self, index: int, start: Raw, events: list[Event]) -> None:
        call = read_block(start).tool_use
        if call is not None:
            if index in self._begun:
                raise cut("The provider's stream holds two tool calls in one block.")
            self._begun.add(index)
            self._tools[index] = False
            id_ = made_id(call.tool_use_id, "", len(self._taken), self._taken)
            events.append(ToolStart(id_, named(call.name), index))

    def _delta(self, index: int, delta: Raw, events: list[Event]) -> None:
        piece = read_block(delta)
        if piece.text:
            events.append(TextDelta(piece.text, index))
        elif piece.tool_use is not None and index in self._tools:
            arguments = _text(piece.tool_use.input)
            if arguments:
                self._tools[index] = True
                events.append(ToolDelta(arguments, index))
        elif piece.reasoning_content is not None:
            thought = piece.reasoning_content
            if thought.text or thought.signature:
                events.append(ThinkingDelta(thought.text, index, thought.signature))
            if thought.redacted_content:
                events.append(RedactedThinking(thought.redacted_content, index))

    def _close(self, index: int, events: list[Event]) -> None:
        if self._tools.pop(index, True) is False:
            events.append(ToolDelta("{}", index))

    def _end(self, event: EventWire) -> None:
        self._stop = stop_of(event.stop_reason) or "end"
        self._stop_sequence = stop_sequence_of(event.additional_model_response_fields)

    def _finish(self, events: list[Event]) -> None:
        for index in sorted(self._tools):
            self._close(index, events)
        assert self._stop is not None
        self._done = True
        usage = self._usage or UNKNOWN_USAGE
        events.append(Finished(stop=self._stop, usage=usage, stop_sequence=self._stop_sequence))


def _text(piece: Raw) -> str:
    try:
        return _read_text(piece)
    except UNREADABLE:
        return ""
