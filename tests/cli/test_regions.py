"""`octoplex explain` and `check` where a region is demanded."""

import json
from typing import Any

import pytest

from tests.shell import Home, run

TEXT = """
[providers.mistral]
region = "eu"
[models.main]
try = ["openai/gpt-5-mini", "mistral/m", "maritaca/m"]
region = "eu"
[models.none]
try = ["maritaca/m"]
region = "eu"
[keys.br]
secret = "env:APP_KEY"
region = "br"
"""


@pytest.fixture
def home(bare: Home) -> Home:
    bare.config(TEXT)
    bare.more |= {"APP_KEY": "a-long-enough-secret-1", "MISTRAL_API_KEY": "k"}
    bare.more |= {"MARITACA_API_KEY": "k", "OPENAI_API_KEY": "k"}
    return bare


def shown(home: Home, *words: str) -> Any:
    return json.loads(run(home, *words, status=0).out)


def test_explain_shows_of_each_target_whether_and_why(home: Home) -> None:
    said = run(home, "explain", "main").out
    assert "Its targets must answer in eu." in said
    assert "1. mistral/m@eu\nadmitted: it is asked in eu\n" in said
    assert "openai/gpt-5-mini: cannot be asked: it must answer in eu, and nobody says" in said
    assert "maritaca/m: cannot be asked: it must answer in eu, and it answers in br" in said


def test_explain_as_json(home: Home) -> None:
    way = shown(home, "explain", "main", "--json")
    assert way["region"] == "eu"
    legs = {leg["name"]: (leg["admitted"], leg["usable"], leg["where"]) for leg in way["targets"]}
    advice = "nobody says where it answers; set [providers.openai] region to one of: eu"
    assert legs == {
        "mistral/m@eu": (True, True, "it is asked in eu"),
        "openai/gpt-5-mini": (False, False, advice),
        "maritaca/m": (False, False, "it answers in br"),
    }


def test_explain_for_a_key(home: Home) -> None:
    assert shown(home, "explain", "maritaca/m", "--json")["targets"][0]["admitted"] is None
    way = shown(home, "explain", "maritaca/m", "--key", "br", "--json")
    assert way["region"] == "br"
    assert way["targets"][0]["admitted"] is True
    way = shown(home, "explain", "main", "--key", "br", "--json")
    assert way["region"] == "eu and br"
    assert not any(leg["admitted"] for leg in way["targets"])
    said = run(home, "explain", "main", "--key", "nobody").failed_with_a_sentence()
    assert 'no key "nobody"; there are: br' in said


def test_a_key_made_at_run_time_has_a_region(home: Home) -> None:
    said = run(home, "keys", "new", "x", "--region", "eu-centrl-1").failed_with_a_sentence()
    assert '"eu-centrl-1" is no area that is known; did you mean "eu-central-1"?' in said
    assert [row["region"] for row in shown(home, "keys", "list", "--json")] == ["br"]
    run(home, "keys", "new", "paris", "--region", "eu", status=0)
    run(home, "keys", "new", "any", status=0)
    rows = shown(home, "keys", "list", "--json")
    assert {row["name"]: row["region"] for row in rows} == {"br": "br", "paris": "eu", "any": ""}
    listed = run(home, "keys", "list", status=0).out.splitlines()
    assert listed[0].split()[:4] == ["name", "key", "models", "region"]
    assert any(" eu " in line for line in listed if line.startswith("paris"))
    way = shown(home, "explain", "maritaca/m", "--key", "paris", "--json")
    assert way["targets"][0]["admitted"] is False
    assert shown(home, "explain", "maritaca/m", "--key", "any", "--json")["region"] == ""
    run(home, "keys", "revoke", "paris", status=0)
    said = run(home, "explain", "main", "--key", "paris").failed_with_a_sentence()
    assert 'no key "paris"; there are: br, any' in said


def test_check_refuses_a_route_that_nobody_can_answer(home: Home) -> None:
    said = run(home, "check").failed_with_a_sentence()
    assert "[models.none] try: none can be asked: maritaca/m (it answers in br)" in said
