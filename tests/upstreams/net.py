"""A TLS server called media.test that shows what a test says, and a fetcher that may go there.

Its name leads to this machine only because the look-up here says so and the rules permit the
network; everything else is as in a gateway.
"""

import asyncio
import ipaddress
from typing import Any

import pytest

from octoplex.dialects.dialect import Traits
from octoplex.transport.resolve import Address
from octoplex.upstreams.fetch import Fetcher
from octoplex.upstreams.site import Rules
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Media, Message, TextPart
from octoplex.wire.error import CallerError
from tests.upstream_server import Play, Upstream, pool_cert, says

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
IMAGE = [("content-type", "image/png")]


def shows(body: bytes = PNG, *more: tuple[str, str], kind: str = "image/png") -> Play:
    return says(body, headers=[("content-type", kind), *more])


def moved(location: str, status: int = 302) -> Play:
    return says(b"", status, [("location", location)])


class Net:
    """A TLS server called media.test, a look-up that leads there, and rules that permit it."""

    def __init__(self, *plays: Play, **rules: Any) -> None:
        server, self.trust = pool_cert("media.test")
        self.up = Upstream(*plays, tls=server)
        self.rules, self.asked = rules, list[str]()
        self.names: dict[str, list[str]] = {}

    async def __aenter__(self) -> "Net":
        await self.up.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.up.__aexit__()

    def url(self, path: str = "/cat.png?key=hidden") -> str:
        return f"https://media.test:{self.up.port}{path}"

    async def look_up(self, host: str, port: int) -> list[Address]:
        self.asked.append(host)
        return [(2, (a, port)) for a in self.names.get(host, ["127.0.0.1"])]

    def fetcher(self) -> Fetcher:
        usual = {"hosts": (f"media.test:{self.up.port}",), "networks": (LOOPBACK,)}
        return Fetcher(Rules(**usual | self.rules), self.trust, self.look_up)

    async def fill(self, *media: Media, dialect: str = "bedrock-converse", **call: Any) -> Chat:
        filled = await self.fetcher().fill(asking(*media, **call), dialect, Traits(model="m"))
        return filled.chat()

    async def refused(self, url: str, **call: Any) -> CallerError:
        with pytest.raises(CallerError) as caught:
            await self.fill(Media(kind="image", url=url), **call)
        assert caught.value.facts["param"] == "messages[0].content[1]"
        assert "`messages[0].content[1]`" in str(caught.value)
        assert "hidden" not in str(caught.value)
        return caught.value


def asking(*media: Media, within_s: float = 30.0) -> Call:
    chat = Chat(model="m", messages=(Message("user", (TextPart("?"), *media)),))
    until_at = asyncio.get_running_loop().time() + within_s
    return Call(
        id="c", face="openai-chat", model="m", raw=b"{}", deadline_at=until_at,
        understand=lambda _: chat,
    )  # fmt: skip


def image(url: str, **more: Any) -> Media:
    return Media(kind="image", url=url, **more)
