"""Reading what a run left in its workspace, without being led elsewhere.

A program inside may leave a link to any file of the host, which it could not read itself but we
can; or a pipe, on which a reader waits for ever. So no link is followed on the whole way, and
only a plain file is read.
"""

import errno
import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from octoplex.wire.error import InvalidCall, NotFound, TooLarge

_STEP = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def open_result(workspace: str | Path, name: str) -> BinaryIO:
    """A file below the workspace, open to be read.

    Raises:
        InvalidCall: the name leads out, over a link, or to what is no plain file.
        NotFound: there is none.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or not _is_name(name):
        raise InvalidCall(f'"{name[:80]}" does not lie below the workspace.', param="name")
    at = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            below = os.open(part, _STEP, dir_fd=at)
            os.close(at)
            at = below
        if not stat.S_ISREG(os.fstat(at).st_mode):
            raise InvalidCall(f'"{name[:80]}" is no plain file.', param="name")
        return os.fdopen(os.dup(at), "rb")
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise NotFound(f'There is no "{name[:80]}" in the workspace.') from None
        raise InvalidCall(f'"{name[:80]}" leads over a link or is no file.', param="name") from None
    finally:
        os.close(at)


def read_result(workspace: str | Path, name: str, most: int = 10_000_000) -> bytes:
    """The bytes of a file below the workspace.

    Raises:
        InvalidCall, NotFound: as `open_result`.
        TooLarge: it has more than `most` bytes.
    """
    with open_result(workspace, name) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise TooLarge(f'"{name[:80]}" has more than {most:,} bytes.')
    return data


def _is_name(name: str) -> bool:
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:  # half a surrogate pair
        return False
