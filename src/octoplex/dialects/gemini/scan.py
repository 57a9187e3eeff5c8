"""A look at a Gemini stream that passes verbatim.

Per event one typed decode that reads only what the gateway must know: usage, finish reason,
error, and how much content came. `feed` returns the same bytes unless an event must not
reach the caller: one that is not valid JSON, an error (held for the door to write), a finish
reason that is a failure, a comment (Google's SDKs take it for JSON). Nothing here raises.

Usage is cumulative; until the finish reason has come it is what the provider said so far,
and an estimate of the output.

Reference: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent

Not promised: exact bytes of content in `received`; it is the basis of an estimate. `ended`
stays false: the dialect has no end marker.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.gemini.shapes import (
    BROKEN_STOPS,
    NOTHING,
    UNREADABLE,
    Feedback,
    given,
    stop_of,
    usage_of,
)
from octoplex.dialects.gemini.stream import data_of
from octoplex.dialects.gemini.verdict import broken_stop, judge_in_band, read_problem
from octoplex.dialects.sieve import is_utf8, parse_strictly
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import StopReason, Usage

_BYTES_PER_TOKEN = 3
_MOST_CANDIDATES = 64
"""Far above what the API gives: a stream that goes on inventing them costs no memory."""


class _Content(Struct, gc=False):
    parts: list[Raw] | None = None


class _Candidate(Struct):
    index: int = 0
    content: _Content | None = None
    finishReason: str | None = None  # noqa: N815 - the wire's name


class _Event(Struct):
    candidates: list[_Candidate] | None = None
    promptFeedback: Feedback | None = None  # noqa: N815
    usageMetadata: Raw = NOTHING  # noqa: N815
    modelVersion: str | None = None  # noqa: N815
    error: Raw = NOTHING


class _Part(Struct, gc=False):
    text: str | None = None


_read = msgspec.json.Decoder(_Event).decode
_read_part = msgspec.json.Decoder(_Part).decode


class GeminiScanner:
    """One verbatim stream. See `dialects.dialect.Scanner` for the attributes."""

    __slots__ = (
        "_highest", "_running", "_usage", "content", "ended", "error", "model", "received",
        "skipped", "stop",
    )  # fmt: skip

    def __init__(self) -> None:
        self.content = self.ended = False
        self.stop: StopReason | None = None
        self.model = ""
        self.error: UpstreamError | None = None
        self.skipped = self.received = 0
        self._usage: Usage | None = None
        self._running: set[int] = set()
        """Candidates that began and have not finished."""
        self._highest = 0
        """The last of several that has begun."""

    @property
    def usage(self) -> Usage | None:
        """What the provider reported; before the finish reason, the output is estimated."""
        usage = self._usage
        if usage is None or self.stop is not None:
            return usage
        guess = max(usage.output_tokens, -(-self.received // _BYTES_PER_TOKEN))
        return msgspec.structs.replace(usage, output_tokens=guess, estimated=True)

    def feed(self, wire: bytes) -> bytes:
        """Look at whole events; return those that may reach the caller."""
        found, plain = data_of(wire)
        kept = [data for data in found if self.error is None and self._look(data)]
        if len(kept) == len(found) and plain and (wire.isascii() or is_utf8(wire)):
            return wire
        return b"".join([b"data: " + data.replace(b"\n", b" ") + b"\n\n" for data in kept])

    def _look(self, data: bytes) -> bool:
        """Look at one event; False when it must not pass."""
        try:
            event = _read(data)
        except UNREADABLE:
            return self._look_slowly(data)
        if not data.isascii() and not is_utf8(data):
            self.skipped += 1
            return False
        if given(event.error):
            self.error = judge_in_band(data)
            return False
        self.model = self.model or event.modelVersion or ""
        if given(event.usageMetadata):
            self._usage = usage_of(event.usageMetadata) or self._usage
        if event.promptFeedback is not None and event.promptFeedback.blockReason:
            self.stop, self.content = "refusal", True
        for candidate in event.candidates or ():
            self._candidate(candidate)
        return self.error is None

    def _candidate(self, candidate: _Candidate) -> None:
        for raw in (candidate.content and candidate.content.parts) or ():
            self._part(raw)
        reason = candidate.finishReason
        if reason in BROKEN_STOPS:
            self.error = broken_stop(reason or "")
            return
        stop = stop_of(reason)
        if stop is None:
            if len(self._running) < _MOST_CANDIDATES:
                self._running.add(candidate.index)
            if candidate.index > self._highest:  # it may begin when those before it have ended
                self._highest, self.stop = candidate.index, None
            return
        self._running.discard(candidate.index)
        if not self._running:
            self.stop, self.content = stop, True

    def _part(self, raw: Raw) -> None:
        """Count a part; an empty text that only carries a signature is no content yet."""
        try:
            text = _read_part(raw).text
        except UNREADABLE:
            text = None
        if text != "":
            self.content = True
            self.received += len(bytes(raw)) if text is None else len(text)

    def _look_slowly(self, data: bytes) -> bool:
        """Judge an event that the short path could not read: unusual shape, or no JSON."""
        try:
            parse_strictly(data)
        except (ValueError, RecursionError):
            self.skipped += 1
            return False
        if read_problem(data) is not None:
            self.error = judge_in_band(data)
            return False
        self.content = self.content or b'"parts"' in data
        self.received += len(data) // 2
        return True
