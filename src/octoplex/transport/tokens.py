"""Tokens that a vendor hands out for a key: fetched when first needed, shared, renewed in time.

    grant (pure: what to post, how to read the reply)  ->  Tokens(client, grant).get() -> token

Every call of a key shares one token and, while there is none, one request for it. A token is
renewed beside the calls that still use it, `EARLY_S` before its end. A refusal is not
remembered: the next call asks again, and routing leaves a key alone that was refused.

Not promised: that a token survives a restart; it is kept in memory only.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from octoplex.transport.http import Limits, Request, Sender
from octoplex.transport.origin import header_block
from octoplex.wire.error import GatewayError, UpstreamBroken, UpstreamFailed

EARLY_S = 300.0
"""Before its end a token is renewed: clocks differ, and a call may wait before it is sent."""
PATIENCE_S = 15.0
"""How long a request for a token may take in all."""


class Token(Struct, frozen=True):
    """A token; `expires_at` is Unix time in seconds.

    `in_query` names the parameter it travels in, "" for the header of a bearer.
    """

    value: str
    expires_at: float
    in_query: str = ""

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"


class Grant(Protocol):
    """How a vendor turns one key into tokens. Hashable by what it holds."""

    def request(self, now: float) -> Request:
        """What to send for a token. `now` is Unix time in seconds."""
        ...

    def read(self, body: bytes, now: float) -> Token:
        """The token in the reply, whatever its status.

        Raises:
            UpstreamDenied: the vendor does not accept the key.
            UpstreamBroken: it is no such reply.
        """
        ...


class Tokens:
    """The token of one key, for the event loop that asks first."""

    __slots__ = ("_client", "_flight", "_grant", "_now", "_token")

    def __init__(self, client: Sender, grant: Grant, now: Callable[[], float] = time.time) -> None:
        self._client, self._grant, self._now = client, grant, now
        self._token: Token | None = None
        self._flight: asyncio.Task[Token] | None = None

    async def get(self) -> Token:
        """A token that is good now.

        Raises:
            GatewayError: none could be had; nothing was asked of the model.
        """
        token, now = self._token, self._now()
        if token is not None and now < token.expires_at:
            if now > token.expires_at - EARLY_S:
                self._renew()
            return token
        flight = self._renew()
        try:
            return await asyncio.shield(flight)
        except GatewayError as error:
            # One failure is told to every waiter: a shared exception would grow with each.
            raise type(error)(str(error)) from None

    def told(self, status: int) -> None:
        """Hear a reply's status: after a 401 the next call gets another token."""
        if status == 401:
            self._token = None

    def _renew(self) -> asyncio.Task[Token]:
        flight = self._flight
        if flight is None:
            flight = self._flight = asyncio.get_running_loop().create_task(self._fetch())
            flight.add_done_callback(self._landed)
        return flight

    def _landed(self, flight: asyncio.Task[Token]) -> None:
        self._flight = None
        with contextlib.suppress(Exception, asyncio.CancelledError):  # told by `get`
            self._token = flight.result()

    async def _fetch(self) -> Token:
        request = self._grant.request(self._now())
        until_at = asyncio.get_running_loop().time() + PATIENCE_S
        response = await self._client.send(request, Limits(deadline_at=until_at))
        if response.body is None:
            response.close()
            raise UpstreamBroken(f"{request.origin.host} answered a request for a token in pieces")
        if response.status == 429 or response.status >= 500:
            raise UpstreamFailed(
                f"{request.origin.host} answered a request for a token with {response.status}"
            )
        token = self._grant.read(response.body, self._now())
        if not (token.value.isascii() and token.value.isprintable()):
            raise UpstreamBroken(f"{request.origin.host} gives out what is no token")
        return token


class Purse:
    """The tokens of every grant, so that targets, routes and reloads share them."""

    __slots__ = ("_client", "_kept")

    def __init__(self, client: Sender) -> None:
        self._client = client
        self._kept: dict[Grant, Tokens] = {}

    def of(self, grant: Grant) -> Tokens:
        """The tokens of a grant."""
        tokens = self._kept.get(grant)
        if tokens is None:
            tokens = self._kept[grant] = Tokens(self._client, grant)
        return tokens


async def proven(request: Request, tokens: Tokens | None) -> Request:
    """The request with the token, where there is one to carry.

    Raises:
        GatewayError: none could be had.
    """
    if tokens is None:
        return request
    token = await tokens.get()
    if not token.in_query:
        header = header_block((("authorization", f"Bearer {token.value}"),))
        return msgspec.structs.replace(request, extra=request.extra + header)
    line, version, rest = request.head.partition(b" HTTP/1.1\r\n")
    parameter = urlencode({token.in_query: token.value}).encode()
    line += (b"&" if b"?" in line else b"?") + parameter
    return msgspec.structs.replace(request, head=line + version + rest)
