"""A watchdog of the event loop: what holds it up is logged with where it is, and counted.

    pulse = Pulse(works.stalled)
    pulse.begin()                           in the loop; `end` when it is about to end

The loop counts its own beats; a thread looks whether it does, and counts its own turns, not a
clock: whoever is stopped as a whole (SIGSTOP, a machine that sleeps) misses none. Code that
does not let go of the interpreter holds up the thread, too. That it was so, and not a stop, the
processor time says that was used meanwhile; where it was, `faulthandler`, whose timer needs
no interpreter.

Not promised: to see what neither computes nor lets go of the interpreter.
"""

import asyncio
import faulthandler
import logging
import os
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from typing import IO

log = logging.getLogger("octoplex.server")
TURN_S = 0.25
STALL_S = 2.0
"""From here on it is worth a line: nobody was answered for so long."""
DEEPEST = 40
"""Frames of a stack that are logged, the innermost."""


class Pulse:
    """Of one loop."""

    def __init__(self, stalled: Callable[[], None], beat: Callable[[], None] = lambda: None):
        """`stalled` is called once for each stall, in the thread; `beat` with each beat."""
        self._stalled, self._tell = stalled, beat
        self._beats = self._still = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="octoplex-pulse", daemon=True)
        self._stacks = _memory()

    def begin(self) -> None:
        """Watch the loop that runs here."""
        self._loop, self._whose = asyncio.get_running_loop(), threading.get_ident()
        self._beat()
        self._thread.start()

    def end(self) -> None:
        """Watch no more."""
        if self._thread.is_alive():
            self._timer.cancel()
            self._over.set()
            self._thread.join()
        self._stacks.close()

    def _beat(self) -> None:
        self._beats += 1
        self._tell()
        self._timer = self._loop.call_later(TURN_S, self._beat)

    # The thread's side.

    def _look_on(self) -> None:
        seen, at, used = self._beats, time.monotonic(), time.process_time()
        self._note_later()
        while not self._over.wait(TURN_S):
            late_s, at = time.monotonic() - at, time.monotonic()
            busy_s, used = time.process_time() - used, time.process_time()
            if late_s > STALL_S and busy_s > late_s / 2:
                self._stalled()
                log.error("nothing could run for %.1f s, here:\n%s", late_s, self._noted())
            elif self._beats == seen:
                self._stand()
            elif self._still:
                self._go_on()
            seen = self._beats
            self._note_later()
        faulthandler.cancel_dump_traceback_later()

    def _stand(self) -> None:
        self._still += 1
        if self._still * TURN_S == STALL_S:
            self._stalled()
            frame = sys._current_frames().get(self._whose)
            stack = "".join(traceback.format_stack(frame)[-DEEPEST:])
            log.error("the event loop has stood still for %.0f s, here:\n%s", STALL_S, stack)

    def _go_on(self) -> None:
        stood_s, self._still = self._still * TURN_S, 0
        if stood_s >= STALL_S:
            log.warning("the event loop goes on after %.1f s", stood_s)

    def _note_later(self) -> None:
        """Have written where we are if this thread cannot say so again in time."""
        self._stacks.seek(0)
        self._stacks.truncate()
        faulthandler.dump_traceback_later(STALL_S, file=self._stacks)

    def _noted(self) -> str:
        return os.pread(self._stacks.fileno(), 65_536, 0).decode(errors="replace")


def _memory() -> IO[bytes]:
    """A file that needs no disk, where the system has such."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("octoplex-stacks"), "w+b")
    return tempfile.TemporaryFile()
