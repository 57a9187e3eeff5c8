"""A caller on a bare socket: it sends exactly these bytes and keeps everything that comes back.

    reply = await ask(port, "POST", "/v1/chat/completions", body, headers)
    async with Line(port) as line:            # a connection to do odd things with
        line.send(request(...)); await line.head(); await line.piece()

Nothing here knows the code under test. A reply's `pieces` are (time, bytes) as they came
off the wire; `complete` says that it ended by its own framing.
"""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

WAIT_S = 15.0


@dataclass
class Reply:
    """A response. Header names in lower case; repeated ones are joined by a comma."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    complete: bool = False
    raw: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str, str]]:
        return events(self.body)


def request(
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Iterable[tuple[str, str]] = (),
    version: str = "1.1",
) -> bytes:
    """The bytes of a request; `host` is localhost unless given."""
    pairs = list(headers)
    names = {name.lower() for name, _ in pairs}
    if "host" not in names:
        pairs.insert(0, ("host", "localhost"))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("content-length", str(len(body))))
    lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    return f"{method} {path} HTTP/{version}\r\n{lines}\r\n".encode("latin-1") + (body or b"")


class Line:
    """One connection to the gateway."""

    def __init__(self, port: int, small: bool = False) -> None:
        self.port, self._small = port, small

    async def __aenter__(self) -> "Line":
        sock = socket.socket()
        if self._small:  # a caller that reads slowly must not hide behind the kernel's buffers
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        self.reader, self.writer = await asyncio.open_connection(
            sock=sock, limit=4096 if self._small else 1 << 20
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def leave(self, hard: bool = False) -> None:
        """Hang up; `hard`: with a reset."""
        if hard and not self.writer.transport.is_closing():
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def head(self) -> Reply:
        """The status line and headers."""
        async with asyncio.timeout(WAIT_S):
            data = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon, f"not a header: {line!r}"
            before = headers.get(name.lower())
            headers[name.lower()] = value.strip() if before is None else f"{before}, {value}"
        return Reply(int(first.split()[1]), headers, raw=data)

    async def piece(self) -> bytes:
        """The next chunk of a chunked body; b"" at its end."""
        async with asyncio.timeout(WAIT_S):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = await self.reader.readexactly(size + 2)
        return data[:-2]

    async def until(self, words: bytes) -> bytes:
        """Pieces until `words` have come."""
        got = b""
        while words not in got:
            piece = await self.piece()
            assert piece, f"{words!r} never came in {got!r}"
            got += piece
        return got

    async def reply(self, *, body: bool = True) -> Reply:
        """A whole reply, however it is framed. A cut one is given with `complete` False."""
        reply = await self.head()
        if reply.status == 100:
            reply = await self.head()
        await self.rest(reply, body=body)
        return reply

    async def rest(self, reply: Reply, *, body: bool = True) -> None:
        """Read the body of a reply whose head was read."""
        now = asyncio.get_running_loop().time
        try:
            if reply.headers.get("transfer-encoding") == "chunked":
                while piece := await self.piece():
                    reply.pieces.append((now(), piece))
            elif body and "content-length" in reply.headers:
                async with asyncio.timeout(WAIT_S):
                    data = await self.reader.readexactly(int(reply.headers["content-length"]))
                reply.pieces.append((now(), data))
            elif body:
                async with asyncio.timeout(WAIT_S):
                    reply.pieces.append((now(), await self.reader.read(-1)))
            reply.complete = True
        except (asyncio.IncompleteReadError, ConnectionError):
            reply.complete = False
        reply.body = b"".join(piece for _, piece in reply.pieces)
        reply.raw += reply.body

    async def ended(self) -> bytes:
        """What comes until the other side closes."""
        async with asyncio.timeout(WAIT_S):
            try:
                return await self.reader.read(-1)
            except ConnectionError:
                return b""


async def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> Reply:
    """One request on its own connection."""
    async with Line(port) as line:
        line.send(request(method, path, body, [*headers, ("connection", "close")]))
        return await line.reply(body=method != "HEAD")


def events(wire: bytes) -> list[tuple[str, str]]:
    """(event name, data) of a stream, read as the standard has it; comments are left out.

    https://html.spec.whatwg.org/multipage/server-sent-events.html
    """
    text = wire.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found: list[tuple[str, str]] = []
    name, data = "", list[str]()
    for line in text.split("\n"):
        if not line:
            if data:
                found.append((name, "\n".join(data)))
            name, data = "", []
            continue
        label, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if label == "data":
            data.append(value)
        elif label == "event":
            name = value
    return found


def canonical(wire: bytes) -> bytes:
    """The same events in the plain form that the grammar checkers read."""
    pairs = events(wire)
    return b"".join(
        (f"event: {name}\n" if name else "").encode()
        + b"data: %b\n\n" % data.replace("\n", " ").encode()
        for name, data in pairs
    )


def comments(wire: bytes) -> list[str]:
    """The comment lines of a stream."""
    lines = wire.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line[1:].strip() for line in lines if line.startswith(":")]
