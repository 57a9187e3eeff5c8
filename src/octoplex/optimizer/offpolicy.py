"""What a new policy would have been worth, from the log of an old one: before it serves.

    seen = OffPolicy(); seen.see(Rows(...)); seen.interval("dr", 0.05)
    OffPolicy(keep=0.95) ... .lower("dr", 0.05) >= 0   -> it keeps 95 % of what was served: the gate

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

References: Karampatziakis, Mineiro & Ramdas, Off-policy confidence sequences (2021);
Waudby-Smith et al., Anytime-valid off-policy inference for contextual bandits (2024), here with
fixed bets instead of predictable ones, so that the average is covered where it drifts. Not
promised: anything if a logged propensity is wrong, if rows were left out with regard to their
reward, or if answers change what is asked later.
"""

from math import log
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

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
