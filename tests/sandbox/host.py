"""What attempts are aimed at: secrets, sockets, a process; and two ways to start a sandbox."""

import asyncio
import contextlib
import json
import os
import pickle
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from octoplex.sandbox import gvisor
from octoplex.sandbox.limits import Backend, Limits
from octoplex.sandbox.sandbox import Result, Sandbox
from octoplex.sandbox.syscalls import machine, numbers

T = TypeVar("T")
INSIDE = Path(__file__).parent / "inside"
PYTHON = "/usr/bin/python3"
USER = 54_321
"""An ordinary user that this machine does not know."""
HOME = ".ssh/id_rsa .aws/credentials .netrc .git-credentials .kube/config .docker/config.json"
SECRET = "secret of the host"

needs_sandbox = pytest.mark.skipif(
    shutil.which("bwrap") is None or machine() != "x86_64", reason="bubblewrap is not installed"
)
needs_gvisor = pytest.mark.skipif(
    gvisor.found() is None or shutil.which("bwrap") is None or os.geteuid() != 0,
    reason="runsc is not installed, or the tests are not run by root, who may make a cgroup",
)


def started(by: str, work: Callable[[], T]) -> T:
    """Do it as whoever runs the tests, or as an ordinary user in a process of its own."""
    if by == "user" and os.geteuid() != 0:
        return work()
    if by == "root":
        if os.geteuid() != 0:
            pytest.skip("the tests are not run by root")
        return work()
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        _as_user(write_fd, work)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as said:
        found = pickle.loads(said.read() or pickle.dumps(RuntimeError("it ended")))
    os.waitpid(pid, 0)
    if isinstance(found, Exception):
        raise found
    return found  # type: ignore[no-any-return]


def _as_user(write_fd: int, work: Callable[[], Any]) -> None:
    found: Any
    try:
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
        os.chdir("/")
        found = work()
    except Exception as error:  # noqa: BLE001 - it is raised where it is asked for
        found = error
    with os.fdopen(write_fd, "wb") as saying:
        saying.write(pickle.dumps(found))
    os._exit(0)


def ran(by: str, argv: list[str], backend: Backend = "bubblewrap", **wanted: Any) -> Result:
    """Run a program in a sandbox."""
    return started(by, lambda: asyncio.run(Sandbox(backend=backend).run(argv, **wanted)))


def running(word: str) -> bool:
    """Whether a process of this machine has this word in its command line."""
    lines = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(place.read_bytes().split(b"\0"))
        except OSError:
            continue
    return any(word.encode() in line for line in lines)


@contextlib.contextmanager
def folder(by: str) -> Iterator[Path]:
    """A folder that the starter owns and can reach; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="octoplex-sandbox-", dir="/var/tmp"))
    try:
        give(path, by)
        yield path
    finally:
        shutil.rmtree(path)


def give(path: Path, by: str) -> None:
    if os.geteuid() == 0 and by == "user":
        os.chown(path, USER, USER)


def workspace(path: Path, by: str) -> Path:
    """What a checked-out project has that the host's tools obey."""
    place = path / "work"
    for name in (".git/hooks", ".vscode"):
        (place / name).mkdir(parents=True)
    for name in (".git/config", ".git/hooks/pre-push", ".vscode/tasks.json", ".bashrc"):
        (place / name).write_text("")
    for one in (place, *place.rglob("*")):
        give(one, by)
    return place


def _secrets(path: Path, by: str, facts: dict[str, Any]) -> None:
    names = [f"home/{n}" for n in (*HOME.split(), ".config/gh/hosts.yml", ".bash_history")]
    for name in (*names, "outside/victim", "private"):
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SECRET)
        file.chmod(0o600)
    for one in path.rglob("*"):
        give(one, by)
    facts |= {"home": str(path / "home"), "outside": str(path / "outside")}
    facts |= {"secret": str(path / "private")}
    for key, where in (("tmp", "/tmp"), ("shm", "/dev/shm")):
        place = Path(where, f"octoplex-attempt-{os.getpid()}-{by}")
        place.write_text(SECRET)
        facts[key] = str(place)


@contextlib.contextmanager
def listening(facts: dict[str, Any], path: Path) -> Iterator[None]:
    """Sockets of the host that somebody answers."""
    with contextlib.ExitStack() as open_:
        for key, family, at in (
            ("port", socket.AF_INET, ("127.0.0.1", 0)),
            ("port_all", socket.AF_INET, ("0.0.0.0", 0)),
            ("port6", socket.AF_INET6, ("::1", 0)),
        ):
            with contextlib.suppress(OSError):  # without IPv6 there is nothing to try
                one = open_.enter_context(socket.socket(family))
                one.bind(at)
                one.listen(64)
                facts[key] = one.getsockname()[1]
        facts["unix"], facts["abstract"] = str(path / "socket"), f"octoplex-{os.getpid()}"
        for name in (facts["unix"], "\0" + facts["abstract"]):
            one = open_.enter_context(socket.socket(socket.AF_UNIX))
            one.bind(name)
            one.listen(64)
        os.chmod(facts["unix"], 0o777)
        asked = open_.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        asked.bind(("127.0.0.1", 0))
        facts["port_udp"] = asked.getsockname()[1]
        thread = threading.Thread(target=_answer, args=(asked,))
        thread.start()
        try:
            yield
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.sendto(b"end", asked.getsockname())
            thread.join()


