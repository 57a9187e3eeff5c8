"""Rate limits that several hosts share: each has a part of every bucket, and asks for more.

    desk = SharedDesk(till)              a `LendingDesk`; `take` of its buckets says when to ask
    await desk.close()                   give everything back

A bucket of N that is refilled at N a minute is as good as several whose N's add up to that: no
more ever fits in, no more ever flows in. So a host has a part of N, takes out of that in
memory with no clock but its own, and only parts move, through the till, and only full ones: who
gives a part of 10 away gives 10 that are left in it. A host alone has all of N.

A call that does not fit takes what the till has, else has the other hosts give of what they
have left, and is refused when that is not enough. A host that goes without a word leaves
empty parts behind, which fill again with time.

Not promised: that what has flowed in by halves at two hosts makes a whole request: at most one
less for each further host. What callers see as left is what is left here.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence

from msgspec import Struct

from octoplex.ledger.shared.till import RatePart, RateUnit, RateWant, Till, account_of
from octoplex.reflex.lending import LendingBuckets, LendingDesk
from octoplex.reflex.limit import Bucket, Buckets, Rate
from octoplex.reflex.shared_parallel import SharedCrowd
from octoplex.wire.eager import in_task
from octoplex.wire.error import StoreFailed, TooFast

BACK_S = 0.3
"""How long the other hosts have to give."""
FOLLOWING_S = 0.05
"""How long the workers of this host have."""
FRESH_S = 0.1
"""A call that was refused so short a time ago is refused again, and one that is larger."""


class SharedBuckets(LendingBuckets):
    """The parts that this host has of some buckets."""

    __slots__ = ("_desk", "lock", "refused")

    def __init__(
        self,
        desk: "SharedDesk",
        account: str,
        rates: Sequence[Rate],
        now_ns: Callable[[], int],
        tenant: str,
    ) -> None:
        super().__init__(rates, now_ns, tenant)
        self._desk, self.lock = desk, asyncio.Lock()
        self.refused: tuple[float, int, TooFast] | None = None
        """When, for how many tokens, and how."""
        for bucket in self._all:
            bucket.account = account
            bucket.resize(0, self._at_ns)

    def take(self, input_tokens: int = 0) -> bool:
        """Take out of what this host has; True: the till must be asked."""
        try:
            return super().take(input_tokens)
        except TooFast:
            return True

    def take_or_refuse(self, input_tokens: int) -> None:
        """Take, or raise as `Buckets.take`."""
        super().take(input_tokens)

    def settle(self, taken_tokens: int, input_tokens: int, output_tokens: int) -> None:
        """See `Buckets.settle`. What is owed beyond this host's part is taken out of others'."""
        super().settle(taken_tokens, input_tokens, output_tokens)
        now = self._now_ns()
        if any(bucket.debt(now) > bucket.full for bucket in self._tokens):
            self._desk.cover(self)

    def wants(self, requests: int, tokens: int) -> list[RateWant]:
        """What this host has of each bucket, and what it lacks for so much."""
        now, found = self._now_ns(), []
        for bucket in self._all:
            cost = (requests if bucket.each else tokens) * bucket.period_ns
            lacks = max(0, -(-(bucket.debt(now) + cost - bucket.full) // bucket.period_ns))
            found.append(_want(bucket, min(lacks, bucket.rate.count)))
        return sorted(found)

    def widen(self, wants: Sequence[RateWant], got: Sequence[int]) -> None:
        """Have so much more of each bucket, and that is full."""
        now, more = self._now_ns(), dict(zip([_place(w) for w in wants], got, strict=True))
        for bucket in self._all:
            bucket.resize(bucket.count + more[bucket.account, bucket.rate], now)

    def part(self, place: tuple[str, Rate]) -> Bucket | None:
        """One of its buckets."""
        return next((b for b in self._all if (b.account, b.rate) == place), None)

    def give(self, bucket: Bucket, need: int | None) -> RatePart:
        """Give away half of what is left of a bucket, or what is needed if that is more.

        None: all of it, also what is not left.
        """
        now = self._now_ns()
        left, debt = bucket.left(now), 0.0
        count = min(left, max(need, -(-left // 2))) if need is not None else bucket.count
        if need is None:
            debt = bucket.debt(now) / bucket.period_ns
        bucket.resize(bucket.count - count, now)
        return RatePart(bucket.account, *_rate(bucket), count, debt)

    @property
    def all(self) -> Sequence[Bucket]:
        """A key's own and those of its tenants."""
        return self._all


class _Recall(Struct):
    """How many answers are awaited, and of which accounts."""

    accounts: list[str]
    left: int
    come: asyncio.Event


