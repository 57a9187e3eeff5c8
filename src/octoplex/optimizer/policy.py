"""Who answers a request: a compiled policy, never changed, swapped whole. No I/O, no lock.

    decision = policy.decide(features, costs, Draws(.3, .7, .2, .9))

Each snapshot of the learner proposes for a request the candidate that is worth most: what it
saves, less the expected loss of quality at the going rate. How much quality a saved dollar costs
then is its `strain`; the candidate serves where that is at most the cut of the rung that serves.
Cuts are made so that rung k of `RUNGS` moves the share k / RUNGS of the traffic, those requests
first of which least is lost: a ladder from safe to thrifty. The dollars of a strain are those of
the snapshot's time: a dearer reference must not widen what was certified.

What serves is one of several snapshots, drawn by its weight: the mean of what was tested is the
mean of what serves (`ladder.py`). A share of `FLOOR` is given to the reference even so, so that
every answer has a propensity from which later can be learned.

Prices are not learned: costs come with each request, so a new price counts at once in what a
candidate is worth, and one that saves nothing any more is not proposed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from octoplex.optimizer.features import Places, Seen, Values
from octoplex.optimizer.scorer import Scorer

RUNGS = 40
FLOOR = 0.005


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


class Decision(NamedTuple):
    """Who answers, and why to the last number."""

    version: int
    """Of the policy."""

    variant: int
    propensity: float
    """How probable it was, over the draws."""
    rung: int
    """0: only the reference serves."""
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


class _Proposals(NamedTuple):
    """What each snapshot says of a request, the newest last."""

    candidates: Places
    strains: Values
    scores: Values

    def proposal(self, snapshot: int) -> Proposal:
        scores = tuple(self.scores[snapshot].tolist())
        return Proposal(int(self.candidates[snapshot]), float(self.strains[snapshot]), scores)


class Policy:
    """Snapshots that serve, the newest, which is tested, and whom to judge."""

    def __init__(
        self,
        newest: Snapshot | None,
        judging: Judging,
        serving: Sequence[tuple[float, Snapshot]] = (),
        rung: int = 0,
        version: int = 0,
    ) -> None:
        self.newest, self.judging = newest, judging
        self.rung, self.version = rung, version
        self.weights = np.array([weight for weight, _ in serving])
        self.serving = [snapshot for _, snapshot in serving]
        self._ends = np.cumsum(self.weights)
        told = [*self.serving, *([newest] if newest is not None else [])]
        self._stack = _stacked(told)
        self._means = np.array([[s.mean for s in one.scorers] for one in told])
        self._known = [(m, c, s.known) for m, one in enumerate(told) for c, s in _own(one)]
        self._rates = np.array([[one.rate] for one in told])
        self._savings = np.array([one.savings for one in told])
        self._rows = np.arange(len(told))
        self._cuts = np.array([one.cuts[rung - 1] for one in self.serving])

    def decide(self, seen: Seen, costs: Values, draws: Draws) -> Decision:
        """Choose. `costs` are dollars by variant, the reference's first."""
        if self.newest is None:
            return self._blind(len(costs) - 1, draws)
        savings = costs[0] - costs[1:]
        told = self._proposals(seen, savings)
        newest = told.proposal(-1)
        place, variant, share = -1, 0, 1.0
        if self.serving:
            chosen = np.where(told.strains[:-1] <= self._cuts, told.candidates[:-1], 0)
            place = min(int(self._ends.searchsorted(draws.serve, "right")), len(chosen) - 1)
            variant = int(chosen[place]) if draws.floor >= FLOOR else 0
            share = float(self.weights @ (chosen == variant)) * (1 - FLOOR)
            share += FLOOR if variant == 0 else 0
        probability, rival, rival_share = self._whom(newest, variant, len(savings), draws)
        return Decision(
            self.version,
            variant,
            share,
            self.rung,
            self.serving[place].born if self.serving else 0,
            self.newest.born,
            newest,
            self.judging.rungs,
            probability,
            draws.judge < probability,
            rival,
            rival_share,
            told.proposal(place) if self.serving else NO_PROPOSAL,
            float(self._cuts[place]) if self.serving else -np.inf,
        )

    def strains(self, asked: Sequence[tuple[Seen, Values]]) -> tuple[Values, Places]:
        """The newest snapshot's strain for each of these requests, and whom it proposes."""
        told = [self._proposals(seen, costs[0] - costs[1:]) for seen, costs in asked]
        strains = np.array([one.strains[-1] for one in told])
        return strains, np.array([one.candidates[-1] for one in told])

    def _blind(self, candidates: int, draws: Draws) -> Decision:
        """Nothing was learned yet: the reference serves, pairs are made of everybody."""
        rival = 1 + min(int(draws.rival * candidates), candidates - 1)
        nothing, usual = NO_PROPOSAL, self.judging.beyond
        made, share = draws.judge < usual, 1 / candidates
        return Decision(
            self.version, 0, 1.0, 0, 0, 0, nothing, 0, usual, made, rival, share, nothing, -np.inf
        )

    def _whom(
        self, newest: Proposal, variant: int, candidates: int, draws: Draws
    ) -> tuple[float, int, float]:
        """Probability of a pair, the candidate in it, and how probable that one was."""
        within = newest.strain <= self.judging.cut or variant > 0
        probability = self.judging.within if within else self.judging.beyond
        favourite = newest.candidate or 1
        share = 1 - OTHERS if candidates > 1 else 1.0
        if draws.rival < share:
            return probability, favourite, share
        others = [one for one in range(1, candidates + 1) if one != favourite]
        at = min(int((draws.rival - share) / OTHERS * len(others)), len(others) - 1)
        return probability, others[at], OTHERS / len(others)

    def _proposals(self, seen: Seen, savings: Values) -> _Proposals:
        found = seen.values @ self._stack.take(seen.places, 0)
        scores = found.reshape(self._means.shape) + self._means
        for number, candidate, known in self._known:
            own = known.get(seen.prompt)
            if own is not None:
                scores[number, candidate] += own
        barred = (savings <= 0) | (self._savings <= 0)
        best = np.where(barred, -np.inf, savings + self._rates * scores).argmax(1)
        none = barred[self._rows, best]
        with np.errstate(divide="ignore", invalid="ignore"):
            strains = -scores[self._rows, best] / self._savings[self._rows, best]
        return _Proposals(np.where(none, 0, best + 1), np.where(none, np.inf, strains), scores)


OTHERS = 0.1
"""Share of pairs in which not the proposed candidate is judged but another, to learn of it."""


def _own(snapshot: Snapshot) -> list[tuple[int, Scorer]]:
    return [(place, scorer) for place, scorer in enumerate(snapshot.scorers) if scorer.known]


def _stacked(told: Sequence[Snapshot]) -> Values:
    """Weights by place, then by snapshot and candidate, so that one gather serves all."""
    if not told:
        return np.zeros((0, 0))
    return np.stack([s.weights for one in told for s in one.scorers], 1).astype(np.float64)
