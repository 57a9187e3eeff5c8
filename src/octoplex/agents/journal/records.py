"""What is kept of a task: entries, in the order in which they were kept, and what follows.

    entries -> Past: the events, what `once` kept, what had begun

An entry is JSON. One that was kept twice, because the first time was not confirmed, counts once.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct, field

from octoplex.agents.task import Event, Status, Task
from octoplex.wire.error import StoreFailed

T = TypeVar("T")
TERMINAL: dict[str, Status] = {
    "task.done": "done",
    "task.failed": "failed",
    "task.cancelled": "cancelled",
}


def read(value: Any, kind: type[T]) -> T:
    """A value of the database.

    Raises:
        StoreFailed: it is not of that kind; its facts say `damaged`.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise StoreFailed(f"What is kept of a task is damaged: {error}.", damaged="task") from None


class TaskRow(Struct, frozen=True, kw_only=True):
    """A task as it is listed. `status` is queued, running or how it ended; events say more."""

    id: str
    key_id: str
    tenant: str
    task: Task
    created_at_ms: int
    status: Status
    ended_at_ms: int | None = None


class Rules(Struct, frozen=True, kw_only=True):
    """What the configuration says."""

    at_once: int = 8
    keep_days: float = 30.0
    """From the end of a task on."""
    folders: Path | None = None
    """Where tasks that name no folder have theirs (`folders.py`), which go with them."""
    takes_up: bool = True
    """Whether it also runs what others handed in or left behind."""


class Order(Struct, frozen=True):
    """What is handed in: the input of a task's workflow."""

    task: Task
    key_id: str = ""
    tenant: str = ""


class Entry(Struct, frozen=True, omit_defaults=True):
    """An event; or a key, with its value or only begun."""

    key: str = ""
    value: Any = None
    begun: bool = False
    event: Event | None = None


class Past(Struct, kw_only=True):
    """What is known of a task. `deaths`: how often it was taken up since it last got further."""

    events: list[Event]
    values: dict[str, Any] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    deaths: int = 0

    def add(self, entry: Entry) -> None:
        """What follows from one more entry."""
        if entry.event is not None:
            if entry.event.number > len(self.events):
                self.events.append(entry.event)
                self.deaths += entry.event.kind == "task.resumed"
                self.deaths *= entry.event.kind not in TERMINAL
        elif entry.begun:
            self.begun.add(entry.key)
        else:
            self.values.setdefault(entry.key, entry.value)
            self.deaths = 0

    def add_all(self, batch: Any) -> None:
        """What follows from a batch, as it was read.

        Raises:
            StoreFailed: it is none.
        """
        for entry in read(batch, list[Entry]):
            self.add(entry)


def status_of(events: list[Event]) -> Status | None:
    """How a task with these events ended; None: it did not."""
    return TERMINAL.get(events[-1].kind) if events else None


def past_of(created_at_ms: int) -> Past:
    """Of a task that was handed in, which is its first event."""
    return Past(events=[Event(1, "task.queued", created_at_ms)])


def encoded(value: Any) -> Raw:
    """A value as JSON.

    Raises:
        TypeError: it cannot be JSON.
    """
    try:
        return Raw(msgspec.json.encode(value))
    except UnicodeEncodeError:  # half a character, as names of files may have
        text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
        return Raw(text.encode(errors="replace"))
