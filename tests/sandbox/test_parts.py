"""The filter, the launcher, the limits: each by itself."""

import contextlib
import errno
import os
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from octoplex.sandbox import cgroup, seccomp, watch
from octoplex.sandbox.launcher import FAILED, REPORT, Held, Launcher
from octoplex.sandbox.limits import Limits, limits_of
from octoplex.sandbox.memory_file import memory_file
from octoplex.sandbox.syscalls import NEWEST, machine, numbers
from octoplex.sandbox.watch import free, is_scarce
from octoplex.settings import parse
from octoplex.wire.error import BadConfig
from tests.sandbox.host import needs_sandbox

MACHINES = ("x86_64", "aarch64")
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


def judged(code: bytes, arch: int, number: int, arguments: Sequence[int] = ()) -> int:
    """Run the filter as the kernel does (seccomp(2)); its verdict."""
    given = struct.pack("<IIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = [struct.unpack_from("<HBBI", code, at) for at in range(0, len(code), 8)]
    at, value = 0, 0
    while True:
        kind, yes, no, k = steps[at]
        at += 1
        if kind == 0x06:
            return k
        if kind == 0x20:
            (value,) = struct.unpack_from("<I", given, k)
        elif kind == 0x54:
            value &= k
        else:
            true = {0x15: value == k, 0x25: value > k, 0x45: bool(value & k)}[kind]
            at += yes if true else no


def refusal(number: int) -> int:
    return seccomp.REFUSE | number


@pytest.mark.parametrize("kind", MACHINES)
def test_the_numbers_are_the_kernels(kind: str) -> None:
    header = Path(HEADERS[kind])
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", header.read_text(), re.MULTILINE)
    known = {name: int(number) for name, number in found}
    ours = numbers(kind)
    assert {n: known[n] for n in ours if n in known} == {n: ours[n] for n in ours if n in known}
    assert len(set(ours) - set(known)) < 10  # headers may be older than we are
    assert max(known.values()) <= NEWEST or machine() != kind


@pytest.mark.parametrize("kind", MACHINES)
def test_the_filter_decides_as_it_says(kind: str) -> None:
    code, number = seccomp.program(kind), numbers(kind)

    def said(name: str, *arguments: int) -> int:
        return judged(code, AUDIT[kind], number[name], arguments)

    for name in seccomp.REFUSED:
        assert name not in number or said(name) == refusal(errno.EPERM), name
    for name in seccomp.ABSENT:
        assert said(name) == refusal(errno.ENOSYS), name
    for name in ("read", "execve", "memfd_create", "setsid", "prctl", "landlock_restrict_self"):
        assert said(name) == seccomp.ALLOW, name
    assert judged(code, AUDIT[kind], NEWEST + 1) == refusal(errno.ENOSYS)
    assert judged(code, AUDIT[kind], 0x40000000 + 1) == refusal(errno.ENOSYS)
    for arch in (0x40000003, 0x40000028, *(AUDIT[k] for k in MACHINES if k != kind)):
        assert judged(code, arch, 1) == seccomp.KILL


@pytest.mark.parametrize("kind", MACHINES)
def test_the_filter_looks_at_arguments(kind: str) -> None:
    code, number = seccomp.program(kind), numbers(kind)
    allowed = {
        "clone": [(17,), (0x3D0F00,)],
        "ioctl": [(0, 0x5401), (0, 0x541B)],
        "personality": [(0,), (0xFFFFFFFF,)],
        "socket": [(1, 1), (1, 5), (1, 0x80002), (2, 1), (2, 0x80801), (10, 2, 17), (2, 1, 6)],
        "socketpair": [(1, 1)],
        "fchmod": [(3, 0o1777)],
        "fchmodat": [(-100 & 0xFFFFFFFF, 0, 0o755)],
        "openat": [(0, 0, 0, 0o4755), (0, 0, 0x41, 0o666)],
        "mknodat": [(0, 0, 0o10644), (0, 0, 0o100644)],
    }
    refused = {
        "clone": [(1 << bit,) for bit in (15, 17, 25, 26, 27, 28, 29, 30)],
        "ioctl": [(0, 0x5412), (0, 0xFFFFFFFF00005412), (0, 0x541C), (0, 0x541D)],
        "personality": [(0x0400000,), (8,)],
        "socket": [
            (2, 3),
            (10, 3),
            (2, 0x80003),
            (16, 3),
            (17, 3),
            (40, 1),
            (38, 5),
            (2, 5),
            (2, 1, 262),
        ],
        "socketpair": [(2, 1)],
        "fchmod": [(3, 0o4755), (3, 0o2755)],
        "fchmodat": [(0, 0, 0o4000)],
        "openat": [(0, 0, 0x40, 0o4755), (0, 0, 0x410000, 0o2755)],
        "mknodat": [(0, 0, 0o20666), (0, 0, 0o60666), (0, 0, 0o104755)],
    }
    for verdict, cases in ((seccomp.ALLOW, allowed), (refusal(errno.EPERM), refused)):
        for name, each in cases.items():
            for arguments in each:
                found = judged(code, AUDIT[kind], number[name], arguments)
                assert found == verdict, (name, arguments)


@pytest.mark.parametrize("kind", MACHINES)
def test_around_gvisor_files_get_no_set_ids_and_little_else_is_refused(kind: str) -> None:
    code, number = seccomp.hosting(kind), numbers(kind)

    def said(name: str, *arguments: int) -> int:
        return judged(code, AUDIT[kind], number[name], arguments)

    for name in ("ptrace", "mount", "pivot_root", "unshare", "clone", "socket", "memfd_create"):
        assert said(name, 1 << 30, 3) == seccomp.ALLOW, name
    for name in ("bpf", "keyctl", "kexec_load", "init_module", "open_by_handle_at", "reboot"):
        assert said(name) == refusal(errno.EPERM), name
    for name, arguments in (
        ("fchmod", (3, 0o4755)),
        ("fchmodat", (0, 0, 0o2755)),
        ("openat", (0, 0, 0x40, 0o4755)),
        ("mknodat", (0, 0, 0o20666)),
    ):
        assert said(name, *arguments) == refusal(errno.EPERM), name
    assert said("fchmod", 3, 0o1777) == seccomp.ALLOW
    assert said("openat2") == refusal(errno.ENOSYS)


def test_memory_that_nothing_counts_is_not_given() -> None:
    code, number = seccomp.program("x86_64", counted=False), numbers("x86_64")
    for name in seccomp.UNCOUNTED:
        assert judged(code, AUDIT["x86_64"], number[name]) == refusal(errno.ENOSYS)


def launched(launch: Launcher, *argv: str) -> subprocess.CompletedProcess[bytes]:
    with memory_file(launch.image()) as image:
        return subprocess.run(
            ["launch", *argv],
            executable=f"/proc/self/fd/{image}",
            pass_fds=(image, launch.report_fd),
            env={"GIVEN": "1"},
            capture_output=True,
            check=False,
        )


@needs_sandbox
def test_a_launcher_makes_its_calls_and_becomes_the_program() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb") as report:
        launch = Launcher(write_fd)
        launch.begin()
        fd = launch.word()
        launch.call("openat", -100, launch.text("/dev/null"), 1, 0, keep=fd)
        launch.call("write", 1, launch.text("first\n"), 6)
        launch.call("write", Held(fd), launch.text("nowhere"), 7)
        done = launched(launch, "/usr/bin/env")
        os.close(write_fd)
        assert (done.returncode, done.stdout) == (0, b"first\nGIVEN=1\n")
        assert report.read() == bytes(REPORT.size)


@needs_sandbox
@pytest.mark.parametrize(("path", "number"), [("/nowhere", errno.ENOENT), ("/dev", errno.EISDIR)])
def test_a_launcher_that_fails_says_where_and_runs_nothing(path: str, number: int) -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb") as report:
        launch = Launcher(write_fd)
        launch.call("prctl", 38, 1, 0, 0, 0)
        launch.call("openat", -100, launch.text(path), 1, 0)
        done = launched(launch, "/usr/bin/env")
        os.close(write_fd)
        assert (done.returncode, done.stdout) == (FAILED, b"")
        assert REPORT.unpack(report.read()) == (1, number)
        assert launch.steps == ["prctl", "openat"]


def test_machines_without_a_launcher_have_no_sandbox() -> None:
    with pytest.raises(BadConfig, match="aarch64"):
        Launcher(2, "aarch64")
    with pytest.raises(BadConfig, match="riscv64"):
        numbers("riscv64")


def test_limits_are_read_as_people_write_them() -> None:
    found = limits_of("10 processes, 2 GiB memory, 1.5 MB disk, 20 files, 2 min, 5 kB output")
    assert found == Limits(
        processes=10, memory=2 << 30, disk=1_500_000, files=20, seconds=120, output=5000
    )
    assert limits_of("") == Limits()
    assert limits_of("300 ms", found).seconds == 0.3
    assert limits_of("300 ms", found).processes == 10


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "10",
        "1 GiB",
        "0 processes",
        "1.5 processes",
        "0 s",
        "-1 s",
        "1 GiB cpu",
        "1 s,,",
        "9" * 400 + " s",
    ],
)
def test_limits_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="not understood"):
        limits_of(text)
    with pytest.raises(BadConfig, match=r"\[sandbox\] limits"):
        parse(f'[sandbox]\nlimits = "{text}"')


