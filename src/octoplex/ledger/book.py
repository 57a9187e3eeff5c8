"""Who may still spend what: the one owner of money in memory.

    hold = book.hold(order) or await book.wait(order)
    ...                                   # the attempt is made
    hold.settle(nano, usage, "done")      # or hold.release("failed"); exactly once

    Book(journal, balances=())            balances: what the ledger says was spent
    book.limit(key_id, caps)              set or change a key's budgets, at any moment
    book.hold(order) -> Hold | None       None: does not fit now; 0.4 us with any number of budgets
    await book.wait(order, timeout_s=2.0) -> Hold, or raises OverBudget (402)
    book.left(key_id, at_ms) -> [Left]    for GET /v1/key
    hold.settle(nano, usage, outcome, estimated=False); hold.release(outcome)

Invariants: in every window, spent + held <= cap whenever a hold is granted, so only a
bill above its own reservation can pass the cap, by that excess. The sum of the
ledger's rows is `settled_nano`. Held money returns to 0 when every hold has ended.

An attempt belongs to the UTC day on which it was reserved, whenever it is settled:
in memory, in the ledger's rollup, and so after a restart. Windows are ranges of days.
The clock may jump: a window is summed up again from the days when an order lies
outside it, forwards or backwards.

Single-threaded: owned by one event loop. Not promised: fairness among waiting calls
of very different size; a small call that fits passes a large one that waits.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from octoplex.ledger.period import DAY_MS, bounds, rfc3339
from octoplex.ledger.rows import (
    MOST_NANO,
    RELEASED,
    SETTLED,
    Balance,
    Order,
    Settlement,
    WindowKind,
)
from octoplex.ledger.store import Journal
from octoplex.wire.error import OverBudget, StoreFailed
from octoplex.wire.event import NO_USAGE, Usage

UNLIMITED = 2**62
"""Free for whoever has no budget: four billion dollars."""
KEPT_DAYS = 70
"""Days an account remembers: more than the longest window but `total`."""
PATIENCE_S = 2.0


class Cap(Struct, frozen=True):
    """At most `nano` nano-dollars in each window of this kind."""

    window: WindowKind
    nano: int


class Left(Struct, frozen=True):
    """One budget of a key as it stands. `held_nano` is what calls in flight may cost."""

    window: WindowKind
    cap_nano: int
    spent_nano: int
    held_nano: int
    ends_at: str

    @property
    def left_nano(self) -> int:
        """What a new call may reserve; never below 0."""
        return max(0, self.cap_nano - self.spent_nano - self.held_nano)


class _Day(Struct, gc=False):
    spent: int = 0
    held: int = 0


class _Window(Struct, frozen=True, gc=False):
    """A cap and the sums of the period (`first` to `after`, in days) that a day is in."""

    cap: Cap
    after: int
    spent: int
    held: int

    @property
    def free(self) -> int:
        """What a new call may reserve."""
        return self.cap.nano - self.spent - self.held


class _Account(Struct):
    """`day` is that of `number`, the last one an order came for; `free` what it may reserve.

    A reservation and its end move every window of their day by the same amount, so the
    tightest stays the tightest and one figure stands for all of them.
    """

    key_id: str
    days: dict[int, _Day]
    day: _Day
    number: int = -1
    free: int = UNLIMITED
    older_nano: int = 0
    """Spent before the oldest of `days`."""
    caps: tuple[Cap, ...] = ()
    waiting: "deque[tuple[Order, asyncio.Future[Hold]]] | None" = None

    def turn(self, number: int) -> None:
        """Move to a day; forgets those that no window but `total` can reach any more."""
        day = self.days.get(number)
        if day is None:
            day = self.days[number] = _Day()
            if len(self.days) > KEPT_DAYS:
                oldest = max(self.days) - KEPT_DAYS
                gone = [n for n, d in self.days.items() if n < oldest and not d.held]
                for old in [n for n in gone if n != number]:
                    self.older_nano += self.days.pop(old).spent
        self.day, self.number = day, number
        self.free = min((w.free for w in self.windows(number)), default=UNLIMITED)

    def windows(self, number: int) -> list[_Window]:
        """Every window as it stands on a day."""
        found = []
        for cap in self.caps:
            first, after = bounds(cap.window, number)
            inside = [d for n, d in self.days.items() if first <= n < after]
            spent = sum(d.spent for d in inside)
            if cap.window == "total":
                spent += self.older_nano
            found.append(_Window(cap, after, spent, sum(d.held for d in inside)))
        return found

    def spent(self) -> int:
        """All that was ever spent."""
        return self.older_nano + sum(d.spent for d in self.days.values())

    def held(self) -> int:
        """What open holds may still cost."""
        return sum(d.held for d in self.days.values())


class Hold(Struct, gc=False):
    """Money set aside for one attempt. Ends exactly once; a second end is ignored and counted."""

    order: Order
    _book: "Book"
    _account: _Account
    _day: _Day
    _open: bool = True

    def settle(
        self,
        nano: int,
        usage: Usage,
        outcome: str,
        estimated: bool = False,
        state: int = SETTLED,
        again: bool = False,
    ) -> int:
        """Charge what it cost, and say how much that was: an absurd bill is clamped.

        Above the reservation the excess is charged too; the ledger's row says `exceeded`.
        `again`: its request has an earlier attempt on this target that was settled.
        """
        book = self._book
        if not self._open:
            book.resettled += 1
            return 0
        self._open = False
        order, account, day = self.order, self._account, self._day
        if not 0 <= nano <= MOST_NANO:
            nano, estimated = min(max(nano, 0), MOST_NANO), True
        held = order.nano
        if nano > held:
            book.exceeded += 1
        day.held -= held
        day.spent += nano
        if day is account.day:
            account.free += held - nano
        else:
            account.number = -1  # a day that is over: what is free is summed up again
        if estimated or usage.estimated:
            estimated = True
            book.unbilled += outcome == "done"
        book.write_down(Settlement(order, nano, usage, outcome, estimated, state, again))
        if account.waiting:
            book.serve(account)
        return nano

    def release(self, outcome: str) -> None:
        """It cost nothing: the provider never took it, or does not bill it."""
        self.settle(0, NO_USAGE, outcome, state=RELEASED)


class Aside(Struct):
    """Money set aside for long work, in memory alone: whoever keeps the work sets it aside
    again after a start. Its parts are settled one by one, on the day it was set aside."""

    nano: int
    _book: "Book"
    _account: _Account
    _day: _Day

    def settle(
        self, order: Order, nano: int, usage: Usage, outcome: str, state: int = SETTLED
    ) -> None:
        """Charge one part, for which `order.nano` was set aside."""
        book, estimated = self._book, usage.estimated
        if not 0 <= nano <= MOST_NANO:
            nano, estimated = min(max(nano, 0), MOST_NANO), True
        if nano > order.nano:
            book.exceeded += 1
        book.unbilled += estimated and outcome == "done"
        self._day.spent += nano
        book.write_down(Settlement(order, nano, usage, outcome, estimated, state))
        self.give_back(order.nano)

    def give_back(self, nano: int | None = None) -> None:
        """Set less aside; without an amount: nothing any more."""
        nano = self.nano if nano is None else min(nano, self.nano)
        self.nano -= nano
        self._day.held -= nano
        self._account.number = -1  # what is free is summed up again
        if self._account.waiting:
            self._book.serve(self._account)


class Book:
    """Accounts by key id; callers without a key share the account of ""."""

    def __init__(self, journal: Journal, balances: Iterable[Balance] = ()) -> None:
        self._reserve = journal.reserve
        self.write_down = journal.settle
        self.exceeded = 0
        """Bills above their reservation."""
        self.unbilled = 0
        """Replies that ended well with no usage, or one that made no sense: an estimate stands."""
        self.resettled = 0
        """Second ends of a hold, ignored."""
        self._accounts: dict[str, _Account] = {}
        for balance in balances:
            account = self._open(balance.key_id)
            account.days = {n: _Day(nano) for n, nano in balance.days.items()}
            account.older_nano = balance.total_nano - sum(balance.days.values())

    def limit(self, key_id: str, caps: Iterable[Cap]) -> None:
        """Set a key's budgets. What it has spent and holds is kept and counts at once."""
        account = self._accounts.get(key_id) or self._open(key_id)
        account.caps, account.number = tuple(caps), -1
        if account.waiting:
            self.serve(account)

    def hold(self, order: Order) -> Hold | None:
        """Set money aside for an attempt; None when it does not fit now.

        Raises:
            StoreFailed: the ledger cannot be written.
        """
        account = self._accounts.get(order.key_id) or self._open(order.key_id)
        nano = order.nano
        number = order.at_ms // DAY_MS
        if number != account.number:
            account.turn(number)
        if nano > account.free and nano:
            return None
        self._reserve(order)
        day = account.day
        day.held += nano
        account.free -= nano
        return Hold(order, self, account, day)

    def set_aside(self, key_id: str, nano: int, at_ms: int, *, anew: bool = True) -> Aside | None:
        """Set money aside for long work; None when it does not fit, unless it was before."""
        account = self._accounts.get(key_id) or self._open(key_id)
        account.turn(at_ms // DAY_MS)
        if anew and nano > account.free:
            return None
        account.day.held += nano
        account.number = -1
        return Aside(nano, self, account, account.day)

    async def wait(self, order: Order, timeout_s: float = PATIENCE_S) -> Hold:
        """Hold as soon as open reservations leave room, for an order that does not fit now.

        Raises:
            OverBudget: it cannot fit, or nothing was given back in time.
            StoreFailed: the ledger cannot be written.
        """
        hold = self.hold(order)
        if hold is not None:
            return hold
        account = self._accounts[order.key_id]
        self._refuse_hopeless(account, order)
        future: asyncio.Future[Hold] = asyncio.get_running_loop().create_future()
        if account.waiting is None:
            account.waiting = deque()
        entry = (order, future)
        account.waiting.append(entry)
        try:
            await asyncio.wait((future,), timeout=timeout_s)
            if not future.done():
                raise _over(account, order)
            return future.result()
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().release("left")
            raise
        finally:
            if entry in account.waiting:
                account.waiting.remove(entry)

    def serve(self, account: _Account) -> None:
        """Give waiting calls what has come free, longest wait first."""
        waiting = account.waiting
        if waiting is None:
            return
        for _ in range(len(waiting)):
            order, future = waiting.popleft()
            if future.done():
                continue
            try:
                hold = self.hold(order)
                if hold is not None:
                    future.set_result(hold)
                    continue
                self._refuse_hopeless(account, order)
            except (OverBudget, StoreFailed) as error:
                future.set_exception(error)
            else:
                waiting.append((order, future))

    def left(self, key_id: str, at_ms: int) -> list[Left]:
        """A key's budgets as they stand now."""
        account = self._accounts.get(key_id)
        if account is None:
            return []
        return [
            Left(w.cap.window, w.cap.nano, w.spent, w.held, rfc3339(w.after))
            for w in account.windows(at_ms // DAY_MS)
        ]

    def spent(self, key_id: str) -> int:
        """All that a key ever spent."""
        account = self._accounts.get(key_id)
        return account.spent() if account else 0

    @property
    def settled_nano(self) -> int:
        """All that anybody ever spent: the sum of the ledger's settled rows."""
        return sum(account.spent() for account in self._accounts.values())

    @property
    def open_nano(self) -> int:
        """What all open holds may still cost."""
        return sum(account.held() for account in self._accounts.values())

    def _open(self, key_id: str) -> _Account:
        account = self._accounts[key_id] = _Account(key_id, {}, _Day())
        return account

    def _refuse_hopeless(self, account: _Account, order: Order) -> None:
        windows = account.windows(order.at_ms // DAY_MS)
        if any(w.spent + order.nano > w.cap.nano for w in windows):
            raise _over(account, order)


def _over(account: _Account, order: Order) -> OverBudget:
    """Name the tightest window: what is left of it, what this call may cost, when it ends."""
    windows = account.windows(order.at_ms // DAY_MS)
    window = min(windows, key=lambda w: w.free)
    left = max(0, window.free)
    ends = rfc3339(window.after)
    kind = "in total" if window.cap.window == "total" else f"per {window.cap.window}"
    held = f" ({dollars(window.held)} is held by calls in flight)" if window.held else ""
    until = "it does not renew" if ends == "never" else f"it renews at {ends}"
    return OverBudget(
        f"The budget of {dollars(window.cap.nano)} {kind} has {dollars(left)} left{held}, and this "
        f"call may cost up to {dollars(order.nano)}; {until}",
        left_nano=left,
        window_ends_at=ends,
    )


def dollars(nano: int) -> str:
    """Nano-dollars for people: exact, without trailing zeros beyond cents."""
    whole, rest = divmod(abs(nano), 10**9)
    cents = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}${whole:,}.{cents}"
