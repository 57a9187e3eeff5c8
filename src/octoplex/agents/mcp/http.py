"""A server behind a URL: every message is a POST, whose answer is one message or a stream of them.

What goes out is what the file names and nothing else: no credential of any caller is ever passed
on (S61). Redirects are not followed. A public name must lead to a public address at the moment of
each connection (`transport/public.py`), for it is somebody else who says where it leads.

A stream that breaks off before its reply is taken up again from its last event, where the server
numbers them. There is no standing stream for what a server says by itself: tools are listed again
when they are older than a minute (`server.py`).

Reference: streamable HTTP, revisions 2025-03-26 to 2026-07-28.
"""

import asyncio
import ssl
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from octoplex.agents.mcp import headers as names
from octoplex.agents.mcp.messages import (
    INVALID_REQUEST,
    MODERN,
    MOST_BYTES,
    Fault,
    Lost,
    Message,
    RpcError,
    decode,
)
from octoplex.agents.mcp.wire import NOTHING, Hear
from octoplex.dialects.members import UNREADABLE
from octoplex.transport import Client, Limits, Request, Response, Splitter, header_block
from octoplex.transport.connection import Caps
from octoplex.transport.origin import place_of
from octoplex.transport.public import Network, PublicResolver, is_private_name
from octoplex.wire.beside import beside
from octoplex.wire.error import GatewayError, InvalidCall, UpstreamError, UpstreamUnreachable
from octoplex.wire.redact import Veil, snippet

_ACCEPT = (("accept", "application/json, text/event-stream"), ("content-type", "application/json"))
_RESUMPTIONS = 3
_STREAM_BYTES = 4 * MOST_BYTES
_LONGEST_ID = 512


def client_for(
    url: str, permitted: Iterable[Network] = (), trust: ssl.SSLContext | None = None
) -> Client:
    """Connections for one server. `permitted` are networks that count as public."""
    loop = asyncio.get_running_loop()
    origin, _ = place_of(url, "url")
    resolver = None if is_private_name(origin.host) else PublicResolver(loop, permitted)
    return Client(trust, caps=Caps(body_bytes=MOST_BYTES), resolver=resolver)


