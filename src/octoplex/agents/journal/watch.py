"""Looks, from a thread of its own, after the lives of this process and the executors of others.

While tasks run here: what was said to them is heard, a beat says that this executor lives, and a
life whose task another has, or somebody cancelled, is lost.

An executor that has tasks and whose beat has not changed for `SILENT_S`, while this thread looked
all the time, is dead: its tasks are handed on. Only this machine's monotonic clock is asked. That
it was only frozen does no harm: what it would write is refused, and here it is told so.
"""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from octoplex.agents.journal.cabinet import Cabinet
from octoplex.agents.journal.life import Life
from octoplex.agents.journal.records import Rules
from octoplex.wire.error import StoreFailed

log = logging.getLogger("octoplex.agents")
HEAR_S = 1.0
BEAT_S = 1.5
SILENT_S = 5.0
"""Three beats. With a beat's and a look's distance and DBOS's own second: under ten in all."""
ORPHAN_LOOKS = 3


class Watch:
    """One of a process. `now` may be asked from its thread: lives, and all tasks of this process,
    those among them that begin."""

    def __init__(
        self,
        cabinet: Cabinet,
        now: Callable[[], tuple[dict[str, Life], set[str]]],
        soon: Callable[..., object],
        rules: Rules,
    ) -> None:
        self._cabinet, self._now, self._soon = cabinet, now, soon
        self._rules = rules
        self._wake, self._stopping = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="octoplex-tasks-watch", daemon=True)
        self._beaten = self._is_away = False
        self._beat_at = self._looked_at = float("-inf")
        self._seen: dict[str, tuple[int | None, float]] = {}
        self._orphans: Counter[str] = Counter()

    def start(self) -> None:
        """Until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Waits for what it is doing."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Something is waited for that may have been said."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn(*self._now())
            except StoreFailed as failed:
                if not self._is_away:
                    log.error("%s", failed)
                self._is_away = True
            except Exception:
                log.exception("the watch over tasks goes on")
            self._wake.wait((HEAR_S if self._beaten else BEAT_S) * random.uniform(0.8, 1.0))
            self._wake.clear()

    def _turn(self, lives: dict[str, Life], here: set[str]) -> None:
        self._hear(lives)
        now = time.monotonic()
        if now - self._beat_at >= BEAT_S * 0.75:
            self._beat_at = now
            if here:
                self._cabinet.beat(anew=not self._beaten)
            self._beaten = bool(here)
            self._look(lives, here)
            if self._is_away:
                log.warning("the database of tasks answers again")
            self._is_away = False

    def _hear(self, lives: dict[str, Life]) -> None:
        asked = [(task_id, topic) for task_id, life in lives.items() for topic in life.waits_for]
        if asked:
            for (task_id, topic), value in self._cabinet.said(asked).items():
                self._soon(lives[task_id].hear, topic, value)

    def _look(self, lives: dict[str, Life], here: set[str]) -> None:
        running = self._cabinet.running()
        me = self._cabinet.executor
        mine = {task_id for task_id, executor in running if executor == me}
        for task_id, life in lives.items():
            if task_id not in mine:
                self._soon(life.lose)
        self._orphans = Counter({task_id: self._orphans[task_id] + 1 for task_id in mine - here})
        for task_id, looks in self._orphans.items():
            if looks >= ORPHAN_LOOKS:
                self._hand_on(task_id, me)
        if not self._rules.takes_up:
            return
        dead = self._silent({executor for _, executor in running} - {me})
        for task_id, executor in running:
            if executor in dead:
                self._hand_on(task_id, executor)

    def _silent(self, others: set[str]) -> set[str]:
        now = time.monotonic()
        if now - self._looked_at > 2 * BEAT_S:  # this process stood still, or the database did
            self._seen.clear()
        self._looked_at = now
        beats = self._cabinet.beats(others) if others else {}
        since = {}
        for executor in others:
            beat, before = beats.get(executor), self._seen.get(executor)
            since[executor] = before if before and before[0] == beat else (beat, now)
        self._seen = since
        return {executor for executor, (_, at) in since.items() if now - at >= SILENT_S}

    def _hand_on(self, task_id: str, executor: str) -> None:
        row = self._cabinet.row(task_id, whole=False)  # again: another watch may have been faster
        if row is not None and row.status == "PENDING" and row.executor_id == executor:
            self._cabinet.resume(task_id)
            log.warning("task %s goes on: %s does not run it any more", task_id, executor)
