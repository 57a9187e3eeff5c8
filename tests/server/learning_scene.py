"""A route that learns, before three scripted providers: a reference, one as good, one that is not.

async with learning(tmp_path, monkeypatch) as at:
    found = await at.rounds(200)
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from octoplex.assembly import classroom
from octoplex.optimizer.loop import Plan as LoopPlan
from octoplex.optimizer.school import School
from tests.optimizer.classroom import WORDS as SAID
from tests.optimizer.classroom import Memory, certified
from tests.server import provider
from tests.server.caller import Reply
from tests.server.gate import file
from tests.server.inside import Inside, inside
from tests.upstream_server import Exchange, Upstream, head

NAMES = ("ref", "good", "bad")
TARGETS = tuple(f"{name}/x" for name in NAMES)
WORDS = {"ref": "right", "good": "Right.", "bad": "wrong"}
"""What each of them says."""
PRICES = """
"ref/x" = { input = 10.0, output = 30.0 }
"good/x" = { input = 1.0, output = 3.0 }
"bad/x" = { input = 0.1, output = 0.3 }
"""
COSTS = {"ref": 12 * 10_000 + 7 * 30_000, "good": 12 * 1_000 + 7 * 3_000, "bad": 1_200 + 2_100}
"""Nano-dollars of a reply, by provider."""


def text(
    more: str = "",
    shadow: float = 0.25,
    spend: str = "100% of savings",
    judge: str = "exact-match",
) -> str:
    return f"""{PRICES}
[models.main]
try = ["ref/x", "good/x", "bad/x"]
pick = "learned"
reference = "ref/x"
learn = {{ shadow = {shadow}, spend = "{spend}", judge = ["{judge}"] }}
{more}
"""


def answers(words: str) -> Any:
    """A play that says so, whole or as a stream, in Chat's dialect."""

    async def play(exchange: Exchange) -> None:
        exchange.bill(*provider.BILL)
        if b'"stream":true' in exchange.entry.body.replace(b" ", b""):
            kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
            exchange.send(head(200, kind))
            for event in provider.chat_events([words]):
                exchange.chunk(event)
            exchange.send(b"0\r\n\r\n")
            return
        body = provider.chat_body(words)
        lines = [("content-type", "application/json"), ("content-length", str(len(body)))]
        exchange.send(head(200, lines) + body)

    return play


class Class:
    """The gateway, its providers, and the learner in the same process."""

    def __init__(self, gate: Inside, ups: dict[str, Upstream], memory: Memory) -> None:
        self.gate, self.ups, self.memory = gate, ups, memory
        self._random = Random(5)

    @property
    def school(self) -> School:
        school = self.gate.works.school
        assert isinstance(school, School)
        return school

    async def ask(self, face: str = "openai-chat", **members: Any) -> Reply:
        asked = " ".join(self._random.choice(SAID) for _ in range(8))
        members = {
            "messages": [{"role": "user", "content": asked}],
            "metadata": {"expected": "right"},
            **members,
        }
        if face == "openai-responses":
            members |= {"input": members.pop("messages"), "max_tokens": None}
        reply = await self.gate.chat("main", face, **members)
        assert reply.status == 200, reply.body
        return reply

    async def settled(self) -> None:
        """Until no pair is under way."""
        while tasks := set(self.school.pairs._tasks):
            await asyncio.wait(tasks)

    async def rounds(self, count: int, **members: Any) -> Counter[str]:
        """So many requests; who answered them."""
        replies = [await self.ask(**members) for _ in range(count)]
        await self.settled()
        return Counter(reply.headers["x-octoplex-provider"] for reply in replies)

    async def taught(self, data: bytes | None = None, version: int = 9) -> None:
        """Put a policy in force: one by which the good one serves, or these bytes."""
        self.memory.published["main"] = version, data if data is not None else certified(TARGETS)
        assert self.school._followed is not None
        await self.school._followed.renew()


async def providers(stack: contextlib.AsyncExitStack) -> dict[str, Upstream]:
    """The three, until the stack ends."""
    return {n: await stack.enter_async_context(Upstream(answers(w))) for n, w in WORDS.items()}


@contextlib.asynccontextmanager
async def learning(
    folder: Path, patch: pytest.MonkeyPatch, more: str = "", **options: Any
) -> AsyncIterator[Class]:
    memory = Memory(LoopPlan(TARGETS, feedback=options.get("shadow", 0.25)))
    patch.setattr(classroom, "DiskShelf", lambda data: memory)
    async with contextlib.AsyncExitStack() as stack:
        ups = await providers(stack)
        written = file(text(more, **options), **ups)
        gate = await stack.enter_async_context(inside(folder, written))
        yield Class(gate, ups, memory)
    assert memory.closed