class SharedDesk(LendingDesk):
    """A `Desk` of such buckets; also of an owner, who lends out of them to its workers."""

    def __init__(self, till: Till) -> None:
        self._till = till
        self._recalls: list[_Recall] = []
        self._one_by_one = asyncio.Lock()
        """What is said to be here must be so until the answer is."""
        self._widening: asyncio.Task[list[int]] | None = None
        """The last question, which may be answered."""
        self._covering: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.recall_lent: Callable[[str], None] = lambda key_id: None
        """Calls back what is lent to workers of this host, of what binds a key."""
        till.listen_rates(self._recalled, self._answered, self._ended)
        super().__init__()
        self.crowd = SharedCrowd(till)

    def make(self, key_id: str, rates: Sequence[Rate], tenant: str = "") -> Buckets:
        """See `Desk.make`."""
        return SharedBuckets(self, account_of(key_id, tenant), rates, self._now_ns, tenant)

    async def ask(self, caller_id: str, tokens: int) -> None:
        """Take for a call, with what has to be got from the till or other hosts.

        Raises:
            TooFast, TooLarge: they have not enough, or never will.
            StoreFailed: the till cannot be asked.
        """
        guest = self.guest(caller_id)
        buckets = guest.buckets if guest is not None else None
        if not isinstance(buckets, SharedBuckets):
            return
        await in_task()
        async with buckets.lock:
            if not buckets.take(tokens):
                return
            if buckets.refused is not None:
                at_s, least, error = buckets.refused
                if time.monotonic() - at_s < FRESH_S and tokens >= least:
                    raise error
            await self.get(buckets, 1, tokens)
            try:
                buckets.take_or_refuse(tokens)
            except TooFast as error:
                buckets.refused = time.monotonic(), tokens, error
                raise

    async def get(self, buckets: SharedBuckets, requests: int, tokens: int) -> None:
        """Get what lacks for so much, as far as it is there.

        Raises:
            StoreFailed: the till cannot be asked.
        """
        await self._widen(buckets, requests, tokens)
        short = [want for want in buckets.wants(requests, tokens) if want.least]
        if short and self._till.hosts > 1:
            await self._recall(short)
            await self._widen(buckets, requests, tokens)

    async def _widen(self, buckets: SharedBuckets, requests: int, tokens: int) -> None:
        async with self._one_by_one:
            task = asyncio.create_task(self._till.widen(wants := buckets.wants(requests, tokens)))
            task.add_done_callback(lambda done: self._widened(buckets, wants, done))
            self._widening = task
            await asyncio.wait((task,))  # it is ours also when the caller leaves
            if task.cancelled():
                raise StoreFailed("What hosts share cannot be asked now.", retry_after_s=1.0)
            task.result()

    def _widened(
        self, buckets: SharedBuckets, wants: Sequence[RateWant], done: asyncio.Task[list[int]]
    ) -> None:
        if done is self._widening and not done.cancelled() and done.exception() is None:
            buckets.widen(wants, done.result())

    async def _recall(self, short: Sequence[RateWant]) -> None:
        others = self._till.hosts - 1
        recall = _Recall([w.account for w in short], others * len(short), asyncio.Event())
        self._recalls.append(recall)
        try:
            for want in short:
                self._till.recall_rate(want)
            async with asyncio.timeout(BACK_S):
                await recall.come.wait()
        except TimeoutError:
            pass  # one of them is slow, or gone
        finally:
            self._recalls.remove(recall)

    def cover(self, buckets: SharedBuckets) -> None:
        """Get what is owed beyond what is here, so that others wait for it, too."""
        if id(buckets) not in self._covering and self._till.hosts > 1:
            self._covering.add(id(buckets))
            self._start(self._cover(buckets))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cover(self, buckets: SharedBuckets) -> None:
        try:
            await self.get(buckets, 0, 0)
        except StoreFailed:
            return  # its own part fills again before it passes anything
        finally:
            self._covering.discard(id(buckets))

    async def close(self) -> None:
        """Give everything back."""
        self._give_all()
        await self._till.flushed()

    def _give_all(self) -> None:
        parts = {_place_of(b): (own, b) for own in self._shared().values() for b in own.all}
        gifts = [own.give(bucket, None) for own, bucket in parts.values() if bucket.count]
        if gifts:
            self._till.narrow(sorted(gifts))

    def _shared(self) -> dict[str, SharedBuckets]:
        found = {key_id: guest.buckets for key_id, guest in self._guests.items()}
        return {key_id: b for key_id, b in found.items() if isinstance(b, SharedBuckets)}

    def _recalled(self, want: RateWant) -> None:
        """Another host lacks something."""
        for key_id, own in self._shared().items():
            bucket = own.part(_place(want))
            if bucket is not None:
                self._start(self._give(key_id, own, bucket, want.least))
                return
        none = RatePart(want.account, want.unit, want.period_s, want.count, 0, 0.0)
        self._till.narrow([none])

    async def _give(self, key_id: str, own: SharedBuckets, bucket: Bucket, need: int) -> None:
        if bucket.lent:
            self.recall_lent(key_id)
            await asyncio.sleep(FOLLOWING_S)
        while (asking := self._widening) is not None and not asking.done():
            await asyncio.wait((asking,))  # it says that all of this is here
        self._till.narrow([own.give(bucket, need)])

    def _answered(self, account: str) -> None:
        for recall in self._recalls:
            if account in recall.accounts:
                recall.left -= 1
                if recall.left <= 0:
                    recall.come.set()

    def _ended(self, lost: bool) -> None:
        """What is here may not be used any more; `lost`: and is not ours to give."""
        if self._widening is not None:
            self._widening.cancel("what it says is here is not any more")
        if lost:
            self._widening = None  # nor is what it has just said
        if not lost:
            self._give_all()
        for own in self._shared().values():
            for bucket in own.all:
                own.give(bucket, None)


def _place(want: RateWant) -> tuple[str, Rate]:
    return want.account, Rate(want.unit, want.count, want.period_s)


def _place_of(bucket: Bucket) -> tuple[str, Rate]:
    return bucket.account, bucket.rate


def _rate(bucket: Bucket) -> tuple[RateUnit, int, int]:
    return bucket.rate.unit, bucket.rate.period_s, bucket.rate.count


def _want(bucket: Bucket, least: int) -> RateWant:
    return RateWant(bucket.account, *_rate(bucket), bucket.count, least)
