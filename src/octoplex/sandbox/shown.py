"""A workspace that is shown in part: what of it a program may read, and what it may write.

    Shown("/srv/task", reads=("",), writes=("out",))     all of it can be read, `out` be written

Parts are folders or files below it, "" is all of it; what may be written may be read. What is in
no part is not there. A part that is not there yet is left out.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from msgspec import Struct

from octoplex.wire.error import InvalidCall


class Shown(Struct, frozen=True):
    """A folder and its parts."""

    path: str | Path
    reads: tuple[str, ...] = ("",)
    writes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises `InvalidCall`: a part does not lie below."""
        for part in (*self.reads, *self.writes):
            if part.startswith("/") or ".." in PurePosixPath(part).parts or "\0" in part:
                raise InvalidCall(f'"{part[:80]}" does not lie below the workspace.', param="name")

    @property
    def is_whole(self) -> bool:
        """Whether all of it may be written."""
        return "" in self.writes

    def parts(self, workspace: Path) -> Iterator[tuple[str, bool]]:
        """What is there, those above first, and whether it may be written.

        Raises:
            InvalidCall: a part is a link, or lies behind one.
        """
        for part in sorted({*self.reads, *self.writes}, key=lambda p: len(PurePosixPath(p).parts)):
            may_write = any(_is_within(part, one) for one in self.writes)
            if (part in self.writes or not may_write) and _is_there(workspace, part):
                yield part, may_write


def _is_within(part: str, other: str) -> bool:
    return not other or part == other or part.startswith(other + "/")


def _is_there(workspace: Path, part: str) -> bool:
    at = workspace
    for name in PurePosixPath(part).parts:
        at = at / name
        try:
            mode = os.lstat(at).st_mode
        except FileNotFoundError:
            return False
        except OSError as error:
            raise InvalidCall(f"{part} cannot be shown: {error.strerror}.", param="name") from None
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise InvalidCall(f"{part} leads over a link or is no file.", param="name")
    return True
