"""The routes that learn, as the rest of the gateway knows them.

    learning = learning_of(plan, works)         None where no route learns, which costs nothing
    chain = Chain(..., pick=learning.choosers)
    learning.around(routed, chain)              the layer that makes pairs
    learning.begin()                            once the configuration is in force

numpy is an extra: it is imported when a route learns, and not before.
"""

from collections.abc import Mapping
from typing import Protocol

from octoplex.assembly.plan import Plan
from octoplex.assembly.works import Works
from octoplex.routing import Chain, Chooser
from octoplex.wire.answer import Answerer


class Learning(Protocol):
    """The routes of one configuration that learn."""

    @property
    def choosers(self) -> Mapping[str, Chooser]:
        """Every chooser by its name in the file."""
        ...

    def around(self, inner: Answerer, chain: Chain) -> Answerer:
        """The layer around routing that makes pairs; `chain` asks rivals and judges."""
        ...

    def begin(self) -> None:
        """The configuration is in force."""
        ...


def learning_of(plan: Plan, works: Works) -> Learning | None:
    """The routes that learn; None where none does.

    Raises:
        BadConfig: a judge is none.
    """
    if not plan.courses:
        return None
    from octoplex.assembly.classroom import Classroom

    return Classroom(plan, works)
