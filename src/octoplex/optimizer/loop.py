"""The loop: decide, have some answers judged, learn, certify, serve. No I/O and no clock.

    loop = Loop(Plan(("gpt-5", "gpt-5-mini")), Random(1))
    decision = loop.decide(features, costs)          costs in dollars, the reference's first
    loop.judged(features, decision, (1.0, 0.0))      quality of the reference, of the rival

The same for traffic and for a replay. Everything that it does follows from its calls in their order
and from the seed, so a log of them shows again how each certificate came about.
"""

from collections import deque
from random import Random

import msgspec
import numpy as np

from octoplex.optimizer.features import Encoder, Features, Seen, Values, encoder_of
from octoplex.optimizer.ladder import Ladder, Told
from octoplex.optimizer.policy import (
    OTHERS,
    RUNGS,
    Decision,
    Draws,
    Judging,
    Limits,
    Mix,
    Policy,
    Snapshot,
)
from octoplex.optimizer.ppi import bound_of
from octoplex.optimizer.scorer import NOTHING, Lessons, Scorer
from octoplex.optimizer.segments import Kind, Terms

BEYOND = 0.4
"""How often those are judged whom no candidate is near to serve, of the usual."""
RECENT = 2_000
"""Requests from which the cuts of the rungs are made."""
EARLY, STEP, GROWTH = 40, 25, 0.125
"""Judged pairs at the first fit; then so many more, or that share of those there are."""
KNOWN = 2 * STEP
"""Lessons of each candidate before which all are judged alike; the first test ends that, whose
evidence needs them to be judged as they are proposed."""
NONE = Seen(np.zeros(0, np.int64), np.zeros(0), 0)


class Plan(msgspec.Struct, frozen=True):
    """What is promised, to whom, and what may be spent on learning."""

    variants: tuple[str, ...]
    """Names, the reference first."""
    loss: float = 0.05
    confidence: float = 0.95
    feedback: float = 0.01
    """Share of the requests that are judged."""
    segments: Kind = ""
    """What is promised of each; "" where there are none."""
    labels: float = 0.0
    """Share of the pairs of which people say what they are worth; then these are evidence as
    `labels.py` has it, and come later than they are learned from (`Loop.prove`)."""


class Event(msgspec.Struct, frozen=True):
    """A change of what serves: `fit`, `certified`, `lowered`, `held`, `alarm`, `void`, `rollback`
    or `resume`."""

    kind: str
    pairs: int
    share: float
    """Of the traffic, that candidates may serve from now on."""
    version: int
    note: str = ""
    told: Told | None = None
    """What is known of what serves."""


