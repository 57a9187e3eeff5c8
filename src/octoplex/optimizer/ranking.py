"""How well requests are ranked by what they gain from the better model, whatever the threshold.

    ranked(scores, gains)        -> Ranking(half=30.1, most=63.8, area=.645)

As the better model answers more requests, those with the highest scores first, quality rises from
that of the cheaper one to its own; the share of that gap which is made up is looked at after every
tenth of the requests, and drawn straight between. A random order gives 50, 80 and 0.5.

Reference: Ong et al., RouteLLM (2024), section 5: CPT(50%), CPT(80%) and APGR.
"""

import msgspec
import numpy as np

from octoplex.optimizer.features import Values

STEPS = 10


class Ranking(msgspec.Struct, frozen=True):
    """Lower, lower and higher is better."""

    half: float
    """Percent of requests that the better model must answer for half of the gap."""
    most: float
    """The same for four fifths of it."""
    area: float
    """Share of the gap that is made up, averaged over all thresholds."""


def ranked(scores: Values, gains: Values) -> Ranking | None:
    """Rank by `scores`, highest first; `gains` are of quality. None: there is no gap.

    Requests with equal scores count as if each had gained what they gain on average.
    """
    if gains.sum() <= 0:
        return None
    _, alike, count = np.unique(-scores, return_inverse=True, return_counts=True)
    mean = (np.bincount(alike, gains) / count)[alike]
    made_up = np.concatenate(([0.0], np.cumsum(mean[np.argsort(alike, kind="stable")])))
    asked = np.linspace(0, 1, STEPS + 1)
    share = made_up[np.round(asked * len(scores)).astype(int)] / made_up[-1]
    reached = np.maximum.accumulate(share)
    half, most = (100 * float(np.interp(part, reached, asked)) for part in (0.5, 0.8))
    return Ranking(half, most, float(np.trapezoid(share, asked)))
