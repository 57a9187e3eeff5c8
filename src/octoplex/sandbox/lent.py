"""A workspace lent to an unprivileged user, where root starts the sandbox.

Root must not enter: a namespace's root is the host's where something leaks. So the run gets a
user id that nobody has, and the workspace is mounted once more with its owner's files as that
user's (an id-mapped mount): nothing is given away on the disk, and what is written belongs to
the owner. The mount lies in a namespace of the calling thread, which ends with it.

The calling thread must be the run's own: it never comes back from this namespace.

References: mount_setattr(2), user_namespaces(7), `Documentation/filesystems/idmappings`.

Not promised: file systems that cannot map ids (NFS, old kernels below 5.12); they are refused.
"""

import ctypes
import errno
import os
import secrets
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from octoplex.sandbox.launcher import Launcher
from octoplex.sandbox.memory_file import memory_file
from octoplex.sandbox.syscalls import machine, numbers
from octoplex.wire.error import BadConfig, InvalidCall

_NEW_MOUNTS, _NEW_USERS = 0x20000, 0x10000000
_NO_SUID, _NO_DEV, _REC, _SLAVE = 2, 4, 0x4000, 1 << 19
_EMPTY_PATH, _CLONE_TREE, _FROM_FD = 0x1000, 1, 0x4
_MAP_IDS = 0x00100000
_CWD = -100
_STAGES = ("/mnt", "/media", "/srv", "/opt", "/run")
_USERS = 0x6F000000
"""Ids from here on are nobody's: above what useradd, systemd and containers give out."""


def nobodys_id() -> int:
    """A user and group id for one run: limits that are counted for a user are its own."""
    return _USERS + secrets.randbelow(1 << 24)


def begin_as(user: int, report_fd: int = 2) -> Launcher:
    """A launcher that leaves root behind first.

    Python itself would have to fork for that, which copies the tables of all its memory.
    """
    launch = Launcher(report_fd)
    if report_fd > 2:
        launch.begin()
    launch.call("setgroups", 0, 0)
    launch.call("setresgid", user, user, user)
    launch.call("setresuid", user, user, user)
    return launch


def lend(workspace: Path, user: int, shown: Sequence[str] = ()) -> Path:
    """Mount the workspace for this user; where it now lies for whoever this thread starts.

    `shown` are folders that must stay where they are.

    Raises:
        InvalidCall: the file system cannot do it, or we may not.
    """
    system = _System()
    try:
        system.call("unshare", _NEW_MOUNTS)
        system.mount(None, "/", None, _REC | _SLAVE, None)
        tree, owner = _tree(system, workspace)
        users = _mapping(user, owner.st_uid, owner.st_gid)
        flags = _MAP_IDS | _NO_SUID | _NO_DEV
        wanted = struct.pack("<QQQQ", flags, 0, 0, users)
        system.call("mount_setattr", tree, b"", _EMPTY_PATH, wanted, len(wanted))
        os.close(users)
        stage = _stage(shown)
        system.mount("tmpfs", str(stage), "tmpfs", _NO_SUID | _NO_DEV, "size=64k,mode=755")
        place = stage / "workspace"
        place.mkdir(0o755)
        system.call("move_mount", tree, b"", _CWD, _path(place), _FROM_FD)
        os.close(tree)
    except OSError as error:
        raise InvalidCall(
            f"{workspace} cannot be lent to an unprivileged user ({error.strerror}); run octoplex "
            "as the user who owns it, or put it on a local disk.",
            param="workspace",
        ) from None
    return place


def _stage(shown: Sequence[str]) -> Path:
    """A folder of the host that nothing needs to see in this thread's namespace."""
    for stage in _STAGES:
        if os.path.isdir(stage) and not any(Path(one).is_relative_to(stage) for one in shown):
            return Path(stage)
    raise OSError(errno.ENOENT, "there is no folder to mount it on")


def _tree(system: "_System", workspace: Path) -> tuple[int, os.stat_result]:
    """A mount of the folder and whose it is; not of what a link has put in its place since."""
    fd = os.open(workspace, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.readlink(f"/proc/self/fd/{fd}") != str(workspace):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        flags = _CLONE_TREE | os.O_CLOEXEC | _EMPTY_PATH
        return system.call("open_tree", fd, b"", flags), os.fstat(fd)
    finally:
        os.close(fd)


class _System:
    """System calls by name."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._numbers = numbers(machine())

    def call(self, name: str, *arguments: int | bytes) -> int:
        words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
        return self._checked(self._library.syscall(self._numbers[name], *words))

    def mount(
        self, source: str | None, at: str, kind: str | None, flags: int, options: str | None
    ) -> None:
        """As mount(2)."""
        texts = [t.encode() if t is not None else None for t in (source, at, kind, options)]
        self._checked(self._library.mount(*texts[:3], ctypes.c_ulong(flags), texts[3]))

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


def _path(path: Path) -> bytes:
    return os.fsencode(path)


def _mapping(user: int, owner: int, group: int) -> int:
    """A descriptor of a user namespace that shows the owner's ids as the user's."""
    launch = Launcher(2)
    here = launch.data(b"x")
    launch.call("unshare", _NEW_USERS)
    launch.call("write", 1, here, 1)
    launch.call("read", 0, here, 1)
    with memory_file(launch.image()) as image:
        process = subprocess.Popen(
            ["namespace"],
            executable=f"/proc/self/fd/{image}",
            pass_fds=(image,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            bufsize=0,
        )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.read(1) != b"x":
                raise BadConfig("The kernel makes no user namespaces, which the sandbox needs.")
            at = Path(f"/proc/{process.pid}")
            (at / "uid_map").write_text(f"{owner} {user} 1")
            (at / "gid_map").write_text(f"{group} {user} 1")
            return os.open(at / "ns" / "user", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            process.kill()