class Loop:
    """One route that learns."""

    def __init__(self, plan: Plan, random: Random, version: int = 0) -> None:
        """`version` is that of its first policy: pairs of earlier ones say nothing here."""
        self.plan, self._random = plan, random
        self._candidates = len(plan.variants) - 1
        several = self._candidates > 1
        bound = 1 / (1 - OTHERS) if several else 1.0
        most = (self._candidates - 1) / OTHERS if several else 1.0
        most = max(most, plan.loss / BEYOND)
        bound *= bound_of(plan.labels)
        terms = Terms(plan.segments, 1 - plan.confidence, plan.loss, bound)
        self._ladder = Ladder(terms, most)
        self._recent: deque[tuple[Features, Values]] = deque(maxlen=RECENT)
        self._rows: deque[tuple[Seen, Values]] = deque(maxlen=RECENT)
        self.changed, self._origin = version, 0
        """The policy's version, and the pairs, at the last change."""
        self.encoder: Encoder | None = None
        """How requests become vectors, from the first fit on."""
        self._waiting: list[tuple[Features, int, float]] = []
        """Lessons before there was an encoder."""
        self._lessons: list[Lessons] = []
        self._newest: Snapshot | None = None
        self.pairs, self._proofs, self._next_fit = 0, 0, EARLY
        judging = Judging(plan.feedback, plan.feedback, np.inf, 0)
        self.policy = Policy(None, judging, version=version)
        self.events: list[Event] = []

    @property
    def share(self) -> float:
        """Of the traffic, that candidates may serve."""
        return self._ladder.rung / RUNGS

    @property
    def told(self) -> Told | None:
        """What is known of what serves."""
        return self._ladder.told()

    def draws(self) -> Draws:
        """Four uniform numbers."""
        draw = self._random.random
        return Draws(draw(), draw(), draw(), draw())

    def decide(self, features: Features, costs: Values) -> Decision:
        """Who answers this request, and whether a pair is made of it."""
        return self.policy.decide(self.notice(features, costs), costs, self.draws())

    def notice(self, features: Features, costs: Values) -> Seen:
        """Count a request among those from which the rungs are cut; its vector."""
        seen = self.seen(features)
        if self.encoder is None:
            self._recent.append((features, costs))
        else:
            self._rows.append((seen, costs))
        return seen

    def seen(self, features: Features) -> Seen:
        """The vector of a request; empty until there is an encoder."""
        return NONE if self.encoder is None else self.encoder.row(features)

    def judged(self, features: Features, decision: Decision, pair: tuple[float, float]) -> None:
        """What the reference's and the rival's answers were worth, 0..1 each."""
        self.pairs += 1
        if decision.version < self.changed:
            return  # of another time
        mix, limits = self._ladder.mix, self._ladder.limits
        if self.plan.labels:
            since = self._ladder.warned(decision, self.plan.feedback, *pair)
        else:
            since = self._ladder.see(decision, self.plan.feedback, *pair, features.segment)
        self._learn(features, decision.rival, pair[1] - pair[0])
        if since:
            self._begin_anew(since)
            self._compile("alarm", f"something changed {since} pairs ago")
        elif self.pairs >= self._next_fit:
            self._fit()
        else:
            self._change(mix, limits, self.pairs)

    def prove(self, features: Features, decision: Decision, worth: tuple[float, float]) -> None:
        """What a pair that was learned from before counts as evidence, where people are asked."""
        if decision.version < self.changed:
            return
        mix, limits = self._ladder.mix, self._ladder.limits
        self._ladder.weigh(decision, self.plan.feedback, *worth, features.segment)
        self._proofs += 1
        self._change(mix, limits, self._proofs)

    def teach(self, features: Features, rival: int, difference: float) -> None:
        """A lesson that is evidence for nothing, such as from before the route began."""
        if 0 < rival <= self._candidates and -1 <= difference <= 1:
            self._learn(features, rival, difference)

    def void(self, why: str) -> None:
        """Withdraw every certificate: something that it rested on is no longer the same."""
        self._begin_anew(0)
        self._compile("void", why)

    def renew(self) -> None:
        """Give what serves another version."""
        self._compile("")

    def go_back(self, why: str) -> None:
        """Serve what was certified before, and nothing thriftier until `go_on`."""
        self._ladder.go_back()
        self._compile("rollback", why)

    def go_on(self, why: str) -> None:
        """Serve again whatever is certified."""
        self._ladder.go_on()
        self._compile("resume", why)

    def _change(self, mix: Mix, limits: Limits, count: int) -> None:
        """Publish what serves now, where it is not these; shares that move at each `STEP`th."""
        ladder = self._ladder
        held = sorted(ladder.limits.segments.keys() - limits.segments.keys())
        if ladder.rung != mix.rung:
            self._compile("certified" if ladder.rung > mix.rung else "lowered")
        elif held and not ladder.limits.is_closed:
            self._compile("held", ", ".join(name.replace("\n", " ") for name in held))
        elif count % STEP == 0 and (ladder.mix is not mix or ladder.limits is not limits):
            self._compile("")

    def _learn(self, features: Features, rival: int, difference: float) -> None:
        if self.encoder is None:
            self._waiting.append((features, rival, difference))
        else:
            self._lessons[rival - 1].add(self.encoder.row(features), difference)

    def _begin_anew(self, since: int) -> None:
        """Test all again, and learn only from what was judged since then."""
        for lessons in self._lessons:
            lessons.keep(since)
        self._origin, self.changed = self.pairs - since, self.policy.version + 1
        self._ladder.reset(self._origin)
        self._next_fit = self.pairs + STEP

    def _fit(self) -> None:
        self._next_fit = self.pairs + max(STEP, int((self.pairs - self._origin) * GROWTH))
        if self.encoder is None:
            self.encoder = encoder_of([features for features, _ in self._recent])
            self._rows.extend((self.seen(features), costs) for features, costs in self._recent)
            self._recent.clear()
            self._lessons = [Lessons() for _ in range(self._candidates)]
            for one in self._waiting:
                self._learn(*one)
            self._waiting = []
        scorers = tuple(one.fit() if len(one) >= STEP else NOTHING for one in self._lessons)
        self._newest = self._snapshot(scorers)
        self._ladder.snapshot(self._newest, self.pairs)
        self._compile("fit")

    def _snapshot(self, scorers: tuple[Scorer, ...]) -> Snapshot:
        """Scorers with the cuts that move, of the recent requests, each rung's share."""
        savings = np.mean([costs[0] - costs[1:] for _, costs in self._rows], axis=0)
        snapshot = Snapshot(scorers, np.zeros(RUNGS), savings, 0.0, self.pairs)
        for _ in range(1 if self._candidates == 1 else 3):  # cuts depend on the rate, it on them
            strains = Policy(snapshot, self.policy.judging).strains(self._rows)[0]
            cuts = np.sort(strains)[np.arange(1, RUNGS + 1) * len(strains) // RUNGS - 1]
            rate = 1 / max(float(cuts[self._ladder.within - 1]), 1e-9)
            snapshot = snapshot._replace(cuts=cuts, rate=rate)
        return snapshot

    def _compile(self, kind: str, note: str = "") -> None:
        ladder = self._ladder
        version = self.policy.version + 1
        shares, rung = ladder.mix.shares, ladder.rung
        self.policy = Policy(self._newest, self._judging(), shares, rung, version, ladder.limits)
        if kind:
            event = Event(kind, self.pairs, self.share, version, note, ladder.told())
            self.events.append(event)

    def _judging(self) -> Judging:
        """Judge more where candidates may soon serve; the share of all stays as planned."""
        usual, rungs = self.plan.feedback, self._ladder.within
        if self._newest is None:
            return Judging(usual, usual, np.inf, 0)
        within = rungs / RUNGS
        beyond = usual * BEYOND
        more = (usual - beyond * (1 - within)) / within
        cut, known = float(self._newest.cuts[rungs - 1]), min(map(len, self._lessons))
        even = known < KNOWN and not self._ladder.is_testing
        return Judging(min(1.0, more), beyond, cut, rungs, even)
