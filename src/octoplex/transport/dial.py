"""Open a connection: name, TCP, proxy, TLS, all within one limit.

Addresses are raced as in RFC 8305: the next one starts 250 ms after the one before, or at
once when that failed; the first that connects wins. TLS is always verified against the
context that was handed in, with the origin's name, also behind a proxy.

Runs in the task of the request that needs the connection, so that a caller who leaves
stops it; the racing tasks live no longer than the race. Sockets are made by the event loop
and never handed to it: uvloop closes a descriptor it was given when it is cancelled at the
wrong moment, and the number may by then be somebody else's file.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable

from octoplex.transport.connection import Connection
from octoplex.transport.origin import Origin, Proxy
from octoplex.transport.resolve import Address, Resolver
from octoplex.wire.error import Next, UpstreamUnreachable

NEXT_ADDRESS_S = 0.25
_PROXY_HEAD = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")

Make = Callable[[], Connection]


class Dialer:
    """Opens connections for a client."""

    __slots__ = ("_context", "_loop", "resolver")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ssl.SSLContext,
        resolver: Resolver | None = None,
    ) -> None:
        self._loop, self._context = loop, context
        self.resolver = resolver or Resolver(loop)

    async def dial(self, origin: Origin, make: Make) -> Connection:
        """Connect to `origin`.

        Raises:
            UpstreamUnreachable: no connection; `next` is "target" where trying the same
                target again is pointless.
        """
        via = origin.proxy
        host, port = (via.host, via.port) if via else (origin.host, origin.port)
        try:
            addresses = await self.resolver.lookup(host, port)
            if len(addresses) == 1:
                return await self._open(addresses[0], origin, make)
            return await self._race(addresses, origin, make)
        except UpstreamUnreachable as error:
            error.args = (str(error).replace(host, origin.called or host),)
            raise
        except ssl.SSLCertVerificationError as error:
            raise _unreachable(origin, f"TLS: {error.verify_message}", "target") from None
        except ssl.SSLError as error:
            why = error.reason or str(error)
            raise _unreachable(origin, f"TLS failed: {why}", "target") from None
        except ConnectionRefusedError:
            raise _unreachable(origin, "connection refused") from None
        except OSError as error:
            raise _unreachable(origin, error.strerror or str(error)) from None

    async def _race(self, addresses: list[Address], origin: Origin, make: Make) -> Connection:
        waiting = list(reversed(addresses))
        running: set[asyncio.Task[Connection]] = set()
        failure: BaseException = OSError("no address")
        try:
            while waiting or running:
                if waiting:
                    running.add(self._loop.create_task(self._open(waiting.pop(), origin, make)))
                done, running = await asyncio.wait(
                    running,
                    timeout=NEXT_ADDRESS_S if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                won = [task.result() for task in done if task.exception() is None]
                for spare in won[1:]:
                    spare.abort()
                if won:
                    return won[0]
                failure = next((e for task in done if (e := task.exception())), failure)
            raise failure
        finally:
            await _stop(running)

    async def _open(self, address: Address, origin: Origin, make: Make) -> Connection:
        family, where = address
        secure = origin.scheme == "https"
        if origin.proxy is not None and secure:
            return await self._tunnel(address, origin, make)
        _, connection = await self._loop.create_connection(
            make,
            where[0],
            where[1],
            family=family,
            ssl=self._context if secure else None,
            server_hostname=origin.host if secure else None,
        )
        return connection

    async def _tunnel(self, address: Address, origin: Origin, make: Make) -> Connection:
        """Ask the proxy for a tunnel (RFC 9110 9.3.6), then speak TLS through it."""
        family, where = address
        assert origin.proxy is not None
        transport, asking = await self._loop.create_connection(
            lambda: _Connect(self._loop), where[0], where[1], family=family
        )
        try:
            transport.write(_connect_head(origin, origin.proxy))
            if problem := await asking.answered:
                which = "" if origin.called else f"{origin.proxy.host}:{origin.proxy.port} "
                why = f"the proxy {which}{problem}"
                raise _unreachable(origin, why, "target")
            connection = make()
            secured = await self._loop.start_tls(
                transport, connection, self._context, server_hostname=origin.host
            )
        except BaseException:
            transport.abort()
            raise
        if secured is None:  # asyncio: the connection went away during the handshake
            raise ConnectionResetError("the connection was closed during the handshake")
        connection.connection_made(secured)
        return connection


class _Connect(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT. `answered` is what is wrong with it, or ""."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answered: asyncio.Future[str] = loop.create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" not in self._head:
            if len(self._head) > _PROXY_HEAD:
                self._answer("gave no answer to CONNECT")
            return
        status = _STATUS.match(self._head)
        # No TLS server speaks before its client: bytes after the head are not from one.
        if status is None or status[1][:1] != b"2" or self._head[-4:] != b"\r\n\r\n":
            code = status[1].decode() if status else "not HTTP"
            self._answer(f"refused the tunnel ({code})")
        else:
            self._answer("")

    def connection_lost(self, exc: Exception | None) -> None:
        self._answer("gave no answer to CONNECT")

    def _answer(self, problem: str) -> None:
        if not self.answered.done():
            self.answered.set_result(problem)


def _connect_head(origin: Origin, via: Proxy) -> bytes:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    where = f"{host}:{origin.port}"
    return f"CONNECT {where} HTTP/1.1\r\nhost: {where}\r\n".encode() + via.auth + b"\r\n"


async def _stop(tasks: set[asyncio.Task[Connection]]) -> None:
    """End the losers of a race and close what they opened."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Connection):
            with contextlib.suppress(OSError):
                result.abort()


def _unreachable(origin: Origin, why: str, then: Next | None = None) -> UpstreamUnreachable:
    error = UpstreamUnreachable(f"Cannot reach {origin.name}: {why}")
    if then is not None:
        error.next = then
    return error
