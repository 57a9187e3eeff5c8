"""The providers of a soak, which fail now and then, and the callers, who sometimes leave.

Every bill has token counts that no other has, so that the ledger's rows and the providers' book
meet without names; of the book nothing but these is kept.
"""

import asyncio
import contextlib
import random
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field

from tests.server.caller import Line, request
from tests.server.gate import PATHS, question
from tests.server.test_book import Improviser
from tests.upstream_server import Entry, Exchange, Upstream

FACES = ("openai-chat", "anthropic")
CLIENTS_LEAVE = 0.02
RETRY_S = 10.0


class Forgetful(list[Entry]):
    """A book that keeps nothing: hours of bodies would be the test's own leak."""

    def append(self, entry: Entry) -> None:
        """Keep nothing."""


class Failing(Improviser):
    """Good in all but a share of its replies; what it billed is in `bills`."""

    def __init__(self, name: str, dice: random.Random, serials: Counter[str], share: float) -> None:
        super().__init__(name, dice, serials)
        self.share = share
        self.bills: list[tuple[int, int]] = []

    def bill(self, exchange: Exchange) -> tuple[int, int]:
        """Token counts that occur once in all of the soak."""
        self.serials["n"] += 1
        n = self.serials["n"]
        billed = (100 + n % 800, 1 + n // 800)
        exchange.bill(*billed)
        self.bills.append(billed)
        return billed

    async def improvise(self, exchange: Exchange) -> None:
        """One request."""
        if self.dice.random() < self.share:
            await super().improvise(exchange)
            return
        await self.pause(0.02)
        if exchange.gone.is_set():
            return
        stream = b'"stream":true' in exchange.entry.body.replace(b" ", b"")
        await (self.stream if stream else self.whole)(exchange, "good")


async def opened(player: Failing) -> Upstream:
    """A provider that listens, with a book that forgets."""
    up = Upstream(player.play)
    up.book = Forgetful()
    return await up.__aenter__()


@dataclass
class Tally:
    """What callers saw."""

    asked: int = 0
    left: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    """Ends that a caller must not see: a connection closed without a word."""
    through_s: "array[float]" = field(default_factory=lambda: array("f"))
    direct_s: "array[float]" = field(default_factory=lambda: array("f"))


async def call(port: int, dice: random.Random, tally: Tally) -> None:
    """One caller, with whatever comes of it."""
    face, stream, large = dice.choice(FACES), dice.random() < 0.5, dice.random() < 0.05
    words = "word " * (5_000 if large else 20)
    body = question("main", stream=stream, user=words)
    tally.asked += 1
    try:
        async with Line(port) as line:
            line.send(request("POST", PATHS[face], body, [("authorization", "Bearer " + KEY)]))
            if dice.random() < CLIENTS_LEAVE:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(dice.random() * 0.05):
                        await line.reply()
                line.leave(hard=dice.random() < 0.5)
                tally.left += 1
                return
            reply = await line.reply()
            tally.statuses[reply.status] += 1
            if not reply.complete:
                tally.broken["cut without a word"] += 1
    except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
        tally.broken[type(error).__name__] += 1


async def probe(port: int, path: str, body: bytes, times: "array[float]") -> None:
    """How long one small chat takes."""
    before = time.perf_counter()
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
        async with Line(port) as line:
            line.send(request("POST", path, body, [("authorization", "Bearer " + KEY)]))
            if (await line.reply()).status == 200:
                times.append(time.perf_counter() - before)


KEY = "oct-canary-caller-8be2f36a51"
