"""Set a provider aside whose failures stand out, all its targets together.

A breaker sees one target. An outage of a provider shows at all of them at once, or in half
of the calls to each, which opens no breaker; so what failed is also counted by provider
(`Host`, one per provider), and judged by route (`Ejections`, one per route): ejected is who
fails in at least half of its calls, and at least twice as often as the route's others
together. Where all fail alike the fault is nearer to us, and nobody is ejected.

    ejected for 30 s, the second time 60 s, ... at most 300 s; then back, with a growing share
    at most half of a route's providers, at least one, never all
    fewer than half of its targets healthy: panic, ejections do not count

Ejected targets go to the end of the order: they are asked when all others have failed.
Breakers hold beside it, also in a panic. Each number is `Ejecting`'s, per route.

Successes are remembered only while a provider has failed within the last minute, and routes
are looked at only while there is `Trouble`, which lasts a minute after a failure: without any
a call pays one comparison, with it 7 us on a route of three.

Reference: Envoy, "Outlier detection", "Panic threshold", "Slow start mode".
"""

from collections import deque
from collections.abc import Iterator, Sequence

from msgspec import Struct

from octoplex.routing.breaker import Breaker
from octoplex.routing.policy import REMEMBERED, Ejecting
from octoplex.routing.route import Candidate, Route

WITHIN_S = 60.0
STANDS_OUT = 2.0
"""How many times as often as the others a provider must fail."""
SLOWEST_START = 300.0
LEAST_SHARE = 0.1
"""A target that comes back gets at least this share of its calls, as in Envoy."""
NEVER = float("-inf")


class Trouble(Struct):
    """Until when anything but the plain order must be thought of, over all routes."""

    until_at: float = 0.0

    def lasts(self, until_at: float) -> None:
        """There is trouble at least until then."""
        self.until_at = max(self.until_at, until_at)


class Host:
    """How the calls to one provider ended, all its targets together."""

    __slots__ = ("_calls", "_failed_at", "marred", "trouble")

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        self._calls: deque[tuple[float, bool]] = deque(maxlen=REMEMBERED)
        self._failed_at = 0.0
        self.marred = False
        """Whether a success has anything to make good; the fast path asks before it tells."""

    def failed(self, now: float) -> None:
        """A call to one of its targets failed, whatever its retries."""
        self.marred, self._failed_at = True, now
        self._calls.append((now, False))
        self.trouble.lasts(now + WITHIN_S)

    def succeeded(self, now: float) -> None:
        """A call ended properly."""
        if now - self._failed_at > WITHIN_S:
            self._calls.clear()
            self.marred = False
        else:
            self._calls.append((now, True))

    def count(self, now: float, since_at: float) -> tuple[int, int]:
        """Calls, and those that failed, of the last minute and since a moment."""
        since_at = max(since_at, now - WITHIN_S)
        ends = [good for at, good in self._calls if at >= since_at]
        return len(ends), ends.count(False)


class Ejection(Struct):
    """One provider set aside on one route."""

    until_at: float
    times: int
    length_s: float


class Ejections:
    """Who is set aside on one route."""

    __slots__ = ("_of", "ejected", "panics")

    def __init__(self) -> None:
        self._of: dict[str, Ejection] = {}
        self.ejected = self.panics = 0
        """How often a provider was ejected, and how many calls met a panic."""

    def now(self, now: float) -> Iterator[tuple[str, float]]:
        """Who is ejected, and for how many seconds more."""
        return ((p, e.until_at - now) for p, e in self._of.items() if e.until_at > now)

    def back_at(self, provider: str) -> float:
        """When a provider came back the last time."""
        ejection = self._of.get(provider)
        return NEVER if ejection is None else ejection.until_at

    def judge(self, rules: Ejecting, hosts: dict[str, Host], now: float) -> None:
        """Eject who stands out among a route's providers, as far as the route allows."""
        away = {p for p, _ in self.now(now)}
        most = min(max(1, int(rules.max_ejected * len(hosts))), len(hosts) - 1)
        counts = {p: h.count(now, self.back_at(p)) for p, h in hosts.items() if p not in away}
        calls, failed = (sum(each[i] for each in counts.values()) for i in (0, 1))
        for provider, (its_calls, its_failed) in counts.items():
            if len(away) >= most or not rules.max_ejected:
                return
            share = its_failed / its_calls if its_calls >= rules.min_calls else 0.0
            if share < rules.failure_share:
                continue
            others = (failed - its_failed) / max(calls - its_calls, 1)
            if share >= STANDS_OUT * others:
                self._eject(provider, rules, hosts[provider].trouble, now)
                away.add(provider)

    def _eject(self, provider: str, rules: Ejecting, trouble: Trouble, now: float) -> None:
        last = self._of.get(provider)
        # Well for as long as it was away: that it once failed is forgotten.
        known = last is not None and now - last.until_at <= max(last.length_s, WITHIN_S)
        times = last.times + 1 if last is not None and known else 1
        length_s = min(rules.eject_s * times, rules.eject_max_s)
        self._of[provider] = Ejection(now + length_s, times, length_s)
        self.ejected += 1
        trouble.lasts(now + length_s + rules.slow_start_s)

    def part(
        self, route: Route, breakers: Sequence[Breaker], now: float
    ) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
        """The candidates to use and those set aside; all are used in a panic."""
        away = {p for p, _ in self.now(now)}
        used = tuple(c for c in route.candidates if c.target.provider not in away)
        if len(used) == len(route.candidates):
            return used, ()
        healthy = sum(
            b.closed and bool(c.lanes) and c.target.provider not in away
            for c, b in zip(route.candidates, breakers, strict=True)
        )
        if healthy < route.ejecting.panic * sum(bool(c.lanes) for c in route.candidates):
            self.panics += 1
            return route.candidates, ()
        return used, tuple(c for c in route.candidates if c.target.provider in away)
