"""What a program in the sandbox may use, and how people write it.

256 processes, 1 GiB memory, 512 MiB disk, 65536 files, 60 s, 10 MB output
"""

import re
from types import MappingProxyType
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from octoplex.wire.error import BadConfig
from octoplex.wire.size import SIZES

Backend = Literal["bubblewrap", "gvisor", "docker", "podman", "kubernetes"]
"""Bubblewrap's walls, gVisor in them, or a container or a cluster's job in their place."""
_TIMES = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,15})?) *([A-Za-z]+)(?: +([a-z]+))?")
_MOST = MappingProxyType(
    {
        "processes": 1_000_000,
        "memory": 1 << 50,
        "disk": 1 << 50,
        "files": 1 << 30,
        "seconds": 1e7,
        "output": 1 << 40,
    }
)
"""Beyond these the kernel reads some of them as no limit at all, as it does with 0."""


class Limits(Struct, frozen=True, kw_only=True):
    """The most that one run may use. Sizes are bytes.

    `memory` is that of all processes together, with what lies in `/tmp`; `disk` and `files` are
    those of `/tmp`, and `disk` is also the largest file; threads count as `processes`.
    """

    processes: int = 256
    memory: int = 1024**3
    disk: int = 512 * 1024**2
    files: int = 65_536
    seconds: float = 60.0
    output: int = 10_000_000

    def __post_init__(self) -> None:
        """Raises `BadConfig`: one is nothing, or more than any machine has."""
        for name, most in _MOST.items():
            if not 0 < getattr(self, name) <= most:
                raise BadConfig(f"limits: {name} must be above 0 and at most {most:,g}.")


def limits_of(text: str, among: Limits | None = None) -> Limits:
    """Read limits; those that the text does not name stay as they are in `among`.

    Raises:
        BadConfig: a part is not understood.
    """
    found: dict[str, int | float] = {}
    for part in text.split(",") if text.strip() else ():
        found |= _read(part.strip())
    return replace(among or Limits(), **found)


def _read(part: str) -> dict[str, int | float]:
    match = _PART.fullmatch(part)
    number, unit, what = match.groups() if match else ("", "", "")
    if unit in ("processes", "files") and not what and float(number) == int(float(number)) > 0:
        return {unit: int(float(number))}
    if what in ("memory", "disk", "output") and unit.lower() in SIZES:
        return {what: int(float(number) * SIZES[unit.lower()])}
    if unit in _TIMES and not what and float(number) > 0:
        return {"seconds": float(number) * _TIMES[unit]}
    raise BadConfig(
        f'limits: "{part[:40]}" is not understood; write them like "256 processes, 1 GiB memory, '
        '512 MiB disk, 65536 files, 60 s, 10 MB output".'
    )
