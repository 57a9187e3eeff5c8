"""A gateway whose route has a cache, before a provider whose replies can be told apart."""

import asyncio
from typing import Any

from tests.server import provider
from tests.server.caller import Reply
from tests.server.gate import Gate, route
from tests.upstream_server import Exchange, Play

CACHE = "[models.{}.cache]\nttl = '10 min'\n{}"
COST = provider.nano(provider.BILL)
KEYS = "[keys.app]\nsecret = 'env:APP_KEY'\n[keys.other]\nsecret = 'env:OTHER_KEY'\n"
OTHER_KEY = "oct-other-0f1e2d3c4b5a6978"


def cached(name: str = "main", target: str = "a/m", more: str = "", cache: str = "") -> str:
    return route(name, target, more=more) + CACHE.format(name, cache) + "\n"


def numbered(dialect: str = "openai-chat") -> list[Play]:
    """Replies that can be told apart."""
    return [provider.whole(dialect, text=f"reply {n}") for n in range(9)]


def told(reply: Reply) -> str:
    assert reply.status == 200, reply.body
    return reply.headers["x-octoplex-cache"]


async def stats(gate: Gate) -> dict[str, Any]:
    return (await gate.control({"do": "cache.stats"}))["ok"]


async def kept(gate: Gate, entries: int) -> None:
    """Until so many are in the file."""
    loop = asyncio.get_running_loop()
    end_at = loop.time() + 5
    while (await stats(gate))["disk"]["entries"] != entries:
        assert loop.time() < end_at, await stats(gate)
        await asyncio.sleep(0.01)


def gated(opened: asyncio.Event, play: Play) -> Play:
    async def held(exchange: Exchange) -> None:
        await opened.wait()
        await play(exchange)

    return held
