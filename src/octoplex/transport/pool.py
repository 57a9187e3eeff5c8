"""The connections to one origin: few, reused, bounded.

The most recently used idle one is taken first, so that a burst's surplus ages and is closed
before a server's own keep-alive ends (30 s idle here, 60 s is common there). When all are
in use, requests queue; a connection that is given back goes to the longest waiter, and so
does the place of one that is lost.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from msgspec import Struct

from octoplex.transport.connection import Caps, Connection
from octoplex.transport.wheel import Wheel
from octoplex.wire.error import Stopping


class Bounds(Struct, frozen=True):
    """How many connections one origin may have, how many idle ones are kept, and how long."""

    connections: int = 1024
    idle: int = 256
    idle_s: float = 30.0


class Shared(Struct, frozen=True):
    """What all pools of a client share. `names` are header names in lower case."""

    loop: asyncio.AbstractEventLoop
    wheel: Wheel
    bounds: Bounds
    caps: Caps
    names: dict[bytes, str]


class Pool:
    """Connections to one origin. `places` counts those open or opening."""

    __slots__ = (
        "_bounds",
        "_loop",
        "_reaper",
        "caps",
        "closed",
        "connections",
        "idle",
        "names",
        "places",
        "waiters",
        "wheel",
    )

    def __init__(self, shared: Shared) -> None:
        self._loop, self._bounds = shared.loop, shared.bounds
        self.wheel, self.caps, self.names = shared.wheel, shared.caps, shared.names
        self.idle: deque[Connection] = deque()
        self.connections: set[Connection] = set()
        self.waiters: deque[asyncio.Future[Connection | None]] = deque()
        self.places = 0
        self.closed = False
        self._reaper: asyncio.TimerHandle | None = None

    def take(self) -> Connection | None:
        """An idle connection, the youngest first."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            if connection.is_usable():
                return connection
        return None

    async def open(self, dial: Callable[[], Awaitable[Connection]]) -> Connection:
        """A new connection, or one that another request gives back while this one queues."""
        while self.places >= self._bounds.connections:
            given = await self._queue()
            if given is None:
                break
            if given.is_usable():
                return given
        else:
            self.places += 1
        try:
            if self.closed:
                raise Stopping("The client was closed")
            connection = await dial()
            if not connection.is_usable() or self.closed:
                connection.abort()
                raise ConnectionResetError("it closed the new connection")
        except BaseException:
            self._vacate()
            raise
        self.connections.add(connection)
        return connection

    def release(self, connection: Connection) -> None:
        """Take a clean connection back."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if self.closed or len(self.idle) >= self._bounds.idle:
            connection.abort()
            return
        connection.idle_at = self._loop.time()
        self.idle.append(connection)
        if self._reaper is None:
            self._reaper = self._loop.call_later(self._bounds.idle_s, self._reap)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that is gone; its place is free."""
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        self._vacate()

    def close(self) -> None:
        """Abort every connection. Exchanges must have been failed before."""
        self.closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        for connection in list(self.connections):
            connection.abort()

    async def _queue(self) -> Connection | None:
        """Wait for a connection, or (None) for the place of one that is gone."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self.waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                given = waiter.result()
                if given is None:
                    self._vacate()
                else:
                    self.release(given)
            elif waiter in self.waiters:
                self.waiters.remove(waiter)
            raise

    def _vacate(self) -> None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.places -= 1

    def _reap(self) -> None:
        """Close what was idle too long; come back when the next one is due."""
        idle, oldest_at = self.idle, self._loop.time() - self._bounds.idle_s
        while idle and idle[0].idle_at <= oldest_at:
            idle.popleft().abort()
        self._reaper = None
        if idle:
            due_s = idle[0].idle_at - oldest_at
            self._reaper = self._loop.call_later(due_s, self._reap)
