"""Every shipped row is whole, and a wrong one says where it is wrong."""

import re
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from octoplex.catalog.provider import (
    FOLDER,
    IMPLEMENTED,
    SENT,
    SERVED,
    Provider,
    catalogue,
    providers,
    read,
)
from octoplex.catalog.quirk import QUIRKS
from octoplex.dialects.single import shape_of
from octoplex.wire.error import BadConfig

ROWS = list(catalogue().values())
LOOPBACK = {"127.0.0.1", "localhost"}
THINKING_STYLES = {
    "thinking_object",
    "thinking_adaptive",
    "reasoning_object",
    "reasoning_switch",
    "enable_thinking",
    "thinking_template",
    "no_thinking_field",
}
SHARED_KEYS = {
    "AWS_ACCESS_KEY_ID": "one AWS account",
    "AZURE_API_KEY": "one Azure resource, asked by both of its APIs",
    "AZURE_OPENAI_API_KEY": "one Azure resource, asked by both of its APIs",
    "CLOUDFLARE_API_TOKEN": "one Cloudflare account",
    "FRIENDLI_TOKEN": "EXAONE is served by FriendliAI",
    "GOOGLE_APPLICATION_CREDENTIALS": "one Google service account",
    "OLLAMA_API_KEY": "Ollama sends it to its own cloud",
    "PUBLICAI_API_KEY": "Apertus is served by Public AI",
}
"""Keys that two rows may share, and why."""
PLACEHOLDER = "{server}"
"""The base URL of a row whose whole server is named by a variable."""


def test_at_least_153_rows_and_one_per_file() -> None:
    assert len(ROWS) >= 153
    assert list(catalogue()) == sorted(p.stem for p in FOLDER.glob("*.toml"))
    assert all(id_ == row.id for id_, row in catalogue().items())


def test_what_can_be_asked_is_the_catalogue_without_obstacles() -> None:
    assert [r for r in ROWS if not r.obstacle] == list(providers().values())
    for row in providers().values():
        assert IMPLEMENTED & set(row.dialects) or row.paths
        assert row.auth in SENT
        assert SERVED & set(row.modalities)


def test_an_obstacle_is_one_sentence() -> None:
    for row in ROWS:
        assert not row.obstacle or re.fullmatch(r"[A-Z][^\n]{20,118}\.", row.obstacle), row.id
    known = catalogue()
    assert known["jina"].obstacle == ""
    assert {known[name].obstacle for name in ("watsonx", "gigachat", "chatlaw")} == {""}
    assert known["vertex-maas"].obstacle == ""
    assert "6 July 2026" in known["llama-api"].obstacle


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_a_row_is_whole(row: Provider) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", row.id)
    assert row.title
    assert row.docs.startswith("https://")
    assert row.dialects or row.paths or row.unusable
    assert {"chat", "embed", "rerank", "moderation"} & set(row.modalities)
    assert ("chat" in row.modalities) or not row.dialects
    assert row.quirks <= QUIRKS
    assert len(row.quirks & THINKING_STYLES) <= 1
    assert row.local or row.key_env, "how does one get in?"
    assert (row.auth == "none") == (not row.key_env)
    assert (row.auth == "sigv4") == bool(row.service)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_urls_are_https_unless_local_and_end_without_a_slash(row: Provider) -> None:
    urls = [row.base_url, *row.regions.values()]
    for url in urls:
        if url == PLACEHOLDER:
            continue
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
        assert path == "" or re.fullmatch(r"(/([a-z0-9._-]+|{model}))+", path)
        assert not path.endswith(("/messages", "/completions"))
    for path in row.paths.values():
        assert re.fullmatch(r"(/[a-z0-9._-]+)+", path)
    assert set(re.findall(r"{(\w+)}", "".join(urls))) == set(row.variables)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_what_is_no_chat_has_a_path_or_a_custom(row: Provider) -> None:
    for operation in set(row.paths) | set(row.bodies):
        assert operation in row.modalities
    assert all(row.path_of(operation) for operation in row.bodies)
    for operation, path in row.paths.items():
        bare = msgspec.structs.replace(row, paths={})
        assert operation == "chat" or bare.path_of(operation) != path, "it is the custom"
    if "rerank" in row.modalities:
        assert row.path_of("rerank") or "watsonx" in row.dialects
        assert shape_of("rerank", row.body_of("rerank"))
    if not row.dialects and not row.unusable:
        assert set(row.modalities) == set(row.paths)


