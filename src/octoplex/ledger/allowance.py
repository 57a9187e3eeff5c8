"""What one key, or one tenant, may spend: its budgets, with what was spent and is held.

Sums are kept by UTC minutes; what is older than two hours is kept by days, which the
longer windows are made of. Only the book moves them (`book.py`, whose invariants these are).
"""

import asyncio
from collections import deque
from typing import Any

from msgspec import Struct, field

from octoplex.ledger.period import DAY, FOREVER, MINUTE_MS, called, instant, span
from octoplex.ledger.rows import Balance, Order, WindowKind
from octoplex.wire.error import OverBudget

UNLIMITED = 2**62
"""Free for whoever has no budget: four billion dollars."""
KEPT_DAYS = 70
"""Days it remembers: more than the longest window but `total`."""
KEPT_MINUTES = 120
"""Minutes it remembers one by one, at most as many as this before or after the last order's."""
SHORT: frozenset[WindowKind] = frozenset({"minute", "hour"})


class Cap(Struct, frozen=True):
    """At most `nano` nano-dollars in each window of this kind."""

    window: WindowKind
    nano: int


class Left(Struct, frozen=True):
    """One budget as it stands. `held_nano` is what calls in flight may cost.

    `tenant` is the team or organisation whose it is, "" for the key's own.
    """

    window: WindowKind
    cap_nano: int
    spent_nano: int
    held_nano: int
    ends_at: str
    tenant: str = ""

    @property
    def left_nano(self) -> int:
        """What a new call may reserve; never below 0."""
        return max(0, self.cap_nano - self.spent_nano - self.held_nano)


class Cell(Struct, gc=False):
    """What was spent of the orders of one minute, and what they hold.

    `number` is the minute, or below 0 once it is counted in its day: then it is `~day`.
    """

    number: int
    spent: int = 0
    held: int = 0
    loose: bool = False
    """What is held was taken by a host that was given up since: no lease holds it."""


class Window(Struct, frozen=True, gc=False):
    """A cap and the sums of the period (`first` to `after`, in minutes) that a minute is in."""

    cap: Cap
    first: int
    after: int
    spent: int
    held: int
    most: int | None = None
    """What may be spent and held here, where that is not the cap."""

    @property
    def free(self) -> int:
        """What a new call may reserve."""
        return (self.cap.nano if self.most is None else self.most) - self.spent - self.held


Found = list[tuple[str, Window]]
"""Windows as they stand, and the tenant that each is of."""


