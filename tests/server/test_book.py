"""The provider's own book against the ledger, over randomised schedules.

Every call has a route and targets of its own (`a/cN`, then `claude/cN`), so that an entry
of a provider's book and the ledger's rows of that attempt's target meet by name, and every
billed attempt has token counts that no other has. Providers and callers improvise: whole
replies and streams, errors, cuts, resets, stalls, callers who leave at any moment, hedges,
and a kill -9 in the middle of it all, twice.

What must hold (docs/decisions/money.md):

- every attempt that a provider billed has exactly one settled row;
- every row that is not flagged equals the book to the nano-dollar;
- a flagged row is an attempt whose usage never came, or one that a kill interrupted;
- the rows add up: their sum, the sums per day, and a book of money opened afterwards.
"""

import asyncio
import contextlib
import random
import sqlite3
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger import Book, Page, Reader, open_store
from tests.dialects.grammar import anthropic, openai_chat
from tests.server import provider
from tests.server.caller import Line, canonical, request
from tests.server.check import FACES
from tests.server.conftest import Run
from tests.server.gate import PATHS, Gate, dialect_of, question
from tests.upstream_server import Entry, Exchange, Upstream, head

LIVES, CALLS, AT_ONCE = 3, 40, 12
FLAGGED = {"cut", "left", "lost", "late", "done"}
"""`done`: cut off between its stop reason and its usage."""
Rows = list[dict[str, Any]]
Key = tuple[str, str]


class Improviser:
    """A provider that does anything at all, and keeps its book."""

    def __init__(self, name: str, dice: random.Random, serials: "Counter[str]") -> None:
        self.dialect, self.dice, self.serials = dialect_of(name), dice, serials

    def bill(self, exchange: Exchange) -> tuple[int, int]:
        """Token counts that occur once."""
        self.serials["n"] += 1
        billed = (1_000 + self.serials["n"], 1 + self.serials["n"] % 40)
        exchange.bill(*billed)
        return billed

    async def pause(self, most_s: float = 0.03) -> None:
        await asyncio.sleep(self.dice.random() * most_s)

    async def play(self, exchange: Exchange) -> None:
        with contextlib.suppress(OSError):  # to reset what has gone
            await self.improvise(exchange)

    async def improvise(self, exchange: Exchange) -> None:
        dice = self.dice
        await self.pause()
        if exchange.gone.is_set():
            return
        kind = dice.choices(
            ["good", "error", "reset", "cut", "stall", "sorry", "html"], [12, 3, 1, 3, 1, 1, 1]
        )[0]
        if b'"stream":true' in exchange.entry.body.replace(b" ", b""):
            await self.stream(exchange, kind)
        else:
            await self.whole(exchange, kind)

    async def whole(self, exchange: Exchange, kind: str) -> None:
        if kind == "reset":  # before it did anything: nothing is billed
            exchange.reset()
        elif kind in ("error", "sorry"):
            await provider.fails(self.dialect, self.dice.choice([429, 500, 503, 529]))(exchange)
        elif kind == "html":
            exchange.send(head(200, [("content-length", "6")]) + b"<html>")
        else:
            billed = self.bill(exchange)
            body = (
                provider.chat_body(bill=billed)
                if self.dialect == "openai-chat"
                else provider.message_body(bill=billed)
            )
            lines = [("content-type", "application/json"), ("content-length", str(len(body)))]
            reply = head(200, lines) + body
            if kind == "good":
                exchange.send(reply)
                return
            if kind == "cut":
                exchange.send(reply[: self.dice.randrange(1, len(reply))])
                await self.pause()
            if kind == "stall":
                await exchange.stall()
            exchange.reset()

    async def stream(self, exchange: Exchange, kind: str) -> None:
        if kind in ("error", "html"):
            await self.whole(exchange, kind)
            return
        if kind == "reset":
            exchange.reset()
            return
        chat = self.dialect == "openai-chat"
        if kind == "sorry":  # before content: nothing is billed
            events = [provider.stream_of(self.dialect)[0], provider.sorry(self.dialect)]
        else:
            billed = self.bill(exchange)
            make = provider.chat_events if chat else provider.message_events
            events = make(bill=billed)
            if kind in ("cut", "stall"):
                events = events[: self.dice.randrange(len(events))]
        lines = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        exchange.send(head(200, lines))
        for event in events:
            await self.pause(0.01)
            if exchange.gone.is_set():
                return
            exchange.chunk(event)
        if kind == "stall":
            await exchange.stall()
        elif kind == "cut":
            await self.pause()
            exchange.reset()
        else:
            exchange.send(b"0\r\n\r\n")


def configuration(a: Upstream, claude: Upstream, calls: int) -> str:
    """A route and two priced targets for every call; a third of the routes hedge early."""
    quick = "timeouts = { connect_s = 2.0, header_s = 0.25, idle_s = 0.25, total_s = 1.0 }"
    lines = ["[server]", "drain_s = 2.0"]
    for name, up in (("a", a), ("claude", claude)):
        lines += [f"[providers.{name}]", f"dialect = '{dialect_of(name)}'"]
        lines += [f"base_url = '{up.url}'", "api_key = 'env:UP_KEY'", quick]
    for n in range(calls):
        early = ", first_content_s = 0.02, hedge_share = 1.0" if n % 3 == 0 else ""
        targets = [f"a/c{n}", f"claude/c{n}"][:: 1 if n % 2 else -1]
        lines += [f"[models.r{n}]", f"try = {targets}"]
        lines += [f"retry = {{ attempts = 3, backoff_s = 0.02{early} }}"]
    lines.append("[prices]")
    lines += [f"'{name}/c{n}' = {provider.PRICE}" for n in range(calls) for name in ("a", "claude")]
    return "\n".join(lines) + "\n"


