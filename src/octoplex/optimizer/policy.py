"""Who answers a request: a compiled policy, never changed, swapped whole. No I/O, no lock.

    decision = policy.decide(features, costs, Draws(.3, .7, .2, .9))

Each snapshot of the learner proposes for a request the candidate that is worth most: what it
saves, less the expected loss of quality at the going rate. How much quality a saved dollar costs
then is its `strain`; the candidate serves where that is at most the cut of the rung that serves.
Cuts are made so that rung k of `RUNGS` moves the share k / RUNGS of the traffic, those requests
first of which least is lost: a ladder from safe to thrifty. The dollars of a strain are those of
the snapshot's time: a dearer reference must not widen what was certified.

What serves is one of several snapshots, drawn by its weight: the mean of what was tested is the
mean of what serves (`ladder.py`). Some segments have a rung of their own (`segments.py`). A share
of `FLOOR` is given to the reference even so, so that every answer has a propensity from which later
can be learned.

Prices are not learned: costs come with each request, so a new price counts at once in what a
candidate is worth, and one that saves nothing any more is not proposed.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from octoplex.optimizer.features import Places, Seen, Values
from octoplex.optimizer.scorer import Scorer

RUNGS = 40
FLOOR = 0.002


class Snapshot(NamedTuple):
    """The learner's state at one moment: a scorer per candidate, and the cuts of the rungs."""

    scorers: tuple[Scorer, ...]
    cuts: Values
    """The greatest strain at which a candidate serves, by rung."""
    savings: Values
    """What each candidate saved per request when this was made, in dollars."""
    rate: float
    """Dollars that one unit of quality is worth where candidates are compared."""
    born: int
    """Judged pairs before it."""


class Draws(NamedTuple):
    """Uniform numbers 0..1 that decide. The first may be a hash: equal ones serve alike."""

    serve: float
    floor: float
    judge: float
    rival: float


class Proposal(NamedTuple):
    """What one snapshot says of a request."""

    candidate: int
    """The number of a variant, from 1; 0 where none would save anything."""
    strain: float
    scores: tuple[float, ...]
    """Expected quality of each candidate less the reference's."""


NO_PROPOSAL = Proposal(0, np.inf, ())
NOBODY = (0, float("inf"))


class Decision(NamedTuple):
    """Who answers, and why to the last number."""

    version: int
    """Of the policy."""

    variant: int
    propensity: float
    """How probable it was, over the draws."""
    rung: int
    """Of its segment; 0: only the reference serves."""
    snapshot: int
    """Which one decided, by `Snapshot.born`."""
    tested: int
    """The newest snapshot, by `Snapshot.born`; 0 before the first."""
    proposal: Proposal
    """What that one says."""
    within: int
    """Rungs that this request is evidence for, where it is judged."""
    judged: float
    """With what probability this request is judged."""
    is_judged: bool
    rival: int
    """Who is judged beside the reference."""
    rival_propensity: float
    served: Proposal
    """What the snapshot says that decided."""
    cut: float
    """The greatest strain at which that one lets a candidate serve."""


class Judging(NamedTuple):
    """Of whom pairs are made: more of those whom candidates may soon serve.

    Elsewhere the reference serves in any case, and little can be lost.
    """

    within: float
    """Probability of a pair, where a candidate serves or the newest's strain is at most `cut`."""
    beyond: float
    cut: float
    rungs: int
    """Whose cut that is: these are tested."""
    even: bool = False
    """Whether all candidates are judged alike: too little is known to prefer one."""


class Mix(NamedTuple):
    """A rung, and the snapshots that make it, each with its share; 0: the reference serves."""

    rung: int = 0
    shares: Sequence[tuple[float, Snapshot]] = ()


class Limits(NamedTuple):
    """Segments that are not served as the route is (`segments.py`)."""

    segments: Mapping[str, Mix] = {}
    is_closed: bool = False
    """Whether the reference serves all the others."""


NO_LIMITS = Limits()


class _Ready(NamedTuple):
    """A mix over all snapshots of the policy; those that are not in it have no weight."""

    rung: int
    weights: list[float]
    ends: list[float]
    cuts: list[float]


