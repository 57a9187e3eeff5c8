"""What the owner keeps of each worker: its open orders, and the money that is lent to it.

    lender = Lender(book, workers, tenant_of)
    lender.opened(peer, message)         an order the worker granted out of a lease
    lender.wanted(peer, message)         one that it could not: granted here, or refused
    lender.lost(peer, left)              the worker is dead: what it left is settled, flagged

What is lent is set aside in the book, so that spent + held <= cap holds whoever grants. A
lease is at most 1/(4 x workers) of what is left in the tightest budget, and none is given
while anybody waits. Before a call waits for others, leases of whoever shares a budget with
it are called back; only what then does not fit is refused.
"""

import asyncio
from collections.abc import Callable, Collection
from itertools import count

from msgspec import Struct, field

from octoplex.ledger.allowance import Allowance
from octoplex.ledger.book import PATIENCE_S, Aside, Book, Hold
from octoplex.ledger.period import MINUTE_MS
from octoplex.ledger.remote.messages import (
    ANY_MINUTE,
    Ended,
    Hello,
    Lent,
    Opened,
    Recall,
    Refused,
    Returned,
    Said,
    Wanted,
)
from octoplex.ledger.remote.wire import Wire
from octoplex.ledger.rows import Order
from octoplex.reflex.lending import LendingBuckets
from octoplex.wire.error import GatewayError, StoreFailed
from octoplex.wire.event import NO_USAGE

SHARE = 4
"""A lease is one part in so many, and as many as there are workers."""


class LendingBook(Book):
    """The owner's book: before anybody waits in it, what is lent is called back."""

    recall: Callable[[str], None] = staticmethod(lambda key_id: None)
    recall_all: Callable[[], None] = staticmethod(lambda: None)
    waiting = 0
    """How many wait now."""

    def begin_anew(self) -> None:
        """See `Book.begin_anew`. Nor may workers use what they were lent."""
        super().begin_anew()
        self.recall_all()

    def recall_lent(self, account: Allowance) -> None:
        """See `Book.recall_lent`."""
        for key_id, one in self._accounts.items():
            if account in one.binding:
                self.recall(key_id)  # and so those of all keys that share a budget with it
                return

    async def wait(self, order: Order, timeout_s: float = PATIENCE_S) -> Hold:
        """See `Book.wait`."""
        hold = self.hold(order) or await self.taken(order)
        if hold is not None:
            return hold
        self.waiting += 1
        try:
            self.recall(order.key_id)
            return await super().wait(order, timeout_s)
        finally:
            self.waiting -= 1


class Lease(Struct):
    """Money that one worker may grant out of."""

    number: int
    key_id: str
    aside: Aside
    minute: int


class RateLease(Struct):
    """Requests and tokens that one worker may still use. `recalled`: it gives them back."""

    buckets: LendingBuckets
    requests: int = 0
    tokens: int = 0
    recalled: bool = False


class Peer(Struct, eq=False):
    """A worker as the owner knows it."""

    wire: Wire
    pid: int = 0
    hello: Hello | None = None
    holds: dict[int, Hold] = field(default_factory=dict)
    """Its open orders, by its own numbers."""
    leases: dict[str, Lease] = field(default_factory=dict)
    """Those that more may be lent on, by key."""
    lent: dict[int, Lease] = field(default_factory=dict)
    """Those that have not been returned."""
    heard: int = 0
    """`Opened` and `Ended` since Hello."""
    kept: int = 0
    """How many of them are on disk, as the worker was told."""
    noted: int = 0
    """Orders on its slate that were heard of."""
    serving: bool = False
    rates: dict[str, RateLease] = field(default_factory=dict)
    entered: dict[int, Callable[[], None] | None] = field(default_factory=dict)
    """Its requests of which so many may run at a time, by its own numbers, and how each is counted
    no more; None: it is not counted yet."""


def refusal(ask: int, error: GatewayError) -> Refused:
    """An error as a worker is told of it."""
    return Refused(ask, error.code, str(error), error.retry_after_s, error.facts)


