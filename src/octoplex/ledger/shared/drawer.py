"""What this host has taken out of the till, under its book.

    found = await drawer.fill(accounts, minute, nano)   # room for so much, if the till has it
    await drawer.look(accounts, minute)                 # how the till stands, nothing taken
    drawer.left(account, minute) -> [Left]              # as it stood when it was last asked

Of each account with budgets the book grants what `Allowance.taken` says, in memory. What does
not fit is asked of the till: so much that it fits, and beyond it a part of what is left,
1/(4 x hosts), or all of it while there is no other host. Near the cap an order takes just
what it needs, and the till is asked for each. Only the till refuses.

What lies idle for a second goes back, and at once when another host calls for it.

Owned by the book's event loop.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct

from octoplex.ledger.allowance import UNLIMITED, Allowance, Found, Left, Window, hopeless
from octoplex.ledger.period import MINUTE_MS, instant
from octoplex.ledger.rows import Laid
from octoplex.ledger.shared.till import SHARE, Part, Stand, Till, Want
from octoplex.wire.eager import in_task
from octoplex.wire.error import StoreFailed

IDLE_S = 1.0
WRITTEN_S = 0.2
FRESH_S = 0.02
"""What was refused so short a time ago is not asked for again, nor is more."""
FORCED = -1
"""The share of who has spent or held it already."""
FOLLOWING_S = (0.02, 0.1, 0.4)
"""After a recall what workers of this host give back follows."""


class _Refusal(Struct, frozen=True):
    at_s: float
    nano: int
    minute: int
    found: Found

    def covers(self, minute: int, nano: int) -> bool:
        """Whether it need not be asked again."""
        fresh = time.monotonic() - self.at_s < FRESH_S
        return fresh and minute == self.minute and nano >= self.nano


class _Use(Struct):
    """An account of which something may lie idle in the windows of a minute."""

    account: Allowance
    minute: int
    seen: int
    """What was spent and held when it was last looked at."""


class Drawer:
    """Of one book."""

    def __init__(
        self,
        till: Till,
        served: Callable[[Allowance], None],
        recall: Callable[[Allowance], None],
        begin_anew: Callable[[], None],
    ) -> None:
        """`served` is told when an account has more room.

        `recall` calls back what was lent out of it to workers of this host. `begin_anew`: this
        host was given up, and nothing that was taken is its own.
        """
        self._till, self._served, self._recall = till, served, recall
        self._begin_anew, self._life = begin_anew, 0
        self._stands: dict[tuple[str, str, int], Stand] = {}
        self._filling: dict[str, asyncio.Task[Found]] = {}
        """By the name of the root account."""
        self._refused: dict[str, _Refusal] = {}
        self._uses: dict[str, _Use] = {}
        self._ticking = False
        self._tasks: set[asyncio.Task[None]] = set()
        till.listen(self._recalled, self._ended)

    async def fill(self, accounts: Sequence[Allowance], minute: int, nano: int) -> Found:
        """Take what lacks for so much in every window of a minute; how the till stood, if asked.

        Raises:
            StoreFailed: the till cannot be asked now.
        """
        await in_task()
        root = accounts[-1].account
        while (running := self._filling.get(root)) is not None:
            await asyncio.wait((running,))
            running.result()  # where the till cannot be asked nobody need ask it after another
            if not _lacks(accounts, minute, nano):
                return []
        refused = self._refused.get(root)
        if refused is not None and refused.covers(minute, nano):
            return refused.found
        task = asyncio.get_running_loop().create_task(self._fill(accounts, minute, nano))
        self._filling[root] = task
        task.add_done_callback(partial(self._filled, root))
        await asyncio.wait((task,))  # what it takes is ours also when the caller leaves
        return task.result()

    def _filled(self, root: str, task: asyncio.Task[Found]) -> None:
        del self._filling[root]
        if not task.cancelled():
            task.exception()

    async def _fill(self, accounts: Sequence[Allowance], minute: int, nano: int) -> Found:
        hosts = self._till.hosts
        share = 1 if hosts == 1 else SHARE * hosts
        found, wants = await self._take(accounts, minute, nano, share)
        short = [w for w in wants if w.least > w.cap - self._stand(w).spent - self._stand(w).leased]
        root = accounts[-1].account
        if short:
            self._refused[root] = _Refusal(time.monotonic(), nano, minute, found)
            if not hopeless(found, nano):
                for account in dict.fromkeys(want.account for want in short):
                    self._till.recall(account)
        else:
            self._refused.pop(root, None)
            self._served(accounts[-1])
        return found

    async def look(self, accounts: Sequence[Allowance], minute: int) -> None:
        """Learn how the till stands.

        Raises:
            StoreFailed: it cannot be asked now.
        """
        await in_task()
        await self._take(accounts, minute, 0, 0)

    async def _take(
        self, accounts: Sequence[Allowance], minute: int, nano: int, share: int
    ) -> tuple[Found, list[Want]]:
        """Take, and enter it."""
        rows: list[tuple[Want, Allowance, Window]] = []
        for account in accounts:
            for window in account.windows(minute):
                lacks = max(0, nano - window.free) if share else 0
                have, kind = max(0, window.free), window.cap.window
                first, after = window.first, window.after
                cap = UNLIMITED if share == FORCED else min(window.cap.nano, UNLIMITED)
                want = Want(account.account, kind, first, after, cap, lacks, have)
                rows.append((want, account, window))
        rows.sort(key=lambda row: row[0])
        wants = [row[0] for row in rows]
        if not wants:
            return [], []
        stands = await self._till.take(wants, max(0, share))
        found: Found = []
        for (want, account, window), stand in zip(rows, stands, strict=True):
            self._stands[_place(want)] = stand
            held = stand.leased - want.have
            seen = Window(window.cap, want.first, want.after, stand.spent, held)
            found.append((account.tenant, seen))
            if stand.got:
                account.take(want.window, want.first, stand.got)
                self._use(account, minute)
        if len(self._stands) > 10_000:
            self._stands.clear()
        return found, wants

    def left(self, account: Allowance, minute: int) -> list[Left]:
        """The budgets of an account as the till had them when it was last asked."""
        found = []
        for window in account.windows(minute):
            kind, cap = window.cap.window, window.cap.nano
            stand = self._stands.get((account.account, kind, window.first))
            spent, held = window.spent, window.held
            if stand is not None:
                spent, held = stand.spent, max(0, stand.leased + stand.got - max(0, window.free))
            found.append(Left(kind, cap, spent, held, instant(window.after), account.tenant))
        return found

    def cover(self, accounts: Sequence[Allowance], minute: int) -> None:
        """Take, whether it fits or not, what is held already beyond what was taken."""
        task = asyncio.get_running_loop().create_task(self._cover(accounts, minute))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def keep(self, accounts: Sequence[Allowance], minute: int, nano: int) -> None:
        """Count as taken what an order holds that outlived the last owner: its lease stayed."""
        for account in accounts:
            for window in account.windows(minute):
                account.take(window.cap.window, window.first, nano)
            self._use(account, minute)

    def take_up(self, laid: Sequence[tuple[Laid, Sequence[Allowance]]]) -> None:
        """Count as taken what the till has kept for what was laid aside before the start.

        What is left then goes back: its budget is no more, or its key is another tenant's.
        """
        kept = self._till.kept
        for one, accounts in laid:
            minute = one.at_ms // MINUTE_MS
            for account, window in [(a, w) for a in accounts for w in a.windows(minute)]:
                place = account.account, window.cap.window, window.first
                nano = min(one.nano, kept.get(place, 0))
                if nano:
                    kept[place] -= nano
                    account.take(window.cap.window, window.first, nano)
                    self._use(account, minute)
        parts = sorted(Part(*place, nano) for place, nano in kept.items() if nano)
        kept.clear()
        if parts:
            self._till.give(parts)

    async def _cover(self, accounts: Sequence[Allowance], minute: int) -> None:
        while True:
            try:
                await self._take([a for a in accounts if _lacks([a], minute, 0)], minute, 0, FORCED)
            except StoreFailed:
                await asyncio.sleep(IDLE_S)
            else:
                return

    def return_idle(self, account: Allowance) -> None:
        """Give back all that lies idle of an account: its budgets change."""
        use = self._uses.get(account.account)
        if use is not None:
            self._give_back(use)

    def _stand(self, want: Want) -> Stand:
        return self._stands[_place(want)]

    def _use(self, account: Allowance, minute: int) -> None:
        use = self._uses.get(account.account)
        if use is None:
            self._uses[account.account] = _Use(account, minute, -1)
        else:
            use.minute = max(use.minute, minute)
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(IDLE_S, self._tick)

    def _tick(self) -> None:
        for name, use in list(self._uses.items()) if self._till.hosts > 1 else ():
            held = use.account.held()
            used = use.account.spent() + held
            if used == use.seen:
                self._give_back(use)
                if not held:
                    del self._uses[name]
            use.seen = used
        self._ticking = bool(self._uses)
        if self._ticking:
            asyncio.get_running_loop().call_later(IDLE_S, self._tick)

    def make_up(self, account: Allowance, nano: int) -> None:
        """Give back what a bill has spent beyond its reservation, as far as it lies idle."""
        use = self._uses.get(account.account)
        if use is not None:
            # Before the bill is written its reservation would look like room.
            parts = self._taken_back(use, nano)
            if parts:
                later = asyncio.get_running_loop().call_later
                later(WRITTEN_S, self._give_late, self._life, parts)

    def _give_late(self, life: int, parts: Sequence[Part]) -> None:
        if life == self._life:
            self._till.give(parts)

    def _give_back(self, use: _Use) -> None:
        parts = self._taken_back(use)
        if parts:
            self._till.give(parts)

    def _taken_back(self, use: _Use, most: int = UNLIMITED) -> list[Part]:
        """No longer here: what lies idle, or so much of it."""
        account, parts = use.account, []
        for window in account.windows(use.minute):
            idle = min(window.free, most)
            if idle > 0:
                kind, first = window.cap.window, window.first
                account.take(kind, first, -idle)
                parts.append(Part(account.account, kind, first, idle))
        return sorted(parts)

    def _recalled(self, name: str) -> None:
        use = self._uses.get(name)
        if use is None:
            return
        self._give_back(use)
        self._recall(use.account)
        for after_s in FOLLOWING_S:
            asyncio.get_running_loop().call_later(after_s, self._give_back, use)

    def _ended(self, lost: bool) -> None:
        """The till could not be asked for too long; `lost`: this host was given up meanwhile."""
        if lost:
            self._life += 1
            self._uses.clear()
            self._refused.clear()
            self._begin_anew()
        for use in self._uses.values():
            self._give_back(use)


def _lacks(accounts: Sequence[Allowance], minute: int, nano: int) -> bool:
    return any(nano > window.free for one in accounts for window in one.windows(minute))


def _place(want: Want) -> tuple[str, str, int]:
    return want.account, want.window, want.first
