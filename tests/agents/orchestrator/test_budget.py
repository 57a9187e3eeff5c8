"""No graph of steps passes its budget, whatever models cost and however many ask at once."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from octoplex.agents.agent import Swarm
from octoplex.agents.budget import NANOS, Purse
from octoplex.agents.orchestrator import run
from octoplex.agents.plan import Plan
from octoplex.agents.scroll import MemoryJournal, Record
from octoplex.agents.task import Budget
from octoplex.agents.view import View
from octoplex.agents.words import Failed, Quote
from octoplex.wire.ask import Tab, Worst
from octoplex.wire.error import OverBudget, UpstreamFailed
from octoplex.wire.event import Reply, Text, Usage
from tests.agents.scripted import Models, Small, assignment_of, plan, ref, step


class Dear:
    """Models of random prices that take any part of what they may, and are sometimes asked twice.

    `most` is what was ever spent and under way at its worst at the same time.
    """

    def __init__(self, seed: int, nanos: int = 400) -> None:
        self._random, self._nanos = Random(seed), nanos
        self._under_way = (0, 0)
        self.spent = self.most = (0, 0)
        self.asked = self.narrowed = self.broken = self.refused = self.at_once = self._now = 0

    def quote(self, model: str, body: bytes) -> Quote:
        worst = Worst(len(body) // 3, msgspec.json.decode(body).get("max_completion_tokens"))
        return Quote(worst, lambda worst: worst.input_tokens * 90 + _output(worst) * self._nanos)

    async def __call__(self, model: str, body: bytes, tab: Tab | None = None) -> tuple[Reply, int]:
        assert tab is not None
        self.asked += 1
        cost = 0
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        try:
            for is_last in (self._random.random() < 0.7, True):
                nanos, usage = await self._attempt(self.quote(model, body), tab)
                cost += nanos
                if is_last:
                    break
                self.broken += 1
            if self._random.random() < 0.1:
                raise UpstreamFailed("away")
            said = '{"verdicts": [{"passed": true}]}'
            reply = Reply(id="r", model=model, blocks=(Text(said),), stop="end", usage=usage)
            return reply, cost
        finally:
            self._now -= 1

    async def _attempt(self, quote: Quote, tab: Tab) -> tuple[int, Usage]:
        worst = (quote.nanos, quote.tokens)
        self.narrowed += _output(quote.worst) not in (16, 4_096)
        try:
            told = tab.hold(*worst)
        except OverBudget:
            self.refused += 1
            raise
        self._count(*worst)
        wrote = self._random.choice((0, _output(quote.worst)))
        took = (quote.nanos_of(wrote), quote.worst.input_tokens + wrote)
        try:
            for _ in range(self._random.randrange(5)):
                await asyncio.sleep(0)
        finally:
            told(*took)
            self.spent = (self.spent[0] + took[0], self.spent[1] + took[1])
            self._count(-worst[0], -worst[1])
        return took[0], Usage(quote.worst.input_tokens, wrote)

    def _count(self, nanos: int, tokens: int) -> None:
        self._under_way = (self._under_way[0] + nanos, self._under_way[1] + tokens)
        now = [a + b for a, b in zip(self.spent, self._under_way, strict=True)]
        self.most = (max(self.most[0], now[0]), max(self.most[1], now[1]))


def _output(worst: Worst) -> int:
    assert worst.output_tokens is not None, "no call is open-ended"
    return worst.output_tokens


def graph(random: Random) -> Plan:
    """Some steps that ask, one after or beside the other, some of them for each of a list."""
    steps = [step("l", "list", {"count": random.randrange(1, 5)})]
    for n in range(random.randrange(2, 9)):
        before = random.sample([f"s{m}" for m in range(n)], min(n, random.choice((0, 0, 1, 2))))
        more: dict[str, Any] = {"after": before, "share": random.choice((0, 0, 0.1))}
        if random.random() < 0.3:
            more |= {"each": ref("l", "/items"), "after": [*before, "l"]}
        if random.random() < 0.3:
            more["criteria"] = [{"kind": "model", "text": "it is good"}]
        steps.append(step(f"s{n}", "ask", {"text": "x" * random.randrange(900)}, **more))
    names = [s["id"] for s in steps]
    return msgspec.convert(plan(*steps, answer=[ref(n) for n in names]), Plan)


class Asking(Small):
    """Asks more than once, and twice at once."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    async def ask(self, order: Any, world: Any, text: str) -> Any:
        limit = self._random.choice(({}, {"max_tokens": 16}, {"max_completion_tokens": 4_096}))
        body = msgspec.json.encode({"messages": [text], **limit})
        both = (world.ask("worker", body) for _ in range(self._random.choice((1, 2))))
        replies = await asyncio.gather(*both)
        return await self.text(order, world, text=replies[0][0].text)


