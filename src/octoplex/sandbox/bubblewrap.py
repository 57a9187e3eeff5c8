"""The first wall, built by bubblewrap: namespaces, and a file system with little in it.

    /usr (and what leads there)   the host's programs and libraries, read-only
    /etc                          a list of accounts with one name, certificates, the linker's cache
    /proc, /dev                   of this sandbox alone
    /tmp                          empty, limited in size and in files; /dev/shm is the same
    /workspace                    the caller's folder, writable; what its tools run is not
    /files                        what the caller handed in, read-only

Bubblewrap itself is started with an empty environment and with its arguments on a descriptor:
its first process lives inside, where both could be read.

Then comes the launcher (`prepared`), which does what bubblewrap cannot: it mounts `/tmp` with a
limit of files, leaves the rights it needed for that behind by entering one more user namespace,
limits itself, bows to landlock and to the filter, and becomes the program.

References: bwrap(1); containers/bubblewrap#725 for the environment of the first process.
"""

import os
import shutil
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from octoplex.sandbox import bounds, landlock
from octoplex.sandbox.launcher import At, Held, Launcher
from octoplex.sandbox.limits import Limits
from octoplex.sandbox.seccomp import program
from octoplex.sandbox.syscalls import machine

INSIDE = "/workspace"
FILES = "/files"
TMP = "/tmp"  # nosec B108 - the inside's own
SHM = "/dev/shm"  # nosec B108 - the same
USER = 1000
PROXY_PORT = 3128
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_ETC_NAMES = """
ld.so.cache alternatives ssl/certs ssl/openssl.cnf pki/tls/certs fonts java-17-openjdk
java-21-openjdk
"""
ETC = tuple(_ETC_NAMES.split())
_HIDDEN = ("kcore", "keys", "key-users", "kallsyms", "timer_list", "latency_stats")
LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_PROTECTED_NAMES = """
.git/hooks .git/config .git/config.worktree .git/info .git/commondir .git/modules .git/worktrees
octoplex.toml .vscode .idea .cursor .mcp.json .claude .envrc .gitconfig .bashrc .bash_profile
.profile .zshrc .zshenv .zprofile .npmrc .pypirc .netrc .ssh
"""
PROTECTED = tuple(_PROTECTED_NAMES.split())
"""What the host's own tools run or obey when they come to the folder."""
ACCOUNTS = (b"sandbox:x:1000:1000::/tmp:/bin/sh\n", b"sandbox:x:1000:\n")
"""The lists of users and groups."""
_NO_SUID, _NO_DEV, _BIND = 2, 4, 0x1000
_NEW_USERS = 0x10000000
_CWD, _WRITE_ONLY = -100, 1
_ENTRIES = 4
"""Files that the sandbox itself needs in its `/tmp`, its root among them."""


class Inside(Struct, frozen=True, kw_only=True):
    """What one program finds around it.

    `argv` is what the launcher becomes; `room` what stands beside it for that, as arguments of
    bubblewrap, and `passed` the descriptors which those name.
    `workspace` is where the folder lies, `files` descriptors of what is handed in, `counted`
    whether a cgroup counts its memory. `parts` are what is shown of the workspace, and whether
    that may be written; None: all of it.
    """

    argv: Sequence[str]
    limits: Limits
    workspace: Path | None
    files: Mapping[str, int]
    env: Mapping[str, str]
    tools: Sequence[str]
    counted: bool
    parts: Sequence[tuple[str, bool]] | None = None
    room: Sequence[str] = ()
    passed: tuple[int, ...] = ()


def found() -> str | None:
    """Where bubblewrap is; not where the caller's PATH may say."""
    return shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")


def walls(inside: Inside, accounts: Sequence[int]) -> list[str]:
    """Bubblewrap's arguments. `accounts` are descriptors of `ACCOUNTS`."""
    words = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net"]
    words += ["--unshare-cgroup"] if os.path.exists("/proc/self/ns/cgroup") else []
    words += ["--uid", "0", "--gid", "0", "--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETFCAP"]
    words += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--clearenv"]
    for name, value in inside.env.items():
        words += ["--setenv", name, value]
    words += ["--proc", "/proc", "--dev", "/dev", "--dir", TMP, "--ro-bind", "/usr", "/usr"]
    for name in LINKS:
        if os.path.islink(f"/{name}"):
            words += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
        elif os.path.isdir(f"/{name}"):
            words += ["--ro-bind", f"/{name}", f"/{name}"]
    for name in ETC:
        if os.path.exists(f"/etc/{name}"):
            words += ["--ro-bind", f"/etc/{name}", f"/etc/{name}"]
    words += ["--perms", "0755", "--dir", "/etc", "--perms", "0755", "--dir", FILES]
    for fd, name in zip(accounts, ("passwd", "group"), strict=True):
        words += ["--perms", "0444", "--ro-bind-data", str(fd), f"/etc/{name}"]
    for tool in inside.tools:
        words += ["--ro-bind", tool, tool]
    for name, fd in inside.files.items():
        words += ["--perms", "0555", "--ro-bind-data", str(fd), f"{FILES}/{name}"]
    words += _workspace(inside.workspace, inside.parts)
    return [*words, *inside.room, "--remount-ro", "/dev", "--remount-ro", "/"]


def _workspace(workspace: Path | None, parts: Sequence[tuple[str, bool]] | None) -> list[str]:
    """The folder, and in it what must not be written: bound, so that it cannot be renamed."""
    if workspace is None:
        return []
    if parts is not None:
        return _parts(workspace, parts)
    words = ["--bind", str(workspace), INSIDE]
    git = workspace / ".git"
    if git.is_dir() and not git.is_symlink():
        words += ["--bind", str(git), f"{INSIDE}/.git"]
    elif git.is_file():  # of a work tree; it says where the real one is
        words += ["--ro-bind", str(git), f"{INSIDE}/.git"]
    for name in present(workspace):
        words += ["--ro-bind", str(workspace / name), f"{INSIDE}/{name}"]
    return words


