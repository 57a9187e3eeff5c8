"""A provider's stream as an Answer.

    transport bytes -> Splitter (whole events) -> Scanner (usage, stop, errors) -> Frame

Nothing is decoded unless a frame's events are asked for. The upstream's connection is
given back when the stream's end marker has been seen, so a caller never waits for the
closing chunk of a connection.

What ends a stream is its stop reason. Without one it failed, however politely the
connection closed. With one, a missing end marker is supplied when the upstream closes
or stays silent for 2 s.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from octoplex.dialects.bedrock_anthropic import sse_of
from octoplex.dialects.dialect import Decoder, Dialect, Scanner
from octoplex.dialects.surrogates import mended
from octoplex.transport import aws_frames, ndjson, sse
from octoplex.transport.http import Response
from octoplex.upstreams.payloads import Payloads
from octoplex.upstreams.reading import BYTES_PER_TOKEN, Reading
from octoplex.wire.answer import Ended, Ending, Frame, Head, Outcome
from octoplex.wire.error import DeadlinePassed, UpstreamBroken, UpstreamError, is_failure
from octoplex.wire.event import Event, Reply, Usage

MARKER_WAIT_S = 2.0
GRACE_S = 1.0
END_MARKERS = {
    "openai-chat": b"data: [DONE]\n\n",
    "anthropic": b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
}


class Splitter(Protocol):
    """Cuts a stream where events end."""

    def feed(self, data: bytes) -> bytes:
        """The whole events so far."""
        ...

    def rest(self) -> bytes:
        """What is left when the stream has ended."""
        ...


class Unpacked:
    """Bedrock's frames with Anthropic's events in them: cut, checked, and handed on as SSE."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames = aws_frames.Splitter()

    def feed(self, data: bytes) -> bytes:
        """The whole events so far."""
        return sse_of(self._frames.feed(data))

    def rest(self) -> bytes:
        """Nothing: half a frame cannot be read."""
        return self._frames.rest()


SPLITTERS: Mapping[str, Callable[[], Splitter]] = {
    "bedrock-anthropic": Unpacked,
    "bedrock-converse": aws_frames.Splitter,
    "ollama": ndjson.Splitter,
    "sagemaker": Payloads,
}
"""By dialect; every other one is SSE."""


class Patience(Struct, frozen=True):
    """The clock of a stream and how long its gaps may be, in seconds."""

    now: Callable[[], float]
    idle_s: float


