"""contracts.md 'Attempts': the first-content limit, and asking another target beside."""

import asyncio

import msgspec
import pytest

from octoplex.routing import Policy
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask
from octoplex.wire.error import (
    ContentRefused,
    ContextTooLong,
    GatewayError,
    OverBudget,
    UpstreamBroken,
    UpstreamFailed,
    UpstreamSlow,
)
from tests.clock import now, run
from tests.routing.roads import Road, candidate, moved
from tests.scripted import Scripted, asking, fails, in_turn, listen, says, silent

LATE_S = 0.051
"""A limit is met up to this much late."""


def about(seconds: float) -> object:
    return pytest.approx(seconds + LATE_S / 2, abs=LATE_S / 2)


def rows(road: Road) -> list[tuple[str, str]]:
    return [(t, o) for t, _, o in road.outcomes]


@pytest.mark.parametrize(("silently", "limit_s"), [(False, 10.0), (True, 120.0)])
def test_the_next_is_asked_beside_at_the_limit(silently: bool, limit_s: float) -> None:
    async def case() -> None:
        slow, quick = silent(), says()
        road = Road(candidate("a/m", slow, reasons_silently=silently), candidate("b/m", quick))
        began = now()
        answer = await road.send(stream=True)
        assert await listen(answer) == "hello"
        assert now() - began == about(limit_s)
        assert slow.cancelled == 1
        assert rows(road) == [("a/m", "outrun"), ("b/m", "done")]
        assert road.last.trail.why == "beside a/m, which was slow"
        assert road.open_calls() == 0

    run(case())


def test_the_first_to_have_content_wins_also_when_it_is_the_slow_one() -> None:
    async def case() -> None:
        slow, slower = says(after_s=12.0, name="slow"), says(after_s=5.0, name="slower")
        road = Road(candidate("a/m", slow), candidate("b/m", slower))
        answer = await road.send(stream=True)
        assert answer.head.model == "slow"
        assert (slow.cancelled, slower.cancelled) == (0, 1)
        assert rows(road) == [("a/m", "open"), ("b/m", "outrun")]
        assert road.last.trail.why == "in order"
        await listen(answer)
        assert road.open_calls() == 0

    run(case())


def test_no_limit_for_plain_calls_and_where_no_further_target_can_be_asked() -> None:
    async def case() -> None:
        slow, other = says(after_s=200.0), says()
        await Road(candidate("a/m", slow), candidate("b/m", other)).send()
        await Road(candidate("a/m", slow)).send(stream=True)
        await Road(candidate("a/m", slow), candidate("b/m")).send(stream=True)
        assert other.asked_at == []

    run(case())


def test_no_limit_for_a_stream_that_is_answered_whole() -> None:
    async def case() -> None:
        slow, other = says(after_s=200.0), says()
        first = msgspec.structs.replace(candidate("a/m", slow), buffers=lambda ask: ask.stream)
        answer = await Road(first, candidate("b/m", other)).send(stream=True)
        assert await listen(answer) == "hello"
        assert other.asked_at == []

    run(case())


def test_at_most_a_tenth_is_asked_twice_then_the_slow_one_is_cancelled_first() -> None:
    async def case() -> None:
        policy = Policy(breaker=Policy().breaker)
        slow, quick = says(after_s=12.0, name="slow"), says(after_s=5.0, name="quick")
        road = Road(candidate("a/m", slow), candidate("b/m", quick), policy=policy)
        won = [(await road.send(stream=True)).head.model for _ in range(4)]
        assert won == ["slow", "quick", "quick", "quick"]
        assert rows(road) == [("a/m", "upstream_slow"), ("b/m", "open")]
        assert "after a/m upstream_slow" in road.last.trail.why
        assert slow.cancelled == 3
        assert quick.cancelled == 1

    run(case())


def test_ten_calls_earn_one_second_ask() -> None:
    async def case() -> None:
        first = says(name="first")
        road = Road(candidate("a/m", first), candidate("b/m", says(after_s=5.0, name="second")))
        first.after_s = 12.0
        await road.send(stream=True)
        first.after_s = 0.0
        for _ in range(9):
            await road.send(stream=True)
        first.after_s = 12.0
        assert (await road.send(stream=True)).head.model == "first"
        assert (await road.send(stream=True)).head.model == "second"

    run(case())


