"""What is known about every target while the process lives, shared by all routes.

`Health` finds a target's state by its name. `OpenCall` is one attempt in flight: it
counts itself in and out, times the first content, keeps the attempt's row of the trail,
and at the answer's end tells the breaker. Success is a proper end; a stream that broke
off is a failure; a caller who left, a deadline and a shutdown say nothing.

Failures before the first content are counted by whoever decides that the call is done
with this target (`plan.py`), because the retries of one call count once.

An `OpenCall` knows neither the answer nor the ask, so no call is part of a reference
cycle: the collector has nothing to do on the path (performance.md section 9, trap 2).
Nothing here is kept over a restart.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import random as uniform
from time import monotonic
from typing import TypeVar

from msgspec import Struct

from octoplex.routing.affinity import Stays
from octoplex.routing.bend import Bend
from octoplex.routing.breaker import Breaker
from octoplex.routing.budget import RetryBudget, Share
from octoplex.routing.ejection import LEAST_SHARE, SLOWEST_START, Ejections, Host, Trouble
from octoplex.routing.latency import Average, Spread
from octoplex.routing.policy import Breaking
from octoplex.routing.rest import Rest, Rests
from octoplex.routing.route import Candidate, Lane, Route, Target
from octoplex.wire.answer import Answer, Head, Outcome
from octoplex.wire.ask import Ask, Attempt
from octoplex.wire.error import GatewayError, provider_status
from octoplex.wire.event import Usage

CAPACITY = 4_096
"""Callers may name any model of a provider, so states of idle targets are dropped."""


class TargetHealth:
    """The state of one target. `now` is the clock of everything that happens to it."""

    __slots__ = (
        "breaker", "first_content", "host", "name", "now", "open_calls", "plain", "spread", "whole",
    )  # fmt: skip

    def __init__(self, name: str, breaker: Breaker, host: Host, now: Callable[[], float]) -> None:
        self.name, self.breaker, self.host, self.now = name, breaker, host, now
        self.open_calls = 0
        self.first_content, self.plain = Average(), Average()
        self.spread, self.whole = Spread(), Spread()
        """Of first contents; of whole replies, learned only by routes that hedge them."""

    def average(self, stream: bool) -> Average:
        """The time to the first content of a stream, or to the whole of a plain reply."""
        return self.first_content if stream else self.plain

    @property
    def answered_at(self) -> float:
        """When it had content the last time."""
        return max(self.first_content.at, self.plain.at)

    def failed(self, *, probe: bool = False) -> None:
        """A call failed here: it counts for the target and for its provider."""
        now = self.now()
        self.breaker.failed(now, probe=probe)
        self.host.failed(now)

    def succeeded(self, now: float) -> None:
        """A call ended properly."""
        if self.breaker.marred:
            self.breaker.succeeded(now)
        if self.host.marred:
            self.host.succeeded(now)


class OpenCall(Struct):
    """One attempt on one target, from before it is asked until its answer has ended."""

    state: TargetHealth
    row: Attempt
    started_at: float
    probe: bool = False

    def enter(self, ask: Ask) -> None:
        """Count it in. Metering finds its row at the end of the trail when it is asked."""
        self.state.open_calls += 1
        ask.trail.attempts.append(self.row)

    def opened(self, answer: Answer) -> None:
        """It has content. A whole answer has ended with that."""
        state, row = self.state, self.row
        now = state.now()
        row.first_s = row.duration_s = taken_s = now - self.started_at
        row.status = answer.head.status
        if self.probe:
            state.breaker.opened(now)
            state.host.trouble.lasts(now + SLOWEST_START)
        if answer.body is None:
            row.outcome = "open"
            state.first_content.add(taken_s, now)
            state.spread.add(taken_s)
            answer.on_end(partial(self.ended, answer.head))
            return
        row.outcome = "done"
        state.plain.add(taken_s, now)
        state.open_calls -= 1
        if state.breaker.marred or state.host.marred:
            state.succeeded(now)

    def ended(self, head: Head, outcome: Outcome, usage: Usage) -> None:
        """Its stream is over."""
        now, state = self._out(outcome), self.state
        if outcome == "cut" and not head.faultless:
            state.failed(probe=self.probe)
        elif outcome == "done" and (state.breaker.marred or state.host.marred):
            state.succeeded(now)

    def failed(self, error: BaseException) -> None:
        """It raised instead of opening. The breaker is told by the plan."""
        self._out("left")
        if isinstance(error, GatewayError):
            self.row.outcome, self.row.status = error.code, provider_status(error)
        elif self.probe:
            self.state.breaker.released()

    def outrun(self, outcome: str, *, stream: bool) -> None:
        """It was slow and was cancelled: learn at least so much."""
        state, now = self.state, self.state.now()
        self.row.outcome = outcome
        state.average(stream).add(now - self.started_at, now)
        (state.spread if stream else state.whole).add(now - self.started_at)

    def _out(self, outcome: str) -> float:
        now = self.state.now()
        self.state.open_calls -= 1
        self.row.outcome, self.row.duration_s = outcome, now - self.started_at
        return now


class Condition(Struct, frozen=True, kw_only=True):
    """A target's state as `octoplex providers`, the console and the metrics show it."""

    target: str
    breaker: str
    """closed, open or probing."""
    reopens_in_s: float
    failures: int
    open_calls: int
    first_content_s: float
    p99_s: float | None


