"""The arms of an agent, by the names that its table gives.

    arms = arms_of(("executor", "retriever", "our_arms:forecast"), Means(checker, settings.sandbox))

Ours are made of what `Means` has; any other name is a Python function (`function.py`). Tools of
MCP servers ("mcp.NAME") are another room's.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from octoplex.agents.arms.actions import Actions, Acts
from octoplex.agents.arms.coder import coder
from octoplex.agents.arms.executor import executor
from octoplex.agents.arms.function import loaded
from octoplex.agents.arms.guardian import GUARDIAN
from octoplex.agents.arms.model import MODEL
from octoplex.agents.arms.retriever import retriever
from octoplex.agents.arms.running import Runner
from octoplex.agents.arms.thinkers import JUDGE, planner
from octoplex.agents.arms.web import Web
from octoplex.agents.capability import Checker
from octoplex.agents.words import Arm
from octoplex.sandbox.config import SandboxTable
from octoplex.transport.resolve import Ask


class Means(Struct, frozen=True):
    """What arms are made of. Without a checker they take no tokens: `World.allow` decides.

    `ask` looks names up and `context` trusts certificates, both for tests.
    """

    checker: Checker | None = None
    sandbox: SandboxTable = SandboxTable()
    ask: Ask | None = None
    context: ssl.SSLContext | None = None


OURS: Mapping[str, Callable[[Means], Acts]] = MappingProxyType(
    {
        "executor": lambda means: executor(Runner(means.sandbox, means.ask)),
        "coder": lambda means: coder(Runner(means.sandbox, means.ask)),
        "retriever": lambda means: retriever(
            Web(means.sandbox.permitted, means.ask, means.context)
        ),
        "model": lambda _: MODEL,
        "guardian": lambda _: GUARDIAN,
        "judge": lambda _: JUDGE,
    }
)


def arms_of(names: Sequence[str], means: Means) -> dict[str, Arm]:
    """Each arm by its name.

    Raises:
        BadConfig: one is none of ours and cannot be loaded.
    """
    checker = means.checker
    arms: dict[str, Arm] = {
        name: Actions(OURS[name](means), checker) if name in OURS else loaded(name, checker)
        for name in names
        if name != "planner"
    }
    if "planner" in names:  # it plans with all the others
        offers = [offer for arm in arms.values() for offer in arm.offers]
        arms["planner"] = Actions(planner(offers), checker)
    return arms
