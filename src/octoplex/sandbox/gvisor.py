"""A kernel of its own for the program: gVisor's `runsc`, inside bubblewrap's walls.

    [sandbox]
    backend = "gvisor"

The walls stand as ever (`bubblewrap.py`); what runs in them is not the program but gVisor, which
answers the program's system calls itself, and passes on files of the walls alone. Calls that could
harm this machine's kernel do not reach it: gVisor makes few, as nobody, in an empty folder, behind
a filter of its own (`--rootless`: with the rights of a namespace that owns nothing).

So landlock is not there, nor most of our filter: gVisor mounts and makes namespaces before it
shuts itself in. What a file of the workspace may be stays ours to refuse (`seccomp.hosting`), for
gVisor lets its root set any bit. It counts processes and the size of files itself; `/tmp` and
memory are counted as ever.

References: gvisor.dev/docs; the OCI runtime specification, `config.md`.

Not promised: speed (`ptrace` is the platform that works everywhere: 0.2 s to start, and system
calls cost 40 us and more), and what this gVisor does not know: Debian's, of 2022, knows no
`AT_NO_AUTOMOUNT`, without which `ls` and `stat` of coreutils 9 fail.
"""

import resource
import shutil

import msgspec
from msgspec.structs import replace

from octoplex.sandbox import bounds, bubblewrap, seccomp
from octoplex.sandbox.bubblewrap import INSIDE, PATH, SHM, TMP, Inside
from octoplex.sandbox.launcher import Launcher
from octoplex.sandbox.limits import Limits
from octoplex.sandbox.syscalls import machine
from octoplex.sandbox.work import End
from octoplex.wire.error import BadConfig, InvalidCall

_OWN = "/run/octoplex"
_FAILED = 128
_FAILURE = b"running container: "
_NO_PROGRAM = (b"failed to load", b"error finding executable")
MISSING = '[sandbox] backend = "gvisor" needs runsc, which is not installed: apt install runsc.'
UNCOUNTED = (
    'The memory of [sandbox] backend = "gvisor" can be counted by a control group only, and none '
    "can be made here: start octoplex as root, or in a group that is delegated to its user."
)
_TASKS = 512
"""Threads of gVisor itself, which count for the kernel as ours do."""


def found() -> str | None:
    """Where runsc is; not where the caller's PATH may say."""
    return shutil.which("runsc", path=PATH)


def counted(limits: Limits) -> Limits:
    """What all of it together may use: a process of the inside has one outside, and threads of
    gVisor's that serve it."""
    return replace(limits, processes=4 * limits.processes + _TASKS)


def hosting(inside: Inside, config: int, *, has_network: bool) -> Inside:
    """The same, where gVisor runs the program as `config`, a descriptor, says.

    With a network gVisor sees that of the walls: a proxy and nothing else. No variable of the
    program's is one of gVisor's.
    """
    argv = [
        found() or "", "--root", _OWN, "--platform=ptrace", "--ignore-cgroups", "--rootless",
        "--file-access=shared", f"--network={'host' if has_network else 'none'}",
        "run", "--bundle", _OWN, "inside",
    ]  # fmt: skip
    room = ["--perms", "0700", "--size", "16777216", "--tmpfs", _OWN]
    room += ["--perms", "0400", "--ro-bind-data", str(config), f"{_OWN}/config.json"]
    return replace(inside, argv=argv, env={}, room=room, passed=(config,))


def config(inside: Inside) -> bytes:
    """What gVisor is told to run, as an OCI `config.json`.

    Raises:
        InvalidCall: a word is no UTF-8.
    """
    try:
        return msgspec.json.encode(_config(inside))
    except UnicodeEncodeError:
        raise InvalidCall("gVisor takes words and variables in UTF-8 only.", param="argv") from None


def _config(inside: Inside) -> dict[str, object]:
    limits = inside.limits
    most = {"NPROC": limits.processes, "FSIZE": limits.disk, "NOFILE": 4096, "CORE": 0}
    size = f"size={limits.disk}"
    return {
        "ociVersion": "1.0.2",
        "hostname": "sandbox",
        "root": {"path": "/", "readonly": False},
        "process": {
            "args": list(inside.argv),
            "env": [f"{name}={value}" for name, value in inside.env.items()],
            "cwd": INSIDE if inside.workspace else TMP,
            "user": {"uid": 0, "gid": 0},
            "capabilities": {},
            "noNewPrivileges": True,
            "rlimits": [
                {"type": f"RLIMIT_{name}", "hard": value, "soft": value}
                for name, value in most.items()
            ],
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": TMP, "type": "bind", "source": TMP, "options": ["rw"]},
            _empty(SHM, size, "mode=1777"),
            _empty("/run", "size=4k", "mode=0555"),
        ],
        "linux": {"namespaces": [{"type": n} for n in ("pid", "ipc", "uts", "mount")]},
    }


def _empty(place: str, *options: str) -> dict[str, object]:
    return {"destination": place, "type": "tmpfs", "source": "none", "options": list(options)}


def prepared(inside: Inside, report_fd: int, door_fd: int | None) -> Launcher:
    """The launcher of gVisor."""
    launch = bubblewrap.begun(inside, report_fd, door_fd, 0)
    most = counted(inside.limits).processes
    bounds.hold(launch, {resource.RLIMIT_NPROC: most, resource.RLIMIT_CORE: 0})
    bounds.bow(launch, None, seccomp.hosting(machine()))
    return launch


def judge(end: End, program: str) -> None:
    """Tell what gVisor could not do from what the program did.

    A program that says the same words and ends the same way is taken at its word.

    Raises:
        InvalidCall: there is no such program inside.
        BadConfig: gVisor does not run here.
    """
    _, said, why = end.stderr.rpartition(_FAILURE)
    if end.status != _FAILED or not said:
        return
    if any(words in why for words in _NO_PROGRAM):
        raise InvalidCall(f"{program} cannot be run in the sandbox.", param="argv")
    raise BadConfig(f"gVisor does not run here: {why.decode(errors='replace').strip()[:300]}.")
