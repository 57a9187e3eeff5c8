"""Limits of parallel requests that several hosts share.

    crowd = SharedCrowd(till)            a `Crowd`
    over = await crowd.begin(key_id)     counted here, out of what this host has of the limit

A limit of 20 parallel is a budget of 20 that comes back: each request holds one of it until it
ends, and nothing is ever spent. So it is a `Book` over the till, in accounts of its own: a host
has a part of the 20, grants out of that in memory, asks for more when that is used up, gives
back what lies idle for a second, and loses what it has when it is given up. A host alone has all
20, after one question.

Not promised: that what ran at a host when its owner was killed is counted elsewhere in the moment
before the next owner has taken that up.
"""

from collections.abc import Callable, Iterable
from functools import partial

from octoplex.ledger.allowance import Cap
from octoplex.ledger.book import Book
from octoplex.ledger.rows import Order, Settlement
from octoplex.ledger.shared.till import Till
from octoplex.reflex.keys import Key
from octoplex.reflex.limit import Figure
from octoplex.reflex.parallel import Crowd, too_many
from octoplex.wire.error import OverBudget

RUNNING = "running "
"""Before the names of accounts that are no money's."""
BACK_S = 0.3
"""How long other hosts have to give back what lies idle."""
ANY_MS = 0
"""All of it is in one window, which never ends."""


class _Unwritten:
    """The journal of what nobody need know after the end of the process. A `Journal`."""

    def reserve(self, order: Order) -> None:
        """A request begins."""

    def settle(self, settlement: Settlement) -> None:
        """It has ended."""


class _Running(Book):
    """The book of what runs."""

    def begin_anew(self) -> None:
        """What runs goes on also at a host that was given up: it is counted again."""
        assert self._drawer is not None
        accounts = [*self._accounts.values(), *self._tenants.values()]
        for account in accounts:
            account.taken = dict.fromkeys(account.taken or (), 0)
            account.unsettle()
        self._drawer.cover(accounts, ANY_MS)


class SharedCrowd(Crowd):
    """Owned by the event loop."""

    def __init__(self, till: Till) -> None:
        super().__init__()
        self._till, self._book = till, _Running(_Unwritten(), till=till)

    def update(self, keys: Iterable[Key]) -> None:
        """Put the limits of these keys in force."""
        keys = list(keys)
        super().update(keys)
        for key in keys:
            tenant = RUNNING + key.caller.tenant if key.caller.tenant else ""
            self._book.limit(RUNNING + key.id, _caps(key.limits.parallel), tenant)
            for name, most in key.crowds:
                self._book.limit_tenant(RUNNING + name, _caps(most))

    async def begin(self, key_id: str) -> Callable[[], None]:
        """See `Crowd.begin`.

        Raises:
            TooFast: as many as may are running, at all hosts together.
            StoreFailed: the till cannot be asked, and what is here is used up.
        """
        order = Order("", 1, ANY_MS, RUNNING + key_id, "", "", "", "", "", 1)
        try:
            hold = self._book.hold(order)
            if hold is None:
                hold = await self._book.wait(order, BACK_S if self._till.hosts > 1 else 0.0)
        except OverBudget as error:
            tenant = str(error.facts.get("tenant", "")).removeprefix(RUNNING)
            full = [one for one in self.binding(key_id) if one.tenant == tenant]
            raise too_many(full[0]) from None
        return partial(hold.release, "done")

    def resume(self, key_id: str) -> Callable[[], None]:
        """See `Crowd.resume`."""
        aside = self._book.set_aside(RUNNING + key_id, 1, ANY_MS, anew=False)
        assert aside is not None
        return aside.give_back

    def figures(self, key_id: str) -> list[Figure]:
        """The limits of a key as they stood at all hosts when the till was last asked."""
        return [
            Figure("parallel", one.cap_nano, one.left_nano, 0.0, 0, one.tenant[len(RUNNING) :])
            for one in self._book.left(RUNNING + key_id, ANY_MS)
        ]


def _caps(most: int) -> list[Cap]:
    return [Cap("total", most)] if most else []
