"""What a task is taken on as: its agent, its folder, and whether its caller may have that.

    task = await checked(spine, Rights(caller), id_, task)     what is wrong is told at once
    agent = agent_of(spine, caller, task)

A key needs `agent/NAME` among its models to use an agent, and its models for the roles. A caller
may narrow what an agent is allowed, shorten its limits and ask for more approval, never the other
way; who commands this machine (`trusted`) may name any folder and do without approvals.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from octoplex.agents.agent import Agent
from octoplex.agents.carrying import screened
from octoplex.agents.config import (
    USUAL_NAME,
    AgentTable,
    budget_of,
    narrowed,
    with_usual,
    within,
)
from octoplex.agents.journal import TaskRow, folders
from octoplex.agents.place import place_of
from octoplex.agents.task import Event, Task
from octoplex.agents.words import Failed, Screen
from octoplex.assembly.agent_route import AGENT
from octoplex.assembly.plan import Plan
from octoplex.assembly.state import database_of
from octoplex.assembly.works import Works
from octoplex.ledger.postgres.database import Database
from octoplex.reflex.guard.ruling import Ruling, Verdict, find
from octoplex.reflex.keys import Key
from octoplex.settings import Settings
from octoplex.upstreams.local.fleet import LOCAL
from octoplex.wire.answer import Answerer
from octoplex.wire.ask import ANYONE, Caller
from octoplex.wire.error import Forbidden, GatewayError, InvalidCall, NotFound, Unauthorized

BUILT_IN = f"{LOCAL}/smollm2"
ROLES = ("planner", "worker", "judge")
STRICT = ("never", "side-effects", "always")
FOLDER, FILE = "agents", "tasks.db"


class Spine(Protocol):
    """One configuration in force: the gateway, as far as tasks use it."""

    @property
    def settings(self) -> Settings: ...
    @property
    def works(self) -> Works: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def answer(self) -> Answerer: ...

    @property
    def needs_key(self) -> bool:
        """Whether every caller needs a key."""
        ...

    def key_of(self, caller: Caller) -> Key | None:
        """The key that a caller holds."""
        ...


class Rights(Struct, frozen=True):
    """Who gives a task: a caller, or who commands this machine."""

    caller: Caller = ANYONE
    trusted: bool = False


def table_of(settings: Settings, name: str) -> AgentTable:
    """An agent's table; "" is the usual one.

    Raises:
        NotFound: there is none of this name.
    """
    tables = with_usual(settings.agents)
    if (name or USUAL_NAME) in tables:
        return tables[name or USUAL_NAME]
    near = get_close_matches(name, tables, 1)
    advice = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(tables)}."
    raise NotFound(f'There is no agent "{name[:60]}"; {advice}', param="agent")


def caller_of(spine: Spine, key_id: str) -> Caller:
    """Who gave a task, as its key is now.

    Raises:
        Unauthorized: the key is no longer in force.
    """
    if not key_id:
        return ANYONE
    key = spine.key_of(Caller(key_id))
    if key is None:
        raise Unauthorized("The key that gave this task is no longer in force.")
    return key.caller


SAID = ("goal", "context", "constraints", "acceptance_criteria", "metadata")
"""Fields of a task that hold what its giver says."""


async def checked(spine: Spine, rights: Rights, id_: str, task: Task) -> Task:
    """The task as it is kept: its agent and folder by name, its texts as the guard lets them pass.

    Raises:
        InvalidCall, Forbidden, NotFound, Blocked: naming the field that must change.
    """
    table = allowed(spine, rights.caller, task.agent)
    name, key = task.agent or USUAL_NAME, spine.key_of(rights.caller)
    if not task.goal.strip():
        raise InvalidCall("goal: say what is to be done.", param="goal")
    narrowed(task.allow, table.allow)
    if task.approve and not rights.trusted and _looser(task.approve, table.approve):
        raise InvalidCall(
            f'approve: this agent asks for approval "{table.approve}"; a task may ask for more of '
            f'it, not for "{task.approve}".',
            param="approve",
        )
    if task.model:
        _check_model(spine, key, task.model)
    screen = screen_of(spine.plan.guards.usual)
    said = {field: getattr(task, field) for field in SAID}
    kept = replace(
        task,
        **await screened(msgspec.to_builtins(said), screen, "in"),
        agent=name,
        workspace=str(folder_of(spine, table, rights, id_, task.workspace)),
    )
    try:  # it is read again from the journal, and may have been made by other than the decoder
        return msgspec.convert(msgspec.to_builtins(kept), Task)
    except msgspec.ValidationError as error:
        raise InvalidCall(f"The task cannot be taken on: {error}.") from None


def allowed(spine: Spine, caller: Caller, agent: str) -> AgentTable:
    """An agent's table, for a caller who may use it.

    Raises:
        NotFound, Forbidden: there is none of this name, or the key does not have it.
    """
    table, key = table_of(spine.settings, agent), spine.key_of(caller)
    name = agent or USUAL_NAME
    if key is not None and not key.allows(f"{AGENT}/{name}"):
        raise Forbidden(
            f"This key may not use the agent {name!r}; it may use {key.models}.", param="agent"
        )
    return table


def _looser(asked: str, own: str) -> bool:
    return STRICT.index(asked) < STRICT.index(own)


def _check_model(spine: Spine, key: Key | None, model: str) -> None:
    if model.startswith(f"{AGENT}/"):
        raise InvalidCall("model: an agent cannot be asked by an agent.", param="model")
    if key is not None and not key.models.allows(model, *spine.plan.other_names(model)):
        raise Forbidden(f"This key may not use the model {model!r}.", param="model")
    spine.plan.resolver.resolve(model)


def agent_of(spine: Spine, caller: Caller, task: Task) -> Agent:
    """The agent of a task, with the models of its roles and no more than the task may use.

    Raises:
        NotFound: the file has it no more.
    """
    table = table_of(spine.settings, task.agent)
    roles = roles_of(spine.plan, table, spine.key_of(caller), task.model)
    return Agent(
        name=task.agent,
        planner=roles[0],
        worker=roles[1],
        judge=roles[2],
        allow=narrowed(task.allow, table.allow),
        limits=within(task.budget, budget_of(table.limits)),
        approve=task.approve or table.approve,
        repairs=table.repairs,
        is_small=is_local(spine.plan, roles[0]),
        at_once=table.at_once,
        swarm=table.swarm,
    )


def roles_of(
    plan: Plan, table: AgentTable, key: Key | None = None, model: str = ""
) -> tuple[str, str, str]:
    """Who plans, works and judges: one model for all, else the agent's own, else the file's first
    route that the key may use, else the built-in model."""
    routes = (n for n in plan.routes if "*" not in n and (key is None or key.allows(n)))
    usual = model or next(routes, BUILT_IN)
    planner, worker, judge = (model or own for own in (table.planner, table.worker, table.judge))
    return planner or usual, worker or usual, judge or usual


def is_local(plan: Plan, model: str) -> bool:
    """Whether a name leads to a model on this machine."""
    route = plan.routes.get(model)
    first = route.candidates[0].target.provider if route else model.partition("/")[0]
    return first == LOCAL


def check_agents(plan: Plan) -> Iterable[str]:
    """What is wrong with the agents of a file; a start does not refuse it."""
    settings = plan.settings
    for name, table in settings.agents.items():
        for role in ROLES:
            model = getattr(table, role)
            if model.startswith(f"{AGENT}/"):
                yield f"[agents.{name}] {role}: an agent cannot be asked by an agent"
            elif model and (why := _unresolved(plan, model)):
                yield f"[agents.{name}] {role}: {why}"
        for arm in table.arms:
            server = arm.removeprefix("mcp.")
            if server != arm and server not in settings.mcp:
                yield f"[agents.{name}] arms: there is no [mcp.{server}]"


def _unresolved(plan: Plan, model: str) -> str:
    try:
        plan.resolver.resolve(model)
    except GatewayError as error:
        return str(error)
    return ""


# -- the folder of a task ---------------------------------------------------------------------


def folder_of(spine: Spine, table: AgentTable, rights: Rights, id_: str, asked: str) -> Path:
    """Where a task works; a folder that is named is made below its root, over no link.

    Raises:
        InvalidCall: it lies elsewhere.
    """
    own = own_folders(spine.works.data)
    if rights.trusted and asked:
        folder = Path(asked).expanduser().absolute()
        if not folder.is_dir():
            raise InvalidCall(f"workspace: there is no folder {folder}.", param="workspace")
        folders.claim(own, folder)
        return folder
    if table.workspaces:
        root = Path(table.workspaces).expanduser()
    else:
        owner = hashlib.sha256(rights.caller.id.encode()).hexdigest()[:16]
        root = own / (owner if rights.caller.id else "own")
    try:
        name = place_of(asked) if asked else f"{folders.TASKS}/{id_}"
    except Failed as error:
        raise InvalidCall(f"workspace: {error}", param="workspace") from None
    try:
        folder = _made(root, name)
        if asked:
            folders.claim(own, folder)
        return folder
    except OSError as error:
        raise InvalidCall(
            f"workspace: {asked[:80]!r} leads over a link or is no folder ({error.strerror}).",
            param="workspace",
        ) from None


def missing(id_: str, settings: Settings) -> str:
    """That there is no such task, and why there may be none any more."""
    return (
        f"There is no task {id_[:128]!r}. {settings.server.tasks_days} days after its end "
        "([server] tasks_days) a task is removed, with its files if it named no workspace."
    )


def have_folder(settings: Settings, row: TaskRow, events: Iterable[Event]) -> None:
    """See that a task's folder is here before it begins or goes on; one of its own with nothing in
    it yet is made, as another host has taken the task on.

    Raises:
        NotFound: it lies elsewhere, with what is in it, or is gone.
    """
    folder, root = Path(row.task.workspace), table_of(settings, row.task.agent).workspaces
    if folder.is_dir():
        return
    is_empty = folder.name == row.id and not any(event.body.get("artifacts") for event in events)
    try:
        if is_empty and (not root or Path(root).expanduser().is_dir()):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return
    except OSError:
        pass
    raise NotFound(
        f"The task's folder {folder} is not on this host. Hosts that share tasks need the same "
        "folders at the same place: see `workspaces` of the agent."
    )


def own_folders(data: Path) -> Path:
    """Where the folders are of tasks whose agent has none for them."""
    return data / FOLDER / "workspaces"


def journal_of(settings: Settings, env: Mapping[str, str], data: Path) -> Path | Database:
    """Where tasks are journalled: beside the ledger."""
    database = database_of(settings, env)
    return data / FOLDER / FILE if database is None else database


def _made(root: Path, name: str) -> Path:
    """Each folder on the way is opened from the one above it, so that none can be a link."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in filter(None, name.split("/")):
            if not _is_there(part, at):
                os.mkdir(part, 0o700, dir_fd=at)
            below = os.open(
                part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at
            )
            os.close(at)
            at = below
    finally:
        os.close(at)
    return root.absolute() / name


def _is_there(part: str, at: int) -> bool:
    try:
        os.stat(part, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


# -- the guardian ---------------------------------------------------------------------------


def screen_of(ruling: Ruling | None) -> Screen:
    """The guard on text that enters a task or leaves it.

    What is to be a token stays: each request to a model puts one in its place, and turns it back.
    """

    async def screen(text: str, way: Literal["in", "out"]) -> str:
        if ruling is None:
            return text
        detector = ruling.asked if way == "in" else ruling.replied
        if detector is None or not text:
            return text
        verdict = Verdict(ruling)
        found = await asyncio.to_thread(find, detector, text)
        found = [one for one in found if ruling.actions.get(one.type) != "token"]
        changed = verdict.changed(text, found)
        verdict.check("this text" if way == "in" else "what leaves this task")
        return changed

    return screen