async def ran(seed: int, folder: Path, models: Dear, journal: MemoryJournal) -> tuple[View, Budget]:
    random = Random(seed)
    given = graph(random)
    budget = Budget(dollars=random.choice((0.001, 0.004, 1)), tokens=random.choice((9_000, 10**6)))
    swarm = Swarm(is_forced=random.random() < 0.3)
    agent = {"limits": budget, "repairs": 0, "swarm": swarm}
    task = assignment_of(models, Asking(random), folder, plan=given, agent=agent)  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        return await run(task, journal), budget


def test_whatever_runs_at_once_the_budget_holds(tmp_path: Path) -> None:
    """Spent, and what is under way at its worst, at every moment; also in another life, which knows
    of the first what was kept."""
    seen = dict.fromkeys(("narrowed", "broken", "refused", "done", "failed"), 0)
    at_once = 0
    for seed in range(60):
        models, journal = Dear(seed), MemoryJournal()
        view, budget = asyncio.run(ran(seed, tmp_path, models, journal))
        assert models.most[0] <= budget.dollars * NANOS, seed
        assert models.most[1] <= budget.tokens, seed
        assert (view.nanos, view.tokens) <= models.spent, "an attempt that nobody had is not told"
        seen[view.status] += 1
        for name in ("narrowed", "broken", "refused"):
            seen[name] += getattr(models, name)
        at_once = max(at_once, models.at_once)
        kept = [r for r in journal.records if r.kind != "tell"][: seed % 7 * 3]
        again = Dear(seed)
        again.spent = _kept(kept)
        asyncio.run(ran(seed, tmp_path, again, MemoryJournal(kept)))
        assert again.most[0] <= budget.dollars * NANOS, seed
        assert again.most[1] <= budget.tokens, seed
    assert min(*seen.values(), at_once) > 4, f"it should see more of all: {seen}, {at_once}"


def _kept(records: list[Record]) -> tuple[int, int]:
    """What is kept of what was spent."""
    kept = [msgspec.json.decode(r.value) for r in records if r.key.startswith(("step/", "check/"))]
    parts = [part for one in kept for part in (one if isinstance(one, list) else [one["outcome"]])]
    return sum(p["nanos"] for p in parts), sum(p["tokens"] for p in parts)


def test_what_does_not_fit_waits_is_narrowed_or_refused() -> None:
    async def main() -> None:
        purse = Purse(Budget(dollars=0.001, tokens=4_000))
        part = await purse.reserve()
        models = Models(nanos=600_000, worker=["w"])
        body = b'{"max_tokens": 100}'
        both = (part.asking(models)("worker", body) for _ in range(2))
        with pytest.raises(Failed, match=r"\$0.0004 and 3900 tokens, does not pay for a call of"):
            await asyncio.gather(*both)
        assert len(models.asked) == 1, "the other one has waited for what it would leave"
        cheap = Models(nanos=1, judge=["w"])
        await part.asking(cheap)("judge", b"{}")
        assert cheap.asked.pop()[1]["max_completion_tokens"] == 3_830
        spare = purse.spare()
        waits = asyncio.create_task(spare.asking(cheap)("judge", b"{}"))
        await asyncio.sleep(0)
        assert not cheap.asked, "all of it is reserved for the step"
        part.settle()
        await waits
        assert purse.left == (399_998, 3_700), "what a call left is free before its part is settled"

    asyncio.run(asyncio.wait_for(main(), 10))
