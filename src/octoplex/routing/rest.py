"""Keys that rest: out of quota, not accepted, or asked to wait.

A rest has a scope. `provider` is the key itself (out of credit, revoked): it rests for
every target of that provider. A target's name is that key on that target only (a 429, a
403). A *soft* rest is a short wait that the call which met it waits out itself: another
key is preferred meanwhile, but where there is none the key may still be asked.

Provider names hold no "/", target names always do, so both live in one table. It is
empty nearly always, which is all that the fast path looks at.

Who runs the server must do something about a key that is refused or out of credit, and about a
model that is gone: the log says so, once an hour for each.
"""

import logging
from collections.abc import Sequence

from msgspec import Struct

log = logging.getLogger("octoplex.routing")
CAPACITY = 4_096
AGAIN_S = 3_600.0


class Rest(Struct, frozen=True, gc=False):
    """Until when a key rests, on the loop's clock, and why."""

    until_at: float
    why: str
    soft: bool = False


class Rests:
    """The resting keys. Entries die when their time is over or the table is full."""

    __slots__ = ("_told_at", "table")

    def __init__(self) -> None:
        self.table: dict[tuple[str, str], Rest] = {}
        self._told_at: dict[tuple[str, str], float] = {}

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

    def tell(self, scope: str, key: str, why: str, now: float) -> None:
        """Say in the log why a key, or with "" a whole target, is of no use."""
        told_at = self._told_at
        if now - told_at.get((scope, key), float("-inf")) < AGAIN_S:
            return
        if len(told_at) >= CAPACITY:
            told_at.pop(next(iter(told_at)))
        told_at[scope, key] = now
        if key:
            log.warning("the key %s of %s rests again and again: %s", key, scope, why)
        else:
            log.warning("%s is asked last while there is another: %s", scope, why)

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
        self._told_at.clear()


def _rank(rest: Rest) -> tuple[bool, float]:
    """Hard before soft, then the longer one."""
    return not rest.soft, rest.until_at
