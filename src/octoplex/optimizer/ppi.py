"""A mean of what people would say, from many scores of a judge and few labels of people.

    seen = Judged(); seen.see(scores, propensities, labels)      NaN where nobody was asked
    seen.interval(0.05)

Scores are cheap and biased. Of a few answers, drawn with a known propensity, a label is had
too; what they show of the judge's error is taken off all scores:

    q(score) + labelled / propensity * (label - q(score))

is on average the label, whatever the judge says, so its bias is inside the bound and not an
assumption. It is the doubly robust estimate of `offpolicy.py`, where "labelled" is what was
chosen, with its bounds: at all times at once, of the average label over all answers so far. The
better the judge, the narrower.

q is a line through the labels before: a judge that is too mild is set right, one that knows
nothing is ignored, so it does no harm. Whom to ask may depend on the score and on all before
(ask where the judge is unsure), only the propensity must be true, and above 0 for every answer.

References: Angelopoulos et al., Prediction-powered inference (2023); Angelopoulos, Duchi &
Zrnic, PPI++ (2023); Zrnic & Candes, Active statistical inference (2024). Not promised: anything
of a label's own error.
"""

import numpy as np

from octoplex.optimizer.offpolicy import CAPS, Rows, Weighted
from octoplex.optimizer.sequences import Array, Interval

TRUST = 10.0
"""Labels that the judge's own word weighs as much as."""


def bound_of(labels: float) -> float:
    """How many times further below 0 the difference of two corrected values may lie than that of
    two values of 0..1: each lies in 1 - 1 / labels .. 1 / labels. 1 without labels."""
    return 2 / labels - 1 if labels else 1.0


class Judged:
    """The average label of everything that was judged."""

    def __init__(self) -> None:
        self.lower, self.upper = Weighted(CAPS), Weighted(CAPS)
        """The evidence that the average is above a value, and that 1 - it is."""
        self._moments = TRUST * np.array([1, 0.5, 0.5, 0.3, 0.3])
        """Of labelled ones: count, sums of score, label, score * score, score * label."""
        self.rounds, self.labels, self._total = 0, 0, 0.0

    def see(self, scores: Array, propensities: Array, labels: Array) -> None:
        """Answers in their order: the judge's score, how probably a label was asked for, the label.

        Of a long log give some at a time: the line is drawn anew at each call.

        Raises:
            ValueError: a number out of its range.
        """
        if not len(scores):
            return
        asked = ~np.isnan(labels)
        told = np.where(asked, labels, 0.0)
        if not ((scores >= 0) & (scores <= 1) & (told >= 0) & (told <= 1)).all():
            raise ValueError("a score or a label is not from 0 to 1")
        if not ((propensities > 0) & (propensities <= 1)).all():
            raise ValueError("a propensity is not above 0 and at most 1")
        rows = Rows(propensities, asked, told, self._line(scores))
        self.lower.see(rows)
        self.upper.see(rows._replace(reward=1 - told, estimate=1 - rows.estimate))
        weights = np.where(asked, 1 / propensities, 0.0)
        self._total += float(rows.estimate.sum() + weights @ (told - rows.estimate))
        self.rounds += len(scores)
        self.labels += int(asked.sum())
        s, y, each = scores[asked], told[asked], weights[asked] * (propensities.sum() / len(scores))
        self._moments = self._moments + [each @ v for v in (np.ones(len(s)), s, y, s * s, s * y)]

    def _line(self, scores: Array) -> Array:
        count, s, y, ss, sy = self._moments
        slope = (sy - s * y / count) / (ss - s * s / count)
        line: Array = np.clip(y / count + slope * (scores - s / count), 0.0, 1.0)
        return line

    @property
    def estimate(self) -> float:
        """The mean, the judge set right; may lie a little outside of 0..1; 0 before anything."""
        return self._total / self.rounds if self.rounds else 0.0

    def interval(self, alpha: float) -> Interval:
        """Where the average label is, but for a chance of alpha in all time."""
        lower, upper = self.lower.bound(alpha / 2), 1 - self.upper.bound(alpha / 2)
        return Interval(self.estimate, lower, upper)
