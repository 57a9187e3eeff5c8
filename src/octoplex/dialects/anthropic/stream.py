"""An Anthropic stream -> events: a push machine.

Blocks keep the provider's index, so that signatures and text stay in their order; the
blocks of tools that the provider runs itself leave gaps. The stop reason comes in
`message_delta`, the end in `message_stop`, and `Finished` with whichever comes last:
`message_stop`, or the closing of a stream that had already said why it stopped.

A tool call without arguments gets `{}` when its block closes, which is what a whole
reply says. Events that are not valid JSON are skipped and counted.

Reference: https://platform.claude.com/docs/en/build-with-claude/streaming

Not promised: citations and server tool blocks.
"""

from collections.abc import Sequence

import msgspec

from octoplex.dialects import sse
from octoplex.dialects.anthropic.shapes import (
    JSON_AT,
    UNREADABLE,
    BlockWire,
    DeltaWire,
    EventWire,
    MessageWire,
    given,
    is_one_delta,
    read_block,
    read_event,
    redacted,
    stop_of,
)
from octoplex.dialects.anthropic.usage import Counts, read_counts
from octoplex.dialects.anthropic.verdict import judge_in_band
from octoplex.dialects.anthropic.whole import UNKNOWN_USAGE
from octoplex.dialects.arguments import input_text
from octoplex.dialects.broken import cut, named
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
)


class AnthropicDecoder:
    """One stream. `feed` wire bytes of whole events, then `end`."""

    __slots__ = (
        "_begun", "_counted", "_counts", "_done", "_id", "_stop", "_stop_sequence", "_taken",
        "_tools", "read", "skipped",
    )  # fmt: skip

    def __init__(self) -> None:
        self.skipped = 0
        """Events that were not valid JSON."""
        self.read: list[Event] = []
        self._done = False
        self._counts = Counts()
        self._counted = False
        """Whether the output has been counted to its end; a head holds a start value."""
        self._stop: StopReason | None = None
        self._stop_sequence: str | None = None
        self._tools: dict[int, str | None] = {}
        """Open tool calls -> the arguments to give where no delta comes; None once one came."""
        self._begun: set[int] = set()
        self._id = ""
        self._taken: set[str] = set()

    @property
    def stop(self) -> StopReason | None:
        """Why it stopped, as soon as the provider has said so."""
        return self._stop

    def feed(self, wire: bytes) -> Sequence[Event]:
        """Decode the wire bytes of one or more whole SSE events.

        Raises:
            UpstreamError: an in-band error event.
        """
        events = self.read = []
        if is_one_delta(wire):
            found = [("content_block_delta", wire[JSON_AT:-2])]
        else:
            found = sse.events(wire)
        for name, data in found:
            if self._done:
                break
            try:
                event = read_event(data)
            except msgspec.ValidationError:
                continue  # valid JSON of a form that no documentation knows
            except UNREADABLE:
                self.skipped += 1
                continue
            delta, type_ = event.delta, event.type or name
            if delta is None or type_ != "content_block_delta":
                self._event(type_, event, data, events)
            elif delta.type != "text_delta":
                self._delta(event.index, delta, events)
            elif delta.text:
                events.append(TextDelta(delta.text, event.index))
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

    def _event(self, type_: str, event: EventWire, data: bytes, events: list[Event]) -> None:
        match type_:
            case "content_block_start" if event.content_block:
                self._start(event.index, read_block(event.content_block), events)
            case "content_block_stop":
                self._close(event.index, events)
            case "message_start" if event.message is not None:
                self._message(event.message, events)
            case "message_delta":
                self._end(event)
            case "message_stop" if self._stop is not None:
                self._finish(events)
            case _ if type_ == "error" or given(event.error):
                raise judge_in_band(data)

    def _message(self, message: MessageWire, events: list[Event]) -> None:
        counts = read_counts(message.usage)
        self._counts = counts or self._counts
        usage = None if counts is None else counts.usage()
        self._id = message.id or ""
        events.append(Started(self._id, message.model or "", usage))

    def _start(self, index: int, block: BlockWire, events: list[Event]) -> None:
        match block.type:
            case "text" if block.text:
                events.append(TextDelta(block.text, index))
            case "thinking" if block.thinking or block.signature:
                events.append(ThinkingDelta(block.thinking or "", index, block.signature or ""))
            case "redacted_thinking":
                events.append(RedactedThinking(redacted(block.data), index))
            case "tool_use":
                if index in self._begun:
                    raise cut("The provider's stream holds two tool calls in one block.")
                self._begun.add(index)
                self._tools[index] = input_text(block.input)
                id_ = made_id(block.id, self._id, len(self._taken), self._taken)
                events.append(ToolStart(id_, named(block.name), index))

    def _delta(self, index: int, delta: DeltaWire, events: list[Event]) -> None:
        match delta.type:
            case "thinking_delta" if delta.thinking:
                events.append(ThinkingDelta(delta.thinking, index))
            case "signature_delta" if delta.signature:
                events.append(ThinkingDelta("", index, delta.signature))
            case "input_json_delta" if delta.partial_json and index in self._tools:
                self._tools[index] = None
                events.append(ToolDelta(delta.partial_json, index))

    def _close(self, index: int, events: list[Event]) -> None:
        arguments = self._tools.pop(index, None)
        if arguments is not None:
            events.append(ToolDelta(arguments, index))

    def _end(self, event: EventWire) -> None:
        if event.delta is not None and event.delta.stop_reason:
            self._stop = stop_of(event.delta.stop_reason)
            self._stop_sequence = event.delta.stop_sequence
        later = read_counts(event.usage)
        if later is not None:
            self._counts = self._counts.merged(later)
            self._counted = self._counted or later.output_tokens is not None

    def _finish(self, events: list[Event]) -> None:
        for index in sorted(self._tools):
            self._close(index, events)
        self._done = True
        usage = self._counts.usage() if self._counted else UNKNOWN_USAGE
        assert self._stop is not None
        events.append(Finished(stop=self._stop, usage=usage, stop_sequence=self._stop_sequence))
