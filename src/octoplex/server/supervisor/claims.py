"""Which worker an idempotency key is claimed by, as the owner knows it.

What a worker holds that dies is free at once. An owner that is started anew is told of what is
held before it answers anybody (`Hello.claims`). Where hosts share a Redis the owner claims
there, too, in the name of its workers; the next owner under the same token, and at once, so that
no claim ends with an owner.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from msgspec import Struct, field

from octoplex.reflex.idempotency import Claims
from octoplex.server.supervisor.lending import Peer

Work = Coroutine[Any, Any, None]
LOOK_S = 2.0
"""A worker that waits for longer asks again, so that nothing here outlives it."""


class Claim(Struct, eq=False):
    """A call that is on its way."""

    peer: Peer
    asked: bytes
    known: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is known whether it is, or another host's."""
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Claimed:
    """All of them. Owned by the event loop."""

    def __init__(self, hosts: Claims | None, start: Callable[[Work], None]) -> None:
        """`hosts`: where other hosts are asked, too. `start` lets something run."""
        self._hosts, self._start = hosts, start
        self._claims: dict[bytes, Claim] = {}

    def take_up(self, peer: Peer, held: Iterable[tuple[bytes, bytes]]) -> None:
        """What a worker held when the last owner died."""
        for key, asked in held:
            claim = Claim(peer, asked)
            claim.known.set()
            if self._claims.setdefault(key, claim) is claim and self._hosts is not None:
                self._start(self._among_hosts(self._hosts, key, claim))

    async def _among_hosts(self, hosts: Claims, key: bytes, claim: Claim) -> None:
        """Renew what the last owner claimed. If another host has it meanwhile, both ask."""
        if claim.over.is_set():
            return
        other = await hosts.take(key, claim.asked)
        if other is None and claim.over.is_set():  # nobody wants it any more
            hosts.give_back(key)

    async def take(self, peer: Peer, key: bytes, asked: bytes) -> bytes | None:
        """See `Claims`, for a worker."""
        while (claim := self._claims.get(key)) is not None and claim.peer is not peer:
            if claim.known.is_set():
                return claim.asked
            await claim.known.wait()  # else it would be refused for one that may be, too
        claim = self._claims[key] = Claim(peer, asked)
        try:
            other = await self._hosts.take(key, asked) if self._hosts is not None else None
        finally:
            claim.known.set()
        if other is not None:
            self._end(key, claim)
        elif claim.over.is_set() and self._hosts is not None:  # nobody wants it any more
            self._hosts.give_back(key)
        return other

    def give_back(self, peer: Peer, key: bytes) -> None:
        """See `Claims`, for a worker."""
        claim = self._claims.get(key)
        if claim is not None and claim.peer is peer:
            self._end(key, claim)
            if self._hosts is not None:
                self._hosts.give_back(key)

    async def freed(self, key: bytes, within_s: float) -> None:
        """See `Claims`; at most `LOOK_S`."""
        claim = self._claims.get(key)
        within_s = min(within_s, LOOK_S)
        try:
            async with asyncio.timeout(within_s):
                if claim is not None:
                    await claim.over.wait()
                elif self._hosts is not None:
                    await self._hosts.freed(key, asyncio.get_running_loop().time() + within_s)
        except TimeoutError:
            return

    def lost(self, peer: Peer) -> None:
        """A worker is dead."""
        for key in [key for key, claim in self._claims.items() if claim.peer is peer]:
            self.give_back(peer, key)

    def _end(self, key: bytes, claim: Claim) -> None:
        claim.over.set()
        if self._claims.get(key) is claim:
            del self._claims[key]
