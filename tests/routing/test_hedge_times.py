"""`hedge` of a route: when a second target is asked, of streams and of whole replies."""

import asyncio
from typing import Any

import msgspec
import pytest

from octoplex.routing import Counted, Health
from octoplex.routing.config import hedge_of
from octoplex.wire.error import BadConfig, UpstreamBroken, UpstreamFailed
from tests.clock import now, run
from tests.routing.roads import Road, candidate, moved
from tests.routing.test_hedge import LATE_S, about, rows
from tests.scripted import Scripted, asking, fails, listen, says, silent


async def learned(road: Road, first: Scripted, *, stream: bool, slow: int) -> None:
    """A hundred answers of the first target: so many of them after 8 s, the others after 1 s."""
    for count in range(100):
        first.after_s = 8.0 if count >= 100 - slow else 1.0
        await listen(await road.send(stream=stream))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("hedge", "slow", "hedged_s"), [("p95", 3, 1.0), ("p99", 3, 8.0)])
def test_a_second_is_asked_at_the_targets_own_quantile(
    hedge: str, slow: int, hedged_s: float, stream: bool
) -> None:
    async def case() -> None:
        first, second = says(name="first"), says(name="second")
        road = Road(candidate("a/m", first), candidate("b/m", second), hedge=hedge)
        await learned(road, first, stream=stream, slow=slow)
        first.after_s, began = 1e6, now()
        answer = await road.send(stream=stream)
        assert answer.head.model == "second"
        assert hedged_s <= now() - began <= 1.1 * hedged_s + LATE_S
        assert first.cancelled == 1
        assert [target for target, _ in rows(road)] == ["a/m", "b/m"]
        await listen(answer)
        assert road.open_calls() == 0
        assert (road.health.hedges, road.health.hedges_won) == (1, 1)

    run(case())


def test_before_enough_is_known_whole_replies_are_not_hedged_and_streams_by_the_limit() -> None:
    async def case() -> None:
        first, second = says(after_s=60.0, name="first"), says(name="second")
        road = Road(candidate("a/m", first), candidate("b/m", second), hedge="p95")
        assert (await road.send()).head.model == "first"
        began = now()
        assert (await road.send(stream=True)).head.model == "second"
        assert now() - began == about(10.0)

    run(case())


@pytest.mark.parametrize("stream", [True, False])
def test_a_fixed_time_holds_from_the_first_call_on(stream: bool) -> None:
    async def case() -> None:
        first, second = silent(), says(name="second")
        road = Road(candidate("a/m", first), candidate("b/m", second), hedge=2.0)
        began = now()
        assert (await road.send(stream=stream)).head.model == "second"
        assert now() - began == about(2.0)
        assert road.last.trail.why == "beside a/m, which was slow"
        assert rows(road)[0] == ("a/m", "outrun")

    run(case())


def test_off_asks_nobody_beside() -> None:
    async def case() -> None:
        slow, other = says(after_s=200.0), says()
        road = Road(candidate("a/m", slow), candidate("b/m", other), hedge="off")
        for stream in (True, False):
            await listen(await road.send(stream=stream))
        assert other.asked_at == []

    run(case())


def test_the_slow_one_may_still_win_and_is_named_as_who_answered() -> None:
    async def case() -> None:
        first, second = says(after_s=3.0, name="first"), says(after_s=5.0, name="second")
        road = Road(candidate("a/m", first), candidate("b/m", second), hedge=2.0)
        assert (await road.send()).head.model == "first"
        assert second.cancelled == 1
        assert rows(road) == [("a/m", "done"), ("b/m", "outrun")]
        answered = road.last.trail.answered()
        assert answered is not None
        assert answered.target == "a/m"
        assert (road.health.hedges, road.health.hedges_won) == (1, 0)

    run(case())


def test_at_most_a_tenth_is_hedged_and_beyond_that_nothing_is_cancelled() -> None:
    async def case() -> None:
        first, second = says(after_s=4.0, name="first"), says(name="second")
        road = Road(candidate("a/m", first), candidate("b/m", second), hedge=2.0)
        won = [(await road.send()).head.model for _ in range(41)]
        assert won.count("second") == len(second.asked_at) == 5  # the first, and a tenth of 41
        assert won.count("first") == 36

    run(case())


