"""contracts.md 'Attempts': retries, waits, keys, next targets. One sentence, one test."""

import asyncio
import gc
from inspect import iscoroutine
from typing import Any

import pytest

from octoplex.routing import Policy
from octoplex.wire.error import (
    ContentRefused,
    ContextTooLong,
    DeadlinePassed,
    Forbidden,
    GatewayError,
    ModelGone,
    NoTarget,
    OverBudget,
    StoreFailed,
    Unsupported,
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
from tests.routing.roads import Road, candidate, gaps, moved
from tests.scripted import asking, fails, in_turn, listen, says, silent

RETRIED = [
    UpstreamFailed("408", provider_status=408),
    UpstreamFailed("409", provider_status=409),
    UpstreamFailed("500", provider_status=500),
    UpstreamOverloaded("529", provider_status=529),
    UpstreamBusy("429", provider_status=429),
    UpstreamUnreachable("reset"),
    UpstreamBroken("cut before content"),
]


def named(error: GatewayError) -> str:
    return f"{error.code}-{error}"


@pytest.mark.parametrize("error", RETRIED, ids=named)
def test_retried_on_the_same_target_at_most_twice_then_the_next(error: GatewayError) -> None:
    async def case() -> None:
        first, second = fails(error), says()
        road = Road(candidate("a/m", first), candidate("b/m", second))
        assert await listen(await road.send()) == "hello"
        assert len(first.asked_at) == 3
        assert len(second.asked_at) == 1
        assert road.open_calls() == 0
        assert road.last.trail.why == f"after a/m {error.code}"
        assert [o for _, _, o in road.outcomes] == [error.code] * 3 + ["done"]

    run(case())


@pytest.mark.parametrize("error", RETRIED, ids=named)
def test_a_retry_that_works_is_an_answer(error: GatewayError) -> None:
    async def case() -> None:
        road = Road(candidate("a/m", in_turn(fails(error), says())))
        assert await listen(await road.send()) == "hello"
        assert [o for _, _, o in road.outcomes] == [error.code, "done"]

    run(case())


@pytest.mark.parametrize(
    "error",
    [
        UpstreamRejected("bad field", provider_status=422),
        ContentRefused("policy"),
        OverBudget("spent"),
        StoreFailed("disk"),
        DeadlinePassed("late"),
        Forbidden("unpriced"),
    ],
    ids=lambda e: e.code,
)
def test_other_errors_end_the_call(error: GatewayError) -> None:
    async def case() -> None:
        second = says()
        road = Road(candidate("a/m", fails(error)), candidate("b/m", second))
        raised = await road.error()
        assert type(raised) is type(error)
        assert str(raised) == str(error)
        assert second.asked_at == []

    run(case())


def test_without_a_header_backoff_is_exponential_from_half_a_second() -> None:
    async def case() -> None:
        first = fails(UpstreamFailed("500"))
        await Road(candidate("a/m", first)).error()
        assert gaps(first.asked_at) == [0.5 * 1.125, 1.0 * 1.125]

    run(case())


@pytest.mark.parametrize(
    ("asked_for", "waited"), [(0.0, [0.0, 1.5]), (1.0, [1.125, 1.125]), (3.0, [3.375, 3.375])]
)
def test_a_retry_after_of_at_most_3_s_is_waited_out(asked_for: float, waited: list[float]) -> None:
    async def case() -> None:
        first = fails(UpstreamBusy("429", retry_after_s=asked_for))
        road = Road(candidate("a/m", first))
        assert (await road.error()).retry_after_s == (asked_for or None)
        assert gaps(first.asked_at) == waited

    run(case())


def test_never_shorter_than_asked_and_negative_is_none() -> None:
    async def case() -> None:
        first = in_turn(fails(UpstreamBusy("429", retry_after_s=-5.0)), says())
        await Road(candidate("a/m", first)).send()
        assert gaps(first.asked_at) == [0.0]

    run(case())


@pytest.mark.parametrize("error", [ModelGone("gone"), UpstreamSlow("silent")], ids=named)
def test_not_asked_again_for_this_call(error: GatewayError) -> None:
    async def case() -> None:
        first, other_key, second = fails(error), says(), says()
        road = Road(candidate("a/m", first, other_key), candidate("b/m", second))
        await road.send()
        assert (len(first.asked_at), len(other_key.asked_at)) == (1, 0)
        assert len(second.asked_at) == 1

    run(case())


def test_context_too_long_goes_to_a_larger_context_only() -> None:
    async def case() -> None:
        small, same, unknown, large = fails(ContextTooLong("8k")), says(), says(), says()
        road = Road(
            candidate("a/m", small, context_window=8_000),
            candidate("b/m", same, context_window=8_000),
            candidate("c/m", unknown),
            candidate("d/m", large, context_window=9_000),
        )
        await road.send()
        counts = [len(d.asked_at) for d in (small, same, unknown, large)]
        assert counts == [1, 0, 0, 1]

    run(case())


def test_context_too_long_without_a_larger_one_is_the_callers_400() -> None:
    async def case() -> None:
        road = Road(
            candidate("a/m", fails(ContextTooLong("8k")), context_window=8_000),
            candidate("b/m", says(), context_window=8_000),
        )
        error = await road.error()
        assert (error.status, str(error)) == (400, "8k")

    run(case())


def test_a_refusal_falls_over_only_where_the_route_says_so() -> None:
    async def case() -> None:
        pair = (candidate("a/m", fails(ContentRefused("policy"))), candidate("b/m", says()))
        assert isinstance(await Road(*pair).error(), ContentRefused)
        await Road(*pair, fall_over_on_refusal=True).send()

    run(case())


def test_over_budget_moves_to_a_cheaper_target_where_the_route_allows_it() -> None:
    async def case() -> None:
        dear, dearer, unpriced, cheap = fails(OverBudget("spent")), says(), says(), says()
        made: dict[str, Any] = {"cheaper_on_budget": True}
        road = Road(
            candidate("a/m", dear, cost=lambda w: 50),
            candidate("b/m", dearer, cost=lambda w: 60),
            candidate("c/m", unpriced),
            candidate("d/m", cheap, cost=lambda w: 40),
            **made,
        )
        await road.send()
        assert [len(d.asked_at) for d in (dear, dearer, unpriced, cheap)] == [1, 0, 0, 1]
        assert isinstance(await Road(candidate("a/m", dear), **made).error(), OverBudget)

    run(case())


def test_a_fallback_that_cannot_express_the_call_does_not_hide_the_cause() -> None:
    async def case() -> None:
        down, cannot = fails(ModelGone("no such model")), fails(Unsupported("logprobs"))
        road = Road(candidate("a/m", down), candidate("b/m", cannot))
        error = await road.error()
        assert isinstance(error, ModelGone)
        assert str(error) == "no such model (tried 2: a/m model_not_found, b/m unsupported)"

    run(case())


def test_a_target_that_cannot_take_it_is_passed_over() -> None:
    async def case() -> None:
        blind = fails(Unsupported("no images", param="image.url"))
        road = Road(candidate("a/m", blind), candidate("b/m", says()))
        assert await listen(await road.send()) == "hello"
        assert [o for *_, o in road.outcomes] == ["unsupported", "done"]
        assert road.last.trail.why == "after a/m unsupported"
        assert len(blind.asked_at) == 1
        assert road.breaker("a/m") == "closed"

    run(case())


def test_what_no_target_takes_is_the_callers_to_change() -> None:
    async def case() -> None:
        road = Road(
            candidate("a/m", fails(Unsupported("no images", param="image.url"))),
            candidate("b/m", fails(Unsupported("no images here", param="image.url"))),
        )
        error = await road.error()
        assert (type(error), error.status, error.retryable) == (Unsupported, 400, False)
        assert error.facts == {"param": "image.url"}
        assert str(error).startswith("no images here (tried 2: a/m unsupported, b/m unsupported)")

    run(case())


def test_who_can_take_it_says_why_it_was_not_answered() -> None:
    async def case() -> None:
        blind, down = fails(Unsupported("no images")), fails(UpstreamFailed("500"))
        road = Road(candidate("a/m", blind), candidate("b/m", down))
        error = await road.error()
        assert isinstance(error, UpstreamFailed)
        breaker = road.health.of(road.route.candidates[1].target).breaker
        while breaker.closed:
            breaker.failed(now(), probe=False)
        error = await road.error(stream=False)
        assert isinstance(error, NoTarget)
        assert error.retry_after_s
        assert "a/m cannot take the request; b/m failing" in str(error)

    run(case())


def test_the_verdict_is_the_preferred_targets_last_error() -> None:
    async def case() -> None:
        busy = UpstreamBusy("busy", provider_status=429, retry_after_s=60.0)
        road = Road(
            candidate("a/m", fails(busy)),
            candidate("b/m", fails(UpstreamDenied("401", provider_status=401))),
        )
        error = await road.error()
        assert type(error) is UpstreamBusy
        assert (error.status, error.facts, error.retry_after_s) == (
            429,
            {"provider_status": 429},
            60.0,
        )
        assert str(error) == "busy (tried 2: a/m upstream_busy, b/m upstream_denied)"

    run(case())


def test_retries_share_a_budget_of_a_fifth_of_all_calls() -> None:
    async def case() -> None:
        down = fails(UpstreamFailed("500"))
        policy = Policy(retry_floor_per_s=0.0, breaker=Policy().breaker)
        road = Road(candidate("a/m", down), policy=policy)
        good = Road(candidate("b/m", says()))
        good.chain = road.chain.__class__(lambda _: good.route, road.health)
        for _ in range(19):
            await good.send()
        await asyncio.gather(*(road.error() for _ in range(4)))
        assert len(down.asked_at) == 4 + 4, "23 calls allow four retries"

    run(case())


def test_the_retry_budget_never_falls_below_three_a_second() -> None:
    async def case() -> None:
        down = fails(UpstreamBusy("429"))
        road = Road(candidate("a/m", down))
        await asyncio.gather(*(road.error() for _ in range(20)))
        assert len(down.asked_at) == 20 + 30

    run(case())


def test_nothing_is_tried_that_the_deadline_would_cut_off() -> None:
    async def case() -> None:
        first = fails(UpstreamFailed("500", retry_after_s=2.0))
        road = Road(candidate("a/m", first))
        began = now()
        error = await road.error(deadline_at=now() + 2.5)
        assert isinstance(error, UpstreamFailed)
        assert (len(first.asked_at), now()) == (1, began)

    run(case())


def test_the_next_target_is_asked_when_there_is_no_time_to_wait() -> None:
    async def case() -> None:
        first, second = fails(UpstreamFailed("500", retry_after_s=2.0)), says()
        road = Road(candidate("a/m", first), candidate("b/m", second))
        await road.send(deadline_at=now() + 1.0)
        assert (len(first.asked_at), len(second.asked_at)) == (1, 1)

    run(case())


def test_a_deadline_that_has_passed_asks_nobody() -> None:
    async def case() -> None:
        first = says()
        error = await Road(candidate("a/m", first)).error(deadline_at=now())
        assert isinstance(error, DeadlinePassed)
        assert first.asked_at == []

    run(case())


def test_a_target_without_a_key_is_passed_over_and_named() -> None:
    async def case() -> None:
        await Road(candidate("a/m"), candidate("b/m", says())).send()
        error = await Road(candidate("a/m")).error()
        assert isinstance(error, NoTarget)
        assert "a/m has no key" in str(error)

    run(case())


def test_a_route_may_cap_all_attempts() -> None:
    async def case() -> None:
        first, second = fails(UpstreamFailed("500")), says()
        road = Road(candidate("a/m", first), candidate("b/m", second), attempts=2)
        error = await road.error()
        assert (len(first.asked_at), len(second.asked_at)) == (2, 0)
        assert str(error) == "500 (tried 2: a/m upstream_failed)"

    run(case())


def test_a_targets_own_policy_wins_over_its_routes() -> None:
    async def case() -> None:
        patient, hasty = fails(UpstreamFailed("500")), fails(UpstreamFailed("500"))
        road = Road(
            candidate("a/m", patient),
            candidate("b/m", hasty, policy=Policy(retries_per_target=0)),
            policy=Policy(retries_per_target=1),
        )
        await road.error()
        assert (len(patient.asked_at), len(hasty.asked_at)) == (2, 1)

    run(case())


def test_a_caller_who_leaves_during_a_wait_leaves_nothing_behind() -> None:
    async def case() -> None:
        road = Road(candidate("a/m", fails(UpstreamFailed("500"))))
        task = asyncio.ensure_future(road.send())
        await moved(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert road.open_calls() == 0

    run(case())


def test_a_caller_who_leaves_while_a_target_is_asked_is_no_failure_of_it() -> None:
    async def case() -> None:
        quiet = silent()
        road = Road(candidate("a/m", quiet))
        for _ in range(10):
            task = asyncio.ensure_future(road.send())
            await moved(1.0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (quiet.cancelled, road.open_calls(), road.breaker("a/m")) == (10, 0, "closed")
        assert road.outcomes == [("a/m", "k1", "left")]

    run(case())


def test_a_bug_in_a_lane_is_not_hidden() -> None:
    async def broken(ask: object) -> Any:
        raise ZeroDivisionError

    async def case() -> None:
        road = Road(candidate("a/m", broken), candidate("b/m", says()))
        with pytest.raises(ZeroDivisionError):
            await road.send()
        with pytest.raises(ZeroDivisionError):
            await road.send(stream=True)
        assert road.open_calls() == 0

    run(case())


def test_the_trail_tells_what_happened() -> None:
    async def case() -> None:
        road = Road(
            candidate("a/m", in_turn(fails(UpstreamBusy("429", provider_status=429)), says()))
        )
        answer = await road.send(stream=True)
        first, second = road.last.trail.attempts
        assert (first.outcome, first.status, first.key) == ("upstream_busy", 429, "k1")
        assert (second.outcome, second.status) == ("open", 200)
        assert road.last.trail.route == "main"
        await moved(7.0)
        await listen(answer)
        assert (second.outcome, round(second.duration_s, 3), second.first_s) == ("done", 7.0, 0.0)

    run(case())


def _room(thing: object) -> str:
    return type(thing).__module__.partition(".")[0]


@pytest.mark.parametrize("stream", [False, True])
def test_no_call_is_left_to_the_garbage_collector(stream: bool) -> None:
    async def case() -> None:
        good = Road(candidate("a/m", says()), candidate("b/m", says()))
        over = Road(candidate("a/m", fails(ModelGone("x"))), candidate("b/m", says()))
        bad = Road(candidate("a/m", fails(UpstreamBusy("429", retry_after_s=0.1))))
        end = Road(candidate("a/m", fails(UpstreamRejected("no"))), candidate("b/m", says()))
        slow = Road(candidate("a/m", silent()), candidate("b/m", says()))
        outrun = Road(candidate("a/m", says(after_s=11)), candidate("b/m", silent()))
        lost = Road(candidate("a/m", fails(ModelGone("x"), 11)), candidate("b/m", silent()))
        for road in (good, over, bad, end, slow, outrun, lost):
            await one(road)
            assert not await left_by(road)

    async def left_by(road: Road) -> list[object]:
        """What of ours only the collector frees; other threads of the tests leave garbage, too."""
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await one(road)
            gc.collect()
            return [x for x in gc.garbage if iscoroutine(x) or _room(x) in {"octoplex", "tests"}]
        finally:
            gc.garbage.clear()
            gc.set_debug(0)
            gc.enable()

    async def one(road: Road) -> None:
        road.last = asking()
        ask = asking(stream=stream, deadline_at=now() + 30)
        try:
            async with asyncio.timeout(20):
                answer = await road.chain(ask)
            await listen(answer)
        except (GatewayError, TimeoutError):
            pass
        await moved(1.0)

    run(case())
