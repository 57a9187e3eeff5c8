"""Which rung may serve: each is tested on judged pairs, and serves once it is certified.

The claim of a rung: quality of what it serves, less (1 - loss) of the reference's, is on average
at least zero. Its outcome for a pair is that difference, weighted by how improbable the pair was,
so that on average it is the mean over all requests; a `Gate` bets on it, from the moment at which
the rung comes within reach, and it serves once its lower bound is at least zero. Each snapshot is
tested on pairs that came after it: no pair that it was made of speaks for it.

The learner goes on learning meanwhile, so a rung is tested over a row of snapshots, each for some
pairs. What is certified is their average, and that is what serves: one of them is drawn for each
request, in proportion to its pairs (online-to-batch conversion).

Rungs are certified in order, from safe to thrifty, each at the full `alpha`: to promise a false
one, the first false one must be certified, so the chance of any is at most alpha (fixed-sequence
testing). Later epochs begin with newer snapshots, each at 0.7 of the alpha that is left.

Where the newest pairs say that what is certified would soon have lost more than is promised, a
lower rung serves (`Lately`).

An `Alarm` beside it finds out that what serves breaks the promise; a `Watch`, sooner, that
candidates have become much worse than they were. Then only the reference serves, which nothing
must certify; all certificates are void, and everything begins anew from the moment of the change.
So `alpha` is that of each stretch between two changes.

References: Maurer et al. (1995) and Wiens (2003) on fixed sequences; Cesa-Bianchi, Conconi &
Gentile, On the generalization ability of on-line learning algorithms (2004).
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from math import log, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from octoplex.optimizer.evidence import Alarm, Array
from octoplex.optimizer.offpolicy import Compared, Evaluated, Gate
from octoplex.optimizer.policy import NO_LIMITS, RUNGS, Decision, Limits, Mix, Proposal, Snapshot
from octoplex.optimizer.segments import BET, GUARD, Segments, Shown, Terms, in_order

FIRST = 200
"""Judged pairs before the first epoch."""
RENEWED = 4
"""Each epoch begins at so many times the pairs of the one before it."""
SNAPSHOTS = 32
"""In an epoch; then its learning ends, and the next one's goes on."""
NEAR, AHEAD = 20, 8
"""Rungs within reach: at least so many, and so many above the certified one."""
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
NEWEST, SOON = 150, 300
"""Pairs that count of late: an older one counts 1 - 1 / NEWEST of the one after it. And for how
many to come that is taken to go on."""
LOOKED = 25
"""Pairs between two looks at them."""
WATCHED, UNTOLD = 100, 150
"""Pairs from which the watch knows how it was; the newest, which may be worse, do not count."""


class Epoch:
    """Snapshots from a moment on, and the evidence for the rungs that they make."""

    def __init__(self, begun: int, terms: Terms, names: Sequence[str]) -> None:
        self.begun = begun
        whole = terms.alpha * (1 - GUARD if terms.kind == "watched" else 1)
        self.needed = -log(whole)
        self.gate = Gate(RUNGS, terms.loss, BET / terms.bound)
        self.segments = Segments(names, terms)
        self._tested: dict[int, tuple[Snapshot, Array]] = {}
        """By `Snapshot.born`, with the pairs that each rung of it saw."""

    @property
    def is_full(self) -> bool:
        """Whether it takes no more snapshots."""
        return len(self._tested) >= SNAPSHOTS

    def take(self, snapshot: Snapshot) -> None:
        """Test this one from now on."""
        self._tested[snapshot.born] = snapshot, np.zeros(RUNGS)

    def see(self, decision: Decision, pair: Compared, segment: str) -> Array | None:
        """A pair, decided upon while a snapshot was the newest: what each rung of that one is
        worth above the promise; None where it is not tested here."""
        if decision.tested not in self._tested:
            return None
        snapshot, seen = self._tested[decision.tested]
        counts = np.arange(RUNGS) < decision.within
        moved = decision.proposal.strain <= snapshot.cuts
        self.segments.see(segment, pair, moved, counts)
        seen += counts
        return self.gate.see(pair, moved, counts)

    def cuts(self, born: int) -> Array | None:
        """Those of a snapshot that is tested here."""
        return self._tested[born][0].cuts if born in self._tested else None

    def certified(self) -> int:
        """How many rungs are, in order from the safest."""
        return in_order(self.gate.capital.logs() >= self.needed)

    def known(self, rung: int) -> Evaluated:
        """What pairs say of a rung."""
        return self.gate.evaluated(rung - 1, self.needed)

    def proven(self, rung: int) -> "Proven":
        """A rung that is certified now."""
        return Proven(self, self.mix(rung), self.known(rung)) if rung else Proven(self)

    def mix(self, rung: int) -> Mix:
        """The snapshots that make a certified rung, each with its share."""
        if not rung:
            return Mix()
        pairs = [(pairs[rung - 1], snapshot) for snapshot, pairs in self._tested.values()]
        whole = sum(count for count, _ in pairs)
        return Mix(rung, [(float(count / whole), one) for count, one in pairs if count])


