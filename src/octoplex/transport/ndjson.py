"""Newline-delimited JSON: cut a byte stream at line ends.

`Splitter` never changes a byte: what it returns are whole lines as they came. It holds the
last partial line, within a cap. The common case, a read that ends at a line's end, costs
one search and no copy.

Reference: https://github.com/ndjson/ndjson-spec (lines end in LF; a CR before it is white
space to JSON, and a blank line says nothing).
"""

from octoplex.transport.sse import MAX_EVENT, oversized


class Splitter:
    """Bytes in, whole lines out."""

    __slots__ = ("_held", "_max_line", "_size")

    def __init__(self, max_line: int = MAX_EVENT) -> None:
        self._max_line = max_line
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """The bytes of all lines that are whole by now; b"" when none is.

        Raises:
            UpstreamBroken: a line above its cap.
        """
        if self._size + len(data) > self._max_line:
            self._check(data)
        end = data.rfind(b"\n") + 1
        if not end:
            self._held.append(data)
            self._size += len(data)
            return b""
        whole = b"".join((*self._held, data[:end])) if self._held else data[:end]
        self._held = [data[end:]] if end < len(data) else []
        self._size = len(data) - end
        return whole

    def rest(self) -> bytes:
        """The partial line held back: the last one of a stream may lack its line end."""
        return b"".join(self._held)

    def _check(self, data: bytes) -> None:
        held = self._size
        for line in data.split(b"\n"):
            if held + len(line) > self._max_line:
                raise oversized("A line", self._max_line)
            held = 0
