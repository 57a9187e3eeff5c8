"""contracts.md 'Names and targets': from what a caller writes to a route."""

from collections.abc import Sequence
from typing import Any

import pytest

from octoplex.routing import Resolver, Route
from octoplex.wire.error import InvalidCall, NotFound
from tests.routing.roads import candidate
from tests.scripted import asking, says


def leads_to(name: str, *targets: str) -> Route:
    return Route(name=name, candidates=tuple(candidate(t, says()) for t in targets or (name,)))


OFFERED = {
    "gpt-5-mini": ("openai",),
    "gpt-oss-120b": ("cerebras", "groq"),
    "meta-llama/Llama-4": ("groq",),
}


def offers(model: str) -> Sequence[str]:
    return OFFERED.get(model, ())


def resolver(*routes: Route, **more: Any) -> Resolver:
    providers = {
        p: (lambda model, p=p: leads_to(f"{p}/{model}") if model != "no" else None)
        for p in ("openai", "groq", "cerebras")
    }
    return Resolver({r.name: r for r in routes}, providers, offers, **more)


def test_a_route_of_exactly_this_name_comes_first() -> None:
    names = resolver(leads_to("main", "openai/x"), leads_to("openai/gpt-5", "groq/y"))
    assert names.resolve("main").candidates[0].target.name == "openai/x"
    assert names.resolve("openai/gpt-5").candidates[0].target.name == "groq/y"


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("openai/gpt-5", "openai/gpt-5"),
        ("groq/meta-llama/Llama-4", "groq/meta-llama/Llama-4"),
        ("groq%2Fmeta-llama%2fLlama-4", "groq/meta-llama/Llama-4"),
        ("openai/some-model-nobody-knows", "openai/some-model-nobody-knows"),
    ],
)
def test_provider_and_model_always_work(asked: str, target: str) -> None:
    assert resolver().resolve(asked).candidates[0].target.name == target


def test_a_bare_name_resolves_to_the_one_provider_that_offers_it() -> None:
    assert resolver().resolve("gpt-5-mini").name == "openai/gpt-5-mini"
    assert resolver().resolve("meta-llama/Llama-4").name == "groq/meta-llama/Llama-4"


def test_a_bare_name_that_two_offer_is_a_400_naming_both() -> None:
    with pytest.raises(InvalidCall) as caught:
        resolver().resolve("gpt-oss-120b")
    assert caught.value.status == 400
    assert "groq/gpt-oss-120b" in str(caught.value)
    assert "cerebras/gpt-oss-120b" in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "glob"),
    [
        ("claude-haiku-4-5", "claude-haiku-*"),
        ("claude-opus-4-1", "claude-*"),
        ("claude-x", "claude-?"),
        ("anything", "*"),
        ("o3[1m]", "o3[*"),
    ],
)
def test_the_most_specific_glob_wins(asked: str, glob: str) -> None:
    globs = ("*", "claude-*", "claude-haiku-*", "*-haiku-*", "claude-?", "o3[*")
    names = resolver(*(leads_to(g, "openai/x") for g in globs))
    assert names.resolve(asked).name == glob


def test_a_glob_without_a_slash_leaves_provider_names_alone() -> None:
    names = resolver(leads_to("*", "openai/x"), leads_to("groq/llama-*", "openai/y"))
    assert names.resolve("openai/gpt-5").name == "openai/gpt-5"
    assert names.resolve("groq/llama-3").name == "groq/llama-*"
    assert names.resolve("groq/other").name == "groq/other"


def test_an_unknown_name_is_told_what_is_close() -> None:
    names = resolver(leads_to("main"), listed=lambda: ("openai/gpt-5-mini", "gpt-5-mini"))
    with pytest.raises(NotFound, match="Did you mean gpt-5-mini or openai/gpt-5-mini") as caught:
        names.resolve("gpt5-mini")
    assert (caught.value.status, caught.value.facts) == (404, {"param": "model"})
    with pytest.raises(NotFound, match="GET /v1/models"):
        names.resolve("zzz")
    with pytest.raises(NotFound, match="The provider 'openai' has no model 'no'"):
        names.resolve("openai/no")


def test_names_are_bounded() -> None:
    with pytest.raises(InvalidCall, match="600 characters"):
        resolver().resolve("x" * 600)


def test_models_of_the_body_are_fallbacks_in_their_order() -> None:
    names = resolver(leads_to("main", "openai/a", "groq/b"))
    asked = asking("main", models=["groq/b", "groq/c", "main"])
    route = names.route_of(asked)
    assert [c.target.name for c in route.candidates] == ["openai/a", "groq/b", "groq/c"]
    assert (route.name, route.pick) == ("main,groq/b,groq/c", "in-order")
    assert names.route_of(asking("main", models=None)).name == "main"
    assert names.route_of(asking("main", models=["main"])).name == "main"
    assert names.route_of(asking("", models=["groq/c"])).name == "groq/c"


@pytest.mark.parametrize("models", ["main", [1], {"a": 1}, ["openai/x"] * 17])
def test_models_that_are_no_list_of_names_are_a_400(models: object) -> None:
    with pytest.raises(InvalidCall) as caught:
        resolver().route_of(asking("openai/m", models=models))
    assert caught.value.facts["param"] == "models"


def test_an_unknown_fallback_is_named() -> None:
    with pytest.raises(NotFound, match="'nowhere'"):
        resolver().route_of(asking("openai/m", models=["nowhere"]))


def test_answers_are_remembered() -> None:
    names = resolver()
    assert names.resolve("openai/x") is names.resolve("openai/x")
    assert names.resolve_many(("openai/x", "groq/y")) is names.resolve_many(("openai/x", "groq/y"))


def test_what_is_remembered_is_bounded() -> None:
    """Any name may be asked for, and lists of them."""
    names = resolver()
    name, several = names.resolve("openai/x"), names.resolve_many(("openai/x", "groq/y"))
    for n in range(1_024):
        names.resolve(f"openai/{n}")
    for n in range(64):
        names.resolve_many(("openai/x", f"groq/{n}"))
    assert names.resolve("openai/x") is not name
    assert names.resolve_many(("openai/x", "groq/y")) is not several
