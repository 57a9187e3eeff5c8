"""An Ollama stream -> events: a push machine over lines of JSON.

Thinking and text come in pieces, tool calls whole; a block ends where another kind begins.
The line that is `done` says why it stopped and what was counted, and is the end. Lines
that are not valid JSON are skipped and counted.

Reference: https://docs.ollama.com/api/streaming
"""

from collections.abc import Sequence

import msgspec

from octoplex.dialects.broken import cut
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.ollama.shapes import Made, Wire, read_wire, usage_in
from octoplex.dialects.ollama.verdict import judge_in_band
from octoplex.dialects.ollama.whole import UNKNOWN_USAGE
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


class OllamaDecoder:
    """One stream. `feed` wire bytes of whole lines, then `end`."""

    __slots__ = ("_block", "_index", "_made", "_stop", "read", "skipped")

    def __init__(self) -> None:
        self.skipped = 0
        """Lines that were not valid JSON."""
        self.read: list[Event] = []
        self._made: Made | None = None
        self._stop: StopReason | None = None
        self._block, self._index = "", -1

    @property
    def stop(self) -> StopReason | None:
        """Why it stopped, as soon as the provider has said so."""
        return self._stop

    def feed(self, wire: bytes) -> Sequence[Event]:
        """Decode the wire bytes of one or more whole lines.

        Raises:
            UpstreamError: a line that says an error.
        """
        events = self.read = []
        for text in wire.split(b"\n"):
            if self._stop is not None:
                break
            if not text.strip():
                continue
            try:
                line = read_wire(text)
            except msgspec.ValidationError:
                continue  # valid JSON of a form that no documentation knows
            except UNREADABLE:
                self.skipped += 1
                continue
            if line.error:
                raise judge_in_band(bytes(line.error))
            if line.done or line.message is not None:
                self._line(line, events)
        return events

    def end(self) -> Sequence[Event]:
        """The upstream closed.

        Raises:
            UpstreamBroken: it never said why it stopped.
        """
        if self._stop is None:
            raise cut("The provider's stream ended without saying why it stopped.")
        return ()

    def _line(self, line: Wire, events: list[Event]) -> None:
        made = self._made
        if made is None:
            made = self._made = Made(line)
            events.append(Started(made.id, line.model))
        said = line.message
        if said is not None and said.thinking:
            events.append(ThinkingDelta(said.thinking, self._open("thinking")))
        if said is not None and said.content:
            events.append(TextDelta(said.content, self._open("text")))
        for use in made.uses(line):
            self._block = ""  # each call is a block of its own
            index = self._open("tool")
            events += [ToolStart(use.id, use.name, index), ToolDelta(use.arguments, index)]
        if line.done:
            self._stop = made.stop(line)
            events.append(Finished(stop=self._stop, usage=usage_in(line) or UNKNOWN_USAGE))

    def _open(self, kind: str) -> int:
        """The index of the open block of this kind; a new one where another kind was open."""
        if self._block != kind:
            self._block = kind
            self._index += 1
        return self._index
