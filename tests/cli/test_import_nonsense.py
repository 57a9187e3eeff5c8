"""Files that no gateway ever wrote: one sentence or a file that is good, and no secret in either.

`CANARY` stands wherever a secret may: behind every key that holds one, in headers, in tables
that nobody knows. It is in no output, nor in any error.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.assembly.sketch import Sketch
from octoplex.cli.importing.command import SOURCES, carry
from octoplex.settings import parse
from octoplex.wire.error import BadConfig

CANARY = "sk-Canary-0123456789abcdef"
SECRETS = (
    *("api_key", "value", "master_key", "azure_ad_token", "vertex_credentials", "access_key"),
    *("secret_key", "aws_secret_access_key", "aws_access_key_id", "session_token", "password"),
    *("redis_password", "database_url", "encryption_key", "api_key_location", "auth_credentials"),
    *("secret_access_key", "admin_password", "authorization", "x-team", "organization"),
    *("api_version", "credential_location", "client_secret"),
)
TABLES = (
    *("model_list", "litellm_params", "model_info", "router_settings", "litellm_settings"),
    *("general_settings", "credential_list", "credential_values", "environment_variables"),
    *("providers", "keys", "network_config", "extra_headers", "azure_key_config", "governance"),
    *("virtual_keys", "provider_configs", "budgets", "rate_limits", "routing_rules", "targets"),
    *("client", "models", "functions", "variants", "experimentation", "gateway", "cost"),
    *("provider_types", "timeouts", "streaming", "aliases", "bedrock_key_config", "openai"),
    *("fallbacks", "model_group_alias", "custom_provider_config", "headers", "m", "defaults"),
)
PLAIN = (
    *("model_name", "model", "api_base", "rpm", "weight", "order", "timeout", "id", "name"),
    *("routing", "type", "endpoint", "url", "base_url", "region", "temperature", "stop", "n"),
    *("allowed_models", "provider", "max_limit", "reset_duration", "virtual_key_id", "version"),
    *("candidate_variants", "fallback_variants", "num_retries", "bind_address", "cel_expression"),
    *("input_cost_per_token", "output_cost_per_token", "pointer", "cost_per_million", "hidden"),
    *("routing_strategy", "default_fallbacks", "drop_params", "models", "is_active", "location"),
    *("stream_timeout", "aws_region_name", "custom_llm_provider", "litellm_credential_name"),
    *("credential_name", "rate_limit_id", "request_max_limit", "request_reset_duration"),
    *("max_request_body_size_mb", "allowed_origins", "fallbacks", "timeout_ms", "thinking"),
)
WORDS = (
    *("openai/gpt-4o", "azure/x", "anthropic/*", "*", "m", "openai", "anthropic", "azure", "env.K"),
    *("os.environ/K", "env::K", "http://h:1/v1", "https://h.example/", "1h", "1M", "us-east-1"),
    *("bedrock/us.x", "vertex_ai/gemini-x", "ollama", "gpt-4o", "chat_completion", "static"),
    *("/usage/prompt_tokens", "model == 'x'", "simple-shuffle", "0.0.0.0:1", "", " ", "a\nb", "é"),
    *(
        "nan",
        "inf",
        "-1",
        "1e999",
        '"',
        "]",
        "#",
        "\x7f",
        "%2F",
        "a/b/c",
        "openai::gpt-4o",
        "none",
        "azure/",
        "xai::",
        "/",
    ),
)
leaves = (
    st.sampled_from(WORDS)
    | st.text(max_size=8)
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.booleans()
    | st.none()
)


def tables(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Tables with names that the importers look for, secrets where secrets are."""
    named = st.dictionaries(st.sampled_from(TABLES + PLAIN), inner, max_size=6)
    secret = st.dictionaries(st.sampled_from(SECRETS), st.just(CANARY), max_size=3)
    both = st.builds(lambda one, other: {**one, **other}, named, secret)
    return both | st.lists(both, max_size=3) | st.lists(inner, max_size=3)


few = st.dictionaries(st.sampled_from(PLAIN), leaves | st.lists(leaves, max_size=2), max_size=4)
hidden = st.dictionaries(st.sampled_from(SECRETS), st.just(CANARY), max_size=3)
additions = st.lists(st.builds(lambda one, other: {**one, **other}, few, hidden), min_size=1)
trees = st.recursive(leaves, tables, max_leaves=25)
roots = st.dictionaries(st.sampled_from(TABLES), tables(trees), max_size=6)
RIGHT: dict[str, dict[str, Any]] = {
    "litellm": {
        "model_list": [
            {"model_name": "m", "litellm_params": {"model": "openai/gpt-4o"}, "model_info": {}},
            {"model_name": "m", "litellm_params": {"model": "azure/x", "api_key": CANARY}},
            {"model_name": "c", "litellm_params": {"model": "bedrock/x", "extra_headers": {}}},
        ],
        "credential_list": [{"credential_values": {}}],
        "litellm_settings": {"cache_params": {}},
        "router_settings": {"model_group_alias": {}},
        "general_settings": {},
    },
    "bifrost": {
        "providers": {
            "openai": {"keys": [{"value": CANARY, "models": ["*"]}, {}], "network_config": {}},
            "azure": {"keys": [{"azure_key_config": {}}], "custom_provider_config": {}},
        },
        "governance": {
            "virtual_keys": [{"provider_configs": [{"provider": "openai"}]}],
            "budgets": [{}],
            "rate_limits": [{}],
            "routing_rules": [{"targets": [{}]}],
        },
    },
    "tensorzero": {
        "models": {
            "m": {"routing": ["o", "a"], "providers": {"o": {"type": "openai"}, "a": {}}},
        },
        "functions": {"f": {"variants": {"v": {"model": "m"}, "w": {}}, "experimentation": {}}},
        "provider_types": {"openai": {"defaults": {}}},
    },
}
"""What can be carried, so that the nonsense that is sown into it is read to its end."""


