"""The configuration file, read again although others may be writing it.

    await still(path)
    text = read_again(path)
    gone(before, after)        what a file that was cut off would lack

A file that is replaced by a rename is whole at every moment. One that is written in place is
waited for as long as it grows. Where it ends half-way nobody can know it: if what is left can be
read it is put in force, and the log names the tables that it has no more.
"""

import asyncio
import time
from math import inf
from pathlib import Path

from octoplex.settings import Settings, source
from octoplex.wire.error import BadConfig

STILL_S, LONGEST_S = 0.1, 0.5
"""A file counts as written once nobody has changed it for so long; how long it is waited for."""
TABLES = ("keys", "tenants", "providers", "models", "local")


async def still(path: Path) -> None:
    """Wait while a file is being written."""
    loop = asyncio.get_running_loop()
    end_at = loop.time() + LONGEST_S
    while loop.time() < end_at:
        age_s = _age_s(path)
        if not 0 <= age_s < STILL_S:
            return
        await asyncio.sleep(STILL_S - age_s)


def _age_s(path: Path) -> float:
    """How long a file was left alone; endless where there is none, as whoever reads it will say."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return inf


def read_again(path: Path) -> str:
    """The text of a file that was read before.

    Raises:
        BadConfig: it cannot be read, or whoever reads it may wait for ever.
    """
    if path.exists() and not path.is_file():
        raise BadConfig(f"{path}: is no file now.")
    return source(path)


def gone(before: Settings, after: Settings) -> list[str]:
    """The tables that are not there any more, by their headings."""
    return [
        f"[{kind}.{name}]"
        for kind in TABLES
        for name in getattr(before, kind)
        if name not in getattr(after, kind)
    ]
