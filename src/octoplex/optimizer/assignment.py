"""Which variant a unit gets, always the same one; and whether as many came as should have.

A unit is whatever should not see two variants: a user, a conversation, a request. Each variant
draws a number from the hash of experiment, variant and unit; the greatest, bent by the weights,
wins. So a variant that is added takes its share evenly from the others and moves nobody else,
and one that is taken away leaves all others where they are (weighted rendezvous hashing).

`Mismatch` compares how many results each variant has with its share of the units: where a
variant crashes, is cached or loses feedback, the rest is no fair comparison any more. Its
evidence is what a Dirichlet mixture says of the counts against the shares, a martingale while
assignment is as it should be: looked at whenever, P(ever >= 1 / alpha) <= alpha.

References: Schindelhauer & Schomaker, Weighted distributed hash tables (2005); Lindon & Malek,
Anytime-valid inference for multinomial count data (2022). Not promised: which variant is the
one that is wrong.
"""

from collections.abc import Mapping
from hashlib import blake2b
from math import lgamma, log

FIRMNESS = 100.0
"""Units that the shares are worth in the mixture: the more, the smaller what is found first."""


def uniform(*words: str) -> float:
    """A number above 0 and below 1 that is always the same for these words."""
    said = "\x1f".join(words).encode("utf-8", "surrogatepass")
    return (int.from_bytes(blake2b(said, digest_size=6).digest()) + 0.5) / 2**48


def assigned(experiment: str, unit: str, weights: Mapping[str, float]) -> str:
    """The variant of a unit; weights above 0 are shares of any size."""
    return max(weights, key=lambda name: weights[name] / -log(uniform(experiment, name, unit)))


class Mismatch:
    """Evidence that results do not come in the shares in which units were assigned."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._earlier = 0.0
        self._begin(weights)

    def _begin(self, weights: Mapping[str, float]) -> None:
        whole = sum(weights.values())
        self._shares = {name: weight / whole for name, weight in weights.items()}
        self._counts = dict.fromkeys(weights, 0)

    def see(self, variant: str) -> None:
        """One more result of this variant."""
        self._counts[variant] += 1

    def weigh(self, weights: Mapping[str, float]) -> None:
        """From now on these are the shares; evidence up to now stays."""
        self._earlier = self.log()
        self._begin(weights)

    def log(self) -> float:
        """The natural logarithm of the evidence."""
        found = self._earlier + lgamma(FIRMNESS) - lgamma(FIRMNESS + sum(self._counts.values()))
        for name, share in self._shares.items():
            count, prior = self._counts[name], FIRMNESS * share
            found += lgamma(prior + count) - lgamma(prior) - count * log(share)
        return found
