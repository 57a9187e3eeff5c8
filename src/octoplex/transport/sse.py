"""Server-sent events: cut a byte stream at event boundaries, and read events.

`Splitter` never changes a byte (except that a byte order mark at the very start goes): what
it returns are whole events as they came, so they can be forwarded as they are. The common
case, a read that ends at an event's end, costs one search and no copy. It holds the last
partial event, within a cap: a 50 MB line must not become 50 MB of memory. An image in base64
or the arguments of a tool are one line of one event, so the cap is generous.

`parse` gives (event name, data) pairs.

Reference: https://html.spec.whatwg.org/multipage/server-sent-events.html (lines end in LF,
CRLF or CR; comments; several data lines; one optional space after the colon). `id` and
`retry` are ignored; a client that reconnects is not promised.
"""

import re

from octoplex.wire.error import UpstreamBroken

MAX_EVENT = 8 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_BLANK = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")


def oversized(what: str, most: int) -> UpstreamBroken:
    """The failure of what is above its cap. Asked again, the same target would say the same."""
    error = UpstreamBroken(f"{what} is above its cap of {most} bytes")
    error.next = "target"
    return error


class Splitter:
    """Bytes in, whole events out."""

    __slots__ = ("_bom", "_clean", "_held", "_max_event", "_size", "_tail")

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max_event = max_event
        self._held: list[bytes] = []
        self._size = 0
        self._tail = b""
        self._bom: bytes | None = b""
        self._clean = False
        """Nothing is held, and the start has been seen."""

    def feed(self, data: bytes) -> bytes:
        """The wire bytes of all events that are whole by now; b"" when none is.

        Raises:
            UpstreamBroken: an event above its cap.
        """
        size = len(data)
        if self._clean and data[-2:] == b"\n\n" and b"\r" not in data and size <= self._max_event:
            return data
        if self._bom is not None:
            data = self._first(data)
            size = len(data)
        if size + self._size > self._max_event:
            self._check(data)
        end = self._last_end(data)
        if end <= 0:
            self._hold(data)
            return b""
        whole = b"".join((*self._held, data[:end])) if self._held else data[:end]
        self._held.clear()
        self._size = 0
        self._tail = b""
        self._clean = True
        self._hold(data[end:])
        return whole

    def rest(self) -> bytes:
        """The partial event held back. At the end of a stream the caller judges it."""
        return (self._bom or b"") + b"".join(self._held)

    def _first(self, data: bytes) -> bytes:
        """Drop a byte order mark at the start, also one that comes in pieces."""
        data = (self._bom or b"") + data
        if len(data) < 3 and _BOM.startswith(data):
            self._bom = data
            return b""
        self._bom = None
        return data.removeprefix(_BOM)

    def _last_end(self, data: bytes) -> int:
        """Where the last whole event ends in `data`; 0 or less when none does."""
        look, before = self._tail + data, len(self._tail)
        if b"\r" not in look:
            found = look.rfind(b"\n\n")
            return found + 2 - before if found >= 0 else 0
        end = 0
        for match in _BLANK.finditer(look):
            end = match.end()
        return end - before

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        self._clean = False
        self._held.append(data)
        self._size += len(data)
        self._tail = (self._tail + data[-2:])[-2:]

    def _check(self, data: bytes) -> None:
        """Look at the sizes of events; only called when the cap may be in sight."""
        start = -self._size
        for match in _BLANK.finditer(data):
            if match.end() - start > self._max_event:
                break
            start = match.end()
        if len(data) - start > self._max_event:
            raise oversized("An event", self._max_event)


def parse(wire: bytes) -> list[tuple[str, bytes]]:
    """Read events: (name or "", data). Those without data are dropped.

    An event at the end without its blank line is read too: whoever has one has judged it.
    """
    if b"\r" in wire:
        # a lone CR cannot be inside a line: it would have ended it
        wire = wire.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if wire[:6] == b"data: " and wire[-2:] == b"\n\n" and wire.find(b"\n") == len(wire) - 2:
        return [("", wire[6:-2])]
    events: list[tuple[str, bytes]] = []
    for block in wire.split(b"\n\n"):
        if block[:6] == b"data: " and b"\n" not in block:
            events.append(("", block[6:]))
        elif block:
            _read(block, events)
    return events


def _read(block: bytes, events: list[tuple[str, bytes]]) -> None:
    """Read one event's lines; Anthropic's form, a name and one line of data, first."""
    head, _, body = block.partition(b"\n")
    if head[:7] == b"event: " and body[:6] == b"data: " and b"\n" not in body:
        events.append((head[7:].decode("utf-8", "replace"), body[6:]))
        return
    name, data = "", []
    for line in block.removeprefix(_BOM).split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ").decode("utf-8", "replace")
    if data:
        events.append((name, b"\n".join(data)))