def test_beyond_the_share_a_stream_still_has_its_first_content_limit() -> None:
    async def case() -> None:
        first, second = silent(), says(name="second")
        road = Road(candidate("a/m", first), candidate("b/m", second), hedge=2.0)
        road.health.share(road.route).take()
        began = now()
        assert (await road.send(stream=True)).head.model == "second"
        assert now() - began == about(10.0)
        assert rows(road)[0] == ("a/m", "upstream_slow")

    run(case())


def test_who_is_outrun_before_the_limit_has_not_failed() -> None:
    async def case() -> None:
        first = says(after_s=3.0)
        road = Road(candidate("a/m", first), candidate("b/m", says()), hedge=2.0)
        share = road.health.share(road.route)
        for _ in range(20):
            share.earn(1.0)
            await listen(await road.send(stream=True))
        assert first.cancelled == 20
        assert road.breaker("a/m") == "closed"
        assert not road.health.of(road.route.candidates[0].target).host.marred

    run(case())


def test_an_outrun_whole_reply_still_teaches_its_time() -> None:
    async def case() -> None:
        road = Road(candidate("a/m", silent()), candidate("b/m", says()), hedge=2.0)
        share = road.health.share(road.route)
        for _ in range(100):
            share.earn(1.0)
            await road.send()
        p95_s = road.health.of(road.route.candidates[0].target).whole.p95_s()
        assert p95_s == pytest.approx(2.0, rel=0.15)

    run(case())


def test_only_the_first_attempt_is_hedged() -> None:
    async def case() -> None:
        first, second, third = silent(), says(after_s=5.0, name="second"), says(name="third")
        road = Road(
            candidate("a/m", first), candidate("b/m", second), candidate("c/m", third), hedge=2.0
        )
        road.health.share(road.route).earn(9.0)
        assert (await road.send()).head.model == "second"
        assert third.asked_at == []

    run(case())


def test_when_the_hedge_fails_the_first_goes_on_and_has_the_verdict_when_both_fail() -> None:
    async def case() -> None:
        first, second = says(after_s=60.0, name="first"), fails(UpstreamFailed("500"))
        road = Road(candidate("a/m", first), candidate("b/m", second), hedge=2.0)
        assert (await road.send()).head.model == "first"
        broken = fails(UpstreamBroken("reset"), after_s=30.0)
        road = Road(candidate("a/m", broken), candidate("b/m", second), hedge=2.0)
        error = await road.error()
        assert isinstance(error, UpstreamBroken)
        assert road.open_calls() == 0

    run(case())


@pytest.mark.parametrize("after_s", [1.0, 2.5, 4.0])
def test_a_caller_who_leaves_cancels_both(after_s: float) -> None:
    async def case() -> None:
        first, second = silent(), silent()
        road = Road(candidate("a/m", first), candidate("b/m", second), hedge=2.0)
        task = asyncio.ensure_future(road.send())
        await moved(after_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert first.cancelled == 1
        assert second.cancelled == len(second.asked_at)
        assert road.open_calls() == 0

    run(case())


def test_counts_of_tokens_are_asked_once() -> None:
    async def case() -> None:
        slow, other = says(after_s=9.0), says()
        pair = (candidate("a/m", slow), candidate("b/m", other))
        counters = tuple(msgspec.structs.replace(c, counters=c.lanes) for c in pair)
        road = Road(*counters, hedge=2.0)
        count = Counted(road.chain, lambda _: road.route, Health(now=now))
        await count(msgspec.structs.replace(asking(), op="count_tokens"))
        assert (len(slow.asked_at), len(other.asked_at)) == (1, 0)

    run(case())


@pytest.mark.parametrize(
    ("text", "means"),
    [("", ""), ("p95", "p95"), ("p99", "p99"), ("off", "off"), ("2 s", 2.0), ("750ms", 0.75)],
)
def test_what_the_file_may_say(text: str, means: Any) -> None:
    assert hedge_of(text, "[models.main]") == means


@pytest.mark.parametrize("text", ["p50", "2", "0 s", "-1 s", "2 min", "nan s", "p95 "])
def test_what_it_may_not(text: str) -> None:
    with pytest.raises(BadConfig, match=r'\[models.main\] hedge: .* write "p95"'):
        hedge_of(text, "[models.main]")
