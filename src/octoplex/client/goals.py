"""A goal goes in, a checked result comes out: agents from Python.

    view = await octoplex.run("Plot the sales per month", workspace="sales", budget="$0.50, 5 min")
    print(view.text, [file.path for file in view.artifacts])

    plan = await octoplex.plan("Plot the sales per month", workspace="sales")
    view = await octoplex.execute(plan, workspace="sales")

They run in this process, at the server that has the data folder, or with `url` and `api_key` at a
gateway elsewhere. What happens on the way is told
to `tell`, an event at a time; a step that wants a person's word asks `approve`, and is denied where
that is not given. Cancelling the call ends the task.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

import msgspec

from octoplex.agents.config import budget_of
from octoplex.agents.plan import Criterion, Plan
from octoplex.agents.task import Event, Task
from octoplex.agents.view import Approval, View, view_of
from octoplex.client.afar import Afar
from octoplex.client.aio import KEY_VARIABLE
from octoplex.client.runs import Runs, open_runs
from octoplex.settings import environment
from octoplex.wire.error import BadConfig, InvalidCall, TaskFailed

Approve = Callable[[Approval], bool | Awaitable[bool]]
BY = "the program"


class Wishes(TypedDict, total=False):
    """What else may be said of a goal.

    `agent` is a name of `[agents]`, `model` a route for every role, `budget` a text as on the
    command line. `config`, `data` and `env`, or `url` and `api_key`, say where the gateway is, as
    for `Octoplex`; behind a URL `workspace` is a name below the folder that the key has there.
    """

    workspace: str
    budget: str
    agent: str
    model: str
    context: str
    constraints: Sequence[str]
    acceptance_criteria: Sequence[str | Criterion]
    allow: Sequence[str]
    metadata: Mapping[str, str]
    approve: Approve
    tell: Callable[[Event], object]
    config: str
    data: str
    url: str
    api_key: str
    env: Mapping[str, str]


_OF_TASK = frozenset(Task.__struct_fields__) & Wishes.__annotations__.keys() - {"approve"}


async def run(goal: str, **wishes: Unpack[Wishes]) -> View:
    """Plan a goal, carry it out, check it.

    Raises:
        TaskFailed: the goal was not reached; says why.
        CallerError: something about it must change.
        OurError: the gateway itself failed.
    """
    return await _done(task_of(goal, wishes), wishes)


async def plan(goal: str, **wishes: Unpack[Wishes]) -> Plan:
    """Plan a goal and carry nothing out.

    Raises: as `run`.
    """
    view = await _done(msgspec.structs.replace(task_of(goal, wishes), plan_only=True), wishes)
    return msgspec.convert(view.plan, Plan)


async def execute(plan: Plan, goal: str = "", **wishes: Unpack[Wishes]) -> View:
    """Carry out a plan, which is looked at first as any other.

    Raises: as `run`.
    """
    goal = goal or plan.why or "Carry out the plan."
    return await _done(msgspec.structs.replace(task_of(goal, wishes), plan=plan), wishes)


def task_of(goal: str, wishes: Mapping[str, Any]) -> Task:
    """The task that somebody means.

    Raises:
        InvalidCall: a wish is none, or is not of its type.
    """
    unknown = wishes.keys() - Wishes.__annotations__.keys()
    if unknown:
        raise InvalidCall(f"There is no {sorted(unknown)[0]!r} to say of a goal.")
    said = {name: value for name, value in wishes.items() if name in _OF_TASK}
    if budget := wishes.get("budget"):
        said["budget"] = budget_of(budget)
    try:
        return msgspec.convert({**msgspec.to_builtins(said), "goal": goal}, Task)
    except msgspec.ValidationError as error:
        raise InvalidCall(f"This is no goal: {error}.") from None


async def _done(task: Task, wishes: Mapping[str, Any]) -> View:
    runs = await _opened(wishes)
    try:
        return await _followed(runs, task, wishes)
    finally:
        await runs.close()


async def _opened(wishes: Mapping[str, Any]) -> Runs:
    config, data, url = wishes.get("config"), wishes.get("data"), wishes.get("url")
    env = environment() if wishes.get("env") is None else wishes["env"]
    if not url:
        return await open_runs(config, data, env)
    if config or data:
        raise BadConfig("Say either url, or config and data: not both.")
    return Afar(url, wishes.get("api_key") or env.get(KEY_VARIABLE), env)


async def _followed(runs: Runs, task: Task, wishes: Mapping[str, Any]) -> View:
    id_ = await runs.submit(task)
    events: list[Event] = []
    tell = wishes.get("tell") or (lambda event: None)
    try:
        async for event in runs.follow(id_):
            events.append(event)
            tell(event)
            if event.kind == "approval.asked":
                await answered(runs, id_, event, wishes.get("approve"))
    except asyncio.CancelledError:
        await runs.cancel(id_, BY)
        raise
    view = view_of(events)
    if view.status != "done":
        raise TaskFailed(
            f"The task {view.status}: {view.why or view.failure}. See `octoplex runs show {id_}`.",
            task_id=id_,
            task_status=view.status,
        )
    return view


async def answered(runs: Runs, id_: str, event: Event, approve: Approve | None) -> None:
    """Ask whoever may allow a step, and hand on what they say."""
    asked = msgspec.convert({**event.body, "step": event.step}, Approval)
    if approve is None:
        word: dict[str, Any] = {"approved": False, "note": "nobody was there to be asked"}
    else:
        given = approve(asked)
        word = {"approved": bool(await given if inspect.isawaitable(given) else given), "note": ""}
    await runs.approve(id_, event.step, {**word, "by": BY, "topic": asked.topic})
