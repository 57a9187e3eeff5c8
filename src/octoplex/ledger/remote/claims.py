"""Whose call an idempotency key is, for one of several workers: the owner is asked.

    claims = RemoteClaims(store, stock)
    claims.welcomed()                      another owner has taken up what `store.claims` said

What a worker holds is a part of its Hello to every owner, for `SETTLED_S` after it was given
back, too: only then is it sure that the owner has on disk what the call brought. An owner that is
started anew is given that again first, so that nobody asks twice because an owner has died.
"""

import asyncio
from typing import Protocol

import msgspec

from octoplex.ledger.stock import Stock
from octoplex.wire.eager import in_task
from octoplex.wire.error import StoreFailed

SETTLED_S = 5.0


class Owner(Protocol):
    """Who asks the owner: `RemoteStore`."""

    claims: dict[bytes, bytes]

    async def ask(self, what: str, *args: object) -> bytes: ...

    def tell(self, what: str, *args: object) -> None: ...


class RemoteClaims:
    """Owned by the event loop. Implements `Claims` (`reflex/idempotency.py`)."""

    def __init__(self, owner: Owner, stock: Stock) -> None:
        self._owner, self._stock = owner, stock
        self._mine: dict[bytes, bytes] = {}
        """What is asked, by key: of calls of this process."""
        self._over: dict[bytes, asyncio.Event] = {}
        self._taking: dict[bytes, asyncio.Event] = {}
        """Keys that the owner is asked for."""
        self._held = owner.claims

    async def take(self, key: bytes, asked: bytes) -> bytes | None:
        """See `Claims`."""
        while (known := self._taking.get(key)) is not None:
            await known.wait()  # else it would be refused for one that may be refused itself
        if key in self._mine:
            return self._mine[key]
        known = self._taking[key] = asyncio.Event()
        try:
            await in_task()
            holder = await self._ask(key, asked)
        except BaseException:
            self._owner.tell("claims.give_back", key)
            raise
        finally:
            del self._taking[key]
            known.set()
        if holder is None:
            self._mine[key], self._over[key] = asked, asyncio.Event()
            self._held[key] = asked
        return holder

    async def _ask(self, key: bytes, asked: bytes) -> bytes | None:
        try:
            said = await self._owner.ask("claims.take", key, asked)
        except StoreFailed:
            return None
        return msgspec.msgpack.decode(said, type=bytes | None)

    def give_back(self, key: bytes) -> None:
        """See `Claims`."""
        if key in self._mine:
            del self._mine[key]
            self._over.pop(key).set()
            self._owner.tell("claims.give_back", key)
            asyncio.get_running_loop().call_later(SETTLED_S, self._settled, key)

    async def freed(self, key: bytes, until_at: float) -> None:
        """See `Claims`."""
        over = self._over.get(key)
        await in_task()
        try:
            async with asyncio.timeout_at(until_at):
                if over is not None:
                    await over.wait()
                else:
                    rest_s = until_at - asyncio.get_running_loop().time()
                    await self._owner.ask("claims.freed", key, rest_s)
        except (TimeoutError, StoreFailed):
            return

    def welcomed(self) -> None:
        """Tell a new owner of what the last one was told a moment ago."""
        for key in self._held.keys() - self._mine.keys() - self._taking.keys():
            row = self._stock.near(key)
            if row is not None:
                self._owner.tell("stock.keep", row)
            self._owner.tell("claims.give_back", key)

    def _settled(self, key: bytes) -> None:
        if key not in self._mine:
            self._held.pop(key, None)
