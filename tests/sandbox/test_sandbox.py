"""What a run gives, what it leaves behind, and when there is none."""

import asyncio
import contextlib
import logging
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from octoplex.sandbox import bubblewrap, job, landlock, sandbox
from octoplex.sandbox.limits import Limits
from octoplex.sandbox.results import read_result
from octoplex.sandbox.sandbox import Sandbox
from octoplex.sandbox.syscalls import machine
from octoplex.wire.error import BadConfig, InvalidCall, NotFound, TooLarge
from tests.sandbox.host import (
    PYTHON,
    folder,
    give,
    needs_sandbox,
    ran,
    running,
    started,
    workspace,
)
from tests.shell import until

BOTH = pytest.mark.parametrize("by", ["root", "user"])
SHORT = Limits(seconds=0.5)
IGNORES_ALL = """
import os, signal, sys, time
for number in range(1, 32):
    try: signal.signal(number, signal.SIG_IGN)
    except OSError: pass
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/bin/sleep", ["sleep", sys.argv[1]])
    os._exit(0)
print("ready", flush=True)
time.sleep(float(sys.argv[2]))
"""


def run(argv: list[str], **wanted: Any) -> Any:
    return asyncio.run(Sandbox().run(argv, **wanted))


@needs_sandbox
@BOTH
def test_a_run_gives_output_and_status_and_says_what_stood_around_it(by: str) -> None:
    done = ran(by, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.outcome, done.status) == ("exited", 3)
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert {"bubblewrap", "seccomp", "rlimits"} <= set(done.layers)


@needs_sandbox
def test_words_are_words_and_variables_are_those_that_were_given() -> None:
    assert run(["echo", "$HOME; id", "*"]).stdout == b"$HOME; id *\n"
    shown = run(["env"], env={"GIVEN": "a b"}).stdout.decode().splitlines()
    names = {line.partition("=")[0] for line in shown}
    assert names == {"GIVEN", "PATH", "HOME", "TMPDIR", "LANG", "USER", "PWD"}
    assert "GIVEN=a b" in shown


@needs_sandbox
def test_as_many_words_as_are_allowed_arrive() -> None:
    words = ["x" * 99] * 8000
    assert (
        run(["sh", "-c", "echo $#", "sh", *words], limits=Limits(seconds=1e6)).stdout == b"8000\n"
    )


@needs_sandbox
def test_a_signal_is_told_as_the_shell_does() -> None:
    assert run(["sh", "-c", "kill -9 $$"]).status == 128 + signal.SIGKILL


@needs_sandbox
@BOTH
def test_what_is_written_stays_and_is_the_owners(by: str) -> None:
    with folder(by) as path:
        (path / "given").write_text("in")
        give(path / "given", by)
        owner = path.stat().st_uid
        path.chmod(0o700)
        done = ran(
            by, ["sh", "-c", "cat given; pwd; echo more >> given; mkdir new"], workspace=path
        )
        assert done.stdout == b"in/workspace\n", done.stderr
        assert (path / "given").read_text() == "inmore\n"
        assert {(path / n).stat().st_uid for n in ("given", "new")} == {owner}


@needs_sandbox
def test_files_are_handed_in_read_only() -> None:
    code = b"open('/tmp/x', 'w').write('made'); print(open('/tmp/x').read())\nopen(__file__, 'a')"
    done = run([PYTHON, "/files/main.py"], files={"main.py": code})
    assert done.stdout == b"made\n"
    assert b"PermissionError" in done.stderr


@needs_sandbox
@BOTH
def test_a_build_of_fifty_processes_runs(by: str) -> None:
    rule = "%.o:\n\techo 'int f$*;' | cc -xc -c - -o $@\n"
    with folder(by) as path:
        (path / "Makefile").write_text(rule)
        done = ran(by, ["make", "-j50", *(f"{n}.o" for n in range(50))], workspace=path)
        assert done.status == 0, done.stderr
        assert len(list(path.glob("*.o"))) == 50


@needs_sandbox
@BOTH
def test_time_ends_even_those_that_hear_no_signal(by: str) -> None:
    mark = {"root": "4711.5", "user": "4710.5"}[by]
    argv = [PYTHON, "-c", IGNORES_ALL, mark, "60"]
    done = ran(by, argv, limits=Limits(seconds=1.5))
    assert (done.outcome, done.stdout) == ("time", b"ready\n")
    assert not running(mark)


@needs_sandbox
def test_who_stays_behind_ends_with_the_program() -> None:
    done = run([PYTHON, "-c", IGNORES_ALL, "4712.5", "0"])
    assert (done.outcome, done.status) == ("exited", 0)
    assert not running("4712.5")


