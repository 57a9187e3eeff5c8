"""Keys that rest: out of quota, not accepted, or asked to wait.

A rest has a scope. `provider` is the key itself (out of credit, revoked): it rests for
every target of that provider. A target's name is that key on that target only (a 429, a
403). A *soft* rest is a short wait that the call which met it waits out itself: another
key is preferred meanwhile, but where there is none the key may still be asked.

Provider names hold no "/", target names always do, so both live in one table. It is
empty nearly always, which is all that the fast path looks at.
"""

from collections.abc import Sequence

from msgspec import Struct

CAPACITY = 4_096


class Rest(Struct, frozen=True, gc=False):
    """Until when a key rests, on the loop's clock, and why."""

    until_at: float
    why: str
    soft: bool = False


class Rests:
    """The resting keys. Entries die when their time is over or the table is full."""

    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: dict[tuple[str, str], Rest] = {}

    def add(self, scope: str, key: str, rest: Rest, now: float) -> None:
        """Let `key` rest within `scope`. A longer or harder rest is never shortened."""
        known = self.table.get((scope, key))
        if known is not None and known.until_at > now and _rank(known) >= _rank(rest):
            return
        if len(self.table) >= CAPACITY:
            self.table = {k: r for k, r in self.table.items() if r.until_at > now}
            if len(self.table) >= CAPACITY:
                self.table.pop(next(iter(self.table)))
        self.table[scope, key] = rest

    def of(self, scopes: Sequence[str], key: str, now: float) -> Rest | None:
        """The rest of `key` that lasts longest within `scopes`, hard before soft."""
        found: Rest | None = None
        for scope in scopes:
            rest = self.table.get((scope, key))
            if rest is None:
                continue
            if rest.until_at <= now:
                del self.table[scope, key]
            elif found is None or _rank(rest) > _rank(found):
                found = rest
        return found

    def wake(self) -> None:
        """Forget every rest: the operator has changed the keys."""
        self.table.clear()


def _rank(rest: Rest) -> tuple[bool, float]:
    """Hard before soft, then the longer one."""
    return not rest.soft, rest.until_at
