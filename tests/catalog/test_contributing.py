"""The provider that CONTRIBUTING adds can be added: its file alone makes a row that asks."""

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from octoplex.assembly.dialects import dialects
from octoplex.catalog import provider
from octoplex.catalog.regions import answers_in
from octoplex.transport.origin import NO_PROXIES
from octoplex.upstreams.configured import from_row
from octoplex.upstreams.source import Making
from tests.catalog.test_goldens import commented

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
MAKING = Making(dialects=dialects(), proxies=NO_PROXIES)


def example() -> tuple[str, str]:
    """The name of the file that the page shows, and what is in it."""
    (block,) = re.findall(
        r"(?m)^    # src/octoplex/catalog/providers/.*\n(?:    .+\n)+", PAGE.read_text()
    )
    name = re.match(r"# .*/(.+\.toml)\n", textwrap.dedent(block))
    assert name
    return name[1], textwrap.dedent(block)


@pytest.fixture
def rows(tmp_path: Path) -> Mapping[str, provider.Provider]:
    """A catalogue with the shipped rows and the page's, which may be shipped one day."""
    return added(provider.FOLDER, tmp_path)


def added(shipped: Path, folder: Path) -> Mapping[str, provider.Provider]:
    name, text = example()
    for path in shipped.glob("*.toml"):
        (folder / path.name).write_text(path.read_text())
    (folder / name).write_text(text)
    return provider.rows_in(folder)


def test_the_page_may_be_followed_to_the_letter(tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    once.mkdir()
    twice.mkdir()
    assert added(provider.FOLDER, once) == added(once, twice)


def test_it_is_one_file_of_six_to_ten_lines() -> None:
    lines = [x for x in example()[1].splitlines() if not x.startswith("#")]
    assert 6 <= len(lines) <= 10


def test_its_golden_is_in_the_same_file(rows: Mapping[str, provider.Provider]) -> None:
    row, said = rows["acme"], commented(example()[1])
    assert {n: row.url(n) for n in row.dialects} == {
        n: request["url"] for n, request in said["requests"].items()
    }
    assert said["others"] == {"embed": row.base_url + str(row.path_of("embed"))}
    assert said["key"] == row.key_env[0]
    assert said["header"] == ["authorization", "Bearer KEY"]


def test_the_row_asks(rows: Mapping[str, provider.Provider]) -> None:
    row = rows["acme"]
    assert set(rows) == {*provider.catalogue(), "acme"}
    assert row.obstacle == ""
    assert from_row(row, {}).missing == "set ACME_API_KEY"
    source = from_row(row, {"ACME_API_KEY": "KEY"})
    spec = source.spec("m", source.keys[0], MAKING)
    chat, messages = (spec.wires[n].head.decode() for n in ("openai-chat", "anthropic"))
    assert chat.startswith("POST /inference/v1/chat/completions HTTP/1.1\r\n")
    assert messages.startswith("POST /anthropic/v1/messages HTTP/1.1\r\n")
    assert "host: api.acme.example\r\n" in chat.lower()
    assert "authorization: bearer key\r\n" in chat.lower()
    assert row.path_of("embed") == "/inference/v1/embeddings"


def test_it_answers_where_it_says(rows: Mapping[str, provider.Provider]) -> None:
    row = rows["acme"]
    assert answers_in(row, None, "eu")
    assert not answers_in(row, None, "us")
    assert msgspec.json.decode(msgspec.json.encode(row), type=provider.Provider) == row
