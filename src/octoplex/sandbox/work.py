"""What is to be run, and what every way of running it needs."""

import contextlib
import fcntl
import os
import select
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from octoplex.sandbox import bubblewrap
from octoplex.sandbox.limits import Backend, Limits
from octoplex.sandbox.shown import Shown
from octoplex.wire.error import BadConfig, InvalidCall

Outcome = Literal["exited", "time", "memory", "output", "stopped"]
Tell = Callable[[int, bytes], None]
Met = Callable[[socket.socket], None]
_LOCK_S = 0.02


class Container(Struct, frozen=True):
    """What stands in the place of bubblewrap's walls: made of which image, and for a job in which
    namespace and by which context of `kubectl` ("" is its current one)."""

    backend: Backend
    image: str = ""
    namespace: str = ""
    context: str = ""


class Work(Struct, frozen=True, kw_only=True):
    """What is to be run.

    `tell` hears output as it comes, `met` is given the socket on which the inside asks for the
    network; both are called in the run's thread. Without `met` there is no network.
    `shown` says what there is of the workspace, where that is not all.
    """

    argv: Sequence[str]
    workspace: Path | None
    files: Mapping[str, bytes]
    env: Mapping[str, str]
    limits: Limits
    tools: Sequence[str] = ()
    tell: Tell | None = None
    met: Met | None = None
    stdin: int | None = None
    shown: Shown | None = None
    backend: Backend = "bubblewrap"
    image: str = ""
    namespace: str = ""
    context: str = ""


class End(Struct, frozen=True, kw_only=True):
    """How it ended. `begun` says that the launcher ran; `step` and `errno` are its failure."""

    outcome: Outcome
    status: int
    stdout: bytes
    stderr: bytes
    wall_s: float
    begun: bool
    step: int | None = None
    errno: int = 0


class Done(Struct, frozen=True, kw_only=True):
    """How it ended, in what, what it left behind that the host's tools would obey, and what of its
    workspace was not taken."""

    end: End
    layers: tuple[str, ...]
    planted: tuple[str, ...]
    left: tuple[str, ...] = ()


def judge(end: End, work: Work, steps: Sequence[str]) -> None:
    """Tell a sandbox that could not be built from a program that could not be started."""
    if end.outcome != "exited" or (end.begun and end.step is None):
        return
    why = os.strerror(end.errno)
    if end.step == len(steps):
        raise InvalidCall(f"{work.argv[0]} cannot be run in the sandbox: {why}.", param="argv")
    if end.step is not None:
        why = f"{steps[end.step]}: {why}"
    else:
        why = end.stderr.decode(errors="replace").strip() or f"bwrap ended with {end.status}"
    raise BadConfig(
        f"The sandbox cannot be built here ({why}); `octoplex sandbox layers` says more."
    )


def pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe whose two ends are closed with these."""
    read_fd, write_fd = os.pipe()
    reader.callback(os.close, read_fd)
    writer.callback(os.close, write_fd)
    return read_fd, write_fd


@contextlib.contextmanager
def alone(workspace: Path, stop_fd: int, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Wait until no other sandbox works in the folder, in one above it or in one below it.

    Another one could put a link where this one is about to bind. Those that only read share it.

    Raises:
        InvalidCall: it was stopped, or a link has come into its way.
    """
    with contextlib.ExitStack() as held:
        try:
            fd = _locked(workspace, how, stop_fd, held)
        except OSError as error:
            why = f"{workspace} cannot be opened: {error.strerror}."
            raise InvalidCall(why, param="workspace") from None
        owners = {os.geteuid(), os.fstat(fd).st_uid}
        for above in workspace.parents[:-1]:
            with contextlib.suppress(OSError):
                status = os.stat(above)
                # Others could hold what they may write to as well, and have us wait for ever.
                if status.st_uid in owners and not status.st_mode & stat.S_IWOTH:
                    _locked(above, fcntl.LOCK_SH, stop_fd, held)
        if not _is_at(fd, workspace):
            raise InvalidCall(f"{workspace} lies behind a link now.", param="workspace")
        yield


def _locked(folder: Path, how: int, stop_fd: int, held: contextlib.ExitStack) -> int:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    held.callback(os.close, fd)
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, how | fcntl.LOCK_NB)
            return fd
        if select.select([stop_fd], [], [], _LOCK_S)[0]:
            raise InvalidCall("It was stopped while it waited for the workspace.")


def _is_at(fd: int, place: Path) -> bool:
    """Whether this folder is the one that is found there, over no link."""
    return os.readlink(f"/proc/self/fd/{fd}") == str(place)


def program_of(work: Work) -> str:
    """What is run: a path as it is, a name where the inside would find it."""
    name = work.argv[0]
    if "/" in name:
        return name
    path = shutil.which(name, path=environment_of(work)["PATH"])
    if path is None:
        raise InvalidCall(f"{name} is not a program that the sandbox has.", param="argv")
    return path


def environment_of(work: Work) -> dict[str, str]:
    """What the sandbox sets, and what was given."""
    path = ":".join([*(f"{tool}/bin" for tool in work.tools), bubblewrap.PATH])
    own = {
        "PATH": path,
        "HOME": bubblewrap.TMP,
        "TMPDIR": bubblewrap.TMP,
        "LANG": "C.UTF-8",
        "USER": "sandbox",
    }
    if work.met is not None:
        proxy = f"http://127.0.0.1:{bubblewrap.PROXY_PORT}"
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            own |= {name: proxy, name.upper(): proxy}
        own |= {"no_proxy": "localhost,127.0.0.1", "NO_PROXY": "localhost,127.0.0.1"}
    return own | dict(work.env)
