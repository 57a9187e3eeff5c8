"""gVisor inside the walls: what runs, what is counted, and that nothing of the host is reached.

All attempts were run in it once (docs/decisions/sandbox.md); here are those that aim at the host,
and not at a kernel, which is gVisor's own.
"""

import asyncio
import os
from pathlib import Path

import pytest
import trustme

from octoplex.sandbox import bubblewrap, cgroup, gvisor
from octoplex.sandbox.config import SandboxTable
from octoplex.sandbox.limits import Limits
from octoplex.sandbox.sandbox import Result, Sandbox
from octoplex.sandbox.shown import Shown
from octoplex.wire.error import BadConfig, InvalidCall
from tests.sandbox.host import PYTHON, aimed_at, attempted_inside, folder, needs_gvisor, workspace
from tests.sandbox.test_network import GOOD, OTHER, asked, serving

_NAMES = """
read_private_file read_shadow read_accounts read_by_link read_by_dots read_by_own_root link_secret
read_tmp_of_host read_shm_of_host write_outside write_by_link remove_outside write_programs
write_etc write_root write_hook write_git_config replace_git_config rename_git write_editor_tasks
write_shell_start open_disk make_disk see_host_name see_command_lines see_control_groups
signal_host use_inherited_descriptor connect_to_host connect_by_path connect_by_abstract_name
send_datagram_to_host resolve_name see_sockets_of_host make_huge_file write_core_pattern
write_sysctl
"""
AIMED = ["read .ssh/id_rsa", "read .aws/credentials", "socket vsock", "socket packet"]
AIMED += _NAMES.split()


def run(argv: list[str], **wanted: object) -> Result:
    return asyncio.run(Sandbox(backend="gvisor").run(argv, **wanted))  # type: ignore[arg-type]


LOOKS = """
import os, pathlib, sys
print(sorted(os.listdir("/")), os.listdir("/run"), os.environ["GODEBUG"])
print(pathlib.Path("/files/note").read_text(), os.uname().release)
os.chmod("mine", 0o6755)
try: os.close(os.open("made", os.O_CREAT | os.O_WRONLY, 0o4755))
except PermissionError: print("refused")
pathlib.Path("written").write_text("stays")
sys.exit(3)
"""


@needs_gvisor
def test_a_program_has_a_kernel_of_its_own_in_the_same_walls() -> None:
    with folder("root") as path:
        (path / "mine").write_text("")
        done = run(
            [PYTHON, "-c", LOOKS],
            workspace=path,
            files={"note": b"handed in"},
            env={"GODEBUG": "inittrace=1"},
        )
        assert (done.outcome, done.status, done.stderr) == ("exited", 3, b"")
        seen, told, refused = done.stdout.decode().splitlines()
        assert "home" not in seen
        assert "root" not in seen
        assert seen.endswith("[] inittrace=1")
        assert told == "handed in 4.4.0" != f"handed in {os.uname().release}"
        assert refused == "refused"
        assert (path / "written").read_text() == "stays"
        # gVisor lets its root set any bit; of the folder's files none has them.
        assert not [one for one in path.iterdir() if one.stat().st_mode & 0o6000]
    assert done.layers[:4] == ("gvisor", "bubblewrap", "seccomp", "rlimits")


@needs_gvisor
def test_limits_end_it_and_what_is_not_there_is_said() -> None:
    with folder("root") as path:
        for name, place in (("seen", "in"), ("hidden", "out")):
            (path / place).mkdir()
            (path / place / name).write_text(name)
        found = run(
            ["sh", "-c", "cat in/seen; cat out/hidden; echo x > in/new"],
            workspace=Shown(path, reads=("in",)),
        )
        assert found.stdout == b"seen"
        assert not (path / "in" / "new").exists()
    assert run(["sleep", "9"], limits=Limits(seconds=0.6)).outcome == "time"
    much = "bytearray(b'x') * (700 << 20)"
    assert run([PYTHON, "-c", much], limits=Limits(memory=300 << 20)).outcome == "memory"
    with pytest.raises(InvalidCall, match="/usr/bin/nonesuch"):
        run(["/usr/bin/nonesuch"])
    with pytest.raises(InvalidCall, match="UTF-8"):
        run(["echo", "\udcff"])


@needs_gvisor
def test_nothing_of_the_host_is_reached() -> None:
    with aimed_at("root") as facts, folder("root") as path:
        facts["only"] = AIMED
        found = attempted_inside("root", facts, workspace(path, "root"), "gvisor")
    assert {name for name, why in found.items() if not why} == set()
    assert found.keys() >= set(AIMED)


@needs_gvisor
def test_of_the_network_there_is_the_proxy_or_nothing() -> None:
    ca = trustme.CA()
    with serving(None) as plain:
        hosts = [f"{GOOD}:{plain}"]
        what = (
            ["fetch", f"http://{GOOD}:{plain}/plain"],
            ["say", f"GET http://{OTHER}:{plain}/ HTTP/1.1\r\n\r\n"],
        )
        found, result = asked(hosts, *what, ca=ca, backend="gvisor")
        assert f"{GOOD}:{plain} /plain" in found[0]
        assert "403" in found[1]
        assert result.refused
        direct = (
            "import socket; socket.create_connection(('127.0.0.1', int(__import__('sys').argv[1])))"
        )
        assert b"refused" in run([PYTHON, "-c", direct, str(plain)]).stderr


MISSING = {
    "runsc, which is not installed": (gvisor, "found"),
    "control group": (cgroup, "make"),
    "bubblewrap, which is not installed": (bubblewrap, "found"),
}


@pytest.mark.parametrize("said", MISSING)
def test_nothing_weaker_stands_in_its_place(
    said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(*MISSING[said], lambda *_: None)
    box = Sandbox(backend="gvisor", unsafe=True)
    with pytest.raises(BadConfig, match=said):
        asyncio.run(box.run(["touch", "/workspace/made"], workspace=tmp_path))
    assert not list(tmp_path.iterdir())


def test_it_is_chosen_in_the_file() -> None:
    assert SandboxTable().backend == "bubblewrap"
    assert SandboxTable(backend="gvisor").backend == "gvisor"
