"""What Docker and Podman are told, and that nothing is left, whatever they do.

A program in their place (`daemon.py`) records and misbehaves. Both were run by hand as well
(docs/decisions/sandbox.md).
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from octoplex.cli.doctor import doctor
from octoplex.cli.sandbox import layers
from octoplex.sandbox import client, containers
from octoplex.sandbox.config import SandboxTable
from octoplex.sandbox.egress import Egress
from octoplex.sandbox.limits import Limits
from octoplex.sandbox.profile import profile
from octoplex.sandbox.sandbox import Result, Sandbox
from octoplex.sandbox.seccomp import ABSENT, REFUSED
from octoplex.sandbox.shown import Shown
from octoplex.sandbox.work import Container
from octoplex.wire.error import BadConfig, GatewayError, InvalidCall
from tests.sandbox.host import USER, folder, give

IMAGE = "example.org/small:1"
LIMITS = Limits(processes=20, memory=64 << 20, disk=1 << 20, files=100, seconds=20)
DAEMON = Path(__file__).parent / "daemon.py"


class Place:
    """A folder with a `docker` and a `podman` in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for kind in containers.KINDS:
            shutil.copy(DAEMON, path / kind)
            (path / kind).chmod(0o755)
        self.must()

    def must(self, **what: Any) -> None:
        (self.path / "must.json").write_text(json.dumps(what))

    def run(self, argv: list[str], kind: str = "docker", **wanted: Any) -> Result:
        limits = wanted.pop("limits", LIMITS)
        box = Sandbox(backend=Container(kind, IMAGE), unsafe=True)  # type: ignore[arg-type]
        return asyncio.run(box.run(argv, limits=limits, **wanted))

    def told(self) -> list[list[str]]:
        if not (self.path / "told").exists():
            return []
        return [json.loads(line) for line in (self.path / "told").read_text().splitlines()]

    @property
    def made(self) -> list[str]:
        return (self.path / "made").read_text().split() if (self.path / "made").exists() else []

    @property
    def has_started(self) -> bool:
        return (self.path / "started").exists()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(client, "PATH", str(tmp_path))
    containers.swept.cache_clear()
    yield Place(tmp_path)
    containers.swept.cache_clear()


HELD = """
--pull never --log-driver none --network none --read-only --cap-drop ALL --init --no-healthcheck
--security-opt no-new-privileges --ipc private --hostname sandbox --pids-limit 20
--memory 67108864 --memory-swap 67108864 --shm-size 1048576 --ulimit fsize=1048576:1048576
--ulimit nproc=4096:4096 --ulimit nofile=4096:4096 --ulimit core=0:0 --entrypoint
"""
OWN = {
    "docker": ["rw,exec,nosuid,nodev,size=1048576,mode=1777,nr_inodes=100"],
    "podman": [
        "rw,exec,nosuid,nodev,size=1048576,mode=1777",
        *("--read-only-tmpfs=false", "--http-proxy=false", "--image-volume=ignore"),
    ],
}


@pytest.mark.parametrize("kind", containers.KINDS)
def test_what_a_container_is_made_of(place: Place, kind: str) -> None:
    """The whole line but for what differs from run to run, each word of it."""
    with folder("user") as path:
        user = USER if os.geteuid() == 0 else os.geteuid()
        group = USER if os.geteuid() == 0 else os.getegid()
        (path / ".git" / "hooks").mkdir(parents=True)
        done = place.run(
            ["sh", "-c", "--privileged"],
            kind,
            workspace=path,
            files={"note": b"handed in"},
            env={"KEY": "a secret $x"},
        )
        _, image, line, *after = place.told()
        words = HELD.split()
        at = words.index("--shm-size")
        own, *others = OWN[kind]
        words[at:at] = ["--tmpfs", f"/tmp:{own}"]
        at = words.index("--pids-limit")
        words[at:at] = ["--user", f"{user}:{group}"]
        keep = ["--userns", "keep-id"] if kind == "podman" and os.geteuid() != 0 else []
        words += ["", *others, *keep, "--workdir", "/workspace"]
        for source, there in (
            ("", ""),
            ("/.git", "/.git"),
            ("/.git/hooks", "/.git/hooks,readonly"),
        ):
            words += ["--mount", f"type=bind,src={path}{source},dst=/workspace{there}"]
        assert image == ["image", "inspect", IMAGE, "--format", "{{json .Config.Volumes}}"]
        assert line[-4:] == [IMAGE, "sh", "-c", "--privileged"]
        name, label = line[2], line[4]
        assert line[:5] == ["create", "--name", name, "--label", label]
        assert label == f"octoplex.sandbox={os.stat('/proc/self/ns/pid').st_ino}"
        assert line[5 : 5 + len(words)] == words
        files, env, rules = line[5 + len(words) + 1 : -4 : 2]
        assert files.endswith(",dst=/files,readonly")
        assert (place.path / "modes").read_text() == "0o755 0o555"
        assert "secret" not in str(place.told())
        assert b"KEY=a secret $x\n" in (place.path / "variables").read_bytes()
        assert b"\nPATH=" not in b"\n" + (place.path / "variables").read_bytes()
        assert env.startswith("/proc/self/fd/")
        assert rules.startswith("seccomp=/proc/self/fd/")
        assert after[1] == ["start", "--attach", name]
        assert after[-2:] == [["kill", name], ["rm", "--force", "--volumes", name]]
        assert done.layers == (kind, "seccomp", "rlimits", "cgroup", "experimental")


