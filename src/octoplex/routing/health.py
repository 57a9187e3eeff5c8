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

from collections.abc import Callable, Iterable
from random import random as uniform
from time import monotonic

from msgspec import Struct

from octoplex.routing.breaker import Breaker
from octoplex.routing.budget import RetryBudget, Share
from octoplex.routing.latency import Average, Spread
from octoplex.routing.policy import Breaking
from octoplex.routing.rest import Rest, Rests
from octoplex.routing.route import Candidate, Lane, Route, Target
from octoplex.wire.answer import Answer, Outcome
from octoplex.wire.ask import Ask, Attempt
from octoplex.wire.error import GatewayError
from octoplex.wire.event import Usage

CAPACITY = 4_096
"""Callers may name any model of a provider, so states of idle targets are dropped."""


class TargetHealth:
    """The state of one target. `now` is the clock of everything that happens to it."""

    __slots__ = ("breaker", "first_content", "name", "now", "open_calls", "plain", "spread")

    def __init__(self, name: str, breaker: Breaker, now: Callable[[], float]) -> None:
        self.name, self.breaker, self.now = name, breaker, now
        self.open_calls = 0
        self.first_content, self.plain, self.spread = Average(), Average(), Spread()

    def average(self, stream: bool) -> Average:
        """The time to the first content of a stream, or to the whole of a plain reply."""
        return self.first_content if stream else self.plain


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
            state.breaker.opened()
        if answer.body is None:
            row.outcome = "open"
            state.first_content.add(taken_s, now)
            state.spread.add(taken_s)
            answer.on_end(self.ended)
            return
        row.outcome = "done"
        state.plain.add(taken_s, now)
        state.open_calls -= 1
        if state.breaker.marred:
            state.breaker.succeeded(now)

    def ended(self, outcome: Outcome, usage: Usage) -> None:
        """Its stream is over."""
        now, breaker = self._out(outcome), self.state.breaker
        if outcome == "cut":
            breaker.failed(now, probe=self.probe)
        elif outcome == "done" and breaker.marred:
            breaker.succeeded(now)

    def failed(self, error: BaseException) -> None:
        """It raised instead of opening. The breaker is told by the plan."""
        self._out("left")
        if isinstance(error, GatewayError):
            self.row.outcome, self.row.status = error.code, provider_status(error)
        elif self.probe:
            self.state.breaker.released()

    def outrun(self, outcome: str) -> None:
        """It passed its first-content limit and was cancelled: learn at least so much."""
        state, now = self.state, self.state.now()
        self.row.outcome = outcome
        state.first_content.add(now - self.started_at, now)
        state.spread.add(now - self.started_at)

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


class Health:
    """The states of all targets, the resting keys and the budgets of routing."""

    __slots__ = ("_random", "_shares", "now", "rests", "retries", "targets")

    def __init__(
        self, *, now: Callable[[], float] = monotonic, random: Callable[[], float] = uniform
    ) -> None:
        self.now, self._random = now, random
        self.targets: dict[str, TargetHealth] = {}
        self._shares: dict[str, Share] = {}
        self.rests, self.retries = Rests(), RetryBudget()

    def of(self, target: Target) -> TargetHealth:
        """The state of a target, new when it has none."""
        state = self.targets.get(target.name)
        return self._new(target) if state is None else state

    def share(self, route: Route) -> Share:
        """The hedge share of a route, new when it has none."""
        share = self._shares.get(route.name)
        if share is None:
            if len(self._shares) >= CAPACITY:
                self._shares.pop(next(iter(self._shares)))
            share = self._shares[route.name] = Share()
        return share

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
        """Take over the breakers' rules from a reloaded configuration."""
        for target in targets:
            state = self.targets.get(target.name)
            if state is not None:
                state.breaker.rules = rules(target)

    def report(self) -> list[Condition]:
        """The condition of every target that has been asked."""
        now = self.now()
        return [_condition(state, now) for state in self.targets.values()]

    def _new(self, target: Target) -> TargetHealth:
        if len(self.targets) >= CAPACITY:
            idle = (n for n, s in self.targets.items() if s.breaker.closed and not s.open_calls)
            self.targets.pop(next(idle, next(iter(self.targets))))
        state = TargetHealth(target.name, Breaker(rules(target), self._random), self.now)
        self.targets[target.name] = state
        return state


def rules(target: Target) -> Breaking:
    """The breaker's rules of a target."""
    return Breaking() if target.policy is None else target.policy.breaker


def provider_status(error: GatewayError) -> int:
    """The status the provider sent: dialects note it where the error's own is another."""
    status = error.facts.get("provider_status", error.status)
    return status if isinstance(status, int) else error.status


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
