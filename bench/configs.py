"""The configuration files that the gateways are started with, written fresh for every run."""

from __future__ import annotations

from pathlib import Path

INPUT_DOLLARS, OUTPUT_DOLLARS = 0.20, 0.60  # per million tokens, the same for every gateway


def octoplex(plain: str, secure: str, data: Path) -> str:
    """Return octoplex.toml: one key with limits and a budget that are counted and never reached.

    A provider speaks one dialect only, so that a client of the other must be translated.
    """
    lines = ["[server]", f'data = "{data}"', ""]
    prices = ["[prices]"]
    for name, dialect, origin, models in (
        ("mock", "openai-chat", plain, ("gpt-mock", "gpt-paced")),
        ("mocktls", "openai-chat", secure, ("gpt-mock",)),
        ("anth", "anthropic", plain, ("claude-mock",)),
        ("anthtls", "anthropic", secure, ("claude-mock",)),
    ):
        lines += [
            f"[providers.{name}]",
            f'dialect = "{dialect}"',
            f'base_url = "{origin}/v1"',
            'api_key = "env:BENCH_UPSTREAM_KEY"',
            "",
        ]
        for model in models:
            price = f"{{ input = {INPUT_DOLLARS:.2f}, output = {OUTPUT_DOLLARS:.2f} }}"
            prices.append(f'"{name}/{model}" = {price}')
    key = [
        "[keys.app]",
        'secret = "env:BENCH_KEY"',
        'limits = "1000000 req/min, 1000000k tok/min, $100000/month"',
    ]
    return "\n".join([*lines, *prices, "", *key, ""])


def litellm(plain: str, secure: str, secret: str) -> str:
    """Return LiteLLM's config.yaml: the same models and prices, logging and telemetry off."""
    lines = ["model_list:"]
    for name, provider, base in (
        ("gpt-mock", "openai/gpt-mock", f"{plain}/v1"),
        ("gpt-mock-tls", "openai/gpt-mock", f"{secure}/v1"),
        ("gpt-paced", "openai/gpt-paced", f"{plain}/v1"),
        ("claude-mock", "anthropic/claude-mock", plain),
        ("claude-mock-tls", "anthropic/claude-mock", secure),
    ):
        lines += [
            f"  - model_name: {name}",
            "    litellm_params:",
            f"      model: {provider}",
            f"      api_base: {base}",
            "      api_key: os.environ/UPSTREAM_KEY",
            f"      input_cost_per_token: {INPUT_DOLLARS / 1e6:.9f}",
            f"      output_cost_per_token: {OUTPUT_DOLLARS / 1e6:.9f}",
        ]
    settings = [
        "litellm_settings:",
        "  telemetry: false",
        "  set_verbose: false",
        "  num_retries: 0",
        "  request_timeout: 60",
        "  use_chat_completions_url_for_anthropic_messages: true",
        "general_settings:",
        f"  master_key: {secret}",
    ]
    return "\n".join([*lines, *settings, ""])