class Resting(Struct, frozen=True, kw_only=True):
    """A key that is left alone for a while: at a provider, or at one target (a 429, a 403)."""

    scope: str
    key: str
    why: str
    ends_in_s: float


class Health:
    """The states of all targets, the resting keys and the budgets of routing."""

    __slots__ = (
        "_ejections", "_random", "_shares", "bends", "gone", "hedges", "hedges_won", "hosts", "now",
        "rests", "retries", "stays", "targets", "trouble",
    )  # fmt: skip

    def __init__(
        self, *, now: Callable[[], float] = monotonic, random: Callable[[], float] = uniform
    ) -> None:
        self.now, self._random = now, random
        self.targets: dict[str, TargetHealth] = {}
        self._shares: dict[str, Share] = {}
        self._ejections: dict[str, Ejections] = {}
        self.hosts: dict[str, Host] = {}
        """By provider; there are no more than the file names."""
        self.trouble = Trouble()
        self.rests, self.retries, self.stays = Rests(), RetryBudget(), Stays()
        self.gone = Rests()
        """The targets that their providers do not know, with an operation in a key's place."""
        self.bends: dict[str, Bend] = {}
        """What rules have routes do now, by their names."""
        self.hedges = self.hedges_won = 0
        """How often another target was asked beside a slow one, and how often that won."""

    def of(self, target: Target) -> TargetHealth:
        """The state of a target, new when it has none."""
        state = self.targets.get(target.name)
        return self._new(target) if state is None else state

    def share(self, route: Route) -> Share:
        """The hedge share of a route, new when it has none."""
        return _of(self._shares, route.name, Share)

    def ejections(self, route: Route) -> Ejections:
        """Who is set aside on a route, new when it has none."""
        return _of(self._ejections, route.name, Ejections)

    def part(self, route: Route, now: float) -> tuple[Sequence[Candidate], Sequence[Candidate]]:
        """The candidates of a route to use, and those of ejected providers."""
        if now >= self.trouble.until_at:
            return route.candidates, ()
        ejections = self.ejections(route)
        states = [self.of(c.target) for c in route.candidates]
        hosts = {c.target.provider: s.host for c, s in zip(route.candidates, states, strict=True)}
        ejections.judge(route.ejecting, hosts, now)
        return ejections.part(route, [s.breaker for s in states], now)

    def present(self, ask: Ask, order: Sequence[Candidate], now: float) -> Sequence[Candidate]:
        """The order with targets last that their providers did not know of late."""
        gone = {c.target.name for c in order if self.gone.of((c.target.name,), ask.op, now)}
        if order[0].target.name in gone and len(gone) < len(order):
            ask.trail.why = f"{order[0].target.name} is gone"
        return sorted(order, key=lambda c: c.target.name in gone) if gone else order

    def warmth(self, route: Route, target: Target, now: float) -> float:
        """The part of its usual share that a target gets: 1.0, or less when it just came back."""
        if now >= self.trouble.until_at:
            return 1.0
        back_at = self.ejections(route).back_at(target.provider)
        since_s = now - max(back_at, self.of(target).breaker.closed_at)
        slow_s = route.ejecting.slow_start_s
        return 1.0 if not 0 <= since_s < slow_s else max(since_s / slow_s, LEAST_SHARE)

    def ejected(self) -> list[tuple[str, str, float]]:
        """Who is ejected now: route, provider, and for how many seconds more."""
        now = self.now()
        return [(r, p, left_s) for r, e in self._ejections.items() for p, left_s in e.now(now)]

    def ejected_so_far(self) -> tuple[int, int]:
        """How often a provider was ejected, and how many calls met a panic."""
        every = self._ejections.values()
        return sum(e.ejected for e in every), sum(e.panics for e in every)

    def lane(self, candidate: Candidate, now: float) -> Lane | None:
        """The lane to ask: the first free one, else the one whose short rest ends first."""
        if not self.rests.table:
            return candidate.lanes[0] if candidate.lanes else None
        soft: tuple[float, Lane] | None = None
        for lane in candidate.lanes:
            rest = self.rest(candidate.target, lane, now)
            if rest is None:
                return lane
            if rest.soft and (soft is None or rest.until_at < soft[0]):
                soft = rest.until_at, lane
        return None if soft is None else soft[1]

    def free_lane(self, candidate: Candidate, now: float) -> Lane | None:
        """The first lane that does not rest at all."""
        lanes = (n for n in candidate.lanes if self.rest(candidate.target, n, now) is None)
        return next(lanes, None)

    def rest(self, target: Target, lane: Lane, now: float) -> Rest | None:
        """The rest that keeps this lane from being asked."""
        return self.rests.of((target.provider, target.name), lane.key, now)

    def follow(self, targets: Iterable[Target]) -> None:
        """Take over the breakers' rules from a configuration, and ask again what rests."""
        self.rests.wake()
        self.gone.wake()
        for target in targets:
            state = self.targets.get(target.name)
            if state is not None:
                state.breaker.obey(rules(target))

    def report(self) -> list[Condition]:
        """The condition of every target that has been asked."""
        now = self.now()
        return [_condition(state, now) for state in self.targets.values()]

    def resting(self) -> list[Resting]:
        """The keys that providers have limited or refused, and for how long."""
        now = self.now()
        return [
            Resting(scope=scope, key=key, why=rest.why, ends_in_s=round(rest.until_at - now, 3))
            for (scope, key), rest in self.rests.table.items()
            if rest.until_at > now
        ]

    def _new(self, target: Target) -> TargetHealth:
        if len(self.targets) >= CAPACITY:
            idle = (n for n, s in self.targets.items() if s.breaker.closed and not s.open_calls)
            self.targets.pop(next(idle, next(iter(self.targets))))
        host = self.hosts.get(target.provider)
        if host is None:
            host = self.hosts[target.provider] = Host(self.trouble)
        state = TargetHealth(target.name, Breaker(rules(target), self._random), host, self.now)
        self.targets[target.name] = state
        return state


T = TypeVar("T")


def _of(table: dict[str, T], name: str, new: Callable[[], T]) -> T:
    """The entry of a name in a bounded table, new when it has none."""
    found = table.get(name)
    if found is None:
        if len(table) >= CAPACITY:
            table.pop(next(iter(table)))
        found = table[name] = new()
    return found


def rules(target: Target) -> Breaking:
    """The breaker's rules of a target."""
    return Breaking() if target.policy is None else target.policy.breaker


def _condition(state: TargetHealth, now: float) -> Condition:
    breaker = state.breaker
    shown = "closed" if breaker.closed else "probing" if breaker.probing else "open"
    return Condition(
        target=state.name,
        breaker=shown,
        reopens_in_s=0.0 if breaker.closed else max(0.0, breaker.reopens_at - now),
        failures=breaker.failures,
        open_calls=state.open_calls,
        first_content_s=state.first_content.value(now),
        p99_s=state.spread.p99_s(),
    )
