"""Where a long run is: every step on a terminal, otherwise a line a minute at most.

The report goes to stdout and this to stderr, so that either may be kept without the other.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

QUIET_S = 60.0  # between two lines where nobody watches


class Progress:
    """Says what comes next and how long the run has taken."""

    def __init__(
        self, out: TextIO | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.out, self.now = out or sys.stderr, now
        self.began = self.said_at = now()

    def say(self, text: str) -> None:
        """Write a line with the time since the start, if it is due."""
        now = self.now()
        if not self.out.isatty() and now - self.said_at < QUIET_S:
            return
        self.said_at = now
        minutes, seconds = divmod(int(now - self.began), 60)
        print(f"{minutes:3}:{seconds:02}  {text}", file=self.out, flush=True)
