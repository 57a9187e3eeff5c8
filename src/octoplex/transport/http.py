"""The HTTP/1.1 client: small, pooled per origin, for one event loop.

General-purpose clients cost 2 to 25 times more CPU per request (`performance.md`, 3). This
one does only what a gateway needs: a prebuilt head, one write, one wake-up for a whole
reply, no task and no timer of its own per request, and nothing left for the collector.

What a caller can rely on: `send` and `read` raise only errors of `wire/error.py` (or are
cancelled, which aborts the connection); `Request.reached` tells whether the provider may
have seen the request, also after a cancellation; redirects are replies, never followed;
a request is repeated by itself only where a reused connection turned out dead before a
single byte of a reply, and the provider's kernel had not taken the request.

References: RFC 9110, RFC 9112. HTTP/2, upgrades and cookies are not promised.
"""

import asyncio
import ssl
from typing import Protocol

from msgspec import Struct

from octoplex.transport.connection import Caps, Connection
from octoplex.transport.dial import Dialer
from octoplex.transport.origin import Origin
from octoplex.transport.pool import Bounds, Pool, Shared
from octoplex.transport.resolve import Resolver
from octoplex.transport.response import Fault, Limits, Response
from octoplex.transport.wheel import Wheel
from octoplex.wire.eager import in_task
from octoplex.wire.error import DeadlinePassed, InvalidCall, Stopping, UpstreamUnreachable
from octoplex.wire.redact import Veil

__all__ = ["Bounds", "Caps", "Client", "Limits", "Request", "Response", "Sender"]

_BODILESS = (b"GET ", b"HEAD ", b"DELETE ")


class Request(Struct):
    """One request, made for one call.

    `head` comes from `Origin.head` (once per target), `extra` from `header_block` (per
    call); neither is ever put together by hand. `idempotent`: repeating it is harmless.
    `reached` is written by the sender: some of it may have been seen, and billed.
    `in_pieces`: a good reply is a stream whatever its type, and of any size.
    `veil` takes what proves who asks out of the reply (`veiled.py`).
    """

    origin: Origin
    head: bytes
    body: bytes = b""
    extra: bytes = b""
    idempotent: bool = False
    reached: bool = False
    in_pieces: bool = False
    veil: Veil | None = None

    def wire(self) -> bytes:
        """All its bytes.

        Raises:
            InvalidCall: `extra` would end the head.
        """
        extra, body = self.extra, self.body
        if extra and (extra[-2:] != b"\r\n" or b"\r\n\r\n" in extra or extra[:1] == b"\r"):
            raise InvalidCall("Extra headers must be made by header_block")
        if body or not self.head.startswith(_BODILESS):
            length = b"content-length: %d\r\n\r\n" % len(body)
            return b"".join((self.head, extra, length, body))  # formatting all copies it twice
        return b"%b%b\r\n" % (self.head, extra)

    @property
    def bodyless(self) -> bool:
        """Whether its reply has no body whatever its head says (RFC 9112, 6.3)."""
        return not self.body and self.head.startswith(b"HEAD ")


class Sender(Protocol):
    """What the layers above need: the client, or the fake."""

    async def send(self, request: Request, limits: Limits) -> Response:
        """Send; return when a whole reply has come, or when a stream has opened."""
        ...


class Client:
    """Connections to every origin, for the event loop it was made in."""

    __slots__ = ("_closed", "_dialer", "_loop", "_pools", "_shared", "_wheel")

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        bounds: Bounds | None = None,
        caps: Caps | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        """Make a client inside a running loop. Without a context the system's roots are trusted."""
        self._loop = asyncio.get_running_loop()
        self._wheel = Wheel(self._loop)
        self._dialer = Dialer(self._loop, context or default_context(), resolver)
        self._shared = Shared(self._loop, self._wheel, bounds or Bounds(), caps or Caps(), {})
        self._pools: dict[str, Pool] = {}
        self._closed = False

    async def send(self, request: Request, limits: Limits) -> Response:
        """Send; return when a whole reply has come, or when a stream has opened.

        A stream is a 2xx reply of type text/event-stream, application/x-ndjson or
        application/vnd.amazon.eventstream; then `body` is None and `read` is for the rest.

        Raises:
            UpstreamUnreachable: no connection, or it broke before a byte of a reply.
            UpstreamBroken: a reply that cannot be trusted.
            UpstreamSlow: nothing came within `limits`.
            DeadlinePassed: `limits.deadline_at` is over.
            Stopping: the client was closed.
        """
        wire = request.wire()
        now = self._loop.time()
        if limits.deadline_at <= now:
            raise DeadlinePassed("The request's deadline had run out before it was sent")
        pool = self._pools.get(request.origin.key)
        if pool is None:
            pool = self._pools[request.origin.key] = Pool(self._shared)
        connection = pool.take()
        again = connection is not None
        while True:
            if connection is None:
                connection = await self._open(pool, request.origin, limits)
                now = self._loop.time()
            name, first_at = request.origin.name, now + limits.first_s
            response = Response(name, first_at, limits.deadline_at, limits.idle_s)
            if request.in_pieces:
                response.in_pieces = True
            if request.veil is not None:
                response.veil = request.veil
            request.reached = True
            connection.begin(response, wire, now, not request.body and request.bodyless)
            try:
                await response
            except BaseException:
                response.close()
                raise
            fault = response.fault
            if fault is None:
                return response
            if not (again and response.stale and (request.idempotent or not fault.reached)):
                raise fault.error()
            request.reached = request.idempotent
            connection, again = None, False

    def close(self) -> None:
        """Abort everything; what is under way ends with `Stopping`."""
        self._closed = True
        fault = Fault(Stopping, "The client was closed")
        for pool in self._pools.values():
            for connection in list(pool.connections):
                connection.fail(fault)
            pool.close()
        self._wheel.stop()
        self._dialer.resolver.close()

    @property
    def open_connections(self) -> int:
        """Connections open or opening, over all origins."""
        return sum(pool.places for pool in self._pools.values())

    async def _open(self, pool: Pool, origin: Origin, limits: Limits) -> Connection:
        """A connection within the limits."""
        loop = self._loop
        if self._closed:
            raise Stopping("The client was closed")
        until_at = min(loop.time() + limits.connect_s, limits.deadline_at)

        def make() -> Connection:
            return Connection(pool, origin.authority, loop)

        await in_task()
        try:
            async with asyncio.timeout_at(until_at):
                return await pool.open(lambda: self._dialer.dial(origin, make))
        except TimeoutError:
            # Not by the clock: uvloop's runs in whole milliseconds and may lag its timers.
            if until_at == limits.deadline_at:
                raise DeadlinePassed("The request's deadline ran out") from None
            full = pool.places >= self._shared.bounds.connections
            why = "all connections are in use" if full else "no connection"
            error = UpstreamUnreachable(
                f"Cannot reach {origin.name}: {why} within {limits.connect_s:g} s"
            )
            error.next = "target"
            raise error from None
        except OSError as error:
            why = error.strerror or str(error)
            raise UpstreamUnreachable(f"Cannot reach {origin.name}: {why}") from None


def default_context() -> ssl.SSLContext:
    """Verify against the system's roots (SSL_CERT_FILE and SSL_CERT_DIR are OpenSSL's own)."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
