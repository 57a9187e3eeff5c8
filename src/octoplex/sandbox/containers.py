"""A container for the program, made by Docker or Podman.

    [sandbox]
    backend = "podman"
    image = "docker.io/library/python:3.12-slim"

The program finds the image's files, read-only, an empty `/tmp`, `/workspace` and `/files`; it has
no network, no capability and no way to new ones, our filter of system calls (`profile.py`), and an
environment of what is given and what the image says. The container is made, looked at and only
then started: what its daemon says it holds must be what was asked for. It is removed whatever
happens; what another Octoplex left that died is removed before the first run of the next.

References: docs.docker.com/reference/cli/docker/container/create; podman-create(1).

Not promised: `/tmp` of Podman has no limit of files, which it cannot be told, but memory holds it.
"""

import contextlib
import csv
import io
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from fcntl import LOCK_EX
from functools import cache, partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from octoplex.sandbox import bubblewrap
from octoplex.sandbox.bubblewrap import FILES, INSIDE, TMP
from octoplex.sandbox.client import (
    LABEL,
    Client,
    Words,
    abandoned,
    attended,
    client_of,
    namespace,
    new_name,
    short,
)
from octoplex.sandbox.lent import nobodys_id
from octoplex.sandbox.limits import Limits
from octoplex.sandbox.memory_file import memory_file
from octoplex.sandbox.profile import profile
from octoplex.sandbox.work import Done, End, Work, alone, environment_of
from octoplex.wire.error import BadConfig, InvalidCall

log = logging.getLogger(__name__)
KINDS = ("docker", "podman")
_MANY = 4096
"""Open files of a process; and processes of a user, who may have others than these."""
_LINE = 65_535
"""What both read of a line of variables."""
_WAITS = ("created", "configured", "initialized")
_BEGIN_S = 5.0
"""How long an end waits for a start."""
_NEVER = "0001-01-01"
_GONE = ("no such container", "no container with")


def contained(work: Work, stop_fd: int) -> Done:
    """Run in a container, until the end or until `stop_fd` can be read.

    Raises:
        BadConfig: it cannot be had as it must be.
        InvalidCall: what is asked for cannot be expressed.
    """
    client = client_of(work, work.backend)
    swept(client)
    if client.seen(".Config.Volumes", "image", "inspect", work.image):
        raise BadConfig(f"The image {work.image} has volumes, which could be written without end.")
    with contextlib.ExitStack() as owned:
        workspace = work.workspace
        if workspace is not None:
            owned.enter_context(alone(workspace, stop_fd, LOCK_EX))
        words = [*_walls(client, work), *_places(work, owned)]
        env = owned.enter_context(memory_file(_variables(work)))
        rules = owned.enter_context(memory_file(profile()))
        words += ["--env-file", f"/proc/self/fd/{env}"]
        words += ["--security-opt", f"seccomp=/proc/self/fd/{rules}"]
        name = new_name()
        owned.callback(_remove, client, name)
        client.ask("create", "--name", name, *words, work.image, *work.argv, passed=(env, rules))
        _compare(client, name, work.limits)
        before = bubblewrap.obeyed(workspace) if workspace else set()
        stdin = ["--interactive"] if work.stdin is not None else []
        told = Words(["start", "--attach", *stdin, name], (env, rules), partial(_end, client, name))
        end = attended(client, told, work, stop_fd)
        end = _told(end, client.seen(".State", "inspect", name), work)
        planted = bubblewrap.obeyed(workspace) - before if workspace else ()
    layers = (client.kind, "seccomp", "rlimits", "cgroup", "experimental")
    return Done(end=end, layers=layers, planted=tuple(sorted(planted)))


def _walls(client: Client, work: Work) -> list[str]:
    """Everything around the program but its folders."""
    limits, user = work.limits, _user(work)
    tasks = max(limits.processes, _MANY)
    tmp = f"{TMP}:rw,exec,nosuid,nodev,size={limits.disk},mode=1777"
    own = {"docker": f"{tmp},nr_inodes={limits.files}", "podman": tmp}
    words = [
        *("--label", f"{LABEL}={namespace()}", "--pull", "never", "--log-driver", "none"),
        *("--network", "none", "--read-only", "--cap-drop", "ALL", "--init", "--no-healthcheck"),
        *("--security-opt", "no-new-privileges", "--ipc", "private", "--hostname", "sandbox"),
        *("--user", f"{user[0]}:{user[1]}", "--pids-limit", str(limits.processes)),
        *("--memory", str(limits.memory), "--memory-swap", str(limits.memory)),
        *("--tmpfs", own[client.kind], "--shm-size", str(limits.disk)),
        *("--ulimit", f"fsize={limits.disk}:{limits.disk}"),
        *("--ulimit", f"nproc={tasks}:{tasks}", "--ulimit", f"nofile={_MANY}:{_MANY}"),
        *("--ulimit", "core=0:0", "--entrypoint", ""),
    ]
    if client.kind == "podman":
        words += ["--read-only-tmpfs=false", "--http-proxy=false", "--image-volume=ignore"]
        words += [] if os.geteuid() == 0 else ["--userns", "keep-id"]
    return words + (["--interactive"] if work.stdin is not None else [])