def _parts(workspace: Path, parts: Sequence[tuple[str, bool]]) -> list[str]:
    """What is shown of the folder, and in it what must not be written."""
    words = ["--perms", "0755", "--dir", INSIDE]
    for name, may_write in parts:
        how = "--bind" if may_write else "--ro-bind"
        words += [how, str(workspace / name), f"{INSIDE}/{name}"]
    written = [name for name, may_write in parts if may_write]
    for name in present(workspace):
        if any(name == one or name.startswith(one + "/") for one in written):
            words += ["--ro-bind", str(workspace / name), f"{INSIDE}/{name}"]
    return words


def present(workspace: Path) -> list[str]:
    """Those of `PROTECTED` that are there and are no links."""
    there = []
    for name in PROTECTED:
        parts = [workspace / Path(*Path(name).parts[: n + 1]) for n in range(name.count("/") + 1)]
        if os.path.exists(parts[-1]) and not any(os.path.islink(part) for part in parts):
            there.append(name)
    return there


def obeyed(workspace: Path) -> set[str]:
    """Those of `PROTECTED`, and `.git` itself, that are there in any form, as a link too."""
    return {
        name
        for name in (".git", *PROTECTED)
        if os.path.lexists(workspace / name) or os.path.islink((workspace / name).parent)
    }


def begun(inside: Inside, report_fd: int, door_fd: int | None, user: int = USER) -> Launcher:
    """The launcher as far as it needs rights. `door_fd`: where it sends the socket on which the
    proxy will listen.

    A `user` 0 has rights in a namespace of its own, over nothing that was there before. It can
    mount a `/proc`, which the kernel refuses where parts of the one that is there are hidden.
    """
    launch = Launcher(report_fd, machine())
    launch.begin()
    if door_fd is not None:
        _listen(launch, door_fd)
    _mount(launch, inside.limits)
    if user:
        _hide(launch)
    launch.call("chdir", launch.text(INSIDE if inside.workspace else TMP))
    _leave_rights(launch, user)
    return launch


def prepared(inside: Inside, report_fd: int, door_fd: int | None) -> Launcher:
    """The launcher of a program."""
    launch = begun(inside, report_fd, door_fd)
    bounds.limit(launch, inside.limits, inside.counted)
    bounds.bow(launch, trees(inside), program(machine(), counted=inside.counted))
    return launch


def _mount(launch: Launcher, limits: Limits) -> None:
    options = f"size={limits.disk},nr_inodes={limits.files + _ENTRIES},mode=1777"
    kind, tmp = launch.text("tmpfs"), launch.text(TMP)
    launch.call("mount", kind, tmp, kind, _NO_SUID | _NO_DEV, launch.text(options))
    launch.call("mount", tmp, launch.text(SHM), 0, _BIND, 0)


def _hide(launch: Launcher) -> None:
    nothing = launch.text("/dev/null")
    for name in _HIDDEN:
        if os.path.exists(f"/proc/{name}"):
            launch.call("mount", nothing, launch.text(f"/proc/{name}"), 0, _BIND, 0)


def _leave_rights(launch: Launcher, user: int) -> None:
    """Enter a namespace of this user: the mounts are then another one's."""
    launch.call("unshare", _NEW_USERS)
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} 0 1"),
        ("gid_map", f"{user} 0 1"),
    ):
        fd = launch.word()
        path, text = launch.text(f"/proc/self/{name}"), launch.text(content)
        launch.call("openat", _CWD, path, _WRITE_ONLY, 0, keep=fd)
        launch.call("write", Held(fd), text, len(content))
        launch.call("close", Held(fd))


def _listen(launch: Launcher, door_fd: int) -> None:
    """Listen on loopback inside, and hand the socket out: who answers is outside."""
    address = launch.data(b"\2\0" + struct.pack(">HI", PROXY_PORT, 0x7F000001) + bytes(8))
    control = launch.data(struct.pack("<QiiQ", 20, 1, 1, 0))  # SOL_SOCKET, SCM_RIGHTS
    fd = At(control.offset + 16)
    launch.call("socket", 2, 1, 0, keep=fd)
    launch.call("bind", Held(fd), address, 16)
    launch.call("listen", Held(fd), 64)
    byte = launch.data(b"x")
    piece = launch.data(struct.pack("<QQ", byte.address, 1))
    message = struct.pack("<QQQQQQQ", 0, 0, piece.address, 1, control.address, 24, 0)
    launch.call("sendmsg", door_fd, launch.data(message), 0)


def trees(inside: Inside) -> Iterable[tuple[str, int]]:
    """What landlock allows below which path."""
    yield "/", landlock.LIST
    yield from ((place, landlock.RUN) for place in ("/usr", *inside.tools))
    yield from ((f"/{n}", landlock.RUN) for n in LINKS if os.path.isdir(f"/{n}"))
    yield "/etc", landlock.LOOK
    yield "/proc", landlock.LOOK
    yield "/dev", landlock.USE
    yield TMP, landlock.OWN
    if inside.files:
        yield FILES, landlock.RUN
    if inside.parts is not None:
        yield INSIDE, landlock.LIST
        for name, may_write in inside.parts:
            rights = landlock.OWN if may_write else landlock.RUN
            is_folder = os.path.isdir(f"{inside.workspace}/{name}")
            yield f"{INSIDE}/{name}", rights if is_folder else rights & landlock.OF_FILES
    elif inside.workspace:
        yield INSIDE, landlock.OWN
