"""Leave a target alone that keeps failing, then let one call try it.

    closed --(5 of the last 10 calls failed, within 60 s)--> open for 5 s
    open --(its time is over)--> one probe --(it opens)--> closed
    a probe that fails opens again, for twice as long, at most 30 s

A call counts once, however often it was retried. What is a failure, the caller of
`failed` decides. While nothing has failed, successes need not be remembered: with an
empty window five failures open it either way, so the fast path writes nothing.

A probe closes the breaker at its first content, not at its end, which may be an hour
away; if its stream then breaks off, the breaker opens again at once.

Reference: M. Nygard, Release It!, 2nd ed., "Circuit Breaker".
"""

from collections import deque
from collections.abc import Callable

from octoplex.routing.policy import Breaking


class Breaker:
    """The breaker of one target. Owned by the event loop; times are on its caller's clock."""

    __slots__ = (
        "_calls",
        "_length_s",
        "_random",
        "closed",
        "closed_at",
        "marred",
        "probing",
        "reopens_at",
        "rules",
    )

    def __init__(self, rules: Breaking, random: Callable[[], float]) -> None:
        self.rules, self._random = rules, random
        self._calls: deque[tuple[float, bool]] = deque(maxlen=rules.of)
        self._length_s = 0.0
        self.closed, self.probing = True, False
        self.marred = False
        """Whether a success has anything to make good; the fast path asks before it tells."""
        self.reopens_at = 0.0
        self.closed_at = float("-inf")
        """When a probe closed it the last time."""

    def obey(self, rules: Breaking) -> None:
        """Go by other rules from now on."""
        if rules != self.rules:
            self.rules, self._calls = rules, deque(self._calls, maxlen=rules.of)

    def may_probe(self, now: float) -> bool:
        """Whether an open breaker's time is over and nobody is trying it."""
        return not self.closed and not self.probing and now >= self.reopens_at

    def claim(self) -> None:
        """Be the one call that tries it. Ends with `opened`, `failed` or `released`."""
        self.probing = True

    def released(self) -> None:
        """The probe came to no verdict (the caller left, a 4xx): the next call may try."""
        self.probing = False

    def opened(self, now: float) -> None:
        """The probe has content: close."""
        self._calls.clear()
        self.closed, self.probing, self.closed_at = True, False, now

    def succeeded(self, now: float) -> None:
        """A call ended properly."""
        if not self.closed:
            return
        self._length_s = 0.0
        self._calls.append((now, True))
        if not self.failures:
            self._calls.clear()
            self.marred = False

    def failed(self, now: float, *, probe: bool = False) -> None:
        """A call failed; `probe` when it was the one that tried an open breaker."""
        self.marred = True
        if probe:
            self._open(now)
        elif self.closed:
            self._calls.append((now, False))
            since = now - self.rules.within_s
            if sum(not good and at >= since for at, good in self._calls) >= self.rules.failures:
                self._open(now)

    @property
    def failures(self) -> int:
        """How many of the remembered calls failed."""
        return sum(not good for _, good in self._calls)

    def _open(self, now: float) -> None:
        rules = self.rules
        self._length_s = min(max(2 * self._length_s, rules.open_s), rules.open_max_s)
        spread = 1 + rules.jitter * (2 * self._random() - 1)
        self.reopens_at = now + self._length_s * spread
        self.closed = self.probing = False
        self._calls.clear()