@needs_sandbox
def test_whoever_is_cancelled_leaves_nothing() -> None:
    async def whole() -> None:
        heard = asyncio.Event()
        loop = asyncio.get_running_loop()
        box = Sandbox(tell=lambda *_: loop.call_soon_threadsafe(heard.set))
        task = asyncio.create_task(box.run([PYTHON, "-c", IGNORES_ALL, "4713.5", "60"]))
        await asyncio.wait_for(heard.wait(), 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not running("4713.5")

    asyncio.run(whole())


@needs_sandbox
def test_whoever_is_killed_leaves_nothing() -> None:
    code = "import asyncio; from octoplex import Sandbox\n"
    code += f"asyncio.run(Sandbox().run([{PYTHON!r}, '-c', {IGNORES_ALL!r}, '4716.5', '60']))"
    process = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: running("4716.5"))
    process.kill()
    process.wait()

    def is_gone() -> bool:
        run(["true"])  # where groups count, who comes next ends what was left
        left = list(Path("/sys/fs/cgroup").glob(f"**/octoplex-{process.pid}-*"))
        return not left and not running("4716.5")

    until(is_gone)


@needs_sandbox
@BOTH
def test_memory_of_all_processes_together_is_limited(by: str) -> None:
    code = "import os, time\nfirst = os.getpid()\nfor _ in range(4): os.fork()\n"
    code += "x = bytearray(b'x') * (os.getpid() != first) * (24 << 20)\n"  # the first is spared
    done = ran(
        by, [PYTHON, "-c", code + "time.sleep(20)"], limits=Limits(memory=128 << 20, seconds=19)
    )
    assert done.outcome == "memory"


@needs_sandbox
def test_output_is_limited_and_kept_up_to_there() -> None:
    done = run(["sh", "-c", "yes >&2"], limits=Limits(output=1000))
    assert (done.outcome, len(done.stderr)) == ("output", 1000)


@needs_sandbox
def test_groups_are_gone_after_the_run() -> None:
    run(["true"])
    assert not list(Path("/sys/fs/cgroup").glob(f"**/octoplex-{os.getpid()}-*"))


@needs_sandbox
def test_what_appears_and_would_be_obeyed_is_named() -> None:
    with folder("root") as path:
        done = run(["sh", "-c", "mkdir -p .git/hooks; touch .git/hooks/x .envrc"], workspace=path)
        assert set(done.planted) == {".git", ".git/hooks", ".envrc"}
        assert run(["true"], workspace=path).planted == ()


@needs_sandbox
@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("ln -s nothing .envrc", ".envrc"),
        ("ln -s ../evil .git/hooks", ".git/hooks"),
        ("echo ../evil > .git/commondir", ".git/commondir"),
        ("mkdir .git && chmod 0 .git", ".git"),
        ("echo 'gitdir: evil' > .git", ".git"),
        ("ln -s evil .git", ".git/config"),
        ("echo 'unsafe = true' > octoplex.toml", "octoplex.toml"),
    ],
)
def test_what_leads_the_hosts_tools_elsewhere_is_named(script: str, name: str) -> None:
    with folder("root") as path:
        if "> .git/" in script or "evil .git/" in script:
            (path / ".git").mkdir()
        done = run(["sh", "-c", script], workspace=path)
        assert done.status == 0, done.stderr
        assert name in done.planted
        if name == ".git/commondir":  # from then on it cannot be led on
            assert run(["sh", "-c", "echo x > .git/commondir"], workspace=path).status == 2


@needs_sandbox
def test_our_own_configuration_cannot_be_written() -> None:
    with folder("root") as path:
        (path / "octoplex.toml").write_text("")
        assert run(["sh", "-c", "echo x > octoplex.toml"], workspace=path).status == 2
        assert run(["rm", "-f", "octoplex.toml"], workspace=path).status == 1


@needs_sandbox
@pytest.mark.parametrize("name", [".git", ".git/hooks", ".vscode"])
def test_a_link_in_the_place_of_what_is_protected_leads_nowhere(name: str) -> None:
    with folder("root") as path:
        (path / "elsewhere").mkdir()
        (path / "elsewhere" / "secret").write_text("x")
        link = workspace(path, "root") / name
        link.rename(path / "away")
        link.symlink_to(path / "elsewhere")
        done = run(["find", ".", "-name", "secret"], workspace=path / "work")
        assert (done.status, done.stdout) == (0, b"")
        assert run(["cat", f"{name}/secret"], workspace=path / "work").status == 1


