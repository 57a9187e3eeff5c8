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

Where several hosts share the budgets the till has them (`ledger/shared`): an account grants
what this host has taken out of it, and `wait` takes more.

Single-threaded: owned by one event loop. Not promised: fairness among waiting calls
of very different size; a small call that fits passes a large one that waits. Budgets per
minute and hour after the clock has jumped by hours and back; nor of attempts before a
start that began more than `queries.BELATED_S` after their request.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from octoplex.ledger.allowance import SHORT, Allowance, Cap, Cell, Left, over, refuse_hopeless
from octoplex.ledger.period import DAY, MINUTE_MS, levels
from octoplex.ledger.rows import (
    MOST_NANO,
    RELEASED,
    SETTLED,
    Balance,
    Laid,
    Minute,
    Order,
    Settlement,
)
from octoplex.ledger.shared.drawer import Drawer
from octoplex.ledger.shared.till import Till, account_of
from octoplex.ledger.store import Journal
from octoplex.wire.error import OverBudget, StoreFailed
from octoplex.wire.event import NO_USAGE, Usage

PATIENCE_S = 2.0
AGAIN_S = (0.01, 0.3)
"""How long a call waits before the till is asked again, at first and later."""
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
    told: Callable[[int, int], None] | None = None  # what it cost, and how many tokens it took

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
        if nano > held:
            book.exceed(((account, cell), *self._above), nano - held)
        estimated = estimated or usage.estimated
        book.unbilled += estimated and outcome == "done"
        done = Settlement(order, nano, usage, outcome, estimated, state, again, cell.loose)
        book.write_down(done)
        if self.told is not None:
            self.told(nano, usage.input_tokens + usage.output_tokens)
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
    tenant: str

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
        if self.tenant != order.tenant:
            order = replace(order, tenant=self.tenant)
        loose = self._parts[0][1].loose
        book.write_down(Settlement(order, nano, usage, outcome, estimated, state, loose=loose))
        self._move(min(order.nano, self.nano), nano)
        if nano > order.nano:
            book.exceed(self._parts, nano - order.nano)

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
        till: Till | None = None,
    ) -> None:
        """`recent` says what of `balances` was spent of late, by minutes; asked at most once.

        `till` is what hosts share.
        """
        self.reserve = journal.reserve
        self.write_down = journal.settle
        self.exceeded = 0
        """Bills above their reservation."""
        self.unbilled = 0
        """Replies that ended well with no usage, or one that made no sense: an estimate stands."""
        self.resettled = 0
        """Second ends of a hold, ignored."""
        self._recent = recent
        told = self.serve, self.recall_lent, self.begin_anew
        self._drawer = Drawer(till, *told) if till else None
        self._accounts: dict[str, Allowance] = {}
        self._tenants: dict[str, Allowance] = {}
        for balance in balances:
            for account in self._counting(balance.key_id, balance.tenant):
                account.add(balance)

    def limit(self, key_id: str, caps: Iterable[Cap], tenant: str = "") -> None:
        """Set a key's budgets and its tenant. What it has spent and holds counts at once."""
        account = self._account(key_id)
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
        account = self._account(key_id)
        accounts = account.binding
        for one in accounts:
            one.turn(at_ms // MINUTE_MS)
        if anew and any(nano > one.free for one in accounts):
            return None
        for one in accounts:
            one.cell.held += nano
            one.unsettle()
        if not anew and self._drawer is not None:
            self._drawer.cover(accounts, at_ms // MINUTE_MS)
        tenant = account.above[0].tenant if account.above else ""
        return Aside(nano, self, tuple([(one, one.cell) for one in accounts]), tenant)

    def resume(self, laid: Sequence[Laid]) -> list[Aside]:
        """Set aside after a start what was before it; where hosts share the till it has kept it."""
        if self._drawer is not None:
            self._drawer.take_up([(one, self._account(one.key_id).binding) for one in laid])
        asides = [self.set_aside(x.key_id, x.nano, x.at_ms, anew=False) for x in laid]
        return [aside for aside in asides if aside is not None]

    def inherit(self, order: Order) -> Hold:
        """Hold again what the book before this one held for an order that is written down."""
        if self._drawer is not None:
            accounts = self._account(order.key_id).binding
            self._drawer.keep(accounts, order.at_ms // MINUTE_MS, order.nano)
        aside = self.set_aside(order.key_id, order.nano, order.at_ms, anew=False)
        assert aside is not None
        return aside.hold(order, known=True)

    async def wait(self, order: Order, timeout_s: float = PATIENCE_S) -> Hold:
        """Hold as soon as open reservations leave room, for an order that does not fit now.

        Raises:
            OverBudget: it cannot fit, or nothing was given back in time.
            StoreFailed: the ledger cannot be written, or the till not be asked.
        """
        hold = self.hold(order)
        if hold is not None:
            return hold
        if self._drawer is not None:
            return await self._take(order, self._drawer, timeout_s)
        account = self._accounts[order.key_id]
        refuse_hopeless(account.bound(order.at_ms), order)
        hold = await self._queue(order, timeout_s)
        if hold is None:
            raise over(account.bound(order.at_ms), order)
        return hold

    async def taken(self, order: Order) -> Hold | None:
        """Hold, if the till has room that nobody need wait for; None where there is no till."""
        if self._drawer is None:
            return None
        account = self._accounts[order.key_id]
        await self._drawer.fill(account.binding, order.at_ms // MINUTE_MS, order.nano)
        return self.hold(order)

    async def _take(self, order: Order, drawer: Drawer, timeout_s: float) -> Hold:
        """Hold, with what has to be taken out of the till for it."""
        loop, accounts = asyncio.get_running_loop(), self._accounts[order.key_id].binding
        end_at, pause_s = loop.time() + timeout_s, AGAIN_S[0]
        while True:
            found = await drawer.fill(accounts, order.at_ms // MINUTE_MS, order.nano)
            hold = self.hold(order)
            if hold is not None:
                return hold
            rest_s = end_at - loop.time()
            refuse_hopeless(found, order)
            if found and rest_s <= 0:
                raise over(found, order)
            hold = await self._queue(order, min(rest_s, pause_s))
            if hold is not None:
                return hold
            pause_s = min(2 * pause_s, AGAIN_S[1])

    async def _queue(self, order: Order, timeout_s: float) -> Hold | None:
        """Hold as soon as something that is held here comes free; None when nothing did."""
        account = self._accounts[order.key_id]
        future: asyncio.Future[Hold] = asyncio.get_running_loop().create_future()
        root = account.root
        if root.waiting is None:
            root.waiting = deque()
        waiting, entry = root.waiting, (order, future)
        waiting.append(entry)
        try:
            await asyncio.wait((future,), timeout=timeout_s)
            return future.result() if future.done() else None
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
                refuse_hopeless(self._accounts[order.key_id].bound(order.at_ms), order)
            except (OverBudget, StoreFailed) as error:
                future.set_exception(error)
            else:
                waiting.append((order, future))

    def left(self, key_id: str, at_ms: int) -> list[Left]:
        """The budgets that bind a key as they stand now: its own, its team's, and above."""
        account = self._accounts.get(key_id)
        accounts = account.binding if account else ()
        return [left for one in accounts for left in self._left(one, at_ms)]

    def left_of_tenant(self, name: str, at_ms: int) -> list[Left]:
        """The budgets of a team or organisation itself."""
        account = self._tenants.get(name)
        return self._left(account, at_ms) if account else []

    def _left(self, account: Allowance, at_ms: int) -> list[Left]:
        if self._drawer is not None:
            return self._drawer.left(account, at_ms // MINUTE_MS)
        return account.left(at_ms)

    async def look(self, key_id: str, tenants: Iterable[str], at_ms: int) -> None:
        """Learn what all hosts have spent: `left` of this key and these tenants shows it then,
        or what it was when the till could last be asked."""
        if self._drawer is not None:
            account = self._accounts.get(key_id)
            found = account.binding if account else ()
            more = [self._tenants[name] for name in tenants if name in self._tenants]
            with suppress(StoreFailed):
                await self._drawer.look((*found, *more), at_ms // MINUTE_MS)

    async def make_room(self, key_id: str, nano: int, at_ms: int) -> None:
        """Take out of the till what `set_aside` would lack, if it is there.

        Raises:
            StoreFailed: the till cannot be asked.
        """
        if self._drawer is not None:
            await self._drawer.fill(self._account(key_id).binding, at_ms // MINUTE_MS, nano)

    def room(self, key_id: str, at_ms: int) -> int:
        """What a key may still spend out of what is here."""
        accounts = self._account(key_id).binding
        for one in accounts:
            one.turn(at_ms // MINUTE_MS)
        return min(one.free for one in accounts)

    def exceed(self, parts: Iterable[Part], nano: int) -> None:
        """A bill was so much above what was held for it in these."""
        if self._drawer is not None:
            for account, cell in parts:
                if not cell.loose:
                    account.exceed(cell, nano)
                    self._drawer.make_up(account, nano)

    def begin_anew(self) -> None:
        """This host was given up by the others: what it had is lent to them."""
        for account in (*self._accounts.values(), *self._tenants.values()):
            account.begin_anew()

    def recall_lent(self, account: Allowance) -> None:
        """Call back what was lent out of an account (`server/supervisor`)."""

    def spent(self, key_id: str) -> int:
        """All that a key ever spent."""
        account = self._accounts.get(key_id)
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
        account = self._accounts[key_id] = self._made(key_id)
        return account

    def _account(self, key_id: str) -> Allowance:
        return self._accounts.get(key_id) or self._open(key_id)

    def _tenant(self, name: str) -> Allowance:
        found = self._tenants.get(name)
        if found is None:
            found = self._tenants[name] = self._made("", name)
        return found

    def _made(self, key_id: str, tenant: str = "") -> Allowance:
        name, is_shared = account_of(key_id, tenant), self._drawer is not None
        return Allowance(tenant, account=name, taken={} if is_shared else None)

    def _counting(self, key_id: str, tenant: str) -> list[Allowance]:
        """All accounts that what a key spends for a tenant counts in."""
        own = self._account(key_id)
        return [own, *[self._tenant(name) for name in levels(tenant)]]

    def _put(self, account: Allowance, caps: Iterable[Cap]) -> None:
        caps = tuple(caps)
        if self._drawer is not None and caps != account.caps:
            self._drawer.return_idle(account)
        account.bind(caps)
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
