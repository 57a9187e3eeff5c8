"""A container's stream out of SageMaker's frames.

    frames  ->  PayloadPart: bytes, cut anywhere  ->  SSE, or lines of JSON  ->  whole SSE events

Each part is passed on as it came but for lines of JSON, which become `data:` lines. Which of
the two it is, the first byte shows. What came before an exception is given with it.

Reference: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_ResponseStream.html
"""

from octoplex.dialects import aws_events
from octoplex.dialects.sagemaker import failure_of
from octoplex.transport import aws_frames, ndjson, sse


class Payloads:
    """Bytes in, whole SSE events out."""

    __slots__ = ("_frames", "_lines", "_pieces")

    def __init__(self) -> None:
        self._frames = aws_frames.Splitter()
        self._pieces: sse.Splitter | ndjson.Splitter | None = None
        self._lines = False

    def feed(self, data: bytes) -> bytes:
        """The whole events so far.

        Raises:
            UpstreamBroken: a frame or an event that cannot be cut out.
        """
        out = b""
        for told in aws_events.events(self._frames.feed(data)):
            if told.kind != "event":
                out += failure_of(told)
            elif told.name == "PayloadPart":
                out += self._part(told.payload)
        return out

    def rest(self) -> bytes:
        """What is left of the container's stream; half a frame cannot be read."""
        rest = b"" if self._pieces is None else self._pieces.rest()
        return _events(rest) if self._lines else rest

    def _part(self, payload: bytes) -> bytes:
        if self._pieces is None:
            begun = payload.lstrip()
            if not begun:
                return b""
            self._lines = begun.startswith(b"{")
            self._pieces = ndjson.Splitter() if self._lines else sse.Splitter()
        whole = self._pieces.feed(payload)
        return _events(whole) if self._lines else whole


def _events(lines: bytes) -> bytes:
    return b"".join([b"data: %b\n\n" % line for line in lines.split(b"\n") if line.strip()])
