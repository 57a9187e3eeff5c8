"""Which rung may serve: each is tested on judged pairs, and serves once it is certified.

The claim of a rung: quality of what it serves, less (1 - loss) of the reference's, is on average
at least zero. Its outcome for a pair is that difference, weighted by how improbable the pair was,
so that on average it is the mean over all requests; `Capital` bets on it, from the moment at
which the rung comes within reach.

The learner goes on learning meanwhile, so a rung is tested over a row of snapshots, each for some
pairs. What is certified is their average, and that is what serves: one of them is drawn for each
request, in proportion to its pairs (online-to-batch conversion).

Rungs are certified in order, from safe to thrifty, each at the full `alpha`: to promise a false
one, the first false one must be certified, so the chance of any is at most alpha (fixed-sequence
testing). Later epochs begin with newer snapshots, each at 0.7 of the alpha that is left.

An `Alarm` beside it finds out that what serves breaks the promise; a `Watch`, sooner, that
candidates have become much worse than they were. Then only the reference serves, which nothing
must certify; all certificates are void, and everything begins anew from the moment of the change.
So `alpha` is that of each stretch between two changes.

References: Maurer et al. (1995) and Wiens (2003) on fixed sequences; Cesa-Bianchi, Conconi &
Gentile, On the generalization ability of on-line learning algorithms (2004).
"""

from collections import deque
from math import log

import numpy as np
import numpy.typing as npt

from octoplex.optimizer.evidence import Alarm, Array, Capital
from octoplex.optimizer.policy import RUNGS, Decision, Snapshot

FIRST = 200
"""Judged pairs before the first epoch."""
RENEWED = 4
"""Each epoch begins at so many times the pairs of the one before it."""
SNAPSHOTS = 32
"""In an epoch; then its learning ends, and the next one's goes on."""
NEAR, AHEAD = 20, 8
"""Rungs within reach: at least so many, and so many above the certified one."""
BET = 0.4
"""Of an outcome that is at least -1: best where some thousand pairs decide. Several bets at once
cost the logarithm of their number."""
BETS = (0.2, 0.5, 0.95)
"""Of alarms, which must find small losses and large: of an outcome that is at most 1."""
FALSE_ALARM = log(10_000)
"""A false one in so many pairs, if what serves were just as bad as is promised. It is better, and
the watch has its allowance: in truth they are far rarer."""
WORSE, UNEXPECTED = 0.1, 0.06
"""How much worse than before, and than expected, a candidate may become before the watch speaks
against it."""
CLIPPED = 0.5
"""The most that is expected, either way."""
WATCHED, UNTOLD = 100, 150
"""Pairs from which the watch knows how it was; the newest, which may be worse, do not count."""


class Epoch:
    """Snapshots from a moment on, and the evidence for the rungs that they make."""

    def __init__(self, begun: int, alpha: float, bound: float) -> None:
        self.begun, self.needed = begun, -log(alpha)
        self.capital = Capital(RUNGS, (BET / bound,))
        self._tested: dict[int, tuple[Snapshot, Array]] = {}
        """By `Snapshot.born`, with the pairs that each rung of it saw."""

    @property
    def is_full(self) -> bool:
        """Whether it takes no more snapshots."""
        return len(self._tested) >= SNAPSHOTS

    def take(self, snapshot: Snapshot) -> None:
        """Test this one from now on."""
        self._tested[snapshot.born] = snapshot, np.zeros(RUNGS)

    def see(self, born: int, outcomes: Array, betting: npt.NDArray[np.bool_]) -> None:
        """A pair, decided upon while that snapshot was the newest."""
        if born in self._tested:
            self.capital.see(outcomes, betting)
            self._tested[born][1][:] += betting

    def cuts(self, born: int) -> Array | None:
        """Those of a snapshot that is tested here."""
        return self._tested[born][0].cuts if born in self._tested else None

    def certified(self) -> int:
        """How many rungs are, in order from the safest."""
        enough = self.capital.logs() >= self.needed
        return RUNGS if enough.all() else int(enough.argmin())

    def serving(self, rung: int) -> list[tuple[float, Snapshot]]:
        """The snapshots that make a certified rung, each with its share."""
        pairs = [(pairs[rung - 1], snapshot) for snapshot, pairs in self._tested.values()]
        whole = sum(count for count, _ in pairs)
        return [(float(count / whole), snapshot) for count, snapshot in pairs if count]