def test_the_limit_is_three_times_the_targets_own_p99_and_never_below_2_s() -> None:
    async def case() -> None:
        first = says()
        road = Road(candidate("a/m", first), candidate("b/m", says(name="second")))
        for after_s, limit_s in ((0.1, 2.0), (1.5, 4.5)):
            first.after_s = after_s
            for _ in range(120):
                await listen(await road.send(stream=True))
            first.after_s = 1e9
            began = now()
            await listen(await road.send(stream=True))
            assert limit_s <= now() - began < 1.1 * limit_s + LATE_S

    run(case())


def test_an_outrun_target_still_learns_its_times() -> None:
    async def case() -> None:
        road = Road(candidate("a/m", silent()), candidate("b/m", says()))
        await listen(await road.send(stream=True))
        learned = {c.target: c.first_content_s for c in road.health.report()}
        assert learned["a/m"] == about(10.0)

    run(case())


def test_an_outrun_target_failed_this_call() -> None:
    async def case() -> None:
        road = Road(candidate("a/m", silent()), candidate("b/m", says()))
        for _ in range(5):
            assert road.health.report() == [] or road.breaker("a/m") == "closed"
            await listen(await road.send(stream=True))
        assert road.breaker("a/m") == "open"

    run(case())


def test_when_the_second_fails_the_first_goes_on() -> None:
    async def case() -> None:
        slow = says(after_s=60.0)
        road = Road(candidate("a/m", slow), candidate("b/m", fails(UpstreamFailed("500"))))
        assert await listen(await road.send(stream=True)) == "hello"
        assert rows(road) == [("a/m", "done")] + [("b/m", "upstream_failed")] * 3

    run(case())


def test_when_the_second_fails_a_third_is_asked_beside_the_first() -> None:
    async def case() -> None:
        slow, third = silent(), says(name="third")
        road = Road(
            candidate("a/m", slow),
            candidate("b/m", fails(UpstreamSlow("no"))),
            candidate("c/m", third),
        )
        assert (await road.send(stream=True)).head.model == "third"

    run(case())


def test_when_the_first_fails_while_the_second_is_asked_the_second_answers() -> None:
    async def case() -> None:
        first, second = fails(UpstreamBroken("reset"), after_s=11.0), says(after_s=5.0)
        road = Road(candidate("a/m", first), candidate("b/m", second))
        assert await listen(await road.send(stream=True)) == "hello"
        assert rows(road) == [("a/m", "bad_upstream_response"), ("b/m", "done")]

    run(case())


def test_when_both_fail_the_verdict_is_the_preferred_targets() -> None:
    async def case() -> None:
        first = fails(UpstreamBroken("reset"), after_s=11.0)
        second = fails(UpstreamSlow("nothing"), after_s=5.0)
        road = Road(candidate("a/m", first), candidate("b/m", second))
        error = await road.error(stream=True)
        assert isinstance(error, UpstreamBroken)
        assert str(error).endswith("(tried 2: a/m bad_upstream_response, b/m upstream_slow)")
        assert road.open_calls() == 0

    run(case())


def test_a_refusal_by_the_first_ends_the_call_for_both() -> None:
    async def case() -> None:
        first, second = fails(ContentRefused("policy"), after_s=11.0), silent()
        road = Road(candidate("a/m", first), candidate("b/m", second))
        assert isinstance(await road.error(stream=True), ContentRefused)
        assert second.cancelled == 1
        assert road.open_calls() == 0
        pair = (candidate("a/m", first), candidate("b/m", says(after_s=5.0)))
        await Road(*pair, fall_over_on_refusal=True).send(stream=True)

    run(case())


