"""Names to addresses, off the loop, remembered for a moment.

`getaddrinfo` blocks, so the loop runs it in its thread pool. Several connections that open
at once share one look-up. Addresses are kept for 30 s (getaddrinfo does not tell how long
they are good for), failures for 5 s, so that a dead name does not fill the thread pool.

A caller who gives up leaves the look-up running for the next one: its thread cannot be
stopped anyway. The resolver owns these tasks and cancels them when it is closed.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from octoplex.wire.error import UpstreamUnreachable

FOUND_S = 30.0
FAILED_S = 5.0

Address = tuple[int, Any]
"""Socket family and socket address."""


Ask = Callable[[str, int], Awaitable[list[Address]]]


class Resolver:
    """Looks names up. `_found` and `_failed` hold until when, on the loop's clock."""

    __slots__ = ("_ask", "_failed", "_found", "_loop", "_running")

    def __init__(self, loop: asyncio.AbstractEventLoop, ask: Ask | None = None) -> None:
        """`ask` asks the system (getaddrinfo) unless a test has something else in mind."""
        self._loop = loop
        self._ask = ask or self._system
        self._found: dict[tuple[str, int], tuple[float, list[Address]]] = {}
        self._failed: dict[tuple[str, int], tuple[float, str]] = {}
        self._running: dict[tuple[str, int], asyncio.Task[list[Address]]] = {}

    async def lookup(self, host: str, port: int) -> list[Address]:
        """Addresses to try, in order, families alternating.

        Raises:
            UpstreamUnreachable: the name does not resolve.
        """
        name, now = (host, port), self._loop.time()
        until, addresses = self._found.get(name, (0.0, []))
        if now < until:
            return addresses
        until, why = self._failed.get(name, (0.0, ""))
        if now < until:
            raise _unresolved(host, why)
        task = self._running.get(name)
        if task is None:
            task = self._running[name] = self._loop.create_task(self._search(name))
            task.add_done_callback(lambda _: self._running.pop(name, None))
        try:
            return await asyncio.shield(task)
        except OSError as error:
            raise _unresolved(host, str(error)) from None

    def close(self) -> None:
        """Stop what runs."""
        for task in list(self._running.values()):
            task.cancel()

    async def _system(self, host: str, port: int) -> list[Address]:
        rows = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(row[0], row[4]) for row in rows]

    async def _search(self, name: tuple[str, int]) -> list[Address]:
        try:
            addresses = _alternate(await self._ask(*name))
        except (OSError, UnicodeError) as error:
            self._failed[name] = (self._loop.time() + FAILED_S, str(error))
            raise OSError(str(error)) from None
        self._found[name] = (self._loop.time() + FOUND_S, addresses)
        return addresses


def _alternate(addresses: list[Address]) -> list[Address]:
    """The first family first, then turn by turn (RFC 8305 section 4)."""
    if not addresses:
        raise OSError("no address")
    first = [a for a in addresses if a[0] == addresses[0][0]]
    other = [a for a in addresses if a[0] != addresses[0][0]]
    turns = max(len(first), len(other))
    pairs = [pair for i in range(turns) for pair in (first[i : i + 1], other[i : i + 1])]
    return [address for pair in pairs for address in pair]


def _unresolved(host: str, why: str) -> UpstreamUnreachable:
    error = UpstreamUnreachable(f"{host} does not resolve ({why}); check the name or the DNS")
    error.next = "target"
    return error
