"""The five ways to pick: which candidate is asked first."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from octoplex.routing import Chain, choosers
from octoplex.routing.health import Health, OpenCall
from octoplex.wire.ask import Attempt
from octoplex.wire.error import UpstreamFailed
from tests.clock import now, run
from tests.routing.roads import Road, candidate, moved, route
from tests.scripted import asking, fails, listen, says

DOWN = UpstreamFailed("500")


def first(pick: str, *candidates: Any, health: Health | None = None, seed: int = 0) -> str:
    chosen = route(*candidates, pick=pick)
    order = choosers(Random(seed).random)[pick].order(asking(), chosen, health or Health())
    assert sorted(c.target.name for c in order) == sorted(c.target.name for c in candidates)
    return order[0].target.name


def test_weighted_follows_the_weights_and_zero_is_only_fallen_back_to() -> None:
    parts = [
        candidate("a/m", says(), weight=3),
        candidate("b/m", says(), weight=1),
        candidate("c/m", says(), weight=0),
    ]
    seen = Counter(first("weighted", *parts, seed=seed) for seed in range(2_000))
    assert seen["c/m"] == 0
    assert 0.70 < seen["a/m"] / 2_000 < 0.80


def test_cheapest_is_the_live_price_of_this_call_and_unpriced_is_last() -> None:
    flat = candidate("a/m", says(), cost=lambda w: 1_000)
    per_token = candidate("b/m", says(), cost=lambda w: 30 * w.input_tokens)
    unknown = candidate("c/m", says())
    order = choosers()["cheapest"].order
    small, large = asking(), asking(pad="x" * 3_000)
    names = [c.target.name for c in order(small, route(flat, per_token, unknown), Health())]
    assert names == ["b/m", "a/m", "c/m"]
    assert order(large, route(flat, per_token, unknown), Health())[0].target.name == "a/m"


def test_least_busy_counts_open_calls() -> None:
    async def case() -> None:
        road = Road(candidate("a/m", says()), candidate("b/m", says()), pick="least-busy")
        open_answers = [await road.send(stream=True) for _ in range(3)]
        assert [a.target for a in road.last.trail.attempts] == ["a/m"]
        await listen(open_answers[0])
        await listen(open_answers[2])
        await road.send(stream=True)
        assert [a.target for a in road.last.trail.attempts] == ["a/m"]
        await road.send(stream=True)
        await road.send(stream=True)
        assert {c.target: c.open_calls for c in road.health.report()} == {"a/m": 2, "b/m": 2}

    run(case())


def test_fastest_tries_the_untimed_then_prefers_the_faster_and_the_less_loaded() -> None:
    async def case() -> None:
        slow, quick = says(after_s=2.0), says(after_s=0.5)
        road = Road(candidate("a/m", slow), candidate("b/m", quick), pick="fastest")
        for _ in range(10):
            await road.send()
        assert (len(slow.asked_at), len(quick.asked_at)) == (1, 9)
        state = road.health.of(road.route.candidates[1].target)
        for _ in range(4):
            OpenCall(state, Attempt(target="b/m"), now()).enter(asking())
        await road.send()
        assert len(slow.asked_at) == 2

    run(case())


def test_fastest_of_three_draws_two() -> None:
    async def case() -> None:
        doubles = [says(after_s=after_s) for after_s in (1.0, 2.0, 3.0)]
        parts = [candidate(f"{n}/m", d) for n, d in zip("abc", doubles, strict=True)]
        road = Road(*parts, pick="fastest", pick_by=choosers(Random(1).random))
        for _ in range(300):
            await road.send()
        asked = [len(d.asked_at) for d in doubles]
        assert asked[0] > asked[1] > asked[2] > 0
        assert asked[2] < 40, "the slowest is asked only to learn whether it still is"

    run(case())


def test_a_target_that_got_slow_is_tried_again_after_a_while() -> None:
    async def case() -> None:
        a, b = says(after_s=5.0), says(after_s=1.0)
        road = Road(candidate("a/m", a), candidate("b/m", b), pick="fastest")
        for _ in range(5):
            await road.send()
        a.after_s = 0.1
        for _ in range(200):
            await road.send()
            await moved(1.0)
        assert len(a.asked_at) > 50

    run(case())


@pytest.mark.parametrize("pick", ["weighted", "fastest", "least-busy"])
def test_an_open_breaker_never_displaces_a_target_that_answers(pick: str) -> None:
    async def case() -> None:
        down = fails(DOWN)
        parts = [candidate("a/m", down), candidate("b/m", says()), candidate("c/m", says())]
        road = Road(parts[0])
        for _ in range(5):
            await road.error()
        for seed in range(30):
            assert first(pick, *parts, health=road.health, seed=seed) != "a/m"

    run(case())


def test_the_trail_says_why() -> None:
    async def case() -> None:
        for pick, why in {
            "in-order": "in order",
            "weighted": "weighted",
            "fastest": "fastest of two",
            "cheapest": "cheapest",
            "least-busy": "least busy",
        }.items():
            road = Road(candidate("a/m", says()), candidate("b/m", says()), pick=pick)
            await road.send()
            assert road.last.trail.why == why
        road = Road(candidate("a/m", says()))
        await road.send()
        assert road.last.trail.why == "only target"

    run(case())


def test_a_chooser_of_ones_own_comes_through_the_same_protocol() -> None:
    class Last:
        def order(self, ask: Any, route: Any, health: Any, /) -> Any:
            ask.trail.why = "learned: last"
            return list(reversed(route.candidates))

    async def case() -> None:
        road = Road(candidate("a/m", says()), candidate("b/m", says()), pick="learned")
        pick = {**choosers(), "learned": Last()}
        road.chain = Chain(lambda _: road.route, road.health, pick=pick)
        await road.send()
        assert [t for t, _, _ in road.outcomes] == ["b/m"]
        assert road.last.trail.why == "learned: last"

    run(case())