class Crowd:
    """Callers that ask, listen for a while, and sometimes leave."""

    def __init__(self, gate: Gate, dice: random.Random) -> None:
        self.gate, self.dice = gate, dice
        self.asked = self.answered = 0
        self.killed = False
        self.on_disk: Rows = []

    async def call(self, number: int) -> None:
        dice = self.dice
        face, stream = dice.choice(FACES), dice.random() < 0.6
        leaves = dice.random() < 0.3
        body = question(f"r{number}", stream=stream)
        async with Line(self.gate.port) as line:
            line.send(request("POST", PATHS[face], body))
            self.asked += 1
            if leaves:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(dice.random() * 0.15):
                        await line.reply()
                line.leave(hard=dice.random() < 0.5)
                return
            reply = await line.reply()
            if not reply.complete:
                assert self.gate.process.poll() is not None, "it was not told how it ended"
                return
            self.answered += 1
            if stream and reply.status == 200:
                (anthropic if face == "anthropic" else openai_chat).check(canonical(reply.body))

    async def run(self, numbers: range, kill_after: int | None) -> None:
        """Keep `AT_ONCE` calls going; with `kill_after` the gateway dies after so many."""
        turn = iter(numbers)

        async def work() -> None:
            for number in turn:
                if kill_after is not None and self.asked >= kill_after:
                    self.kill()
                    return
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    await self.call(number)
                if self.gate.process.poll() is not None:
                    return

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        if kill_after is not None:
            self.kill()

    def kill(self) -> None:
        """kill -9, once; what was on disk before it is certain."""
        if not self.killed:
            self.killed = True
            self.on_disk = self.gate.ledger()
            self.gate.kill()


def compare(book: list[tuple[str, Entry]], rows: Rows) -> Counter[str]:
    """Hold the ledger against the book, target by target. What was found, counted."""
    entries: dict[Key, list[Entry]] = defaultdict(list)
    for name, entry in book:
        model = entry.body.partition(b'"model":"')[2].partition(b'"')[0].decode()
        entries[name, model].append(entry)
    kept: dict[Key, Rows] = defaultdict(list)
    for row in rows:
        kept[row["provider"], row["model"]].append(row)
    found: Counter[str] = Counter()
    for key in entries.keys() | kept.keys():
        billed = Counter(e.billed for e in entries[key] if e.billed)
        settled = [r for r in kept[key] if r["state"] == "settled"]
        for row in settled:
            if row["estimated"]:
                found["flagged"] += 1
                assert row["outcome"] in FLAGGED, row
                assert row["nano"] <= row["reserved_nano"], row
                continue
            tokens = (row["input_tokens"], row["output_tokens"])
            assert billed[tokens] == 1, f"{key}: {row} is not in the book {billed}"
            billed[tokens] -= 1
            assert row["nano"] == provider.nano(tokens)
            found["exact"] += 1
        flagged = [r for r in settled if r["estimated"]]
        unmatched = sum(billed.values())
        unsettled = f"{key}: {+billed} was billed and never settled: {kept[key]}"
        assert unmatched <= len(flagged), unsettled
        # A flagged row needs an attempt whose usage never came, or one that never arrived.
        unknown = len(entries[key]) - sum(1 for r in settled if not r["estimated"])
        never = [r for r in flagged if r["outcome"] in {"left", "lost"}]
        assert len(flagged) <= unknown + len(never), f"{key}: {flagged}"
        assert all(r["nano"] == 0 for r in kept[key] if r["state"] == "released")
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_ledger_is_the_providers_book(tmp_path: Path, run: Run, seed: int) -> None:
    async def main() -> None:
        dice, serials = random.Random(seed), Counter[str]()
        players = [Improviser(name, dice, serials) for name in ("a", "claude")]
        async with Upstream(players[0].play) as a, Upstream(players[1].play) as claude:
            text = configuration(a, claude, LIVES * CALLS)
            async with Gate(tmp_path, text) as gate:
                certain: Rows = []
                for life in range(LIVES):
                    numbers = range(life * CALLS, (life + 1) * CALLS)
                    last = life == LIVES - 1
                    crowd = Crowd(gate, dice)
                    await crowd.run(numbers, None if last else dice.randrange(10, CALLS))
                    if last:
                        break
                    certain += crowd.on_disk
                    db = sqlite3.connect(f"file:{gate.data}/ledger.db?mode=ro", uri=True)
                    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
                    db.close()
                    await gate.start()
            # it has stopped: everything is on disk
            book = [("a", e) for e in a.book] + [("claude", e) for e in claude.book]
            rows = gate.ledger()
            found = compare(book, rows)
            assert found["exact"] > 20, found
            names = {(r["request_id"], r["attempt"]) for r in rows}
            assert {(r["request_id"], r["attempt"]) for r in certain} <= names
            total = sum(int(r["nano"]) for r in rows)
            assert gate.spent() == total
            store = open_store(gate.data)
            try:
                assert Book(store, store.balances_now()).settled_nano == total
            finally:
                store.close()
            _one_record_each(gate, crowd.asked)

    print(f"seed {seed}")
    run(main())


def _one_record_each(gate: Gate, asked: int) -> None:
    """The life that was not killed has one record per call that reached the spine."""
    reader = Reader(gate.data)
    records = reader.requests(Page(limit=10_000))
    reader.close()
    models = Counter(r.model for r in records)
    assert max(models.values()) == 1
    last = [m for m in models if int(m[1:]) >= (LIVES - 1) * CALLS]
    assert 0.7 * asked <= len(last) <= asked
