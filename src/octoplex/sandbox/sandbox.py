"""The door: run a program where it can harm nothing but the folder it was given.

    result = await Sandbox().run(["python3", "-c", "print(6 * 7)"])
    result.stdout                                   b"42\\n"

`argv` is what is run, word by word; no shell looks at it. Everything not granted is refused, and
what cannot be built ends the run before the program begins: there is no quiet way down. Whoever
cancels the call ends every process of the run.

The layers, what stops what, and what is not promised: docs/guides/sandbox.md.
"""

import asyncio
import logging
import os
import pwd
import re
import socket
import stat
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import asdict, replace

from octoplex.sandbox.containers import contained
from octoplex.sandbox.egress import Egress
from octoplex.sandbox.fenced import bare, fenced
from octoplex.sandbox.kubernetes import clustered
from octoplex.sandbox.limits import Backend, Limits
from octoplex.sandbox.shown import Shown
from octoplex.sandbox.walled import walled
from octoplex.sandbox.work import Container, Done, Outcome, Tell, Work
from octoplex.wire.error import BadConfig, InvalidCall

log = logging.getLogger(__name__)
Run = Callable[[Work, int], Done]
_RUNS: Mapping[str, Run] = MappingProxyType(
    {"docker": contained, "podman": contained, "kubernetes": clustered}
)
_MOST_FILES = 256
_MOST_WORDS, _LONGEST, _MOST_BYTES = 8192, 128 * 1024 - 1, 1 << 20
"""What bubblewrap and the kernel take: words, bytes of one, bytes of all."""
_SYSTEM = ("/boot", "/etc", "/proc", "/sys", "/usr/bin", "/usr/sbin", "/usr/lib")
_SHARED = ("/dev", "/run", "/tmp", "/var", "/var/tmp")  # nosec B108 - they are refused
"""No workspaces: these with all below and above, and these alone."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


class Result(Struct, frozen=True, kw_only=True):
    """How a run ended.

    `outcome` says what ended it: itself ("exited"), a limit, or the caller. `status` is the
    program's; 128 and the signal's number if one ended it. `planted` are names that were not in
    the workspace before and that the host's own tools obey; `refused` what it asked of the network
    in vain; `left` what a job wrote in its workspace and this machine's does not have.
    """

    outcome: Outcome
    status: int
    stdout: bytes
    stderr: bytes
    wall_s: float
    layers: tuple[str, ...]
    planted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class Sandbox:
    """Runs programs. One object may run many at a time; it keeps nothing between them."""

    __slots__ = ("_container", "_stdin", "_tell", "_tools", "_unsafe")

    def __init__(
        self,
        *,
        tools: Sequence[str] = (),
        unsafe: bool = False,
        stdin: int | None = None,
        tell: Tell | None = None,
        backend: Backend | Container = "bubblewrap",
    ) -> None:
        """`tools` are folders shown read-only beside `/usr`; `tell` hears output as it comes, and
        must not wait: the run's clock would stand still.

        `stdin` is a pipe that programs read. `unsafe` runs them bare where no sandbox can be built.
        `backend` "gvisor" puts a kernel of its own between the program and the walls; a
        `Container` stands in their place.

        Raises:
            InvalidCall: `stdin` is no pipe. A file of the host could be opened anew, to be written.
        """
        if stdin is not None and not stat.S_ISFIFO(os.fstat(stdin).st_mode):
            raise InvalidCall("What a program in the sandbox reads must be a pipe.", param="stdin")
        self._tools, self._unsafe = tuple(tools), unsafe
        self._stdin, self._tell = stdin, tell
        self._container = backend if isinstance(backend, Container) else Container(backend)

    async def run(
        self,
        argv: Sequence[str],
        *,
        workspace: str | Path | Shown | None = None,
        files: Mapping[str, bytes] | None = None,
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        network: Sequence[str] | Egress = (),
    ) -> Result:
        """Run a program to its end.

        `workspace` becomes its working directory, readable and writable, or as much of it as is
        `Shown`; `files` lie below /files, read-only; `network` are the hosts it may reach, by HTTP
        and HTTPS.

        Raises:
            InvalidCall: argv, a name or the workspace cannot be used.
            BadConfig: no sandbox can be built here; says why.
        """
        shown = workspace if isinstance(workspace, Shown) else None
        folder = workspace.path if isinstance(workspace, Shown) else workspace
        work = Work(
            argv=_words(argv),
            workspace=_folder(folder),
            files=_named(files or {}),
            env=_variables(env or {}),
            limits=limits or Limits(),
            tools=self._tools,
            stdin=self._stdin,
            tell=self._tell,
            shown=None if shown is None or shown.is_whole else shown,
            **asdict(self._container),
        )
        egress = network if isinstance(network, Egress) else Egress(network) if network else None
        done = await self._done(work, egress)
        end = done.end
        status = 128 - end.status if end.status < 0 else end.status
        return Result(
            outcome=end.outcome,
            status=status,
            stdout=end.stdout,
            stderr=end.stderr,
            wall_s=end.wall_s,
            layers=done.layers,
            planted=done.planted,
            left=done.left,
            refused=tuple(egress.refused) if egress else (),
        )

    async def _done(self, work: Work, egress: Egress | None) -> Done:
        """Run it in the strongest sandbox that can be built here, or not at all.

        Only what is missing on this machine leads to a weaker one, never what was asked for: else
        a limit too small to start in would be a way around the walls. Nothing weaker stands in
        the place of a backend that was asked for.
        """
        try:
            return await _connected(work, egress, _RUNS.get(work.backend, walled))
        except BadConfig as error:
            if work.backend != "bubblewrap":
                raise
            why = error
        if await _has_walls():
            raise why
        try:
            done = await _connected(work, egress, fenced)
        except BadConfig as error:
            if not self._unsafe:
                raise BadConfig(f"{why} {error}") from None
        else:
            log.warning("%s ran behind landlock alone. %s", work.argv[0], why)
            return done
        log.warning("%s runs WITHOUT a sandbox: unsafe = true. %s", work.argv[0], why)
        return await _connected(work, egress, bare)


async def _has_walls() -> bool:
    """Whether the least of programs runs here in bubblewrap's walls."""
    least = Work(argv=["true"], workspace=None, files={}, env={}, limits=Limits())
    try:
        await _threaded(least, walled)
    except BadConfig:
        return False
    return True


