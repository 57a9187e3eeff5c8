"""A copy of a data folder in one file, while a server goes on writing.

    names = write_backup(data, file)       # a tar; unpacked into an empty folder it is the folder
    names = stream_backup(data, pipe)      # the same, into a program that encrypts it

Each SQLite file is copied by its online backup (sqlite.org/backup.html), at one moment each
and read-only: a writer is not held up, and what it commits meanwhile is in the next copy.
With them come the pepper, without which no key of the copy opens anything, and callers' files; and
first a list of it all, by which a start knows a folder that it was unpacked over (`unpacked.py`).
What a start makes anew (lock, sockets, `orders.ring`) stays; so does the cache of replies.

Not promised: one moment for all files. Money is in one of them, so no sum is torn.
"""

import errno
import io
import os
import secrets
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO, Literal

from octoplex.ledger import unpacked
from octoplex.wire.error import BadConfig

SKIPPED = (
    *("lock", "*.lock", "orders.ring*", "cache.db*", "*.sock"),
    *("*-wal", "*-shm", "*-journal", "*.new", unpacked.NAME),
)
"""Made anew at a start, part of the files copied, or, as the cache, of no promise and large."""
CALLERS = "files"
"""The folder of what callers sent; models that were fetched can be fetched again."""


def write_backup(data: Path, target: Path) -> list[str]:
    """Copy a data folder into a new tar file, readable by its owner only; what is in it.

    It has its name once it is whole, whatever ends us before.

    Raises:
        BadConfig: there is nothing to copy, or a file of this name already.
        OSError, sqlite3.Error: it could not be read or written; no file is left.
    """
    paths = _found(data)
    if data.resolve() in target.resolve().parents:
        raise BadConfig(f"{target} lies in the data folder and would be in the next copy")
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    if target.exists():
        raise BadConfig(f"{target} is there already; choose another name")
    if part.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(part))
    tempfile.gettempdir()  # tries a file there once, which a signal would leave behind
    try:
        # Opened in here, for a signal may come just after it.
        made = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(made, "wb") as file:
            names = _write(data, paths, file, "w")
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    return names


def stream_backup(data: Path, pipe: BinaryIO) -> list[str]:
    """Write the same into what need not be a file; what is in it.

    Raises:
        BadConfig: there is nothing to copy.
        OSError, sqlite3.Error: it could not be read or written.
    """
    names = _write(data, _found(data), pipe, "w|")
    pipe.flush()
    return names


def _found(data: Path) -> list[Path]:
    found = sorted(data.glob("*"))
    paths = [p for p in found if not any(fnmatch(p.name, skipped) for skipped in SKIPPED)]
    if not any(path.suffix == ".db" for path in paths):
        raise BadConfig(f"there is nothing to back up in {data}")
    return [*paths, *sorted((data / CALLERS).glob("*"))]


def _write(data: Path, paths: list[Path], file: BinaryIO, mode: Literal["w", "w|"]) -> list[str]:
    names = []
    with (
        tarfile.open(fileobj=file, mode=mode) as tar,
        _folder() as copies,
    ):
        said = unpacked.written([str(path.relative_to(data)) for path in paths if path.is_file()])
        mark = tarfile.TarInfo(unpacked.NAME)
        mark.size = len(said)
        tar.addfile(_private(mark), io.BytesIO(said))
        for path in paths:
            name, source = str(path.relative_to(data)), path
            if not path.is_file():
                continue
            if path.suffix == ".db":
                source = copies / path.name
                try:
                    _copy(path, source)
                except sqlite3.OperationalError as error:
                    raise BadConfig(
                        f"{path.name} cannot be copied by way of {copies} ({error}); where there "
                        "is no room, TMPDIR names another place"
                    ) from error
            with suppress(FileNotFoundError):  # an upload may end meanwhile
                tar.add(source, name, filter=_private)
                names.append(name)
            if source is not path:
                source.unlink()
    return names


@contextmanager
def _folder() -> Iterator[Path]:
    """One that is gone afterwards, also where a signal comes just as it is made: then
    `TemporaryDirectory` does not know its name yet."""
    path = Path(tempfile.gettempdir()) / f"octoplex-backup-{secrets.token_hex(8)}"
    try:
        path.mkdir(mode=0o700)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _copy(path: Path, copy: Path) -> None:
    where = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(where, uri=True)) as source, closing(sqlite3.connect(copy)) as db:
        source.backup(db)
        # As one file: a log beside it would have to travel with it.
        db.execute("pragma journal_mode = delete")


def _private(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whose it was on this machine does not matter on another."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry
