"""A workspace as the host touches it: no link is followed on the whole way.

    folder = Folder(workspace)
    folder.write("out/report.md", b"...")
    before = folder.state(); ...; folder.changed(before)     [Artifact(path, size, sha256)]

Programs in the sandbox may put a link anywhere, at any time. So every name is opened below the
folder that holds it, and only as what it should be (`sandbox/results.py` reads alike). What the
host's own tools obey (hooks of Git, start files of shells) is not written, moved or removed.

Paths are those that `place_of` gives. All calls wait for the disk.
"""

import contextlib
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from secrets import token_hex

from msgspec import Struct

from octoplex.agents.place import covers
from octoplex.agents.words import Artifact, Failed
from octoplex.sandbox.bubblewrap import PROTECTED
from octoplex.sandbox.results import read_result
from octoplex.wire.error import InvalidCall, NotFound, TooLarge

MOST_FILES, DEEPEST = 20_000, 30
"""Names that are looked at in one workspace, and folders within each other: a program may have made
so many that to follow them would take all descriptors and all time."""
MOST_BYTES = 50_000_000
"""Of one file that is read or hashed."""
MOST_ARTIFACTS, MOST_HASHED = 200, 200_000_000
"""Files that one step is said to have left, and bytes of all of them."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
State = dict[str, tuple[int, int, int]]
"""Paths, with size, time of change in ns, and inode."""


class Entry(Struct, frozen=True):
    """A name in a folder."""

    path: str
    size: int
    kind: str
    """"file", "folder" or "other": links and devices are never opened."""


class Folder:
    """Reads and writes below one folder. Raises `Failed` whatever goes wrong."""

    def __init__(self, workspace: Path) -> None:
        self._path = workspace

    def read(self, place: str, most: int = MOST_BYTES) -> bytes:
        """The bytes of a file."""
        try:
            return read_result(self._path, place, most)
        except (InvalidCall, NotFound, TooLarge) as error:
            raise Failed("failed", str(error)) from None
        except OSError as error:
            raise _failed("the workspace", error) from None

    def write(self, place: str, data: bytes) -> Artifact:
        """Put a file there, as a whole or not at all, and the folders above it."""
        _guarded(place)
        with self._above(place, make=True) as (folder, name):
            own = f".{token_hex(8)}.part"
            try:
                self._put(folder, own, data)
                with contextlib.suppress(FileNotFoundError):
                    if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                        raise Failed("failed", f'"{place}" is a folder; write to a file in it.')
                os.rename(own, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(own, dir_fd=folder)
                raise
        return Artifact(place, len(data), sha256(data).hexdigest())

    def make(self, place: str) -> None:
        """Have a folder there."""
        with self._opened(place.split("/") if place else [], make=True):
            pass

    def list(self, place: str) -> list[Entry]:
        """What is in a folder, by name."""
        with self._opened(place.split("/") if place else []) as folder:
            found = []
            for name in _names(folder, MOST_FILES):
                status = os.lstat(name, dir_fd=folder)
                kind = "folder" if stat.S_ISDIR(status.st_mode) else "other"
                kind = "file" if stat.S_ISREG(status.st_mode) else kind
                found.append(Entry(f"{place}/{name}".lstrip("/"), status.st_size, kind))
            return found

    def move(self, place: str, to: str) -> None:
        """Give a file or a folder another name; never in the place of what is there."""
        _guarded(place)
        _guarded(to)
        with self._above(place) as (folder, name), self._above(to, make=True) as (other, new):
            os.lstat(name, dir_fd=folder)
            if _exists(new, other):
                raise Failed("failed", f'There is a "{to}" already; choose another name.')
            os.rename(name, new, src_dir_fd=folder, dst_dir_fd=other)

    def delete(self, place: str) -> None:
        """Remove a file, a link itself, or a folder with all that is in it."""
        _guarded(place)
        with self._above(place) as (folder, name):
            if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                # Not rmtree: a program may have made folders deeper than Python can follow.
                at = f"/proc/self/fd/{folder}"
                subprocess.run(["/bin/rm", "-rf", "--", name], cwd=at, check=False, env={})
                if _exists(name, folder):
                    raise Failed("failed", f'"{place}" could not be removed, or not all of it.')
            else:
                os.unlink(name, dir_fd=folder)

    def state(self) -> State:
        """All plain files, but for those of Git and what lies deeper than `DEEPEST`."""
        found: State = {}
        waiting: list[tuple[str, ...]] = [()]
        looked = 0
        while waiting and looked < MOST_FILES:
            parts = waiting.pop()
            with contextlib.suppress(Failed), self._opened(parts) as folder:
                for name in _names(folder, MOST_FILES - looked):
                    looked += 1
                    with contextlib.suppress(OSError):
                        status = os.lstat(name, dir_fd=folder)
                        if stat.S_ISREG(status.st_mode):
                            place = "/".join((*parts, name))
                            found[place] = (status.st_size, status.st_mtime_ns, status.st_ino)
                        elif _is_entered(name, parts, status):
                            waiting.append((*parts, name))
        return found

    def changed(self, before: State) -> tuple[Artifact, ...]:
        """Files that are new or other than they were."""
        found: list[Artifact] = []
        left = MOST_HASHED
        for path, now in self.state().items():
            if before.get(path) != now and now[0] <= min(MOST_BYTES, left):
                left -= now[0]
                with contextlib.suppress(Failed):  # it went away, or became something else
                    data = self.read(path)
                    found.append(Artifact(path, len(data), sha256(data).hexdigest()))
            if len(found) == MOST_ARTIFACTS:
                break
        return tuple(found)

    def _put(self, folder: int, name: str, data: bytes) -> None:
        fd = os.open(name, _NEW, 0o644, dir_fd=folder)
        with os.fdopen(fd, "wb") as file:
            self._give(fd)
            file.write(data)

    def _give(self, fd: int) -> None:
        """What root writes is the owner's, like all that lies there."""
        if os.geteuid() == 0:
            status = os.stat(self._path)
            os.fchown(fd, status.st_uid, status.st_gid)

    @contextlib.contextmanager
    def _above(self, place: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The folder in which a name stands, and the name."""
        *above, name = place.split("/")
        if not name:
            raise Failed("refused", "The workspace itself stays where and what it is.")
        with self._opened(above, make=make) as folder:
            try:
                yield folder, name
            except OSError as error:
                raise _failed(place, error) from None

    @contextlib.contextmanager
    def _opened(self, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
        try:
            at = os.open(self._path, _FOLDER & ~os.O_NOFOLLOW)
        except OSError as error:
            raise _failed("the workspace", error) from None
        try:
            for part in parts:
                if make and not _exists(part, at):
                    os.mkdir(part, 0o755, dir_fd=at)
                    made = os.open(part, _FOLDER, dir_fd=at)
                    self._give(made)
                else:
                    made = os.open(part, _FOLDER, dir_fd=at)
                os.close(at)
                at = made
            yield at
        except OSError as error:
            raise _failed("/".join(parts), error) from None
        finally:
            os.close(at)


def _exists(name: str, folder: int) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _names(folder: int, most: int) -> list[str]:
    """The names in a folder, of which there may be millions; those that are text."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in islice(entries, most)]
    return sorted(name for name in names if os.fsencode(name) == name.encode("utf-8", "replace"))


def _is_entered(name: str, parts: Sequence[str], status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and name != ".git" and len(parts) < DEEPEST


def _guarded(place: str) -> None:
    for name in (".git", *PROTECTED):
        if (name != ".git" and covers(name, place)) or covers(place, name):
            raise Failed(
                "refused",
                f'"{place}" is obeyed by tools of the host ("{name}") and stays as it is.',
            )


def _failed(place: str, error: OSError) -> Failed:
    return Failed("failed", f'"{place[:200]}": {error.strerror or error}.')
