"""The one way out: a proxy for the hosts that were allowed, outside of the sandbox.

The inside has a network of its own with nothing in it but loopback. There the launcher opens a
listening socket and hands it out to us: a connection made inside is accepted here. So nothing
runs inside for it, and no path or address of the host is shown.

- A host is allowed by name, and by port where the entry says one; an entry is a name, `*.` and a
  name, or an address. Names are looked up here, only public addresses are taken, and the very
  address that was found good is connected to (`transport/public.py`).
- `CONNECT`: the client must go on with TLS for the same name. Else it could be let through to one
  host and ask the same machine for another one's.
- Plain HTTP: one request for each connection, whose `Host` is the one that was allowed. A redirect
  is the client's to follow, and comes here again.

References: RFC 9110 section 9.3.6, RFC 9112; docs/guides/sandbox.md says what it does not stop.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import Coroutine, Iterable

from octoplex.sandbox.client_hello import NoName, may_be_hello, server_name
from octoplex.transport.public import Network, PublicResolver
from octoplex.transport.resolve import Ask
from octoplex.wire.error import BadConfig, GatewayError

_HEAD = 32 * 1024
_HELLO = 16 * 1024
_PIECES = 64
"""Records in which a hello must have come: each looks at all of it again."""
_CHUNK = 64 * 1024
_RECORDS = range(20, 25)
"""The kinds that TLS has."""
_CONNECT_S = 15.0
_MOST = 256
"""Connections at a time, and refusals that are remembered."""
_PORTS = (443, 80)
_ENTRY = re.compile(r"(\*\.)?([0-9a-z](?:[0-9a-z.\-]*[0-9a-z])?)(?::(\d{1,5}))?")
_LINE = re.compile(rb"([A-Z]+) ([\x21-\x7e]+) HTTP/1\.[01]")
_SIZE = re.compile(rb"[0-9]{1,18}")
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z\-]+")
_URL = re.compile(rb"http://([0-9A-Za-z.\-]{1,255})(?::(\d{1,5}))?(/.*)?")
_WHERE = re.compile(rb"([0-9A-Za-z.\-]{1,255}):(\d{1,5})")
_HOP_BY_HOP = b"""
host connection keep-alive upgrade te expect proxy-connection proxy-authorization
"""
_DROPPED = frozenset(_HOP_BY_HOP.split())


class Refused(Exception):
    """This connection may not be made; says why. `is_open` is a tunnel that can only be closed."""

    def __init__(self, why: str, *, is_open: bool = False) -> None:
        super().__init__(why)
        self.is_open = is_open


class Egress:
    """What may be reached. `refused` says what else was asked for.

    One object serves one run at a time.
    """

    def __init__(
        self, hosts: Iterable[str], *, permitted: Iterable[Network] = (), ask: Ask | None = None
    ) -> None:
        """`permitted` are networks that count as public; `ask` looks names up, for tests.

        Raises:
            BadConfig: an entry is not a host.
        """
        self._allowed = [_entry(host) for host in hosts]
        self._permitted, self._ask = tuple(permitted), ask
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Task[None] | None = None
        self._resolver: PublicResolver | None = None
        self.refused: list[str] = []

    def begin(self, listener: socket.socket) -> None:
        """Accept from this socket until `close`."""
        loop = asyncio.get_running_loop()
        self._resolver = PublicResolver(loop, self._permitted, self._ask)
        listener.setblocking(False)
        self._server = loop.create_task(self._accept(loop, listener))

    async def close(self) -> None:
        """End every connection."""
        tasks = [*self._tasks, *([self._server] if self._server else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._resolver is not None:
            self._resolver.close()

    async def _accept(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        with listener:
            while True:
                accepted, _ = await loop.sock_accept(listener)
                if len(self._tasks) >= _MOST:
                    accepted.close()
                    continue
                task = loop.create_task(self._serve(accepted))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted, limit=_HEAD)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await self._answer(head, reader, writer)
        except Refused as error:
            if len(self.refused) < _MOST:
                self.refused.append(str(error))
            if not error.is_open:
                text = f"octoplex sandbox: {error}\n".encode()
                size = f"content-length: {len(text)}\r\nconnection: close\r\n\r\n".encode()
                writer.write(b"HTTP/1.1 403 Forbidden\r\n" + size + text)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # either side went away, or sent what is no request
        finally:
            writer.close()

    async def _answer(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        line, *fields = head[:-4].split(b"\r\n")
        match = _LINE.fullmatch(line)
        if match is None:
            raise Refused("what was sent is no request")
        if match[1] == b"CONNECT":
            await self._tunnel(match[2], reader, writer)
        else:
            await self._forward(match, fields, reader, writer)

    async def _tunnel(
        self, where: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        match = _WHERE.fullmatch(where)
        if match is None:
            raise Refused(f"{_shown(where)} is not a host and a port")
        host, port = _name(match[1]), int(match[2])
        far_reader, far_writer = await self._connected(host, port)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            far_writer.write(await _hello_for(host, reader))
            await _both(_copied_as(host, reader, far_writer), _copied(far_reader, writer))
        finally:
            far_writer.close()

    async def _forward(
        self,
        match: re.Match[bytes],
        fields: list[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        url = _URL.fullmatch(match[2])
        if url is None:
            raise Refused(f"{_shown(match[2])} is not a URL that is forwarded")
        host, port, path = _name(url[1]), int(url[2] or 80), url[3] or b"/"
        size, kept = _body_and_fields(fields)
        far_reader, far_writer = await self._connected(host, port)
        try:
            at = host if port == 80 else f"{host}:{port}"
            far_writer.write(match[1] + b" " + path + b" HTTP/1.1\r\nhost: " + at.encode())
            far_writer.write(b"".join(b"\r\n" + f for f in kept) + b"\r\nconnection: close\r\n\r\n")
            while size:
                piece = await reader.read(min(size, _CHUNK))
                if not piece:
                    return
                size -= len(piece)
                far_writer.write(piece)
                await far_writer.drain()
            await _copied(far_reader, writer)
        finally:
            far_writer.close()

    async def _connected(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to an allowed host, at an address that was found good.

        Raises:
            Refused: it is not allowed, or has no such address, or does not answer.
        """
        if not any(one.allows(host, port) for one in self._allowed):
            raise Refused(f"{host}:{port} is not allowed")
        assert self._resolver is not None
        try:
            addresses = await self._resolver.lookup(host, port)
        except GatewayError as error:
            raise Refused(f"{host}: {error}") from None
        for _, where in addresses:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_S):
                    return await asyncio.open_connection(where[0], where[1])
        raise Refused(f"{host}:{port} does not answer")


