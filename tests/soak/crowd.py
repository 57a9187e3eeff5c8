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
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.server.caller import Line, Reply, request
from tests.server.gate import PATHS, question
from tests.server.test_book import Improviser
from tests.upstream_server import Entry, Exchange, Upstream

FACES = ("openai-chat", "anthropic")
CLIENTS_LEAVE = 0.02
TELL, REPEAT, TWICE = 0.1, 0.1, 0.05
"""Shares of callers: who tell an address, who ask what others asked, who ask twice."""
KNOWN = 50
ADDRESS = "ana.canary@acme.test"
KEY = "oct-canary-caller-8be2f36a51"
AUTHORIZED = ("authorization", "Bearer " + KEY)
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
        self.addresses = 0

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
        self.addresses += ADDRESS.encode() in exchange.entry.body
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
    hits: int = 0
    pairs: int = 0
    differed: int = 0
    """Pairs of whole replies to one idempotency key that were not the same."""
    addresses: int = 0
    through_s: "array[float]" = field(default_factory=lambda: array("f"))
    direct_s: "array[float]" = field(default_factory=lambda: array("f"))


async def call(port: int, dice: random.Random, tally: Tally) -> None:
    """One caller, with whatever comes of it."""
    face, stream, large = dice.choice(FACES), dice.random() < 0.5, dice.random() < 0.05
    words = "word " * (5_000 if large else 20)
    if dice.random() < TELL:
        words += ADDRESS
    body = question("main", stream=stream, user=words)
    if dice.random() < REPEAT:
        said = [{"role": "user", "content": f"question {dice.randrange(KNOWN)}"}]
        body = question("kept", stream=stream, messages=said)
    tally.asked += 1
    if dice.random() < TWICE:
        await _twice(port, PATHS[face], body, f"soak-{dice.getrandbits(64)}", tally)
    elif dice.random() < CLIENTS_LEAVE:
        await _left(port, PATHS[face], body, dice, tally)
    else:
        await _answered(port, PATHS[face], body, tally)


async def _answered(
    port: int, path: str, body: bytes, tally: Tally, headers: Sequence[tuple[str, str]] = ()
) -> Reply | None:
    """The reply, None where there was none."""
    try:
        async with Line(port) as line:
            line.send(request("POST", path, body, [AUTHORIZED, *headers]))
            reply = await line.reply()
    except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
        tally.broken[type(error).__name__] += 1
        return None
    tally.statuses[reply.status] += 1
    tally.hits += reply.headers.get("x-octoplex-cache") == "hit"
    if not reply.complete:
        tally.broken["cut without a word"] += 1
    return reply


async def _left(port: int, path: str, body: bytes, dice: random.Random, tally: Tally) -> None:
    """A caller who goes away before the end."""
    try:
        async with Line(port) as line:
            line.send(request("POST", path, body, [AUTHORIZED]))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(dice.random() * 0.05):
                    await line.reply()
            line.leave(hard=dice.random() < 0.5)
            tally.left += 1
    except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
        tally.broken[type(error).__name__] += 1


async def _twice(port: int, path: str, body: bytes, key: str, tally: Tally) -> None:
    """The same twice at once under one key: one bill, and the same to both."""
    tally.pairs += 1
    named = [("idempotency-key", key)]
    asked = (_answered(port, path, body, tally, named) for _ in range(2))
    first, second = await asyncio.gather(*asked)
    if first is None or second is None or not (_good(first) and _good(second)):
        return  # what failed is not kept
    tally.differed += _said(first) != _said(second)


def _good(reply: Reply) -> bool:
    """Whether it is an answer, with no failure in its stream."""
    return reply.status == 200 and b'"error"' not in reply.body


def _said(reply: Reply) -> list[bytes]:
    """Without comments: a replay cost nothing."""
    return [line for line in reply.body.splitlines() if not line.startswith(b":")]


async def probe(port: int, path: str, body: bytes, times: "array[float]") -> None:
    """How long one small chat takes."""
    before = time.perf_counter()
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
        async with Line(port) as line:
            line.send(request("POST", path, body, [AUTHORIZED]))
            if (await line.reply()).status == 200:
                times.append(time.perf_counter() - before)
