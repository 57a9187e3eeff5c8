"""A loop in a made-up world: weeks of traffic in seconds.

    report = simulate(World(changes=(Change(20_000, "quality", 0.5),)), 40_000, seed=1)
    report.saving, report.loss, report.alarms

What is lost is computed of the true probabilities (`traffic.py`), not sampled. What the loop is
told are single answers, late and sometimes never. What callers say goes where it goes live: to the
rules of the route, not to the loop, and one of them may lie.

The promise is looked at every `BESIDE` requests: what was served under certificates, on average
since the oldest that has not been withdrawn, must not be below it. What comes between an abrupt
loss of quality and its alarm, or `DELAY` pairs, is left out there and stands in `Found`: that is
another promise.

Left out: requests that depend on each other, and judges that err in one direction.
"""

from collections import defaultdict
from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

import numpy as np

from octoplex.optimizer.config import RuleTable, Then
from octoplex.optimizer.features import Features, Values, features_of
from octoplex.optimizer.loop import Event, Loop, Plan
from octoplex.optimizer.policy import Decision
from octoplex.optimizer.rules import Outcome, Rules, rule_of
from octoplex.optimizer.traffic import Asked, Traffic, World

BESIDE = 500
"""Requests between two looks at the promise."""
DELAY = 200
"""Judged pairs within which an abrupt loss of quality must be found."""


class Found(NamedTuple):
    """An alarm, and what it answers to."""

    at: int
    """The request's number."""
    pairs: int | None
    """Judged pairs of requests since the loss of quality that it found; None: there was none."""


class Moment(NamedTuple):
    """How things stand at a request. `lately` is since the moment before."""

    at: int
    rung: int
    saving_lately: float
    """Net of pairs and judging."""
    loss_lately: float
    """True, of all that was served."""
    loss: float
    """True, of what was served under certificates that have not been withdrawn."""
    broken: bool
    """Whether that is more than was promised."""
    served_lately: tuple[float, ...]
    """Shares of the variants."""


class Report(NamedTuple):
    """What came of it. `saving` and `loss` are shares of the reference's, over all requests."""

    saving: float
    loss: float
    judged: int
    alarms: tuple[Found, ...]
    history: tuple[tuple[int, Event], ...]
    """What the loop did, with the request's number."""
    moments: tuple[Moment, ...]
    losses: dict[str, float]
    """By tenant, true, of what was served under certificates that have not been withdrawn."""
    ruled: int
    """Requests that the reference answered because of the rule."""

    @property
    def violations(self) -> int:
        """Moments at which the promise was broken."""
        return sum(moment.broken for moment in self.moments)


class _Books:
    """Sums: quality of what was served and of the reference, dollars spent and of the reference."""

    def __init__(self, variants: int, promised: float) -> None:
        self.all, self._lately, self._certified = np.zeros(4), np.zeros(4), np.zeros(2)
        self._served, self._promised = np.zeros(variants), promised
        self._count = 0
        self._tenants: defaultdict[str, Values] = defaultdict(lambda: np.zeros(2))
        self.moments: list[Moment] = []

    def add(self, asked: Asked, decision: Decision, judging: float, counts: bool) -> None:
        rights, costs, variant = asked.rights, asked.costs, decision.variant
        spent = costs[variant]
        if decision.is_judged:
            spent += sum(costs[one] for one in {0, decision.rival} - {variant}) + judging
        row = np.array((rights[variant], rights[0], spent, costs[0]))
        self.all += row
        self._lately += row
        self._served[variant] += 1
        if counts:
            self._certified += row[:2]
            self._count += 1
            self._tenants[asked.tenant] += row[:2]

    @property
    def losses(self) -> dict[str, float]:
        """By tenant."""
        return {name: missing(sums) for name, sums in sorted(self._tenants.items())}

    def withdrawn(self) -> None:
        """Certificates are void: the next ones begin anew."""
        self._certified, self._count = np.zeros(2), 0
        self._tenants.clear()

    def look(self, at: int, rung: int) -> None:
        saving, lately = missing(self._lately[2:]), missing(self._lately[:2])
        loss = missing(self._certified)
        broken = loss > self._promised and self._count >= BESIDE
        served = tuple((self._served / self._served.sum()).tolist())
        self.moments.append(Moment(at, rung, saving, lately, loss, broken, served))
        self._lately, self._served = np.zeros(4), np.zeros(len(self._served))


def missing(sums: Values) -> float:
    """The share of the second that the first is short of."""
    return 1 - float(sums[0] / sums[1]) if sums[1] else 0.0


