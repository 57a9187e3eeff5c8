"""What of a workspace a step names, as a person is shown it who is asked about the step.

    files = named({"file": "job.py", "hosts": ["a.example"]}, workspace)
    [Named(path="job.py", size=120, sha256="...", begin="import csv ...")]

An approval of a path says nothing of what lies there. So it has the digest, the size and the first
lines of every file that an input names, also behind or between "=", "@", ":" and "," as commands
take them; of a folder those of all files in it; of a link where it leads, and what lies there. When
the step begins all of it is looked at again, and what is not the same was not approved.

Not promised: what a program reads that its inputs do not name, such as what a script imports.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from octoplex.agents.arms.folder import MOST_HASHED, Folder
from octoplex.agents.place import place_of
from octoplex.agents.words import Failed

MOST_NAMED, MOST_LINES, MOST_SHOWN = 200, 20, 2_000
"""Names that are looked at, and lines and characters of each that are shown."""
_LONGEST = 4_000
_MARKS = re.compile("[=@:,]")


class Named(Struct, frozen=True):
    """A file, folder or link as it was looked at. `sha256` is "" of one that is too large for it:
    it is told by its names, sizes and times, and a program can set times."""

    path: str
    size: int
    sha256: str
    begin: str = ""
    """Of a text; of a folder the names in it; of a link where it leads."""


def named(inputs: Any, workspace: Path) -> list[Named]:
    """What lies where texts of the inputs say. It waits for the disk.

    Raises:
        Failed: it is too much to look at.
    """
    folder, left = Folder(workspace), MOST_HASHED
    state = dict(sorted(folder.state().items()))
    within: dict[str, list[str]] = defaultdict(list)
    for path in state:
        for above in PurePosixPath(path).parents:
            within[str(above) if above.name else ""].append(path)
    found: list[Named] = []
    places = list(dict.fromkeys(_places(inputs)))
    for place in places:
        if link := _link(workspace, place):
            found.append(link[0])
            places += [to for to in dict.fromkeys(_places(link[1])) if to not in places]
        else:
            below = within.get(place, [place])
            size = sum(state[path][0] for path in below if path in state)
            if size > left:
                times = sha256(repr([(path, state[path]) for path in below]).encode()).hexdigest()
                found.append(Named(place or ".", size, "", f"too large to read: {times}"))
                continue
            left -= size
            with suppress(Failed):  # no file, or it has gone
                found.append(_looked_at(folder, place, below))
        if len(found) > MOST_NAMED:
            raise Failed("refused", f"its inputs name more than {MOST_NAMED} files")
    return found


def _link(workspace: Path, place: str) -> tuple[Named, str] | None:
    """The first link on the way to a place, and where that leads instead; None without one."""
    parts = PurePosixPath(place).parts
    for number in range(1, len(parts) + 1):
        at = "/".join(parts[:number])
        with suppress(OSError):
            target = os.readlink(workspace / at)
            digest = sha256(os.fsencode(target)).hexdigest()
            shown = target.encode("utf-8", "replace").decode()[:MOST_SHOWN]
            led = os.path.join(os.path.dirname(at), target, *parts[number:])
            return Named(at, len(target), digest, f"-> {shown}"), os.path.normpath(led)
    return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if len(value) <= _LONGEST:  # no path is longer
            yield from _MARKS.split(value)
            for mark in _MARKS.finditer(value):
                yield value[mark.end() :]
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _places(inputs: Any) -> Iterator[str]:
    for text in filter(None, _texts(inputs)):
        with suppress(Failed):
            yield place_of(text)


def _looked_at(folder: Folder, place: str, below: list[str]) -> Named:
    """A file, or a folder with these files."""
    if below == [place]:
        data = folder.read(place, MOST_HASHED)
        text = data[: 4 * MOST_SHOWN].decode("utf-8", "replace")
        begin = "".join(text.splitlines(keepends=True)[:MOST_LINES])[:MOST_SHOWN]
        return Named(place, len(data), sha256(data).hexdigest(), "" if "\0" in begin else begin)
    size, lines = 0, []
    for path in below:
        data = folder.read(path, MOST_HASHED)
        size += len(data)
        lines.append(f"{sha256(data).hexdigest()}  {path}")
    digest = sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()
    return Named(place or ".", size, digest, "\n".join(below[:MOST_LINES])[:MOST_SHOWN])
