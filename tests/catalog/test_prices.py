"""The price list as shipped: found by name and by the clock, with the operator's own on top."""

import tomllib
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octoplex.catalog.compile_prices import BY_HAND
from octoplex.catalog.prices import FILE, REMEMBERED, Price, Prices, matches
from octoplex.catalog.provider import catalogue, providers
from octoplex.wire.error import BadConfig
from octoplex.wire.event import Usage

SHIPPED = Prices.load()


def clocked(text: str) -> Prices:
    at = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    return Prices.load(now=lambda: at)


def price(provider: str, model: str, tier: str = "") -> Price:
    found = SHIPPED.price(provider, model, tier)
    assert found is not None, f"{provider}/{model} has no price"
    return found


def test_the_file_is_small_and_says_where_it_is_from() -> None:
    assert FILE.stat().st_size < 400_000
    assert "genai-prices" in SHIPPED.source
    assert SHIPPED.version.startswith("20")
    assert price("openai", "gpt-4o").version == SHIPPED.version


@pytest.mark.parametrize(
    ("provider", "model", "input_dollars", "output_dollars"),
    [
        ("openai", "gpt-4o-mini", "0.15", "0.60"),
        ("openai", "GPT-4o-mini-2024-07-18", "0.15", "0.60"),
        ("openai", "gpt-5-mini", "0.25", "2"),
        ("anthropic", "claude-haiku-4-5-20251001", "1", "5"),
        ("anthropic", "claude-opus-5", "5", "25"),
        ("openrouter", "anthropic/claude-sonnet-4", "3", "15"),
        ("azure-openai", "gpt-4o", "2.5", "10"),
        ("azure-openai", "claude-haiku-4-5", "1", "5"),
        ("gemini", "gemini-2.5-flash", "0.3", "2.5"),
        ("openai", "text-embedding-3-small", "0.02", "0"),
    ],
)
def test_published_figures(
    provider: str, model: str, input_dollars: str, output_dollars: str
) -> None:
    found = price(provider, model)
    assert found.input_pico == Decimal(input_dollars) * 10**6
    assert found.output_pico == Decimal(output_dollars) * 10**6


def test_hugging_face_has_a_price_only_where_the_host_is_named() -> None:
    assert SHIPPED.price("huggingface", "Qwen/Qwen3-32B:nscale") is not None
    assert SHIPPED.price("huggingface", "Qwen/Qwen3-32B") is None


def test_what_is_not_listed_has_no_price_and_what_is_local_is_free() -> None:
    assert SHIPPED.price("openai", "gpt-99") is None
    assert SHIPPED.price("backup", "qwen3") is None
    assert SHIPPED.price("openai", "whisper-1") is None, "not sold by tokens"
    for provider in ["octoplex", *(p.id for p in providers().values() if p.local)]:
        free = SHIPPED.price(provider, "anything")
        assert free is not None
        assert free.cost_nano(Usage(1000, 1000)) == 0
        assert free.version == SHIPPED.version


def test_a_service_tier_has_its_own_price_where_one_is_listed() -> None:
    assert price("openai", "gpt-4o", "priority").input_pico == 4_250_000
    assert price("openai", "gpt-4o", "default") == price("openai", "gpt-4o")
    assert price("openai", "gpt-4o", "unheard-of") == price("openai", "gpt-4o")
    assert price("anthropic", "claude-opus-5", "fast").output_pico == 50_000_000


def test_the_clock_decides_where_a_price_changes_by_the_hour() -> None:
    """api-docs.deepseek.com/quick_start/pricing: 01:00-04:00 and 06:00-10:00 UTC are double."""
    figures = {
        hour: clocked(f"2026-11-24T{hour}:00").price("deepseek", "deepseek-flash")
        for hour in ("00:59", "01:00", "03:59", "04:00", "06:00", "09:59", "10:00", "23:59")
    }
    peak = {hour for hour, p in figures.items() if p and p.input_pico == 300_000}
    assert peak == {"01:00", "03:59", "06:00", "09:59"}
    assert all(p and p.input_pico in (150_000, 300_000) for p in figures.values())


