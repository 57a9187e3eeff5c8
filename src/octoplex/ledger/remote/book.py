"""Budgets as a worker sees them: it grants what was lent to it, and asks for the rest.

    hold = book.hold(order) or await book.wait(order)

The owner lends at most 1/(4 x workers) of what is left of the tightest budget that binds a
key, for orders of one UTC minute, and calls it back when somebody else cannot go on without
(`server/supervisor/owner.py`). An order that a lease does not hold is the owner's to grant
or refuse; only the owner refuses. Here no account has a budget: a grant is a number that
gets smaller.
"""

from collections.abc import Iterable

from msgspec import Struct

from octoplex.ledger.allowance import Cap
from octoplex.ledger.book import PATIENCE_S, Book, Hold
from octoplex.ledger.period import MINUTE_MS
from octoplex.ledger.remote.messages import ANY_MINUTE, Lent, Recall, Returned
from octoplex.ledger.remote.store import RemoteStore
from octoplex.ledger.rows import Order

MOST_KEYS = 10_000
"""Leases that are remembered at once."""


class Lease(Struct, gc=False):
    """What is left of the money that was lent for a key, and for orders of which minute."""

    number: int
    nano: int
    minute: int


class LentBook(Book):
    """A `Book` over what the owner lends."""

    def __init__(self, store: RemoteStore) -> None:
        super().__init__(store)
        self._store = store
        self._leases: dict[str, Lease] = {}
        self._newest = 0
        """The lease that was begun last."""

    def limit(self, key_id: str, caps: Iterable[Cap], tenant: str = "") -> None:
        """Budgets are the owner's."""

    def limit_tenant(self, name: str, caps: Iterable[Cap]) -> None:
        """Budgets are the owner's."""

    def hold(self, order: Order) -> Hold | None:
        """Set money aside for an attempt, of what was lent; None when the owner must be asked."""
        lease = self._leases.get(order.key_id)
        if lease is None or not self._store.up:
            return None
        if lease.minute != ANY_MINUTE:
            if lease.minute != order.at_ms // MINUTE_MS:
                self._give_back(order.key_id)
                return None
            if order.nano > lease.nano:
                return None
            lease.nano -= order.nano
        self._store.lease = lease.number
        return super().hold(order)

    async def wait(self, order: Order, timeout_s: float = PATIENCE_S) -> Hold:
        """Have the owner grant an order.

        Raises:
            OverBudget: it cannot fit, or nothing was given back in time.
            StoreFailed: there is no owner, or it cannot write it down.
        """
        await self._store.granted(order, timeout_s)
        hold = super().hold(order)
        assert hold is not None, "no account has a budget here"
        return hold

    def lent(self, message: Lent) -> None:
        """So much more may be spent."""
        lease = self._leases.get(message.key_id)
        if lease is not None and lease.number == message.lease:
            lease.nano += message.nano
        elif message.minute == ANY_MINUTE or message.lease > self._newest:
            if lease is not None:
                self._give_back(message.key_id)
            elif len(self._leases) >= MOST_KEYS:
                self.recalled(Recall(()))
            self._newest = max(self._newest, message.lease)
            self._leases[message.key_id] = Lease(message.lease, message.nano, message.minute)

    def recalled(self, message: Recall) -> None:
        """Give back what was lent for these keys, or for all."""
        for key_id in message.key_ids or list(self._leases):
            if key_id in self._leases:
                self._give_back(key_id)

    def forget(self) -> None:
        """The owner is gone, and with it what it lent."""
        self._leases.clear()
        self._newest = 0

    def _give_back(self, key_id: str) -> None:
        lease = self._leases.pop(key_id)
        if lease.number:
            self._store.push(Returned(lease.number))