class Proven(NamedTuple):
    """A mix that is certified, where, and what was known of it when it last was."""

    epoch: Epoch | None = None
    mix: Mix = Mix()
    told: Evaluated | None = None


class Told(Struct, frozen=True):
    """What is known of what serves; where nothing does, of what would be the first to."""

    rung: int
    told: Evaluated
    """When it was last certified; of what is not, now."""
    now: Evaluated
    segments: tuple[Shown, ...] = ()


class Ladder:
    """The rungs, how far they are certified, and whether they still hold."""

    def __init__(self, terms: Terms, most: float) -> None:
        """`most`: how far above 0 what a pair says of what serves may be."""
        self._terms, self._most, self._spent = terms, most, 0
        self._epochs: list[Epoch] = []
        self._heard: Counter[str] = Counter()
        """Pairs of each segment."""
        self._proven = self._served = Proven()
        """The thriftiest that is certified, and what serves of it."""
        self._before: list[Proven] = []
        """What was that, each thriftier than the one before it."""
        self._alarm, self._lately = self._quiet(), Lately()
        self._watches: defaultdict[int, Watch] = defaultdict(Watch)
        """By candidate: another one is no worse one."""
        self._origin, self.within = 0, NEAR
        """How far is tested."""
        self.limits = NO_LIMITS
        """Segments that are not served as the route is."""
        self._highest = RUNGS
        """What an operator lets serve."""

    @property
    def mix(self) -> Mix:
        """What serves."""
        return self._served.mix

    @property
    def is_testing(self) -> bool:
        """Whether pairs are evidence yet."""
        return bool(self._epochs)

    @property
    def rung(self) -> int:
        """How far candidates serve."""
        return self.mix.rung

    def snapshot(self, snapshot: Snapshot, pairs: int) -> None:
        """A new state of the learner; an epoch begins where one is due."""
        due = (self._epochs[-1].begun - self._origin) * RENEWED if self._epochs else FIRST
        if pairs - self._origin >= due:
            alpha = self._terms.alpha * 0.7 * 0.3**self._spent
            self._spent += 1
            names = [name for name, _ in self._heard.most_common()]
            epoch = Epoch(pairs, self._terms._replace(alpha=alpha), names)
            self._epochs = [*self._epochs[-1:], epoch]
        for epoch in self._epochs:
            if not epoch.is_full:
                epoch.take(snapshot)

    def see(
        self, decision: Decision, share: float, first: float, other: float, segment: str = ""
    ) -> int:
        """A pair: the reference's quality, the rival's, and the share of requests that are judged.

        Returns the number of pairs since something changed, where an alarm goes off; else 0.
        """
        since = self.warned(decision, share, first, other)
        if since:
            self.reset(0)
        else:
            self.weigh(decision, share, first, other, segment)
        return since

    def warned(self, decision: Decision, share: float, first: float, other: float) -> int:
        """How many pairs ago what serves became too bad; 0 where nothing shows that it is."""
        if not self.rung:
            return 0
        base, weight = (1 - self._terms.loss) * first, share / decision.judged
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
        cuts = self._cuts(decision.tested)
        is_near = cuts is not None and proposal.strain <= cuts[NEAR - 1]
        return self._watches[decision.rival].see(other - first, expected, is_near)

    def weigh(
        self, decision: Decision, share: float, first: float, other: float, segment: str = ""
    ) -> None:
        """Evidence for what may serve, and what comes of it."""
        if segment:
            self._heard[segment] += 1
        worth = share / decision.judged, first, other
        pair = _compared(decision, decision.proposal, worth)
        told = [epoch.see(decision, pair, segment) for epoch in self._epochs]
        outcomes = next((one for one in told if one is not None), None)
        if outcomes is not None:
            served = self._as_served(decision, worth, segment)
            outcomes = outcomes if served is None else served
            self._lately.see(outcomes, np.arange(RUNGS) < decision.within)
            if self._proven.mix.rung:
                kept = self._terms.loss * first * worth[0]
                self._lately.gain(float(outcomes[self.rung - 1]) if self.rung else kept)
            self._climb()

    def _as_served(
        self, decision: Decision, worth: tuple[float, float, float], segment: str
    ) -> Array | None:
        """What each rung of the mix that serves is worth above the promise, by the snapshot that
        was drawn of it, to this segment; None where nothing served."""
        pair, keep = _compared(decision, decision.served, worth), 1 - self._terms.loss
        mix = self.limits.segments.get(segment)
        most = mix.rung if mix is not None else 0 if self.limits.is_closed else RUNGS
        if not most:
            return pair.above(keep, np.zeros(RUNGS, bool))
        cuts = self._cuts(decision.snapshot)
        if cuts is None:
            return None
        moved = decision.served.strain <= cuts
        return pair.above(keep, moved[np.minimum(np.arange(RUNGS), most - 1)])

    def _cuts(self, born: int) -> Array | None:
        """Those of a snapshot, where it is tested."""
        found = (epoch.cuts(born) for epoch in self._epochs)
        return next((cuts for cuts in found if cuts is not None), None)

    def told(self) -> Told | None:
        """What is known of what serves; None where nothing was tested yet."""
        epoch = self._served.epoch or next(iter(self._epochs), None)
        if epoch is None:
            return None
        now = epoch.known(max(1, self.rung))
        shown = epoch.segments.shown(self.rung)
        return Told(self.rung, self._served.told or now, now, shown)

    def go_back(self) -> None:
        """To what served before, the reference where nothing did, and no higher."""
        self._proven = self._before.pop() if self._before else Proven()
        self._highest = self._proven.mix.rung
        self._serve()

    def go_on(self) -> None:
        """Let whatever is certified serve."""
        self._highest = RUNGS
        self._climb()

    def _climb(self) -> None:
        for epoch in self._epochs:
            rung = min(epoch.certified(), self._highest)
            best, at = self._proven.epoch, self._proven.mix.rung
            if rung > at or (rung == at and rung and epoch is best):
                if 0 < at < rung:
                    self._before.append(self._proven)
                self._proven = epoch.proven(rung)
        self._serve()
        self.within = min(RUNGS, max(self.within, self._proven.mix.rung + AHEAD))

    def _serve(self) -> None:
        """What is certified, as far as nothing was lost by it of late."""
        self._served = self._proven
        epoch = self._proven.epoch
        if epoch is not None and self._lately.rungs < self._proven.mix.rung:
            self._served = epoch.proven(min(self._lately.rungs, epoch.certified()))
        self.limits = NO_LIMITS
        if epoch is not None and self.rung and self._terms.kind:
            limits = epoch.segments.limits(self.rung)
            mixes = {name: epoch.mix(rung) for name, rung in limits.items()}
            self.limits = Limits(mixes, self._terms.kind == "each")

    def reset(self, origin: int) -> None:
        """Only the reference serves; all is tested anew, counting pairs from `origin`."""
        self.within, self.limits = NEAR, NO_LIMITS
        self._proven = self._served = Proven()
        self._epochs, self._before = [], []
        self._origin, self._spent = origin, 0
        self._alarm, self._lately = self._quiet(), Lately()
        self._watches.clear()

    def _quiet(self) -> Alarm:
        return Alarm(1, tuple(bet / self._most for bet in BETS))


