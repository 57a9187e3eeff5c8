"""The owner of a local model's process: starts it on first use, and again when it died.

    resting --ready()--> starting --(line on stdout)--> running --(process ends)--> resting

One start serves every caller that waits for it, and goes on when they leave. A process
that dies young, or never starts, is given a pause that doubles, so that a broken model
file costs a process every few seconds and not one per call; during the pause callers get
the last reason at once.

Not promised: that an address stays good. A process may die between `ready()` and the
request; the failed connection is then an ordinary retry, which asks `ready()` again.
"""

import asyncio
from pathlib import Path

from octoplex.upstreams.local.launch import Address, Running, died, end, launch, spare_cores
from octoplex.upstreams.local.models import LocalModel
from octoplex.wire.error import Stopping, UpstreamError, UpstreamUnreachable

__all__ = ["Address", "LocalWorker"]

YOUNG_S = 60.0
PAUSE_MAX_S = 10.0


class Pause:
    """How long a failing start is left alone: 0 s after the first failure, then 1 to 10 s."""

    def __init__(self) -> None:
        self._failures, self._until_at = 0, 0.0
        self._last: UpstreamError = UpstreamUnreachable("The local model stopped.")

    def check(self, now: float) -> None:
        """Raise the last failure again while it is too early for another start."""
        if now < self._until_at:
            raise type(self._last)(str(self._last), retry_after_s=self._until_at - now)

    def failed(self, now: float, error: UpstreamError) -> None:
        """Record a start that failed, or a death soon after one."""
        wait_s = min(PAUSE_MAX_S, 2.0 ** (self._failures - 1)) if self._failures else 0.0
        self._failures += 1
        self._until_at, self._last = now + wait_s, error

    def over(self) -> None:
        """Forget past failures: it ran long enough."""
        self._failures, self._until_at = 0, 0.0


class LocalWorker:
    """One model in one process. Belongs to one event loop."""

    def __init__(
        self, model: LocalModel, *, threads: int | None = None, log: Path | None = None
    ) -> None:
        self.model = model
        self._threads, self._log = threads or spare_cores(), log
        self._pause = Pause()
        self._running: Running | None = None
        self._starting: asyncio.Task[Running] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process that answers now; None while there is none."""
        running = self._running
        return running.process.pid if running and running.process.returncode is None else None

    async def ready(self) -> Address:
        """The address of the running model, started first where need be.

        Raises:
            ModelGone: the file, or the engine's library, is missing or cannot be used.
            UpstreamUnreachable: the process died while it started.
            UpstreamSlow: it did not load within 300 s.
            Stopping: the worker is closed.
        """
        if self._closed:
            raise self._stopping()
        now = asyncio.get_running_loop().time()
        if self._running is not None and self._running.process.returncode is not None:
            self._bury(self._running, now)
        if self._running is not None:
            return self._running.address
        if self._starting is None:
            self._pause.check(now)
            self._starting = asyncio.create_task(launch(self.model, self._threads, self._log))
            self._starting.add_done_callback(self._started)
        starting = self._starting
        # `wait` leaves the start alone when this caller is cancelled, unlike awaiting it.
        await asyncio.wait([starting])
        if starting.cancelled():
            raise self._stopping()
        return starting.result().address

    async def close(self) -> None:
        """End the process. Whoever waits for a start gets `Stopping`. May be called twice."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        if self._running is not None:
            await end(self._running.process)

    def _started(self, task: asyncio.Task[Running]) -> None:
        self._starting = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._running = task.result()
        elif isinstance(error, UpstreamError):
            self._pause.failed(task.get_loop().time(), error)

    def _bury(self, dead: Running, now: float) -> None:
        self._running = None
        if now - dead.since_at >= YOUNG_S:
            self._pause.over()
        self._pause.failed(now, died(self.model, dead.process.returncode))

    def _stopping(self) -> Stopping:
        return Stopping(f"The local model {self.model.id} is shut down.")
