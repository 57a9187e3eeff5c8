"""Rate limits for workers: the owner's buckets, and what is lent out of them.

    rates = Rates(desk, workers, related, peers)
    rates.wanted(peer, message)         a call for which the worker has no lease

What is lent counts as taken, and nothing flows back in for it until it was used: so level and
leases together are never more than a bucket holds. Before a call is refused, what others hold
of the same limits is called back.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from octoplex.ledger.remote.messages import (
    RateLent,
    RateRecall,
    RateReturned,
    RateWanted,
    Said,
    Used,
)
from octoplex.reflex.gate import Desk
from octoplex.reflex.lending import LendingBuckets
from octoplex.reflex.shared import SharedDesk
from octoplex.server.supervisor.lending import SHARE, Peer, RateLease, refusal
from octoplex.wire.error import GatewayError, TooFast

BACK_S = 0.5
"""How long a worker has to give back what is called back."""


class Rates:
    """Requests and tokens for workers."""

    def __init__(
        self,
        desk: Desk,
        workers: int,
        related: Callable[[str, str], bool],
        peers: list[Peer],
    ) -> None:
        """`related` says whether two keys share a limit."""
        self._desk, self._share, self._related = desk, SHARE * workers, related
        self._peers = peers
        self._back = asyncio.Event()
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        if isinstance(desk, SharedDesk):
            desk.recall_lent = self.recall

    def hear(self, peer: Peer, message: RateWanted | Used | RateReturned) -> None:
        """See to what a worker says."""
        match message:
            case RateWanted():
                self.wanted(peer, message)
            case Used():
                self.used(peer, message)
            case RateReturned():
                self.returned(peer, message)

    def wanted(self, peer: Peer, message: RateWanted) -> None:
        """Take for a call, or refuse it."""
        buckets = self._buckets(message.key_id)
        try:
            if buckets is not None and buckets.take(message.tokens):
                self._start(self._ask(peer, message))
                return
        except TooFast as error:
            self._lack(peer, message, error)
        except GatewayError as error:
            self._refuse(peer, message, error)
        else:
            self._grant(peer, message, buckets)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lack(self, peer: Peer, message: RateWanted, error: TooFast) -> None:
        if self._lent(message.key_id):
            self._start(self._wait(peer, message))
        else:
            self._refuse(peer, message, error)

    async def _ask(self, peer: Peer, message: RateWanted) -> None:
        """Take of what other hosts have."""
        try:
            await self._desk.ask(message.key_id, message.tokens)
        except TooFast as error:
            self._lack(peer, message, error)
        except GatewayError as error:
            self._refuse(peer, message, error)
        else:
            self._grant(peer, message, self._buckets(message.key_id))

    async def _wait(self, peer: Peer, message: RateWanted) -> None:
        """Call back what others hold, and try again."""
        key_id = message.key_id
        self._waiting += 1
        try:
            self.recall(key_id)
            loop = asyncio.get_running_loop()
            end_at = loop.time() + BACK_S
            while self._lent(key_id) and loop.time() < end_at:
                self._back.clear()
                try:
                    async with asyncio.timeout_at(end_at):
                        await self._back.wait()
                except TimeoutError:
                    break
            buckets = self._buckets(key_id)
            if buckets is not None and buckets.take(message.tokens):
                await self._desk.ask(key_id, message.tokens)
        except GatewayError as error:
            self._refuse(peer, message, error)
        else:
            self._grant(peer, message, buckets)
        finally:
            self._waiting -= 1

    def _grant(self, peer: Peer, message: RateWanted, buckets: LendingBuckets | None) -> None:
        key_id = message.key_id
        if buckets is not None and peer.wire.up:
            lease = peer.rates.get(key_id)
            if lease is None:
                lease = peer.rates[key_id] = RateLease(buckets)
            requests, tokens = (room // self._share for room in buckets.room())
            requests, tokens = max(0, requests - lease.requests), max(0, tokens - lease.tokens)
            if self._waiting or lease.recalled:
                requests = tokens = 0
            buckets.lend(requests, tokens)
            lease.requests += requests
            lease.tokens += tokens
            peer.wire.push(RateLent(key_id, requests, tokens, buckets.full_at()))
        peer.wire.send(Said(message.ask))

    def _refuse(self, peer: Peer, message: RateWanted, error: GatewayError) -> None:
        buckets = self._buckets(message.key_id)
        if buckets is not None:
            peer.wire.push(RateLent(message.key_id, 0, 0, buckets.full_at()))
        peer.wire.send(refusal(message.ask, error))

    def used(self, peer: Peer, message: Used) -> None:
        """A worker has used of its lease; what its calls used beyond is owed."""
        lease = peer.rates.get(message.key_id)
        if lease is not None:
            lease.requests -= message.requests
            lease.tokens -= message.tokens
            lease.buckets.end_lease(message.requests, message.tokens, used=True)
        buckets = lease.buckets if lease is not None else self._buckets(message.key_id)
        if buckets is not None and message.owed:
            buckets.settle(0, message.owed, 0)

    def returned(self, peer: Peer, message: RateReturned) -> None:
        """A lease has ended."""
        lease = peer.rates.pop(message.key_id, None)
        if lease is not None:
            lease.buckets.end_lease(lease.requests, lease.tokens, used=False)
        self._back.set()

    def recall(self, key_id: str) -> None:
        """Call back what was lent of the limits of a key."""
        for peer in self._peers:
            ids = [k for k in peer.rates if self._related(key_id, k)]
            for id_ in ids:
                peer.rates[id_].recalled = True
            if ids:
                peer.wire.send(RateRecall(tuple(ids)))

    def recall_all(self) -> None:
        """Limits have changed: everybody asks anew."""
        for peer in self._peers:
            for lease in peer.rates.values():
                lease.recalled = True
            if peer.rates:
                peer.wire.send(RateRecall(tuple(peer.rates)))

    def lost(self, peer: Peer) -> None:
        """A worker is dead. What it may have used counts as used: it flows back in with time."""
        for lease in peer.rates.values():
            lease.buckets.end_lease(lease.requests, lease.tokens, used=True)
        peer.rates.clear()
        self._back.set()

    def _lent(self, key_id: str) -> bool:
        """Whether anybody holds something of the limits of a key."""
        return any(
            self._related(key_id, k) and (lease.requests or lease.tokens)
            for peer in self._peers
            for k, lease in peer.rates.items()
        )

    def _buckets(self, key_id: str) -> LendingBuckets | None:
        guest = self._desk.guest(key_id)
        buckets = guest.buckets if guest is not None else None
        return buckets if isinstance(buckets, LendingBuckets) else None
