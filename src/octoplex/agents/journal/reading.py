"""What is kept of tasks, for whoever only looks.

    reader = await Reader.open(data / "tasks.db")
    await reader.rows(20); await reader.events("task-1"); await reader.close()

A task that nobody can write to any more, because it was cancelled before anybody had it, still has
an end: it follows from its row.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from octoplex.agents.journal.cabinet import Cabinet, Row, order_of
from octoplex.agents.journal.records import TERMINAL, Past, TaskRow, past_of, status_of
from octoplex.agents.task import Event, EventKind, Status
from octoplex.ledger.postgres.database import Database
from octoplex.wire.error import NotFound, StoreFailed

log = logging.getLogger("octoplex.agents")
STATES: dict[str, Status] = {"ENQUEUED": "queued", "DELAYED": "queued", "PENDING": "running"}


class Reading:
    """What is kept of a task that runs elsewhere or not at all; each time only what is new."""

    def __init__(self, cabinet: Cabinet, task_id: str) -> None:
        self._cabinet, self._id = cabinet, task_id
        self._past: Past | None = None
        self._batches = self.steps = 0
        self.state = ""

    def events(self) -> list[Event]:
        """All so far; none where there is no such task."""
        row = self._cabinet.row(self._id, whole=False)
        if row is None:
            return []
        past = self.read(row)
        self.state = row.status
        if status_of(past.events) is not None or row.status in STATES:
            return past.events
        kind: EventKind = "task.cancelled" if row.status == "CANCELLED" else "task.failed"
        at_ms = row.completed_at or row.updated_at or row.created_at
        return [*past.events, Event(len(past.events) + 1, kind, at_ms)]

    def read(self, row: Any) -> Past:
        """What follows from the entries that are there."""
        kept = self._cabinet.kept(self._id, self._batches)
        past = past_of(row.created_at) if self._past is None else self._past
        for _, batch in kept:
            past.add_all(batch)
        self._past = past
        self._batches += len(kept)
        self.steps = kept[-1][0] if kept else self.steps
        return past


class Reader:
    """Runs nothing and makes nothing; may be open beside whoever does."""

    def __init__(self, cabinet: Cabinet | None) -> None:
        self._cabinet = cabinet

    @classmethod
    async def open(cls, where: Path | Database) -> "Reader":
        """Where no task was ever handed in, there is nothing to read.

        Raises:
            BadConfig: the extra `agents` is not installed.
            StoreFailed: it cannot be opened.
        """
        return cls(await asyncio.to_thread(_joined, where))

    async def close(self) -> None:
        """Close what is open."""
        if self._cabinet is not None:
            await asyncio.to_thread(self._cabinet.close)

    async def row(self, task_id: str) -> TaskRow | None:
        """A task, or that there is none."""
        if self._cabinet is None:
            return None
        row = await asyncio.to_thread(self._cabinet.row, task_id)
        return None if row is None else row_of(row)

    async def rows(self, limit: int = 20, before: str = "") -> list[TaskRow]:
        """Tasks, newest first.

        Raises:
            NotFound: there is no task `before`.
        """
        if self._cabinet is None:
            return []
        return await asyncio.to_thread(listed, self._cabinet, limit, before)

    async def events(self, task_id: str, after: int = 0) -> list[Event]:
        """What happened to it so far, from the event after that number on."""
        if self._cabinet is None:
            return []
        events = await asyncio.to_thread(Reading(self._cabinet, task_id).events)
        return events[after:]


def _joined(where: Path | Database) -> Cabinet | None:
    if isinstance(where, Path) and not where.exists():
        return None
    cabinet = Cabinet(where)
    return cabinet if cabinet.join() else None


def listed(
    cabinet: Cabinet,
    limit: int,
    before: str = "",
    key_id: str | None = None,
    sees: Callable[[TaskRow], bool] = lambda _: True,
) -> list[TaskRow]:
    """Tasks, newest first: those handed in before one, of a key, that may be seen. Blocks.

    Raises:
        NotFound: there is no task `before` to be seen.
    """
    mark = cabinet.row(before) if before else None
    if before and (mark is None or not sees(row_of(mark))):
        raise NotFound(f"There is no task {before[:128]!r}.")
    found: list[TaskRow] = []
    is_past = mark is None
    for row in cabinet.rows(key_id, None if mark is None else mark.created_at):
        if len(found) == limit:
            break
        try:
            given = row_of(row)
        except StoreFailed as damaged:
            log.error("task %s: %s", row.workflow_id, damaged)
            continue
        is_older = mark is not None and row.created_at < mark.created_at
        if (is_past or is_older) and sees(given):
            found.append(given)
        is_past = is_past or row.workflow_id == before
    return found


def row_of(row: Row) -> TaskRow:
    """A task as it is listed."""
    order = order_of(row)
    ended: Status = row.output if row.output in TERMINAL.values() else "failed"
    status = "cancelled" if row.status == "CANCELLED" else STATES.get(row.status, ended)
    return TaskRow(
        id=row.workflow_id,
        key_id=order.key_id,
        tenant=order.tenant,
        task=order.task,
        created_at_ms=row.created_at,
        status=status,
        ended_at_ms=None if row.status in STATES else row.completed_at,
    )
