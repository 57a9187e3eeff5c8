"""`octoplex backup` beside a server, what it restores, and `octoplex export`."""

import csv
import io
import json
import shutil
import signal
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from octoplex.server.mock import Script, Turn
from tests.cli.test_state import ask
from tests.shell import Home, Mocked, command, run, serving, until

TURN = Script((Turn(text="Hi.", input_tokens=100, output_tokens=50),))


def settled(home: Home) -> int:
    total: int = json.loads(run(home, "spend", "--json", status=0).out)["total_nano"]
    return total


def test_a_backup_beside_a_server_is_a_whole_data_folder(
    home: Home, mock: Mocked, tmp_path: Path
) -> None:
    mock.app.play(TURN)
    file = tmp_path / "copy.tar"
    with serving(home) as (_, url):
        secret = run(home, "keys", "new", "app", status=0).out.strip()
        assert ask(url, secret) == 200
        until(lambda: settled(home) == 200_000, "the settlement")
        done = run(home, "backup", str(file), status=0)
        assert "opens every key" in done.out
        assert ask(url, secret) == 200
        assert "there already" in run(home, "backup", str(file)).failed_with_a_sentence()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other = Home(tmp_path / "other")
    other.data.mkdir(parents=True)
    subprocess.run(["tar", "-xf", file, "-C", other.data], check=True)
    assert not (other.data / "control.sock").exists()
    assert not list(other.data.glob("*-wal"))
    for path in other.data.glob("*.db"):
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    other.config((home.path / "octoplex.toml").read_text())
    assert settled(other) == 200_000
    with serving(other) as (_, url):
        assert (ask(url, secret), ask(url, "oct-of-nobody")) == (200, 401)
        until(lambda: settled(other) == 400_000, "the settlement")


def test_a_backup_is_not_mixed_with_what_was_there(
    home: Home, mock: Mocked, tmp_path: Path
) -> None:
    mock.app.play(TURN)
    file = tmp_path / "copy.tar"
    with serving(home) as (server, url):
        secret = run(home, "keys", "new", "app", status=0).out.strip()
        assert ask(url, secret) == 200
        until(lambda: settled(home) == 200_000, "the settlement")
        run(home, "backup", str(file), status=0)
        assert ask(url, secret) == 200
        until(lambda: settled(home) == 400_000, "the settlement")
        server.process.kill()
        server.process.wait()
    assert (home.data / "ledger.db-wal").exists()
    subprocess.run(["tar", "-xf", file, "-C", home.data], check=True)
    for words in (["serve", "--port", "0"], ["serve", "--port", "0", "--workers", "2"],
                  ["keys", "new", "two"]):  # fmt: skip
        said = run(home, *words).failed_with_a_sentence()
        assert "over what was there before (" in said
        assert "ledger.db-wal" in said
        assert "unpack it into an empty folder" in said
    shutil.rmtree(home.data)
    home.data.mkdir()
    subprocess.run(["tar", "-xf", file, "-C", home.data], check=True)
    (home.data / "pepper").rename(tmp_path / "pepper")
    assert "pepper is not there" in run(home, "serve").failed_with_a_sentence()
    (tmp_path / "pepper").rename(home.data / "pepper")
    for _ in range(2):
        with serving(home) as (_, url):
            assert ask(url, secret) == 200


@pytest.mark.parametrize("name", ["control.db", "ledger.db"])
def test_an_empty_file_is_no_new_one(home: Home, mock: Mocked, name: str) -> None:
    run(home, "keys", "new", "app", status=0)
    (home.data / name).write_bytes(b"")
    said = run(home, "serve", "--port", "0").failed_with_a_sentence()
    assert f"{name} is empty, so what it held is lost: restore the folder from a backup" in said
    assert not (home.data / name).read_bytes()


