"""A control group for one run: its processes and its memory, counted by the kernel.

It is made below the group that this process is in, so that what binds us binds the sandbox too;
under version 2, where a group with processes has no children that count, beside it if that place
is ours. Both versions are looked at, because machines have either or both.

Where none can be made (an ordinary user without delegation), `make` gives None and the caller
limits by other means.

Not promised: version 2 could not be run while this was written.

References: cgroups(7), the kernel's `admin-guide/cgroup-v1` and `cgroup-v2`.
"""

import contextlib
import os
import re
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from octoplex.sandbox.limits import Limits

_ROOT = Path("/sys/fs/cgroup")
_GONE_S = 2.0
_NAME = re.compile(r"octoplex-(\d+)-[0-9a-f]+")
_OWN = 3
"""Tasks of ours that are in the group too: bubblewrap, its first process inside, our thread."""


class Group:
    """The folders of one run, one for each hierarchy."""

    __slots__ = ("_events", "_folders", "_is_unified")

    def __init__(self, folders: list[Path], events: tuple[Path, str], is_unified: bool) -> None:
        self._folders, self._events, self._is_unified = folders, events, is_unified

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """What this thread starts meanwhile begins inside, where a thread may go in by itself.

        Moving oneself takes no lock; moving another process waits for all processors.
        """
        if self._is_unified:
            yield
            return
        with contextlib.ExitStack() as files:
            # Opened before: inside, a small limit may leave the kernel no memory to open the way
            # out, and what this thread then says to its loop is lost as well.
            outside, inside = (
                [files.enter_context((place / "tasks").open("wb", 0)) for place in places]
                for places in ([one.parent for one in self._folders], self._folders)
            )
            try:
                for tasks in inside:
                    tasks.write(b"0")
                yield
            finally:
                for tasks in outside:
                    tasks.write(b"0")

    def take(self, pid: int) -> None:
        """Put a process in that was not started inside, with all that it will start."""
        if self._is_unified:
            (self._folders[0] / "cgroup.procs").write_text(str(pid))

    def ran_out(self) -> bool:
        """Whether the kernel ended a process because the memory was used up."""
        path, name = self._events
        with contextlib.suppress(OSError):
            lines = (line.split() for line in path.read_text().splitlines())
            return any(line[0] == name and line[1] != "0" for line in lines)
        return False

    def remove(self) -> None:
        """Remove the folders; the last processes may still be on their way out."""
        end = time.monotonic() + _GONE_S
        for folder in self._folders:
            while True:
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() > end:
                        break
                    time.sleep(0.001)


def make(limits: Limits) -> Group | None:
    """A new group with these limits, or None where this process may not make one."""
    name = f"octoplex-{os.getpid()}-{secrets.token_hex(4)}"
    own = _own()
    return _unified(own, name, limits) or _separate(own, name, limits)


def _own() -> dict[str, str]:
    """Controller ("" for version 2) to the group that this process is in."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            found |= {one: path.lstrip("/") for one in controllers.split(",")}
    return found


def _unified(own: dict[str, str], name: str, limits: Limits) -> Group | None:
    if "" not in own:
        return None
    mounted = _ROOT if (_ROOT / "cgroup.controllers").exists() else _ROOT / "unified"
    here = mounted / own[""]
    for place in (here, here.parent) if own[""] else (here,):
        with _undone(folder := place / name):
            _sweep(place)
            folder.mkdir()
            (folder / "memory.max").write_text(str(limits.memory))
            (folder / "pids.max").write_text(str(limits.processes + _OWN))
            for more, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
                with contextlib.suppress(OSError):
                    (folder / more).write_text(value)
            return Group([folder], (folder / "memory.events", "oom_kill"), True)
    return None


def _separate(own: dict[str, str], name: str, limits: Limits) -> Group | None:
    if not {"memory", "pids"} <= set(own):
        return None
    memory, pids = (_ROOT / one / own[one] / name for one in ("memory", "pids"))
    with _undone(memory, pids):
        _sweep(memory.parent, pids.parent)
        memory.mkdir()
        pids.mkdir()
        (memory / "memory.limit_in_bytes").write_text(str(limits.memory))
        with contextlib.suppress(OSError):
            (memory / "memory.memsw.limit_in_bytes").write_text(str(limits.memory))
        (pids / "pids.max").write_text(str(limits.processes + _OWN))
        return Group([memory, pids], (memory / "memory.oom_control", "oom_kill"), False)
    return None


def _sweep(*places: Path) -> None:
    """End and remove what a process has left here that was killed.

    Killed just while bubblewrap starts, it leaves a process that waits for bubblewrap for ever.
    """
    for place in places:
        for name in os.listdir(place):
            match = _NAME.fullmatch(name)
            if match and not os.path.exists(f"/proc/{match[1]}"):
                with contextlib.suppress(OSError):
                    for left in (place / name / "cgroup.procs").read_text().split():
                        os.kill(int(left), signal.SIGKILL)
                with contextlib.suppress(OSError):
                    (place / name).rmdir()


@contextlib.contextmanager
def _undone(*folders: Path) -> Iterator[None]:
    """What cannot be made whole is taken away again."""
    try:
        yield
    except OSError:
        for folder in folders:
            with contextlib.suppress(OSError):
                folder.rmdir()
