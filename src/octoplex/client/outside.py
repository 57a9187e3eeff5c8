"""A gateway behind a URL, or any other server of OpenAI's Chat dialect.

    http://127.0.0.1:8080        an Octoplex: `/v1` is supplied
    https://api.example/v1       a URL with a path is taken as it is

What an Octoplex says beside an answer (`x-octoplex-*`, the trailing comment with the
cost) becomes the receipt. Keep-alives count as progress.

Not promised: retries. A gateway does its own, and two layers of them multiply.
"""

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from octoplex.client.failure import read_error
from octoplex.client.reply import ModelOffer, Receipt
from octoplex.client.way import Wire
from octoplex.transport.http import Client, Limits, Request, Response
from octoplex.transport.origin import Origin, Proxies, header_block
from octoplex.transport.sse import Splitter
from octoplex.wire.error import UpstreamBroken, UpstreamError

PLAIN_S, STREAM_S = 600.0, 3_600.0
FIRST_S, IDLE_S = 310.0, 130.0
LAST_WORDS_S = 2.0
_TOLD = re.compile(rb"^: (x-octoplex-[a-z-]+): ([^\n]*)", re.MULTILINE)


class _Note(Struct, frozen=True):
    available: bool = True
    why: str = ""


class _Row(Struct):
    id: str
    owned_by: str = ""
    x_octoplex: _Note = _Note()


class _List(Struct):
    data: list[_Row]


class Outside:
    """Connections to one base URL. Made inside the event loop that uses it."""

    def __init__(self, url: str, api_key: str | None, env: Mapping[str, str]) -> None:
        """Prepare.

        Raises:
            BadConfig: the URL is none, or the proxy on the way cannot be spoken to.
        """
        bare = not urlsplit(url).path.strip("/")
        self._origin = Origin.parse(url.rstrip("/") + ("/v1" if bare else ""), Proxies.of(env))
        headers = {"content-type": "application/json"}
        if api_key:
            headers["authorization"] = f"Bearer {api_key}"
        self._headers = tuple(headers.items())
        self._post = self._origin.head("POST", "/chat/completions", self._headers)
        self._get = self._origin.head("GET", "/models", self._headers)
        self._client = Client()

    async def whole(self, body: bytes, timeout_s: float | None) -> tuple[bytes, Receipt]:
        """Ask, and wait for the whole reply's body."""
        limit_s = timeout_s or PLAIN_S
        response = await self._send(self._post, body, _limits(limit_s, limit_s), timeout_s)
        if response.body is None:
            response.close()
            raise UpstreamBroken("The server sent a stream although none was asked for.")
        return response.body, _receipt(response.headers)

    async def stream(self, body: bytes, timeout_s: float | None) -> Wire:
        """Ask for a stream; returns when its status line has come."""
        limits = _limits(timeout_s or STREAM_S, FIRST_S)
        response = await self._send(self._post, body, limits, timeout_s)
        if response.body is not None:
            raise UpstreamBroken("The server sent no stream although one was asked for.")
        return _Outer(response)

    async def models(self) -> list[ModelOffer]:
        """What may be asked for."""
        response = await self._send(self._get, b"", _limits(30.0, 30.0), None)
        try:
            rows = msgspec.json.decode(response.body or b"", type=_List).data
        except msgspec.MsgspecError:
            raise UpstreamBroken("The server's list of models cannot be read.") from None
        return [
            ModelOffer(
                id=row.id,
                owner=row.owned_by,
                available=row.x_octoplex.available,
                why=row.x_octoplex.why,
            )
            for row in rows
        ]

    async def ask(self, method: str, path: str, body: bytes, limits: Limits) -> Response:
        """Ask another door of it; a body that streams is the caller's to read and to close.

        Raises:
            GatewayError: what it refused with.
            UpstreamError: it cannot be reached.
        """
        return await self._send(self._origin.head(method, path, self._headers), body, limits, None)

    async def close(self) -> None:
        """Abort what is under way and close every connection."""
        self._client.close()
        await asyncio.sleep(0)  # sockets close in the loop's next turn

    async def _send(
        self, head: bytes, body: bytes, limits: Limits, timeout_s: float | None
    ) -> Response:
        extra = b""
        if timeout_s is not None:  # so that the server gives up when we do
            extra = header_block([("x-stainless-read-timeout", f"{timeout_s:g}")])
        request = Request(origin=self._origin, head=head, body=body, extra=extra)
        response = await self._client.send(request, limits)
        if response.status not in (200, 202):
            if response.body is None:
                response.close()
            raise read_error(response.status, response.headers, response.body or b"")
        return response


class _Outer:
    """A stream over HTTP."""

    def __init__(self, response: Response) -> None:
        self._response, self._splitter = response, Splitter()
        self._now = asyncio.get_running_loop().time
        self._ended = False
        self._told = {**response.headers}
        self.receipt = _receipt(self._told)

    async def more(self) -> bytes:
        """The next whole events."""
        response = self._response
        while True:
            try:
                data = await response.read()
            except UpstreamError:
                if self._ended:  # everything was said; only the closing chunk is missing
                    return b""
                raise
            if not data:
                return b""
            whole = self._splitter.feed(data)
            self._listen(whole)
            response.expires_at = self._now() + (LAST_WORDS_S if self._ended else IDLE_S)
            if whole:
                return whole

    def close(self) -> None:
        """Close the connection at once, unless it is over."""
        self._response.close()

    def _listen(self, whole: bytes) -> None:
        self._ended = self._ended or b"data: [DONE]" in whole
        if b": x-octoplex-" not in whole:
            return
        for name, said in _TOLD.findall(whole):
            self._told[name.decode()] = said.decode("latin-1")
        self.receipt = _receipt(self._told)


def _limits(total_s: float, first_s: float) -> Limits:
    deadline_at = asyncio.get_running_loop().time() + total_s
    return Limits(first_s=first_s, idle_s=IDLE_S, deadline_at=deadline_at)


def _receipt(headers: Mapping[str, str]) -> Receipt:
    cost, _, guess = headers.get("x-octoplex-cost-nano", "").partition(" ")
    attempts = headers.get("x-octoplex-attempts", "")
    dropped = headers.get("x-octoplex-dropped", "")
    target = headers.get("x-octoplex-model", "")
    return Receipt(
        request_id=headers.get("x-request-id", ""),
        target=target,
        provider=target.partition("/")[0],
        route=headers.get("x-octoplex-route", ""),
        attempts=int(attempts) if attempts.isdigit() else 1,
        dropped=tuple(d.strip() for d in dropped.split(",")) if dropped else (),
        cost_nano=int(cost) if cost.isdigit() else None,
        estimated=bool(guess) or headers.get("x-octoplex-estimated") == "true",
    )