@pytest.mark.parametrize(
    "text",
    ["0 MB memory", "0 B disk", "0.1 b output", "9999999 processes", "9999 h", "99999999 GB disk"],
)
def test_limits_that_limit_nothing_are_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="must be above 0"):
        limits_of(text)
    with pytest.raises(BadConfig):
        Limits(seconds=float("nan"))


def test_memory_of_nobody_is_seen_by_what_the_machine_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run cannot be let use all of it, so how much is little is moved."""
    before = free()
    assert not is_scarce(before, 1 << 20)
    monkeypatch.setattr(watch, "_SCARCE", 1)
    assert is_scarce(before + (64 << 20), 1 << 20)
    assert not is_scarce(before, 1 << 40)


def test_a_tool_is_a_folder_by_its_whole_path() -> None:
    for tool in ("node", "/"):
        with pytest.raises(BadConfig, match="tools"):
            parse(f'[sandbox]\ntools = ["{tool}"]')
    with pytest.raises(BadConfig, match=r"\[sandbox\] networks"):
        parse('[sandbox]\nnetworks = ["10.0.0.1/8"]')


FORKED = """
import os, signal
from pathlib import Path
from octoplex.sandbox.watch import exceeds

def own_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(x.split()[1]) << 10 for x in lines if x.startswith(("RssAnon", "RssShmem")))

