"""`agent/NAME` as a route: one target, asked once, which is an agent of this process."""

from collections.abc import Mapping
from typing import Protocol

from octoplex.agents.config import AgentTable
from octoplex.assembly.region import here
from octoplex.routing import Candidate, Lane, Route, Target
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask
from octoplex.wire.error import InvalidCall

AGENT = "agent"
"""Before the slash of an agent's name as a model."""


class Answers(Protocol):
    """The agents of this process."""

    async def answer(self, name: str, ask: Ask) -> Answer:
        """Open an answer that one of them works out."""
        ...

    async def close(self) -> None:
        """Hand on what is under way."""
        ...


class Runs(Protocol):
    """Where agents are, once there are."""

    @property
    def agents(self) -> Answers | None: ...


def route_of(tables: Mapping[str, AgentTable], runs: Runs, name: str) -> Route | None:
    """The route of an agent; None where the file has none of this name."""
    if name not in tables:
        return None

    async def answer(ask: Ask) -> Answer:
        agents = runs.agents
        if agents is None:
            raise InvalidCall(
                "Agents do not run in this process; with several workers ask by POST, not by a "
                "websocket.",
                param="model",
            )
        return await agents.answer(name, ask)

    full = f"{AGENT}/{name}"
    target = Target(name=full, provider=AGENT, model=name, reasons_silently=True, outside=here)
    lanes = (Lane("", answer),)
    return Route(name=full, candidates=(Candidate(target, lanes),), attempts=1, rescue="off")
