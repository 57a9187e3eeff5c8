"""A prediction's events -> events: a push machine.

    output   a piece of text      done    {} or {"reason": "canceled" | "error"}
    logs     read over            error   what went wrong

`done` says that it stopped and not what it cost: that is in the prediction itself, which
`upstreams/prediction.py` looks at once more and hands on as an event `prediction`. Without it
the stream ends when it closes, and the bill is estimated.

Reference: https://replicate.com/docs/topics/predictions/streaming
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects import sse
from octoplex.dialects.broken import cut
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.replicate.shapes import error_of, read_prediction, usage_read
from octoplex.dialects.replicate.verdict import failed
from octoplex.dialects.replicate.whole import UNKNOWN_USAGE
from octoplex.wire.event import Event, Finished, Started, StopReason, TextDelta, Usage


class _Done(Struct):
    reason: str = ""


class _Error(Struct):
    detail: str = ""


_read_done = msgspec.json.Decoder(_Done).decode
_read_error = msgspec.json.Decoder(_Error).decode


class PredictionDecoder:
    """One stream. `feed` wire bytes of whole events, then `end`."""

    __slots__ = ("_done", "_started", "_stop", "read", "skipped")

    def __init__(self) -> None:
        self.skipped = 0
        """Events that were not valid JSON."""
        self.read: list[Event] = []
        self._started = self._done = False
        self._stop: StopReason | None = None

    @property
    def stop(self) -> StopReason | None:
        """Why it stopped, as soon as the provider has said so."""
        return self._stop

    def feed(self, wire: bytes) -> Sequence[Event]:
        """Decode the wire bytes of one or more whole SSE events.

        Raises:
            UpstreamError: the prediction did not succeed.
        """
        events = self.read = []
        for name, data in sse.events(wire):
            if self._done:
                break
            if name == "output" and self._stop is None:
                self._output(data.decode("utf-8", "replace"), events)
            elif name == "error":
                raise failed("failed", _error(data))
            elif name == "done":
                self._ended(data)
            elif name == "prediction":
                self._billed(data, events)
        return events

    def end(self) -> Sequence[Event]:
        """The upstream closed.

        Raises:
            UpstreamBroken: it never said that it was done.
        """
        if self._stop is None:
            raise cut("The provider's stream ended before the prediction was done.")
        events: list[Event] = []
        if not self._done:
            self._finish(None, events)
        return events

    def _output(self, text: str, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            events.append(Started("", ""))
        if text:
            events.append(TextDelta(text))

    def _ended(self, data: bytes) -> None:
        try:
            reason = _read_done(data).reason
        except UNREADABLE:
            self.skipped += 1
            reason = ""
        if reason:
            raise failed(reason, "")
        self._stop = "end"

    def _billed(self, data: bytes, events: list[Event]) -> None:
        try:
            wire = read_prediction(data)
        except UNREADABLE:
            self.skipped += 1
            return
        if wire.status not in ("succeeded", "processing", "starting"):
            raise failed(wire.status, error_of(wire.error))
        self._stop = "end"
        self._finish(usage_read(wire.metrics), events)

    def _finish(self, usage: Usage | None, events: list[Event]) -> None:
        if not self._started:
            self._output("", events)
        self._done = True
        events.append(Finished(stop="end", usage=usage or UNKNOWN_USAGE))


def _error(data: bytes) -> str:
    """The text of an `error` event, which is JSON with a `detail`, a JSON text, or plain."""
    try:
        return _read_error(data).detail
    except UNREADABLE:
        return error_of(Raw(data)) or data.decode("utf-8", "replace")
