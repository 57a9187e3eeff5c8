"""One life of a task in this process: the `Journal` of its work, and the thread that writes it.

    work (the gateway's loop)  --entries-->  thread (DBOS's)  --one step-->  database
                               <--kept-----

What `once` and `begin` kept is on disk when they return, and all that was told before; an event
by itself goes there with what is kept next, or a moment later. So an event costs nothing, and
parallel steps share transactions. Whoever watches a task sees what is on disk.

A life ends with its work, or is lost: taken over, cancelled, or the process goes. A lost one
keeps nothing more; its work is cancelled.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from octoplex.agents.journal.records import Entry, Past, TaskRow, encoded, status_of
from octoplex.agents.task import Event, EventKind, Status

Waiting = tuple[Entry, asyncio.Future[None] | None]
MOST_AT_ONCE = 100
"""Entries in one step."""
LATER_S = 0.02
MOST_WAITING = 1_000
"""Events that nobody waits for; who tells more does."""


class Life:
    """Implements `Journal` for the work, and `serve` for the thread."""

    def __init__(
        self,
        row: TaskRow,
        past: Past,
        loop: asyncio.AbstractEventLoop,
        waits: Callable[[], None],
        over: threading.Event,
    ) -> None:
        self.row, self.past, self._waits = row, past, waits
        self.is_lost = self.is_whole = False
        self.news = asyncio.Event()
        """Replaced by another whenever it is set: something was kept."""
        self.over = over
        """Set by whoever lives it, when nothing of it is left in this process."""
        self._ended = threading.Event()
        self.course: asyncio.Task[None] | None = None
        self._loop = loop
        self._told = list(past.events)
        self._later: list[Waiting] = []
        self._before = frozenset(past.begun)
        self._inbox: SimpleQueue[list[Waiting] | None] = SimpleQueue()
        self._words: dict[str, asyncio.Future[Any]] = {}

    @property
    def events(self) -> list[Event]:
        """All so far, as the work told them."""
        return self._told

    @property
    def kept(self) -> Mapping[str, Any]:
        """What `once` has kept."""
        return self.past.values

    @property
    def status(self) -> Status | None:
        """How the task ended, as the work told it; None: it did not."""
        return status_of(self._told)

    async def once(self, key: str, do: Callable[[], Awaitable[Any]], *, later: bool = False) -> Any:
        """What is kept under this key; else what `do` gives, as JSON makes it, kept first."""
        if key not in self.past.values:
            value = encoded(await do())
            if later:
                self.past.values[key] = msgspec.json.decode(value)
                self._put(Entry(key, value))
            else:
                await self._keep(Entry(key, value))
        return self.past.values[key]

    async def begin(self, key: str) -> bool:
        """Mark that something begins; True where an earlier life had marked it."""
        if key not in self.past.begun:
            await self._keep(Entry(key, begun=True))
        return key in self._before

    async def tell(self, kind: EventKind, step: str = "", **body: Any) -> None:
        """Add an event."""
        known = msgspec.json.decode(encoded(body))
        event = Event(len(self._told) + 1, kind, int(time.time() * 1000), step, known)
        self._told.append(event)
        if self._inbox.qsize() > MOST_WAITING:
            await self._keep(Entry(event=event))
            return
        self._put(Entry(event=event))

    async def told(self, topic: str) -> Any:
        """Wait for the word on a topic. It is durable where it was said, not here."""
        if topic not in self._words:
            self._word(topic)
            self._waits()
        return await asyncio.shield(self._word(topic))

    def _word(self, topic: str) -> asyncio.Future[Any]:
        return self._words.setdefault(topic, self._loop.create_future())

    @property
    def waits_for(self) -> list[str]:
        """Topics on which nothing was said yet. For any thread."""
        return [topic for topic, word in list(self._words.items()) if not word.done()]

    def hear(self, topic: str, value: Any) -> None:
        """Somebody said something."""
        if not (word := self._word(topic)).done():
            word.set_result(value)

    def _put(self, entry: Entry) -> None:
        if not self._later:
            self._loop.call_later(LATER_S, self._flush)
        self._later.append((entry, None))

    async def _keep(self, entry: Entry) -> None:
        if self.is_lost:
            raise asyncio.CancelledError
        kept = self._loop.create_future()
        self._later.append((entry, kept))
        self._flush()
        await kept

    def _flush(self) -> None:
        if self._later:
            self._inbox.put(self._later)
            self._later = []

    def serve(self, write: Callable[[list[Entry]], None]) -> None:
        """Write what comes, until the work has ended. For a thread. Raises what `write` raises."""
        try:
            while batch := self._take():
                write([entry for entry, _ in batch])
                self._loop.call_soon_threadsafe(self._confirm, batch)
        except BaseException:
            with suppress(RuntimeError):  # the loop is closed: nothing runs any more
                self._loop.call_soon_threadsafe(self.lose)
                self._ended.wait()
            raise

    def _take(self) -> list[Waiting]:
        batch: list[Waiting] = []
        try:
            while len(batch) < MOST_AT_ONCE:
                item = self._inbox.get() if not batch else self._inbox.get_nowait()
                if item is None:
                    self._inbox.put(None)  # met again when this batch is written
                    break
                batch += item
        except Empty:
            pass
        return batch

    def _confirm(self, batch: list[Waiting]) -> None:
        for entry, kept in batch:
            if isinstance(entry.value, msgspec.Raw):
                entry = Entry(entry.key, msgspec.json.decode(entry.value))
            self.past.add(entry)
            if kept is not None and not kept.done():
                kept.set_result(None)
        news, self.news = self.news, asyncio.Event()
        news.set()

    def lose(self) -> None:
        """It is not this life's task any more."""
        self.is_lost = True
        if self.course is not None:
            self.course.cancel()

    def end(self) -> None:
        """Nothing comes any more; what came is still written."""
        self._flush()
        self._inbox.put(None)
        self._ended.set()