class Allowance(Struct):
    """`cell` is that of the minute `number`, the last one an order came for; `free` what it
    may reserve as long as the minute is one of `first` to `after`.

    A reservation and its end move every window that they are in by the same amount, so the
    tightest stays the tightest and one figure stands for all of them.
    """

    tenant: str = ""
    """Whose it is; "" for a key's own."""
    cells: dict[int, Cell] = {}
    days: dict[int, int] = {}
    """Spent of days, but for what is still in `cells`."""
    cell: Cell = field(default_factory=lambda: Cell(-1))
    number: int = -1
    first: int = 0
    after: int = 0
    free: int = UNLIMITED
    older_nano: int = 0
    """Spent before the oldest of `days`."""
    caps: tuple[Cap, ...] = ()
    above: "tuple[Allowance, ...]" = ()
    """Of a key: its team, then its organisation."""
    account: str = ""
    """Its name among hosts."""
    taken: dict[tuple[WindowKind, int], int] | None = None
    """Where hosts share its budgets (`ledger/shared`): what may be spent and held here of the
    window of a kind and first minute. It begins with what is; the rest is taken."""
    waiting: "deque[tuple[Order, asyncio.Future[Any]]] | None" = None

    @property
    def binding(self) -> "tuple[Allowance, ...]":
        """All accounts that bind its key: this one and those above."""
        return (self, *self.above)

    @property
    def root(self) -> "Allowance":
        """Where calls of this account wait: what all share that may free each other."""
        return self.above[-1] if self.above else self

    def bound(self, at_ms: int) -> Found:
        """The windows that an order of its key is in at a moment, and whose they are."""
        minute = at_ms // MINUTE_MS
        return [(one.tenant, window) for one in self.binding for window in one.windows(minute)]

    def bind(self, caps: tuple[Cap, ...]) -> None:
        """Have these budgets; what was taken for others is not known by the time they are back."""
        self.caps, kinds = caps, {cap.window for cap in caps}
        for place in [place for place in self.taken or () if place[0] not in kinds]:
            del self.taken[place]  # type: ignore[union-attr]

    def add(self, balance: Balance) -> None:
        """Count what was spent before the start."""
        for day, nano in balance.days.items():
            self.days[day] = self.days.get(day, 0) + nano
        self.older_nano += balance.total_nano - sum(balance.days.values())

    def take(self, kind: WindowKind, first: int, nano: int) -> None:
        """So much more, or less, may be spent here of a window."""
        assert self.taken is not None
        if (kind, first) in self.taken:
            self.taken[kind, first] += nano
            self.unsettle()

    def exceed(self, cell: Cell, nano: int) -> None:
        """A bill is so much above its reservation: the ledger counts it, no lease holds it."""
        for kind, first in self.taken or ():
            minute = cell.number if cell.number >= 0 else ~cell.number * DAY
            is_in = cell.number >= 0 or kind not in SHORT
            if is_in and first <= minute < span(kind, first)[1]:
                self.take(kind, first, nano)

    def begin_anew(self) -> None:
        """What was taken is not ours any more, and what is held moves nothing when it ends."""
        for number, cell in self.cells.items():
            if cell.held:
                self.cells[number] = Cell(number, cell.spent)
                cell.number, cell.spent, cell.loose = ~(number // DAY), 0, True
        if self.taken is not None:
            self.taken.clear()  # it begins again with what was spent
        self.unsettle()

    def turn(self, number: int) -> None:
        """Move to a minute."""
        cell = self.cells.get(number)
        if cell is None:
            cell = self.cells[number] = Cell(number)
            if len(self.cells) > KEPT_MINUTES:
                self._forget(number)
        self.cell, self.number = cell, number
        if not self.first <= number < self.after:
            windows = self.windows(number)
            self.free = min((w.free for w in windows), default=UNLIMITED)
            self.first = max([0, *(w.first for w in windows)])  # below it are those in their days
            self.after = min((w.after for w in windows), default=FOREVER * DAY)

    def unsettle(self) -> None:
        """What is free must be summed up again."""
        self.number, self.after = -1, self.first

    def move(self, cell: Cell, held: int, spent: int) -> None:
        """Hold less of a minute, because it was spent."""
        cell.held -= held
        cell.spent += spent
        if self.first <= cell.number < self.after:
            self.free += held - spent
        else:
            self.stray(cell)

    def stray(self, cell: Cell) -> None:
        """A cell was moved that is not in every window."""
        if cell.number < 0:
            if cell.loose:
                self.exceed(cell, cell.spent)
            self._fold(cell)
        self.unsettle()

    def windows(self, number: int) -> list[Window]:
        """Every window as it stands in a minute."""
        found = []
        for cap in self.caps:
            first, after = span(cap.window, number)
            inside = [c for c in self.cells.values() if first <= c.number < after]
            spent = sum(c.spent for c in inside)
            if cap.window not in SHORT:
                spent += sum(nano for d, nano in self.days.items() if first <= d * DAY < after)
            if cap.window == "total":
                spent += self.older_nano
            held, most = sum(c.held for c in inside), None
            if self.taken is not None:
                most = self.taken.setdefault((cap.window, first), spent + held)
            found.append(Window(cap, first, after, spent, held, most))
        return found

    def left(self, at_ms: int) -> list[Left]:
        """Its budgets as they stand at a moment."""
        return [
            Left(w.cap.window, w.cap.nano, w.spent, w.held, instant(w.after), self.tenant)
            for w in self.windows(at_ms // MINUTE_MS)
        ]

    def spent(self) -> int:
        """All that was ever spent."""
        recent = sum(cell.spent for cell in self.cells.values())
        return self.older_nano + sum(self.days.values()) + recent

    def held(self) -> int:
        """What open holds may still cost."""
        return sum(cell.held for cell in self.cells.values())

    def _forget(self, number: int) -> None:
        """Count minutes far from this one, of which nothing is held, in their days."""
        for n, cell in list(self.cells.items()):
            if abs(n - number) > KEPT_MINUTES and not cell.held:
                self._fold(self.cells.pop(n))
        for kind, first in list(self.taken or ()):
            if span(kind, first)[1] < number - KEPT_MINUTES:
                del self.taken[kind, first]  # type: ignore[union-attr]
        if len(self.days) > KEPT_DAYS:
            oldest = max(self.days) - KEPT_DAYS
            for old in [n for n in self.days if n < oldest]:
                self.older_nano += self.days.pop(old)

    def _fold(self, cell: Cell) -> None:
        day = ~cell.number if cell.number < 0 else cell.number // DAY
        self.days[day] = self.days.get(day, 0) + cell.spent
        cell.number, cell.spent = ~day, 0


def hopeless(found: Found, nano: int) -> bool:
    """Whether what was spent alone leaves no room, whatever is given back."""
    return any(window.spent + nano > window.cap.nano for _, window in found)


def refuse_hopeless(found: Found, order: Order) -> None:
    """Raise if nothing that is given back can make room for it."""
    if hopeless(found, order.nano):
        raise over(found, order)


def over(found: Found, order: Order) -> OverBudget:
    """Name the tightest window: whose, what is left of it, what this call may cost, its end."""
    tenant, window = min(found, key=lambda pair: pair[1].free)
    left = max(0, window.free)
    ends = instant(window.after)
    kind = "in total" if window.cap.window == "total" else f"per {window.cap.window}"
    held = f" ({dollars(window.held)} is held by calls in flight)" if window.held else ""
    until = "it does not renew" if ends == "never" else f"it renews at {ends}"
    budget = f"The budget of {dollars(window.cap.nano)} {kind}"
    if tenant:
        budget += f" of the {called(tenant)}"
    error = OverBudget(
        f"{budget} has {dollars(left)} left{held}, and this "
        f"call may cost up to {dollars(order.nano)}; {until}",
        left_nano=left,
        window_ends_at=ends,
    )
    if tenant:
        error.facts["tenant"] = tenant
    return error


def dollars(nano: int) -> str:
    """Nano-dollars for people: exact, without trailing zeros beyond cents."""
    whole, rest = divmod(abs(nano), 10**9)
    cents = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}${whole:,}.{cents}"
