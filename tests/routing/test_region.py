"""A route over those targets that answer where they must, and nobody else."""

from collections.abc import Callable

import msgspec
import pytest

from octoplex.routing import Candidate, Resolver, Route
from octoplex.routing.region import askable, narrowed, within
from octoplex.wire.ask import Caller
from octoplex.wire.error import OutOfRegion, UpstreamFailed
from tests.clock import run
from tests.routing.roads import Road, candidate, route
from tests.scripted import asking, fails, says


def at(*areas: str) -> Callable[[str], str]:
    return lambda area: "" if area in areas else f"it answers in {' and '.join(areas)}"


def located() -> Route:
    return route(
        candidate("a/m", says(), outside=at("eu", "de")),
        candidate("b/m", says(), outside=at("us")),
        candidate("c/m", says(), outside=at("eu", "fr")),
        candidate("d/m", says()),
    )


def names(found: Route) -> list[str]:
    return [c.target.name for c in found.candidates]


def test_only_those_that_answer_there_are_candidates() -> None:
    found = within(located(), "eu")
    assert names(found) == ["a/m", "c/m"]
    assert [(b.target.name, b.why) for b in found.barred] == [
        ("b/m", "it answers in us"),
        ("d/m", "nobody says where it answers"),
    ]


def test_a_key_narrows_what_the_route_has_narrowed() -> None:
    found = within(narrowed(located(), "eu"), "fr")
    assert names(found) == ["c/m"]
    assert found.region == "eu and fr"
    assert len(found.barred) == 3
    assert within(found, "fr").candidates == found.candidates


def test_none_left_says_where_and_why_of_each() -> None:
    with pytest.raises(OutOfRegion) as caught:
        within(located(), "br")
    error = caught.value
    assert (error.status, error.code, error.retryable) == (403, "out_of_region", False)
    assert error.facts == {"param": "model", "region": "br"}
    for word in ('"main"', "answer in br", "a/m: it answers in eu and de", "b/m: it answers in us",
                 "d/m: nobody says where it answers"):  # fmt: skip
        assert word in str(error)


def test_a_route_without_targets_for_another_reason_is_not_refused_here() -> None:
    empty = msgspec.structs.replace(located(), candidates=())
    assert askable(empty) is empty


def resolver() -> Resolver:
    routes = {"main": located(), "eu": narrowed(located(), "eu"), "br": narrowed(located(), "br")}
    routes = {n: msgspec.structs.replace(r, name=n) for n, r in routes.items()}
    direct = Route(name="b/m", candidates=(candidate("b/m", says(), outside=at("us")),))
    return Resolver(routes, {"b": lambda _: direct}, lambda _: ())


def asked(model: str, region: str = "", **fields: object) -> list[str]:
    ask = asking(model, **fields)  # type: ignore[arg-type]
    ask.caller = Caller(id="k", region=region)
    return names(resolver().route_of(ask))


def test_without_a_demand_the_route_is_the_compiled_one() -> None:
    made = resolver()
    assert made.route_of(asking("main")) is made.resolve("main")
    assert asked("main") == ["a/m", "b/m", "c/m", "d/m"]


def test_a_route_and_a_key_demand() -> None:
    assert asked("eu") == ["a/m", "c/m"]
    assert asked("main", "us") == ["b/m"]
    with pytest.raises(OutOfRegion, match="eu and us"):
        asked("eu", "us")
    for region in ("", "eu"):
        with pytest.raises(OutOfRegion, match="in br"):
            asked("br", region)


def test_no_name_leads_past_a_keys_region() -> None:
    with pytest.raises(OutOfRegion, match="b/m: it answers in us"):
        asked("b/m", "eu")
    assert asked("main", "eu", models=["b/m"]) == ["a/m", "c/m"]
    assert asked("b/m", "eu", models=["br", "main"]) == ["a/m", "c/m"]
    with pytest.raises(OutOfRegion):
        asked("b/m", "eu", models=["br"])


def test_a_fallback_that_may_be_asked_is_found_beside_a_route_that_may_not() -> None:
    assert asked("br", models=["b/m"]) == ["b/m"]
    assert resolver().find("br").candidates == ()


def test_a_failure_falls_over_to_nobody_outside() -> None:
    inside = fails(UpstreamFailed("no"))
    elsewhere = says()
    both: tuple[Candidate, ...] = (
        candidate("a/m", inside, outside=at("eu")),
        candidate("b/m", elsewhere, outside=at("us")),
    )

    async def main() -> None:
        road = Road(*narrowed(route(*both), "eu").candidates)
        assert isinstance(await road.error(), UpstreamFailed)
        assert {target for target, _, _ in road.outcomes} == {"a/m"}
        assert not elsewhere.asked_at

    run(main())
