"""A winner on its way to everybody: 1, 5, 25, 50 % of the units, then all; or back.

For each unit an outcome says how much better than allowed the new variant is. Of a unit with
the new one (share p of them) it is that unit's value, less what is expected of the first, and
the other way round; what was expected is taken off and put back weighted by 1 / p or 1 / (1 -
p), so that on average it is the difference of both on *that* unit. So a share that grows, a
busy hour and a week-end compare like with like (Simpson's paradox does not arise).

`Capital` bets on these outcomes, one claim per metric, anew at each step with what was won
before. Step k of n asks for evidence of alpha^-(k/n) on each metric, so

    P(a variant that is worse than allowed in every step ever gets past step k) <= alpha^(k/n)

A tenth of the damage needs less proof than all of it; for 100 % it is the whole. An `Alarm`
beside it finds a sudden loss: a false one comes on average once in `FALSE_ALARM` units or
later.

References: Waudby-Smith et al., Time-uniform central limit theory (2024) for the outcome;
`evidence.py`. Not promised: anything of what happens after the last step.
"""

from collections.abc import Mapping, Sequence
from math import log

import numpy as np

from octoplex.optimizer.evidence import Alarm, Array, Capital
from octoplex.optimizer.metric import Metric

STEPS = (0.01, 0.05, 0.25, 0.5)
BETS = (0.02, 0.06, 0.2, 0.6)
"""Of the greatest outcome there can be."""
FALSE_ALARM = 100_000


class Canary:
    """Results of the steps so far; `step` is len(steps) when the variant may serve everybody."""

    def __init__(self, metrics: Sequence[Metric], steps: Sequence[float], alpha: float) -> None:
        self._metrics, self._steps = tuple(metrics), tuple(steps)
        self._needed = -log(alpha) / len(self._steps)
        self._sums = np.full((2, len(self._metrics)), 0.5)
        self._counts = np.ones((2, len(self._metrics)))
        """Of the first and of the new one."""
        lines = [metric.line(metric.allowed) for metric in self._metrics]
        self._factors = np.array([factor for factor, _ in lines])
        self._shifts = np.array([shift for _, shift in lines])
        self._signs = np.array([metric.sign for metric in self._metrics])
        self._won = np.zeros(len(self._metrics))
        self.step, self.alarm = 0, ""
        """`alarm` names the metric that was lost; then it goes back."""
        self._begin()

    @property
    def share(self) -> float:
        """Of the units that get the new variant."""
        return self._steps[self.step] if self.step < len(self._steps) else 1.0

    def told(self, is_new: bool, values: Mapping[str, float]) -> None:
        """What was measured on one unit of this step."""
        if self.alarm or self.step == len(self._steps):
            return
        given = np.array([metric.name in values for metric in self._metrics])
        told = np.array([m.scaled(values.get(m.name, 0.0)) for m in self._metrics])
        outcomes = np.where(given, self._outcomes(is_new, told), 0.0) / self._bounds
        self._sums[int(is_new)] += told * given
        self._counts[int(is_new)] += given
        self._capital.see(outcomes, given)
        self._watch.see(outcomes)
        self._judge()

    def evidence(self) -> Array:
        """Log of what was won on each metric, over all steps."""
        won: Array = self._won + self._capital.logs()
        return won

    def _outcomes(self, is_new: bool, told: Array) -> Array:
        first, new = self._sums / self._counts
        if is_new:
            new = new + (told - new) / self.share
        else:
            first = first + (told - first) / (1 - self.share)
        better: Array = self._signs * (new - self._factors * first - self._shifts)
        return better

    def _judge(self) -> None:
        lost = self._watch.logs() >= log(FALSE_ALARM)
        if lost.any():
            self.alarm = self._metrics[int(lost.argmax())].name
        elif (self.evidence() >= self._needed * (self.step + 1)).all():
            self._won = self.evidence()
            self.step += 1
            if self.step < len(self._steps):
                self._begin()

    def _begin(self) -> None:
        share = self.share
        self._bounds = 1 / share + self._factors / (1 - share) + abs(self._shifts)
        self._capital = Capital(len(self._metrics), BETS)
        self._watch = Alarm(len(self._metrics), BETS)
