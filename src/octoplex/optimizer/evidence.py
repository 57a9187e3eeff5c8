"""Evidence that holds whenever one looks: capital of a gambler who bets against the claim.

`Capital` grows when the claim "on average this is at least zero" is true, and against its
opposite it hardly ever does. Let X_i lie above -1/max(BETS), be seen one after another, and mu_i
be what X_i is on average given all before. For one bet b > 0 the product of (1 + b X_i)/(1 + b
mu_i) is a martingale that begins at 1; if mu_1 + .. + mu_n <= 0, the product of (1 + b mu_i) is
at most exp(b * 0) = 1, so the capital, the product of (1 + b X_i), is at most that martingale. So
is the mean over several bets, and by Ville's inequality

    P(at any time n: mu_1 + .. + mu_n <= 0, and the capital >= 1 / alpha)  <=  alpha

whatever depends on whatever, with any peeking and stopping. That is why a bet may not change in
time: with changing ones only "some mu_i > 0" would be shown. Not "each of them" either: it is the
average that is promised, over those rounds in which was bet.

`Alarm` is the other way round: an e-CUSUM, which finds that the claim no longer holds. Each round
it may begin anew (the maximum with 1), so it forgets how good it has been; while the claim holds,
the mean time to a false alarm is at least its threshold.

References: Ville (1939); Waudby-Smith & Ramdas, Estimating means of bounded random variables by
betting (JRSS B, 2024); Shin, Ramdas & Rinaldo, E-detectors (2024).
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Capital:
    """The capitals of several claims at once, which see the same rounds."""

    def __init__(self, claims: int, bets: tuple[float, ...]) -> None:
        self._bets = np.array(bets)[:, None]
        self._logs = np.zeros((len(bets), claims))
        self.rounds = np.zeros(claims, np.int64)

    def see(self, outcomes: Array, betting: npt.NDArray[np.bool_]) -> None:
        """One round: `outcomes` of each claim, and for which of them is bet.

        Raises:
            ValueError: an outcome below what the bets allow.
        """
        grown = 1 + self._bets * np.where(betting, outcomes, 0.0)[None, :]
        if not (grown > 0).all():
            raise ValueError(f"an outcome of {outcomes.min()} is below -{1 / self._bets.max():.3f}")
        self._logs += np.log(grown)
        self.rounds += betting

    def logs(self) -> Array:
        """The natural logarithm of each claim's capital."""
        most = self._logs.max(axis=0)
        mean: Array = most + np.log(np.exp(self._logs - most).mean(axis=0))
        return mean


class Alarm:
    """e-CUSUMs of several claims at once; above `threshold` (log) one no longer holds."""

    def __init__(self, claims: int, bets: tuple[float, ...]) -> None:
        self._bets = np.array(bets)[:, None]
        self._logs = np.zeros((len(bets), claims))
        self.since = np.zeros((len(bets), claims), np.int64)
        """Rounds since each began anew: when what is wrong began."""

    def see(self, outcomes: Array) -> None:
        """One round; an outcome must lie below 1/bet."""
        grown = np.maximum(1e-9, 1 - self._bets * outcomes[None, :])
        begun = self._logs <= 0
        self.since = np.where(begun, 1, self.since + 1)
        self._logs = np.maximum(self._logs, 0) + np.log(grown)

    def logs(self) -> Array:
        """The natural logarithm of each claim's evidence that it is broken."""
        most = self._logs.max(axis=0)
        mean: Array = most + np.log(np.exp(self._logs - most).mean(axis=0))
        return mean

    def began(self, claim: int) -> int:
        """How many rounds ago the strongest evidence against a claim began."""
        return int(self.since[int(self._logs[:, claim].argmax()), claim])
