"""A model is known by its family, whatever its name is dressed in."""

import pytest

from octoplex.catalog.families import UNKNOWN, Row, bare, family, quirks_for, rows
from octoplex.catalog.provider import providers


@pytest.mark.parametrize(
    ("dressed", "name"),
    [
        ("gpt-5-mini", "gpt-5-mini"),
        ("anthropic/claude-sonnet-4.5:beta", "claude-sonnet-4-5"),
        ("accounts/fireworks/models/deepseek-v4-pro", "deepseek-v4-pro"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5-20251001-v1"),
        ("claude-opus-4@20250514", "claude-opus-4"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "gpt-4o-mini-2024-07-18"),
        ("Qwen3:8b", "qwen3"),
        ("", ""),
        ("///", ""),
    ],
)
def test_names_are_undressed(dressed: str, name: str) -> None:
    assert bare(dressed) == name


@pytest.mark.parametrize(
    ("provider", "model", "cap", "context", "silent"),
    [
        ("openai", "gpt-5-mini-2025-08-07", 128_000, 400_000, True),
        ("openai", "gpt-5.1-chat-latest", 16_384, 128_000, False),
        ("openai", "gpt-5-pro", 272_000, 400_000, True),
        ("openai", "gpt-6.1-terra", 128_000, 1_050_000, True),
        ("openai", "o3-mini", 100_000, 200_000, True),
        ("openai", "o1-preview-2024-09-12", 32_768, 128_000, True),
        ("openai", "gpt-4.1-nano", 32_768, 1_047_576, False),
        ("openai", "gpt-4-1106-preview", 4_096, 128_000, False),
        ("openai", "gpt-4o-2024-05-13", 4_096, 128_000, False),
        ("openai", "gpt-4o-2024-11-20", 16_384, 128_000, False),
        ("anthropic", "claude-3-5-haiku-latest", 8_192, 200_000, False),
        ("anthropic", "claude-opus-4-20250514", 32_000, 200_000, False),
        ("anthropic", "claude-sonnet-4-20250514", 64_000, 200_000, False),
        ("anthropic", "claude-haiku-4-5-20251001", 64_000, 200_000, False),
        ("anthropic", "claude-opus-4-6", 128_000, 1_000_000, False),
        ("anthropic", "claude-opus-5-5", 128_000, 1_000_000, True),
        ("anthropic", "claude-haiku-5-5", 128_000, 1_000_000, True),
        ("openrouter", "anthropic/claude-sonnet-4.5", 64_000, 200_000, False),
        ("gemini", "gemini-2.5-pro", 65_536, 1_048_576, True),
        ("gemini", "gemini-2.5-flash-lite", 65_536, 1_048_576, False),
        ("gemini", "gemini-3.8-flash", 65_536, 1_048_576, True),
        ("deepseek", "deepseek-reasoner", 65_536, 131_072, True),
        ("deepseek", "deepseek-v4-pro", 393_216, 1_048_576, False),
        ("together", "deepseek-ai/DeepSeek-R1-0528", None, 131_072, True),
        ("zai", "GLM-4.6", 131_072, 200_000, False),
        ("octoplex", "smollm2", 8_192, 8_192, False),
    ],
)
def test_known_models(
    provider: str, model: str, cap: int | None, context: int, silent: bool
) -> None:
    found = family(provider, model)
    assert (found.output_cap, found.context) == (cap, context)
    assert found.reasons_silently is silent


def test_an_unknown_model_works_and_claims_nothing() -> None:
    assert family("backup", "something-new-7b") == UNKNOWN
    assert UNKNOWN.output_cap is None
    assert not UNKNOWN.reasons_silently


def test_a_host_that_is_not_the_vendor_has_its_own_caps() -> None:
    assert family("deepseek", "deepseek-v4-pro").output_cap == 393_216
    assert family("groq", "deepseek-v4-pro").output_cap is None


def test_a_claude_not_yet_born_has_a_cap() -> None:
    """Anthropic requires `max_tokens`: the contract's 4,096 would cut its answers short."""
    assert family("anthropic", "claude-opus-9").output_cap == 32_000


@pytest.mark.parametrize("model", ["o3", "o4-mini", "gpt-5", "gpt-5.2-pro", "gpt-6-sol"])
def test_openai_reasoners_take_max_completion_tokens_everywhere(model: str) -> None:
    assert "max_completion_tokens" in family("own", model).quirks


@pytest.mark.parametrize("model", ["gpt-oss-120b", "claude-sonnet-5", "deepseek-chat", "llama-3.3"])
def test_others_do_not(model: str) -> None:
    assert not family("own", model).quirks


def test_quirks_of_provider_and_family_are_joined() -> None:
    deepseek = providers()["deepseek"]
    assert quirks_for(deepseek, family("x", "o3")) == deepseek.quirks | {"max_completion_tokens"}


@pytest.mark.parametrize("row", rows(), ids=lambda r: r.match[0])
def test_a_row_is_sensible(row: Row) -> None:
    assert row.match
    assert all(glob == bare(glob) for glob in row.match), "globs are matched against bare names"
    assert set(row.only) <= set(providers())
    if row.cap and row.context:
        assert 0 < row.cap <= row.context


def test_no_row_is_hidden_by_an_earlier_one() -> None:
    """A glob written out (stars gone) must be answered by its own row at one of its hosts."""
    for row in rows():
        hosts = row.only or ("some-host",)
        names = [glob.replace("*", "") for glob in row.match]
        firsts = [next(r for r in rows() if r.holds(h, n)) for h in hosts for n in names]
        assert row in firsts, row.match