@needs_sandbox
def test_one_folder_has_one_sandbox_at_a_time() -> None:
    async def both(path: Path) -> list[int]:
        argv = ["sh", "-c", "mkdir busy && sleep 0.2 && rmdir busy"]
        runs = [Sandbox().run(argv, workspace=path) for _ in range(3)]
        return [done.status for done in await asyncio.gather(*runs)]

    with folder("root") as path:
        assert asyncio.run(both(path)) == [0, 0, 0]


@needs_sandbox
def test_a_folder_waits_for_the_one_above_it() -> None:
    """Who works above could put a link where the lower one is about to bind."""

    async def both(path: Path) -> list[int]:
        busy = "mkdir {0}busy && sleep 0.2 && rmdir {0}busy"
        above = Sandbox().run(["sh", "-c", busy.format("low/")], workspace=path)
        below = Sandbox().run(["sh", "-c", busy.format("")], workspace=path / "low")
        return [done.status for done in await asyncio.gather(above, below)]

    with folder("root") as path:
        (path / "low").mkdir()
        assert asyncio.run(both(path)) == [0, 0]


@needs_sandbox
@pytest.mark.parametrize("argv", [["no-such-program"], ["./none"], ["/files"]])
def test_a_program_that_cannot_be_run_is_the_callers_mistake(argv: list[str]) -> None:
    with pytest.raises(InvalidCall, match="sandbox"):
        run(argv)


@pytest.mark.parametrize(
    "wanted",
    [
        {"argv": []},
        {"argv": "echo hi"},
        {"argv": [""]},
        {"argv": ["a\0b"]},
        {"argv": ["\ud800"]},
        {"argv": ["true", "x" * 131_072]},
        {"argv": ["true", *["x" * 100_000] * 11]},
        {"argv": ["true"] * 9000},
        {"workspace": "/"},
        {"workspace": pwd.getpwuid(os.geteuid()).pw_dir},
        {"workspace": "/nowhere"},
        {"workspace": "/etc/passwd"},
        {"workspace": ""},
        {"workspace": "a\0b"},
        {"workspace": "\ud800"},
        {"workspace": "/tmp"},
        {"workspace": "/etc"},
        {"workspace": "/usr"},
        {"workspace": "/proc/self"},
        {"env": {"A=B": ""}},
        {"env": {"A": "\0"}},
        {"env": {"A": "\ud800"}},
        {"env": {"A": "x" * 131_072}},
        {"files": {"../x": b""}},
        {"files": {"a/b": b""}},
    ],
)
def test_what_cannot_be_granted_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(InvalidCall):
        run(**{"argv": ["true"], **wanted})


@pytest.mark.parametrize("program", [None, "/bin/false", "/nowhere/bwrap"])
def test_without_walls_nothing_runs(
    program: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bubblewrap, "found", lambda: program)
    monkeypatch.setattr(landlock, "abi", lambda _: 0)
    with pytest.raises(BadConfig, match="sandbox"):
        run(["touch", "ran"], workspace=tmp_path)
    assert not (tmp_path / "ran").exists()


def test_unsafe_runs_bare_and_says_so_every_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bubblewrap, "found", lambda: None)
    monkeypatch.setattr(landlock, "abi", lambda _: 0)
    box = Sandbox(unsafe=True)
    for count in (1, 2):
        with caplog.at_level(logging.WARNING):
            done = asyncio.run(box.run(["sh", "-c", "pwd; sleep 4714.5 &"], workspace=tmp_path))
        assert (done.status, done.layers) == (0, ())
        assert done.stdout.decode().strip() == str(tmp_path)
        assert caplog.text.count("WITHOUT a sandbox") == count
    until(lambda: not running("4714.5"))
    with pytest.raises(InvalidCall):
        asyncio.run(box.run(["true"], network=["example.com"]))


def test_results_are_read_where_no_link_leads(tmp_path: Path) -> None:
    place = tmp_path / "work"
    (place / "out").mkdir(parents=True)
    (place / "out" / "plain").write_bytes(b"result")
    (tmp_path / "secret").write_text("secret")
    (place / "link").symlink_to(tmp_path / "secret")
    (place / "folder").symlink_to(tmp_path)
    os.mkfifo(place / "pipe")
    assert read_result(place, "out/plain") == b"result"
    for name in ("link", "folder/secret", "../secret", "/etc/passwd", "pipe", "out", "", "\ud800"):
        with pytest.raises(InvalidCall):
            read_result(place, name)
    with pytest.raises(NotFound):
        read_result(place, "out/none")
    with pytest.raises(TooLarge):
        read_result(place, "out/plain", most=5)


