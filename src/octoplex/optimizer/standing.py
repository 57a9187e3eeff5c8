"""Where an experiment is, for whoever assigns units: small, without numpy, told by its owner.

    standing.of("shorter-prompt", "user-7")    -> "short", as long as the round lasts

Written by `jobs/trials.py`, read by `trying.py` in every worker.
"""

from typing import Literal

from msgspec import Struct

from octoplex.optimizer.assignment import assigned, uniform

Phase = Literal["waiting", "running", "canary", "promoted", "rolled back", "no winner", "mismatch"]
"""`waiting`: what is usual is being measured yet; units are assigned, nothing is compared."""


class Standing(Struct, frozen=True):
    """Who gets what now."""

    phase: Phase
    round: int
    """Begins anew whenever other units get a variant."""
    first: str
    """The variant that serves today."""
    running: dict[str, float]
    """The weights of those that take part."""
    winner: str = ""
    share: float = 0.0
    """Of the units, that the winner has on its way to everybody."""
    reason: str = ""

    def of(self, experiment: str, unit: str) -> str:
        """The variant of a unit."""
        if self.phase in ("waiting", "running"):
            return assigned(experiment, unit, self.running)
        if self.phase == "canary":
            is_new = uniform(experiment, "canary", unit) < self.share
            return self.winner if is_new else self.first
        return self.winner if self.phase == "promoted" else self.first

    @property
    def is_over(self) -> bool:
        """Whether nothing is measured any more."""
        return self.phase not in ("waiting", "running", "canary")
