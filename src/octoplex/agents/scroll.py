"""A journal in memory: for a task that may end with its process, and for tests.

    journal = MemoryJournal()
    view = await run(assignment, journal)
    journal.say("approval/send", {"approved": True, "by": "me"})

`records` is all it ever wrote, in order: a copy of the first N is what another process would find
after a kill.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.agents.task import Event, EventKind


class Record(Struct, frozen=True):
    """Something that was written: of `once`, `begin`, `tell` or from outside."""

    kind: str
    key: str
    value: bytes = b"null"


class MemoryJournal:
    """Keeps JSON, as one on disk would, so that nothing survives here that would not there."""

    def __init__(
        self, records: Iterable[Record] = (), now: Callable[[], float] = time.time
    ) -> None:
        self.records: list[Record] = []
        self.events: list[Event] = []
        self._now = now
        self._kept: dict[str, bytes] = {}
        self._begun: set[str] = set()
        self._said: dict[str, asyncio.Future[bytes]] = {}
        for record in records:
            self._write(record)
        self._event("task.resumed" if self.records else "task.queued", "", {})

    def _write(self, record: Record) -> None:
        self.records.append(record)
        if record.kind == "once":
            self._kept[record.key] = record.value
        elif record.kind == "begin":
            self._begun.add(record.key)
        elif record.kind == "tell":
            self.events.append(msgspec.json.decode(record.value, type=Event))

    @property
    def kept(self) -> dict[str, Any]:
        """What `once` has kept."""
        return {key: msgspec.json.decode(value) for key, value in self._kept.items()}

    async def once(self, key: str, do: Callable[[], Awaitable[Any]], *, later: bool = False) -> Any:
        """What is kept, else what `do` gives, kept."""
        if key not in self._kept:
            self._write(Record("once", key, msgspec.json.encode(await do())))
        return msgspec.json.decode(self._kept[key])

    async def begin(self, key: str) -> bool:
        """Mark; True where it was marked."""
        known = key in self._begun
        if not known:
            self._write(Record("begin", key))
        return known

    async def tell(self, kind: EventKind, step: str = "", **body: Any) -> None:
        """Add an event."""
        self._event(kind, step, body)

    def _event(self, kind: EventKind, step: str, body: dict[str, Any]) -> None:
        at_ms = int(self._now() * 1000)
        event = Event(len(self.events) + 1, kind, at_ms, step, body)
        self._write(Record("tell", kind, msgspec.json.encode(event)))

    async def told(self, topic: str) -> Any:
        """Wait until it is said."""
        said = next((r for r in self.records if r.kind == "say" and r.key == topic), None)
        if said is None:
            waiter = self._said.setdefault(topic, asyncio.get_running_loop().create_future())
            return msgspec.json.decode(await asyncio.shield(waiter))
        return msgspec.json.decode(said.value)

    def say(self, topic: str, value: Any) -> None:
        """Say something from outside; what is said first holds."""
        if any(r.kind == "say" and r.key == topic for r in self.records):
            return
        record = Record("say", topic, msgspec.json.encode(value))
        self._write(record)
        waiter = self._said.get(topic)
        if waiter is not None and not waiter.done():
            waiter.set_result(record.value)
