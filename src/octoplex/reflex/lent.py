"""Rate limits as a worker sees them: it takes from what the owner lent to it, or asks.

    desk = LentDesk(store)               a `Desk`; the levels of its buckets are for headers only
    desk.heard(message)                  what the owner lends and calls back

A lease is at most 1/(4 x workers) of the requests and tokens that every bucket of a key has
left. Of what may run at the same time nothing is lent: the owner is told of each request. Only
the owner refuses (`server/supervisor/rates.py`). What was used is told within 2 ms, with the
debts of the calls that have ended.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from msgspec import Struct

from octoplex.ledger.remote.messages import (
    RateLent,
    RateRecall,
    RateReturned,
    RateWanted,
    Used,
)
from octoplex.ledger.remote.store import RemoteStore
from octoplex.ledger.remote.wire import FLUSH_S
from octoplex.reflex.gate import Desk
from octoplex.reflex.limit import Buckets, Rate
from octoplex.wire.eager import in_task


class Lease(Struct, gc=False):
    """Requests and tokens of a key that are left of what was lent, and what is untold."""

    requests: int = 0
    tokens: int = 0
    used_requests: int = 0
    used_tokens: int = 0
    owed: int = 0


class LentBuckets(Buckets):
    """The buckets of one key as a worker sees them."""

    __slots__ = ("_desk", "key_id")

    def __init__(self, desk: "LentDesk", key_id: str, rates: Sequence[Rate], tenant: str) -> None:
        super().__init__(rates, time.monotonic_ns, tenant)
        self._desk, self.key_id = desk, key_id

    def take(self, input_tokens: int = 0) -> bool:
        """Take from the lease; True: the owner must be asked."""
        self._note(input_tokens)
        lease = self._desk.leases.get(self.key_id)
        if lease is None or lease.requests < 1 or lease.tokens < input_tokens:
            return True
        lease.requests -= 1
        lease.tokens -= input_tokens
        lease.used_requests += 1
        lease.used_tokens += input_tokens
        self._desk.changed(self.key_id)
        return False

    def settle(self, taken_tokens: int, input_tokens: int, output_tokens: int) -> None:
        """Replace the estimate by what was used."""
        super().settle(taken_tokens, input_tokens, output_tokens)
        self._desk.owe(self.key_id, input_tokens + output_tokens - taken_tokens)

    def stand(self, full_at: Sequence[int]) -> None:
        """Take over how the owner's buckets stand."""
        self._at_ns = self._now_ns()
        if len(full_at) == len(self._all):
            for bucket, at_ns in zip(self._all, full_at, strict=True):
                bucket.due_ns = at_ns * bucket.count

    def _note(self, input_tokens: int) -> None:
        now = self._at_ns = self._now_ns()
        for bucket in self._all:
            units = bucket.period_ns if bucket.each else input_tokens * bucket.period_ns
            bucket.due_ns = max(bucket.due_ns, now * bucket.count) + units


class LentDesk(Desk):
    """A `Desk` over what the owner lends."""

    def __init__(self, store: RemoteStore) -> None:
        self._store = store
        self.leases: dict[str, Lease] = {}
        self._untold: set[str] = set()
        self._entries = count(1)
        super().__init__()

    def make(self, key_id: str, rates: Sequence[Rate], tenant: str = "") -> Buckets:
        """Buckets of a key, or of a tenant."""
        return LentBuckets(self, key_id, rates, tenant)

    async def ask(self, caller_id: str, tokens: int) -> None:
        """Have the owner take for a call.

        Raises:
            TooFast, TooLarge: as the owner says.
            StoreFailed: there is no owner.
        """
        await self._store.ready()
        self.tell()
        await self._store.asked(lambda ask: RateWanted(ask, caller_id, tokens))

    async def enter(self, caller_id: str) -> Callable[[], None]:
        """Have the owner count a request that begins.

        Raises:
            TooFast: as the owner says.
            StoreFailed: there is no owner.
        """
        number = next(self._entries)
        try:
            await in_task()
            await self._store.ask("crowd.enter", caller_id, number)
        except BaseException:
            self._store.tell("crowd.leave", number)  # it may be counted by now
            raise
        self._store.entered[number] = caller_id
        return partial(self._leave, number)

    def _leave(self, number: int) -> None:
        if self._store.entered.pop(number, None) is not None:
            self._store.tell("crowd.leave", number)

    def heard(self, message: RateLent | RateRecall) -> None:
        """Take over what is lent; give back what is called back."""
        if isinstance(message, RateLent):
            lease = self._lease(message.key_id)
            lease.requests += message.requests
            lease.tokens += message.tokens
            guest = self.guest(message.key_id)
            if guest is not None and isinstance(guest.buckets, LentBuckets):
                guest.buckets.stand(message.full_at)
            return
        self.tell()
        for key_id in message.key_ids or list(self.leases):
            self.leases.pop(key_id, None)
            self._store.push(RateReturned(key_id))

    def forget(self) -> None:
        """The owner is gone, and with it what it lent and what it is owed."""
        self.leases.clear()
        self._untold.clear()

    def owe(self, key_id: str, tokens: int) -> None:
        """A call used so many tokens beyond what was taken for it."""
        if tokens:
            self._lease(key_id).owed += tokens
            self.changed(key_id)

    def changed(self, key_id: str) -> None:
        """There is something to tell."""
        if not self._untold:
            asyncio.get_running_loop().call_later(FLUSH_S, self.tell)
        self._untold.add(key_id)

    def tell(self) -> None:
        """Tell the owner what was used."""
        for key_id in self._untold:
            lease = self.leases.get(key_id)
            if lease is not None:
                used = Used(key_id, lease.used_requests, lease.used_tokens, lease.owed)
                lease.used_requests = lease.used_tokens = lease.owed = 0
                self._store.push(used)
        self._untold.clear()

    def _lease(self, key_id: str) -> Lease:
        lease = self.leases.get(key_id)
        if lease is None:
            lease = self.leases[key_id] = Lease()
        return lease
