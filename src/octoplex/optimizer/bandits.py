"""What contextual bandits would have done with the same requests, features and feedback: baselines.

    bandits(contexts(seen), quality, costs, plan, Random(1))   -> {"LinUCB": variants, ...}

Each knows of a request what the loop knows, folded into `SIZE` figures by random signs, and learns
of every variant a line from there to the quality of its answers. LinUCB and LinTS serve the
cheapest variant whose quality, hoped for or drawn from what is known, is at least the share of the
reference's that is promised. SquareCB weighs quality against cost, the whole cost of the reference
against what may be lost, serves what seems best, and others the more rarely the more they seem to
be worth less. As in traffic they are told only what the answer was worth that they gave, and only
of the share of requests that are judged; they pay for no pairs.

They are here to be compared with: they promise nothing, and where feedback is sparse, hoping
serves what nobody knows to be good.

References: Li, Chu, Langford & Schapire, A Contextual-Bandit Approach to Personalized News Article
Recommendation (2010); Agrawal & Goyal, Thompson Sampling for Contextual Bandits with Linear Payoffs
(2013); Foster & Rakhlin, Beyond UCB: Optimal and Efficient Contextual Bandits with Regression
Oracles (2020).
"""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import NamedTuple

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
        name: _served(asked, quality, costs, judged, partial(choose, plan.loss, told))
        for name, choose in (("LinUCB", _hoped), ("LinTS", _drawn), ("SquareCB", _squared))
    }


class Known(NamedTuple):
    """What is known of some requests. Shapes: (n, variants)."""

    mean: Values
    """Of the quality of each answer."""
    width: Values
    """How little, in standard deviations of an outcome."""
    costs: Values
    judged: int
    """Answers of which it was learned."""


def _hoped(loss: float, told: np.random.Generator, known: Known) -> Places:
    return _cheapest(known.mean + SPREAD * known.width, loss, known)


def _drawn(loss: float, told: np.random.Generator, known: Known) -> Places:
    luck = told.standard_normal(known.width.shape)
    return _cheapest(known.mean + SPREAD * luck * known.width, loss, known)


def _cheapest(hope: Values, loss: float, known: Known) -> Places:
    enough = hope >= (1 - loss) * hope[:, :1]
    enough[:, 0] = True
    chosen: Places = np.where(enough, known.costs, np.inf).argmin(1)
    return chosen


def _squared(loss: float, told: np.random.Generator, known: Known) -> Places:
    count, mean = known.mean.shape[1], known.mean
    dollars = known.costs / np.maximum(known.costs[:, :1], 1e-12)
    worth = mean - loss * mean[:, :1] * dollars
    gap = worth.max(1, keepdims=True) - worth
    shares = 1 / (count + (count * known.judged) ** 0.5 * gap)
    shares[np.arange(len(worth)), worth.argmax(1)] += 1 - shares.sum(1)
    chosen: Places = (shares[:, :-1].cumsum(1) <= told.random((len(worth), 1))).sum(1)
    return chosen


def _served(
    asked: Values,
    quality: Values,
    costs: Values,
    judged: np.ndarray[tuple[int], np.dtype[np.bool_]],
    choose: Callable[[Known], Places],
) -> Places:
    """Between two judged answers nothing is learned, so all of those are served at once."""
    size, variants = asked.shape[1], quality.shape[1]
    inverse, lessons = np.stack([np.eye(size)] * variants), np.zeros((variants, size))
    chosen, begin = np.zeros(len(asked), np.int64), 0
    for number, end in enumerate([*(np.nonzero(judged)[0] + 1), len(asked)]):
        some = asked[begin:end]
        lines = np.einsum("vij,vj->vi", inverse, lessons)
        width = np.sqrt(np.einsum("ni,vij,nj->nv", some, inverse, some, optimize=True))
        chosen[begin:end] = choose(Known(some @ lines.T, width, costs[begin:end], number))
        if end > begin and judged[end - 1]:
            last, who = asked[end - 1], chosen[end - 1]
            moved = inverse[who] @ last
            inverse[who] -= np.outer(moved, moved) / (1 + last @ moved)
            lessons[who] += quality[end - 1, who] * last
        begin = end
    return chosen