held = bytearray(b"x") * (64 << 20)
child = os.fork()
if child == 0:
    signal.pause()
print(exceeds(os.getpid(), len(held)), exceeds(os.getpid(), own_bytes() + (32 << 20)))
os.kill(child, signal.SIGKILL)
"""
"""In a process of its own: what other tests started are children of this one."""


def test_shared_pages_of_a_tree_count_once() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True False\n", "")


def test_a_group_of_version_2_is_made_beside_ours_where_that_place_is_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On plain folders: this machine counts by version 1, so what the kernel says is not shown."""
    (tmp_path / "cgroup.controllers").write_text("memory pids")
    (tmp_path / "app.slice" / "own.scope").mkdir(parents=True)
    (tmp_path / "app.slice" / "own.scope").chmod(0o500)
    (tmp_path / "app.slice" / "octoplex-999999999-00aa").mkdir()
    monkeypatch.setattr(cgroup, "_ROOT", tmp_path)
    monkeypatch.setattr(cgroup, "_own", lambda: {"": "app.slice/own.scope"})
    if os.geteuid() == 0:
        (tmp_path / "app.slice" / "own.scope").rmdir()
    group = cgroup.make(Limits(processes=7, memory=1000))
    assert group is not None
    (folder,) = (tmp_path / "app.slice").glob("octoplex-*")
    assert (folder / "memory.max").read_text() == "1000"
    assert (folder / "pids.max").read_text() == "10"
    with group.joined():
        assert not (folder / "tasks").exists()
    group.take(4711)
    assert (folder / "cgroup.procs").read_text() == "4711"
    (folder / "memory.events").write_text("oom 1\noom_kill 0\n")
    assert not group.ran_out()
    (folder / "memory.events").write_text("oom 1\noom_kill 1\n")
    assert group.ran_out()


def test_a_group_without_memory_is_left_again() -> None:
    """A thread that stays behind could not even wake the loop that waits for it."""
    group = cgroup.make(Limits(memory=4096))
    if group is None:
        return  # who may make none has none to leave

    def place() -> str:
        return Path("/proc/thread-self/cgroup").read_text()

    before, said = place(), []

    def starts_something() -> None:
        kept: list[int] = []
        # The kernel's memory is used up, as a start may do.
        with group.joined(), contextlib.suppress(OSError):
            kept.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(200))
        for fd in kept:
            os.close(fd)
        said.append(place())

    thread = threading.Thread(target=starts_something)
    thread.start()
    thread.join()
    group.remove()
    assert said == [before]
