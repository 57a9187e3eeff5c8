"""The client's HTTP/1.1 reply reader, between a connection and a response, without a socket."""

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from octoplex.transport.connection import Caps, Connection
from octoplex.transport.response import Fault, Response
from octoplex.transport.wheel import Wheel
from tests.fuzz.parts import Given, run, weight

SMALL = Caps(head_bytes=256, headers=4, body_bytes=512, unread_bytes=128, inflated_bytes=256)
FOLLOW = "Bytes follow"
ROOM = 16 * 1024


class Loop(asyncio.AbstractEventLoop):
    """A clock that stands still, and what is to be called in the next turn."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], object]] = []

    def time(self) -> float:
        return 1.0

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        self.soon.append(lambda: callback(*args))

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return None

    def turn(self) -> None:
        """Do what was put off."""
        soon, self.soon = self.soon, []
        for call in soon:
            call()


class Home:
    """Where the connection belongs: says whether it came back clean."""

    def __init__(self, loop: Loop, caps: Caps) -> None:
        self.caps, self.wheel = caps, Wheel(loop)
        self.names: dict[bytes, str] = {}
        self.released = self.gone = 0

    def release(self, connection: Connection) -> None:
        self.released += 1

    def lost(self, connection: Connection) -> None:
        self.gone += 1


class Socket(asyncio.Transport):
    """A transport that takes everything."""

    def __init__(self) -> None:
        self.closing = False

    def write(self, data: Any) -> None: ...

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Got(Struct):
    """What a reply was."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool
    fault: Fault | None
    clean: bool


def got(pieces: list[bytes], caps: Caps, *, head: bool, reset: bool) -> Got:
    """Feed a connection, and close it; every reply ends, and ends once."""
    loop = Loop()
    home, socket = Home(loop, caps), Socket()
    connection = Connection(home, "host", loop)
    connection.connection_made(socket)
    reply = Response("host", 9.0, 9.0, 1.0)
    connection.begin(reply, b"GET / HTTP/1.1\r\n\r\n", 1.0, head)
    body = b""
    for piece in pieces:
        if socket.closing:
            break
        connection.data_received(piece)
        loop.turn()
        if reply.streaming and reply.unread:
            body += run(reply.read())
        most = caps.head_bytes + caps.body_bytes + caps.inflated_bytes
        assert weight([reply.headers, reply._chunks, reply.body]) <= most + ROOM
    connection.connection_lost(ConnectionResetError() if reset else None)
    loop.turn()
    if reply.streaming and reply.unread:
        body += run(reply.read())
    assert reply.complete != (reply.fault is not None), "a reply is whole, or has a fault"
    assert home.gone == 1
    assert not home.wheel.waiting
    assert home.released <= reply.complete
    assert len(reply.body or b"") <= caps.body_bytes
    return Got(
        reply.status,
        reply.headers,
        reply.body or body,
        reply.complete,
        reply.fault,
        bool(home.released),
    )


def reply_reader_target(one: Given) -> None:
    """The choice: the request was HEAD, the connection ends with a reset, small caps."""
    head, reset, small = bool(one.choice & 1), bool(one.choice & 2), bool(one.choice & 4)
    caps = SMALL if small else Caps()
    many = got(one.pieces, caps, head=head, reset=reset)
    once = got([one.wire], caps, head=head, reset=reset)
    if small or FOLLOW in f"{many.fault}{once.fault}":
        return  # a cap, or what follows a reply, is seen where the bytes were cut
    assert many.complete == once.complete, (many, once)
    if many.complete:
        assert (many.status, many.headers, many.body) == (once.status, once.headers, once.body)
