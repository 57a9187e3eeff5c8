"""What a new policy would have been worth, from the log of an old one: before it serves.

    seen = OffPolicy(); seen.see(Rows(...)); seen.interval("dr", 0.05)
    OffPolicy(keep=0.95) ... .lower("dr", 0.05) >= 0   -> it keeps 95 % of what was served
    gate = Gate(RUNGS, 0.05, 0.4) ... .lower(7, -log(0.05)) >= 0    -> rung 8 may serve

A row that was answered as the new policy would answer counts 1 / propensity times, others do not
(IPS). With an estimate q of what the new policy's answer is worth, the outcome is

    q + same / propensity * (reward - q)

which is on average the new policy's worth, however bad q is (doubly robust, `dr`); q must have
been made without this row. `snips` takes for q what the rows before seemed to be worth, which
is what a self-normalised estimate does, one row later.

With q cut to at most cap * propensity an outcome is never below -cap, so it is bet on as in
`sequences.py`, without knowing how large weights get; several caps are bet on, and the capitals
averaged. The upper bound is the lower one of 1 - reward. Where the new policy does what the old
one never did (propensity 0) nothing is known: both bounds take the worst. They hold at all
times at once, for the average over the rows so far, and whatever the old policy learned
meanwhile.

With `keep`, that much of the logged reward is taken off: new - keep * old, on the same requests.
Where only a sample of the rewards is known, give all rows without `keep`: `same` where it was the
same and is known, and the propensity times that of becoming known.

`Gate` is the same for pairs, of which both answers were judged: what a policy would have served is
looked up, not guessed (an exact replay), and only that the pair was made at all, and with whom, has
a propensity. It is what certifies (`ladder.py`), so it has the one bet that is best there.

References: Karampatziakis, Mineiro & Ramdas, Off-policy confidence sequences (2021);
Waudby-Smith et al., Anytime-valid off-policy inference for contextual bandits (2024), here with
fixed bets instead of predictable ones, so that the average is covered where it drifts. Not
promised: anything if a logged propensity is wrong, if rows were left out with regard to their
reward, or if answers change what is asked later.
"""

from math import expm1, log
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from octoplex.optimizer.evidence import Capital
from octoplex.optimizer.sequences import Array, Interval, Lower, last, log_mean

CAPS = (0.0, 1.0, 4.0, 16.0)
"""The first is IPS."""
Kind = Literal["ips", "snips", "dr"]


class Rows(NamedTuple):
    """Rows of a log as columns, in their order. A policy that draws is asked once per row."""

    propensity: Array
    """With what probability the new one's choice was made; where `same`, the logged propensity."""
    same: npt.NDArray[np.bool_]
    """Whether that was what was chosen."""
    reward: Array
    """0..1, of what was chosen."""
    estimate: Array
    """0..1, of what the new policy chooses; from earlier rows only."""


def outcomes(rows: Rows, cap: float, keep: float = 0.0) -> Array:
    """What the new policy is worth by each row, - keep * what the old one is; from -cap - keep."""
    weights = np.divide(
        1.0, rows.propensity, out=np.zeros(rows.propensity.shape), where=rows.propensity > 0
    )
    estimate = np.minimum(rows.estimate, cap * rows.propensity)
    worth = estimate + np.where(rows.same, weights * (rows.reward - estimate), 0.0)
    found: Array = np.maximum(worth - keep * rows.reward, -cap - keep)
    return found


class Weighted:
    """A lower bound of the average of `outcomes`, over several caps."""

    def __init__(self, caps: tuple[float, ...], keep: float = 0.0) -> None:
        self.keep = keep
        self._parts = {cap: Lower(1 + cap + keep) for cap in caps}

    def see(self, rows: Rows) -> None:
        """Rows, in their order."""
        for cap, part in self._parts.items():
            part.see(outcomes(rows, cap, self.keep) + cap + self.keep)

    def log(self, value: float) -> float:
        """The natural logarithm of the evidence that the average is above this value."""
        logs = [part.log(value + cap + self.keep) for cap, part in self._parts.items()]
        return float(log_mean(np.array(logs)))

    def bound(self, alpha: float) -> float:
        """What the average is at least, but for a chance of alpha in all time."""
        most = max(part.estimate - cap - self.keep for cap, part in self._parts.items())
        return last(lambda value: self.log(value) >= -log(alpha), -self.keep, max(most, -self.keep))


