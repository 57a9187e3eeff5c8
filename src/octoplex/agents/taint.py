"""Where text of strangers has got to in a task, and what may therefore not happen unasked.

A step's output is tainted when its arm brings text of strangers, says so of this one, or was given
tainted inputs. A plan is *fixed* when it was made before any such text had come in: a model that
obeys what it reads can then change what flows through its steps, but not which there are.

                                   fixed plan                    plan made after it
    effect "none", stays here      runs                          runs
    effect "repeatable"            runs                          a person is asked
    effect "once", net:, mcp:      asked if inputs are tainted   a person is asked

Files carry text, too: once a step begins that may leave text of strangers in them, what an outward
step reads of the workspace counts as an input that is tainted; an outward step that has begun
before is waited for (`consent.py`).

Whether a step's *condition* depends on such text is not looked at: which of the branches that a
trusted plan foresaw is taken is what the goal asked for.

Reference: Debenedetti et al., Defeating Prompt Injections by Design (2025), on control and on data
flow.
"""

from collections.abc import Mapping

from octoplex.agents.agent import Approve
from octoplex.agents.capability import leaves
from octoplex.agents.faults import gravest
from octoplex.agents.plan import Step
from octoplex.agents.references import sources
from octoplex.agents.words import Offer, Outcome


class Taint:
    """What is known of one task."""

    def __init__(self, offers: Mapping[str, Offer]) -> None:
        self.has_entered = False
        self._offers = offers
        self._tainted: set[str] = set()
        self._loose: set[str] = set()
        self._has_left_files = False
        """Whether text of strangers may be in files of the workspace."""
        self._writing: set[str] = set()
        """Runs under way that may be putting it there."""

    def had_begun(self, actions: Mapping[str, str]) -> None:
        """Runs by their ids, with what they do, that earlier lives had begun. Until it is known
        what came of them, text of strangers may be in what they have written."""
        offers = {run: self._offers[name] for run, name in actions.items() if name in self._offers}
        if any(offer.brings_untrusted for offer in offers.values()):
            self._writing |= {r for r, o in offers.items() if _uses(o, "write:workspace")}

    def planned_after(self, *steps: str) -> None:
        """These steps were planned after text of strangers had come in."""
        self._loose.update(steps)

    def begins(self, step: Step, run: str) -> None:
        """A run of a step is about to begin."""
        offer = self._offers[step.arm]
        if (offer.brings_untrusted or self.reaches(step)) and _uses(offer, "write:workspace"):
            self._writing.add(run)

    def is_writing(self, run: str) -> bool:
        """Whether a run may be putting text of strangers into files."""
        return run in self._writing

    def ended(self, step: Step, outcome: Outcome, run: str = "") -> None:
        """A run of a step has an outcome."""
        self._writing.discard(run)
        if outcome.is_untrusted or self._offers[step.arm].brings_untrusted or self.reaches(step):
            self.has_entered = True
            self._tainted.add(step.id)
            if outcome.artifacts or _uses(self._offers[step.arm], "write:workspace"):
                self._has_left_files = True

    def reaches(self, step: Step) -> bool:
        """Whether inputs of a step come from text of strangers."""
        return bool((sources(step.inputs) | sources(step.each)) & self._tainted)

    def sends_files(self, step: Step) -> bool:
        """Whether what a step reads of the workspace may leave by it."""
        offer = self._offers[step.arm]
        is_outward = gravest(step, offer) == "once" or leaves(offer)
        return is_outward and _uses(offer, "read:workspace", "write:workspace")

    def objection(self, step: Step, approve: Approve, run: str = "") -> str:
        """Why a person must be asked before a run of a step, "" where nobody need be.

        What begins with "text of strangers" may not be done without, whoever approves nothing.
        """
        offer = self._offers[step.arm]
        effect = gravest(step, offer)
        is_outward = effect == "once" or leaves(offer)
        if step.id in self._loose and (is_outward or effect != "none"):
            return "text of strangers had been read when this step was planned"
        if is_outward and self.reaches(step):
            return "text of strangers is among its inputs"
        if (self._has_left_files or self._writing - {run}) and self.sends_files(step):
            return "text of strangers may be in the files that it reads"
        if approve == "always":
            return "this agent asks before every step"
        if approve == "side-effects" and effect == "once":
            return "it has an effect that cannot be taken back"
        return ""


def _uses(offer: Offer, *what: str) -> bool:
    """Whether an action needs one of these of the workspace, or a part of it."""
    return any(need.startswith(what) for need in offer.needs)
