"""Tells a data folder that came out of a backup from one that a backup was unpacked over.

    data = written(names)          the file that a backup begins with
    check_unpacked(folder)         at a start, once: refused, or that file is gone

What SQLite had beside a file of the folder before (its `-wal`) would be played into the file that
took its place, and orders of one life settled in the ledger of another.
"""

from fnmatch import fnmatch
from pathlib import Path

import msgspec
from msgspec import Struct

from octoplex.wire.error import BadConfig

NAME = "backup.json"
KEPT = ("*.db", "*.db-wal", "*.db-journal", "orders*.ring", "spool.log")
"""What a server writes, and must not find of another life."""
HARMLESS = ("cache.db*",)
SHOWN = 5


class Unpacked(Struct):
    """What a backup holds."""

    files: list[str]


def written(names: list[str]) -> bytes:
    """The file that says what a backup holds."""
    return msgspec.json.encode(Unpacked(names)) + b"\n"


def check_unpacked(folder: Path) -> None:
    """Refuse a backup that is not alone in its folder, or not all there.

    Raises:
        BadConfig: naming what does not belong, or is missing, and what to do.
    """
    path = folder / NAME
    try:
        names = set(msgspec.json.decode(path.read_bytes(), type=Unpacked).files)
    except FileNotFoundError:
        return
    except msgspec.MsgspecError:
        raise BadConfig(f"{path} is not as a backup has it; unpack the backup anew") from None
    there = {found.name for found in folder.iterdir()}
    kept = {name for name in there if _is(name, KEPT) and not _is(name, HARMLESS)}
    if strange := sorted(kept - names):
        raise BadConfig(
            f"a backup was unpacked into {folder} over what was there before "
            f"({_some(strange)}), and both would be mixed: unpack it into an empty folder, "
            "and name that as [server] data"
        )
    if missing := sorted(name for name in names - there if "/" not in name):
        raise BadConfig(
            f"a backup was not unpacked whole into {folder}: {_some(missing)} is not there; "
            "unpack it anew, into an empty folder"
        )
    path.unlink()


def _is(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
