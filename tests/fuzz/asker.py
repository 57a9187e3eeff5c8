"""The server's reader of requests: uvicorn's protocol with ours in it, without a socket.

The app behind it says back what it understood. What goes out must be HTTP, an answer for
every request; nothing may raise, and nothing may be left when the connection is gone.
"""

import asyncio
import re
from typing import Any

import uvicorn
from msgspec import Struct
from uvicorn.server import ServerState

from octoplex.server.line import Line, too_large
from octoplex.server.protocol import DoorProtocol
from octoplex.wire.error import CallerLeft, GatewayError
from tests.fuzz.parts import Given

CAP = 512
STATUS = re.compile(rb"HTTP/1\.1 \d{3} [^\r\n]*")
FIELD = re.compile(rb"[a-z-]+: [^\r\n]*")
TURNS = 6
"""Turns of the event loop after which a connection in which nothing happens has come to rest."""


class Understood(Struct, frozen=True):
    """One request."""

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes


class Echo:
    """An app that answers every request with the size of its body, whole or as a stream."""

    def __init__(self) -> None:
        self.usual: dict[tuple[bytes, bytes], tuple[str, str, bytes]] = {}
        self.websockets = frozenset[str]()
        self.methods: list[str] = []
        self.seen: list[Understood] = []

    async def serve(self, line: Line) -> None:
        """Answer one request."""
        self.methods.append(line.method)
        try:
            body = await _body(line)
        except GatewayError as error:
            if not isinstance(error, CallerLeft):
                await line.whole(error.status, b"", b"{}")
            return
        asked = Understood(line.method, line.path, line.query, line.headers, body)
        self.seen.append(asked)
        said = b"%d" % len(body)
        if line.path.endswith("s") and line.method != "HEAD":
            await line.write(said, b"content-type: text/event-stream\r\n", False)
            await line.write(b"", None, True)
        else:
            await line.whole(200, b"content-type: text/plain\r\n", said)


async def _body(line: Line) -> bytes:
    """All of it, in pieces where it is not here yet."""
    body = line.ready(CAP)
    if body is not None:
        return body
    pieces: list[bytes] = []
    while piece := await line.piece():
        pieces.append(piece)
        if sum(map(len, pieces)) > CAP:
            raise too_large(sum(map(len, pieces)), CAP)
    return b"".join(pieces)


class Socket(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.wrote = bytearray()
        self.closing = self.eof = False

    def write(self, data: Any) -> None:
        assert not self.eof, "written after the end"
        if not self.closing:
            self.wrote += data

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def replies(wire: bytes, methods: list[str]) -> int:
    """Read all that went out; how many replies it holds. Raise AssertionError if it is no HTTP."""
    at = count = 0
    while at < len(wire):
        end = wire.find(b"\r\n\r\n", at)
        assert end >= 0, "half a head"
        status, *lines = wire[at:end].split(b"\r\n")
        assert STATUS.fullmatch(status), status
        assert all(FIELD.fullmatch(line) for line in lines), lines
        at = end + 4
        if b" 100 " in status:
            continue
        headers = dict(line.split(b": ", 1) for line in lines)
        if b"content-length" in headers:
            size = int(headers[b"content-length"])
            is_head = methods[count : count + 1] == ["HEAD"]
            at += 0 if is_head and len(wire) != at + size else size
        elif b"transfer-encoding" in headers:
            at = wire.index(b"\r\n0\r\n\r\n", at) + 7
        else:
            at = len(wire)
        count += 1
    assert at == len(wire), "half a body"
    return count


class Asked:
    """The target, with its event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(self._raised)
        self.raised: list[Any] = []
        self.config = uvicorn.Config(Echo(), lifespan="off", log_config=None, ws="none")  # type: ignore[arg-type]
        self.config.load()

    def _raised(self, loop: Any, context: dict[str, Any]) -> None:
        self.raised.append(context)

    def __call__(self, one: Given) -> None:
        """What is understood does not depend on where the bytes were cut.

        The choice is how often all of it comes: heads that come again are known.
        """
        times = 1 + one.choice % 8
        many = self.loop.run_until_complete(self._connection(one.pieces * times))
        once = self.loop.run_until_complete(self._connection([one.wire] * times))
        assert many == once, (many, once)

    async def _connection(self, pieces: list[bytes]) -> list[Understood]:
        app = Echo()
        self.config.loaded_app = app  # type: ignore[assignment]
        protocol = DoorProtocol(self.config, ServerState(), {}, self.loop)
        socket = Socket()
        protocol.connection_made(socket)
        for piece in pieces:
            if socket.closing:
                break
            protocol.data_received(piece)
            await self._rest(app, socket)
        assert replies(bytes(socket.wrote), app.methods) <= len(app.methods) + 1
        protocol.connection_lost(None)
        await self._rest(app, socket)
        assert not self.raised, self.raised
        assert not protocol.tasks, "a request outlived its connection"
        assert not protocol.connections
        assert protocol.line is None
        assert not protocol.waiting
        return app.seen

    async def _rest(self, app: Echo, socket: Socket) -> None:
        """Let the loop turn until nothing has happened for a few turns."""
        still, before = 0, (-1, -1)
        while still < TURNS:
            await asyncio.sleep(0)
            now = (len(app.methods), len(socket.wrote))
            still, before = (still + 1 if now == before else 0), now
