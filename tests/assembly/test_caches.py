"""`[models.NAME.cache]` as it is read and compiled."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from octoplex.assembly.caches import Caches
from octoplex.assembly.sketch import Sketch
from octoplex.reflex.cache.fingerprint import Near, Rule
from octoplex.settings import parse
from octoplex.wire.error import BadConfig
from tests.scripted import asking

PROVIDERS = """
[providers.a]
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
api_key = "env:A_KEY"
[providers.b]
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
api_key = "env:A_KEY"
"""
ROUTE = '[models.main]\ntry = ["a/m"]\n{}\n[models.main.cache]\nttl = "10 min"\n'


def caches(folder: Path, text: str) -> Caches:
    async def compiled() -> Caches:
        return Sketch({"A_KEY": "sk-1", "B_KEY": "sk-2"}, folder).plan(parse(text)).caches

    return asyncio.run(compiled())


def rule(folder: Path, more: str = "", providers: str = PROVIDERS) -> Rule:
    return caches(folder, providers + ROUTE.format(more)).rules["main"]


def test_a_rule_says_what_the_table_says(tmp_path: Path) -> None:
    found = rule(tmp_path)
    assert (found.route, found.ttl_ms, found.replay, found.tool_calls) == (
        "main", 600_000, "at once", False,
    )  # fmt: skip
    more = PROVIDERS + ROUTE.format("") + 'replay = "natural"\ntool_calls = true\n'
    other = caches(tmp_path, more).rules["main"]
    assert (other.replay, other.tool_calls) == ("natural", True)


def test_what_changes_answers_changes_the_version(tmp_path: Path) -> None:
    def of_first(line: str) -> str:
        return PROVIDERS.replace("[providers.b]", f"{line}\n[providers.b]")

    with_tools = PROVIDERS + ROUTE.format("") + "tool_calls = true\n"
    two = PROVIDERS + ROUTE.format("").replace('"a/m"', '"a/m", "b/m"')
    versions = {
        rule(tmp_path).version,
        rule(tmp_path, "defaults = { temperature = 0.5 }").version,
        rule(tmp_path, "drop_unsupported = true").version,
        rule(tmp_path, providers=PROVIDERS.replace("/v1", "/v2")).version,
        rule(tmp_path, providers=of_first("headers = { x = 'y' }")).version,
        rule(tmp_path, providers=of_first("quirks = ['counts_input']")).version,
        caches(tmp_path, with_tools).rules["main"].version,
        caches(tmp_path, two).rules["main"].version,
    }
    assert len(versions) == 8


def test_what_changes_no_answer_does_not(tmp_path: Path) -> None:
    base = rule(tmp_path).version
    for more in ("retry = { attempts = 1 }", "timeouts = { idle_s = 5 }", 'pick = "fastest"'):
        assert rule(tmp_path, more).version == base
    assert rule(tmp_path, providers=PROVIDERS.replace("A_KEY", "B_KEY")).version == base


def test_only_the_routes_own_name_is_cached(tmp_path: Path) -> None:
    async def main() -> None:
        text = PROVIDERS + ROUTE.format("") + '[models."x-*"]\ntry = ["a/m"]\n'
        text += '[models."x-*".cache]\nttl = "1 s"\n'
        plan = Sketch({"A_KEY": "sk-1"}, tmp_path).plan(parse(text))
        rule_of = plan.caches.for_asks(plan.resolver.route_of)
        assert rule_of is not None
        named = {name: rule_of(asking(name)) for name in ("main", "a/m", "x-1")}
        assert [found and found.route for found in named.values()] == ["main", None, "x-*"]
        assert rule_of(asking("main", models=["a/other"])) is None
        assert rule_of(asking("main", models=["main"])) == named["main"]

    asyncio.run(main())


def test_who_makes_vectors(tmp_path: Path) -> None:
    def near(line: str) -> Near | None:
        text = PROVIDERS + ROUTE.format("") + f"semantic = {{ {line} }}\n"
        return caches(tmp_path, text).rules["main"].near

    assert rule(tmp_path).near is None
    assert near('model = "local/ngrams"') == Near(model="", least=0.9)
    assert near('model = "a/e"') == Near(model="a/e", least=0.95)
    assert near('model = "models.main", min = 1, wait_s = 2') == Near(
        model="main", least=1.0, wait_s=2.0
    )


def test_without_a_table_there_is_no_layer(tmp_path: Path) -> None:
    found = caches(tmp_path, PROVIDERS + '[models.main]\ntry = ["a/m"]\n')
    assert found.for_asks(lambda ask: pytest.fail("nobody needs the route")) is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('ttl = "soon"', '[models.main.cache] ttl: "soon" is not a duration'),
        ('ttl = "0 s"', '[models.main.cache] ttl: "0 s" is out of range'),
        ("ttl = 600", "[models.main] cache.ttl: expected `str`, got `int`"),
        ("", "missing required field `ttl`"),
        ('ttl = "1 s"\nreplay = "naturl"', 'did you mean "natural"?'),
        ('ttl = "1 s"\ntool_cals = true', 'has no key "tool_cals"; did you mean "tool_calls"?'),
        (
            'ttl = "1 s"\nsemantic = { model = "a/e", min = 0.7 }',
            "cache.semantic.min: expected `float` >= 0.8",
        ),
        (
            'ttl = "1 s"\nsemantic = { min = 0.9 }',
            "missing required field `model`",
        ),
        (
            'ttl = "1 s"\nsemantic = { model = "a/e", mn = 0.9 }',
            'has no key "mn"; did you mean "min"?',
        ),
        (
            'ttl = "1 s"\nsemantic = { model = "openal/e" }',
            '"openal/e" is no model that can be asked; write "provider/model" or "models.NAME"; '
            'did you mean "openai"?',
        ),
        (
            'ttl = "1 s"\nsemantic = { model = "models.man" }',
            'did you mean "main"?',
        ),
        (
            'ttl = "1 s"\nsemantic = { model = "local/tokens" }',
            '"models.NAME"; "local/ngrams" needs none.',
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path, line: str, says: str) -> None:
    text = PROVIDERS + ROUTE.format("").replace('ttl = "10 min"', line)
    with pytest.raises(BadConfig) as refused:
        caches(tmp_path, text)
    assert says in str(refused.value)
    assert msgspec.json.encode(str(refused.value))
