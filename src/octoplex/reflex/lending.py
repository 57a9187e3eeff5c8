"""Rate limits that are lent to other processes: the owner's side of `lent.py`.

What is lent counts as taken, and nothing flows back in for it until it was used. So level and
leases together are never more than a bucket holds, whenever the leases are used.
"""

from collections.abc import Sequence

from octoplex.reflex.gate import Desk
from octoplex.reflex.limit import MOST, Buckets, Rate


class LendingBuckets(Buckets):
    """Buckets of which others hold leases."""

    __slots__ = ()

    def take(self, input_tokens: int = 0) -> bool:
        """See `Buckets.take`."""
        self._hold()
        return super().take(input_tokens)

    def settle(self, taken_tokens: int, input_tokens: int, output_tokens: int) -> None:
        """See `Buckets.settle`."""
        self._hold()
        super().settle(taken_tokens, input_tokens, output_tokens)
        self._hold()

    def room(self) -> tuple[int, int]:
        """Requests and tokens that every bucket has left, `MOST` where none counts them."""
        now = self._now_ns()
        requests = [b.left(now) for b in self._all if b.each]
        return min(requests, default=MOST), min([b.left(now) for b in self._tokens], default=MOST)

    def lend(self, requests: int, tokens: int) -> None:
        """Take what others will use."""
        self._hold()
        for bucket in self._all:
            units = (requests if bucket.each else tokens) * bucket.period_ns
            bucket.due_ns += units
            bucket.lent += units

    def end_lease(self, requests: int, tokens: int, *, used: bool) -> None:
        """So much of what was lent was used, or comes back."""
        self._hold()
        for bucket in self._all:
            units = (requests if bucket.each else tokens) * bucket.period_ns
            bucket.lent -= units
            if not used:
                bucket.due_ns -= units

    def full_at(self) -> tuple[int, ...]:
        """When each bucket will be full, on its clock, if what is lent comes back."""
        return tuple([(b.due_ns - b.lent) // (b.count or b.rate.count) for b in self._all])

    def _hold(self) -> None:
        """What flowed back in until now, but not for what is lent."""
        now = self._now_ns()
        for bucket in self._all:
            bucket.due_ns = max(bucket.due_ns, now * bucket.count + bucket.lent)


class LendingDesk(Desk):
    """A `Desk` of such buckets."""

    def make(self, key_id: str, rates: Sequence[Rate], tenant: str = "") -> Buckets:
        """Buckets of a key, or of a tenant."""
        return LendingBuckets(rates, self._now_ns, tenant)
