"""How much better or worse than the reference a variant will answer: learned from judged pairs.

    lessons = Lessons(); lessons.add(seen, difference); scorer = lessons.fit()
    scorer.of(seen)                      -> expected quality of the variant - the reference's

Bayesian ridge regression: weights of words, form, segment and key are drawn to nothing, so a
segment of which little is known is judged as its key is, and that as everybody is. A question that
was judged before has an effect of its own beside its words. Old lessons count less
(`FORGETTING`). How much is noise, and how much the question's own, is what makes the lessons
most probable.

In the dual, since there are fewer lessons than places: one solve of n x n (0.6 s at 2,000, 3 s at
`MOST`), then a scorer is a number per place and one per known question.

References: Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), 2.2 and 5.4.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from octoplex.optimizer.features import WIDTH, Seen, Values, flat, gram

MOST = 4_000
"""Lessons that are learned from, the newest."""
FORGETTING = 0.9998
"""What a lesson counts after the next one, of what it counted."""
NOISES = (4.0, 8.0, 16.0, 32.0)
OWN = (0.02, 0.2, 0.5, 0.8)
"""Shares of the noise that are the question's own, the same when it is asked again."""
TRIED = 400
"""Lessons on which these are chosen."""


class Scorer(NamedTuple):
    """What was learned of one variant; never changed."""

    weights: npt.NDArray[np.float32]
    known: dict[int, float]
    """By `Features.prompt`, to be added."""
    mean: float

    def of(self, seen: Seen) -> float:
        """The expected difference of quality, -1..1."""
        found = float(self.weights[seen.places] @ seen.values) + self.mean
        return found + self.known.get(seen.prompt, 0.0)


NOTHING = Scorer(np.zeros(WIDTH, np.float32), {}, -1.0)
"""Of a variant of which nothing is known: as bad as can be."""


class Lessons:
    """Judged pairs of one variant, each with what it was asked, oldest first."""

    def __init__(self) -> None:
        self._asked: list[Seen] = []
        self._differences: list[float] = []

    def __len__(self) -> int:
        return len(self._asked)

    def add(self, seen: Seen, difference: float) -> None:
        """One more: the variant's quality less the reference's."""
        self._asked.append(seen)
        self._differences.append(difference)
        if len(self._asked) > MOST + 500:
            del self._asked[:500], self._differences[:500]

    def keep(self, newest: int) -> None:
        """Forget all but so many."""
        del self._asked[: max(0, len(self) - newest)]
        del self._differences[: max(0, len(self._differences) - newest)]

    def fit(self) -> Scorer:
        """Learn from all of them."""
        number: dict[int, int] = {}
        group = np.array([number.setdefault(seen.prompt, len(number)) for seen in self._asked])
        first = [0] * len(number)
        for at, place in enumerate(group):
            first[place] = at
        age = np.arange(len(group))[::-1]
        count = FORGETTING**age
        told = np.array(self._differences)
        mean = float(told @ count / (count.sum() + 1))
        heard: Values = np.bincount(group, count).astype(np.float64)
        residual: Values = np.bincount(group, (told - mean) * count) / heard
        rows = [self._asked[at] for at in first]
        alike = gram(rows).astype(np.float64)
        noise, own = _likely(alike[-TRIED:, -TRIED:], residual[-TRIED:], heard[-TRIED:])
        told_by = np.linalg.solve(alike + np.diag(_diagonal(noise, own, heard)), residual)
        places, values, owners = flat(rows)
        weights = np.bincount(places, values * told_by[owners], WIDTH).astype(np.float32)
        known = {prompt: noise * own * float(told_by[at]) for prompt, at in number.items()}
        return Scorer(weights, known, mean)


def _diagonal(noise: float, own: float, heard: Values) -> Values:
    return noise * (own + (1 - own) / heard)


def _likely(alike: Values, residual: Values, heard: Values) -> tuple[float, float]:
    """The noise and the question's own share of it that make these residuals most probable.

    The scale of everything cancels: its most probable value is put in.
    """
    size = len(residual)
    whole = np.empty((size + 1, size + 1))
    whole[:size, :size], whole[size, :size], whole[:size, size] = alike, residual, residual
    plain, at = np.diag(alike), np.arange(size)
    best, chosen = -np.inf, (NOISES[1], OWN[1])
    for noise in NOISES:
        for own in OWN:
            diagonal = _diagonal(noise, own, heard)
            whole[at, at] = plain + diagonal
            whole[size, size] = 1 + residual @ residual / diagonal.min()  # so it has a root
            root = np.linalg.cholesky(whole)
            white = root[size, :size]  # the residual divided by the root: no solve is needed
            spread = np.log(np.diag(root)[:size]).sum()
            likely = -spread - size / 2 * np.log(white @ white + 1e-9)
            if likely > best:
                best, chosen = likely, (noise, own)
    return chosen
