"""A conversation stays at the target where its prompt cache is."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from octoplex.routing import Candidate
from octoplex.routing import affinity as affinity_module
from octoplex.routing.affinity import Stays, beginning, key_of
from octoplex.wire.answer import Answer
from octoplex.wire.ask import ANYONE, Call, Caller
from octoplex.wire.error import UpstreamFailed
from tests.clock import now, run
from tests.routing.roads import Road, candidate, moved
from tests.scripted import asking, says

SYSTEM = {"role": "system", "content": 'You are "terse". {[\\"'}
FIRST = {"role": "user", "content": [{"type": "text", "text": 'Say "hi" } ]'}]}
LATER = [{"role": "assistant", "content": "hi"}, {"role": "user", "content": "more"}]


def call(
    face: str = "openai-chat",
    headers: Mapping[str, str] | None = None,
    caller: Caller = ANYONE,
    **fields: Any,
) -> Call:
    raw = msgspec.json.encode({"model": "main", **fields})
    return msgspec.structs.replace(
        asking(),
        face=face,
        raw=raw,
        fields=msgspec.json.decode(raw, type=dict[str, Raw]),
        headers=dict(headers or {}),
        caller=caller,
    )


def talk(turns: int = 0, **more: Any) -> Call:
    return call(messages=[SYSTEM, FIRST, *LATER * turns], **more)


TURNS = [
    (lambda n: talk(n)),
    (lambda n: call("anthropic", system="Be terse.", messages=[FIRST, *LATER * n])),
    (lambda n: call("openai-responses", instructions="Be terse.", input=[FIRST, *LATER * n])),
    (
        lambda n: call(
            "gemini",
            systemInstruction={"parts": [{"text": "Be terse."}]},
            contents=[
                {"role": "user", "parts": [{"text": "hi"}]},
                *[{"role": "model", "parts": []}, {"role": "user", "parts": []}] * n,
            ],
        )
    ),
]


@pytest.mark.parametrize("turn", TURNS, ids=["chat", "anthropic", "responses", "gemini"])
def test_a_conversation_is_known_by_how_it_begins(turn: Any) -> None:
    assert len({key_of(turn(n), "main") for n in range(5)}) == 1
    assert key_of(turn(0), "main") is not None
    assert key_of(turn(0), "other") != key_of(turn(0), "main"), "it has a home on each route"


def test_other_beginnings_callers_and_dialects_are_other_conversations() -> None:
    asks = [
        talk(1),
        talk(1, caller=Caller("other")),
        call(messages=[SYSTEM, {"role": "user", "content": "Say hi"}, *LATER]),
        call(messages=[{"role": "system", "content": "Be long."}, FIRST, *LATER]),
        call("anthropic", system="a", messages=[FIRST]),
        call("anthropic", system="b", messages=[FIRST]),
        call("openai-responses", input="one"),
        call("openai-responses", input="two"),
    ]
    assert len({key_of(ask, "main") for ask in asks}) == len(asks)


@pytest.mark.parametrize("size", [5_000, 20_000])
def test_a_long_beginning_is_known_by_both_its_ends(size: int) -> None:
    texts = ("x" * size, "a" + "x" * (size - 1), "x" * (size - 1) + "a", "x" * (size + 1))
    asks = [call(messages=[{"role": "user", "content": text}]) for text in texts]
    assert len({key_of(ask, "main") for ask in asks}) == len(asks)


def test_only_a_turn_that_is_the_users_ends_a_beginning() -> None:
    system = {"role": "system", "content": [{"type": "text", "text": "user"}]}
    firsts = ({"role": "user", "content": text} for text in ("one", "two"))
    assert len({key_of(call(messages=[system, first]), "main") for first in firsts}) == 2


def test_cache_marks_that_move_do_not_count() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    marked = {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": mark}]}
    bare = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    asks = [call("anthropic", messages=[turn, *LATER]) for turn in (marked, bare)]
    assert len({key_of(ask, "main") for ask in asks}) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"headers": {"x-octoplex-session": "s-1"}},
        {"prompt_cache_key": "s-1"},
        {"user": "s-1"},
        {"face": "anthropic", "metadata": {"user_id": "s-1"}},
    ],
    ids=["header", "prompt_cache_key", "user", "metadata"],
)
def test_what_the_caller_says_comes_before_that(said: dict[str, Any]) -> None:
    asks = [call(messages=[{"role": "user", "content": text}], **said) for text in ("one", "two")]
    assert len({key_of(ask, "main") for ask in asks}) == 1


def test_the_header_comes_before_the_body_and_the_cache_key_before_the_user() -> None:
    first = {"headers": {"x-octoplex-session": "s-1"}}
    asks = [talk(prompt_cache_key=key, **first) for key in ("a", "b")]
    assert len({key_of(ask, "main") for ask in asks}) == 1
    asks = [talk(prompt_cache_key=key, user="u") for key in ("a", "b")]
    assert len({key_of(ask, "main") for ask in asks}) == 2


@pytest.mark.parametrize(
    "odd", [{"user": 7}, {"user": ""}, {"metadata": ["x"]}, {"metadata": {"user_id": {}}}]
)
def test_nonsense_in_a_hint_is_none(odd: dict[str, Any]) -> None:
    assert key_of(talk(**odd), "main") == key_of(talk(3, **odd), "main")


@pytest.mark.parametrize(
    "odd", [b"", b"[", b"]]]", b'"', b'"\\', b"[{}]", b"null", b'[{"role":"user"', b"\xff["]
)
def test_a_beginning_that_is_no_list_of_turns_is_taken_as_it_is(odd: bytes) -> None:
    assert odd.startswith(beginning(odd))


def test_a_beginning_costs_by_its_strings_and_not_by_their_length() -> None:
    words = 'x\\\\\\"' * 20_000
    turns = b'[{"role":"system","content":"%b"},{"role":"user","content":"hi"},{}]' % words.encode()
    assert beginning(turns) == turns[:-4]


@pytest.mark.parametrize("text", ["hi", "", "user", 'say "}, {" \\', "cache_control", "é\n[{"])
@pytest.mark.parametrize("more", [{}, {"name": "ann"}, {"content": [{"text": "hi"}]}])
def test_a_first_turn_of_one_text_ends_where_any_other_does(text: str, more: Any) -> None:
    """It is found in one step, any other mark by mark: so one and the same, or not at all."""
    first = msgspec.json.encode({"role": "user", "content": text, **more})
    for turns in (b"[" + first, b" [ " + first):
        assert beginning(turns + b',{"role":"user"}]') == turns
        assert beginning(turns + b"]") == turns


def priced(name: str, lane: Any, read: int, cached: int) -> Candidate:
    """A target whose input costs `read`, from its cache `cached` nano-dollars a token."""
    return candidate(name, lane, reads=lambda all_, old: (all_ - old) * read + old * cached)


class Talk:
    """A route whose pick is turned around by hand."""

    def __init__(self, *candidates: Candidate, **rules: Any) -> None:
        self.road = Road(*candidates, affinity=True, **rules)

    def pick(self, *names: str) -> None:
        by_name = {c.target.name: c for c in self.road.route.candidates}
        ordered = tuple(by_name[name] for name in names)
        self.road.route = msgspec.structs.replace(self.road.route, candidates=ordered)

    async def ask(self, turns: int, **more: Any) -> str:
        call = talk(turns, **more)
        answer: Answer = await self.road.chain(call)
        self.why = call.trail.why
        return answer.head.model


def pair(cheaper: int = 10) -> Talk:
    a = priced("a/m", says(name="a"), 10, 1)
    return Talk(a, priced("b/m", says(name="b"), cheaper, 1))


def test_it_stays_where_it_was_answered_although_the_pick_has_changed() -> None:
    async def case() -> None:
        at = pair()
        assert await at.ask(0) == "a"
        at.pick("b/m", "a/m")
        assert await at.ask(1) == "a"
        assert at.why == "where its cache is"
        assert await at.ask(0, user="somebody else") == "b"
        assert at.road.health.stays.kept == 1

    run(case())


def test_it_moves_where_reading_anew_is_cheaper_than_its_cache() -> None:
    async def case() -> None:
        at = pair(cheaper=1)
        assert await at.ask(0) == "a"
        at.pick("b/m", "a/m")
        assert await at.ask(1) == "b", "1 a token anew, and of those at a 1 or 10 each"
        assert at.road.health.stays.moved == 1

    run(case())


def test_it_stays_where_no_price_is_known() -> None:
    async def case() -> None:
        at = Talk(candidate("a/m", says(name="a")), candidate("b/m", says(name="b")))
        assert await at.ask(0) == "a"
        at.pick("b/m", "a/m")
        assert await at.ask(1) == "a"

    run(case())


@pytest.mark.parametrize(
    ("more", "kept_s"),
    [
        ({}, 300),
        ({"prompt_cache_retention": "in_memory"}, 300),
        ({"prompt_cache_retention": "24h"}, 86_400),
        ({"face": "anthropic", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, 3_600),
        ({"face": "anthropic", "cache_control": {"type": "ephemeral"}}, 300),
    ],
)
def test_for_as_long_as_the_cache_lives(more: dict[str, Any], kept_s: float) -> None:
    async def case() -> None:
        at = pair()
        await at.ask(0, **more)
        at.pick("b/m", "a/m")
        await moved(kept_s - 1)
        assert await at.ask(1, **more) == "a"
        await moved(kept_s - 1)
        assert await at.ask(1, **more) == "a", "each call renews it"
        await moved(kept_s + 1)
        assert await at.ask(2, **more) == "b"

    run(case())


def test_who_answers_in_its_place_is_the_new_home() -> None:
    async def case() -> None:
        a, b = says(name="a"), says(name="b")
        at = Talk(priced("a/m", a, 10, 1), priced("b/m", b, 10, 1))
        await at.ask(0)
        a.error = UpstreamFailed("500", provider_status=500)
        assert await at.ask(1) == "b"
        a.error = None
        assert await at.ask(2) == "b"
        at.road.health.of(at.road.route.candidates[1].target).breaker.failed(now(), probe=True)
        assert await at.ask(2) == "a", "an open breaker holds nobody"

    run(case())


def test_without_it_or_with_one_target_nothing_is_remembered() -> None:
    async def case() -> None:
        road = Road(candidate("a/m", says()), candidate("b/m", says()))
        await road.chain(talk())
        alone = Talk(candidate("a/m", says()))
        await alone.ask(0)
        for health in (road.health, alone.road.health):
            assert health.stays.home(key_of(talk(), "main") or 0, now()) is None

    run(case())


def test_it_remembers_those_heard_of_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affinity_module, "CAPACITY", 10)
    stays = Stays()
    for key in range(10):
        stays.keep(key, talk(), "a/m", 0.0)
    stays.keep(0, talk(), "a/m", 1.0)
    stays.keep(10, talk(), "a/m", 2.0)
    held = [key for key in range(11) if stays.home(key, 3.0)]
    assert held == [0, *range(2, 11)]