def mounts(place: Place) -> list[str]:
    created = next(line for line in place.told() if line[0] == "create")
    return [word for before, word in pairwise(created) if before == "--mount"]


def test_parts_of_a_workspace_are_mounts_of_their_own(place: Place) -> None:
    with folder("user") as path:
        for name in ("in", "out", "out/.git"):
            (path / name).mkdir()
        place.run(["true"], workspace=Shown(path, reads=("in", "gone"), writes=("out",)))
        assert sorted(mounts(place)) == [
            f"type=bind,src={path}/in,dst=/workspace/in,readonly",
            f"type=bind,src={path}/out,dst=/workspace/out",
        ]


def test_what_is_protected_is_so_in_parts_that_may_be_written(place: Place) -> None:
    with folder("user") as path:
        for name in (".git/hooks", ".vs", ".vscode", ".idea"):
            (path / name).mkdir(parents=True)
        place.run(["true"], workspace=Shown(path, reads=(".idea",), writes=(".git", ".vs")))
        assert sorted(mounts(place)) == [
            f"type=bind,src={path}/.git,dst=/workspace/.git",
            f"type=bind,src={path}/.git/hooks,dst=/workspace/.git/hooks,readonly",
            f"type=bind,src={path}/.idea,dst=/workspace/.idea,readonly",
            f"type=bind,src={path}/.vs,dst=/workspace/.vs",
        ]


def test_what_stands_for_a_repository_is_not_written_or_followed(place: Place) -> None:
    with folder("user") as path:
        (path / ".git").write_text("gitdir: elsewhere")
        place.run(["true"], workspace=path)
        assert mounts(place)[1:] == [
            f"type=bind,src={path}/.git,dst=/workspace/.git,readonly",
        ]
    (place.path / "told").unlink()
    with folder("user") as path:
        (path / "real").mkdir()
        (path / ".git").symlink_to("real")
        place.run(["true"], workspace=path)
        assert len(mounts(place)) == 1


def test_a_folder_may_be_called_what_a_mount_is_made_of(place: Place) -> None:
    """The form is a line of comma-separated values, in which a name must not become fields."""
    with folder("user") as path:
        name = path / 'a,readonly=false,"b'
        name.mkdir()
        give(name, "user")
        place.run(["true"], workspace=name)
        quoted = str(name).replace('"', '""')
        assert mounts(place) == [f'type=bind,"src={quoted}",dst=/workspace']
        (path / "a\x1bb").mkdir()
        give(path / "a\x1bb", "user")
        with pytest.raises(InvalidCall, match="name that a container is not told"):
            place.run(["true"], workspace=path / "a\x1bb")


@pytest.mark.skipif(os.geteuid() != 0, reason="another's id is root's to give")
def test_no_program_of_root_is_root(place: Place) -> None:
    def user() -> list[int]:
        words = next(line for line in reversed(place.told()) if line[0] == "create")
        return list(map(int, words[words.index("--user") + 1].split(":")))

    place.run(["true"])
    assert min(user()) >= 0x6F000000
    with folder("user") as path:
        os.chown(path, USER, 0)
        place.run(["true"], workspace=path)
        assert user() == [USER, USER]


ENDS: Mapping[str, tuple[dict[str, Any], Limits, str, int]] = {
    "itself": ({"state": {"ExitCode": 3}, "status": 9}, LIMITS, "exited", 3),
    "memory": ({"state": {"ExitCode": 137, "OOMKilled": True}}, LIMITS, "memory", 137),
    "none of it": ({"state": {"OOMKilled": True}}, LIMITS, "exited", 0),
    "time": ({"takes": 100}, Limits(seconds=0.2), "time", 137),
    "output": ({"floods": True}, Limits(output=1000), "output", 137),
}