def _user(work: Work) -> tuple[int, int]:
    """Whose the program is: the workspace's owner, where it may write there, and never root.

    Raises:
        InvalidCall: only root could write there.
    """
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    if work.workspace is None or (work.shown is not None and not work.shown.writes):
        return (nobodys_id(),) * 2
    owner = os.stat(work.workspace)
    if owner.st_uid == 0:
        raise InvalidCall(
            f"{work.workspace} is root's, and no program in a container is; give it to an "
            "ordinary user.",
            param="workspace",
        )
    return owner.st_uid, owner.st_gid or owner.st_uid


def _places(work: Work, owned: contextlib.ExitStack) -> list[str]:
    """The workspace, or the parts of it that are shown, and what is handed in."""
    words = ["--workdir", INSIDE if work.workspace else TMP]
    binds = list(_binds(work))
    if work.files:
        closed = owned.enter_context(tempfile.TemporaryDirectory(prefix="octoplex-files-"))
        folder = Path(closed, "files")  # below one that others of this machine cannot enter
        folder.mkdir()
        folder.chmod(0o755)
        for name, content in work.files.items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o555)
        binds.append((folder, FILES, False))
    for source, place, may_write in binds:
        words += ["--mount", _mount(source, place, may_write)]
    return words


def _binds(work: Work) -> Iterator[tuple[Path, str, bool]]:
    """(folder, where it is seen, whether it may be written). What tools obey may not be."""
    workspace = work.workspace
    if workspace is None:
        return
    shown = [("", True)] if work.shown is None else list(work.shown.parts(workspace))
    for name, may_write in shown:
        yield workspace / name, f"{INSIDE}/{name}".rstrip("/"), may_write
    git = workspace / ".git"
    if work.shown is None and git.exists() and not git.is_symlink():
        yield git, f"{INSIDE}/.git", git.is_dir()
    for name in bubblewrap.present(workspace):
        if any(w and (not one or f"{name}/".startswith(f"{one}/")) for one, w in shown):
            yield workspace / name, f"{INSIDE}/{name}", False


def _mount(source: Path, place: str, may_write: bool) -> str:
    fields = ["type=bind", f"src={source}", f"dst={place}"] + ([] if may_write else ["readonly"])
    if any(not c.isprintable() for field in fields for c in field):
        raise InvalidCall(f"{source} has a name that a container is not told.", param="workspace")
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _variables(work: Work) -> bytes:
    """The file of variables. The image knows where its programs lie, unless the caller does."""
    env = environment_of(work)
    if "PATH" not in work.env:
        del env["PATH"]
    lines = [f"{name}={value}" for name, value in env.items()]
    try:
        encoded = [line.encode() for line in lines]
    except UnicodeEncodeError:
        raise InvalidCall("A container takes variables in UTF-8 only.", param="env") from None
    if any(b"\n" in line or b"\r" in line or len(line) >= _LINE for line in encoded):
        raise InvalidCall(
            f"A container takes variables of one line with at most {_LINE:,} bytes.", param="env"
        )
    return b"".join(line + b"\n" for line in encoded)


def _compare(client: Client, name: str, limits: Limits) -> None:
    """Look whether it is what was asked for: a daemon may drop a limit, and only warn of it.

    Raises:
        BadConfig: it is not.
    """
    wanted = {
        "Memory": limits.memory,
        "MemorySwap": limits.memory,
        "PidsLimit": limits.processes,
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "Privileged": False,
    }
    held = client.seen(".HostConfig", "inspect", name)
    for what, value in wanted.items():
        if not isinstance(held, dict) or held.get(what) != value:
            raise BadConfig(f"{client.kind} does not hold what it was told: {what} = {value}.")


def _told(end: End, state: Any, work: Work) -> End:
    """How the program ended, as the daemon has it; what its client ended with may be its own."""
    if end.outcome != "exited":
        return end
    if not isinstance(state, dict) or str(state.get("StartedAt", _NEVER)).startswith(_NEVER):
        raise BadConfig(f"{work.backend} start: {short(end.stderr)}")
    if state.get("Status") != "exited":
        raise BadConfig(f"{work.backend} start: it ended before the program did.")
    status = int(state.get("ExitCode", end.status))
    ran_out = status != 0 and state.get("OOMKilled")
    return replace(end, status=status, outcome="memory" if ran_out else "exited")


def _end(client: Client, name: str) -> None:
    """End the program before the client is ended: Podman's is what starts it, and half of what it
    started would stay. What it is about to start can be ended once it has."""
    until = time.monotonic() + _BEGIN_S
    with contextlib.suppress(BadConfig):
        while time.monotonic() < until:
            with contextlib.suppress(BadConfig):
                client.ask("kill", name)
                return
            if client.seen(".State.Status", "inspect", name) not in _WAITS:
                return


def _remove(client: Client, name: str) -> None:
    """End it, whatever it does, and remove it."""
    with contextlib.suppress(BadConfig):
        client.ask("kill", name)
    try:
        client.ask("rm", "--force", "--volumes", name)
    except BadConfig as error:
        if not any(words in str(error).lower() for words in _GONE):
            log.error("The container %s may still be there: %s", name, error)


@cache
def swept(client: Client) -> None:
    """Remove what an Octoplex left that is no more. Once in a process is enough."""
    label = f"label={LABEL}={namespace()}"
    names = client.ask("ps", "--all", "--filter", label, "--format", "{{.Names}}").split()
    for name in abandoned(names):
        log.warning("The container %s was left behind; it is removed.", name)
        _remove(client, name)
