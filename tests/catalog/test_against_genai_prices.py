"""Our sums are those of genai-prices, to the micro-dollar, and the file is made from it.

Two independent calculations over the same figures: theirs with decimals, units and
clauses at run time, ours with integers compiled beforehand. No network: the figures are
those in the installed wheel.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version

import genai_prices
import msgspec
import pytest
from genai_prices.data import providers as theirs
from msgspec.structs import replace

from octoplex.catalog.compile_prices import HUGGINGFACE, RENAMED, compiled
from octoplex.catalog.prices import FILE, Prices
from octoplex.catalog.provider import providers
from octoplex.wire.event import Usage

HEAD = msgspec.json.decode(FILE.read_bytes())
COMPILED_AT = datetime.fromisoformat(HEAD["date"]).replace(tzinfo=UTC)
MICRO_DOLLAR_IN_NANO = 1_000

pytestmark = pytest.mark.skipif(
    HEAD["source"] != f"genai-prices {version('genai-prices')}",
    reason="another genai-prices is installed than the one compiled; run `make prices`",
)

CASES = [
    ("openai", "gpt-4o", Usage(12_345, 678)),
    ("openai", "gpt-4o", Usage(12_345, 678, cached_tokens=11_008)),
    ("openai", "gpt-4o-2024-11-20", Usage(1, 1)),
    ("openai", "gpt-4o-mini", Usage(1_000_000, 100_000, cached_tokens=999_999)),
    ("openai", "gpt-4.1-nano", Usage(999, 999, cached_tokens=512)),
    ("openai", "gpt-5", Usage(40_000, 9_000, cached_tokens=38_912, reasoning_tokens=8_000)),
    ("openai", "gpt-5-mini", Usage(7, 3_210, reasoning_tokens=3_200)),
    ("openai", "gpt-5.4", Usage(272_000, 1_000)),
    ("openai", "gpt-5.4", Usage(272_001, 1_000)),
    ("openai", "gpt-5.4", Usage(300_000, 5_000, cached_tokens=250_000)),
    ("openai", "gpt-6-sol", Usage(100_000, 2_000, 50_000, 40_000)),
    ("openai", "gpt-6-sol", Usage(400_000, 2_000, 50_000, 40_000)),
    ("openai", "o3", Usage(2_000, 30_000, reasoning_tokens=29_000)),
    ("openai", "o4-mini", Usage(123, 456)),
    ("openai", "text-embedding-3-large", Usage(8_191, 0)),
    ("openai", "gpt-3.5-turbo", Usage(4_000, 96)),
    ("anthropic", "claude-haiku-4-5", Usage(5_000, 700)),
    ("anthropic", "claude-haiku-4-5-20251001", Usage(5_000, 700, cached_tokens=4_096)),
    ("anthropic", "claude-haiku-4-5", Usage(9_000, 700, 4_096, 2_048)),
    ("anthropic", "claude-haiku-4-5", Usage(9_000, 700, 4_096, 2_048, 2_048)),
    ("anthropic", "claude-haiku-4-5", Usage(9_000, 700, 4_096, 2_048, 1_000)),
    ("anthropic", "claude-sonnet-4-5", Usage(200_000, 4_000, 150_000, 20_000, 5_000)),
    ("anthropic", "claude-sonnet-4-5", Usage(200_001, 4_000, 150_000, 20_000, 5_000)),
    ("anthropic", "claude-sonnet-4-5", Usage(900_000, 64_000)),
    ("anthropic", "claude-opus-4-1", Usage(31_000, 8_000, 1_000, 30_000)),
    ("anthropic", "claude-opus-4-6", Usage(500_000, 8_000, 100_000, 30_000, 30_000)),
    ("anthropic", "claude-opus-5", Usage(77_777, 7_777, 70_000, 7_000)),
    ("anthropic", "claude-opus-5-5", Usage(1, 128_000, reasoning_tokens=127_000)),
    ("anthropic", "claude-haiku-5-5", Usage(100_000, 500)),
    ("anthropic", "claude-haiku-5-5", Usage(100_001, 500, 90_000, 10_000, 10_000)),
    ("anthropic", "claude-3-5-sonnet-20241022", Usage(10, 10)),
    ("anthropic", "claude-3-haiku-20240307", Usage(199_999, 4_096, 100_000, 90_000)),
    ("gemini", "gemini-2.5-pro", Usage(200_000, 65_000, cached_tokens=100_000)),
    ("gemini", "gemini-2.5-pro", Usage(200_001, 65_000, cached_tokens=100_000)),
    ("gemini", "gemini-2.5-flash", Usage(1_000_000, 8_000, reasoning_tokens=6_000)),
    ("gemini", "gemini-2.5-flash-lite", Usage(333, 333, cached_tokens=111)),
    ("gemini", "gemini-3-pro-preview", Usage(250_000, 10_000, cached_tokens=200_000)),
    ("gemini", "gemini-3.8-flash", Usage(54_321, 1_234)),
    ("deepseek", "deepseek-flash", Usage(64_000, 8_000, cached_tokens=60_000)),
    ("deepseek", "deepseek-v4-pro", Usage(64_000, 8_000, cached_tokens=60_000)),
    ("deepseek", "deepseek-chat", Usage(1_000, 1_000)),
    ("xai", "grok-4-0709", Usage(130_000, 4_000, cached_tokens=100_000)),
    ("xai", "grok-4.6", Usage(250_000, 4_000)),
    ("xai", "grok-4-fast", Usage(5_000, 50)),
    ("mistral", "mistral-large-4", Usage(5_000, 500)),
    ("mistral", "mistral-small-latest", Usage(5_000, 500)),
    ("mistral", "codestral-2508", Usage(5_000, 500)),
    ("groq", "openai/gpt-oss-120b", Usage(5_000, 500, cached_tokens=4_000)),
    ("groq", "llama-3.3-70b-versatile", Usage(5_000, 500)),
    ("cerebras", "gpt-oss-120b", Usage(5_000, 500)),
    ("moonshot", "kimi-k3", Usage(90_000, 5_000, cached_tokens=80_000)),
    ("zai", "glm-4.6", Usage(90_000, 5_000, cached_tokens=80_000)),
    ("minimax", "minimax-m3", Usage(512_000, 5_000, cached_tokens=80_000)),
    ("minimax", "minimax-m3", Usage(512_001, 5_000, cached_tokens=80_000)),
    ("cohere", "command-a-03-2025", Usage(9_000, 900)),
    ("openrouter", "anthropic/claude-sonnet-4.5", Usage(300_000, 900, 200_000, 90_000)),
    ("openrouter", "qwen/qwen3-coder-flash", Usage(32_001, 900)),
    ("openrouter", "qwen/qwen3-coder-flash", Usage(128_001, 900)),
    ("openrouter", "perplexity/sonar-deep-research", Usage(500, 9_000, reasoning_tokens=8_000)),
    ("openrouter", "google/gemini-2.5-flash", Usage(100_000, 900, 40_000, 20_000)),
    ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", Usage(5_000, 500)),
    ("azure-openai", "gpt-4o", Usage(12_345, 678, cached_tokens=11_008)),
    ("azure-openai", "claude-haiku-4-5", Usage(12_345, 678, 1_000, 1_000)),
]
FULL = Usage(310_000, 9_000, 100_000, 60_000, 20_000, 5_000)
SMALL = Usage(1_000, 100, 500, 100, 50, 50)


def their_nano(provider: str, model: str, usage: Usage, at: datetime) -> int:
    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
    )
    found = genai_prices.calc_price(counts, model, provider_id=provider, genai_request_timestamp=at)
    return int(found.total_price * Decimal(10**9))


def our_nano(prices: Prices, provider: str, model: str, usage: Usage) -> int:
    price = prices.price(provider, model)
    assert price is not None, f"{provider}/{model} has no price"
    return price.cost_nano(usage)


@pytest.mark.parametrize(("provider", "model", "usage"), CASES)
def test_the_sum_is_theirs(provider: str, model: str, usage: Usage) -> None:
    prices = Prices.load(now=COMPILED_AT.timestamp)
    back = {ours: their for their, ours in RENAMED.items()}
    their = their_nano(back.get(provider, provider), model, usage, COMPILED_AT)
    assert abs(our_nano(prices, provider, model, usage) - their) <= MICRO_DOLLAR_IN_NANO


def every_name() -> Iterator[tuple[str, str, str, str]]:
    """Their provider and model, ours and ours."""
    for provider in theirs:
        ours = RENAMED.get(provider.id, provider.id)
        route = ""
        if provider.id.startswith(HUGGINGFACE):
            ours, route = "huggingface", ":" + provider.id.removeprefix(HUGGINGFACE)
        if ours in HEAD["providers"]:
            names = [m.id for m in provider.models]
            dated = [f"{name}-20261211" for name in names]
            for name in [*names, *dated]:
                yield provider.id, name, ours, name + route


@pytest.mark.parametrize("at", ["compiled", "2026-12-01T02:30", "2027-02-01T07:00"])
def test_every_model_is_found_and_costs_the_same(at: str) -> None:
    moment = COMPILED_AT if at == "compiled" else datetime.fromisoformat(at).replace(tzinfo=UTC)
    prices = Prices.load(now=moment.timestamp)
    compared = 0
    for their_provider, their_model, provider, model in every_name():
        price = prices.price(provider, model)
        if price is None:
            continue
        for usage in (FULL, SMALL):
            if "claude" in model and provider != "anthropic":
                # Resellers' hour-long cache writes: theirs has no figure, see the next test.
                usage = replace(usage, cache_write_1h_tokens=0)
            try:
                their = their_nano(their_provider, their_model, usage, moment)
            except LookupError:
                pytest.fail(f"they do not know {their_provider}/{their_model}, we do")
            ours = price.cost_nano(usage)
            assert abs(ours - their) <= MICRO_DOLLAR_IN_NANO, f"{provider}/{model}"
            compared += 1
    assert compared > 3_000


def test_an_hour_in_the_cache_costs_twice_the_input_wherever_claude_is_sold() -> None:
    prices = Prices.load(now=COMPILED_AT.timestamp)
    hour = Usage(1_000_000, 0, 0, 1_000_000, 1_000_000)
    assert our_nano(prices, "openrouter", "anthropic/claude-sonnet-4", hour) == 6 * 10**9
    assert our_nano(prices, "openrouter", "anthropic/claude-sonnet-4.5", hour) == 12 * 10**9
    assert our_nano(prices, "anthropic", "claude-sonnet-4-0", hour) == 6 * 10**9


def test_what_they_sell_by_tokens_we_have() -> None:
    prices = Prices.load(now=COMPILED_AT.timestamp)
    missing = [
        f"{provider.id}/{model.id}"
        for provider in theirs
        if (ours := RENAMED.get(provider.id, provider.id)) in providers()
        for model in provider.models
        if model.get_prices(COMPILED_AT).input_mtok is not None
        and model.match.is_match(model.id)
        and provider.find_model(model.id) is model
        and prices.price(ours, model.id) is None
    ]
    assert not missing


def test_the_file_is_what_the_compiler_makes() -> None:
    made = compiled(theirs, COMPILED_AT.date())
    assert msgspec.json.decode(msgspec.json.encode(made)) == HEAD
