"""One timer for all first-content limits.

`call_later` and its cancelling cost 0.7-1.4 us per stream; a set that is looked through
every 50 ms while anybody waits costs two set operations. A limit is therefore met up to
50 ms late, never early (performance.md section 9, trap 4).
"""

import asyncio
from typing import Protocol

STEP_S = 0.05


class Limited(Protocol):
    """Something that waits until `limit_at`, on the loop's clock."""

    limit_at: float

    def limit(self) -> None:
        """The time has come. It is no longer watched; it may have been dropped just now."""
        ...


class Limits:
    """Those that wait. Used from one loop at a time, but it may be another one later."""

    __slots__ = ("_loop", "_timer", "_waiting")

    def __init__(self) -> None:
        self._waiting: set[Limited] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: Limited, loop: asyncio.AbstractEventLoop) -> None:
        """Watch `item` until it is dropped or its limit has passed."""
        self._waiting.add(item)
        if self._timer is None or loop is not self._loop:
            self._loop, self._timer = loop, loop.call_later(STEP_S, self._turn, loop)

    def drop(self, item: Limited) -> None:
        """It need not be watched any more."""
        self._waiting.discard(item)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for item in [i for i in self._waiting if i.limit_at <= now]:
            self._waiting.discard(item)
            loop.call_soon(item.limit)
        self._timer = loop.call_later(STEP_S, self._turn, loop) if self._waiting else None