class Policy:
    """Snapshots that serve, the newest, which is tested, and whom to judge.

    There are few snapshots and candidates: in a loop over plain numbers a decision takes half of
    what it takes in arrays, each step of which costs a microsecond however short they are.
    """

    def __init__(
        self,
        newest: Snapshot | None,
        judging: Judging,
        serving: Sequence[tuple[float, Snapshot]] = (),
        rung: int = 0,
        version: int = 0,
        limits: Limits = NO_LIMITS,
    ) -> None:
        self.newest, self.judging = newest, judging
        self.rung, self.version, self.limits = rung, version, limits
        shares = [*serving, *(one for mix in limits.segments.values() for one in mix.shares)]
        unique = {id(snapshot): snapshot for _, snapshot in shares}
        self.serving = list(unique.values())
        places = {key: place for place, key in enumerate(unique)}
        usual = _ready(Mix(rung, serving), self.serving, places)
        self.weights = usual.weights
        """Of each that serves, in the route's mix."""
        self._usual = usual._replace(rung=0) if limits.is_closed else usual
        self._limited = {
            name: _ready(mix, self.serving, places) for name, mix in limits.segments.items()
        }
        told = [*self.serving, *([newest] if newest is not None else [])]
        scorers = [scorer for one in told for scorer in one.scorers]
        self._stack = _stacked(scorers)
        self._means = np.array([one.mean for one in scorers])
        self._known = [(column, s.known) for column, s in enumerate(scorers) if s.known]
        self._terms = [(float(one.rate), one.savings.tolist()) for one in told]
        """Of each snapshot, its rate and what candidates saved."""

    def decide(self, seen: Seen, costs: Values | Sequence[float], draws: Draws) -> Decision:
        """Choose. `costs` are dollars by variant, the reference's first."""
        if self.newest is None:
            return self._blind(len(costs) - 1, draws)
        told, scores = self._proposed(seen, costs)
        newest = _proposal(told, scores, len(told) - 1)
        mix = self._limited.get(seen.segment, self._usual)
        place, variant, share = -1, 0, 1.0
        if mix.rung:
            pairs = zip(told, mix.cuts, strict=False)  # the newest serves nobody yet
            chosen = [candidate if strain <= cut else 0 for (candidate, strain), cut in pairs]
            place = min(bisect_right(mix.ends, draws.serve), len(chosen) - 1)
            variant = chosen[place] if draws.floor >= FLOOR else 0
            alike = [w for w, one in zip(mix.weights, chosen, strict=True) if one == variant]
            share = sum(alike) * (1 - FLOOR) + (FLOOR if variant == 0 else 0)
        probability, rival, rival_share = self._whom(newest, variant, len(costs) - 1, draws)
        return Decision(
            self.version,
            variant,
            share,
            mix.rung,
            self.serving[place].born if mix.rung else 0,
            self.newest.born,
            newest,
            self.judging.rungs,
            probability,
            draws.judge < probability,
            rival,
            rival_share,
            _proposal(told, scores, place) if mix.rung else NO_PROPOSAL,
            mix.cuts[place] if mix.rung else -np.inf,
        )

    def strains(self, asked: Sequence[tuple[Seen, Values]]) -> tuple[Values, Places]:
        """The newest snapshot's strain for each of these requests, and whom it proposes."""
        told = [self._proposed(seen, costs)[0][-1] for seen, costs in asked]
        return np.array([strain for _, strain in told]), np.array([who for who, _ in told])

    def _blind(self, candidates: int, draws: Draws) -> Decision:
        """Nothing was learned yet: the reference serves, pairs are made of everybody."""
        rival, share = _alike(candidates, draws.rival)
        nothing, usual = NO_PROPOSAL, self.judging.beyond
        made = draws.judge < usual
        return Decision(
            self.version, 0, 1.0, 0, 0, 0, nothing, 0, usual, made, rival, share, nothing, -np.inf
        )

    def _whom(
        self, newest: Proposal, variant: int, candidates: int, draws: Draws
    ) -> tuple[float, int, float]:
        """Probability of a pair, the candidate in it, and how probable that one was."""
        within = newest.strain <= self.judging.cut or variant > 0
        probability = self.judging.within if within else self.judging.beyond
        if self.judging.even:
            return probability, *_alike(candidates, draws.rival)
        favourite = newest.candidate or 1
        share = 1 - OTHERS if candidates > 1 else 1.0
        if draws.rival < share:
            return probability, favourite, share
        others = [one for one in range(1, candidates + 1) if one != favourite]
        at = min(int((draws.rival - share) / OTHERS * len(others)), len(others) - 1)
        return probability, others[at], OTHERS / len(others)

    def _proposed(
        self, seen: Seen, costs: Values | Sequence[float]
    ) -> tuple[list[tuple[int, float]], list[float]]:
        """Whom each snapshot proposes, at what strain, the newest last; and what it expects of each
        candidate, one snapshot after the other."""
        first, *others = map(float, costs)
        scores: list[float] = (
            seen.values @ self._stack.take(seen.places, 0) + self._means
        ).tolist()
        for column, known in self._known:
            own = known.get(seen.prompt)
            if own is not None:
                scores[column] += own
        count = len(others)
        if count == 1:  # there is nobody to compare with
            saves = others[0] < first
            return [
                (1, -score / usual[0]) if saves and usual[0] > 0 else NOBODY
                for score, (_, usual) in zip(scores, self._terms, strict=True)
            ], scores
        found = []
        for number, (rate, usual) in enumerate(self._terms):
            said = scores[number * count : (number + 1) * count]
            best, most, strain = 0, -np.inf, np.inf
            for candidate, cost in enumerate(others):
                worth = first - cost + rate * said[candidate]
                if cost < first and usual[candidate] > 0 and worth > most:
                    best, most = candidate + 1, worth
                    strain = -said[candidate] / usual[candidate]
            found.append((best, strain))
        return found, scores


def _proposal(told: Sequence[tuple[int, float]], scores: Sequence[float], place: int) -> Proposal:
    """What one snapshot says, whole."""
    count = len(scores) // len(told)
    return Proposal(*told[place], tuple(scores[place * count : (place + 1) * count]))


def _ready(mix: Mix, serving: Sequence[Snapshot], places: Mapping[int, int]) -> _Ready:
    weights = [0.0] * len(serving)
    for share, snapshot in mix.shares:
        weights[places[id(snapshot)]] = float(share)
    cuts = [float(one.cuts[mix.rung - 1]) for one in serving]
    return _Ready(mix.rung, weights, list(accumulate(weights)), cuts)


def _alike(candidates: int, draw: float) -> tuple[int, float]:
    """One of the candidates, all as probable, and how probable it was."""
    return 1 + min(int(draw * candidates), candidates - 1), 1 / candidates


OTHERS = 0.1
"""Share of pairs in which not the proposed candidate is judged but another, to learn of it."""


def _stacked(scorers: Sequence[Scorer]) -> npt.NDArray[np.float32]:
    """Weights by place, then by snapshot and candidate, so that one gather serves all."""
    if not scorers:
        return np.zeros((0, 0), np.float32)
    return np.stack([one.weights for one in scorers], 1)