@pytest.mark.parametrize("what", ENDS)
def test_how_it_ended_is_told_and_nothing_is_left(place: Place, what: str) -> None:
    must, limits, outcome, status = ENDS[what]
    place.must(**must)
    done = place.run(["true"], limits=limits)
    assert (done.outcome, done.status) == (outcome, status)
    assert len(done.stdout) <= limits.output
    assert place.made == []


def test_a_cancelled_one_is_ended_before_its_client_and_removed(place: Place) -> None:
    """Podman's client starts the program: what it had half started stayed when it was killed."""
    place.must(takes=100, starts_slowly=2)

    async def cancelled() -> None:
        box = Sandbox(backend=Container("podman", IMAGE))
        task = asyncio.create_task(box.run(["true"], limits=LIMITS))
        while not (place.has_started or task.done()):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        assert place.made
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert place.made == []
    assert (place.path / "killed").read_text() == "attended"


def test_what_cannot_be_ended_is_not_waited_for(place: Place) -> None:
    place.must(takes=100, starts_slowly=99, status_of="exited")
    assert place.run(["true"], limits=Limits(seconds=0.2)).outcome == "time"
    assert len([line for line in place.told() if line[0] == "kill"]) == 2
    assert place.made == []


BROKEN: Mapping[str, dict[str, Any]] = {
    "docker ps: Cannot connect": {"fails": {"ps": "Cannot connect to the daemon"}},
    "docker image: No such image": {"fails": {"image": "No such image"}},
    "has volumes": {"volumes": {"/data": {}}},
    "docker create: no room": {"fails": {"create": "no room"}},
    "does not hold what it was told: Memory =": {"held": {"Memory": 0}},
    "does not hold what it was told: Privileged": {"held": {"Privileged": True}},
    "does not hold what it was told: MemorySwap": {"held": {"MemorySwap": -1}},
    "does not hold what it was told: PidsLimit": {"held": {"PidsLimit": None}},
    "does not hold what it was told: NetworkMode": {"held": {"NetworkMode": "bridge"}},
    "does not hold what it was told: ReadonlyRootfs": {"held": {"ReadonlyRootfs": False}},
    "docker start: no runtime": {"complains": "no runtime", "state": {"StartedAt": "0001-01-01T"}},
    "it ended before the program did": {"state": {"Status": "running"}},
    "docker does not answer": {"hangs": "create"},
}


@pytest.mark.parametrize("said", BROKEN)
def test_what_is_not_as_it_must_be_runs_nothing(
    place: Place, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "hangs" in BROKEN[said]:
        monkeypatch.setattr(client, "_ANSWER_S", 0.5)
    place.must(**BROKEN[said])
    with pytest.raises(BadConfig, match=said):
        place.run(["true"])
    assert place.made == []
    assert place.has_started == ("start" in said or "ended" in said)


def test_where_the_program_is_missing_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATH", str(tmp_path))
    box = Sandbox(backend=Container("docker", IMAGE), unsafe=True)
    with pytest.raises(BadConfig, match="needs docker, which is not installed"):
        asyncio.run(box.run(["touch", "/var/tmp/made"]))


def test_what_cannot_be_expressed_is_refused(place: Place) -> None:
    refused: list[tuple[type[GatewayError], str, dict[str, Any]]] = [
        (BadConfig, "has no network", {"network": Egress(["example.org"])}),
        (InvalidCall, "of one line", {"env": {"KEY": "a\nOTHER=b"}}),
        (InvalidCall, "of one line", {"env": {"KEY": "a\rOTHER=b"}}),
        (InvalidCall, "of one line", {"env": {"KEY": "x" * 65_540}}),
    ]
    for kind, said, wanted in refused:
        with pytest.raises(kind, match=said):
            place.run(["true"], **wanted)
    with pytest.raises(InvalidCall, match="UTF-8"):
        place.run(["\udcff"])
    for image in ("", "--privileged"):
        with pytest.raises(BadConfig, match="needs an image"):
            asyncio.run(Sandbox(backend=Container("docker", image)).run(["true"]))
    box = Sandbox(backend=Container("docker", IMAGE), tools=["/opt"])
    with pytest.raises(BadConfig, match="no tools of this machine"):
        asyncio.run(box.run(["true"]))
    if os.geteuid() == 0:
        with folder("root") as path, pytest.raises(InvalidCall, match="is root's"):
            place.run(["true"], workspace=path)
    assert all(line[0] in ("ps", "image") for line in place.told())


def test_what_another_left_behind_is_removed_and_what_runs_is_not(place: Place) -> None:
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    end = "-0123456789abcdef"
    ours = f"octoplex-{os.getpid()}-{client.begun(os.getpid())}{end}"
    left = [f"octoplex-{ended.pid}-12345{end}", f"octoplex-{os.getpid()}-1{end}"]
    others = [f"my-{left[0]}", f"{left[0]}-2", "octoplex-1-2", "somebodys"]
    (place.path / "made").write_text(" ".join([*left, ours, *others]))
    place.run(["true"])
    assert place.made == [ours, *others]
    label = f"label=octoplex.sandbox={os.stat('/proc/self/ns/pid').st_ino}"
    assert place.told()[0] == ["ps", "--all", "--filter", label, "--format", "{{.Names}}"]


def test_a_name_says_who_made_it(tmp_path: Path) -> None:
    """Also of a process whose own name looks as if it were over."""
    name = client.new_name()
    assert name.split("-")[1:3] == [str(os.getpid()), client.begun(os.getpid())]
    assert not list(client.abandoned([name]))
    assert list(client.abandoned([name.replace(str(os.getpid()), "0", 1)]))
    shutil.copy("/bin/sleep", tmp_path / "a) b 1 2")
    process = subprocess.Popen([tmp_path / "a) b 1 2", "30"])
    try:
        said = Path(f"/proc/{process.pid}/stat").read_text()
        assert client.begun(process.pid) == said[said.rindex(") ") + 2 :].split()[19]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("said", "is_logged"), [("No such container", False), ("busy", True)])