def test_s58_a_backup_goes_encrypted_to_the_disk(home: Home, mock: Mocked, tmp_path: Path) -> None:
    """Through a program of the system that encrypts, and back; nothing of it lies open."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    mock.app.play(TURN)
    with serving(home) as (_, url):
        secret = run(home, "keys", "new", "canary-name", status=0).out.strip()
        assert ask(url, secret) == 200
        until(lambda: settled(home) == 200_000, "the settlement")
    cipher = ["openssl", "enc", "-aes-256-ctr", "-pbkdf2", "-pass", "pass:canary-pass"]
    file = tmp_path / "copy.tar.enc"
    with file.open("wb") as out:
        closing_it = subprocess.Popen(cipher, stdin=subprocess.PIPE, stdout=out)
        done = subprocess.run(
            command("backup", "-"), env=home.env, cwd=home.path, stdout=closing_it.stdin,
            stderr=subprocess.PIPE, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert closing_it.stdin is not None
        closing_it.stdin.close()
        assert closing_it.wait(60) == 0
    assert "Restore it" in done.stderr
    sealed = file.read_bytes()
    for said in (b"SQLite format 3", b"canary-name", b"pepper", b"ledger.db"):
        assert said not in sealed
        assert said in _opened(cipher, sealed)
    other = Home(tmp_path / "other")
    other.data.mkdir(parents=True)
    subprocess.run(["tar", "-xf", "-", "-C", other.data], input=_opened(cipher, sealed), check=True)
    other.config((home.path / "octoplex.toml").read_text())
    assert settled(other) == 200_000


def _opened(cipher: list[str], sealed: bytes) -> bytes:
    done = subprocess.run([*cipher, "-d"], input=sealed, capture_output=True, check=True)
    return done.stdout


def test_nothing_to_back_up_leaves_no_file(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "copy.tar"
    assert "nothing to back up" in run(home, "backup", str(file)).failed_with_a_sentence()
    assert not file.exists()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_backup_has_its_name_once_it_is_whole(
    home: Home, mock: Mocked, tmp_path: Path, sent: signal.Signals
) -> None:
    with serving(home) as (_, url):
        assert ask(url, "") == 200
    (home.data / "files").mkdir(exist_ok=True)
    with (home.data / "files" / "large").open("wb") as large:
        large.truncate(1 << 29)
    copies = tmp_path / "copies"
    copies.mkdir()
    env = home.env | {"TMPDIR": str(copies)}
    making = subprocess.Popen(command("backup", str(tmp_path / "copy.tar")), env=env, cwd=home.path)
    until(lambda: list(tmp_path.glob("*.part")), "the copy begins")
    making.send_signal(sent)
    assert making.wait(30) != 0
    assert not (tmp_path / "copy.tar").exists()
    if sent != signal.SIGKILL:
        assert not [*tmp_path.glob("*.part"), *copies.iterdir()]


def test_a_backup_says_where_there_is_no_room(home: Home, mock: Mocked, tmp_path: Path) -> None:
    with serving(home) as (_, url):
        assert ask(url, "") == 200
    inside = run(home, "backup", str(home.data / "copy.tar")).failed_with_a_sentence()
    assert "would be in the next copy" in inside
    small = ["bash", "-c", 'ulimit -f 8; exec "$@"', "-"]
    made = [*small, *command("backup", str(tmp_path / "copy.tar"))]
    done = subprocess.run(
        made, env=home.env, cwd=home.path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "TMPDIR names another place" in done.stderr
    assert not list(tmp_path.glob("copy*"))


def test_export_says_what_spend_and_logs_say(home: Home, mock: Mocked) -> None:
    mock.app.play(TURN)
    for what in ("spend", "attempts", "requests"):
        assert run(home, "export", what, status=0).out == ""
    with serving(home) as (_, url):
        assert (ask(url, ""), ask(url, "")) == (200, 200)
        until(lambda: settled(home) == 400_000, "the settlement")
    lines = run(home, "export", "spend", status=0).out.splitlines()
    assert [json.loads(line)["nano"] for line in lines] == [400_000]
    attempts = [json.loads(line) for line in run(home, "export", "attempts").out.splitlines()]
    assert [(row["state"], row["nano"]) for row in attempts] == [("settled", 200_000)] * 2
    text = run(home, "export", "requests", "--format", "csv", status=0).out
    rows = list(csv.DictReader(io.StringIO(text)))
    logs = json.loads(run(home, "logs", "--json", status=0).out)
    assert [row["id"] for row in rows] == [row["id"] for row in logs][::-1]
    assert json.loads(rows[0]["attempts"])[0]["target"] == "mock/m"
    assert run(home, "export", "nothing").status == 2


def test_a_sheet_runs_no_formula(home: Home) -> None:
    home.config('[providers.p]\ndialect = "openai-chat"\nbase_url = "http://127.0.0.1:9"\n')
    with serving(home) as (_, url):
        ask(url, "", "=cmd|'/c calc'!A0")
        until(lambda: "cmd" in run(home, "export", "requests").out, "the record")
    assert ",'=cmd" in run(home, "export", "requests", "--format", "csv", status=0).out
