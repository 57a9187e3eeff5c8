"""The programs by which others run ours: `docker`, `podman`, `kubectl`.

What is made there has a name that says which process of which start of it made it, so that the
next Octoplex knows what nobody waits for any more:

    octoplex-PID-TICKS-RANDOM
"""

import contextlib
import json
import os
import pwd
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from octoplex.sandbox.bubblewrap import PATH
from octoplex.sandbox.job import Job, Start
from octoplex.sandbox.work import End, Work, pipe
from octoplex.wire.error import BadConfig, InvalidCall

LABEL = "octoplex.sandbox"
_ANSWER_S = 30.0
_UNWATCHED = 1 << 50
"""The container counts its memory; that of the client beside it is not the program's."""
_NAME = re.compile(r"octoplex-(\d{1,10})-(\d{1,20})-[0-9a-f]{16}")


class Client(Struct, frozen=True):
    """The program that speaks to whoever makes containers, or is it. It obeys none of our
    variables. `options` stand before all that it is told."""

    kind: str
    path: str
    options: tuple[str, ...] = ()

    def command(self, *words: str) -> list[str]:
        return [self.path, *self.options, *words]

    @property
    def env(self) -> dict[str, str]:
        env = {"PATH": PATH, "HOME": "/", "DOCKER_CONFIG": "/nonexistent"}
        if self.kind == "kubectl" or (self.kind == "podman" and os.geteuid() != 0):
            account = pwd.getpwuid(os.geteuid())
            env |= {"HOME": account.pw_dir, "XDG_RUNTIME_DIR": f"/run/user/{account.pw_uid}"}
        return env

    def ask(self, *words: str, told: bytes = b"", passed: Sequence[int] = ()) -> str:
        """What it says. `told` is what it reads.

        Raises:
            BadConfig: it failed, or does not answer.
        """
        try:
            said = subprocess.run(
                self.command(*words),
                env=self.env,
                cwd="/",
                input=told,
                capture_output=True,
                check=False,
                timeout=_ANSWER_S,
                pass_fds=passed,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise BadConfig(f"{self.kind} does not answer.") from None
        except OSError as error:
            raise BadConfig(f"{self.kind} cannot be run: {error.strerror}.") from None
        if said.returncode:
            raise BadConfig(f"{self.kind} {words[0]}: {short(said.stderr)}")
        return said.stdout.decode(errors="replace")

    def read(self, *words: str, told: bytes = b"") -> Any:
        """What it says, as JSON."""
        try:
            return json.loads(self.ask(*words, told=told))
        except ValueError:
            raise BadConfig(f"{self.kind} {words[0]}: it says what is no JSON.") from None

    def seen(self, what: str, *words: str) -> Any:
        """A part of what Docker or Podman knows of a container or an image."""
        return self.read(*words, "--format", f"{{{{json {what}}}}}")


def client_of(work: Work, program: str) -> Client:
    """The client for this work.

    Raises:
        BadConfig: it is not there, or the work asks for what no container has as the walls have it.
        InvalidCall: a word cannot be said.
    """
    path = shutil.which(program, path=PATH)
    if path is None:
        raise BadConfig(
            f'[sandbox] backend = "{work.backend}" needs {program}, which is not installed.'
        )
    if not work.image or work.image.startswith("-"):
        raise BadConfig(f'[sandbox] backend = "{work.backend}" needs an image.')
    if work.met is not None:
        raise BadConfig(
            f'[sandbox] backend = "{work.backend}" has no network: the proxy that lets some '
            "hosts through cannot be reached from a container."
        )
    if work.tools:
        raise BadConfig(
            f'[sandbox] backend = "{work.backend}" shows no tools of this machine: put them into '
            "the image."
        )
    try:
        "".join(work.argv).encode()
    except UnicodeEncodeError:
        raise InvalidCall("A container takes words in UTF-8 only.", param="argv") from None
    return Client(program, path)


class Words(Struct, frozen=True):
    """What a client is told, and given; `end` is called before it must end."""

    words: Sequence[str]
    passed: tuple[int, ...] = ()
    end: Callable[[], None] | None = None


def attended(client: Client, told: Words, work: Work, stop_fd: int) -> End:
    """Run the program by these words of the client, until the client ends or must."""
    with contextlib.ExitStack() as ours:
        report_fd, _ = pipe(ours, ours)
        start = Start(
            work=replace(work, limits=replace(work.limits, memory=_UNWATCHED)),
            argv=client.command(*told.words),
            passed=told.passed,
            group=None,
            told_fd=None,
            go_fd=None,
            report_fd=report_fd,
            stop_fd=stop_fd,
            env=client.env,
            cwd="/",
            end=told.end,
        )
        try:
            return Job(start).run()
        except OSError as error:
            raise BadConfig(f"{client.kind} cannot be run: {error.strerror}.") from None


def new_name() -> str:
    """A name for what is made now."""
    return f"octoplex-{os.getpid()}-{begun(os.getpid())}-{secrets.token_hex(8)}"


def abandoned(names: Iterable[str]) -> Iterator[str]:
    """Those that a process made which is no more. What has another name is not ours."""
    for name in names:
        made = _NAME.fullmatch(name)
        if made and begun(int(made[1])) != made[2]:
            yield name


def begun(pid: int) -> str:
    """When a process began, in ticks since the start of the machine; "" if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def namespace() -> str:
    """Whose numbers ours are: those of other containers' processes say nothing to us."""
    return str(os.stat("/proc/self/ns/pid").st_ino)


def short(said: bytes) -> str:
    """What a program complained of, cut."""
    return said.decode(errors="replace").strip()[:400] or "it says nothing"
