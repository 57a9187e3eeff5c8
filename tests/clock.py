"""An event loop whose time moves only when nothing else is left to do.

`asyncio.sleep(600)` returns at once and `loop.time()` is 600 s later, so tests of waits
and limits are exact and take no time. No sockets: only what lives in the loop.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

STARTS_AT = 1_000.0


class _Jump(selectors.DefaultSelector):
    """Skips the wait instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.at = STARTS_AT

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready:
            return ready
        assert timeout is not None, "everything waits and nothing will ever happen"
        self.at += max(timeout, 0.0)
        return ready


class HandLoop(asyncio.SelectorEventLoop):
    """A loop on a clock of its own."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.at


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a clock of its own, and leave no task behind."""
    loop = HandLoop()
    try:
        result = loop.run_until_complete(main)
        left = asyncio.all_tasks(loop)
        assert not left, f"tasks left behind: {left}"
        return result
    finally:
        loop.close()


def now() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()