def test_one_snapshot_follows_the_clock() -> None:
    now = datetime(2026, 11, 24, 0, 30, tzinfo=UTC).timestamp()
    list_ = Prices.load(now=lambda: now)
    before = list_.price("deepseek", "deepseek-flash")
    now += 3600
    after = list_.price("deepseek", "deepseek-flash")
    assert before
    assert after
    assert after.input_pico == 2 * before.input_pico


def test_the_hours_hold_before_the_list_was_made() -> None:
    assert clocked("2020-01-01T00:00:00").price("deepseek", "deepseek-flash") is not None


def test_what_is_kept_by_hand_has_a_source_and_a_day_and_is_found() -> None:
    kept = tomllib.loads(BY_HAND.read_text(), parse_float=Decimal)
    for provider, said in kept.items():
        assert said["source"].startswith("https://")
        assert said["seen"] <= date.fromisoformat(SHIPPED.date)
        for model, told in said["models"].items():
            found = price(provider, model)
            assert found.input_pico == told.get("input", 0) * 10**6
            assert found.search_nano == told.get("search", 0) * 10**9
            assert found.output_pico == 0
            assert found.version == SHIPPED.version
            assert model in SHIPPED.models(provider)
    assert price("cohere", "rerank-v3.5").cost_nano(Usage(searches=7)) == 14_000_000
    assert price("voyage", "rerank-2.5").cost_nano(Usage(1_000_001)) == 50_000_050
    assert SHIPPED.price("jina", "jina-reranker-v2-base-multilingual") is None


@pytest.mark.parametrize(
    ("clause", "yes", "no"),
    [
        (["is", "a"], "a", "ab"),
        (["starts", "a"], "ab", "ba"),
        (["ends", "a"], "ba", "ab"),
        (["has", "a"], "bab", "bb"),
        (["regex", r"^a\d$"], "a1", "ba1"),
        (["any", [["is", "a"], ["is", "b"]]], "b", "c"),
        (["all", [["has", "a"], ["has", "b"]]], "ba", "a"),
    ],
)
def test_clauses(clause: list[Any], yes: str, no: str) -> None:
    assert matches(clause, yes)
    assert not matches(clause, no)


def test_made_up_names_do_not_fill_the_memory() -> None:
    list_ = Prices.load()
    for i in range(REMEMBERED + 10):
        list_.price("nobody", str(i))
    assert len(list_._memo) <= REMEMBERED


def own(text: str) -> dict[str, Any]:
    return tomllib.loads(text, parse_float=Decimal)["prices"]  # type: ignore[no-any-return]


def test_own_prices_come_first_and_are_exact() -> None:
    text = """
    [prices]
    "backup/qwen3" = { input = 0.20, output = 0.60, cached_input = "0.02", request = 0.001 }
    "openai/gpt-4o" = { input = 1, output = 2 }
    "ollama/big" = { input = 0.1, output = 0.1 }
    "jina/r" = { input = 0, output = 0, search = 0.0015 }
    """
    list_ = SHIPPED.with_own(own(text))
    qwen = list_.price("backup", "qwen3")
    assert qwen is not None
    assert list_.price("jina", "r") == Price(
        input_pico=0, output_pico=0, search_nano=1_500_000, version=list_.version
    )
    assert (qwen.input_pico, qwen.output_pico, qwen.cache_read_pico) == (200_000, 600_000, 20_000)
    assert qwen.request_nano == 1_000_000
    assert qwen.cost_nano(Usage(1000, 100)) == 200_000 + 60_000 + 1_000_000
    changed = list_.price("openai", "gpt-4o")
    assert changed is not None
    assert changed.input_pico == 1_000_000
    assert list_.price("ollama", "big") != list_.price("ollama", "small")
    assert price("openai", "gpt-4o").input_pico == 2_500_000, "the shipped list is unchanged"


