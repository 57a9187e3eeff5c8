"""A provider that does exactly what a test says, byte by byte, on a real socket.

    async with Upstream(says(b"{}"), reset()) as up:
        ... # the first request gets {}, the second and all later ones a reset
    assert [e.billed for e in up.book] == [...]

A *play* is an async function of one `Exchange`; plays are used in the order in which
requests arrive, the last one for ever. A connection stays open after a play unless the play
closed it. `Upstream.book` is the provider's own book: an entry per request that was read in
full, with its bytes, what it billed, and when the caller's side closed.

Times are on the event loop's clock. Nothing here knows the code under test.
"""

import asyncio
import contextlib
import os
import re
import socket
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)


@dataclass
class Entry:
    """One request in the provider's book. `billed` is (input, output) tokens, or None."""

    id: int
    connection: int
    head: bytes
    body: bytes
    received_at: float
    billed: tuple[int, int] | None = None
    sent: int = 0
    closed_at: float | None = None
    done: bool = False
    """The play ran to its end."""

    @property
    def data(self) -> bytes:
        return self.head + self.body

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def target(self) -> bytes:
        return self.head.split(b" ", 2)[1]

    @property
    def headers(self) -> dict[bytes, bytes]:
        lines = self.head.split(b"\r\n")[1:]
        pairs = (line.partition(b":") for line in lines if line)
        return {name.lower(): value.strip() for name, _, value in pairs}


class Exchange:
    """What a play can do with its request's connection."""

    def __init__(self, entry: Entry, wire: "_Wire") -> None:
        self.entry, self._wire = entry, wire
        self.gone = wire.gone
        """Set when the connection is closed, by whoever."""

    def send(self, data: bytes) -> None:
        """Write bytes as they are, in one go."""
        self.entry.sent += len(data)
        self._wire.transport.write(data)

    def chunk(self, data: bytes) -> None:
        """Write one chunk of a chunked body."""
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def flushed(self) -> None:
        """Wait until the caller's side has taken what was sent (back-pressure)."""
        await asyncio.sleep(0)  # a play that only writes must see it when the caller leaves
        await self._wire.flushed()

    def buffered(self) -> int:
        """Bytes that the kernel would not take yet."""
        return self._wire.transport.get_write_buffer_size()

    def bill(self, input_tokens: int, output_tokens: int) -> None:
        """Write what this request costs into the book."""
        self.entry.billed = (input_tokens, output_tokens)

    def reset(self) -> None:
        """Close with a TCP reset (SO_LINGER 0)."""
        self._wire.reset()

    def close(self) -> None:
        """Close politely after what was sent."""
        self._wire.transport.close()

    async def stall(self) -> None:
        """Say nothing more until the caller's side closes."""
        await self.gone.wait()

    async def drip(self, data: bytes, gap_s: float) -> None:
        """Send byte by byte."""
        for i in range(len(data)):
            if self.gone.is_set():
                return
            self.send(data[i : i + 1])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.gone.wait(), gap_s)


Play = Callable[[Exchange], Awaitable[None]]