class _Allowed:
    """One entry of the list."""

    __slots__ = ("_is_tail", "_name", "_ports")

    def __init__(self, is_tail: bool, name: str, port: int | None) -> None:
        self._is_tail, self._name = is_tail, name
        self._ports = (port,) if port is not None else _PORTS

    def allows(self, host: str, port: int) -> bool:
        is_it = host.endswith("." + self._name) if self._is_tail else host == self._name
        return is_it and port in self._ports


def _entry(text: str) -> _Allowed:
    match = _ENTRY.fullmatch(text.strip().lower())
    if match is None or int(match[3] or 1) not in range(1, 65_536):
        raise BadConfig(f'"{text[:60]}" is not a host; write "api.example.com", "*.example.com".')
    return _Allowed(bool(match[1]), match[2], int(match[3]) if match[3] else None)


def _name(host: bytes) -> str:
    return host.decode().lower().removesuffix(".")


async def _record(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    if head[0] not in _RECORDS:
        raise NoName("it is not TLS")
    return head + await reader.readexactly(int.from_bytes(head[3:], "big"))


async def _hello_for(host: str, reader: asyncio.StreamReader, said: bytes = b"") -> bytes:
    """What a tunnel's client says up to the end of its hello, which must be for this host.

    Raises:
        Refused: it wants another one, or does not say.
    """
    name = None
    try:
        for _ in range(_PIECES):
            said = said or await _record(reader)
            name = server_name(said)
            if name is not None or len(said) > _HELLO:
                break
            said += await _record(reader)
    except NoName as error:
        raise Refused(f"{host}: TLS by its name is needed, but {error}", is_open=True) from None
    if name != host:
        shown = _shown((name or "").encode())
        raise Refused(f"{host} was connected to and {shown} asked for", is_open=True)
    return said


def _body_and_fields(fields: list[bytes]) -> tuple[int, list[bytes]]:
    """How long the body is, and the fields that are sent on."""
    sizes, kept = set(), []
    for field in fields:
        name, colon, value = field.partition(b":")
        name = name.lower()
        if not colon or not _FIELD.fullmatch(name) or re.search(rb"[\r\n\0]", value):
            raise Refused("a header cannot be read")
        if name == b"transfer-encoding":
            raise Refused("a body must have a content-length")
        if name == b"content-length":
            sizes.add(value.strip())
        if name not in _DROPPED:
            kept.append(field)
    if len(sizes) > 1 or not all(_SIZE.fullmatch(size) for size in sizes):
        raise Refused("content-length says two things")
    return int(next(iter(sizes), b"0")), kept


def _shown(text: bytes) -> str:
    return repr(text[:80].decode("ascii", "replace"))


async def _copied_as(host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy what a client says in TLS; should it say hello once more, then for the same host.

    Raises:
        Refused: it wants another one now, or ends TLS.
    """
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            try:
                record = await _record(reader)
            except NoName as error:
                raise Refused(f"{host}: {error} any more", is_open=True) from None
            if may_be_hello(record):
                record = await _hello_for(host, reader, record)
            writer.write(record)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_CHUNK):
        writer.write(piece)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def _both(*ways: Coroutine[None, None, None]) -> None:
    """Copy both ways until both have ended, or one broke.

    Raises:
        Refused: one must not go on.
    """
    refused: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for way in ways:
                group.create_task(way)
    except* OSError:
        pass  # the one that went away has the other one closed
    except* Refused as many:
        refused = many.exceptions[0]
    if refused is not None:
        raise refused