def test_the_version_names_the_own_prices_too() -> None:
    one = SHIPPED.with_own({"a/b": {"input": 1, "output": 2}})
    same = SHIPPED.with_own({"a/b": {"input": "1", "output": Decimal("2.00")}})
    other = SHIPPED.with_own({"a/b": {"input": 1, "output": 3}})
    assert one.version == same.version != other.version
    assert one.version.startswith(SHIPPED.version + "+own.")
    for provider, model in [("a", "b"), ("openai", "gpt-4o"), ("ollama", "x")]:
        found = one.price(provider, model)
        assert found is not None
        assert found.version == one.version
    assert SHIPPED.with_own({}) is SHIPPED


@pytest.mark.parametrize(
    ("name", "table", "named"),
    [
        ("a/b", {"input": 0.2, "output": 1}, "never a float"),
        ("a/b", {"input": True, "output": 1}, "input = True"),
        ("a/b", {"input": None, "output": 1}, "input = None"),
        ("a/b", {"input": Decimal("-1"), "output": 1}, "zero or more"),
        ("a/b", {"input": -1, "output": 1}, "zero or more"),
        ("a/b", {"input": "NaN", "output": 1}, "zero or more"),
        ("a/b", {"input": "Infinity", "output": 1}, "zero or more"),
        ("a/b", {"input": "cheap", "output": 1}, "not a number"),
        ("a/b", {"input": "0.0000001", "output": 1}, "finer"),
        ("a/b", {"input": 1}, "output is missing"),
        ("a/b", {"output": 1}, "input is missing"),
        ("a/b", {"input": 1, "outptu": 1}, "outptu: unknown; known are input, output"),
        ("b", {"input": 1, "output": 1}, "provider/model"),
        ("a/b", 3, "input = 0.20"),
    ],
)
def test_a_wrong_own_price_is_named(name: str, table: Any, named: str) -> None:
    with pytest.raises(BadConfig) as caught:
        SHIPPED.with_own({name: table})
    assert named in str(caught.value)
    assert f'"{name}"' in str(caught.value)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    with pytest.raises(BadConfig, match=r"prices\.json"):
        Prices.load(path)
    path.write_text('{"date": 3}')
    with pytest.raises(BadConfig, match="is not a price list"):
        Prices.load(path)


def test_every_table_can_be_read_and_belongs_to_a_provider() -> None:
    file = msgspec.json.decode(FILE.read_bytes())
    assert set(file["providers"]) <= set(catalogue())
    for id_, table in file["providers"].items():
        for name in table["names"]:
            SHIPPED.price(id_, name)
        assert all(-1 <= i < len(table["models"]) for i in table["names"].values())


@pytest.mark.parametrize(
    ("provider", "listed", "model"),
    [
        ("vertex", "gemini", "gemini-2.5-pro"),
        ("vertex-anthropic", "gemini", "claude-sonnet-4-5@20250929"),
        ("azure-openai-deployments", "azure-openai", "gpt-4o"),
    ],
)
def test_a_row_without_a_list_of_its_own_is_priced_by_its_cloud(
    provider: str, listed: str, model: str
) -> None:
    prices = Prices.load()
    assert prices.price(provider, model) == prices.price(listed, model) is not None
    assert prices.models(provider) == (), "a bare name is not at two providers"


@pytest.mark.parametrize("name", ["omni-moderation-latest", "omni-moderation-2024-09-26"])
def test_openais_moderation_is_free(name: str) -> None:
    """As https://developers.openai.com/api/docs/models/omni-moderation-latest says."""
    found = Prices.load().price("openai", name)
    assert found is not None
    assert found.reserve_nano(10**6, 10**6) == 0
    assert Prices.load().price("openai", "omni-moderation-nobody-knows") is None
