"""`octoplex prices update`: a list from a file, with its checksum, without a restart."""

import hashlib
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from octoplex.catalog.prices import FILE
from octoplex.server.mock import Script, Turn
from tests.shell import Home, Mocked, run, serving

SHIPPED: Any = json.loads(FILE.read_bytes())
ASKED = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "x"}]}


def written(home: Home, date: str = "2999-01-01", pico: int = 7_000_000, **more: Any) -> str:
    """A list in which gpt-5-mini costs seven dollars per million tokens in, and out."""
    table = SHIPPED["providers"]["openai"]
    models = list(table["models"])
    models[table["names"]["gpt-5-mini"]] = [[[0, [[0, [pico, pico]]]]]]
    fresh = {**SHIPPED, "date": date, "digest": "fresh", "source": "a test"}
    fresh["providers"] = {**SHIPPED["providers"], "openai": {**table, "models": models}}
    path = home.path / "fresh.json"
    path.write_text(json.dumps(fresh | more))
    return str(path)


@pytest.fixture
def home(home: Home, mock: Mocked) -> Home:
    mock.app.play(Script((Turn(text="Hi.", input_tokens=100, output_tokens=50),)))
    home.more["K"] = "sk-x"
    home.config(f'[providers.openai]\nbase_url = "{mock.url}/v1"\napi_key = "env:K"\n')
    return home


def price(home: Home) -> tuple[str, str]:
    """What a model costs, and where that is from."""
    way = json.loads(run(home, "explain", "openai/gpt-5-mini", "--json", status=0).out)
    (row,) = [v for v in way["targets"][0]["values"] if v["what"] == "input $/M"]
    return row["value"], row["origin"]


def test_a_list_is_taken_over_at_once(home: Home) -> None:
    file = written(home)
    sum_ = hashlib.sha256((home.path / "fresh.json").read_bytes()).hexdigest()
    with serving(home) as (_, url):
        before = cost(url)
        said = run(home, "prices", "update", file, "--sha256", sum_.upper(), status=0).out
        assert said.splitlines()[0].endswith(" models, a test, 2999-01-01")
        assert said.splitlines()[1:] == [f"sha256 {sum_}", "in force now"]
        assert before != cost(url) == 150 * 7_000
    assert price(home) == ("7", "a test, 2999-01-01")
    with serving(home) as (_, url):
        assert cost(url) == 150 * 7_000


def cost(url: str) -> int:
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(ASKED).encode())
    with urllib.request.urlopen(request, timeout=10) as reply:
        return int(reply.headers["x-octoplex-cost-nano"])


def test_without_a_server_it_counts_from_the_next_start(home: Home) -> None:
    text = Path(written(home)).read_text()
    said = run(home, "prices", "update", "-", stdin=text, status=0).out
    assert "in force from the next start" in said
    assert price(home)[0] == "7"
    (home.data / "prices.json").unlink()
    assert price(home)[0] != "7"


def test_an_older_one_in_the_folder_gives_way_to_the_one_shipped(home: Home) -> None:
    home.data.mkdir(parents=True)
    Path(written(home, "2020-01-01")).rename(home.data / "prices.json")
    assert price(home)[0] != "7"


@pytest.mark.parametrize(
    ("more", "words", "says"),
    [
        ({}, ["--sha256", "00ff"], "not 00ff; nothing changed"),
        ({"date": "2020-01-01"}, [], "is of 2020-01-01; the one in force is of "),
        ({"pico": -1}, [], "openai: a price is below zero"),
        ({"providers": []}, [], "is not a price list"),
        ({"providers": {"openai": {"names": {}}}}, [], "openai: is not a table of prices"),
    ],
)
def test_what_is_no_better_list_changes_nothing(
    home: Home, more: dict[str, Any], words: list[str], says: str
) -> None:
    file = written(home, **more)
    assert says in run(home, "prices", "update", file, *words).failed_with_a_sentence()
    assert not (home.data / "prices.json").exists()


def test_no_list_at_all(home: Home) -> None:
    assert "nowhere" in run(home, "prices", "update", "nowhere", status=2).err
