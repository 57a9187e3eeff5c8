"""One timer for every deadline of a client.

A timer per request costs 2 us (`call_later`) to 7 us (`asyncio.timeout`); a set of those
that wait, looked through every 50 ms while there are any, costs about nothing. So a
deadline is met within 50 ms of its time, never before it.

When the loop itself was blocked, a turn comes late and what arrived meanwhile is still in
the kernel: that turn expires nothing (the next one does), so that nobody is blamed for our
own pause.

A thing on the wheel says until when it may wait; both times are on the loop's clock.
"""

import asyncio
from typing import Protocol

STEP_S = 0.05
LATE_S = 0.5


class Waiting(Protocol):
    """Something with deadlines."""

    expires_at: float
    deadline_at: float

    def expire(self, now: float) -> None:
        """One of the two times has passed. May move its time on and stay."""
        ...


class Wheel:
    """The things that wait, and the one timer that looks through them."""

    __slots__ = ("_due_at", "_forgave", "_loop", "_timer", "discard", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0
        self._forgave = False
        self.waiting: set[Waiting] = set()
        self.discard = self.waiting.discard

    def add(self, item: Waiting) -> None:
        """Watch `item` until it is discarded."""
        self.waiting.add(item)
        if self._timer is None:
            self._wind()

    def stop(self) -> None:
        """Forget everything."""
        self.waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        self._due_at = self._loop.time() + STEP_S
        self._timer = self._loop.call_at(self._due_at, self._turn)

    def _turn(self) -> None:
        now = self._loop.time()
        self._forgave = now - self._due_at >= LATE_S and not self._forgave
        if not self._forgave:
            late = [i for i in self.waiting if i.expires_at <= now or i.deadline_at <= now]
            for item in late:
                item.expire(now)
        self._timer = None
        if self.waiting:
            self._wind()
