"""The caller's end of one request: its bytes in, ours out, and whether it is still there.

Three kinds. `protocol.Direct` sits on uvicorn's httptools protocol and writes head and
body of a small reply in one system call. `Asgi` does the same through plain ASGI, under
any other server. `strands.Create` is one of many on a websocket. Doors know only `Line`.

Header blocks are lines ending in CRLF, made by us; what comes from a name that a caller
can choose goes through `gateway.header_safe` first.
"""

import asyncio
import contextlib
import fcntl
import sys
import termios
from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from octoplex.wire.error import CallerLeft, CallerSlow, TooLarge

UPLOAD_GAP_S = 30.0


class Line(Protocol):
    """One request and its response."""

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    """Lower-case names; repeated ones joined by a comma."""
    repeated: Sequence[tuple[bytes, bytes]]
    """Every line of the repeated ones: two credentials that differ must be seen as two."""
    proof: bytes | None
    """The hash of its secret, once somebody asked for it; the next request may have the same."""
    gone: bool
    """The caller has closed the connection; the task that answers it was cancelled."""

    def ready(self, cap: int) -> bytes | None:
        """The whole body if it is here already and within the cap."""
        ...

    async def piece(self) -> bytes:
        """What has come of the body since it was last asked; b"" at its end.

        Nothing more is taken from the caller than what was asked for, nearly.

        Raises:
            CallerSlow: nothing came for 30 s.
            CallerLeft: the caller went away before its end.
        """
        ...

    async def whole(self, status: int, block: bytes, body: bytes) -> None:
        """Send a complete response."""
        ...

    async def write(self, data: bytes, block: bytes | None, last: bool) -> None:
        """Send a piece of a stream; `block` is the head, with the first piece only.

        Waits while the caller reads more slowly than we write.
        """
        ...

    def cut(self) -> None:
        """Break the response off, so that nobody takes it for a whole one: the caller is gone."""
        ...

    def stop(self, why: str) -> None:
        """Cancel what answers it; see `why_cancelled`."""
        ...

    @property
    def client(self) -> str:
        """The address the connection comes from."""
        ...

    @property
    def unread(self) -> int:
        """Bytes that wait for a caller who reads more slowly than we write, else 0."""
        ...


def too_large(size: int, cap: int) -> TooLarge:
    """The refusal of a body above the server's cap."""
    return TooLarge(
        f"The body has {size} bytes; this server takes {cap}. "
        "Send less, or raise `max_body` under [server]."
    )


def too_slow() -> CallerSlow:
    """The refusal of a body that stopped coming."""
    return CallerSlow(f"The body stopped arriving: nothing came for {UPLOAD_GAP_S:g} s.")


def left() -> CallerLeft:
    """What a request is called whose caller went away before its body had come."""
    return CallerLeft("The caller closed the connection before the end of the body.")


def untaken(transport: asyncio.WriteTransport) -> int:
    """Bytes written that have not reached the caller: here, and where it tells, in the kernel.

    Linux takes megabytes before it takes more, so by ours alone a slow reader stands still.
    """
    size = transport.get_write_buffer_size()
    with contextlib.suppress(OSError, AttributeError):
        descriptor = transport.get_extra_info("socket").fileno()
        queued = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
        size += int.from_bytes(queued, sys.byteorder)
    return size


class Waiting(Struct):
    """What waits for a caller, and when it last took some of it, on a monotonic clock."""

    size: int = 0
    moved_at: float = 0.0

    def look(self, size: int, now: float) -> bool:
        """See how it stands; whether anything waits."""
        if size != self.size:
            self.size, self.moved_at = size, now
        return size > 0


Pairs = list[tuple[bytes, bytes]]


def merged(pairs: Pairs) -> tuple[dict[bytes, bytes], Pairs]:
    """Headers by lower-case name, repeated ones joined; and every line of those."""
    headers: dict[bytes, bytes] = {}
    repeated: Pairs = []
    for name, value in pairs:
        put(headers, repeated, name, value)
    return headers, repeated


def put(headers: dict[bytes, bytes], repeated: Pairs, name: bytes, value: bytes) -> None:
    """Add one header line."""
    before = headers.get(name)
    if before is None:
        headers[name] = value
        return
    if not any(other == name for other, _ in repeated):
        repeated.append((name, before))
    repeated.append((name, value))
    headers[name] = before + b", " + value


class Asgi:
    """A line over plain ASGI: two messages for every response, and a task that watches."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.method, self.path = scope["method"], scope["path"]
        self.query = scope["query_string"]
        self.repeated: Sequence[tuple[bytes, bytes]]
        self.headers, self.repeated = merged(scope["headers"])
        self.client = (scope.get("client") or ("", 0))[0]
        self.gone, self.unread, self._begun = False, 0, False
        self.proof: bytes | None = None
        self._receive, self._send = receive, send
        self._task = asyncio.current_task()
        self._watch: asyncio.Task[None] | None = None

    def ready(self, cap: int) -> bytes | None:
        """Nothing is here before it is received."""
        return None

    async def piece(self) -> bytes:
        """What has come of the body since it was last asked; b"" at its end."""
        data = b""
        while not data and self._watch is None:
            try:
                async with asyncio.timeout(UPLOAD_GAP_S):
                    message = await self._receive()
            except TimeoutError:
                raise too_slow() from None
            if message["type"] == "http.disconnect":
                raise left()
            data = message.get("body", b"")
            task = asyncio.current_task()
            if not message.get("more_body") and task is not None:
                self._watch = asyncio.create_task(self._wait(task))
        return data

    async def whole(self, status: int, block: bytes, body: bytes) -> None:
        """Send a complete response."""
        if self._begun:
            self.cut()
        headers = header_pairs(block)
        if status != 204:  # RFC 9110, 8.6
            headers.append((b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def write(self, data: bytes, block: bytes | None, last: bool) -> None:
        """Send a piece of a stream."""
        if block is not None:
            self._begun = True
            start = {"type": "http.response.start", "status": 200, "headers": header_pairs(block)}
            await self._send(start)
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    def stop(self, why: str) -> None:
        """Cancel the task that reads its body, or has."""
        if self._task is not None:
            self._task.cancel(why)

    def cut(self) -> None:
        """Break the response off: the server closes what ends without its last piece."""
        raise ConnectionResetError("the provider's stream broke off")

    def close(self) -> None:
        """The request is over; leaving no longer matters."""
        if self._watch is not None:
            self._watch.cancel()

    async def _wait(self, task: asyncio.Task[Any]) -> None:
        with contextlib.suppress(OSError):
            while (await self._receive())["type"] != "http.disconnect":
                pass
        self.gone = True
        task.cancel()


def header_pairs(block: bytes) -> Pairs:
    """The lines of a header block."""
    pairs = (line.partition(b": ") for line in block.split(b"\r\n") if line)
    return [(name, value) for name, _, value in pairs]
