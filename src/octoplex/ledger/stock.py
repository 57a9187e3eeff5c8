"""Replies that are given again: a bounded memory before a file, a Redis or another process.

    stock.keep(row)                  # in memory now, beside it behind the path
    row = await stock.find(key)      # from memory, else asked for, briefly
    await stock.purge("main")        # gone from both when this returns

Losing any of it costs money but no promise, so whatever is wrong makes misses and never errors.
In memory what was not asked for longest goes first. `DiskStock` (`stock_disk.py`), `RedisStock`
(`redis/stock.py`) and `SeenStock` (`remote/seen.py`) are the three kinds.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from octoplex.ledger.rows import Kept

log = logging.getLogger("octoplex.ledger")


class Room(Struct, frozen=True, kw_only=True):
    """How much is kept where, and how long the file is waited for."""

    memory_bytes: int = 64_000_000
    disk_bytes: int = 500_000_000
    row_bytes: int = 4_000_000
    queue_bytes: int = 32_000_000
    """What waits to be written."""
    spare_bytes: int = 256_000_000
    """Room on the disk that is left to the ledger."""
    gather_s: float = 0.05
    """How long a reply waits for others to be written with."""
    wait_s: float = 0.25
    patient_s: float = 1.0
    rest_s: float = 2.0
    """How long a file is left alone that did not answer within `wait_s`."""
    step_rows: int = 64
    sweep_s: float = 60.0


class Holding(Struct, frozen=True):
    """What is kept now."""

    memory_entries: int = 0
    memory_bytes: int = 0
    disk_entries: int = 0
    disk_bytes: int = 0
    dropped: int = 0
    """Replies that could not be written since the start."""


def unix_ms() -> int:
    """Milliseconds of the Unix clock."""
    return time.time_ns() // 1_000_000


class Stock(ABC):
    """The memory, and what every kind can do. Owned by the event loop."""

    place = ""
    """What is kept beside memory is kept there, for people."""

    def __init__(self, room: Room | None = None, now_ms: Callable[[], int] = unix_ms) -> None:
        self.room, self.now_ms = room or Room(), now_ms
        self.purges = 0
        """How many there were: what was found or asked before the last one counts no more."""
        self._near: OrderedDict[bytes, Kept] = OrderedDict()
        self._near_bytes = self._dropped = 0
        self._failing = self._closed = False

    def near(self, key: bytes) -> Kept | None:
        """What is in memory under a key."""
        row = self._near.get(key)
        if row is None:
            return None
        if row.ends_at_ms <= self.now_ms():
            self._forget(key)
            return None
        self._near.move_to_end(key)
        return row

    @abstractmethod
    async def find(self, key: bytes, patient: bool = False) -> Kept | None:
        """What is kept under a key; None also when nobody says in time.

        `patient`: it is worth `patient_s`, for a miss would be a second call.
        """

    @abstractmethod
    async def vectors(self, group: bytes, most: int) -> list[tuple[bytes, bytes]] | None:
        """(key, vector) of the newest of a group; None when nobody says in time."""

    @abstractmethod
    def keep(self, row: Kept) -> None:
        """Keep a reply in place of the one under its key."""

    @abstractmethod
    async def purge(self, route: str | None = None) -> int:
        """Forget the replies of a route, or all; how many there were beside memory.

        Raises:
            StoreFailed: they could not be deleted; memory is empty all the same.
        """

    async def routes(self) -> list[tuple[str, int, int]]:
        """(route, entries, bytes) beside memory, by name; nothing when nobody says."""
        return []

    @property
    def beside(self) -> tuple[int, int]:
        """Entries and bytes beside memory, as far as known. Costs nothing."""
        return 0, 0

    def holding(self) -> Holding:
        """What is kept now. Costs nothing."""
        return Holding(len(self._near), self._near_bytes, *self.beside, self._dropped)

    def forget(self, route: str | None = None) -> None:
        """Empty the memory of a route, or of all; what is on its way is not kept."""
        self.purges += 1
        for row in [r for r in self._near.values() if route in (None, r.route)]:
            self._forget(row.key)

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits, then let go."""
        self._closed = True

    def _remember(self, row: Kept) -> None:
        self._forget(row.key)
        self._near[row.key] = row
        self._near_bytes += row.size
        while self._near_bytes > self.room.memory_bytes:
            self._forget(next(iter(self._near)))

    def _forget(self, key: bytes) -> None:
        row = self._near.pop(key, None)
        if row is not None:
            self._near_bytes -= row.size

    def _drop(self, count: int, why: str) -> None:
        self._dropped += count
        if not self._failing:
            self._failing = True
            log.error("%s takes nothing that is to be kept: %s", self.place, why)