def test_paths_and_bodies_beside_chat() -> None:
    known = catalogue()
    assert known["openai"].path_of("embed") == "/embeddings"
    assert known["azure-openai"].path_of("embed") == "/openai/v1/embeddings"
    assert known["openai"].path_of("rerank") is None
    assert known["anthropic"].path_of("embed") is None
    assert known["cohere"].path_of("rerank") == "/v2/rerank"
    assert known["cohere"].body_of("rerank") == "cohere"
    assert known["openai"].body_of("embed") == "openai"
    assert known["jina"].body_of("rerank") == "jina"


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_environment_names_are_names(row: Provider) -> None:
    variables = [n for names in row.variables.values() for n in names]
    names = [*row.key_env, *row.bearer_env, *variables]
    if row.base_url_env and row.base_url != PLACEHOLDER:  # there it is the variable itself
        names.append(row.base_url_env)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", n) for n in names)
    assert len(names) == len(set(names))
    assert not set(row.key_env) & set(variables)


def test_a_key_in_the_environment_belongs_to_one_provider() -> None:
    uses = Counter(name for row in ROWS for name in row.key_env)
    assert {name for name, n in uses.items() if n > 1} == set(SHARED_KEYS)


def test_regions_with_a_surcharge_exist() -> None:
    for row in ROWS:
        assert set(row.region_percent) <= set(row.regions)
        assert all(50 <= p <= 200 for p in row.region_percent.values())


def test_local_servers_can_be_found_or_named_and_only_they() -> None:
    for row in ROWS:
        assert row.local or not row.detect
        assert not row.local or row.base_url_env
        if row.detect:
            assert urlsplit(row.base_url).port == row.detect.port
            assert row.detect.path.startswith("/")
    assert {r.id for r in ROWS if r.local} >= {"ollama", "lmstudio", "llamacpp", "vllm"}
    probes = [(r.detect.port, r.detect.path) for r in ROWS if r.detect]
    assert len(probes) == len(set(probes)), "one server would be taken for two"


def test_a_row_is_small() -> None:
    long = 0
    for path in FOLDER.glob("*.toml"):
        lines = [x for x in path.read_text().splitlines() if not x.startswith("#")]
        reasons = re.findall(r"(?m)^# Long, because .+\.$", path.read_text())
        assert 6 <= len(lines) <= (15 if reasons else 10), path.name
        assert bool(reasons) == (len(lines) > 10), path.name
        assert all(len(line) <= 160 for line in lines), path.name
        long += len(lines) > 10
    assert long <= 8


def test_what_follows_from_a_row_is_not_said(tmp_path: Path) -> None:
    head = (
        'title = "Acme"\ndocs = "https://a.example"\nevidence = "listed"\nmodalities = ["chat"]\n'
    )

    def row(text: str) -> Provider:
        path = tmp_path / "acme.toml"
        path.write_text(f"{head}dialects = {{ openai-chat = '' }}\n{text}")
        return read(path)

    found = row('base_url = "http://127.0.0.1:1/v1"\ndetect = { port = 1, path = "/" }')
    assert (found.local, found.auth) == (True, "none")
    keyed = row('base_url = "http://127.0.0.1:1"\nlocal = true\nkey_env = ["A_KEY"]')
    assert (keyed.local, keyed.auth) == (True, "bearer")
    far = row('base_url = "{server}"\nbase_url_env = "A_BASE"\nkey_env = ["A_KEY"]')
    assert (far.local, far.auth, far.variables) == (False, "bearer", {"server": ("A_BASE",)})
    aws = row('base_url = "https://{region}.a.example"\nauth = "sigv4"\ncloud = "aws"')
    assert aws.variables == {"region": ("AWS_REGION", "AWS_DEFAULT_REGION")}
    assert aws.service == "acme"
    said = row(
        'base_url = "https://{region}.a.example"\nauth = "sigv4"\nservice = "bedrock"\n'
        'cloud = "aws"\nvariables = { region = ["A_REGION"] }'
    )
    assert (said.variables, said.service) == ({"region": ("A_REGION",)}, "bedrock")


def test_no_line_of_a_row_is_idle(tmp_path: Path) -> None:
    for row in ROWS:
        lines = (FOLDER / f"{row.id}.toml").read_text().splitlines()
        for line in [x for x in lines if not x.startswith("#")]:
            path = tmp_path / f"{row.id}.toml"
            path.write_text("\n".join(x for x in lines if x != line))
            with suppress(BadConfig):
                assert read(path) != row, f"{row.id}: {line}"


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
evidence = "listed"
"""


def test_an_own_row_needs_six_lines(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(GOOD)
    assert read(tmp_path / "x.toml").id == "x"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('base_ulr = "https://y.test"', "base_ulr"),
        ('quirks = ["max_tokens_of_9"]', "quirks"),
        ('auth = "basic"', "auth"),
        ('cloud = "moon"', "cloud"),
        ('paths = { chatter = "/chat" }', "paths"),
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
        catalogue()["x"] = ROWS[0]  # type: ignore[index]
    with pytest.raises(AttributeError):
        ROWS[0].title = "x"  # type: ignore[misc]
    assert msgspec.json.decode(msgspec.json.encode(ROWS[0]), type=Provider) == ROWS[0]
