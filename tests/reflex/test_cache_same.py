"""What makes two asks the same, and what does not; how long, and under which rule."""

import hashlib
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from octoplex.dialects.verbatim import split
from octoplex.reflex.cache.config import duration_ms
from octoplex.reflex.cache.fingerprint import MOVING, RUN_THERE, UNTOLD, Rule, acts, fingerprint
from octoplex.wire.ask import Ask, Call, Caller, Passed, Single
from octoplex.wire.error import BadConfig, InvalidCall
from tests.scripted import asking

RULE = Rule(route="main", version="v1", ttl_ms=60_000)
BODY = b'{"model":"main","messages":[{"role":"user","content":"Hi"}],"temperature":0.5}'
APP = Caller(id="app", name="app")


def keyed(data: bytes) -> bytes:
    return hashlib.blake2b(data, key=b"pepper", digest_size=32).digest()


def call(body: bytes = BODY, **members: Any) -> Call:
    usual = {"id": "r", "face": "openai-chat", "model": "main", "deadline_at": 1e12, "caller": APP}
    return Call(raw=body, fields=split(body), **{**usual, **members})  # type: ignore[arg-type]


def same(one: Ask, other: Ask, rule: Rule = RULE, other_rule: Rule = RULE) -> bool:
    first, second = fingerprint(one, rule, keyed), fingerprint(other, other_rule, keyed)
    assert first is not None
    assert len(first) == 32
    return first == second


def with_member(name: str, value: Any) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(BODY), name: value})


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        b'{ "temperature" : 0.5, "messages":[{"role":"user","content":"Hi"}], "model":"main" }',
        b'{"model":"main","messages":[ {"role":"user",\n"content":"Hi"} ],"temperature":0.5}',
        b'{"model":"main","stream":false,"messages":[{"role":"user","content":"Hi"}],'
        b'"temperature":0.5}',
        *(with_member(name, "x") for name in sorted(UNTOLD["openai-chat"])),
    ],
)
def test_the_same(body: bytes) -> None:
    assert same(call(), call(body))


@pytest.mark.parametrize(
    "body",
    [
        BODY.replace(b"Hi", b"hi"),
        BODY.replace(b"Hi", b"Hi "),
        BODY.replace(b"Hi", b"H\\u0069"),
        BODY.replace(b"0.5", b"0.50"),
        BODY.replace(b'"role":"user","content":"Hi"', b'"content":"Hi","role":"user"'),
        with_member("seed", 1),
        with_member("n", 2),
        with_member("stream_options", {"include_usage": True}),
        with_member("service_tier", "flex"),
        with_member("tools", []),
        with_member("unheard_of", None),
        b'{"model":"main"}',
    ],
)
def test_another_content(body: bytes) -> None:
    assert not same(call(), call(body))


@pytest.mark.parametrize(
    "members",
    [
        {"caller": Caller(id="other")},
        {"caller": Caller(id="app", tenant="acme")},
        {"caller": Caller(id="", tenant="app")},
        {"caller": Caller()},
        {"caller": Caller(id="app", region="eu")},
        {"caller": Caller(id="app", budgeted=True)},
        {"face": "anthropic"},
        {"op": "compact"},
        {"stream": True},
        {"model": "other"},
        {"headers": {"anthropic-beta": "x"}},
    ],
)
def test_another_caller_or_another_way_to_ask(members: dict[str, Any]) -> None:
    assert not same(call(), call(**members))


@pytest.mark.parametrize(
    "members",
    [
        {"id": "another"},
        {"caller": Caller(id="app", name="renamed")},
        {"headers": {"traceparent": "00-1", "cache-control": "max-age=1"}},
        {"deadline_at": 5.0},
    ],
)
def test_who_and_how_in_ways_that_change_nothing(members: dict[str, Any]) -> None:
    assert same(call(), call(**members))


def test_keys_of_a_tenant_share_and_others_never_do() -> None:
    one, two = Caller(id="a", tenant="acme"), Caller(id="b", tenant="acme")
    assert same(call(caller=one), call(caller=two))
    assert not same(call(caller=one), call(caller=Caller(id="acme")))
    assert not same(call(caller=one), call(caller=Caller(id="a", tenant="acme2")))


def test_another_rule() -> None:
    for change in ({"version": "v2"}, {"route": "second"}):
        assert not same(call(), call(), RULE, msgspec.structs.replace(RULE, **change))
    assert same(call(), call(), RULE, msgspec.structs.replace(RULE, ttl_ms=1, replay="natural"))


def test_nobody_without_the_pepper_finds_the_same_hash() -> None:
    def other(data: bytes) -> bytes:
        return hashlib.blake2b(data, key=b"salt", digest_size=32).digest()

    assert fingerprint(call(), RULE, keyed) != fingerprint(call(), RULE, other)


def test_labels_count_where_replies_repeat_them() -> None:
    body = with_member("metadata", {"a": "b"})
    face = {"face": "openai-responses"}
    assert not same(call(**face), call(body, **face))
    assert same(call(face="anthropic"), call(body, face="anthropic"))
    user = with_member("user", "u1")
    assert not same(call(face="anthropic"), call(user, face="anthropic"))


@pytest.mark.parametrize("name", sorted(MOVING))
def test_what_moves_elsewhere_is_like_nothing(name: str) -> None:
    assert fingerprint(call(with_member(name, "x")), RULE, keyed) is None
    assert fingerprint(call(with_member(name, None)), RULE, keyed) is not None


def test_only_asks_with_members_have_one() -> None:
    passed = Passed(id="r", face="openai-chat", model="m", raw=b"{}", deadline_at=1.0, op="pass")
    assert fingerprint(passed, RULE, keyed) is None
    fields = {"input": Raw(b'"a"')}
    single = Single("r", "openai-chat", "m", b"", 1.0, op="embed", fields=fields)
    other = Single("r", "openai-chat", "m", b"", 1.0, op="moderate", fields=fields)
    assert not same(single, other)


# -- tools that a provider may run ------------------------------------------------------------


def _unreadable(_: Call) -> Any:
    raise InvalidCall("no")


def test_whether_the_provider_may_act() -> None:
    assert not acts(asking())
    for name in RUN_THERE:
        assert acts(asking(**{name: []}))
        assert not acts(asking(**{name: None}))
    unknown = asking(tools=[{"type": "new"}])
    unknown.understand = _unreadable
    assert acts(unknown)
    several = asking(tools=[])
    several.n = 2
    assert acts(several)


# -- durations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("10 min", 600_000),
        ("30s", 30_000),
        ("1 hour", 3_600_000),
        ("2 Hours", 7_200_000),
        ("1.5 h", 5_400_000),
        ("7 days", 604_800_000),
        ("90 seconds", 90_000),
        ("5 minutes", 300_000),
        ("0.001 s", 1),
        ("365 days", 31_536_000_000),
    ],
)
def test_durations(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize(
    "text",
    ["", "10", "min", "10 mins ago", "-1 s", "0 s", "366 days", "1e3 s", "1 fortnight", "1 ss",
     "99999999999999999999999 days", "\u0661 s", "1\n"],
)  # fmt: skip
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadConfig, match=r"duration|out of range"):
        duration_ms(text)
