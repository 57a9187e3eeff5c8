"""A made-up route, whose notes are as the path would write them."""

from collections.abc import Iterator
from random import Random

import numpy as np

from octoplex.optimizer.features import features_of
from octoplex.optimizer.loop import Loop, Plan
from octoplex.optimizer.notes import Note, Noticed, Pair

WORDS = ("pool", "river", "stone", "price", "order", "refund", "sum", "proof", "lemma", "poem")
REQUESTS = 700
"""After so many some rungs are certified."""
PLAN = Plan(("big", "small"), loss=0.2, feedback=0.5)
"""Much may be lost, so little must be seen."""
COSTS = (0.01, 0.001)


def notes(loop: Loop, count: int, seed: int = 1, bad_from: int = 10**9) -> Iterator[Note]:
    """What `count` requests leave behind, decided by the policies of a loop that hears of it too.

    The small model is as good, but for what is asked of lemmas and, from `bad_from` on, for all.
    """
    random = Random(seed)
    for number in range(count):
        words = random.choices(WORDS, k=6)
        features = features_of(" ".join([*words, str(number)]))
        noticed = Noticed(features, COSTS)
        costs = np.array(COSTS)
        decision = loop.decide(features, costs)
        yield noticed
        if decision.is_judged:
            small = "lemma" not in words and number < bad_from
            quality = (1.0, float(small and random.random() < 0.97))
            yield Pair(f"req_{number}", features, decision, *quality, "exact-match", 1_000_000)
            loop.judged(features, decision, quality)
