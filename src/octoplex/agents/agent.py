"""Who carries tasks out, and one task in its hands.

An `Agent` is what a table `[agents.NAME]` says; an `Assignment` is a task with everything that is
needed to run it, and all that `orchestrator.run` is given but for the journal.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from octoplex.agents.plan import Plan
from octoplex.agents.task import Budget, Priority, Task
from octoplex.agents.words import Arm, Models, Offer, Order, World

Approve = Literal["never", "side-effects", "always"]
"""When a person is asked before a step. `never`: what may not be done without asking is refused."""
Mint = Callable[[Order, Offer, tuple[str, ...]], str]
"""(an order without its grant, what its arm offers, what the agent is allowed) -> the token, no
wider than the step needs (`capability.py`)."""


class Swarm(Struct, frozen=True):
    """When several attempts are made at the same step (`swarm.py`), how many, for how much."""

    attempts: Annotated[int, Meta(ge=2, le=10)] = 3
    priorities: tuple[Priority, ...] = ("critical",)
    """Tasks of these priorities are swarmed."""
    is_forced: bool = False
    """Whether all of them are."""
    dollars: Annotated[float, Meta(ge=0, le=1_000)] = 5.0
    """The most that one swarm may cost, beside what its step may."""


class Agent(Struct, frozen=True, kw_only=True):
    """Models per role, what is allowed, and how far it may go."""

    name: str = ""
    planner: str = ""
    """A route or provider/model, as are the other roles."""
    worker: str = ""
    judge: str = ""
    allow: tuple[str, ...] = ()
    limits: Budget = Budget()
    approve: Approve = "side-effects"
    repairs: Annotated[int, Meta(ge=0, le=5)] = 2
    is_small: bool = False
    """The planner is a small model: it is shown a short prompt and the simplest form of plan."""
    at_once: Annotated[int, Meta(ge=1, le=64)] = 8
    """Steps that may run at once in one task."""
    swarm: Swarm = Swarm()


class Assignment(Struct, frozen=True, kw_only=True):
    """A task and all it takes to run it."""

    id: str
    task: Task
    agent: Agent
    arms: Sequence[Arm]
    world: World
    """As arms are shown it, but for the way to models: that is made for each step."""
    models: Models
    mint: Mint | None = None
    revoke: Callable[[str], None] | None = None
    """Ends all tokens of a task, by its id, when it is over or given up here."""
    plan: Plan | None = None
    """Given: nothing is planned, but it is looked at like any other."""