async def _connected(work: Work, egress: Egress | None, run: Run) -> Done:
    """Run it beside the proxy that it may use."""
    if egress is None:
        return await _threaded(work, run)
    loop = asyncio.get_running_loop()

    def met(listener: socket.socket) -> None:
        loop.call_soon_threadsafe(egress.begin, listener)

    try:
        return await _threaded(replace(work, met=met), run)
    finally:
        await egress.close()


async def _threaded(work: Work, run: Run) -> Done:
    """Give the run a thread of its own, which ends with it, also when we are cancelled."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Done] = loop.create_future()
    stop_fd, stopping_fd = os.pipe()

    def give(found: Done | BaseException) -> None:
        if done.cancelled():
            return
        if isinstance(found, Done):
            done.set_result(found)
        else:
            done.set_exception(found)

    def whole() -> None:
        found: Done | BaseException
        try:
            found = run(work, stop_fd)
        except BaseException as error:  # noqa: BLE001 - it is the caller's, who waits for it
            found = error
        loop.call_soon_threadsafe(give, found)

    thread = threading.Thread(target=whole, name="octoplex-sandbox")
    thread.start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        done.cancel()
        os.close(stopping_fd)
        stopping_fd = -1
        await asyncio.to_thread(thread.join)  # nothing of it is left when the caller goes on
        raise
    finally:
        if stopping_fd >= 0:
            os.close(stopping_fd)
        thread.join()
        os.close(stop_fd)


def _words(argv: Sequence[str]) -> list[str]:
    if isinstance(argv, str) or not argv or not argv[0]:
        raise InvalidCall("argv must be the program and its words, as a list.", param="argv")
    if not all(map(_is_word, argv)):
        raise InvalidCall("A word of argv has a NUL in it, or is no text.", param="argv")
    if len(argv) > _MOST_WORDS or not _fit(argv):
        raise InvalidCall(
            f"argv is too long: at most {_MOST_WORDS:,} words, {_LONGEST:,} bytes in each, "
            f"{_MOST_BYTES:,} in all.",
            param="argv",
        )
    return list(argv)


def _is_word(text: str) -> bool:
    """Whether the kernel can be given it."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def _fit(words: Iterable[str]) -> bool:
    sizes = [len(os.fsencode(word)) for word in words]
    return sum(sizes) <= _MOST_BYTES and max(sizes, default=0) <= _LONGEST


def _folder(workspace: str | Path | None) -> Path | None:
    if workspace is None:
        return None
    if not str(workspace) or not _is_word(str(workspace)):
        raise InvalidCall("The workspace has no name that a folder can have.", param="workspace")
    path = Path(os.path.realpath(workspace))
    if not path.is_dir():
        raise InvalidCall(f"{workspace} is not a folder.", param="workspace")
    if _home().is_relative_to(path):
        raise InvalidCall(
            f"{path} holds a home folder, and so keys that a program would see; give it a folder "
            "of its own.",
            param="workspace",
        )
    if str(path) in _SHARED or any(
        path.is_relative_to(one) or Path(one).is_relative_to(path) for one in _SYSTEM
    ):
        raise InvalidCall(
            f"{path} is a folder of the system; give it one of its own.", param="workspace"
        )
    return path


def _home() -> Path:
    """Where the keys of whoever starts programs lie."""
    try:
        return Path(os.path.realpath(pwd.getpwuid(os.geteuid()).pw_dir))
    except KeyError:  # a user that only the kernel knows
        return Path("/")


def _named(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    for name in files:
        if not _FILE.fullmatch(name):
            raise InvalidCall(f'"{name[:60]}" is not a plain name for a file.', param="files")
    if len(files) > _MOST_FILES:
        raise InvalidCall(f"At most {_MOST_FILES} files may be handed in.", param="files")
    return files


def _variables(env: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name) or not _is_word(value):
            raise InvalidCall(f'"{name[:60]}" is not a variable that can be set.', param="env")
    if len(env) > _MOST_FILES or not _fit(f"{name}={value}" for name, value in env.items()):
        raise InvalidCall("The variables are too many or too long.", param="env")
    return env
