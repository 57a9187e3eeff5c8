"""What `octoplex check` refuses a start refuses as well, and a reload: with the same words."""

import json

import pytest

from tests.cli.test_state import ask
from tests.shell import Home, Mocked, run, serving

NOBODY = '[models.none]\ntry = ["openai/gpt-5-mini"]\n'
ABROAD = (
    '[providers.maritaca]\napi_key = "env:K"\n[models.none]\ntry = ["maritaca/m"]\nregion = "eu"\n'
)
TLS = "[server]\ntls = { cert = 'cert.pem', key = 'key.pem' }\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (NOBODY, "[models.none] try: none can be asked: openai/gpt-5-mini (set OPENAI_API_KEY)."),
        (ABROAD, "none can be asked: maritaca/m (it answers in br)."),
        (
            '[models.none]\ntry = ["octoplex/nowhere"]\n',
            "none can be asked: octoplex/nowhere (there is no such model on this machine).",
        ),
        (TLS, "tls: there is no file cert.pem."),
        (f"# bad\n{TLS}", "tls: cert.pem with key.pem cannot be used: "),
    ],
    ids=["no key", "region", "no model", "no certificate", "no certificate in it"],
)
def test_a_start_refuses_what_check_refuses(home: Home, text: str, says: str) -> None:
    home.more["K"] = "sk-of-maritaca"
    if text.startswith("# bad"):
        for name in ("cert.pem", "key.pem"):
            (home.path / name).write_text("no certificate\n")
    home.config(text + (home.path / "octoplex.toml").read_text())
    said = run(home, "check").failed_with_a_sentence()
    assert says in said
    workers = "2" if text == NOBODY else "1"
    started = run(home, "serve", "--port", "0", "--workers", workers).failed_with_a_sentence()
    assert started == said


def test_a_reload_refuses_it_too(home: Home) -> None:
    good = (home.path / "octoplex.toml").read_text()
    with serving(home, "--workers", "2") as (_, url):
        assert ask(url, "") == 200
        home.config(good + NOBODY)
        said = run(home, "check").failed_with_a_sentence()
        told = run(home, "reload").failed_with_a_sentence()
        assert told.partition("[models")[2] == said.partition("[models")[2] != ""
        assert ask(url, "") == 200
        home.config(good)
        assert run(home, "reload", status=0).out == "reloaded\n"


def test_what_may_come_by_itself_stops_nobody(home: Home, mock: Mocked) -> None:
    """A model server that does not run now; a provider that an operator put out of use."""
    home.config(
        (home.path / "octoplex.toml").read_text() + '[models.small]\ntry = ["vllm/qwen3"]\n'
    )
    for _ in range(2):
        warned = "\n".join(json.loads(run(home, "check", "--json", status=0).out)["warnings"])
        assert "cannot ask vllm/qwen3 (no server answers at" in warned
        with serving(home) as (_, url):
            run(home, "providers", "disable", "mock", status=0)
            assert run(home, "reload", status=0).out == "reloaded\n"
            assert ask(url, "") == 503
    assert "put it out of use" in warned