def _compared(
    decision: Decision, proposal: Proposal, worth: tuple[float, float, float]
) -> Compared:
    """A pair as rungs see it that would have this candidate serve. `worth` is the weight of the
    pair, and what both answers were worth."""
    weight, first, other = worth
    is_it = decision.rival == proposal.candidate
    expected = proposal.scores[proposal.candidate - 1] if proposal.candidate else 0.0
    estimate = min(max(first + expected, 0.0), 1.0)
    return Compared(weight, first, other if is_it else None, decision.rival_propensity, estimate)


class Lately:
    """How far up may be served, where a candidate becomes worse little by little.

    What was gained since something was certified, beyond the promise and its own error, would be
    used up by a rung within `SOON` pairs if it went on as of late: then it does not serve. It has
    no part in the proof: what it keeps from serving was certified, and could serve.
    """

    def __init__(self) -> None:
        self._mean, self._pairs = np.zeros(RUNGS), np.zeros(RUNGS)
        self._gained = self._spread = 0.0
        self._seen = 0
        self.rungs = RUNGS

    def gain(self, worth: float) -> None:
        """What was served by this pair was worth so much above the promise."""
        self._gained += worth
        self._spread += worth**2

    def see(self, outcomes: Array, counts: npt.NDArray[np.bool_]) -> None:
        """What each rung was worth above the promise, and for which of them that tells."""
        self._pairs += counts
        self._mean += (outcomes - self._mean) * counts / np.clip(self._pairs, 1, NEWEST)
        self._seen += 1
        if self._seen % LOOKED == 0:
            left = self._gained - sqrt(self._spread)
            self.rungs = in_order((self._pairs < NEWEST) | (left + SOON * self._mean >= 0))


class Watch:
    """Finds that a candidate has become worse than it was, and than it was expected to be.

    An alarm for the promise is slow where few requests are moved: it looks at all of them. These
    look at one candidate alone. What was expected of each request is told apart from what it is
    (one that is known to be hard is no surprise), so less may be allowed; but expectations follow
    a slow change, so the better half of the requests, by rank, are compared without them, too.
    Which are moved or soon may be would be others as rungs rise.
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
