"""Every shipped row is whole, and a wrong one says where it is wrong."""

import re
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from octoplex.catalog.provider import FOLDER, Provider, providers, read
from octoplex.catalog.quirk import QUIRKS
from octoplex.wire.error import BadConfig

ROWS = list(providers().values())
LOOPBACK = {"127.0.0.1", "localhost"}
THINKING_STYLES = {
    "thinking_object",
    "reasoning_object",
    "enable_thinking",
    "thinking_template",
    "no_thinking_field",
}
# Keys that two rows may share: none today.
SHARED_KEYS: set[str] = set()


def test_at_least_35_rows_and_one_per_file() -> None:
    assert len(ROWS) >= 35
    assert list(providers()) == sorted(p.stem for p in FOLDER.glob("*.toml"))
    assert all(id_ == row.id for id_, row in providers().items())


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_a_row_is_whole(row: Provider) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", row.id)
    assert row.title
    assert row.docs.startswith("https://")
    assert row.dialects
    assert "chat" in row.modalities
    assert row.quirks <= QUIRKS
    assert len(row.quirks & THINKING_STYLES) <= 1
    assert row.local or row.key_env, "how does one get in?"
    assert (row.auth == "none") == (not row.key_env)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_urls_are_https_unless_local_and_end_without_a_slash(row: Provider) -> None:
    for url in [row.base_url, *row.regions.values()]:
        parts = urlsplit(url)
        assert not url.endswith("/")
        assert not parts.query
        assert parts.hostname
        if row.local:
            assert parts.scheme == "http"
            assert parts.hostname in LOOPBACK
        else:
            assert parts.scheme == "https"
            assert "." in parts.hostname
    for path in row.dialects.values():
        assert path == "" or re.fullmatch(r"(/[a-z0-9._-]+)+", path)
        assert not path.endswith(("/messages", "/completions"))
    assert set(re.findall(r"{(\w+)}", row.base_url)) == set(row.variables)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_environment_names_are_names(row: Provider) -> None:
    variables = [n for names in row.variables.values() for n in names]
    names = [*row.key_env, *variables, *filter(None, [row.base_url_env])]
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", n) for n in names)
    assert len(names) == len(set(names))
    assert not set(row.key_env) & set(variables)


def test_a_key_in_the_environment_belongs_to_one_provider() -> None:
    uses = Counter(name for row in ROWS for name in row.key_env)
    assert {name for name, n in uses.items() if n > 1} == SHARED_KEYS


def test_regions_with_a_surcharge_exist() -> None:
    for row in ROWS:
        assert set(row.region_percent) <= set(row.regions)
        assert all(50 <= p <= 200 for p in row.region_percent.values())


def test_local_servers_can_be_found_and_only_they() -> None:
    for row in ROWS:
        assert row.local == (row.detect is not None)
        if row.detect:
            assert urlsplit(row.base_url).port == row.detect.port
            assert row.detect.path.startswith("/")
    assert {r.id for r in ROWS if r.local} >= {"ollama", "lmstudio", "llamacpp", "vllm"}


def test_a_row_is_small() -> None:
    for path in FOLDER.glob("*.toml"):
        lines = [x for x in path.read_text().splitlines() if not x.startswith("#")]
        assert 6 <= len(lines) <= 12, path.name


@pytest.mark.parametrize(
    ("id_", "dialect", "operation", "url"),
    [
        (
            "openai",
            "openai-chat",
            "/chat/completions",
            "https://api.openai.com/v1/chat/completions",
        ),
        ("anthropic", "anthropic", "/messages", "https://api.anthropic.com/v1/messages"),
        ("deepseek", "anthropic", "/messages", "https://api.deepseek.com/anthropic/v1/messages"),
        ("openrouter", "anthropic", "/messages", "https://openrouter.ai/api/v1/messages"),
        ("zai", "anthropic", "/messages", "https://api.z.ai/api/anthropic/v1/messages"),
        ("fireworks", "anthropic", "/messages", "https://api.fireworks.ai/inference/v1/messages"),
        (
            "ollama",
            "openai-chat",
            "/chat/completions",
            "http://127.0.0.1:11434/v1/chat/completions",
        ),
    ],
)
def test_urls_are_those_of_the_vendors_pages(
    id_: str, dialect: str, operation: str, url: str
) -> None:
    assert providers()[id_].url(dialect, operation) == url  # type: ignore[arg-type]


def test_another_base_url_takes_the_place_of_the_rows() -> None:
    row = providers()["ollama"]
    assert row.url("anthropic", "/messages", "http://box:1") == "http://box:1/v1/messages"


GOOD = """
title = "X"
docs = "https://x.test"
base_url = "https://x.test/v1"
dialects = { openai-chat = "" }
modalities = ["chat"]
"""


def test_an_own_row_needs_five_lines(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(GOOD)
    assert read(tmp_path / "x.toml").id == "x"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('base_ulr = "https://y.test"', "base_ulr"),
        ('quirks = ["max_tokens_of_9"]', "quirks"),
        ('auth = "basic"', "auth"),
        ("title =", "x.toml"),
        ('title = "again"', "x.toml"),
    ],
)
def test_a_wrong_row_names_file_and_key(tmp_path: Path, line: str, named: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(GOOD + line + "\n")
    with pytest.raises(BadConfig) as caught:
        read(path)
    assert "providers/x.toml" in str(caught.value)
    assert named in str(caught.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('title = "X"\n')
    with pytest.raises(BadConfig, match=r"x\.toml.*`docs`"):
        read(tmp_path / "x.toml")


def test_rows_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        providers()["x"] = ROWS[0]  # type: ignore[index]
    with pytest.raises(AttributeError):
        ROWS[0].title = "x"  # type: ignore[misc]
    assert msgspec.json.decode(msgspec.json.encode(ROWS[0]), type=Provider) == ROWS[0]
