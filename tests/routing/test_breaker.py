"""contracts.md 'Attempts', the breaker: what it counts, when it opens, who probes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from octoplex.routing import Breaking, Policy, Target
from octoplex.routing.breaker import Breaker
from octoplex.wire.error import (
    DeadlinePassed,
    GatewayError,
    ModelGone,
    NoTarget,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamSlow,
    UpstreamUnreachable,
)
from tests.clock import now, run
from tests.routing.roads import Road, candidate, middle, moved
from tests.scripted import Scripted, fails, listen, says

ONCE = Policy(retries_per_target=0)
DOWN = UpstreamFailed("500", provider_status=500)


def conflict() -> UpstreamFailed:
    """As the dialects make it: the status is the error's own."""
    error = UpstreamFailed("a 409")
    error.status = 409
    return error


def shut(**rules: Any) -> Road:
    """A road whose only target is called a/m and is asked once per call."""
    return Road(candidate("a/m", fails(DOWN)), policy=ONCE, **rules)


async def broken(road: Road, times: int = 5) -> None:
    for _ in range(times):
        await road.error()


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (DOWN, True),
        (UpstreamOverloaded("529", provider_status=529), True),
        (UpstreamUnreachable("reset"), True),
        (UpstreamSlow("time-out"), True),
        (UpstreamBroken("html"), True),
        (UpstreamBusy("429", provider_status=429), False),
        (UpstreamFailed("408", provider_status=408), False),
        (UpstreamFailed("409", provider_status=409), False),
        (conflict(), False),
        (UpstreamRejected("400", provider_status=400), False),
        (UpstreamDenied("403", provider_status=403), False),
        (ModelGone("404", provider_status=404), False),
        (DeadlinePassed("the caller's own"), False),
    ],
    ids=lambda e: str(e),
)
def test_what_counts_as_a_failed_call(error: GatewayError, counts: bool) -> None:
    async def case() -> None:
        lanes = [fails(error) for _ in range(6)]
        road = Road(candidate("a/m", *lanes), policy=ONCE)
        await broken(road)
        assert road.breaker("a/m") == ("open" if counts else "closed")

    run(case())


def test_the_retries_of_one_call_count_once() -> None:
    async def case() -> None:
        road = Road(candidate("a/m", fails(DOWN)))
        await broken(road, 4)
        assert road.breaker("a/m") == "closed"
        await broken(road, 1)
        assert road.breaker("a/m") == "open"

    run(case())


def test_five_of_the_last_ten() -> None:
    async def case() -> None:
        lane = Scripted(error=DOWN)
        road = Road(candidate("a/m", lane), policy=ONCE)

        async def calls(outcomes: str) -> str:
            for outcome in outcomes:
                lane.error = DOWN if outcome == "f" else None
                await (road.error() if outcome == "f" else road.send())
            return road.breaker("a/m")

        assert await calls("ffff" + "s" * 6 + "f") == "closed", "the first has been forgotten"
        assert await calls("s" * 10 + "ffff" + "sssss" + "f") == "open"

    run(case())


def test_within_sixty_seconds() -> None:
    async def case() -> None:
        road = shut()
        await broken(road, 4)
        await moved(61.0)
        await broken(road, 1)
        assert road.breaker("a/m") == "closed"

    run(case())


def test_a_stream_that_breaks_off_is_a_failure_and_one_the_caller_leaves_is_not() -> None:
    async def case() -> None:
        cut = says(breaks=UpstreamBroken("cut"))
        cut.events = cut.events[:2]
        left, failed = Road(candidate("a/m", cut)), Road(candidate("a/m", cut))
        for _ in range(5):
            (await left.send(stream=True)).close()
            with pytest.raises(UpstreamBroken):
                await listen(await failed.send(stream=True))
        assert (left.breaker("a/m"), failed.breaker("a/m")) == ("closed", "open")
        assert (left.open_calls(), failed.open_calls()) == (0, 0)

    run(case())


def test_open_for_5_s_doubling_to_30() -> None:
    opened: list[float] = []
    breaker = Breaker(Breaking(), middle)
    at = 0.0
    for _ in range(5):
        breaker.failed(at)
    for _ in range(5):
        opened.append(breaker.reopens_at - at)
        at = breaker.reopens_at
        breaker.claim()
        breaker.failed(at, probe=True)
    assert opened == [5, 10, 20, 30, 30]


def test_a_proper_end_forgets_the_doubling() -> None:
    breaker = Breaker(Breaking(), middle)
    breaker.failed(0.0, probe=True)
    breaker.failed(5.0, probe=True)
    breaker.opened(6.0)
    breaker.succeeded(20.0)
    assert not breaker.marred
    breaker.failed(21.0, probe=True)
    assert breaker.reopens_at == 26.0


@pytest.mark.parametrize(("luck", "opened_s"), [(0.0, 4.5), (0.999999, 5.5)])
def test_the_reopening_is_jittered(luck: float, opened_s: float) -> None:
    breaker = Breaker(Breaking(), lambda: luck)
    breaker.failed(0.0, probe=True)
    assert breaker.reopens_at == pytest.approx(opened_s, abs=1e-4)


