"""Our end of a client connection: uvicorn's httptools protocol without ASGI in between.

    bytes -> llhttp (httptools) -> Direct -> App.serve(line) -> one write

Uvicorn keeps the listener, the server loop, flow control and the parser's set-up. What
is replaced is what it does per request for ASGI's sake: a scope, two events, an awaited
receive, two sends and a keep-alive timer armed and cancelled, 15-20 us in all. A request
starts when its bytes have been parsed, so that its body is usually already here.

Requests on one connection are answered in order; while one is answered, further
(pipelined) ones wait parsed, and reading pauses. A response that ends before the request's
body has been read closes the connection. References: RFC 9112; llhttp's strict mode is
what refuses doubtful framing. A request that offers a websocket where there is one (RFC 6455)
is started like any other, and its door may `switch` the connection; every other offer is
declined. HTTP/2 is not promised.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import httptools
from msgspec import Struct
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from octoplex.server import again
from octoplex.server.http1 import NOT_HTTP, STATUS, aim, check_host, wants_websocket, without_offer
from octoplex.server.line import (
    UPLOAD_GAP_S,
    Pairs,
    Waiting,
    left,
    merged,
    too_slow,
    untaken,
)  # fmt: skip
from octoplex.wire.eager import Eager, in_task

HEAD_CAP = 64 * 1024
TRIES = 4
"""Heads in a row that a connection learns although none of them came again."""
LINGER_S = 2.0
"""How long a caller that still sends is listened to after its answer (RFC 9112, 9.6)."""


class Direct(Struct, eq=False):
    """A line on our own protocol. Implements `Line`.

    `_keep`: the caller wants the connection kept; `_old`: HTTP/1.0; `_over`: answered.
    """

    _protocol: "DoorProtocol"
    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    repeated: Sequence[tuple[bytes, bytes]]
    _keep: bool
    _old: bool
    gone: bool = False
    begun: bool = False
    heard: bool = False
    """The request has come to its end."""
    _over: bool = False
    _continued: bool = False
    _size: int = 0
    _body: list[bytes] = []
    task: Eager | None = None
    proof: bytes | None = None
    _waiter: asyncio.Future[None] | None = None

    # What doors use.

    def ready(self, cap: int) -> bytes | None:
        """The whole body if it is here already and within the cap."""
        if not self.heard or self._size > cap:
            return None
        body = self._body
        return body[0] if len(body) == 1 else b"".join(body)

    async def piece(self) -> bytes:
        """What has come of the body since it was last asked; b"" at its end."""
        while not self._body and not self.heard:
            await self._more()
        data, self._body, self._size = b"".join(self._body), [], 0
        return data

    async def _more(self) -> None:
        protocol = self._protocol
        await in_task()
        if self.gone:
            raise left()
        if not self._continued and self.headers.get(b"expect", b"").lower() == b"100-continue":
            self._continued = True
            protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        protocol.flow.resume_reading()
        self._waiter = protocol.loop.create_future()
        try:
            async with asyncio.timeout(UPLOAD_GAP_S):
                await self._waiter
        except TimeoutError:
            raise too_slow() from None
        finally:
            self._waiter = None

    async def whole(self, status: int, block: bytes, body: bytes) -> None:
        """Send a complete response in one write."""
        protocol = self._protocol
        if protocol.flow.write_paused and not self.gone:  # of pipelined requests one waits for all
            await protocol.flow.drain()
        if self._over or self.gone:
            return
        if self.begun:  # a whole response would stand in the middle of a stream
            self.cut()
            return
        keep = self._keep and self.heard
        date = protocol.server_state.default_headers
        stamp = date[0][1] if date else b""
        length = b"content-length: %d\r\n" % len(body) if status != 204 else b""
        end = b"\r\n" if keep else b"connection: close\r\n\r\n"
        said = body if self.method != "HEAD" else b""
        pieces = (STATUS[status], b"date: ", stamp, b"\r\n", block, length, end, said)
        protocol.transport.write(b"".join(pieces))  # half of what one format costs
        self._end(keep)

    async def write(self, data: bytes, block: bytes | None, last: bool) -> None:
        """Send a piece of a stream, the head with the first."""
        protocol = self._protocol
        flow = protocol.flow
        if flow.write_paused and not self.gone:
            await flow.drain()
        if self._over or self.gone:
            return
        keep = self._keep and self.heard and not self._old
        pieces = [data] if self._old else [b"%x\r\n%b\r\n" % (len(data), data)] if data else []
        if block is not None:
            self.begun = True
            pieces.insert(0, self._head(block, keep))
        if last and not self._old:
            pieces.append(b"0\r\n\r\n")
        protocol.transport.write(b"".join(pieces))
        if last:
            self._end(keep)

    def _head(self, block: bytes, keep: bool) -> bytes:
        date = self._protocol.server_state.default_headers
        framing = b"" if self._old else b"transfer-encoding: chunked\r\n"
        close = b"" if keep else b"connection: close\r\n"
        stamp = date[0][1] if date else b""
        return b"%bdate: %b\r\n%b%b%b\r\n" % (STATUS[200], stamp, block, framing, close)

    def cut(self) -> None:
        """Break the response off, so that nobody takes it for a whole one."""
        self._protocol.transport.abort()

    def stop(self, why: str) -> None:
        """Cancel what answers it."""
        if self.task is not None:
            self.task.cancel(why)

    @property
    def door(self) -> "DoorProtocol | None":
        """The connection, where it may `switch`."""
        return None if self._protocol.offered is None else self._protocol

    @property
    def client(self) -> str:
        """The address the connection comes from."""
        return self._protocol.address

    @property
    def unread(self) -> int:
        """Bytes that wait for a caller who reads more slowly than we write, else 0."""
        protocol = self._protocol
        return untaken(protocol.transport) if protocol.flow.write_paused else 0

    # What the protocol uses.

    def feed(self, data: bytes) -> bool:
        """Take body bytes; True when enough waits unread to pause reading."""
        if self._over:
            return False
        self._body.append(data)
        self._size += len(data)
        if self._waiter is not None:
            self._wake()
        return self._size > HIGH_WATER_LIMIT and self._waiter is None

    def complete(self) -> None:
        """The request has ended."""
        self.heard = True
        if self._waiter is not None:
            self._wake()

    def leave(self) -> None:
        """The caller has closed the connection."""
        self.gone = True
        self._wake()
        if self.task is not None and not self._over:
            self.task.cancel()

    def learn(self, head: bytes) -> "again.Template | None":
        """The template of this request's head, if the request is whole and may be repeated."""
        length = self.headers.get(b"content-length", b"")
        return again.made(head, length) if self._keep and self.heard else None

    def repeated_with(self, body: bytes) -> "Direct":
        """A request with this one's head, but for the length, and another body."""
        self.headers[b"content-length"] = b"%d" % len(body)  # the last one has been answered
        return Direct(  # by position: kept, not old, gone or begun; heard; not over or continued
            self._protocol, self.method, self.path, self.query, self.headers, self.repeated, True,
            False, False, False, True, False, False, len(body), [body], None, self.proof,
        )  # fmt: skip

    def hang_up(self) -> None:
        """No keep-alive after this response."""
        self._keep = False

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _end(self, keep: bool) -> None:
        self._over = True
        self._body = []  # an idle connection still knows its last request
        self.task = None  # a request reachable from its own task is a reference cycle
        self._protocol.responded(keep)


