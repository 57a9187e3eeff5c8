"""A gateway on a PostgreSQL, as its users start it."""

import json
import urllib.request
from collections.abc import Iterator

import pytest

from octoplex.server.mock import Script, Turn
from tests.cli.test_backup import settled
from tests.cli.test_state import ask
from tests.ledger.postgres import PASSWORD, Server
from tests.shell import Home, Mocked, run, serving, until


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def stored(home: Home, server: Server, mock: Mocked) -> Home:
    """A home whose ledger is in a database."""
    mock.app.play(Script((Turn(text="Hi.", input_tokens=100, output_tokens=50),)))
    home.more["DATABASE_PASSWORD"] = PASSWORD
    text = (home.path / "octoplex.toml").read_text()
    home.config(
        f'[server]\ndatabase = "{server.database()}"\n'
        f'database_password = "env:DATABASE_PASSWORD"\n{text}'
    )
    return home


def ready(url: str) -> dict[str, str]:
    with urllib.request.urlopen(f"{url}/health/ready", timeout=10) as reply:
        said: dict[str, str] = json.loads(reply.read())
    return said


def test_the_shell_reads_and_writes_the_database(stored: Home) -> None:
    secret = run(stored, "keys", "new", "app", status=0).out.strip()
    with serving(stored) as (_, url):
        assert (ask(url, secret), ask(url, "")) == (200, 401)
        until(lambda: settled(stored) == 200_000, "the settlement")
        assert run(stored, "keys", "new", "web", status=0).out
        assert "web" in run(stored, "keys", "new", "web").failed_with_a_sentence()
        listed = json.loads(run(stored, "keys", "list", "--json", status=0).out)
        assert [row["name"] for row in listed] == ["app", "web"]
        assert len(run(stored, "export", "requests", status=0).out.splitlines()) == 1
        assert "ok      ledger" in run(stored, "doctor", status=0).out
    assert not (stored.data / "ledger.db").exists()
    done = run(stored, "backup", str(stored.path / "copy.tar"), status=0)
    assert "pg_dump" in done.out
    assert PASSWORD not in done.out


def test_an_outage_is_said_and_paid_for_once(stored: Home, server: Server) -> None:
    secret = run(stored, "keys", "new", "app", status=0).out.strip()
    with serving(stored) as (process, url):
        assert ask(url, secret) == 200
        server.kill()
        until(lambda: "cannot be reached" in ready(url)["ledger"], "the outage")
        assert ready(url)["status"] == "ready"
        assert (ask(url, secret), ask(url, "oct-of-nobody")) == (200, 503)
        until(lambda: "0 entries" not in ready(url)["ledger"], "the spool")
        assert "cannot be read" in run(stored, "spend").failed_with_a_sentence()
        assert "broken  ledger" in run(stored, "doctor", status=1).out
        server.start()
        until(lambda: ready(url)["ledger"] == "ok", "the database")
        assert (ask(url, secret), ask(url, "oct-of-nobody")) == (200, 401)
        until(lambda: settled(stored) == 600_000, "the settlements")
        assert PASSWORD not in process.out


def test_two_workers_share_a_database(stored: Home) -> None:
    with serving(stored, "--workers", "2") as (_, url):
        for _ in range(8):
            assert ask(url, "") == 200
        until(lambda: settled(stored) == 1_600_000, "the settlements")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('database = "postgresql://u:canary-literal@h/x"', "a password does not belong"),
        ('database = "postgresql://u@h/x?password=canary-literal"', "a password does not belong"),
        ('database = "mysql://u@h/x"', "not the URL of a PostgreSQL"),
        ('database = "postgresql://u@h:99999/x"', "it is no URL"),
        ('database = "postgresql://[h/x"', "it is no URL"),
        ('database = "env:NOT_THERE"', "NOT_THERE is not set"),
        ('database = "postgresql://h/x"\ndatabase_password = "canary-literal"', "does not belong"),
        ('database_password = "env:HOME"', "there is no database"),
    ],
)
def test_a_database_that_cannot_be_meant(bare: Home, lines: str, says: str) -> None:
    bare.config(f"[server]\n{lines}\n")
    for command in ("check", "spend", "serve"):
        sentence = run(bare, command).failed_with_a_sentence()
        assert says in sentence
        assert "canary" not in sentence
