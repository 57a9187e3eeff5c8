"""What the environment and the file must say for vendors whose keys are changed for tokens."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from octoplex.catalog.provider import catalogue
from octoplex.upstreams.config import Provider
from octoplex.upstreams.configured import from_file, from_row
from octoplex.upstreams.source import Source
from octoplex.wire.error import BadConfig

IBM = {"WATSONX_API_KEY": "k", "WATSONX_REGION": "eu-de"}


def row(name: str, **env: str) -> Source:
    return from_row(catalogue()[name], env)


def filed(name: str, table: Mapping[str, Any], secret: str = "k", **env: str) -> Source:
    """A table of the file; the reference of its key leads to `secret`."""
    made = msgspec.convert(table, Provider)
    return from_file(name, made, catalogue().get(name), env, lambda *_: secret)


@pytest.mark.parametrize(
    ("name", "env", "missing"),
    [
        ("watsonx", {"WATSONX_API_KEY": "k"}, "set WATSONX_REGION"),
        ("watsonx", IBM, "set WATSONX_PROJECT_ID or WATSONX_SPACE_ID"),
        ("watsonx", IBM | {"WATSONX_SPACE_ID": "s"}, ""),
        (
            "gigachat",
            {},
            "set GIGACHAT_CREDENTIALS or GIGACHAT_API_KEY or GIGACHAT_ACCESS_TOKEN",
        ),
        ("gigachat", {"GIGACHAT_CREDENTIALS": "a:b"}, ""),
        ("gigachat", {"GIGACHAT_CREDENTIALS": "YTpi"}, ""),
        ("chatlaw", {}, "set QIANFAN_AK and QIANFAN_SK"),
        ("chatlaw", {"QIANFAN_SK": "s"}, "set QIANFAN_AK and QIANFAN_SK"),
        ("chatlaw", {"QIANFAN_AK": "a"}, "set QIANFAN_SK"),
        ("chatlaw", {"QIANFAN_AK": "a:s"}, ""),
    ],
)
def test_what_the_environment_lacks(name: str, env: dict[str, str], missing: str) -> None:
    assert row(name, **env).missing == missing


def test_a_key_of_another_form_is_named_and_not_shown() -> None:
    said = row("gigachat", GIGACHAT_CREDENTIALS="canary").missing
    assert said.startswith("GIGACHAT_CREDENTIALS: ")
    assert "canary" not in said
    with pytest.raises(BadConfig, match="API_KEY:SECRET_KEY") as refused:
        filed("chatlaw", {"api_key": "env:K"}, secret="canary")
    assert "env:K" in str(refused.value)
    assert "canary" not in str(refused.value)


def test_the_two_halves_of_a_key_are_one_secret() -> None:
    (secret,) = row("chatlaw", QIANFAN_AK="a", QIANFAN_SK="s").keys
    assert (secret.label, secret.value) == ("QIANFAN_AK", "a:s")


@pytest.mark.parametrize("name", ["watsonx", "gigachat"])
def test_a_token_in_the_environment_needs_no_key_and_a_key_of_the_file_comes_before_it(
    name: str,
) -> None:
    env = {"WATSONX_TOKEN": "t", "GIGACHAT_ACCESS_TOKEN": "t"}
    env |= {"WATSONX_REGION": "eu-de", "WATSONX_PROJECT_ID": "p"}
    source = row(name, **env)
    assert (source.auth, source.keys[0].value, source.missing) == ("bearer", "t", "")
    told = filed(name, {"api_key": "env:K"}, secret="a:b", **env)
    assert (told.auth, told.keys[0].value) == (catalogue()[name].auth, "a:b")


def test_what_the_account_of_the_file_says_comes_before_the_environment() -> None:
    env = {**IBM, "WATSONX_PROJECT_ID": "p"}
    assert row("watsonx", **env).account == {"project_id": "p"}
    told = filed("watsonx", {"account": {"project_id": "q", "token_url": "https://t.test"}}, **env)
    assert told.account == {"project_id": "q", "token_url": "https://t.test"}
    assert told.missing == ""
    table = {"api_key": "env:K", "region": "eu-de"}
    assert filed("watsonx", table).missing == "set WATSONX_PROJECT_ID or WATSONX_SPACE_ID"
    assert filed("watsonx", table | {"account": {"space_id": "s"}}).missing == ""
    own = {"dialect": "watsonx", "base_url": "https://x.test", "api_key": "env:K"}
    assert filed("mine", own).missing == "set project_id or space_id in account"
