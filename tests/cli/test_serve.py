"""`octoplex serve`: what it prints works as pasted, and what cannot start says why."""

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from octoplex.server.mock import Script, Turn
from tests.shell import Home, Mocked, run, serving, started


def pasted(line: str, home: Home) -> dict[str, object]:
    """Run a line in a shell, as somebody who pasted it."""
    done = subprocess.run(
        ["/bin/sh", "-c", line], env=home.env, capture_output=True, timeout=20, check=True
    )
    body: dict[str, object] = json.loads(done.stdout)
    return body


def said(body: dict[str, object]) -> str:
    text: str = body["choices"][0]["message"]["content"]  # type: ignore[index]
    return text


def test_the_printed_curl_works_as_pasted(home: Home) -> None:
    with serving(home) as (process, _):
        lines = process.out.splitlines()
        assert len(lines) <= 10
        assert str(home.data)[:60] in process.out  # a line is cut at the terminal's width
        assert said(pasted(lines[-1], home)) == "You said: Say hello."
        assert process.end() == 0
    assert process.out.count("Traceback") == 0


def test_the_printed_curl_carries_no_secret_and_works(home: Home) -> None:
    home.more |= {"APP_KEY": "a-long-enough-secret-1", "OPENAI_API_KEY": "sk-not-to-be-shown"}
    text = (home.path / "octoplex.toml").read_text()
    home.config(text + '[keys.app]\nsecret = "env:APP_KEY"\nmodels = ["mock/m"]\n')
    with serving(home) as (process, _):
        assert "secret" not in process.out.replace(str(home.path), "")
        assert "not-to-be-shown" not in process.out
        assert "openai (OPENAI_API_KEY)" in process.out
        curl = process.out.splitlines()[-1]
        assert "$APP_KEY" in curl
        assert '"model":"mock/m"' in curl
        assert said(pasted(curl, home)) == "You said: Say hello."


def test_a_second_server_on_the_folder_names_the_first(home: Home) -> None:
    with serving(home) as (process, url):
        said = run(home, "serve", "--port", "0").failed_with_a_sentence()
        assert f"process {process.process.pid} at {url}" in said


def test_a_taken_port_that_was_asked_for_is_an_error(bare: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = run(bare, "serve", "--port", str(port)).failed_with_a_sentence()
        assert f"127.0.0.1:{port}" in said
        assert "--port" in said
        config = bare.config(f'[server]\nlisten = "127.0.0.1:{port}"\n', "own.toml")
        assert str(port) in run(bare, "serve", "--config", str(config)).failed_with_a_sentence()


def test_the_default_port_moves_on_and_says_so(bare: Home) -> None:
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 8080))
        except OSError:
            pass  # somebody has it already, which is as good
        else:
            taken.listen()
        with started(bare, "serve") as process:
            match = process.wait_for(r"listening on http://127\.0\.0\.1:(\d+) \((.*) is taken\)")
            assert int(match[1]) > 8080
            assert match[2] == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server\n", ["not valid TOML"]),
        ("[serverr]\n", ["serverr", 'did you mean "server"?']),
        ("[server]\nlissen = 1\n", ["[server]", "lissen", 'did you mean "listen"?']),
        ('[server]\nlisten = "0.0.0.0:0"\n', ["0.0.0.0", "[keys.NAME]"]),
        ('[models.main]\ntry = ["opnai/x"]\n', ["[models.main]", "opnai", '"openai"?']),
        ('[keys.a]\nsecret = "env:NOT_SET"\n', ["[keys.a]", "NOT_SET"]),
        ('[keys.a]\nsecret = "sk-123"\n', ["[keys.a]", "env:NAME"]),
        ('[prices]\n"mock/m" = { input = 1 }\n', ["[prices]", "output"]),
    ],
)
def test_a_broken_file_is_one_sentence(bare: Home, text: str, words: list[str]) -> None:
    path = bare.config(text)
    for command in (["serve", "--port", "0"], ["check"]):
        said = run(bare, *command).failed_with_a_sentence()
        assert "octoplex.toml" in said
        for word in words:
            assert word in said
    assert path.name in run(bare, "check", "--config", str(path)).failed_with_a_sentence()


def test_a_folder_that_cannot_be_made_is_one_sentence(bare: Home) -> None:
    (bare.path / "file").write_text("")
    data = bare.path / "file" / "data"
    bare.config(f'[server]\ndata = "{data}"\n')
    assert str(data) in run(bare, "serve", "--port", "0").failed_with_a_sentence()


def test_ctrl_c_lets_a_stream_end(home: Home, mock: Mocked) -> None:
    mock.app.play(Script((Turn(text="one two three four five six", gap_s=0.1),)))
    with serving(home) as (process, url):
        line = ["curl", "-sN", f"{url}/v1/chat/completions", "-d"]
        body = '{"model":"main","stream":true,"messages":[{"role":"user","content":"x"}]}'
        with subprocess.Popen([*line, body], stdout=subprocess.PIPE) as curl:
            assert curl.stdout is not None
            first = curl.stdout.readline()
            assert first
            process.process.send_signal(signal.SIGINT)
            rest = curl.stdout.read()
        assert b"[DONE]" in rest
        assert process.process.wait(20) == 0


def test_nothing_of_the_users_own_is_touched(bare: Home) -> None:
    with serving(bare):
        pass
    assert {p.name for p in bare.path.iterdir()} == {"share"}
    assert Path(bare.data).stat().st_mode & 0o077 == 0