class Streamable:
    """Messages over HTTP. `headers` are the only credentials that it ever sends."""

    def __init__(
        self, url: str, headers: Mapping[str, str], client: Client, limits: Limits, veil: Veil
    ) -> None:
        """`limits` bound each exchange; `veil` takes what is sent as proof out of what comes back.

        Takes the client over.
        """
        self.version = ""
        self._origin, self._target = place_of(url, "url")
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._client, self._limits, self._veil = client, limits, veil
        self._session = ""
        self._hear: Hear = lambda message: None

    async def open(self, hear: Hear) -> None:
        """Nothing is connected before something is asked."""
        self._hear = hear

    async def ask(self, request: Message, mirrored: Mapping[str, str] = NOTHING) -> Message:
        """Send a request; the reply to it."""
        response = await self._post(request, mirrored)
        if request.method == "initialize":
            self._session = response.headers.get(names.SESSION, "")
        if response.body is not None:
            reply = await beside(len(response.body), _message, response.body)
            if reply.id != request.id:
                raise Lost("its answer belongs to no request of ours")
            return reply
        return await self._streamed(request, response)

    async def tell(self, note: Message) -> None:
        """Send what is not answered. A modern server is told of an end by the connection's."""
        if self.version != MODERN:
            (await self._post(note)).close()

    async def close(self) -> None:
        """End the session at the server, and the connections."""
        if self._session:
            try:
                async with asyncio.timeout(2.0):
                    (await self._send("DELETE")).close()
            except (Lost, TimeoutError):
                pass
        self._client.close()

    async def _post(self, message: Message, mirrored: Mapping[str, str] = NOTHING) -> Response:
        """Send a message; a response that may hold an answer."""
        params = message.params if isinstance(message.params, dict) else {}
        method = message.method if isinstance(message.method, str) else ""
        more = names.routing(method, params) | dict(mirrored)
        response = await self._send("POST", message.bytes(), more)
        if 200 <= response.status < 300:
            return response
        raise _refused(response, self._session)

    async def _send(
        self, method: str, body: bytes = b"", more: Mapping[str, str] = NOTHING
    ) -> Response:
        extra = dict(more)
        if self.version:
            extra[names.VERSION] = self.version
        if self._session:
            extra[names.SESSION] = self._session
        deadline_at = asyncio.get_running_loop().time() + self._limits.first_s
        limits = msgspec.structs.replace(self._limits, deadline_at=deadline_at)
        head = self._origin.head(method, self._target, (*_ACCEPT, *self._headers.items()))
        veil = self._veil if self._veil else None
        try:
            request = Request(self._origin, head, body, header_block(extra.items()), veil=veil)
            return await self._client.send(request, limits)
        except GatewayError as error:  # also a number of its own that no header can carry
            unheard = isinstance(error, InvalidCall)
            if isinstance(error, UpstreamUnreachable):  # or it broke off before a reply
                unheard = not error.reached
            raise Lost(_said(error), reached=not unheard) from None

    async def _streamed(self, request: Message, response: Response) -> Message:
        """The reply in a stream, which is taken up again where it breaks off."""
        place = _Place()
        for again in range(_RESUMPTIONS + 1):
            if again:
                await asyncio.sleep(min(place.wait_s, 5.0))
                response = await self._send("GET", more={names.LAST_EVENT: place.last})
                if response.status != 200 or response.body is not None:
                    raise Lost("its stream broke off, and it does not take it up again")
            reply = await self._read(request, response, place)
            if reply is not None:
                return reply
            if not place.last or len(place.last) > _LONGEST_ID or self.version == MODERN:
                break
        raise Lost("its stream ended without an answer")

    async def _read(self, request: Message, response: Response, place: "_Place") -> Message | None:
        """The reply, if the stream has it; what else is in it is heard."""
        splitter = Splitter(MOST_BYTES)
        try:
            while data := await response.read():
                place.size += len(data)
                if place.size > _STREAM_BYTES:
                    raise Lost(f"it sent more than {_STREAM_BYTES:,} bytes for one answer")
                for id_, text in place.events(splitter.feed(data)):
                    reply = await self._event(request, text)
                    place.last = id_ or place.last
                    if reply is not None:
                        return reply
        except UpstreamError as error:
            if not place.last:
                raise Lost(_said(error)) from None
        finally:
            response.close()
        return None

    async def _event(self, request: Message, data: bytes) -> Message | None:
        """The reply, if it is this event; anything else is heard."""
        if not data:
            return None  # it only has a number to go on from
        message = await beside(len(data), _message, data)
        if message.is_reply:
            return message if message.id == request.id else None
        answer = self._hear(message)
        if answer is not None:
            (await self._post(answer)).close()
        return None


class _Place(Struct):
    """Where a stream stands: the last event's number, how long to wait, bytes so far."""

    last: str = ""
    wait_s: float = 1.0
    size: int = 0

    def events(self, wire: bytes) -> Iterator[tuple[str, bytes]]:
        """(number, data) of whole events."""
        for block in wire.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
            id_, data = "", []
            for line in block.split(b"\n"):
                field, _, value = line.partition(b":")
                value = value.removeprefix(b" ")
                if field == b"data":
                    data.append(value)
                elif field == b"id" and b"\0" not in value:
                    id_ = value.decode(errors="replace")
                elif field == b"retry" and value.isdigit():
                    self.wait_s = int(value[:9]) / 1000
            if id_ or data:
                yield id_, b"\n".join(data)


def _message(data: bytes) -> Message:
    try:
        return decode(data)
    except UNREADABLE:
        raise Lost(f"it sent what is no message: {snippet(data)}") from None


def _refused(response: Response, session: str) -> Exception:
    """What a status says that is no success."""
    status, body = response.status, response.body or b""
    response.close()
    if status == 404 and session:
        return Lost("it has ended the session", reached=False)
    try:
        said = decode(body)
    except UNREADABLE:
        said = Message()
    if isinstance(said.error, Fault):
        return RpcError(said.error)
    if 300 <= status < 400:
        return Lost(f"it answers with {status}; redirects are not followed", reached=False)
    if status in (401, 403):
        return Lost(f"it refuses our credentials ({status})", reached=False)
    if status >= 500 or status == 429:
        return Lost(f"it answers with {status}", reached=status != 429)
    return RpcError(Fault(INVALID_REQUEST, f"HTTP {status}: {snippet(body)}"))


def _said(error: GatewayError) -> str:
    return str(error).rstrip(".")