class Lender:
    """Money for workers."""

    def __init__(
        self,
        book: LendingBook,
        workers: int,
        related: Callable[[str, str], bool],
        peers: list[Peer],
    ) -> None:
        """`related` says whether two keys share a budget."""
        self._book, self._share, self._related = book, SHARE * workers, related
        self._peers = peers
        self._leases_made = count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        book.recall, book.recall_all = self.recall, self.recall_all

    def take_up(self, peer: Peer, hello: Hello, inherited: set[int]) -> None:
        """Go on with what a worker had open when the last owner died, as far as it is open."""
        for one in hello.opened:
            order = one.order
            if id(order) in inherited:
                peer.holds[one.number] = self._book.inherit(order)
        peer.noted, peer.heard = hello.noted, 0
        for end in hello.ended:
            self.ended(peer, end)

    def opened(self, peer: Peer, message: Opened) -> None:
        """A worker has granted an order."""
        peer.heard += 1
        peer.noted += 1
        peer.holds[message.number] = self._granted(peer.lent.get(message.lease), message.order)

    def _granted(self, lease: Lease | None, order: Order) -> Hold:
        """The hold of an order that is already granted, out of its lease if that has it."""
        book = self._book
        try:
            if lease is not None and lease.aside.nano >= order.nano:
                return lease.aside.hold(order)
            hold = book.hold(order)
            if hold is not None:
                return hold
            known = False
        except StoreFailed:
            known = True  # its provider is being asked: its end is written down, whenever
        aside = book.set_aside(order.key_id, order.nano, order.at_ms, anew=False)
        assert aside is not None
        try:
            return aside.hold(order, known=known)
        except StoreFailed:
            return aside.hold(order, known=True)

    def ended(self, peer: Peer, end: Ended) -> None:
        """An order has ended; one that the last owner had written down already is not open."""
        peer.heard += 1
        hold = peer.holds.pop(end.number, None)
        if hold is not None:
            hold.settle(end.nano, end.usage, end.outcome, end.estimated, end.state, end.again)

    def wanted(self, peer: Peer, message: Wanted) -> None:
        """A worker asks for an order that it has no lease for."""
        try:
            hold = self._book.hold(message.order)
        except GatewayError as error:
            peer.wire.send(refusal(message.ask, error))
            return
        if hold is not None:
            self._grant(peer, message, hold)
            return
        task = asyncio.get_running_loop().create_task(self._wait(peer, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, peer: Peer, message: Wanted) -> None:
        try:
            hold = await self._book.wait(message.order, message.wait_s)
        except GatewayError as error:
            peer.wire.send(refusal(message.ask, error))
            return
        self._grant(peer, message, hold)

    def _grant(self, peer: Peer, message: Wanted, hold: Hold) -> None:
        if not peer.wire.up:
            hold.release("left")
            return
        peer.holds[message.number] = hold
        self._lend(peer, message.order)
        peer.wire.send(Said(message.ask))

    def _lend(self, peer: Peer, order: Order) -> None:
        """Lend more for orders such as this one, if there is enough to be worth it."""
        key_id, minute = order.key_id, order.at_ms // MINUTE_MS
        budgets = self._book.left(key_id, order.at_ms)
        if not budgets:
            peer.wire.push(Lent(key_id, 0, 0, ANY_MINUTE))
            return
        if self._book.waiting:
            return
        nano = self._book.room(key_id, order.at_ms) // self._share
        lease = peer.leases.get(key_id)
        if lease is not None and lease.minute == minute:
            nano -= lease.aside.nano
        if nano < max(order.nano, 1):
            return
        aside = self._book.set_aside(key_id, nano, order.at_ms)
        if aside is None:
            return
        if lease is not None and lease.minute == minute:
            lease.aside.nano += aside.nano  # of the same accounts, in the same minute
        else:
            lease = peer.leases[key_id] = Lease(next(self._leases_made), key_id, aside, minute)
            peer.lent[lease.number] = lease
        peer.wire.push(Lent(key_id, lease.number, nano, minute))

    def returned(self, peer: Peer, message: Returned) -> None:
        """A lease has ended."""
        lease = peer.lent.pop(message.lease, None)
        if lease is not None:
            if peer.leases.get(lease.key_id) is lease:
                del peer.leases[lease.key_id]
            lease.aside.give_back()

    def lent_nano(self, key_ids: Collection[str]) -> int:
        """What is lent for these keys and idle, as far as workers have said."""
        leases = [lease for peer in self._peers for lease in peer.lent.values()]
        return sum(lease.aside.nano for lease in leases if lease.key_id in key_ids)

    def recall(self, key_id: str) -> None:
        """Call back what was lent for a key, and for those that share a budget with it."""
        for peer in self._peers:
            ids = [k for k in peer.leases if self._related(key_id, k)]
            for id_ in ids:
                del peer.leases[id_]  # nothing more is lent on it
            if ids:
                peer.wire.send(Recall(tuple(ids)))

    def recall_all(self) -> None:
        """Budgets have changed: everybody asks anew."""
        for peer in self._peers:
            peer.leases.clear()
            peer.wire.send(Recall(()))

    def lost(self, peer: Peer, left: list[Order]) -> None:
        """A worker is dead. `left` are orders it granted that were not heard of.

        What it had open is settled at the reservation, flagged, as after a kill of everything.
        """
        for number, order in enumerate(left, 1):
            of_key = (one for one in peer.lent.values() if one.key_id == order.key_id)
            peer.holds[-number] = self._granted(next(of_key, None), order)
        for hold in peer.holds.values():
            hold.settle(hold.order.nano, NO_USAGE, "lost", estimated=True)
        peer.holds.clear()
        for lease in peer.lent.values():
            lease.aside.give_back()
        peer.lent.clear()
        peer.leases.clear()