class Streamed:
    """An opened stream. `open` reads up to the first content; iterate or close after that."""

    __slots__ = (
        "_decoder",
        "_dialect",
        "_ending",
        "_held",
        "_patience",
        "_response",
        "_scanner",
        "_splitter",
        "body",
        "dialect",
        "head",
    )

    def __init__(
        self,
        head: Head,
        dialect: Dialect,
        response: Response,
        scanner: Scanner,
        patience: Patience,
        words: str = "",
    ) -> None:
        """`words` is the face that may pass verbatim, where that is not the dialect's name."""
        self.head, self.dialect = head, words or dialect.name
        self.body: bytes | None = None
        self._dialect, self._response, self._scanner = dialect, response, scanner
        self._splitter = SPLITTERS.get(dialect.name, sse.Splitter)()
        self._patience, self._ending = patience, Ending()
        self._held = b""
        self._decoder: Decoder | None = None

    async def open(self) -> None:
        """Read until the first content event, holding what came before it.

        Raises:
            UpstreamError: the stream failed or ended before any content.
        """
        scanner = self._scanner
        try:
            while not scanner.content:
                self._held += await self._more()
                if scanner.error is not None:
                    raise scanner.error
                if self._ending.outcome is not None and not scanner.content:
                    raise UpstreamBroken("The provider's stream ended without any content.")
        except UpstreamError as error:
            # Only what the provider refused, in its own words and before any content, is free.
            refused = error is scanner.error and not isinstance(error, UpstreamBroken)
            error.reached = scanner.content or not refused
            if scanner.content:  # in the same read
                error.received = self._usage().output_tokens
            self._response.close()
            raise
        except BaseException:
            self._response.close()
            raise
        if scanner.model:
            self.head.model = scanner.model
        if scanner.stop == "refusal":
            said = scanner.said if isinstance(scanner, Reading) else scanner.received > 0
            self.head.refused = not said

    def reply(self) -> Reply:
        """A stream has no whole body; gather it with `fold`."""
        raise TypeError("this answer is a stream; fold its events instead")

    def __aiter__(self) -> "Streamed":
        return self

    async def __anext__(self) -> Frame:
        """The next whole events; what was held goes out with the first content."""
        wire, self._held = self._held, b""
        try:
            while not wire:
                if self._ending.outcome is not None:
                    if self._decoder is None or self._ending.outcome != "done":
                        raise StopAsyncIteration
                    # No marker came with the end: what the decoder owes comes alone.
                    return Frame(b"", None, self._decode(b""))
                if self._scanner.error is not None:
                    raise self._scanner.error
                wire = await self._more()
        except UpstreamError as error:
            error.reached, self.head.faultless = True, not is_failure(error)
            self.close("cut")
            raise
        except DeadlinePassed:
            self.close("late")
            raise
        return Frame(wire, self._decode)

    async def _more(self) -> bytes:
        """Bytes of whole events to pass on; may be empty. Ends the answer at its end marker."""
        scanner, response = self._scanner, self._response
        try:
            data = await response.read()
        except (UpstreamError, DeadlinePassed):
            if scanner.stop is None or scanner.error is not None:
                raise
            return self._finish()
        if not data:
            return self._finish(closed=True)
        whole = self._splitter.feed(data)
        if not whole:
            return b""
        now = self._patience.now()
        out = scanner.feed(whole)
        if scanner.ended:
            response.release(GRACE_S)
            self._end()
        elif scanner.stop is not None:
            response.expires_at = now + MARKER_WAIT_S
        else:
            response.expires_at = now + self._patience.idle_s
        return out

    def _finish(self, *, closed: bool = False) -> bytes:
        """The upstream has no more to say. Supply the end marker, or say that it broke off."""
        scanner, out = self._scanner, b""
        rest = self._splitter.rest()
        if closed and rest:
            out = scanner.feed(rest.rstrip(b"\r\n") + b"\n\n")
        if scanner.error is not None:
            raise scanner.error
        if scanner.stop is None:
            raise UpstreamBroken("The provider closed the stream before it said why it stopped.")
        if isinstance(scanner, Reading):
            out += scanner.close()
        elif not scanner.ended:
            out += END_MARKERS.get(self.dialect, b"")
        self._response.close()
        self._end()
        return out

    def told(self, wire: bytes) -> Sequence[Event]:
        """The events in the bytes of all frames together, of a stream that passed verbatim.

        Raises:
            UpstreamError: they cannot be read, or hold the end already.
        """
        decoder = self._dialect.decoder()
        events = decoder.feed(mended(wire))
        if decoder.stop is not None:
            raise UpstreamBroken("The provider had said why it stopped.")
        return events

    def _decode(self, wire: bytes) -> Sequence[Event]:
        if isinstance(self._scanner, Reading):
            return self._scanner.take()
        if self._decoder is None:
            self._decoder = self._dialect.decoder()
        events = self._decoder.feed(mended(wire))
        if self._ending.outcome == "done":
            events = [*events, *self._decoder.end()]
            self._decoder = None
        return events

    def _usage(self) -> Usage:
        """What the provider reported, else an estimate of what was received."""
        scanner = self._scanner
        if scanner.usage is not None:
            return scanner.usage
        return Usage(output_tokens=-(-scanner.received // BYTES_PER_TOKEN), estimated=True)

    def _end(self, outcome: Outcome = "done") -> None:
        self.head.skipped = self._scanner.skipped
        self._ending.fire(outcome, self._usage())

    def close(self, outcome: Outcome = "left") -> None:
        """Stop caring: the upstream's connection closes at once."""
        if self._ending.outcome is None:
            self._response.close()
            self._end(outcome)

    def on_end(self, told: Ended) -> None:
        """Be told once how it ended."""
        self._ending.on_end(told)
