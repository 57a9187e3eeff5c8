"""What is left of the budgets that hosts share: each takes a part and spends out of that.

The invariant is the database's: in every window, spent + all leases <= the cap whenever
something is taken. `spent` moves in the transaction that writes the settlements, so it is
the ledger's sum. A lease is what a host may still spend: what its open orders hold, what has
ended and is not written yet, and what lies idle.
"""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from octoplex.ledger.rows import WindowKind

SHARE = 4
"""What a host takes is at most one part in so many, and as many as there are hosts."""


class Want(Struct, frozen=True, order=True):
    """Room in one window of an account: at least `least`; `have` lies idle already."""

    account: str
    window: WindowKind
    first: int
    after: int
    cap: int
    least: int
    have: int


class Stand(Struct, frozen=True):
    """What was got of a window, and how it stood before: spent and leased by all hosts."""

    got: int
    spent: int
    leased: int


class Part(Struct, frozen=True, order=True):
    """What goes back into a window."""

    account: str
    window: WindowKind
    first: int
    nano: int


RateUnit = Literal["req", "tok"]


class RateWant(Struct, frozen=True, order=True):
    """A rate of `count` a period, of which this host has `have`, and lacks so much (or 0)."""

    account: str
    unit: RateUnit
    period_s: int
    count: int
    have: int
    least: int


class RatePart(Struct, frozen=True, order=True):
    """A part of a rate that is given back, and what is missing in it."""

    account: str
    unit: RateUnit
    period_s: int
    count: int
    part: int
    missing: float


class Till(Protocol):
    """Where the hosts' budgets lie. The event loop's."""

    kept: dict[tuple[str, WindowKind, int], int]
    """What this host had laid aside before its start and still has: by account, kind and first
    minute of the window. Whoever takes it up takes it out."""

    @property
    def hosts(self) -> int:
        """How many hosts there are, this one too."""
        ...

    async def take(self, wants: Sequence[Want], share: int) -> list[Stand]:
        """Take of all windows or of none; `share`: so small a part more than the least, 0: none.

        It is done or not done, and known which, also when nobody waits for it any more.

        Raises:
            StoreFailed: it cannot be asked now.
        """
        ...

    def give(self, parts: Sequence[Part]) -> None:
        """Give back, now or when it can be asked again; once."""
        ...

    def recall(self, account: str) -> None:
        """Have the other hosts give back what lies idle of an account."""
        ...

    def listen(self, recalled: Callable[[str], None], ended: Callable[[bool], None]) -> None:
        """`recalled` names an account of which to give back what lies idle.

        `ended`: what was taken may not be used any more; True: and is not ours to give back.
        """
        ...

    async def widen(self, wants: Sequence[RateWant]) -> list[int]:
        """Have more of rates: what is left full in the till, as much as lacks or its share.

        Raises:
            StoreFailed: it cannot be asked now.
        """
        ...

    def narrow(self, parts: Sequence[RatePart]) -> None:
        """Give parts of rates back, now or when it can be asked again; once."""
        ...

    def recall_rate(self, want: RateWant) -> None:
        """Have the other hosts give back of a rate what they have left; each of them answers."""
        ...

    def listen_rates(
        self,
        recalled: Callable[[RateWant], None],
        answered: Callable[[str], None],
        ended: Callable[[bool], None],
    ) -> None:
        """`recalled`: give back, at least nothing; `answered` names an account for each host
        that did; `ended` as above."""
        ...

    async def flushed(self) -> None:
        """Wait until what was given before has gone back, or cannot now."""
        ...

    async def spent(self, account: str = "") -> int:
        """All that the ledger says was ever spent by all hosts, in an account or at all.

        Raises:
            StoreFailed: it cannot be asked now.
        """
        ...

    def agree(self, mark: str) -> None:
        """See that all hosts have one pepper, of which `mark` is a fingerprint.

        Raises:
            BadConfig: another host has another.
        """
        ...


def account_of(key_id: str, tenant: str = "") -> str:
    """The name of a key's account, or of a tenant's."""
    return f"tenant {tenant}" if tenant else f"key {key_id}"