@pytest.mark.parametrize("after_s", [1.0, 10.5, 13.0])
def test_a_caller_who_leaves_cancels_both(after_s: float) -> None:
    async def case() -> None:
        first, second = silent(), silent()
        road = Road(candidate("a/m", first), candidate("b/m", second))
        task = asyncio.ensure_future(road.send(stream=True))
        await moved(after_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert first.cancelled == 1
        assert second.cancelled == len(second.asked_at)
        assert road.open_calls() == 0
        assert {o for _, o in rows(road)} == {"left"}

    run(case())


def test_the_callers_own_timeout_still_works_around_a_race() -> None:
    async def case() -> None:
        road = Road(candidate("a/m", silent()), candidate("b/m", says(after_s=5.0)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(12.0):
                await road.send(stream=True)
        async with asyncio.timeout(30.0):
            await road.send(stream=True)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(case())


class Stubborn(Scripted):
    """Opens although it was cancelled."""

    async def __call__(self, ask: Ask, /) -> Answer:
        try:
            await asyncio.sleep(1e9)
        except asyncio.CancelledError:
            self.cancelled += 1
        answer = self._open(ask)
        self.opened.append(answer)
        return answer


def test_a_loser_that_opens_after_all_is_closed() -> None:
    async def case() -> None:
        first, second = Stubborn(name="first"), says(after_s=1.0, name="second")
        road = Road(candidate("a/m", first), candidate("b/m", second))
        answer = await road.send(stream=True)
        await listen(answer)
        assert answer.head.model == "first", "it is open: there is no reason to lose it"
        assert second.opened[0].closed == 1  # type: ignore[union-attr]

        beside = Stubborn(name="beside")
        road = Road(candidate("a/m", says(after_s=12.0)), candidate("b/m", beside))
        await listen(await road.send(stream=True))
        assert (beside.cancelled, beside.opened[0].closed) == (1, 1)  # type: ignore[union-attr]
        assert road.open_calls() == 0

    run(case())


def test_a_caller_who_leaves_while_the_loser_is_stopped_closes_the_winner() -> None:
    class Slow(Scripted):
        """Takes its time to stop."""

        async def __call__(self, ask: Ask, /) -> Answer:
            try:
                await asyncio.sleep(1e9)
            finally:
                await asyncio.sleep(2.0)
            raise AssertionError

    async def case() -> None:
        first = says(after_s=12.0)
        road = Road(candidate("a/m", first), candidate("b/m", Slow()))
        task = asyncio.ensure_future(road.send(stream=True))
        await moved(13.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert first.opened[0].closed == 1  # type: ignore[union-attr]
        await moved(3.0)
        assert road.open_calls() == 0

    run(case())


def test_a_route_may_fix_its_own_limit() -> None:
    async def case() -> None:
        pair = (candidate("a/m", silent()), candidate("b/m", says()))
        began = now()
        await Road(*pair, policy=Policy(first_content_always_s=0.5)).send(stream=True)
        assert now() - began == about(0.5)

    run(case())


def test_one_that_fails_beside_a_slow_one_is_followed_by_nobody() -> None:
    async def case() -> None:
        down = UpstreamFailed("500", provider_status=500)
        second, third = fails(down), says(name="third")
        slow = says(after_s=8.0, name="slow")
        pair = (candidate("a/m", slow), candidate("b/m", second), candidate("c/m", third))
        road = Road(*pair, hedge=1.0, policy=Policy(hedge_share=1.0))
        for count in range(1, 6):
            answer = await road.send(stream=count % 2 > 0)
            assert answer.head.model == "slow"
            await listen(answer)
            assert (len(second.asked_at), len(third.asked_at)) == (count, 0)
        assert road.open_calls() == 0
        assert road.breaker("b/m") == "open", "what it did is heard of all the same"

    run(case())


@pytest.mark.parametrize("stream", [False, True])
def test_one_that_failed_beside_another_goes_on_when_that_one_fails_too(stream: bool) -> None:
    async def case() -> None:
        first = fails(UpstreamBroken("reset"), after_s=4.0)
        second, third = fails(UpstreamSlow("nothing"), after_s=1.0), says(name="third")
        pair = (candidate("a/m", first), candidate("b/m", second), candidate("c/m", third))
        road = Road(*pair, hedge=1.0)
        began = now()
        assert (await road.send(stream=stream)).head.model == "third"
        assert now() - began == pytest.approx(4.0)
        assert len(second.asked_at) == 1

    run(case())


def test_after_the_first_content_limit_the_one_beside_is_followed() -> None:
    async def case() -> None:
        second, third = fails(UpstreamSlow("nothing"), after_s=1.0), says(name="third")
        pair = (candidate("a/m", silent()), candidate("b/m", second), candidate("c/m", third))
        began = now()
        road = Road(*pair, hedge=1.0)
        assert (await road.send(stream=True)).head.model == "third"
        assert now() - began == about(10.0)

    run(case())


@pytest.mark.parametrize("beside", [OverBudget("spent"), ContextTooLong("400")], ids=type)
def test_a_refusal_beside_says_nothing_of_the_first_ones_failure(beside: GatewayError) -> None:
    async def case() -> None:
        first = fails(UpstreamFailed("500", provider_status=500), after_s=2.0)
        policy = Policy(retries_per_target=0)
        pair = (candidate("a/m", first), candidate("b/m", fails(beside)))
        error = await Road(*pair, hedge=1.0, policy=policy).error()
        assert isinstance(error, UpstreamFailed)

    run(case())


def test_one_that_lacked_the_firsts_money_is_asked_again_when_that_has_failed() -> None:
    async def case() -> None:
        first = fails(UpstreamFailed("500", provider_status=500), after_s=4.0)
        second = in_turn(fails(OverBudget("held"), after_s=2.0), says(name="second"))
        pair = (candidate("a/m", first), candidate("b/m", second))
        road = Road(*pair, hedge=1.0, policy=Policy(retries_per_target=0))
        assert (await road.send()).head.model == "second"
        assert [o for _, o in rows(road)] == ["upstream_failed", "over_budget", "done"]
        assert road.open_calls() == 0

    run(case())


@pytest.mark.parametrize(("left_nano", "answers"), [(40, "second"), (3, "first")])
@pytest.mark.parametrize("hedge", ["", 1.0])
def test_at_the_limit_the_slow_one_gives_up_its_money_if_that_is_enough(
    hedge: float | str, left_nano: int, answers: str
) -> None:
    """It holds 100, of which 50 are spent when it is cancelled; the other one needs 80."""

    async def case() -> None:
        held = OverBudget("held", left_nano=left_nano)
        first, second = says(after_s=20.0, name="first"), says(name="second")
        one = candidate("a/m", first, cost=lambda _: 100, reads=lambda *_: 50)
        two = candidate("b/m", in_turn(fails(held, after_s=2.0), second), cost=lambda _: 80)
        road = Road(one, two, hedge=hedge)
        assert (await road.send(stream=True)).head.model == answers
        assert first.cancelled == (answers == "second")
        assert len(second.asked_at) == (answers == "second")

    run(case())


@pytest.mark.parametrize("left", ["before it begins", "while it is asked"])
def test_a_probe_that_is_not_wanted_any_more_leaves_the_breaker_to_the_next(left: str) -> None:
    """Also where the first one answers in the very turn in which it is asked beside."""

    async def case() -> None:
        first = says(after_s=1.0 + LATE_S - 0.001 if left == "before it begins" else 2.0)
        road = Road(candidate("a/m", first), candidate("b/m", silent()), hedge=1.0)
        state = road.health.of(road.route.candidates[1].target)
        for _ in range(5):
            state.failed()
        await moved(6.0)
        await road.send()
        assert road.health.hedges == 1
        assert state.breaker.may_probe(now())

    run(case())


def test_where_all_may_be_asked_twice_all_are() -> None:
    async def case() -> None:
        quick = says(name="quick")
        pair = (candidate("a/m", says(after_s=5.0)), candidate("b/m", quick))
        road = Road(*pair, hedge=1.0, policy=Policy(hedge_share=1.0))
        await asyncio.gather(*(road.chain(asking()) for _ in range(150)))
        assert len(quick.asked_at) == 150

    run(case())
