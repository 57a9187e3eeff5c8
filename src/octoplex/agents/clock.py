"""The time of a task: it runs while somebody works, and stands while all wait for a person.

clock = Clock(600.0, used_s=12.5)
with clock.working(): ...
    with clock.waiting(): answer = await journal.told(topic)
await clock.over()          returns when the time is used up
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Of one life of a task. It belongs to the running loop."""

    def __init__(self, seconds: float, used_s: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._left_s = max(0.0, seconds - used_s)
        self._working = self._waiting = 0
        self._over = asyncio.Event()
        self._since = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._turn()

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        ran = self._loop.time() - self._since if self._timer else 0.0
        return max(0.0, self._left_s - ran)

    @contextmanager
    def working(self) -> Iterator[None]:
        """One more who works."""
        self._working += 1
        self._turn()
        try:
            yield
        finally:
            self._working -= 1
            self._turn()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """One of those who work waits for a person."""
        self._waiting += 1
        self._turn()
        try:
            yield
        finally:
            self._waiting -= 1
            self._turn()

    def _turn(self) -> None:
        """Run, or stand: with nobody at work the task itself is at work."""
        self._left_s = self.left_s
        self._since = self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._working or self._waiting < self._working:
            self._timer = self._loop.call_later(self._left_s, self._over.set)

    async def over(self) -> None:
        """Wait until the time is used up."""
        await self._over.wait()

    def close(self) -> None:
        """Stop for good."""
        if self._timer is not None:
            self._timer.cancel()