def test_what_may_still_be_there_is_said(
    place: Place, said: str, is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    place.must(fails={"rm": said})
    place.run(["true"])
    assert ("may still be there" in caplog.text) == is_logged


def verdict(name: str, *arguments: int) -> int:
    """What the profile says as the kernel would: the number of the error, or 0."""

    def holds(one: dict[str, int]) -> bool:
        return arguments[one["index"]] & one["value"] == one["valueTwo"]

    for rule in json.loads(profile())["syscalls"]:
        if name in rule["names"] and all(map(holds, rule["args"])):
            return int(rule["errnoRet"])
    return 0


def test_the_profile_decides_as_the_filter_does() -> None:
    assert {verdict(name) for name in REFUSED} == {1}
    assert {verdict(name) for name in ABSENT} == {38}
    refused: list[Any] = [
        *(("socket", family, 1, 0) for family in (0, 16, 17, 38, 40, 11, 3, 0xFFFFFFFF)),
        *(("ioctl", 0, word) for word in (0x5412, 0x541C, 0x541D, 0x5412 | 1 << 40)),
        ("clone", 0x10000000 | 17), ("clone", 0x8000), ("personality", 8), ("socketpair", 2),
        ("chmod", 0, 0o4755), ("fchmodat", 0, 0, 0o2755, 0), ("mknodat", 0, 0, 0o102755, 0),
        ("openat", 0, 0, 0o101, 0o4755), ("open", 0, 0x400000, 0o2755), ("creat", 0, 0o4000),
    ]  # fmt: skip
    allowed: list[Any] = [
        *(("socket", family, 1, 0) for family in (1, 2, 10)),
        ("ioctl", 0, 0x5413), ("clone", 0x11), ("personality", 0), ("personality", 0xFFFFFFFF),
        ("socketpair", 1), ("chmod", 0, 0o1755), ("openat", 0, 0, 0o101, 0o644),
        ("openat", 0, 0, 0, 0o4755), ("read", 0), ("mknodat", 0, 0, 0o100644, 0),
    ]  # fmt: skip
    for name, *arguments in refused:
        assert verdict(name, *arguments) == 1, (name, arguments)
    for name, *arguments in allowed:
        assert verdict(name, *arguments) == 0, (name, arguments)


def test_the_file_must_name_an_image() -> None:
    assert SandboxTable(backend="podman", image=IMAGE).image == IMAGE
    for wrong in ({}, {"image": "--privileged"}, {"image": IMAGE, "tools": ("/opt",)}):
        with pytest.raises(BadConfig, match="image"):
            SandboxTable(backend="docker", **wrong)


def test_the_shell_says_that_it_is_experimental(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "octoplex.toml"
    text = f'[server]\ndata = "{tmp_path}/data"\n'
    file.write_text(f'{text}[sandbox]\nbackend = "docker"\nimage = "{IMAGE}"\n')
    shown = CliRunner().invoke(layers, ["--config", str(file)])
    assert "experimental" in shown.output
    assert place.told()[-1][0] == "rm"
    looked = CliRunner().invoke(doctor, ["--config", str(file)])
    assert "note    sandbox      docker is experimental" in looked.output
