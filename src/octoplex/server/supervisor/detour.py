"""Requests that only the owner can answer, handed on whole: files, batches, tasks, `/admin`, and
what agents answer: chats that name one, and tools of `/mcp`.

A worker has seen to it that the caller may ask; the owner's inner door does so again, from
the same headers. That door is a Unix socket in the data folder, mode 0600, and speaks HTTP.
Bodies pass in pieces, as fast as the other side takes them. A caller that leaves takes its
request at the owner with it.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from octoplex.assembly.agent_route import AGENT
from octoplex.dialects.members import UNREADABLE
from octoplex.gateway import Gateway
from octoplex.ledger.remote.store import RemoteStore
from octoplex.server import chat, mcp, operations, reads, responses
from octoplex.server.accepting import BACKLOG
from octoplex.server.app import App, Route, Serve
from octoplex.server.inbound import Inbound, read_body, ready_body
from octoplex.server.serve import LAST_WORDS_S, SideServer
from octoplex.wire.error import StoreFailed

NAME = "door.sock"
OWNERS = ("/v1/files", "/v1/batches", "/v1/messages/batches", "/v1/tasks", "/v1/arms", "/admin")
PERHAPS = (b"agent/", b"agent\\/", b"\\u00")
"""Who names an agent as a model has one of these in the body: PHP escapes slashes, others more."""
LONGEST_HEAD = 64 * 1024
BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"expect", b"date"}
)
CHUNKED = b"transfer-encoding"


def of_owner(route: Route) -> bool:
    """Whether only the owner can answer this row."""
    return route.path.rstrip("/") in OWNERS or route.path.startswith(
        tuple(f"{path}/" for path in OWNERS)
    )


def rows_of_worker(rows: list[Route], store: RemoteStore) -> list[Route]:
    """The route table of a worker."""

    async def metrics(inbound: Inbound, gateway: Gateway) -> None:
        """Prometheus, text format, over all processes."""
        await inbound.line.whole(200, reads.TEXT, await store.of(bytes, "metrics"))

    serves: dict[Serve, Serve] = {reads.metrics: metrics}
    chats = (chat.chat, responses.respond, operations.of_gemini)
    serves |= {one: but_agents(one, _is_agents) for one in chats}
    serves[mcp.mcp] = but_agents(mcp.mcp, _is_of_owner)
    return [
        replace(row, serve=detour if of_owner(row) else serves.get(row.serve, row.serve))
        for row in rows
    ]


def but_agents(serve: Serve, is_theirs: Callable[[Inbound, bytes], bool]) -> Serve:
    """A door; what an agent answers is handed on, since tasks run at the owner."""

    def served(inbound: Inbound, gateway: Gateway) -> Awaitable[None]:
        body = ready_body(inbound, gateway.max_body)
        if body is None:
            return later(inbound, gateway)
        return (detour if is_theirs(inbound, body) else serve)(inbound, gateway)

    async def later(inbound: Inbound, gateway: Gateway) -> None:
        body = inbound.body = await read_body(inbound, gateway.max_body)
        await (detour if is_theirs(inbound, body) else serve)(inbound, gateway)

    return served


class _Named(Struct, frozen=True):
    model: Any = ""
    models: Any = ()

    @property
    def has_agent(self) -> bool:
        names = (self.model, *(self.models if isinstance(self.models, list) else ()))
        return any(isinstance(name, str) and name.startswith(f"{AGENT}/") for name in names)


class _Called(Struct, frozen=True):
    """A tool, as a client of MCP calls it."""

    name: str = ""
    arguments: _Named = _Named()


class _Message(Struct, frozen=True):
    params: _Called = _Called()


_named = msgspec.json.Decoder(_Named).decode
_message = msgspec.json.Decoder(_Message).decode


def _is_agents(inbound: Inbound, body: bytes) -> bool:
    """Whether a request names an agent as its model, in its URL or its body."""
    if inbound.rest.startswith((f"{AGENT}/", f"{AGENT}%2F", f"{AGENT}%2f")):
        return True
    if not any(sign in body for sign in PERHAPS):
        return False
    try:
        return _named(body).has_agent
    except UNREADABLE:
        return False  # the door says what is wrong with it


def _is_of_owner(inbound: Inbound, body: bytes) -> bool:
    """Whether a message of MCP is about more than a chat with a model."""
    try:
        called = _message(body).params
    except UNREADABLE:
        return True
    return called.name != "chat" or called.arguments.has_agent


async def detour(inbound: Inbound, gateway: Gateway) -> None:
    """Have the owner answer.

    Raises:
        StoreFailed: there is no owner now, or it broke off before it began.
    """
    path = str(gateway.works.data / NAME)
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST_HEAD)
    except OSError:
        raise StoreFailed("The owner of this is being restarted; ask again.") from None
    begun = False

    def begin() -> None:
        nonlocal begun
        begun = True

    sending = asyncio.create_task(_send(inbound, writer))
    receiving = asyncio.create_task(_receive(inbound, reader, begin))
    try:
        await _its_end(inbound, receiving)
    except (OSError, EOFError, ValueError):
        if begun:
            inbound.line.cut()
            return
        raise StoreFailed("The owner of this broke off; ask again.") from None
    finally:
        for one in (sending, receiving):
            one.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)
        writer.close()


async def _its_end(inbound: Inbound, receiving: asyncio.Task[None]) -> None:
    """Wait until the owner has said all. Where the server stops, or the key is revoked, it says so:
    it alone knows how the stream that it writes may end."""
    try:
        await asyncio.shield(receiving)
    except asyncio.CancelledError:
        if not inbound.line.gone:
            await asyncio.wait([receiving], timeout=LAST_WORDS_S / 2)
        if inbound.line.gone or not receiving.done():
            raise
        receiving.result()


async def _send(inbound: Inbound, writer: asyncio.StreamWriter) -> None:
    line = inbound.line
    target = quote(line.path, safe="/%:@!$&'()*+,;=~-._").encode()
    if line.query:
        target += b"?" + line.query
    lines = [b"%b %b HTTP/1.1" % (line.method.encode(), target), b"connection: close"]
    lines += [b"%b: %b" % pair for pair in line.headers.items() if pair[0] not in BY_HOP]
    chunked = CHUNKED in line.headers
    if chunked:
        lines.append(b"transfer-encoding: chunked")
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
    while data := inbound.body or await line.piece():
        inbound.body = None
        writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        await writer.drain()
    if chunked:
        writer.write(b"0\r\n\r\n")


async def _receive(
    inbound: Inbound, reader: asyncio.StreamReader, begin: Callable[[], None]
) -> None:
    line = inbound.line
    head = await reader.readuntil(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head = await reader.readuntil(b"\r\n\r\n")
    first, *rest = head[:-4].split(b"\r\n")
    pairs = [(n.lower(), v.strip()) for n, _, v in (one.partition(b":") for one in rest)]
    headers = dict(pairs)
    own = [(n, v) for n, v in pairs if n not in BY_HOP and n != b"content-length"]
    block = b"".join([b"%b: %b\r\n" % pair for pair in own])
    status = int(first.split(b" ", 2)[1])
    if CHUNKED not in headers:
        size = 0 if line.method == "HEAD" else int(headers.get(b"content-length", b"0"))
        body = await reader.readexactly(size)
        begin()
        await line.whole(status, block, body)
        return
    data, following = await _chunk(reader), b""
    begin()
    sent: bytes | None = block
    while data:
        following = await _chunk(reader)
        await line.write(data, sent, not following)
        data, sent = following, None


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    """The next chunk; b"" at the end."""
    size = int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16)
    data = await reader.readexactly(size)
    if await reader.readexactly(2) != b"\r\n":
        raise ValueError("not a chunk")
    return data


@contextlib.asynccontextmanager
async def inner_door(app: App, data: Path) -> AsyncIterator[SideServer]:
    """The owner's inner door."""
    path = data / NAME

    async def listen(server: SideServer) -> asyncio.Server:
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            make = asyncio.get_running_loop().create_unix_server
            return await make(server.protocol, str(path), backlog=BACKLOG)
        finally:
            os.umask(mask)

    async with SideServer(app, listen) as server:
        yield server
    path.unlink(missing_ok=True)
