"""How the transport's tests ask: a client and a request in one line, and polling."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from octoplex.transport import Client, Limits, Origin, Proxies, Request, Response
from octoplex.wire.error import UpstreamError


async def until(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until something holds; fail when it does not in time."""
    loop = asyncio.get_running_loop()
    end_at = loop.time() + within_s
    while not holds():
        assert loop.time() < end_at, "it never came to hold"
        await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def client(context: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Client]:
    """A client that must have no connection left when it is closed."""
    made = Client(context or ssl.create_default_context(), **options)
    try:
        yield made
    finally:
        made.close()
        await until(lambda: made.open_connections == 0)


def ask(url: str, body: bytes = b"{}", proxies: Proxies | None = None, **more: Any) -> Request:
    """A POST to /chat below `url`."""
    origin = Origin.parse(url, proxies or Proxies())
    method = more.pop("method", "POST")
    headers = [("authorization", "Bearer k"), ("content-type", "application/json")]
    return Request(origin=origin, head=origin.head(method, "/chat", headers), body=body, **more)


def limits(**seconds: float) -> Limits:
    """Limits; `total_s` becomes the deadline."""
    total_s = seconds.pop("total_s", 10.0)
    return Limits(deadline_at=asyncio.get_running_loop().time() + total_s, **seconds)


async def drain(response: Response) -> bytes:
    """All of a stream."""
    parts = []
    while data := await response.read():
        parts.append(data)
    return b"".join(parts)


async def fails(
    asks: Client, kind: type[UpstreamError], url: str, **seconds: float
) -> UpstreamError:
    """Send; it must fail like this."""
    with pytest.raises(kind) as caught:
        await asks.send(ask(url), limits(**seconds))
    assert type(caught.value) is kind
    return caught.value


async def cut(response: Response, kind: type[Exception]) -> bytes:
    """Read a stream to its failure; what came before it."""
    got: list[bytes] = []

    async def read_on() -> None:
        while data := await response.read():
            got.append(data)

    for _ in range(2):
        with pytest.raises(kind):
            await read_on()
    return b"".join(got)
