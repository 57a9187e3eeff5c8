"""What the file may say of words that are checked, keys that do nothing yet, the listener."""

import socket
from pathlib import Path

import pytest

from octoplex.server.serve import Options, bind
from octoplex.settings import DEFAULT_LISTEN, parse, schema
from octoplex.wire.error import BadConfig


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('dialect = "openai-chatt"', ["dialect", '"openai-chatt"', 'did you mean "openai-chat"?']),
        ('dialects = { anthropc = "/" }', ["dialects", 'did you mean "anthropic"?']),
        ('quirks = ["top_k", "devloper_role"]', ["quirks[1]", 'did you mean "developer_role"?']),
        ('quirks = ["zzz"]', ['"zzz"', "valid: ", "no_json_schema"]),
    ],
)
def test_words_of_a_provider_are_known(text: str, words: list[str]) -> None:
    with pytest.raises(BadConfig) as caught:
        parse(f"[providers.x]\n{text}\n", "own.toml")
    for word in ["own.toml: [providers.x] ", *words]:
        assert word in str(caught.value)


def test_the_schema_knows_them_too() -> None:
    table = schema()["$defs"]["Provider"]["properties"]
    assert {"anthropic", "gemini", "openai-chat"} <= set(table["dialect"]["enum"])
    assert table["dialects"]["propertyNames"]["enum"] == table["dialect"]["enum"]
    assert "developer_role" in table["quirks"]["items"]["enum"]


def test_workers_are_a_number_or_as_many_as_there_are_cores() -> None:
    assert parse("[server]\n").server.workers == 1
    assert parse("[server]\nworkers = 3\n").server.workers == 3
    assert parse("[server]\nworkers = 'auto'\n").server.workers == "auto"
    for text in ("0", "-1", "65", "'many'", "1.5"):
        with pytest.raises(BadConfig, match=r"\[server\] workers"):
            parse(f"[server]\nworkers = {text}\n")


def test_trusted_proxies_are_addresses() -> None:
    assert parse('[server]\ntrusted_proxies = ["10.0.0.0/8", "::1"]\n')
    with pytest.raises(BadConfig, match=r"trusted_proxies: 'proxy' .*10\.0\.0\.0/8"):
        parse('[server]\ntrusted_proxies = ["proxy"]\n')


def test_only_a_default_that_nobody_wrote_moves_on(tmp_path: Path) -> None:
    options = Options(config=None, env={})
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8080))
        except OSError:
            pass  # somebody has it already, which is as good
        else:
            taken.listen()
        with pytest.raises(BadConfig, match=r"127\.0\.0\.1:8080"):
            bind(parse(f'[server]\nlisten = "{DEFAULT_LISTEN}"\n'), options)
        place = bind(parse(""), options)
        place.socket.close()
        assert place.port != 8080
        assert place.asked == DEFAULT_LISTEN


@pytest.mark.parametrize(
    ("host", "exposed"),
    [("127.0.0.1", ""), ("localhost", ""), ("[::1]", ""), ("0.0.0.0", "0.0.0.0")],
)
def test_a_listener_knows_whether_others_can_reach_it(host: str, exposed: str) -> None:
    place = bind(parse(f'[server]\nlisten = "{host}:0"\n'), Options(config=None, env={}))
    place.socket.close()
    assert place.exposed == exposed
