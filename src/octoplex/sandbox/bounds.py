"""What the kernel itself holds a program to, set by the launcher just before it becomes it."""

import resource
import struct
from collections.abc import Iterable, Mapping

from octoplex.sandbox import landlock
from octoplex.sandbox.launcher import Launcher
from octoplex.sandbox.limits import Limits
from octoplex.sandbox.syscalls import machine

_CLOEXEC_ALL = 4
_NO_NEW_PRIVILEGES = 38


def limit(launch: Launcher, limits: Limits, counted: bool) -> None:
    """Set what each process may use."""
    most = {
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_FSIZE: limits.disk,
        resource.RLIMIT_NOFILE: 4096,
        resource.RLIMIT_MEMLOCK: 65_536,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MSGQUEUE: 65_536,
    }
    if not counted:
        most[resource.RLIMIT_DATA] = limits.memory
    hold(launch, most)


def hold(launch: Launcher, most: Mapping[int, int]) -> None:
    """Set these limits, and have every descriptor but the first three closed."""
    for kind, value in most.items():
        launch.call("prlimit64", 0, kind, launch.data(struct.pack("<QQ", value, value)), 0)
    launch.call("close_range", 3, 0xFFFFFFFF, _CLOEXEC_ALL)


def bow(launch: Launcher, trees: Iterable[tuple[str, int]] | None, code: bytes) -> None:
    """Give up what lies outside of these trees, if any, then the calls that the filter refuses."""
    launch.call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if trees is not None and (version := landlock.abi(machine())):
        landlock.fence(launch, version, trees)
    rules = launch.data(code)
    launch.call("seccomp", 1, 0, launch.data(struct.pack("<QQ", len(code) // 8, rules.address)))