def _answer(asked: socket.socket) -> None:
    while True:
        said, who = asked.recvfrom(16)
        if said == b"end":
            return
        asked.sendto(b"pong", who)


@contextlib.contextmanager
def aimed_at(by: str) -> Iterator[dict[str, Any]]:
    """The facts that attempts are given; all of it is there while the block runs."""
    facts: dict[str, Any] = {"calls": dict(numbers(machine())), "marker": "octoplex-marker"}
    facts |= {"hostname": socket.gethostname(), "interfaces": len(socket.if_nameindex())}
    facts |= {"address": _address(), "port_free": 0, "groups": "/sys/fs/cgroup/pids"}
    facts |= {"many": 400, "much": 192 << 20, "files": 3000}
    if not Path(facts["groups"]).is_dir():
        facts["groups"] = "/sys/fs/cgroup"
    with folder(by) as path, listening(facts, path):
        _secrets(path, by, facts)
        env = {"OCTOPLEX_ATTEMPT": SECRET}
        host = subprocess.Popen(["/bin/sh", "-c", "read x", "octoplex-marker"], env=env, stdin=-1)
        fd = os.open(facts["secret"], os.O_RDONLY)
        os.set_inheritable(fd, True)
        try:
            yield facts | {"pid": host.pid, "fd": fd}
        finally:
            os.close(fd)
            host.kill()
            host.communicate()
            for key in ("tmp", "shm"):
                os.unlink(facts[key])


def _address() -> str:
    """An address of this machine that is not loopback's, if it has one. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        with contextlib.suppress(OSError):
            asking.connect(("192.0.2.1", 9))
        return str(asking.getsockname()[0])


def attempted_outside(facts: Mapping[str, Any], place: Path) -> dict[str, str]:
    """Every attempt without a sandbox: "" for those that get through."""
    told = place / "facts.json"
    told.write_text(json.dumps(facts))
    words = [PYTHON, str(INSIDE / "everything.py"), str(told)]
    if os.geteuid() == 0:
        words = ["unshare", "--mount", "--propagation", "private", *words]
    done = subprocess.run(
        words,
        cwd=place,
        env={"PATH": os.environ["PATH"], "OCTOPLEX_ATTEMPT": SECRET},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        pass_fds=(facts["fd"],),
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    return _read(done.stdout)


def _told(done: Result) -> dict[str, str]:
    """What became of each; the last one may have ended the run."""
    ended_well = done.outcome == "memory" or (done.outcome, done.status) == ("exited", 0)
    assert ended_well, (done, done.stderr.decode())
    return {"take_much_memory": done.outcome} | _read(done.stdout)


def _read(lines: bytes) -> dict[str, str]:
    first, *last = (json.loads(line) for line in lines.splitlines())
    return first | (last[0] if last else {})


SMALL = Limits(processes=100, memory=128 << 20, disk=64 << 20, files=2000, seconds=40)


def attempted_behind_a_fence(facts: Mapping[str, Any], place: Path) -> dict[str, str]:
    """Every attempt where there is no bubblewrap, which hands in no files either."""
    scripts = place / "scripts"
    shutil.copytree(INSIDE, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "facts.json").write_text(json.dumps(facts))
    argv = [PYTHON, "scripts/everything.py", "scripts/facts.json"]
    os.environ["OCTOPLEX_ATTEMPT"] = SECRET
    try:
        done = ran("root", argv, workspace=place, limits=SMALL)
    finally:
        del os.environ["OCTOPLEX_ATTEMPT"]
    assert "bubblewrap" not in done.layers
    return _told(done)


def attempted_inside(
    by: str, facts: Mapping[str, Any], place: Path, backend: Backend = "bubblewrap"
) -> dict[str, str]:
    """Every attempt in a sandbox with small limits."""
    files = {path.name: path.read_bytes() for path in INSIDE.glob("*.py")}
    files["facts.json"] = json.dumps(facts).encode()
    argv = [PYTHON, "/files/everything.py", "/files/facts.json"]
    os.environ["OCTOPLEX_ATTEMPT"] = SECRET
    try:
        done = ran(by, argv, backend, workspace=place, files=files, limits=SMALL)
    finally:
        del os.environ["OCTOPLEX_ATTEMPT"]
    return _told(done)