class DoorProtocol(HttpToolsProtocol):
    """One client connection. `config.loaded_app` is the `App`."""

    line: Direct | None = None
    address = ""
    offered: bytes | None = None
    """What came behind a request that offers a websocket and may have one."""

    def connection_made(self, transport: Any) -> None:
        """Note who it is."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.waiting: deque[Direct] = deque()
        self.idle_at = self.loop.time()
        self.pairs: Pairs = []
        self._bodiless = 0
        """Bytes since the last head was complete or body came: of a head, or of trailers."""
        self._behind = False
        """The head began in one read with what came before: not all of it was counted."""
        self._deaf = False
        self._unsent = Waiting()
        self._between = True
        """The parser is at the end of a request, or has seen none."""
        self._known: Direct | None = None
        self._template: again.Template | None = None
        self._tries = TRIES

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the requests in progress that nobody waits for them."""
        line, self.line = self.line, None
        self._known = None  # it knows its protocol: a cycle
        vars(self).pop("_newest", None)
        super().connection_lost(exc)
        for one in (line, *self.waiting):
            if one is not None:
                one.leave()
        self.waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Parse; then start what has been parsed, its body usually with it."""
        if self._deaf:
            return
        before, between = self.line, self._between and self.line is None
        if between and self._template is not None and self._known is not None:
            body = again.body(self._template, data)
            if body is not None:
                self._tries = TRIES
                self.line = self._newest = self._known.repeated_with(body)
                self._start(self._newest)
                return
        self._bodiless += len(data)
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                rest = memoryview(data)[offer.args[0] :]
                if self._may_switch():
                    self.offered = bytes(rest)
                else:
                    self._decline(rest)
            if self._bodiless > HEAD_CAP:
                self._refuse()
        except httptools.HttpParserError:
            self._refuse()
        line = self.line
        if line is not None and line is not before:
            if between and self._tries:
                self._learn(line, data)
            self._start(line)

    def eof_received(self) -> None:
        """The caller sends no more: a request whose body lacks its end is none."""
        if self.line is not None and not self._between:
            self._refuse()

    def _learn(self, line: Direct, data: bytes) -> None:
        """Know the head of a request that came whole and alone, should it come again."""
        self._tries -= 1
        head, _, body = data.partition(b"\r\n\r\n")
        if self._between and line.ready(len(body)) == body and not self.waiting:
            self._known, self._template = line, line.learn(head + b"\r\n\r\n")

    def on_message_begin(self) -> None:
        """A request starts."""
        self._between = False
        self.url = b""
        self.pairs = []
        if not self._bodiless:
            self._behind = True

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self.pairs.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is here: this is the next request to answer, or it waits for its turn."""
        pairs, parser = self.pairs, self.parser
        if self._bodiless > HEAD_CAP or self._behind:
            if len(self.url) + sum(len(n) + len(v) + 4 for n, v in pairs) > HEAD_CAP:
                raise ValueError("the head of the request is above its cap")
            self._behind = False
        self._bodiless = 0
        headers = dict(pairs)
        repeated: Sequence[tuple[bytes, bytes]] = ()
        if len(headers) != len(pairs):
            headers, repeated = merged(pairs)
        verb, url = parser.get_method(), self.url
        method, path, query = self.app.usual.get((verb, url)) or aim(verb, url)
        old = parser.get_http_version() == "1.0"
        check_host(headers, old)
        keep = parser.should_keep_alive() and not old
        line = Direct(self, method, path, query, headers, repeated, keep, old)
        self._newest = line
        if self.line is None:
            self.line = line
        else:
            self.waiting.append(line)
            self.flow.pause_reading()

    def on_body(self, body: bytes) -> None:
        """Body bytes of the newest request."""
        self._bodiless = 0
        if self._newest.feed(body):
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """The newest request is complete. Reading goes on: that is how a leaving is noticed."""
        self._between = True
        self._newest.complete()
        if self.flow.read_paused and not self.waiting:
            self.flow.resume_reading()

    def _start(self, line: Direct) -> None:
        if not line.gone:
            line.task = Eager(self.app.serve(line), self.loop, self.tasks)
            line.task.run()

    def responded(self, keep: bool) -> None:
        """A response is complete: the next request may start."""
        line, self.line = self.line, None
        if not keep:
            self._hang_up(line is None or line.heard)
            return
        self.idle_at = self.loop.time()
        if self.waiting:
            self.line = self.waiting.popleft()
            self.loop.call_soon(self._start, self.line)  # not here: a thousand would be as deep
        if self.flow.read_paused and not self.waiting:
            self.flow.resume_reading()

    def tend(self, now: float, idle_s: float) -> None:
        """Close it when idle so long, also without a head; end it when what waits is not taken."""
        transport = self.transport
        size = untaken(transport) if transport.get_write_buffer_size() else 0
        if self._unsent.look(size, now):
            if now >= self._unsent.moved_at + self.app.quiet.unread_s:
                transport.abort()
        elif self.line is None and self.idle_at < now - idle_s:
            transport.close()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self.line is not None

    def stop(self) -> None:
        """Cancel what is being answered: the server stops."""
        if self.line is not None:
            self.line.stop("stopped")

    def shutdown(self) -> None:
        """The server stops: close when nothing is being answered, else after that."""
        if self.line is None:
            self.transport.close()
        else:
            self.line.hang_up()

    def _may_switch(self) -> bool:
        """Whether the newest request is alone, and there is the websocket that it wants."""
        line, version = self._newest, self.parser.get_http_version()
        there = line.path in self.app.websockets and self.line is line
        if not (there and wants_websocket(line.method, version, line.headers)):
            return False
        line.hang_up()  # the parser has come to its end: after a refusal too
        return True

    def switch(self, block: bytes, other: asyncio.Protocol) -> None:
        """Hand the connection to another protocol after a 101 with these header lines."""
        transport, rest, date = self.transport, self.offered, self.server_state.default_headers
        stamp = date[0][1] if date else b""
        transport.write(b"%bdate: %b\r\n%b\r\n" % (STATUS[101], stamp, block))
        self.line = self.offered = None
        self._newest.task = None  # a request reachable from its own task is a reference cycle
        self._known = None
        vars(self).pop("_newest", None)
        self.connections.discard(self)
        transport.set_protocol(other)
        other.connection_made(transport)
        if rest:
            other.data_received(rest)

    def _decline(self, rest: memoryview) -> None:
        """Go on as if no request had offered to switch protocols (RFC 9110, 7.8).

        The parser takes the offer for the end of HTTP and skips the body.
        """
        while True:
            self._parse_plainly()
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as offer:
                rest = rest[offer.args[0] :]
            else:
                return

    def _parse_plainly(self) -> None:
        """Parse the head of the newest request again without its offer."""
        line = self._newest
        if line.method == "CONNECT":
            raise httptools.HttpParserError("a tunnel was asked for")
        if self.line is line:
            self.line = None
        else:
            self.waiting.pop()
        version = self.parser.get_http_version()
        head = without_offer(line.method, self.url, version, self.pairs)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(head)

    def _refuse(self) -> None:
        """What came is no HTTP. Say so, unless an earlier request is still being answered."""
        self._deaf = True
        line = self.line
        if line is not None and (line.heard or line.begun):
            if self.waiting and not self.waiting[-1].heard:
                self.waiting.pop()
            (self.waiting[-1] if self.waiting else line).hang_up()
            return
        self.transport.write(NOT_HTTP)
        if line is not None:
            self.line = None
            line.leave()
        self._hang_up(False)

    def _hang_up(self, heard: bool) -> None:
        """Close. To close on a caller that still sends would be a reset, and cost it our answer."""
        transport = self.transport
        if heard or transport.is_closing() or not transport.can_write_eof():
            transport.close()
            return
        self._deaf = True
        self.flow.resume_reading()
        transport.write_eof()
        self.loop.call_later(LINGER_S, transport.close)
