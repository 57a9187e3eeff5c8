"""`octoplex sandbox`, as a user runs it."""

import os
import pty
import subprocess
from pathlib import Path

from tests.sandbox.host import needs_sandbox, running
from tests.shell import Home, command, run, until

pytestmark = needs_sandbox


def test_a_program_runs_in_the_folder_and_its_status_is_ours(tmp_path: Path) -> None:
    home = Home(tmp_path)
    script = "echo out; echo err >&2; echo $A > made; exit 7"
    words = ["--workspace", ".", "--env", "A=b c", "--", "sh", "-c", script]
    done = run(home, "sandbox", "run", *words, status=7)
    assert (done.out, done.err) == ("out\n", "err\n")
    assert (tmp_path / "made").read_text() == "b c\n"


def test_what_is_piped_in_is_read_and_need_not_be(tmp_path: Path) -> None:
    home = Home(tmp_path)
    done = run(home, "sandbox", "run", "wc", "-c", stdin="x" * 300_000, status=0)
    assert done.out == "300000\n"
    assert run(home, "sandbox", "run", "true", stdin="x" * 300_000, status=0).err == ""


def test_options_after_the_program_are_the_programs(tmp_path: Path) -> None:
    done = run(Home(tmp_path), "sandbox", "run", "echo", "--limits", "-n", "--help", status=0)
    assert done.out == "--limits -n --help\n"


def test_a_limit_is_named_and_has_a_status_of_its_own(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config('[sandbox]\nlimits = "5 kB output"')
    done = run(home, "sandbox", "run", "--limits", "300 ms", "--", "sleep", "60", status=124)
    assert "its time was over (0.3 s)" in done.err
    done = run(home, "sandbox", "run", "yes", status=137)
    assert len(done.out) == 5000
    assert "more than 5,000 bytes" in done.err


def test_what_was_refused_and_planted_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path)
    asking = "import socket; s = socket.create_connection(('127.0.0.1', 3128)); open('.envrc', 'w')"
    code = f"{asking}; s.send(b'GET http://other.example.com/ HTTP/1.1\\r\\n\\r\\n'); s.recv(9)"
    words = ["--workspace", ".", "--net", "good.example.com", "--", "/usr/bin/python3", "-c", code]
    done = run(home, "sandbox", "run", *words, status=0)
    assert "octoplex: refused: other.example.com:80 is not allowed" in done.err
    assert "obey: .envrc" in done.err


def test_what_cannot_be_run_is_a_sentence(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for words in (["no-such-program"], ["--limits", "x", "ls"], ["--net", "a b", "ls"]):
        run(home, "sandbox", "run", *words).failed_with_a_sentence()
    run(home, "sandbox", "run", "--env", "A", "ls").failed_with_a_sentence()
    assert run(home, "sandbox", "run").status == 2


def test_the_layers_are_shown(tmp_path: Path) -> None:
    done = run(Home(tmp_path), "sandbox", "layers", status=0)
    assert {"bubblewrap", "seccomp", "rlimits"} <= {
        line.split()[0] for line in done.out.splitlines()
    }
    assert '"bubblewrap"' in run(Home(tmp_path), "sandbox", "layers", "--json", status=0).out


def test_a_terminal_is_shown_text_only(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    words = command("sandbox", "run", "printf", r"a\033]0;title\007b\n")
    done = subprocess.run(words, stdout=theirs, env=Home(tmp_path).env, timeout=30, check=False)
    os.close(theirs)
    assert done.returncode == 0
    assert os.read(ours, 100) == b"a]0;titleb\r\n"
    os.close(ours)


def test_a_reader_who_waits_does_not_stop_the_clock(tmp_path: Path) -> None:
    """The program writes more than a pipe holds, and nobody reads until it must have ended."""
    script = "head -c 1000000 /dev/zero; exec sleep 4717.5"
    words = command("sandbox", "run", "--limits", "2 s", "--", "sh", "-c", script)
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=Home(tmp_path).env,
    )
    until(lambda: running("4717.5"))
    until(lambda: not running("4717.5"))
    out, err = process.communicate(timeout=30)
    assert (process.returncode, len(out)) == (124, 1_000_000)
    assert b"its time was over" in err