class OffPolicy:
    """A new policy's worth, or with `keep` what it is worth more than that share of the old one."""

    def __init__(self, keep: float = 0.0) -> None:
        self.keep = keep
        caps: dict[Kind, tuple[float, ...]] = {"ips": (0.0,), "snips": CAPS, "dr": CAPS}
        self._lower = {kind: Weighted(many, keep) for kind, many in caps.items()}
        self._upper = {kind: Weighted(many, keep) for kind, many in caps.items()}
        self.rounds = 0
        self._weight = self._rewarded = self._logged = self._robust = 0.0

    def see(self, rows: Rows) -> None:
        """Rows, one or many, in their order.

        Raises:
            ValueError: a number that is not from 0 to 1, or a choice of propensity 0 that was made.
        """
        _check(rows)
        weights = np.where(rows.same, 1 / np.where(rows.same, rows.propensity, 1.0), 0.0)
        guessed = rows._replace(estimate=self._before(weights, rows.reward))
        for kind in self._lower:
            seen = guessed if kind == "snips" else rows
            against = seen._replace(reward=1 - seen.reward, estimate=1 - seen.estimate)
            self._lower[kind].see(seen)
            self._upper[kind].see(against)
        self.rounds += len(weights)
        self._weight += float(weights.sum())
        self._rewarded += float(weights @ rows.reward)
        self._logged += float(rows.reward.sum())
        self._robust += float(rows.estimate.sum() + weights @ (rows.reward - rows.estimate))

    def _before(self, weights: Array, rewards: Array) -> Array:
        """What the rows before each one seemed to be worth; begins at a half."""
        whole = np.cumsum(weights) - weights + self._weight + 1
        found: Array = (
            np.cumsum(weights * rewards) - weights * rewards + self._rewarded + 0.5
        ) / whole
        return found

    def estimate(self, kind: Kind = "dr") -> float:
        """The usual point estimate, as published; 0 before anything was seen."""
        rounds = max(1, self.rounds)
        found = {
            "ips": self._rewarded / rounds,
            "snips": self._rewarded / self._weight if self._weight else 0.0,
            "dr": self._robust / rounds,
        }[kind]
        return found - self.keep * self._logged / rounds

    def lower(self, kind: Kind, alpha: float) -> float:
        """What it is at least, but for a chance of alpha in all time."""
        return self._lower[kind].bound(alpha)

    def evidence(self, kind: Kind, value: float) -> tuple[float, float]:
        """Logs of the evidence that it is above and that it is below this value."""
        return self._lower[kind].log(value), self._upper[kind].log(1 - self.keep - value)

    def interval(self, kind: Kind, alpha: float) -> Interval:
        """Where it is, but for a chance of alpha in all time."""
        upper = 1 - self.keep - self._upper[kind].bound(alpha / 2)
        return Interval(self.estimate(kind), self.lower(kind, alpha / 2), upper)


def _check(rows: Rows) -> None:
    for name in ("propensity", "reward", "estimate"):
        column = getattr(rows, name)
        if not ((column >= 0) & (column <= 1)).all():
            raise ValueError(f"a {name} is not from 0 to 1")
    if (rows.propensity[rows.same] <= 0).any():
        raise ValueError("a choice was made whose propensity is 0")


class Compared(NamedTuple):
    """A judged pair, of the reference and whom a new policy may have serve."""

    weight: float
    """How improbable it was that this request is judged, beside all; 1 on average."""
    first: float
    """What the reference's answer was worth."""
    other: float | None
    """What the candidate's was; None where the pair was made with another one."""
    propensity: float
    """How probable it was, where it was made with this one."""
    estimate: float
    """What the candidate's should have been worth, by earlier pairs."""

    @property
    def plain(self) -> float:
        """The candidate's worth, on average over the draws of a rival."""
        return 0.0 if self.other is None else self.other / self.propensity

    @property
    def robust(self) -> float:
        """The same, with less chance in it."""
        if self.other is None:
            return self.estimate
        return self.estimate + (self.other - self.estimate) / self.propensity

    def above(self, keep: float, moved: npt.NDArray[np.bool_]) -> Array:
        """What policies are worth above that share of the reference: those that have the candidate
        serve, and the others."""
        found: Array = np.where(moved, self.robust, self.first) - keep * self.first
        return found * self.weight


class Evaluated(Struct, frozen=True):
    """What is known of a policy from pairs of which it was not made."""

    pairs: int
    snips: float
    """Of the reference's quality: the weighted sums, divided."""
    dr: float
    """The same, doubly robust."""
    lower: float
    """How far its quality is above what is promised, at least: it may serve from 0 on."""


class Gate:
    """Several policies at once, which see the same pairs."""

    def __init__(self, policies: int, loss: float, bet: float) -> None:
        """`bet` must be below 1 / the most that a pair can speak against a policy."""
        self._keep, self._bet = 1 - loss, bet
        self.capital = Capital(policies, (bet,))
        self._sums = np.zeros((3, policies))
        """Of the reference's worth, and of each policy's, plain and robust."""

    def see(
        self, pair: Compared, moved: npt.NDArray[np.bool_], counts: npt.NDArray[np.bool_]
    ) -> Array:
        """A pair: what each policy is worth above the promise.

        `moved`: which of them would have had the candidate serve; `counts`: of which it tells.
        """
        outcomes = pair.above(self._keep, moved)
        self.capital.see(outcomes, counts)
        first = np.full(len(moved), pair.first)
        plain = np.where(moved, pair.plain, pair.first)
        robust = np.where(moved, pair.robust, pair.first)
        self._sums += np.stack((first, plain, robust)) * (pair.weight * counts)
        return outcomes

    def lower(self, policy: int, needed: float) -> float:
        """What it is at least above the promise, but for a chance of exp(-needed) in all time.

        At least 0 exactly where its capital is at least exp(needed).
        """
        rounds = int(self.capital.rounds[policy])
        if not rounds:
            return -1 / self._bet
        return expm1((float(self.capital.logs()[policy]) - needed) / rounds) / self._bet

    def evaluated(self, policy: int, needed: float) -> Evaluated:
        """All that is known of one."""
        first, plain, robust = (float(one) for one in self._sums[:, policy])
        rounds = int(self.capital.rounds[policy])
        whole = first or 1.0
        return Evaluated(rounds, plain / whole, robust / whole, self.lower(policy, needed))
