"""The folders of tasks that named none: `ROOT/OWNER/task/ID`, removed some days after the end.

What lies in them was made by programs, so nothing here follows a link, and the depth of what is
removed does not matter. A folder that somebody has named as the workspace of another task is
theirs from then on: a mark beside it says so, and it stays.
"""

import logging
import os
import re
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("octoplex.agents")
TASKS = "task"
DAY_S = 86_400.0
AT_ONCE = 20
"""Before so many are removed it is asked whether they are to stay."""
_ID = re.compile(r"task_[0-9a-z]+")
_NAMED = ".named"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def claim(root: Path, folder: Path) -> None:
    """Somebody has named a folder: if it is one of these, or in one, that one stays."""
    with suppress(ValueError, FileNotFoundError):
        parts = Path(os.path.realpath(folder)).relative_to(os.path.realpath(root)).parts
        if len(parts) > 2 and parts[1] == TASKS and _ID.fullmatch(parts[2]):
            with _opened(root, parts[0]) as at:
                flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(parts[2] + _NAMED, flags, 0o600, dir_fd=at))


def is_own(root: Path, folder: str, task_id: str) -> bool:
    """Whether a task's folder goes with it."""
    place = Path(folder)
    is_here = place.parent.name == TASKS and place.parents[2:3] == (root.absolute(),)
    return is_here and place.name == task_id and not place.with_name(task_id + _NAMED).exists()


def sweep(root: Path, days: float, kept: Callable[[list[str]], set[str]]) -> int:
    """Remove those in which nothing has changed for so many days; how many. Blocks.

    `kept` says which of these tasks are to stay: they have not ended so long ago. One that nobody
    knows any more was swept elsewhere.
    """
    count = 0
    for owner in _names(root):
        with suppress(OSError), _opened(root, owner) as at:
            due = _due(at, time.time() - days * DAY_S)
            for first in range(0, len(due), AT_ONCE):
                some = due[first : first + AT_ONCE]
                staying = kept(some)
                for name in some:
                    if name not in staying and not _exists(name + _NAMED, at):
                        _remove(name, at)
                        count += 1
    return count


def _due(at: int, before_at: float) -> list[str]:
    """Names of folders whose own status, which no program can set, is older."""
    found = []
    for name in sorted(os.listdir(at)):
        if _ID.fullmatch(name):
            with suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=at, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode) and status.st_ctime < before_at:
                    found.append(name)
    return found


def _remove(name: str, at: int) -> None:
    """Remove it, whatever a program has made of its permissions."""
    # Not rmtree: a program may have made folders deeper than Python can follow.
    remove, permit = ["rm", "-rf"], ["chmod", "-R", "u+rwX"]
    for does in (remove, permit, remove):
        if _exists(name, at):
            subprocess.run(
                [f"/bin/{does[0]}", *does[1:], "--", name],
                cwd=f"/proc/self/fd/{at}",
                stderr=subprocess.DEVNULL,
                check=False,
                env={},
            )
    if _exists(name, at):
        log.warning("the folder of %s cannot be removed", name)


def _names(root: Path) -> list[str]:
    try:
        return sorted(os.listdir(root))
    except FileNotFoundError:
        return []


def _exists(name: str, at: int) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=at, follow_symlinks=False)
        return True
    return False


@contextmanager
def _opened(root: Path, owner: str) -> Iterator[int]:
    """`ROOT/OWNER/task`, over no link below the root."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in (owner, TASKS):
            below = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)