def head(status: int, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A status line and headers, with the blank line."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode("latin-1")


def says(
    body: bytes,
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (("content-type", "application/json"),),
    billed: tuple[int, int] | None = None,
) -> Play:
    """A whole reply with its content-length."""

    async def play(exchange: Exchange) -> None:
        if billed is not None:
            exchange.bill(*billed)
        lines = [*headers, ("content-length", str(len(body)))]
        exchange.send(head(status, lines) + body)

    return play


def streams(
    chunks: Iterable[bytes],
    end: str = "done",
    content_type: str = "text/event-stream",
    billed: tuple[int, int] | None = None,
) -> Play:
    """A chunked stream. `end`: done, close (no last chunk), reset, stall."""

    async def play(exchange: Exchange) -> None:
        if billed is not None:
            exchange.bill(*billed)
        exchange.send(head(200, [("content-type", content_type), ("transfer-encoding", "chunked")]))
        for chunk in chunks:
            await exchange.flushed()
            if exchange.gone.is_set():
                return
            exchange.chunk(chunk)
            await asyncio.sleep(0)
        if end == "done":
            exchange.send(b"0\r\n\r\n")
        elif end == "close":
            exchange.close()
        elif end == "reset":
            await exchange.flushed()
            await asyncio.sleep(0.01)  # let the bytes be read: a reset overtakes them
            exchange.reset()
        else:
            await exchange.stall()

    return play


def raw(data: bytes, end: str = "keep") -> Play:
    """These bytes, then keep, close, reset or stall."""

    async def play(exchange: Exchange) -> None:
        if data:
            exchange.send(data)
        if end == "close":
            exchange.close()
        elif end == "reset":
            if data:
                await asyncio.sleep(0.01)
            exchange.reset()
        elif end == "stall":
            await exchange.stall()

    return play


def reset() -> Play:
    """A reset before any reply."""
    return raw(b"", "reset")


def stalls() -> Play:
    """Not a byte."""
    return raw(b"", "stall")


class Upstream:
    """The server. `early` starts a play when the head is read, without waiting for the body.

    Entered again after its end it listens where it did.
    """

    def __init__(
        self, *plays: Play, tls: ssl.SSLContext | None = None, early: bool = False
    ) -> None:
        self.plays = deque(plays)
        self.book: list[Entry] = []
        self.connections = 0
        self.early = early
        self._tls = tls
        self._wires: set[_Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> "Upstream":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Wire(self), "127.0.0.1", self.port, ssl=self._tls, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for wire in list(self._wires):
            wire.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._wires)

    def next_play(self) -> Play:
        return self.plays.popleft() if len(self.plays) > 1 else self.plays[0]

    def drop_idle(self, *, hard: bool = False) -> None:
        """Close every connection this instant, before the event loop can tell the other side.

        This is how a kept-alive connection goes stale. `hard`: with a reset and no FIN.
        """
        for wire in list(self._wires):
            wire.drop(hard=hard)

    def started(self, wire: "_Wire") -> None:
        self.connections += 1
        wire.number = self.connections
        self._wires.add(wire)

    def ended(self, wire: "_Wire") -> None:
        self._wires.discard(wire)

    def own(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@dataclass(eq=False)
class _Wire(asyncio.Protocol):
    """One connection: reads requests, plays them one after another."""

    server: Upstream
    number: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    _got: bytearray = field(default_factory=bytearray)
    _playing: Entry | None = None
    _writable: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._writable.set()
        self.server.started(self)

    def data_received(self, data: bytes) -> None:
        self._got += data
        self._next()

    def eof_received(self) -> bool:
        self._close_entry()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._close_entry()
        self.gone.set()
        self._writable.set()
        self.server.ended(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def flushed(self) -> None:
        await self._writable.wait()

    def reset(self) -> None:
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def drop(self, *, hard: bool) -> None:
        sock = self.transport.get_extra_info("socket")
        if hard:
            # connect(AF_UNSPEC) is Linux's way to reset a connection and keep the descriptor.
            _disconnect(sock.fileno())
        else:
            with socket.socket(fileno=os.dup(sock.fileno())) as same, contextlib.suppress(OSError):
                same.shutdown(socket.SHUT_RDWR)

    def _close_entry(self) -> None:
        if self._playing is not None and self._playing.closed_at is None:
            self._playing.closed_at = asyncio.get_running_loop().time()

    def _next(self) -> None:
        if self._playing is not None:
            return
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._got[: end + 4])
        length = int(found[1]) if (found := _LENGTH.search(head)) else 0
        whole = end + 4 + length
        if len(self._got) < whole and not self.server.early:
            return
        body = bytes(self._got[end + 4 : whole])
        del self._got[:whole]
        loop = asyncio.get_running_loop()
        entry = Entry(len(self.server.book), self.number, head, body, loop.time())
        self.server.book.append(entry)
        self._playing = entry
        self.server.own(loop.create_task(self._play(entry)))

    async def _play(self, entry: Entry) -> None:
        await self.server.next_play()(Exchange(entry, self))
        entry.done = True
        if not self.gone.is_set():
            self._playing = None
            self._next()


def _disconnect(fd: int) -> None:
    import ctypes

    unspec = struct.pack("H14x", socket.AF_UNSPEC)
    ctypes.CDLL(None, use_errno=True).connect(fd, unspec, len(unspec))


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def pool_cert(name: str = "127.0.0.1") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS context for `name` and a client's that trusts its authority."""
    import trustme

    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