class Ladder:
    """The rungs, how far they are certified, and whether they still hold."""

    def __init__(self, loss: float, alpha: float, bound: float, most: float) -> None:
        self.loss, self._most = loss, most
        self.bound, self._alpha, self._spent = bound, alpha, 0
        self._epochs: list[Epoch] = []
        self._best: Epoch | None = None
        self._alarm, self._watch = self._quiet(), Watch()
        self._origin = 0
        self.rung, self.within = 0, NEAR
        """How far it is certified, and tested."""
        self.serving: list[tuple[float, Snapshot]] = []
        """Who makes the rung, with shares that sum to one; empty where the reference serves all."""
        self._before: list[tuple[int, Epoch | None, list[tuple[float, Snapshot]]]] = []
        """What served (`rung`, `_best`, `serving`), each thriftier than the one before it."""
        self._highest = RUNGS
        """What an operator lets serve."""

    def snapshot(self, snapshot: Snapshot, pairs: int) -> None:
        """A new state of the learner; an epoch begins where one is due."""
        due = (self._epochs[-1].begun - self._origin) * RENEWED if self._epochs else FIRST
        if pairs - self._origin >= due:
            alpha = self._alpha * 0.7 * 0.3**self._spent
            self._spent += 1
            self._epochs = [*self._epochs[-1:], Epoch(pairs, alpha, self.bound)]
        for epoch in self._epochs:
            if not epoch.is_full:
                epoch.take(snapshot)

    def see(self, decision: Decision, share: float, first: float, other: float) -> int:
        """A pair: the reference's quality, the rival's, and the share of requests that are judged.

        Returns the number of pairs since something changed, where an alarm goes off; else 0.
        """
        betting = np.arange(RUNGS) < decision.within
        said = None
        for epoch in self._epochs:
            cuts = epoch.cuts(decision.tested)
            if cuts is not None:
                said = self._outcomes(decision, cuts, first, other) * (share / decision.judged)
                epoch.see(decision.tested, said, betting)
        since = self._warned(decision, share, first, other)
        if since:
            self.reset(0)
        elif said is not None:
            self._climb()
        return since

    def _warned(self, decision: Decision, share: float, first: float, other: float) -> int:
        """How many pairs ago what serves became too bad; 0 where nothing shows that it is."""
        if not self.rung:
            return 0
        base, weight = (1 - self.loss) * first, share / decision.judged
        said = 0.0
        if decision.variant == 0:
            said = (first - base) * weight
        elif decision.variant == decision.rival:
            said = (other - base) * weight / decision.rival_propensity
        self._alarm.see(np.array([said]))
        if self._alarm.logs()[0] > FALSE_ALARM:
            return self._alarm.began(0)
        proposal = decision.proposal
        if decision.rival != proposal.candidate:
            return 0
        expected = proposal.scores[decision.rival - 1]
        return self._watch.see(other - first, expected, decision.judged >= share)

    def _outcomes(self, decision: Decision, cuts: Array, first: float, other: float) -> Array:
        """What each rung serves, less what is promised, times how improbable the rival was."""
        base = (1 - self.loss) * first
        proposal = decision.proposal
        moved = 0.0
        if decision.rival == proposal.candidate:
            moved = (other - base) / decision.rival_propensity
        return np.where(proposal.strain <= cuts, moved, first - base)

    def go_back(self) -> None:
        """To what served before, the reference where nothing did, and no higher."""
        before = self._before.pop() if self._before else (0, None, [])
        self.rung, self._best, self.serving = before
        self._highest = self.rung

    def go_on(self) -> None:
        """Let whatever is certified serve."""
        self._highest = RUNGS
        self._climb()

    def _climb(self) -> None:
        for epoch in self._epochs:
            rung = min(epoch.certified(), self._highest)
            if rung > self.rung or (rung == self.rung and rung and epoch is self._best):
                if 0 < self.rung < rung:
                    self._before.append((self.rung, self._best, self.serving))
                self.rung, self._best, self.serving = rung, epoch, epoch.serving(rung)
        self.within = min(RUNGS, max(self.within, self.rung + AHEAD))

    def reset(self, origin: int) -> None:
        """Only the reference serves; all is tested anew, counting pairs from `origin`."""
        self.rung, self.within, self.serving, self._before = 0, NEAR, [], []
        self._epochs, self._best = [], None
        self._origin, self._spent = origin, 0
        self._alarm, self._watch = self._quiet(), Watch()

    def _quiet(self) -> Alarm:
        return Alarm(1, tuple(bet / self._most for bet in BETS))


class Watch:
    """Finds that candidates have become worse than they were, and than they were expected to be.

    An alarm for the promise is slow where few requests are moved: it looks at all of them. These
    look at candidates alone. What was expected of each request is told apart from what it is (one
    that is known to be hard is no surprise), so less may be allowed; but expectations follow a
    slow change, so those requests that are moved or soon may be are compared without them, too.
    """

    def __init__(self) -> None:
        self._expected = Falling(UNEXPECTED, 1 + CLIPPED)
        self._usual = Falling(WORSE, 1)

    def see(self, difference: float, expected: float, is_near: bool) -> int:
        """A pair. The number of pairs since it is worse; 0 while nothing shows that it is."""
        surprise = difference - min(max(expected, -CLIPPED), CLIPPED)
        return self._expected.see(surprise) or (self._usual.see(difference) if is_near else 0)


class Falling:
    """Finds that a mean is more than `allowed` below what it was up to now."""

    def __init__(self, allowed: float, most: float) -> None:
        self._allowed, self._most = allowed, most
        self._alarm = Alarm(1, (0.45, 0.95))
        self._pairs, self._sum = 0, 0.0
        self._newest: deque[float] = deque()

    def see(self, value: float) -> int:
        """One more value, at most `most`. The number of those since it is so; 0 if it is not."""
        if self._pairs >= WATCHED:
            before = self._sum / self._pairs
            above = self._allowed - before
            self._alarm.see(np.array([(value + above) / (self._most + above)]))
        self._newest.append(value)
        if len(self._newest) > UNTOLD:
            self._pairs += 1
            self._sum += self._newest.popleft()
        return self._alarm.began(0) if self._alarm.logs()[0] > FALSE_ALARM else 0