def sown(tree: Any, more: Iterator[dict[str, Any]]) -> Any:
    """The tree with something added to each of its tables."""
    if isinstance(tree, list):
        return [sown(part, more) for part in tree]
    if not isinstance(tree, dict):
        return tree
    grown = {key: sown(value, more) for key, value in tree.items()}
    added = next(more)
    return {**added, **grown} if len(added) % 2 else {**grown, **added}


def toml(value: Any) -> str:
    """Anything but null as an inline TOML value."""
    if isinstance(value, dict):
        inner = (f"{json.dumps(k)} = {toml(v)}" for k, v in value.items() if v is not None)
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(v) for v in value if v is not None) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value).replace("\x7f", "\\u007f")


def whole(gateway: str, tree: dict[str, Any]) -> str:
    """The tree as a file of that gateway. JSON is YAML, nan and endless numbers too."""
    if gateway == "tensorzero":
        return "\n".join(f"{json.dumps(k)} = {toml(v)}" for k, v in tree.items())
    return json.dumps(tree)


async def compiled(text: str) -> None:
    """Compile a file as a start does, every variable set that it names."""
    found = parse(text)
    env = dict.fromkeys(re.findall(r"env:(\w+)", text), "canary-0123456789")
    sketch = Sketch(env, Path("no-such-folder"))
    sketch.plan(found)
    sketch.keys(found)


def tried(gateway: str, content: bytes) -> None:
    """It is carried, and is a good file; or it is refused in one sentence."""
    try:
        found = carry(gateway, content, "given", {"K": "https://k.example"})
    except BadConfig as error:
        shown = str(error)
        assert "\n" not in shown.strip()  # both outcomes are right
    else:
        asyncio.run(compiled(found.octoplex_toml))
        shown = found.octoplex_toml + "".join(f"{n.where}{n.says}" for n in found.notes)
    assert CANARY not in shown
    shown.encode()


@pytest.mark.parametrize("gateway", list(SOURCES))
@settings(max_examples=60, deadline=None)
@given(tree=roots)
def test_nonsense_is_carried_or_refused_and_leaks_nothing(
    gateway: str, tree: dict[str, Any]
) -> None:
    tried(gateway, whole(gateway, tree).encode())
    tried(gateway, whole(gateway, {**RIGHT[gateway], **tree}).encode())


@pytest.mark.parametrize("gateway", list(SOURCES))
@settings(max_examples=150, deadline=None)
@given(more=additions)
def test_nonsense_in_the_midst_of_sense(gateway: str, more: list[dict[str, Any]]) -> None:
    tried(gateway, whole(gateway, sown(RIGHT[gateway], cycle(more))).encode())


@pytest.mark.parametrize("gateway", list(SOURCES))
@settings(max_examples=60, deadline=None)
@given(before=st.binary(max_size=40), after=st.binary(max_size=40))
def test_bytes_are_refused_in_one_sentence(gateway: str, before: bytes, after: bytes) -> None:
    tried(gateway, before + CANARY.encode() + after)


@pytest.mark.parametrize("gateway", list(SOURCES))
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_file_with_a_hole_is_carried_or_refused(gateway: str, data: st.DataObject) -> None:
    content = whole(gateway, RIGHT[gateway] | {"password": CANARY}).encode()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    patch = data.draw(st.sampled_from([b"", b"{", b"]", b"\x00", b": ", b"&a [*a]", b"\n\t"]))
    tried(gateway, content[:start] + patch + content[end:])


def paths(tree: Any, at: str = "") -> Iterator[str]:
    """Where `unheard_of` stands in every table."""
    if isinstance(tree, list):
        for number, part in enumerate(tree):
            yield from paths(part, f"{at}[{number}]")
    elif isinstance(tree, dict):
        yield f"{at}.unheard_of".lstrip(".")
        for key, value in tree.items():
            yield from paths(value, f"{at}.{key}".lstrip("."))


@pytest.mark.parametrize("gateway", list(SOURCES))
def test_every_key_that_nobody_reads_is_named(gateway: str) -> None:
    right = {**RIGHT[gateway], "no_table_of_theirs": {"a": {}}}
    tree = sown(right, cycle([{"unheard_of": 1}]))
    found = carry(gateway, whole(gateway, tree).encode(), "given", {})
    named = {place.split(" (")[0] for note in found.notes for place in note.where.split(", ")}
    for path in paths(right):
        parts = re.split(r"(?=[.\[])", path)
        above = {"".join(parts[:n]) for n in range(1, len(parts) + 1)}
        assert named & above, path


def test_a_file_that_holds_itself() -> None:
    text = "model_list: &a\n  - model_name: m\n    litellm_params: {model: openai/x, stop: *a}\n"
    found = carry("litellm", text.encode(), "given", {})
    assert "defaults" not in found.octoplex_toml
