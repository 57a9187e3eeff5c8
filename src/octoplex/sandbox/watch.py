"""How much memory a tree of processes has, where no cgroup counts it.

Resident pages are cheap to ask for, but what processes share counts for each of them. Only when
that sum is too high are the pages themselves gone through, where a shared one is divided.

Some memory is no process's: shared pages that it let go, what waits in its sockets. So the
machine's own is looked at too, and a run ends while there is some left.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_PROC = Path("/proc")
_RESIDENT = ("RssAnon:", "RssShmem:", "VmSwap:")
_DIVIDED = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")
_SCARCE = 8
"""The machine has little memory when less than one part in so many is left."""


def free() -> int:
    """Bytes that this machine could still give, swap included."""
    return _bytes(_PROC / "meminfo", ("MemAvailable:", "SwapFree:"))


def is_scarce(before: int, most: int) -> bool:
    """Whether the machine has little left, and more than `most` less than `before`."""
    now = free()
    return before - now > most and now < _bytes(_PROC / "meminfo", ("MemTotal:",)) // _SCARCE


def exceeds(first: int, most: int) -> bool:
    """Whether this process and all below it have more than `most` bytes of their own."""
    tree = list(_tree(first))
    if sum(_bytes(place / "status", _RESIDENT) for place in tree) <= most:
        return False
    return sum(_divided(place) for place in tree) > most


def _tree(first: int) -> Iterator[Path]:
    waiting = [first]
    while waiting:
        place = _PROC / str(waiting.pop())
        yield place
        with contextlib.suppress(OSError):
            for task in (place / "task").iterdir():
                with contextlib.suppress(OSError):
                    waiting += map(int, (task / "children").read_text().split())


def _divided(place: Path) -> int:
    return _bytes(place / "smaps_rollup", _DIVIDED) or _bytes(place / "status", _RESIDENT)


def _bytes(path: Path, names: Iterable[str]) -> int:
    with contextlib.suppress(OSError):
        lines = (line for line in path.read_text().splitlines() if line.startswith(tuple(names)))
        return sum(int(line.split()[1]) * 1024 for line in lines)
    return 0
