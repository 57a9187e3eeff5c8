"""One HTTP/1.1 connection: parse replies, notice every reason not to use it again.

llhttp (under httptools) is strict by default: bare CR or LF, two content-lengths, folded
headers and chunk garbage are errors. On top of it this module refuses what a client should
doubt, and gives a connection back to its pool only when the reply ended exactly where its
framing said, the request was fully sent, and nothing came after it.

One reply at a time; no pipelining. A request is one `transport.write`. The owner of a
whole reply is woken once, at its end; of a stream once per read from the socket.

References: RFC 9112 (section 6.3 on body length, 9.3 on persistence); llhttp's notes on
leniency. Upgrades, trailers and HTTP/2 are not promised.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from typing import Protocol, cast

import httptools
from msgspec import Struct

from octoplex.transport.inflate import Inflater
from octoplex.transport.response import Fault, Response
from octoplex.transport.wheel import Wheel
from octoplex.wire.error import GatewayError, UpstreamBroken, UpstreamUnreachable

STREAMS = frozenset(
    {"text/event-stream", "application/x-ndjson", "application/vnd.amazon.eventstream"}
)
_TCP_INFO = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None


class Caps(Struct, frozen=True):
    """How much of a reply is taken, in bytes. `unread_bytes` is the high-water mark of a stream.

    `inflated_bytes` bounds what one read of a compressed stream may turn into.
    """

    head_bytes: int = 64 * 1024
    headers: int = 256
    body_bytes: int = 64 * 1024 * 1024
    unread_bytes: int = 256 * 1024
    inflated_bytes: int = 8 * 1024 * 1024


class Home(Protocol):
    """Where a connection belongs."""

    caps: Caps
    wheel: Wheel
    names: dict[bytes, str]
    """Header names in lower case, shared so that each is decoded once."""

    def release(self, connection: "Connection") -> None:
        """Take it back: it is clean."""
        ...

    def lost(self, connection: "Connection") -> None:
        """Forget it: it is gone."""
        ...


class Connection(asyncio.Protocol):
    """A socket, its parser, and the exchange that is on it now."""

    __slots__ = (
        "_bodyless",
        "_caps",
        "_digits",
        "_done",
        "_headers",
        "_home",
        "_inflater",
        "_interim",
        "_keep",
        "_loop",
        "_most_bytes",
        "_names",
        "_parser",
        "_paused",
        "_received",
        "_repeats",
        "_response",
        "_size",
        "_transport",
        "_until_close",
        "_wheel",
        "begun_at",
        "host",
        "idle_at",
        "uses",
    )

    def __init__(self, home: Home, host: str, loop: asyncio.AbstractEventLoop) -> None:
        self._home, self.host, self._loop = home, host, loop
        self._names, self._wheel, self._caps = home.names, home.wheel, home.caps
        self._most_bytes = home.caps.body_bytes
        self._digits = len(str(home.caps.body_bytes))
        """A length with fewer is below the cap."""
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._response: Response | None = None
        self._headers: dict[str, str] | None = None
        self._inflater: Inflater | None = None
        self._bodyless = self._done = self._interim = self._keep = False
        self._paused = self._until_close = False
        self._received = self._repeats = self._size = 0
        self.begun_at = self.idle_at = 0.0
        self.uses = 0

    # For the client.

    def begin(self, response: Response, wire: bytes, now: float, bodyless: bool) -> None:
        """Send a request; its reply goes into `response`. `bodyless`: the method is HEAD."""
        transport = self._transport
        assert transport is not None
        self._response = response
        response.line = self
        self._headers = response.headers
        self._bodyless = bodyless
        self._received = self._repeats = self._size = 0
        self._done = False
        self.begun_at = now
        self.uses += 1
        self._wheel.add(response)
        transport.write(wire)

    def is_usable(self) -> bool:
        """Whether a request may be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Close at once; the other side sees it now."""
        if self._transport is not None:
            self._transport.abort()

    # For the response on it.

    def fail(self, fault: Fault) -> None:
        """End the exchange with this cause and abort."""
        self._end(fault)
        self.abort()

    def resume(self) -> None:
        """Read on after a pause."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    # For the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with a fresh parser, and have the kernel notice a peer that is gone."""
        self._transport = cast(asyncio.Transport, transport)
        _keep_alive(transport.get_extra_info("socket"))
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        """Parse, then wake who waits, once."""
        response, parser = self._response, self._parser
        if response is None or parser is None:
            self.abort()  # nobody asked: this connection cannot be trusted with a next request
            return
        self._received += len(data)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._done:
                self._broken(error)
                return
            self._keep = False  # bytes after the end
            if "content-length" in response.headers and not response.streaming:
                self._broken(UpstreamBroken("Bytes follow a reply that should have ended"))
                return
        if self._done:
            self._finish(response)
        elif response.phase == "head":
            if self._received > self._caps.head_bytes:
                self._broken(UpstreamBroken("The reply's headers are above their cap"))
        elif response.streaming:
            if response.unread > self._caps.unread_bytes and not self._paused:
                self._pause()
            response.wake_soon(self._loop)
        else:
            response.expires_at = self._loop.time() + response.idle_s

    def connection_lost(self, exc: Exception | None) -> None:
        """Say what that means for the exchange, unless a cause is known."""
        response = self._response
        if response is not None:
            if self._until_close and exc is None:
                self._close_ended(response)
            else:
                self._end(self._loss(response, exc))
        self._transport = self._parser = None
        self._home.lost(self)

    # For the parser.

    def on_message_begin(self) -> None:
        """A message starts; a second one after the reply was not asked for."""
        if self._done:
            raise UpstreamBroken("Bytes follow a reply that should have ended")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; repeated ones are joined."""
        key = self._names.get(name) or self._learn(name)
        headers = self._headers
        if headers is None:
            self._skip_trailer()
        elif key in headers:
            self._repeats += 1
            headers[key] += ", " + value.decode("latin-1")
        else:
            headers[key] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Decide how the body ends and who waits for what."""
        parser, response = self._parser, self._response
        assert parser is not None
        assert response is not None
        headers = response.headers
        status = parser.get_status_code()
        if status < 200:
            self._skip_interim(status)
            return
        caps = self._caps
        size = self._received  # no smaller than the head, nearly always small enough
        if size > caps.head_bytes or len(headers) + self._repeats > caps.headers:
            self._check_head(headers)
        response.status = status
        length = headers.get("content-length", "")
        if not 0 < len(length) < self._digits or "transfer-encoding" in headers:
            self._frame(status, headers)
        self._headers = None
        if "content-encoding" in headers and headers["content-encoding"] != "identity":
            self._inflater = Inflater(headers["content-encoding"])
        if status < 300:
            kind = headers.get("content-type", "")
            if response.in_pieces:
                response.streaming = True
            elif kind != "application/json":
                response.streaming = kind.partition(";")[0].strip().lower() in STREAMS
        response.phase = "first"
        if self._bodyless:
            self._done, self._keep = True, False

    def on_body(self, data: bytes) -> None:
        """Take body bytes within the caps."""
        response = self._response
        if response is None or self._bodyless:
            return
        if response.phase == "first":
            response.phase = "body"
            if response.streaming:
                response.expires_at = self._loop.time() + response.idle_s
        if self._inflater is not None:
            caps = self._caps
            room = caps.body_bytes - self._size
            if response.streaming:
                room = caps.inflated_bytes - response.unread
            data = self._inflater.feed(data, room)
            if not data:
                return
        self._size = size = self._size + len(data)
        if size > self._most_bytes and not response.streaming:
            raise UpstreamBroken(f"The reply is above the cap of {self._most_bytes} bytes")
        response.put(data)

    def on_message_complete(self) -> None:
        """The reply ended by its own framing."""
        if self._interim:
            self._interim = False
            if self._headers is not None:
                self._headers.clear()
            return
        if self._inflater is not None:
            self._inflater.end()
        self._done = True
        parser, response = self._parser, self._response
        assert parser is not None
        assert response is not None
        self._keep = parser.should_keep_alive() and not self._bodyless
        if self._keep and "connection" in response.headers:
            self._keep = parser.get_http_version() == "1.1"

    # Inner parts.

    def _check_head(self, headers: dict[str, str]) -> None:
        caps = self._caps
        if len(headers) + self._repeats > caps.headers:
            raise UpstreamBroken(f"The reply has more than {caps.headers} headers")
        if sum(len(n) + len(v) + 4 for n, v in headers.items()) > caps.head_bytes:
            raise UpstreamBroken("The reply's headers are above their cap")

    def _frame(self, status: int, headers: dict[str, str]) -> None:
        """Refuse doubtful framing; note a body that only the closing ends."""
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise UpstreamBroken(f"The reply is framed by transfer-encoding {coding[:40]!r}")
        elif length is None:
            self._until_close = status not in (204, 304) and not self._bodyless
        elif len(length) > 18 or (
            int(length) > self._caps.body_bytes
            and not (self._response is not None and self._response.in_pieces and status < 300)
        ):
            raise UpstreamBroken(f"A reply of {length[:40]} bytes is above the cap")

    def _skip_interim(self, status: int) -> None:
        """100 and 103 announce the reply; 101 would be another protocol."""
        if status == 101:
            raise UpstreamBroken("The provider switched protocols although nobody asked")
        self._interim = True

    def _skip_trailer(self) -> None:
        """Fields after the body are not headers and are not kept."""
        self._repeats += 1
        if self._repeats > self._caps.headers:
            raise UpstreamBroken("The reply has too many trailers")

    def _learn(self, name: bytes) -> str:
        """Decode a header name; remember it while there is room."""
        key = name.decode("latin-1").lower()
        if len(self._names) < 1024:
            self._names[name] = key
        return key

    def _pause(self) -> None:
        if self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _finish(self, response: Response) -> None:
        """The reply is whole: give the connection back, then wake its owner."""
        transport = self._transport
        self._response = self._inflater = None
        self._wheel.discard(response)
        response.finish()
        if self._keep and transport is not None and not transport.get_write_buffer_size():
            if self._paused:
                self.resume()
            self._home.release(self)
        else:
            self.abort()
        response.wake()

    def _close_ended(self, response: Response) -> None:
        """A body without a length ends when the connection does."""
        self._keep = False
        try:
            if self._inflater is not None:
                self._inflater.end()
        except UpstreamBroken as error:
            self._broken(error)
        else:
            self._finish(response)

    def _end(self, fault: Fault) -> None:
        """The exchange failed; the first cause wins."""
        response = self._response
        if response is None:
            return
        self._response = None
        self._inflater = None
        self._wheel.discard(response)
        response.fail(fault)
        response.wake()

    def _broken(self, error: BaseException) -> None:
        """The parser, or one of our own checks inside it, refused the reply."""
        inner = error.__context__
        cause = inner if isinstance(inner, GatewayError) else error
        text = str(cause) if isinstance(cause, GatewayError) else f"malformed HTTP ({cause})"
        host = self.host if self._response is None else self._response.host
        self.fail(Fault(UpstreamBroken, f"{host}: {text}"))

    def _loss(self, response: Response, exc: Exception | None) -> Fault:
        how = "reset" if exc is not None else "closed"
        if self._received:
            return Fault(UpstreamBroken, f"{response.host} {how} the connection within a reply")
        response.stale = self.uses > 1
        reached = not response.stale or self._delivered()
        message = f"{response.host} {how} the connection before it replied"
        return Fault(UpstreamUnreachable, message, reached)

    def _delivered(self) -> bool:
        """Whether the other side's kernel acknowledged the whole request."""
        transport = self._transport
        sock = transport.get_extra_info("socket") if transport is not None else None
        if sock is None or transport is None or transport.get_write_buffer_size():
            return False
        with contextlib.suppress(OSError, ValueError):
            return _acknowledged(sock, self._loop.time() - self.begun_at)
        return False


def _keep_alive(sock: socket.socket | None) -> None:
    """Probe after 60 s of silence: a plain reply may take 600 s, a NAT forgets sooner."""
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)


def _acknowledged(sock: socket.socket, since_s: float) -> bool:
    """Ask the kernel (linux/tcp.h, `struct tcp_info`) whether what we sent last was taken.

    A server that closed an idle connection answers our request with a reset and takes
    nothing. One that read it and then closed has acknowledged it: that may be billed. Not
    told apart: one that resets within its delayed acknowledgement (40 ms) of reading.
    """
    if _TCP_INFO is None:
        return False
    told = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 256)
    if len(told) < 216:
        return False
    (idle_ms,) = struct.unpack_from("I", told, 44)
    (acked,) = struct.unpack_from("Q", told, 120)
    sent, again = struct.unpack_from("QQ", told, 200)
    if idle_ms > since_s * 1000 + 10:
        return False  # our request never left
    return bool(acked >= sent - again)
