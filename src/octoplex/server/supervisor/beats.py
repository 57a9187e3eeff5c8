"""What shows the supervisor that its children's loops run: memory that all of them share.

Each child counts in a place of its own (`server/pulse.py`); the supervisor looks once a second
and counts the looks at which it was the same. So whatever stops all of them stops the count, too.
A child that is traced stands still for its debugger and is let alone.
"""

import faulthandler
import mmap
import os
import signal
import time
from pathlib import Path

LOOK_S = 1.0
STACK_S = 0.3
"""How long a child has to say where it is."""


class Beats:
    """Of the owner, which is number 0, and of so many workers."""

    def __init__(self, workers: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, 8 * (workers + 1))).cast("Q")
        self._stacks = os.memfd_create("octoplex-stacks")
        self._seen = [(0, 0)] * (workers + 1)
        """By number: the count, and at how many looks it has been so."""
        self._looked_at = 0.0

    # A child's side.

    def begin(self, number: int) -> None:
        """Before the child is there: nothing is expected of it until its first beat."""
        self._counts[number], self._seen[number] = 0, (0, 0)

    def beat(self, number: int) -> None:
        """The loop runs."""
        self._counts[number] += 1

    def say_where(self) -> None:
        """Write down where this process is when it is asked (SIGUSR1), whatever it does."""
        faulthandler.register(signal.SIGUSR1, file=self._stacks)

    # The supervisor's.

    def still(self, most: float) -> list[int]:
        """The numbers of those who have stood still for so many seconds of ours."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_S:
            return []
        self._looked_at = now
        for number, count in enumerate(self._counts):
            before, looks = self._seen[number]
            self._seen[number] = (count, looks + 1 if count == before and count else 0)
        return [n for n, (_, looks) in enumerate(self._seen) if looks * LOOK_S >= most]

    def stack(self, pid: int) -> str:
        """Where a process is that stands still; "" when it does not say."""
        os.ftruncate(self._stacks, 0)
        os.lseek(self._stacks, 0, os.SEEK_SET)
        os.kill(pid, signal.SIGUSR1)
        until_at = time.monotonic() + STACK_S
        while time.monotonic() < until_at:
            time.sleep(STACK_S / 10)
            if size := os.fstat(self._stacks).st_size:
                return os.pread(self._stacks, size, 0).decode(errors="replace")
        return ""


def traced(pid: int) -> bool:
    """Whether a debugger holds a process."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "TracerPid:\t0\n" not in status
