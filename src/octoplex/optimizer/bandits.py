"""What contextual bandits would have done with the same requests, features and feedback: baselines.

    bandits(contexts(seen), quality, costs, plan, Random(1))   -> {"LinUCB": variants, "LinTS": ...}

Each knows of a request what the loop knows, folded into `SIZE` figures by random signs, and learns
of every variant a line from there to the quality of its answers. It serves the cheapest variant
whose quality, hoped for (LinUCB) or drawn from what is known (LinTS), is at least the share of the
reference's that is promised. As in traffic it is told only what the answer was worth that it gave,
and only of the share of requests that are judged; it pays for no pairs.

They are here to be compared with: they promise nothing, and where feedback is sparse, hoping
serves what nobody knows to be good.

References: Li, Chu, Langford & Schapire, A Contextual-Bandit Approach to Personalized News Article
Recommendation (2010); Agrawal & Goyal, Thompson Sampling for Contextual Bandits with Linear Payoffs
(2013).
"""

from collections.abc import Sequence
from random import Random

import numpy as np

from octoplex.optimizer.features import WIDTH, Places, Seen, Values
from octoplex.optimizer.loop import Plan

SIZE = 64
SPREAD = 0.5
"""How far hope and draws go: the standard deviation of an outcome that is 0 or 1, at most."""


def contexts(seen: Sequence[Seen]) -> Values:
    """Requests as bandits see them: one, and random sums of their features. Shape (n, SIZE + 1)."""
    signs = np.random.default_rng(0).choice(np.array([-1.0, 1.0], np.float32), (WIDTH, SIZE))
    signs /= SIZE**0.5
    return np.array([[1.0, *(one.values @ signs[one.places])] for one in seen])


def bandits(
    asked: Values, quality: Values, costs: Values, plan: Plan, random: Random
) -> dict[str, Places]:
    """Who would have served each request. Shapes: (n, SIZE + 1), (n, variants) twice -> (n,)."""
    told = np.random.default_rng(random.getrandbits(64))
    judged = told.random(len(asked)) < plan.feedback
    return {
        name: _served(asked, quality, costs, plan.loss, judged, draws)
        for name, draws in (("LinUCB", None), ("LinTS", told))
    }


def _served(
    asked: Values,
    quality: Values,
    costs: Values,
    loss: float,
    judged: np.ndarray[tuple[int], np.dtype[np.bool_]],
    draws: np.random.Generator | None,
) -> Places:
    """Between two judged answers nothing is learned, so all of those are served at once."""
    size, variants = asked.shape[1], quality.shape[1]
    inverse, lessons = np.stack([np.eye(size)] * variants), np.zeros((variants, size))
    chosen, begin = np.zeros(len(asked), np.int64), 0
    for end in [*(np.nonzero(judged)[0] + 1), len(asked)]:
        some = asked[begin:end]
        lines = np.einsum("vij,vj->vi", inverse, lessons)
        width = np.sqrt(np.einsum("ni,vij,nj->nv", some, inverse, some, optimize=True))
        luck = 1.0 if draws is None else draws.standard_normal(width.shape)
        hope = some @ lines.T + SPREAD * luck * width
        enough = hope >= (1 - loss) * hope[:, :1]
        enough[:, 0] = True
        chosen[begin:end] = np.where(enough, costs[begin:end], np.inf).argmin(1)
        if end > begin and judged[end - 1]:
            last, who = asked[end - 1], chosen[end - 1]
            moved = inverse[who] @ last
            inverse[who] -= np.outer(moved, moved) / (1 + last @ moved)
            lessons[who] += quality[end - 1, who] * last
        begin = end
    return chosen
