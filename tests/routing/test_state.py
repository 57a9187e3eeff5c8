"""What is remembered: budgets, times, rests, and that all of it is bounded."""

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.routing import health as health_module
from octoplex.routing.budget import RetryBudget, Share
from octoplex.routing.health import Health
from octoplex.routing.latency import Average, Spread
from octoplex.routing.limits import Limits
from octoplex.routing.rest import Rest, Rests
from tests.clock import now, run
from tests.routing.roads import Road, candidate, target
from tests.scripted import listen, says


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=300))
def test_the_retry_budget_is_a_fifth_of_the_last_ten_seconds(
    steps: list[tuple[float, bool]],
) -> None:
    budget, at = RetryBudget(), 5_000.25
    calls: list[float] = []
    taken: list[float] = []
    for step_s, is_call in steps:
        at += step_s
        if is_call:
            budget.called(at)
            calls.append(at)
        elif budget.take(at, 0.2, 0.0):
            taken.append(at)
        since = int(at) - 9
        assert sum(t >= since for t in taken) <= max(0.2 * sum(c >= since for c in calls), 0) or (
            not taken or taken[-1] != at
        )


def test_the_retry_budget_forgets_after_ten_seconds() -> None:
    budget = RetryBudget()
    assert sum(budget.take(100.0, 0.2, 3.0) for _ in range(50)) == 30
    assert not budget.take(109.9, 0.2, 3.0)
    assert budget.take(110.0, 0.2, 3.0)
    assert sum(budget.take(1e6, 0.2, 3.0) for _ in range(50)) == 30


@given(st.lists(st.booleans(), max_size=500))
def test_hedges_never_pass_a_tenth_and_one(calls: list[bool]) -> None:
    share, hedges = Share(), 0
    for count, slow in enumerate(calls, 1):
        share.earn(0.1)
        hedges += slow and share.take()
        assert hedges <= 1 + count * 0.1 + 1e-6


@given(st.lists(st.floats(0, 900), min_size=100, max_size=400))
def test_the_p99_is_at_most_a_tenth_too_high(samples: list[float]) -> None:
    spread = Spread()
    for sample in samples:
        spread.add(sample)
    p99_s = spread.p99_s()
    assert p99_s is not None
    true = sorted(samples)[len(samples) - 1 - int(0.01 * len(samples))]
    assert min(true, 770) * 0.999 <= p99_s <= max(true * 1.101, 0.0101)


def test_the_p99_needs_a_hundred_samples_and_old_ones_fade() -> None:
    spread = Spread()
    for _ in range(99):
        spread.add(9.0)
    assert spread.p99_s() is None
    spread.add(9.0)
    assert spread.p99_s() == pytest.approx(9.0, rel=0.1)
    for _ in range(20_000):
        spread.add(0.1)
    assert spread.p99_s() == pytest.approx(0.1, rel=0.1)


def test_the_average_jumps_to_a_peak_and_fades() -> None:
    average = Average()
    average.add(1.0, 0.0)
    average.add(9.0, 1.0)
    assert average.value(1.0) == 9.0
    average.add(1.0, 61.0)
    assert 1.0 < average.value(61.0) < 9.0
    assert average.value(1e6) < 1e-6


def test_a_hard_rest_is_never_shortened_by_a_soft_one() -> None:
    rests = Rests()
    rests.add("a", "k", Rest(100.0, "quota"), 0.0)
    rests.add("a", "k", Rest(200.0, "busy", soft=True), 0.0)
    rests.add("a", "k", Rest(50.0, "busy"), 0.0)
    rests.add("a/m", "k", Rest(300.0, "busy", soft=True), 0.0)
    found = rests.of(("a", "a/m"), "k", 1.0)
    assert found is not None
    assert (found.until_at, found.why) == (100.0, "quota")
    assert rests.of(("a", "a/m"), "other", 1.0) is None
    assert rests.of(("a", "a/m"), "k", 301.0) is None
    assert not rests.table, "an ended rest is forgotten, so the fast path is free again"
    rests.add("a", "k", Rest(400.0, "quota"), 302.0)
    rests.wake()
    assert not rests.table


def test_every_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "CAPACITY", 10)
    health = Health()
    busy = health.of(target("busy/m"))
    busy.open_calls = 1
    for place in range(50):
        health.of(target(f"a/{place}"))
        health.share(Road(candidate("a/m")).route)
    assert len(health.report()) == 10
    assert health.of(target("busy/m")) is busy
    rests = Rests()
    for place in range(5_000):
        rests.add("a", str(place), Rest(1e9, "x"), float(place))
    assert len(rests.table) == 4_096


class Waiter:
    def __init__(self, limit_at: float) -> None:
        self.limit_at, self.told_at = limit_at, 0.0

    def limit(self) -> None:
        self.told_at = now()


def test_limits_are_met_late_by_at_most_one_step_and_the_timer_stops() -> None:
    limits = Limits()

    async def case() -> None:
        loop = asyncio.get_running_loop()
        waiters = [Waiter(now() + Random(n).uniform(0, 9)) for n in range(50)]
        dropped = Waiter(now() + 1)
        for waiter in [*waiters, dropped]:
            limits.add(waiter, loop)
        limits.drop(dropped)
        await asyncio.sleep(10)
        assert dropped.told_at == 0
        assert all(0 <= w.told_at - w.limit_at <= 0.051 for w in waiters)
        limits.add(Waiter(now() + 99), loop)

    run(case())
    run(case())  # the same one on another loop, its old timer never having fired


def test_a_chain_outlives_its_loop() -> None:
    road = Road(candidate("a/m", says(after_s=1e9)), candidate("b/m", says()))

    async def case() -> None:
        await listen(await road.send(stream=True))

    run(case())
    run(case())