def test_exactly_one_probe_of_a_herd_and_its_success_closes() -> None:
    async def case() -> None:
        lane, other = Scripted(error=DOWN), says()
        road = Road(candidate("a/m", lane), candidate("b/m", other), policy=ONCE)
        for _ in range(5):
            await road.send()
        asked = len(lane.asked_at)
        await moved(5.1)
        lane.error, lane.after_s = None, 1.0
        await asyncio.gather(*(road.send() for _ in range(50)))
        assert len(lane.asked_at) == asked + 1
        assert road.breaker("a/m") == "closed"
        await road.send()
        assert len(lane.asked_at) == asked + 2

    run(case())


def test_a_probe_is_never_retried_and_its_failure_opens_again() -> None:
    async def case() -> None:
        lane = fails(DOWN)
        road = Road(candidate("a/m", lane), candidate("b/m", says()))
        for _ in range(5):
            await road.send()
        asked = len(lane.asked_at)
        await moved(5.1)
        await road.send()
        assert len(lane.asked_at) == asked + 1
        assert road.breaker("a/m") == "open"
        assert road.health.report()[0].reopens_in_s == pytest.approx(10.0)

    run(case())


def test_where_every_target_is_open_the_one_that_reopens_soonest_is_asked() -> None:
    async def case() -> None:
        first, second = fails(DOWN), fails(DOWN)
        one = Road(candidate("a/m", first), policy=ONCE)
        both = Road(candidate("a/m", first), candidate("b/m", second), policy=ONCE)
        other = Road(candidate("b/m", second), policy=ONCE)
        one.chain = type(one.chain)(lambda _: one.route, both.health)
        other.chain = type(one.chain)(lambda _: other.route, both.health)
        await broken(other)
        await moved(1.0)
        await broken(one)
        await moved(1.0)
        counts = len(first.asked_at), len(second.asked_at)
        error = await both.error()
        assert (len(first.asked_at), len(second.asked_at)) == (counts[0], counts[1] + 1)
        assert isinstance(error, UpstreamFailed)
        assert error.retry_after_s == pytest.approx(4.0)
        assert both.last.trail.why == "probe of an open breaker"

    run(case())


def test_all_failing_keeps_trying_and_others_get_a_fast_503() -> None:
    async def case() -> None:
        lane = fails(DOWN)
        road = Road(candidate("a/m", lane), policy=ONCE)
        await broken(road)
        lane.after_s = 2.0
        began = now()
        probe = asyncio.ensure_future(road.error())
        await moved(0.1)
        waiting = await road.error()
        assert isinstance(waiting, NoTarget)
        assert waiting.retry_after_s is not None
        assert now() - began == pytest.approx(0.1)
        await probe
        assert len(lane.asked_at) == 6

    run(case())


@pytest.mark.parametrize("how", ["the caller leaves", "a 400", "a bug"])
def test_a_probe_without_a_verdict_lets_the_next_call_probe(how: str) -> None:
    async def bug(ask: object) -> Any:
        raise ZeroDivisionError

    async def case() -> None:
        lane = Scripted(error=DOWN)
        answer: Callable[..., Any] = lane
        road = Road(candidate("a/m", lambda ask: answer(ask)), policy=ONCE)
        await broken(road)
        if how == "a 400":
            lane.error = UpstreamRejected("no", provider_status=400)
            await road.error()
        elif how == "a bug":
            answer = bug
            with pytest.raises(ZeroDivisionError):
                await road.send()
        else:
            lane.after_s = 9.0
            task = asyncio.ensure_future(road.send())
            await moved(1.0)
            task.cancel()
            await asyncio.wait([task])
        assert road.breaker("a/m") == "open"
        answer, lane.error, lane.after_s = lane, None, 0.0
        await road.send()
        assert road.breaker("a/m") == "closed"

    run(case())


def test_a_probe_closes_at_its_first_content_and_a_cut_opens_again() -> None:
    async def case() -> None:
        lane = Scripted(error=DOWN)
        road = Road(candidate("a/m", lane), policy=ONCE)
        await broken(road)
        lane.error, lane.breaks, lane.events = None, UpstreamBroken("cut"), lane.events[:2]
        answer = await road.send(stream=True)
        assert road.breaker("a/m") == "closed"
        with pytest.raises(UpstreamBroken):
            await listen(answer)
        assert road.breaker("a/m") == "open"

    run(case())


def test_a_call_that_waits_does_not_hit_a_target_that_has_opened_meanwhile() -> None:
    async def case() -> None:
        lane = fails(DOWN)
        road = Road(candidate("a/m", lane))
        await asyncio.gather(*(road.error() for _ in range(8)))
        assert len(lane.asked_at) <= 8 + 8 + 5
        assert road.breaker("a/m") == "open"

    run(case())


def test_the_breaker_is_per_target_and_shared_over_routes() -> None:
    async def case() -> None:
        road = shut()
        await broken(road)
        road.route = Road(candidate("a/m", says()), candidate("a/n", says())).route
        await road.send()
        assert [t for t, _, _ in road.outcomes] == ["a/n"]

    run(case())


def test_a_reload_changes_the_rules_of_known_targets() -> None:
    async def case() -> None:
        road = shut()
        await broken(road, 1)
        strict = Policy(breaker=Breaking(failures=2))
        known = road.route.candidates[0].target
        road.health.follow([Target(name=known.name, provider="a", model="m", policy=strict)])
        await broken(road, 1)
        assert road.breaker("a/m") == "open"

    run(case())
