"""Who may still spend what: the one owner of money in memory.

    hold = book.hold(order) or await book.wait(order)
    ...                                   # the attempt is made
    hold.settle(nano, usage, "done")      # or hold.release("failed"); exactly once

    Book(journal, balances=(), recent=None)    balances: what the ledger says was spent
    book.limit(key_id, caps, "acme.web")       a key's budgets and its tenant, at any moment
    book.limit_tenant("acme.web", caps)        the budgets of a team or an organisation
    book.hold(order) -> Hold | None            None: does not fit now; 0.4 us, however many budgets
    await book.wait(order, timeout_s=2.0) -> Hold, or raises OverBudget (402)
    book.left(key_id, at_ms) -> [Left]         for GET /v1/key: the key's, then its tenants'
    hold.settle(nano, usage, outcome, estimated=False); hold.release(outcome)

An order counts in the account of its key and in those of the tenants above it, in all or
in none. Each level costs another 0.2 us.

Invariants: in every window, spent + held <= cap whenever a hold is granted, so only a
bill above its own reservation can pass the cap, by that excess. The sum of the
ledger's rows is `settled_nano`. Held money returns to 0 when every hold has ended.

An attempt belongs to the UTC minute in which it was reserved, whenever it is settled: in
memory, in the ledger, and so after a restart. Windows are ranges of minutes; what is older
than two hours is kept by days, which longer windows are made of. The clock may jump: a
window is summed up again when an order lies outside it, forwards or backwards. The minutes
before a start are read from the ledger when the first budget needs them (`recent`).

Single-threaded: owned by one event loop. Not promised: fairness among waiting calls
of very different size; a small call that fits passes a large one that waits. Budgets per
minute and hour after the clock has jumped by hours and back; nor of attempts before a
start that began more than `queries.BELATED_S` after their request.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from octoplex.ledger.allowance import SHORT, Allowance, Cap, Cell, Left, over
from octoplex.ledger.period import DAY, MINUTE_MS, levels
from octoplex.ledger.rows import (
    MOST_NANO,
    RELEASED,
    SETTLED,
    Balance,
    Minute,
    Order,
    Settlement,
)
from octoplex.ledger.store import Journal
from octoplex.wire.error import OverBudget, StoreFailed
from octoplex.wire.event import NO_USAGE, Usage

PATIENCE_S = 2.0
Part = tuple[Allowance, Cell]
"""Where something is held."""


class Hold(Struct, gc=False):
    """Money set aside for one attempt. Ends exactly once; a second end is ignored and counted."""

    order: Order
    _book: "Book"
    _account: Allowance
    _cell: Cell
    _above: tuple[Part, ...] = ()
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
        order, account, cell = self.order, self._account, self._cell
        if not 0 <= nano <= MOST_NANO:
            nano, estimated = min(max(nano, 0), MOST_NANO), True
        held = order.nano
        if nano > held:
            book.exceeded += 1
        cell.held -= held
        cell.spent += nano
        if account.first <= cell.number < account.after:
            account.free += held - nano
        else:
            account.stray(cell)
        root = account
        if self._above:
            root = account.root
            for one, part in self._above:
                one.move(part, held, nano)
        if estimated or usage.estimated:
            estimated = True
            book.unbilled += outcome == "done"
        book.write_down(Settlement(order, nano, usage, outcome, estimated, state, again))
        if root.waiting:
            book.serve(root)
        return nano

    def release(self, outcome: str) -> None:
        """It cost nothing: the provider never took it, or does not bill it."""
        self.settle(0, NO_USAGE, outcome, state=RELEASED)


class Aside(Struct):
    """Money set aside for long work, in memory alone: whoever keeps the work sets it aside
    again after a start. Its parts are settled one by one, in the minute it was set aside."""

    nano: int
    _book: "Book"
    _parts: tuple[Part, ...]
    _tenant: str

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
        if self._tenant != order.tenant:
            order = replace(order, tenant=self._tenant)
        book.write_down(Settlement(order, nano, usage, outcome, estimated, state))
        self._move(min(order.nano, self.nano), nano)

    def hold(self, order: Order, *, known: bool = False) -> Hold:
        """Make a hold of a part, in the minute it was set aside. `known`: it is written down.

        Raises:
            StoreFailed: the ledger cannot be written.
        """
        if not known:
            self._book.reserve(order)
        self.nano -= order.nano
        (account, cell), *above = self._parts
        return Hold(order, self._book, account, cell, tuple(above))

    def give_back(self, nano: int | None = None) -> None:
        """Set less aside; without an amount: nothing any more."""
        self._move(self.nano if nano is None else min(nano, self.nano), 0)

    def _move(self, held: int, spent: int) -> None:
        self.nano -= held
        for account, cell in self._parts:
            account.move(cell, held, spent)
        root = self._parts[0][0].root
        if root.waiting:
            self._book.serve(root)


class Book:
    """Accounts by key id; callers without a key share the account of ""."""

    def __init__(
        self,
        journal: Journal,
        balances: Iterable[Balance] = (),
        recent: Callable[[], Iterable[Minute]] | None = None,
    ) -> None:
        """`recent` says what of `balances` was spent of late, by minutes; asked at most once."""
        self.reserve = journal.reserve
        self.write_down = journal.settle
        self.exceeded = 0
        """Bills above their reservation."""
        self.unbilled = 0
        """Replies that ended well with no usage, or one that made no sense: an estimate stands."""
        self.resettled = 0
        """Second ends of a hold, ignored."""
        self._recent = recent
        self._accounts: dict[str, Allowance] = {}
        self._tenants: dict[str, Allowance] = {}
        for balance in balances:
            for account in self._counting(balance.key_id, balance.tenant):
                account.add(balance)

    def limit(self, key_id: str, caps: Iterable[Cap], tenant: str = "") -> None:
        """Set a key's budgets and its tenant. What it has spent and holds counts at once."""
        account = self._accounts.get(key_id) or self._open(key_id)
        account.above = tuple([self._tenant(name) for name in levels(tenant)])
        self._put(account, caps)

    def limit_tenant(self, name: str, caps: Iterable[Cap]) -> None:
        """Set the budgets that all keys of a team, or of an organisation, share."""
        self._put(self._tenant(name), caps)

    def hold(self, order: Order) -> Hold | None:
        """Set money aside for an attempt; None when it does not fit now.

        Raises:
            StoreFailed: the ledger cannot be written.
        """
        account = self._accounts.get(order.key_id) or self._open(order.key_id)
        nano = order.nano
        number = order.at_ms // MINUTE_MS
        if number != account.number:
            account.turn(number)
        if nano > account.free and nano:
            return None
        if account.above:
            return self._hold_all(order, account, number)
        self.reserve(order)
        cell = account.cell
        cell.held += nano
        account.free -= nano
        return Hold(order, self, account, cell)

    def _hold_all(self, order: Order, account: Allowance, number: int) -> Hold | None:
        """Hold in the accounts above too, or in none."""
        nano, above = order.nano, account.above
        for one in above:
            if number != one.number:
                one.turn(number)
            if nano > one.free and nano:
                return None
        self.reserve(order)
        for one in (account, *above):
            one.cell.held += nano
            one.free -= nano
        parts = tuple([(one, one.cell) for one in above])
        return Hold(order, self, account, account.cell, parts)

    def set_aside(self, key_id: str, nano: int, at_ms: int, *, anew: bool = True) -> Aside | None:
        """Set money aside for long work; None when it does not fit, unless it was before."""
        account = self._accounts.get(key_id) or self._open(key_id)
        accounts = (account, *account.above)
        for one in accounts:
            one.turn(at_ms // MINUTE_MS)
        if anew and any(nano > one.free for one in accounts):
            return None
        for one in accounts:
            one.cell.held += nano
            one.unsettle()
        tenant = account.above[0].tenant if account.above else ""
        return Aside(nano, self, tuple([(one, one.cell) for one in accounts]), tenant)

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
        root = account.root
        if root.waiting is None:
            root.waiting = deque()
        waiting, entry = root.waiting, (order, future)
        waiting.append(entry)
        try:
            await asyncio.wait((future,), timeout=timeout_s)
            if not future.done():
                raise over(account, order)
            return future.result()
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().release("left")
            raise
        finally:
            if entry in waiting:
                waiting.remove(entry)

    def serve(self, root: Allowance) -> None:
        """Give waiting calls what has come free, longest wait first."""
        waiting = root.waiting
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
                self._refuse_hopeless(self._accounts[order.key_id], order)
            except (OverBudget, StoreFailed) as error:
                future.set_exception(error)
            else:
                waiting.append((order, future))

    def left(self, key_id: str, at_ms: int) -> list[Left]:
        """The budgets that bind a key as they stand now: its own, its team's, and above."""
        account = self._accounts.get(key_id)
        accounts = (account, *account.above) if account else ()
        return [left for one in accounts for left in one.left(at_ms)]

    def left_of_tenant(self, name: str, at_ms: int) -> list[Left]:
        """The budgets of a team or organisation itself."""
        account = self._tenants.get(name)
        return account.left(at_ms) if account else []

    def spent(self, key_id: str) -> int:
        """All that a key ever spent."""
        account = self._accounts.get(key_id)
        return account.spent() if account else 0

    def spent_by_tenant(self, name: str) -> int:
        """All that the keys of a team or organisation ever spent while they were its own."""
        account = self._tenants.get(name)
        return account.spent() if account else 0

    @property
    def tenants(self) -> frozenset[str]:
        """All that something counts in."""
        return frozenset(self._tenants)

    @property
    def settled_nano(self) -> int:
        """All that anybody ever spent: the sum of the ledger's settled rows."""
        return sum(account.spent() for account in self._accounts.values())

    @property
    def open_nano(self) -> int:
        """What all open holds may still cost."""
        return sum(account.held() for account in self._accounts.values())

    def _open(self, key_id: str) -> Allowance:
        account = self._accounts[key_id] = Allowance()
        return account

    def _tenant(self, name: str) -> Allowance:
        return self._tenants.get(name) or self._tenants.setdefault(name, Allowance(name))

    def _counting(self, key_id: str, tenant: str) -> list[Allowance]:
        """All accounts that what a key spends for a tenant counts in."""
        own = self._accounts.get(key_id) or self._open(key_id)
        return [own, *[self._tenant(name) for name in levels(tenant)]]

    def _put(self, account: Allowance, caps: Iterable[Cap]) -> None:
        account.caps = tuple(caps)
        if self._recent is not None and any(cap.window in SHORT for cap in account.caps):
            self._remember(self._recent())
            self._recent = None
        account.unsettle()
        if account.root.waiting:
            self.serve(account.root)

    def _remember(self, minutes: Iterable[Minute]) -> None:
        """Take what was spent before the start, and is known by day, by minutes instead."""
        for minute in minutes:
            number, nano = minute.number, minute.nano
            for account in self._counting(minute.key_id, minute.tenant):
                cell = account.cells.setdefault(number, Cell(number))
                cell.spent += nano
                account.days[number // DAY] = account.days.get(number // DAY, 0) - nano

    def _refuse_hopeless(self, account: Allowance, order: Order) -> None:
        for one in (account, *account.above):
            windows = one.windows(order.at_ms // MINUTE_MS)
            if any(w.spent + order.nano > w.cap.nano for w in windows):
                raise over(account, order)