@pytest.mark.skipif(os.geteuid() != 0 or not landlock.abi(machine()), reason="a way for root")
def test_behind_landlock_alone_the_whole_group_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "found", lambda: None)
    with folder("root") as path:
        done = run(
            ["sh", "-c", "echo in > x; cat x; sleep 4715.5 & wait"], workspace=path, limits=SHORT
        )
        assert (done.outcome, done.stdout) == ("time", b"in\n")
        assert (path / "x").stat().st_uid == os.getuid()
        deep = "import os\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')"
        script = f'ln -s x .envrc; echo $TMPDIR; cd $TMPDIR; {PYTHON} -c "{deep}"'
        done = run(["sh", "-c", script], workspace=path)
        assert (done.status, done.planted) == (0, (".envrc",)), done.stderr
        assert not Path(done.stdout.decode().strip()).exists()
    assert not running("4715.5")
    with pytest.raises(BadConfig, match="bubblewrap"):
        run(["true"], network=["example.com"])


def test_an_ordinary_user_has_nothing_in_the_place_of_walls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bubblewrap, "found", lambda: None)
    with pytest.raises(BadConfig, match="bubblewrap"):
        ran("user", ["true"])


@needs_sandbox
def test_who_hears_no_longer_has_the_run_stopped_and_not_tried_again() -> None:
    heard = []

    def tell(stream: int, piece: bytes) -> None:
        heard.append(piece)
        raise BrokenPipeError

    with folder("root") as path:
        script = "echo x >> ran; echo out; sleep 60"
        done = asyncio.run(Sandbox(tell=tell).run(["sh", "-c", script], workspace=path))
        assert (done.outcome, heard) == ("stopped", [b"out\n"])
        assert (path / "ran").read_text() == "x\n"


@needs_sandbox
@BOTH
def test_a_folder_that_became_a_link_is_not_lent(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with folder("root") as path:
        (path / "real").mkdir()
        (path / "link").symlink_to(path / "real")
        monkeypatch.setattr(sandbox, "_folder", Path)  # as if it had become one just after
        give(path, by)
        with pytest.raises(InvalidCall, match="behind a link"):
            ran(by, ["true"], workspace=path / "link")


@needs_sandbox
@BOTH
def test_the_second_wall_stands_behind_the_first(by: str) -> None:
    """No mount and no filter keeps a process from this; landlock does."""
    done = ran(by, ["sh", "-c", "echo 500 > /proc/self/oom_score_adj"])
    assert b"Permission denied" in done.stderr or not landlock.abi(machine())


@needs_sandbox
def test_nothing_that_was_needed_to_start_stays_open() -> None:
    code = "import os; print(sorted(os.listdir('/proc/self/fd')))"
    assert run([PYTHON, "-c", code], network=["example.com"]).stdout == b"['0', '1', '2', '3']\n"


@needs_sandbox
@BOTH
def test_a_limit_too_small_to_start_in_does_not_lead_around_the_walls(by: str) -> None:
    def whole() -> set[str]:
        box = Sandbox(unsafe=True)
        done = asyncio.run(box.run(["true"], limits=Limits(memory=4096, seconds=5)))
        return set(done.layers)

    with contextlib.suppress(BadConfig):
        assert "bubblewrap" in started(by, whole)


def test_a_file_is_not_given_to_be_read() -> None:
    with open("/etc/passwd") as file, pytest.raises(InvalidCall, match="pipe"):
        Sandbox(stdin=file.fileno())


@needs_sandbox
def test_tools_are_seen_read_only_and_found_by_name() -> None:
    with folder("root") as path, folder("root") as work:
        (path / "bin").mkdir()
        (path / "bin" / "greet").write_text("#!/bin/sh\necho hello; echo x > $0")
        for one in (path, *path.rglob("*")):
            one.chmod(0o755)
        done = asyncio.run(Sandbox(tools=[str(path)]).run(["greet"], workspace=work))
        assert (done.stdout, done.status) == (b"hello\n", 2), done.stderr
        assert "echo hello" in (path / "bin" / "greet").read_text()
        with pytest.raises(BadConfig, match="nowhere"):
            asyncio.run(Sandbox(tools=["/nowhere"]).run(["true"]))


@needs_sandbox
def test_walls_that_failed_before_they_were_let_go_on_say_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(run: job.Job, first: int) -> None:
        time.sleep(0.5)  # it has ended by then; earlier, nothing but what is looked at is missed
        let_go(run, first)

    let_go = job.Job._let_go
    monkeypatch.setattr(job.Job, "_let_go", late)
    with pytest.raises(BadConfig, match="nowhere"):
        asyncio.run(Sandbox(tools=["/nowhere"]).run(["true"]))