def simulate(world: World, requests: int, seed: int, plan: Plan | None = None) -> Report:
    """Send so many requests through a loop. Without `plan` it has the usual promise."""
    names = tuple(one.name for one in world.variants)
    plan = plan or Plan(names)
    traffic, loop = Traffic(world, Random(seed)), Loop(plan, Random(seed + 1))
    pairs, callers = _Pairs(world, Random(seed + 2)), _Callers(world, Random(seed + 3))
    books = _Books(len(names), plan.loss)
    lapse = _Lapse(world)
    history: list[tuple[int, Event]] = []
    alarms: list[Found] = []
    for now in range(requests):
        lapse.begin(now)
        asked = traffic.ask(now)
        segment = asked.tenant if plan.segments else ""
        features = features_of(asked.text, segment=segment, key=asked.tenant)
        decision = callers.hear(now, asked, loop.decide(features, asked.costs))
        certified = loop.policy.rung > 0 and not lapse.lasts
        books.add(asked, decision, world.judging, certified)
        if decision.is_judged:
            pairs.add(now, asked, features, decision)
        for number, pair in pairs.due(now):
            lapse.hear(number)
            loop.judged(*pair)
        for event in loop.events[len(history) :]:
            history.append((now, event))
            if event.kind in ("alarm", "void"):
                books.withdrawn()
            if event.kind == "alarm":
                alarms.append(Found(now, lapse.end()))
        if (now + 1) % BESIDE == 0:
            books.look(now + 1, loop.policy.rung)
    saving, loss = missing(books.all[2:]), missing(books.all[:2])
    return Report(
        saving,
        loss,
        loop.pairs,
        tuple(alarms),
        tuple(history),
        tuple(books.moments),
        books.losses,
        callers.ruled,
    )


class _Callers:
    """What callers say of answers, and the rule that hears it."""

    def __init__(self, world: World, random: Random) -> None:
        self._world, self._random = world, random
        table = RuleTable(when=world.rule, then=Then(alert=True)) if world.rule else None
        self._rules = Rules([rule_of(table, "the rule")] if table else [])
        self.ruled = 0

    def hear(self, now: int, asked: Asked, decision: Decision) -> Decision:
        """What becomes of a decision, and what is said of the answer."""
        if self._rules.active:
            self.ruled += 1
            decision = decision._replace(variant=0, propensity=1.0)
        self._rules.see(now, Outcome(float(asked.seconds[decision.variant]), 0), asked.tenant)
        spiteful = asked.tenant == self._world.spiteful
        if self._random.random() < self._world.voiced * (10 if spiteful else 1):
            score = float(asked.answers[decision.variant])
            self._rules.score(now, 1 - score if spiteful else score, asked.tenant)
        self._rules.check(now)
        return decision


class _Lapse:
    """The time from an abrupt loss of quality to its alarm."""

    def __init__(self, world: World) -> None:
        sudden = (one for one in world.changes if one.what == "quality" and one.of and not one.over)
        self._breaks = {one.at for one in sudden if one.times < 1}
        self._began: int | None = None
        self._pairs = 0

    def begin(self, now: int) -> None:
        if now in self._breaks:
            self._began, self._pairs = now, 0

    def hear(self, number: int) -> None:
        """A pair of that request was judged."""
        self._pairs += self._began is not None and number >= self._began

    @property
    def lasts(self) -> bool:
        return self._began is not None and self._pairs <= DELAY

    def end(self) -> int | None:
        pairs = None if self._began is None else self._pairs
        self._began = None
        return pairs


class _Pairs:
    """Pairs on their way to be judged."""

    def __init__(self, world: World, random: Random) -> None:
        self._world, self._random = world, random
        self._waiting: list[tuple[float, int, Features, Decision, tuple[float, float]]] = []

    def add(self, now: int, asked: Asked, features: Features, decision: Decision) -> None:
        world, random = self._world, self._random
        if random.random() < world.lost:
            return
        due = now + (random.expovariate(1 / world.delay) if world.delay else 0)
        first, other = float(asked.answers[0]), float(asked.answers[decision.rival])
        heappush(self._waiting, (due, now, features, decision, (first, other)))

    def due(self, now: int) -> Iterator[tuple[int, tuple[Features, Decision, tuple[float, float]]]]:
        while self._waiting and self._waiting[0][0] <= now:
            _, number, features, decision, scores = heappop(self._waiting)
            yield number, (features, decision, scores)
