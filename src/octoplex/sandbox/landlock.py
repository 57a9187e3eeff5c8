"""Landlock: the second wall around files, by the kernel's own rules about paths.

The first wall is what is mounted. Should something be mounted that should not be, or a hole
appear in the first, this one still says which trees may be read, run and written. It also cuts
signals and abstract sockets off from everything outside (since Linux 6.12).

References: landlock(7), `linux/landlock.h`.
"""

import ctypes
import struct
from collections.abc import Callable, Iterable
from functools import cache

from octoplex.sandbox.launcher import At, Held, Launcher
from octoplex.sandbox.syscalls import numbers

_EXECUTE, _WRITE, _READ, LIST = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_MAKE_DEVICES = 1 << 6 | 1 << 11
_SCOPES = 0b11
"""Abstract Unix sockets and signals."""
_PATH_BENEATH = 1
_O_PATH, _CWD = 0o10000000, -100
_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}

LOOK = _READ | LIST
RUN = LOOK | _EXECUTE
USE = LOOK | _WRITE | _TRUNCATE | _IOCTL
OWN = ((1 << 16) - 1) & ~_MAKE_DEVICES
"""Everything but making devices."""
OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL
"""What may be said of a path that is no folder."""


@cache
def abi(machine: str) -> int:
    """The version that this kernel has, 0 for none."""
    ask: Callable[..., int] = ctypes.CDLL(None, use_errno=True).syscall
    return max(0, ask(numbers(machine)["landlock_create_ruleset"], None, 0, 1))


def fence(launch: Launcher, version: int, trees: Iterable[tuple[str, int]]) -> None:
    """Let the launcher bind itself: below each path these rights, elsewhere none at all.

    A path is looked up when the launcher runs, where it runs.
    """
    handled = _ALL_BY_ABI[max(v for v in _ALL_BY_ABI if v <= version)]
    scopes = _SCOPES if version >= 6 else 0
    # Older kernels know a shorter structure: what they lack must not be there.
    words = (handled, 0, scopes) if version >= 6 else (handled,)
    wanted = launch.data(struct.pack(f"<{len(words)}Q", *words))
    rules = launch.word()
    launch.call("landlock_create_ruleset", wanted, 8 * len(words), 0, keep=rules)
    for path, rights in trees:
        beneath = launch.data(struct.pack("<Qi", rights & handled, 0))
        place = At(beneath.offset + 8)
        launch.call("openat", _CWD, launch.text(path), _O_PATH, 0, keep=place)
        launch.call("landlock_add_rule", Held(rules), _PATH_BENEATH, beneath, 0)
        launch.call("close", Held(place))
    launch.call("landlock_restrict_self", Held(rules), 0)
