"""A Gemini stream -> events: a push machine.

Every event is a reply in pieces: text and thoughts come in parts, a tool call whole. A block
ends where another kind begins. There is no end marker, so `Finished` comes when the upstream
closes, and the last usage is the one that counts. An error may come as an event, or bare.

Reference: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent

Not promised: candidates other than the first; arguments that Vertex streams in pieces
(`partialArgs`), which must be asked for.
"""

import re
from collections.abc import Sequence

import msgspec

from octoplex.dialects import sse
from octoplex.dialects.arguments import input_text
from octoplex.dialects.broken import cut, named
from octoplex.dialects.gemini import signatures
from octoplex.dialects.gemini.shapes import (
    BROKEN_STOPS,
    UNKNOWN_USAGE,
    UNREADABLE,
    Call,
    Candidate,
    PartWire,
    Wire,
    block_notice,
    given,
    read_part,
    read_wire,
    stop_of,
    usage_of,
)
from octoplex.dialects.gemini.verdict import broken_stop, judge_in_band
from octoplex.dialects.gemini.whole import settled_stop
from octoplex.dialects.openai_chat.toolcalls import made_id
from octoplex.wire.event import (
    Event,
    Finished,
    RedactedThinking,
    RefusalDelta,
    Started,
    StopReason,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    Usage,
)

_ODD = re.compile(rb"[\r\n][:{\[]").search
"""A line that is a comment, or the beginning of JSON."""


def data_of(wire: bytes) -> tuple[list[bytes], bool]:
    """The JSON of each event, and of each error that came bare; whether all is `data` lines."""
    bare = wire[:1] in (b"{", b"[")
    if not bare and _ODD(wire) is None:
        return [data for _, data in sse.events(wire)], wire.startswith(b"data:")
    found = []
    for block in wire.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        block = block.removeprefix(b"\n")
        bare = block[:1] in (b"{", b"[")
        found += [block] if bare else [data for _, data in sse.events(block + b"\n\n")]
    return found, False


class GeminiDecoder:
    """One stream. `feed` wire bytes of whole events, then `end`."""

    __slots__ = (
        "_block", "_done", "_id", "_index", "_started", "_stop", "_taken", "_usage", "read",
        "skipped",
    )  # fmt: skip

    def __init__(self) -> None:
        self.skipped = 0
        """Events that were not valid JSON."""
        self.read: list[Event] = []
        self._started = self._done = False
        self._id = self._block = ""
        self._index = -1
        self._taken: set[str] = set()
        self._stop: StopReason | None = None
        self._usage: Usage | None = None

    @property
    def stop(self) -> StopReason | None:
        """Why it stopped, as soon as the provider has said so."""
        return self._stop

    def feed(self, wire: bytes) -> Sequence[Event]:
        """Decode the wire bytes of one or more whole SSE events.

        Raises:
            UpstreamError: an in-band error, or a finish reason that is a failure.
        """
        events = self.read = []
        for data in data_of(wire)[0]:
            try:
                reply = read_wire(data)
            except msgspec.ValidationError:
                if read_error(data):
                    raise judge_in_band(data) from None
                continue  # valid JSON of a form that no documentation knows
            except UNREADABLE:
                self.skipped += 1
                continue
            if given(reply.error):
                raise judge_in_band(data)
            self._reply(reply, events)
        return events

    def end(self) -> Sequence[Event]:
        """The upstream closed.

        Raises:
            UpstreamBroken: it never said why it stopped.
        """
        if self._done:
            return ()
        if self._stop is None:
            raise cut("The provider's stream ended without a finish reason.")
        self._done = True
        stop = settled_stop(self._stop, tools=bool(self._taken))
        return [Finished(stop=stop, usage=self._usage or UNKNOWN_USAGE)]

    def _reply(self, reply: Wire, events: list[Event]) -> None:
        if not self._started:
            self._started, self._id = True, reply.responseId or ""
            events.append(Started(self._id, reply.modelVersion or ""))
        if given(reply.usageMetadata):
            self._usage = usage_of(reply.usageMetadata) or self._usage
        for candidate in reply.candidates or ():
            if candidate.index == 0:
                self._candidate(candidate, events)
        if reply.blocked and self._stop is None:
            self._stop = "refusal"
            events.append(RefusalDelta(block_notice(reply.blocked), self._open("refusal")))

    def _candidate(self, candidate: Candidate, events: list[Event]) -> None:
        content = candidate.content
        for raw in (content and content.parts) or ():
            part = read_part(raw)
            if part.functionCall is not None:
                self._call(part.functionCall, part.thoughtSignature or "", events)
            elif part.text is not None:
                self._text(part, events)
        reason = candidate.finishReason
        if reason in BROKEN_STOPS:
            raise broken_stop(reason or "")
        self._stop = stop_of(reason) or self._stop

    def _open(self, kind: str) -> int:
        """The index of the open block of this kind; a new one where another kind was open."""
        if self._block != kind:
            self._block = kind
            self._index += 1
        return self._index

    def _call(self, call: Call, signature: str, events: list[Event]) -> None:
        self._block = ""
        index = self._open("tool")
        id_ = made_id(call.id, self._id, len(self._taken), self._taken)
        signature = signatures.of_call(signature)
        events.append(ToolStart(id_, named(call.name), index, signature))
        events.append(ToolDelta(input_text(call.args), index))

    def _text(self, part: PartWire, events: list[Event]) -> None:
        text, signature = part.text or "", part.thoughtSignature
        if not part.thought:
            if text:
                events.append(TextDelta(text, self._open("text")))
            if signature:
                self._block = ""  # it proves the text, not a thought that may be open
                self._proof(signatures.from_wire(signature, ""), events)
        elif signature:
            self._proof(signatures.from_wire(signature, text), events)
        elif text:
            events.append(ThinkingDelta(text, self._open("thinking")))

    def _proof(self, thinking: Thinking, events: list[Event]) -> None:
        """A block of thinking that is whole, or the end of the one that is open."""
        if thinking.data:
            self._block = ""
            events.append(RedactedThinking(thinking.data, self._open("redacted")))
        else:
            index = self._open("thinking")
            events.append(ThinkingDelta(thinking.text, index, thinking.signature))
        self._block = ""


def read_error(data: bytes) -> bool:
    """Whether the JSON is an error, in a form that a reply's shape does not fit."""
    return data.lstrip()[:1] == b"[" and b'"error"' in data
