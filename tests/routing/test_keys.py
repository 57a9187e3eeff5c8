"""contracts.md: what lets a key rest, for how long and where, and which key is asked next."""

import pytest

from octoplex.wire.error import (
    GatewayError,
    NoTarget,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamOverloaded,
    UpstreamQuota,
)
from tests.clock import now, run
from tests.routing.roads import Road, candidate, gaps, moved
from tests.scripted import fails, says


def test_a_longer_retry_after_cools_down_and_the_next_is_asked() -> None:
    async def case() -> None:
        first, second = fails(UpstreamBusy("429", retry_after_s=3.1)), says()
        road = Road(candidate("a/m", first), candidate("b/m", second))
        began = now()
        await road.send()
        await road.send()
        assert now() == began
        assert (len(first.asked_at), len(second.asked_at)) == (1, 2)
        await moved(3.2)
        await road.send()
        assert len(first.asked_at) == 2

    run(case())


def test_a_cool_down_of_a_billion_seconds_is_clamped() -> None:
    async def case() -> None:
        first = fails(UpstreamBusy("429", retry_after_s=1e9))
        road = Road(candidate("a/m", first))
        assert (await road.error()).retry_after_s == 600
        await moved(601)
        await road.error()
        assert len(first.asked_at) == 2

    run(case())


def test_a_429_without_other_capacity_is_forwarded_with_its_wait() -> None:
    async def case() -> None:
        road = Road(candidate("a/m", fails(UpstreamBusy("slow down", retry_after_s=40.0))))
        error = await road.error()
        assert (error.status, error.retry_after_s, str(error)) == (429, 40.0, "slow down")
        resting = await road.error()
        assert isinstance(resting, NoTarget)
        assert resting.retry_after_s == 40.0
        assert "resting after upstream_busy (40 s)" in str(resting)

    run(case())


def test_a_503_with_a_long_retry_after_rests_every_key() -> None:
    async def case() -> None:
        down = UpstreamOverloaded("503", retry_after_s=30.0)
        first, other = fails(down), says()
        road = Road(candidate("a/m", first, other))
        assert isinstance(await road.error(), UpstreamOverloaded)
        assert isinstance(await road.error(), NoTarget)
        assert other.asked_at == []

    run(case())


@pytest.mark.parametrize("wait_s", [1.0, 60.0, None])
def test_another_free_key_is_asked_at_once(wait_s: float | None) -> None:
    async def case() -> None:
        busy, free = fails(UpstreamBusy("429", retry_after_s=wait_s)), says()
        road = Road(candidate("a/m", busy, free))
        began = now()
        await road.send()
        await road.send()
        assert now() == began
        assert len(busy.asked_at) == 1, "the second call prefers the key that is free"
        assert [k for _, k, _ in road.outcomes] == ["k2"]
        await moved(wait_s or 0.6)
        await road.send()
        assert len(busy.asked_at) == 2

    run(case())


def test_a_429_cools_the_key_down_on_that_target_only() -> None:
    async def case() -> None:
        busy, other_model = fails(UpstreamBusy("429", retry_after_s=60.0)), says()
        road = Road(candidate("a/m", busy), candidate("a/n", other_model))
        await road.send()
        assert [(t, k) for t, k, _ in road.outcomes] == [("a/m", "k1"), ("a/n", "k1")]

    run(case())


def test_never_more_than_two_attempts_within_1_5_s_on_one_target() -> None:
    async def case() -> None:
        keys = [fails(UpstreamBusy("429", retry_after_s=9.0)) for _ in range(5)]
        road = Road(candidate("a/m", *keys))
        await road.error()
        times = sorted(t for key in keys for t in key.asked_at)
        assert gaps(times) == [0.0, 1.5]

    run(case())


@pytest.mark.parametrize(
    ("error", "rests_elsewhere"),
    [
        (UpstreamQuota("insufficient_quota", provider_status=429), True),
        (UpstreamDenied("401", provider_status=401), True),
        (UpstreamDenied("403", provider_status=403), False),
    ],
    ids=["quota", "401", "403"],
)
def test_a_dead_key_rests_for_60_s(error: GatewayError, rests_elsewhere: bool) -> None:
    async def case() -> None:
        dead, other_target = fails(error), says()
        here = Road(candidate("a/m", dead), candidate("b/m", says()))
        await here.send()
        assert len(dead.asked_at) == 1, "never retried"
        here.route = Road(candidate("a/n", other_target)).route
        if rests_elsewhere:
            assert isinstance(await here.error(), NoTarget)
            await moved(60.1)
        await here.send()
        assert len(other_target.asked_at) == 1

    run(case())


def test_the_next_key_is_asked_at_once_and_the_caller_never_sees_401() -> None:
    async def case() -> None:
        dead, good = fails(UpstreamDenied("bad key", provider_status=401)), says()
        await Road(candidate("a/m", dead, good)).send()
        error = await Road(candidate("a/m", dead)).error()
        assert error.status == 502

    run(case())
