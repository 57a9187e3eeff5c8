"""The arms of an agent, by the names that its table gives.

    arms = arms_of(("executor", "retriever", "our_arms:forecast"), Means(checker, settings.sandbox))

Ours are made of what `Means` has; any other name is a Python function (`function.py`). Tools of
MCP servers ("mcp.NAME") are another room's.
"""

import ipaddress
import ssl
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from octoplex.agents.arms.actions import Actions
from octoplex.agents.arms.coder import coder_arm
from octoplex.agents.arms.executor import executor_arm
from octoplex.agents.arms.function import loaded
from octoplex.agents.arms.guardian import guardian_arm
from octoplex.agents.arms.model import model_arm
from octoplex.agents.arms.retriever import retriever_arm
from octoplex.agents.arms.running import Runner
from octoplex.agents.arms.thinkers import judge_arm, planner_arm
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

    def runner(self) -> Runner:
        """Who runs programs."""
        return Runner(self.sandbox, self.ask)

    def web(self) -> Web:
        """Who fetches pages."""
        networks = [ipaddress.ip_network(text) for text in self.sandbox.networks]
        return Web(networks, self.ask, self.context)


OURS: Mapping[str, Callable[[Means], Actions]] = MappingProxyType(
    {
        "executor": lambda means: executor_arm(means.runner(), means.checker),
        "coder": lambda means: coder_arm(means.runner(), means.checker),
        "retriever": lambda means: retriever_arm(means.web(), means.checker),
        "model": lambda means: model_arm(means.checker),
        "guardian": lambda means: guardian_arm(means.checker),
        "judge": lambda means: judge_arm(means.checker),
    }
)


def arms_of(names: Sequence[str], means: Means) -> dict[str, Arm]:
    """Each arm by its name.

    Raises:
        BadConfig: one is none of ours and cannot be loaded.
    """
    arms: dict[str, Arm] = {
        name: OURS[name](means) if name in OURS else loaded(name, means.checker)
        for name in names
        if name != "planner"
    }
    if "planner" in names:  # it plans with all the others
        offers = [offer for arm in arms.values() for offer in arm.offers]
        arms["planner"] = planner_arm(offers, means.checker)
    return arms
