"""Of the same asks one goes up: who gets what, who pays, and what is left behind.

Over scripted answerers in random schedules of joining, leaving, failing and cutting.
"""

import asyncio
import hashlib
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger.stock import Room
from octoplex.ledger.stock_disk import DiskStock
from octoplex.reflex.cache.fingerprint import Rule
from octoplex.reflex.cache.layer import Cache, cached
from octoplex.wire.answer import Answer, Answerer, Outcome
from octoplex.wire.ask import Call
from octoplex.wire.error import GatewayError, UpstreamBroken, UpstreamFailed
from octoplex.wire.event import Event, Finished, Started, TextDelta, ToolStart, Usage
from tests.scripted import USAGE, Scripted, asking, in_turn, listen, says

RULE = Rule(route="main", version="v", ttl_ms=60_000)
LONG: tuple[Event, ...] = (
    Started("reply-1", "scripted"),
    *(TextDelta(f"{n} ") for n in range(20)),
    Finished(stop="end", usage=USAGE),
)


def keyed(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def caching(folder: Path, **room: Any) -> Cache:
    return Cache(DiskStock(folder, Room(spare_bytes=0, **room)), keyed, {})


def layer(inner: Answerer, cache: Cache, rule: Rule = RULE) -> Answerer:
    return cached(inner, cache, lambda ask: rule)


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main

    asyncio.run(bounded())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_followers_get_the_whole_and_the_leader_gets_it_live(tmp_path: Path) -> None:
    async def main() -> None:
        cache, inner = caching(tmp_path), Scripted(LONG, after_s=0.01)
        answerer = layer(inner, cache)
        asks = [asking(stream=True) for _ in range(20)]
        answers = await asyncio.gather(*(_text(answerer, ask) for ask in asks))
        assert len(inner.asks) == 1
        assert set(answers) == {"".join(f"{n} " for n in range(20))}
        assert [ask.trail.cache for ask in asks] == ["miss"] + ["hit"] * 19
        assert not cache.flights
        await cache.close()

    run(main())


async def _text(answerer: Answerer, ask: Call) -> str:
    return await listen(await answerer(ask))


@pytest.mark.parametrize("stream", [False, True])
def test_of_a_failure_each_is_told_by_its_own(tmp_path: Path, stream: bool) -> None:
    async def main() -> None:
        broken = Scripted(error=UpstreamFailed("no"), after_s=0.01)
        cache, inner = caching(tmp_path), in_turn(broken, says())
        answerer = layer(inner, cache)
        asks = [asking(stream=stream) for _ in range(5)]
        tasks = [_text(answerer, ask) for ask in asks]
        first, *others = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(first, UpstreamFailed)
        assert others == ["hello"] * 4
        assert len(inner.asked_at) == 5
        assert not cache.flights
        await cache.close()

    run(main())


def test_after_a_cut_the_followers_have_seen_nothing_and_ask_themselves(tmp_path: Path) -> None:
    async def main() -> None:
        cut = Scripted(LONG[:5], breaks=UpstreamBroken("cut"), after_s=0.01)
        cache, inner = caching(tmp_path), in_turn(cut, Scripted(LONG))
        answerer = layer(inner, cache)
        tasks = [_text(answerer, asking(stream=True)) for _ in range(3)]
        first, *others = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(first, UpstreamBroken)
        assert [str(text)[:6] for text in others] == ["0 1 2 "] * 2
        assert cut.opened[0].outcome == "cut"  # type: ignore[union-attr]
        await cache.close()

    run(main())


def test_what_may_not_be_kept_is_said_before_its_end(tmp_path: Path) -> None:
    """Followers need not wait for the rest of a stream that is of no use to them."""

    async def main() -> None:
        tool = (LONG[0], ToolStart("c", "f", 1), *LONG[1:])
        inner = Scripted(tool)
        cache = caching(tmp_path)
        answerer = layer(inner, cache)
        leader = await answerer(asking(stream=True))
        follower = await answerer(asking(stream=True))
        assert len(inner.asks) == 2
        for answer in (leader, follower):
            assert (await listen(answer)).startswith("0 1 2")
        assert cache.stock.holding().memory_entries == 0
        await cache.close()

    run(main())


def test_a_leader_who_reads_slowly_holds_nobody_up(tmp_path: Path) -> None:
    async def main() -> None:
        cache, inner = caching(tmp_path), Scripted(LONG)
        answerer = layer(inner, cache)
        leader = await answerer(asking(stream=True))
        assert (await _text(answerer, asking(stream=True))).startswith("0 1 2")
        assert len(inner.asks) == 1
        assert (await listen(leader)).startswith("0 1 2")
        await cache.close()

    run(main())


def test_nothing_is_read_far_ahead_of_a_leader_who_is_alone(tmp_path: Path) -> None:
    async def main() -> None:
        many = (LONG[0], *[TextDelta("x" * 10)] * 20_000, LONG[-1])
        cache, inner = caching(tmp_path), Scripted(many)
        answerer = layer(inner, cache)
        leader = await answerer(asking(stream=True))
        await asyncio.sleep(0.05)
        assert inner.opened[0].outcome is None, "most of it is still to come"  # type: ignore[union-attr]
        assert len(await listen(leader)) == 200_000
        await cache.close()

    run(main())


def test_one_above_the_cap_passes_and_is_not_kept(tmp_path: Path) -> None:
    async def main() -> None:
        many = (LONG[0], *[TextDelta("x" * 10)] * 200, LONG[-1])
        cache = caching(tmp_path, row_bytes=2_000)
        answerer = layer(Scripted(many), cache)
        asks = [asking(stream=True) for _ in range(2)]
        texts = await asyncio.gather(*(_text(answerer, ask) for ask in asks))
        assert texts == ["x" * 2_000] * 2
        assert cache.stock.holding().memory_entries == 0
        await cache.close()

    run(main())


@pytest.mark.parametrize("how", ["left", "stopped"])
def test_a_leader_alone_who_leaves_ends_it(tmp_path: Path, how: Outcome) -> None:
    async def main() -> None:
        cache, inner = caching(tmp_path), Scripted(LONG, after_s=60)
        answerer = layer(inner, cache)
        task = asyncio.ensure_future(answerer(asking()))
        await settle()
        task.cancel(how)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert inner.cancelled == 1
        assert not cache.flights
        opened = await layer(Scripted(LONG), cache)(asking(stream=True))
        told: list[tuple[Outcome, Usage]] = []
        opened.on_end(lambda outcome, usage: told.append((outcome, usage)))
        await opened.__anext__()
        opened.close(how)
        opened.close()
        assert [outcome for outcome, _ in told] == [how]
        await settle()
        assert not cache.flights
        await cache.close()

    run(main())


def test_a_leader_who_is_gone_before_the_first_step_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        cache, inner = caching(tmp_path), says(after_s=60)
        answerer = layer(inner, cache)
        task = asyncio.ensure_future(answerer(asking()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await settle()
        assert not cache.flights
        assert await asyncio.wait_for(_text(layer(says(), cache), asking()), 5) == "hello"
        await cache.close()

    run(main())


def test_a_follower_waits_no_longer_than_it_may(tmp_path: Path) -> None:
    async def main() -> None:
        cache, inner = caching(tmp_path), in_turn(says(after_s=60), says())
        answerer = layer(inner, cache)
        leader = asyncio.ensure_future(answerer(asking()))
        await settle()
        soon = asyncio.get_running_loop().time() + 0.05
        follower = asking(deadline_at=soon)
        assert await _text(answerer, follower) == "hello"
        assert follower.trail.cache == "miss"
        leader.cancel()
        await asyncio.wait([leader])
        await cache.close()

    run(main())


def test_a_shutdown_ends_what_goes_on_for_nobody_here(tmp_path: Path) -> None:
    async def main() -> None:
        cache, inner = caching(tmp_path), says(after_s=60)
        answerer = layer(inner, cache)
        tasks = [asyncio.ensure_future(answerer(asking())) for _ in range(2)]
        await settle()
        await cache.close()
        done, _ = await asyncio.wait(tasks, timeout=5)
        assert len(done) >= 1
        assert inner.cancelled >= 1
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    run(main())


def test_one_that_is_ended_before_its_first_step_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        cache, inner = caching(tmp_path), says()
        flight = cache.launch(inner, asking(), RULE, b"k" * 32)
        await cache.close()
        with pytest.raises(asyncio.CancelledError):
            await flight.lead()
        assert not inner.asks
        assert not cache.flights

    run(main())


# -- random schedules -------------------------------------------------------------------------


class Visit:
    """One caller: joins after a while, reads slowly or not, and perhaps leaves."""

    def __init__(self, dice: random.Random, stream: bool) -> None:
        self.ask = asking(stream=stream)
        self._join_s = dice.uniform(0, 0.02)
        self._leave_s = dice.uniform(0, 0.03) if dice.random() < 0.4 else None
        self._gap_s = dice.choice([0, 0, 0.001])
        self.ends: list[Outcome] = []
        self.text = ""
        self.error: BaseException | None = None

    async def make(self, answerer: Answerer) -> None:
        try:
            async with asyncio.timeout(self._leave_s):
                await asyncio.sleep(self._join_s)
                await self._read(await answerer(self.ask))
        except (GatewayError, TimeoutError) as error:
            self.error = error

    async def _read(self, answer: Answer) -> None:
        answer.on_end(lambda outcome, usage: self.ends.append(outcome))
        try:
            if answer.body is not None:
                self.text = answer.reply().text
                return
            async for frame in answer:
                self.text += "".join(e.text for e in frame.events() if isinstance(e, TextDelta))
                if self._gap_s:
                    await asyncio.sleep(self._gap_s)
        finally:
            answer.close("left")


def script(dice: random.Random) -> Scripted:
    breaks = UpstreamBroken("cut") if dice.random() < 0.2 else None
    error = UpstreamFailed("no") if dice.random() < 0.2 else None
    events = LONG[: dice.randint(2, 15)] if breaks else LONG
    return Scripted(events, error=error, breaks=breaks, after_s=dice.choice([0, 0.001, 0.01]))


@pytest.mark.parametrize("seed", range(30))
def test_whatever_the_schedule(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    stream = dice.random() < 0.7

    async def main() -> None:
        cache = caching(tmp_path)
        scripts = [script(dice) for _ in range(dice.randint(1, 3))] + [Scripted(LONG)]
        answerer = layer(in_turn(*scripts), cache)
        visits = [Visit(dice, stream) for _ in range(dice.randint(2, 12))]
        async with asyncio.timeout(20):
            await asyncio.gather(*(visit.make(answerer) for visit in visits))
        await settle()
        whole = "".join(f"{n} " for n in range(20))
        for visit in visits:
            assert len(visit.ends) <= 1
            if visit.error is None:
                assert visit.text == whole
                assert visit.ends == ["done"]
            else:
                assert whole.startswith(visit.text)
        opened = [answer for each in scripts for answer in each.opened]
        assert all(getattr(answer, "outcome", "done") is not None for answer in opened)
        assert not cache.flights
        left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        assert not left
        await cache.close()

    run(main())
