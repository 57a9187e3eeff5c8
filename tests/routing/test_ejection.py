"""Ejecting a provider whose failures stand out, panic, and the slow start after it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from octoplex.routing import Candidate, Policy
from octoplex.routing.ejection import Host, Trouble
from octoplex.routing.figures import gauges
from octoplex.routing.pick import Fastest, LeastBusy, Weighted
from octoplex.routing.policy import Breaking, Ejecting
from octoplex.wire.error import UpstreamBroken, UpstreamBusy, UpstreamFailed
from tests.clock import run
from tests.routing.roads import Road, candidate, moved
from tests.scripted import Scripted, asking, listen, says

DOWN = UpstreamFailed("500", provider_status=500)
ALONE = Policy(retries_per_target=0, breaker=Breaking(failures=1_000))
"""One attempt a call, and a breaker that never opens: what is left is ejection."""


def host(name: str, lane: Scripted, **facts: Any) -> Candidate:
    return candidate(name, lane, policy=ALONE, **facts)


class Three:
    """A route over targets of the providers a, b and c, in order."""

    def __init__(self, *names: str, **rules: Any) -> None:
        names = names or ("a/m", "b/m", "c/m")
        self.lanes = {name: says(name=name) for name in names}
        self.road = Road(*(host(n, lane) for n, lane in self.lanes.items()), **rules)

    async def send(self, count: int = 1, *, down: str = "", half: bool = False) -> list[str]:
        """Who answered. Targets whose name begins with one of `down` fail, or every second time."""
        answered = []
        for number in range(count):
            for name, lane in self.lanes.items():
                fails = name[0] in down and (not half or number % 2 == 0)
                lane.error = DOWN if fails else None
            answered.append((await self.road.send()).head.model)
            await moved(0.1)
        return answered

    async def lose(self, down: str) -> None:
        """Let a provider fail until it is ejected."""
        for _ in range(50):
            if self.ejected:
                return
            await self.send(down=down)
        raise AssertionError("it was never ejected")

    @property
    def ejected(self) -> list[str]:
        return [provider for _, provider, _ in self.road.health.ejected()]


def test_a_provider_that_fails_while_others_answer_is_asked_last() -> None:
    async def case() -> None:
        at = Three()
        assert set(await at.send(10, down="a")) == {"b/m"}
        asked = len(at.lanes["a/m"].asked_at)
        assert asked == 10
        assert set(await at.send(20, down="a")) == {"b/m"}
        assert len(at.lanes["a/m"].asked_at) == asked
        assert at.ejected == ["a"]

    run(case())


def test_all_its_targets_go_together() -> None:
    async def case() -> None:
        at = Three("a/one", "a/two", "b/m", "b/n")
        await at.send(5, down="a")  # five calls failed at each of the two
        await at.send(10)
        assert at.road.health.ejected_so_far() == (1, 0)
        assert (await at.send())[0] == "b/m"

    run(case())


def test_half_of_the_calls_is_enough_and_less_is_not() -> None:
    async def case() -> None:
        at = Three()
        await at.send(30, down="a", half=True)
        assert at.ejected == ["a"]
        well = Three(ejecting=Ejecting(failure_share=0.6))
        await well.send(60, down="a", half=True)
        assert well.ejected == []

    run(case())


def test_nobody_is_ejected_while_all_fail_alike() -> None:
    async def case() -> None:
        at = Three()
        for lane in at.lanes.values():
            lane.error = DOWN
        for _ in range(50):
            await at.road.error()
        assert at.ejected == []

    run(case())


def test_too_few_calls_say_nothing_and_old_ones_are_forgotten() -> None:
    async def case() -> None:
        at = Three()
        await at.send(9, down="a")
        assert at.ejected == []
        await moved(61.0)
        await at.send(9, down="a")
        assert at.ejected == []

    run(case())


def test_what_is_no_failure_of_the_provider_does_not_count() -> None:
    async def case() -> None:
        at = Three()
        at.lanes["a/m"].error = UpstreamBusy("429", provider_status=429)
        for _ in range(30):
            await at.road.send()
        assert at.ejected == []

    run(case())


def test_streams_that_break_off_count() -> None:
    async def case() -> None:
        at = Three()
        lane = at.lanes["a/m"]
        lane.breaks, lane.events = UpstreamBroken("cut"), lane.events[:2]
        for _ in range(11):
            answer = await at.road.send(stream=True)
            if answer.head.model == "a/m":
                with pytest.raises(UpstreamBroken):
                    await listen(answer)
        assert at.ejected == ["a"]

    run(case())


def test_away_for_30_s_then_longer_each_time_and_at_most_so_long() -> None:
    async def case() -> None:
        at = Three(ejecting=Ejecting(eject_max_s=70.0))
        lengths = []
        for _ in range(4):
            await at.lose("a")
            lengths.append(round(at.road.health.ejected()[0][2], 1))
            await moved(lengths[-1])
        assert lengths == [29.9, 59.9, 69.9, 69.9]
        await moved(200.0)
        await at.lose("a")
        assert round(at.road.health.ejected()[0][2], 1) == 29.9, "it was well for long enough"

    run(case())


@pytest.mark.parametrize(
    ("share", "ejected"),
    [(0.0, []), (0.1, ["a"]), (0.5, ["a"]), (0.7, ["a", "b"]), (1.0, ["a", "b"])],
)
def test_at_most_a_share_is_ejected_at_least_one_and_never_all(
    share: float, ejected: list[str]
) -> None:
    async def case() -> None:
        rules = Ejecting(max_ejected=share, panic=0.0)
        at = Three(ejecting=rules)
        await at.send(30, down="a")
        at.road.health.hosts["b"].succeeded(0.0)
        await at.send(30, down="ab")
        assert at.ejected == ejected

    run(case())


def test_a_single_provider_is_never_ejected() -> None:
    async def case() -> None:
        at = Three("a/one", "a/two")
        at.lanes["a/one"].error = DOWN
        for _ in range(30):
            assert (await at.road.send()).head.model == "a/two"
        assert at.ejected == []

    run(case())


def test_ejected_ones_are_still_asked_when_all_others_fail() -> None:
    async def case() -> None:
        at = Three()
        await at.send(12, down="a")
        assert at.ejected == ["a"]
        assert set(await at.send(3, down="bc")) == {"a/m"}

    run(case())


def test_panic_when_too_few_are_healthy_all_are_used_again() -> None:
    async def case() -> None:
        at = Three()
        await at.send(12, down="a")
        assert at.ejected == ["a"]
        breakers = [at.road.health.of(c.target).breaker for c in at.road.route.candidates]
        for breaker in breakers[1:2]:
            breaker.failed(at.road.health.now(), probe=True)
        assert (await at.send())[0] == "a/m", "one of three is healthy: it is used as listed"
        assert at.road.health.ejected_so_far() == (1, 1)
        calm = Three(ejecting=Ejecting(panic=0.3))
        await calm.send(12, down="a")
        calm.road.health.of(calm.road.route.candidates[1].target).breaker.failed(
            calm.road.health.now(), probe=True
        )
        assert (await calm.send())[0] == "c/m"

    run(case())


def test_after_recovery_a_weighted_share_grows_to_the_whole() -> None:
    async def case() -> None:
        at = Three("a/m", "b/m", "c/m", pick="weighted")
        health, route = at.road.health, at.road.route
        for _ in range(10):
            health.of(route.candidates[0].target).failed()
        await at.send()
        await moved(health.ejected()[0][2])
        shares = []
        for _ in range(5):
            draws = iter([(n + 0.5) / 1_000 for n in range(1_000)])
            chooser = Weighted(lambda draws=draws: next(draws))  # type: ignore[misc]
            first = Counter(
                chooser.order(asking(), route, health)[0].target.provider for _ in range(1_000)
            )
            shares.append(first["a"] / 1_000)
            await moved(7.5)
        expected = [w / (w + 2) for w in (0.1, 0.25, 0.5, 0.75, 1.0)]
        assert shares == pytest.approx(expected, abs=0.002)

    run(case())


def test_a_target_whose_breaker_closed_starts_slowly_too() -> None:
    async def case() -> None:
        lane = says(name="a/m")
        road = Road(candidate("a/m", lane), candidate("b/m", says(name="b/m")))
        state = road.health.of(road.route.candidates[0].target)
        for _ in range(5):
            state.failed()
        await moved(6.0)
        await road.send()
        assert road.breaker("a/m") == "closed"
        now = road.health.now
        target = road.route.candidates[0].target
        assert road.health.warmth(road.route, target, now()) == 0.1
        await moved(15.0)
        assert road.health.warmth(road.route, target, now()) == 0.5
        await moved(15.0)
        assert road.health.warmth(road.route, target, now()) == 1.0

    run(case())


def test_fastest_and_least_busy_count_its_load_for_more() -> None:
    async def case() -> None:
        road = Road(candidate("a/m", says()), candidate("b/m", says()))
        health, route = road.health, road.route
        for at, quick in zip(route.candidates, (1.0, 2.0), strict=True):
            state = health.of(at.target)
            state.plain.add(quick, health.now())
            state.open_calls = 3
        choosers = (Fastest(lambda: 0.0), LeastBusy())

        def first() -> Iterator[str]:
            return (c.order(asking(), route, health)[0].target.provider for c in choosers)

        assert list(first()) == ["a", "a"]
        state = health.of(route.candidates[0].target)
        state.breaker.opened(health.now())
        health.trouble.lasts(health.now() + 300)
        assert list(first()) == ["b", "b"]
        await moved(31.0)
        assert list(first()) == ["a", "a"]

    run(case())


def test_what_is_remembered_of_a_provider_is_bounded_and_nothing_without_a_failure() -> None:
    known = Host(Trouble())
    assert not known.marred
    for at in range(1_000):
        known.failed(float(at) / 100)
    assert known.count(10.0, 0.0) == (100, 100)
    known.succeeded(71.0)
    assert not known.marred
    assert known.count(71.0, 0.0) == (0, 0)


def test_metrics_show_ejections_of_named_routes_only() -> None:
    async def case() -> None:
        at = Three()
        await at.send(12, down="a")
        shown = {g.name: g.read() for g in gauges(at.road.health, lambda name: name == "main")}
        assert shown["octoplex_ejected_seconds"] == [(("main", "a"), pytest.approx(29.8))]
        assert shown["octoplex_ejections_total"] == [((), 1)]
        hidden = {g.name: g.read() for g in gauges(at.road.health, lambda name: False)}
        assert hidden["octoplex_ejected_seconds"] == []

    run(case())
