"""A task, as somebody gives it, what happens to it, and how it looks.

    POST /v1/tasks  -> Task  -> events, in their order -> View

A task is nothing but its events: what a terminal shows, `/events` streams and `GET` answers is
folded from them (`agents/view.py`).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal, Protocol

from msgspec import Meta, Struct

from octoplex.agents.plan import Criterion, Plan

Status = Literal["queued", "planning", "running", "waiting", "done", "failed", "cancelled"]
"""`waiting`: for a person. The last three are for good."""
Priority = Literal["low", "medium", "high", "critical"]
EventKind = Literal[
    "task.queued",
    "task.planning",
    "plan.rejected",
    "plan.made",
    "step.started",
    "step.progress",
    "step.done",
    "step.failed",
    "step.skipped",
    "step.retried",
    "approval.asked",
    "approval.given",
    "repair.begun",
    "criterion.checked",
    "task.resumed",
    "task.done",
    "task.failed",
    "task.cancelled",
]


class Budget(Struct, frozen=True, omit_defaults=True):
    """The most that a task may use of each."""

    dollars: Annotated[float, Meta(ge=0, le=10_000)] = 1.0
    tokens: Annotated[int, Meta(ge=1, le=100_000_000)] = 1_000_000
    seconds: Annotated[float, Meta(gt=0, le=7 * 86_400)] = 600.0
    steps: Annotated[int, Meta(ge=1, le=1_000)] = 60


class Task(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What somebody wants done. The body of `POST /v1/tasks`."""

    goal: Annotated[str, Meta(min_length=1, max_length=10_000)]
    agent: str = ""
    """A name of `[agents]`; "" is the usual one."""
    context: Annotated[str, Meta(max_length=50_000)] = ""
    constraints: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    acceptance_criteria: Annotated[tuple[str | Criterion, ...], Meta(max_length=100)] = ()
    """Text is for a model judge."""
    budget: Budget | None = None
    """Never more than the agent's own limits."""
    priority: Priority = "medium"
    workspace: str = ""
    """A folder that the agent may use; "" is a new one."""
    allow: tuple[str, ...] | None = None
    """Narrows what the agent is allowed; never widens it."""
    approve: Literal["", "never", "side-effects", "always"] = ""
    model: str = ""
    """For every role, instead of the agent's."""
    plan_only: bool = False
    plan: Plan | None = None
    """Given: nothing is planned, but it is looked at like any other."""
    metadata: Annotated[dict[str, Annotated[str, Meta(max_length=1_000)]], Meta(max_length=50)] = {}
    """Kept with each of its requests."""


class Event(Struct, frozen=True, omit_defaults=True):
    """Something that happened. `number` counts from 1 in a task, without gaps."""

    number: int
    kind: EventKind
    at_ms: int
    step: str = ""
    body: dict[str, Any] = {}


class Journal(Protocol):
    """What is known to have happened to one task. What it has is never done again.

    What `once` and `begin` keep is JSON, on disk before the call returns, with all that was told
    before, and there again in another process that takes the task over.
    """

    @property
    def events(self) -> list[Event]:
        """All so far."""
        ...

    @property
    def kept(self) -> Mapping[str, Any]:
        """What `once` has kept, in this life and before, by its keys."""
        ...

    async def once(self, key: str, do: Callable[[], Awaitable[Any]], *, later: bool = False) -> Any:
        """What is kept under this key; else what `do` gives, which is kept first.

        `later`: doing it again would cost nothing, so it is kept with what is kept next.
        """
        ...

    async def begin(self, key: str) -> bool:
        """Mark that something begins; True where an earlier life of the task had marked it."""
        ...

    async def tell(self, kind: EventKind, step: str = "", **body: Any) -> None:
        """Add an event; it is kept with what is kept next, or soon.

        Those that a life before had told under the same circumstances are not told again by who
        calls this: `once` and `begin` say what was.
        """
        ...

    async def told(self, topic: str) -> Any:
        """Wait until somebody says something of this topic from outside (an approval); kept."""
        ...
