"""Tasks of one process: agents of the file, joined to the gateway, the sandbox and the journal.

    agents = Agents(lambda: app.gateway)          nothing is opened before the first use
    row = await agents.submit(Rights(caller), Task("Summarise the sales"))
    async for event in agents.follow(row.id): ...

What a task asks of models goes through the whole gateway as its caller, as the key is at that
moment: limits, money, guard, record. A record names its task (`metadata.task`).
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from octoplex.agents.agent import Agent, Assignment
from octoplex.agents.agent import Mint as MintToken
from octoplex.agents.arms.joined import Means, arms_of
from octoplex.agents.budget import NANOS, Purse
from octoplex.agents.capability import Checker, Grant, Mint
from octoplex.agents.config import USUAL_NAME, AgentTable
from octoplex.agents.journal import Rules, TaskRow, Tasks, are_kept
from octoplex.agents.mcp.arm import PREFIX as MCP
from octoplex.agents.memory.embedding import Embedding
from octoplex.agents.memory.memory import Memory, Remembered
from octoplex.agents.memory.rows import owner_of
from octoplex.agents.orchestrator import run
from octoplex.agents.task import Event, Journal, Task
from octoplex.agents.view import View, view_of
from octoplex.agents.words import Arm, Failed, Offer, Order, Outcome, World
from octoplex.agents.words import Ask as AskModel
from octoplex.assembly.agent_model import opened, task_of
from octoplex.assembly.assigning import (
    Rights,
    Spine,
    agent_of,
    allowed,
    caller_of,
    checked,
    folder_of,
    have_folder,
    journal_of,
    missing,
    own_folders,
    screen_of,
    table_of,
)
from octoplex.assembly.mcp import Connections
from octoplex.assembly.state import facts_of
from octoplex.assembly.task_models import DIALECT, TaskModels
from octoplex.ledger.ids import request_ids
from octoplex.ledger.postgres.database import Database
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask, Caller
from octoplex.wire.error import (
    GatewayError,
    InvalidCall,
    KeyReused,
    NotFound,
    StoreFailed,
    Unauthorized,
)
from octoplex.wire.event import NO_USAGE, Usage

LOOK_S = 1.0
RESUMED_S, ELSEWHERE_S = 10.0, 5.0
"""The second: how often it is looked whether others keep tasks in the same database."""
ALWAYS = ("planner", "judge", "guardian")
"""Arms that anybody may ask who may use an agent."""
MOST_TALLIES = 1_000
OVER = frozenset({"task.done", "task.failed", "task.cancelled"})
log = logging.getLogger("octoplex.agents")


class Agents:
    """Tasks, from the moment they are given to their end."""

    def __init__(self, spine: Callable[[], Spine], *, alone: bool = False) -> None:
        """`alone`: only what is given here runs here, nothing that other processes left."""
        self._spine, self._alone = spine, alone
        self._opening = asyncio.Lock()
        self._tasks: Tasks | None = None
        self._memory: Memory | None = None
        self._used: OrderedDict[str, Usage] = OrderedDict()
        """Tokens of tasks that ran here, the last ones."""
        self._beside: set[asyncio.Task[Any]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._new_id = request_ids()

    # -- giving and watching -----------------------------------------------------------------

    async def submit(self, rights: Rights, task: Task, *, again: str = "") -> TaskRow:
        """Take a task on; `again` is the idempotency key that came with it.

        Raises:
            InvalidCall, Forbidden, NotFound, Blocked: naming the field that must change.
            KeyReused: the idempotency key was another task's.
            BadConfig: the extra `agents` is not installed.
        """
        caller = rights.caller
        id_ = self._new_id().replace("req_", "task_", 1)
        if again:
            name = f"{caller.id}\0{again}".encode()
            id_ = f"task_{hashlib.sha256(name).hexdigest()[:27]}"
        task = await checked(self._spine(), rights, id_, task)
        tasks = await self.opened()
        row = await tasks.row(id_) if again else None
        if row is None:
            return await tasks.submit(id_, task, caller.id, caller.tenant)
        there = row.task
        if Path(there.workspace).name == Path(task.workspace).name == id_:
            # Its own folder: that of the host at which it was handed in first.
            there = replace(there, workspace=task.workspace)
        if there != task:
            raise KeyReused(
                "This Idempotency-Key was sent with another task; send the same one again, or a "
                "new key.",
                param="idempotency-key",
            )
        return row

    async def row(self, id_: str) -> TaskRow:
        """A task.

        Raises:
            NotFound: there is none.
        """
        row = await (await self.opened()).row(id_)
        if row is None:
            raise NotFound(missing(id_, self._spine().settings), param="task_id")
        return row

    async def view(self, id_: str) -> View:
        """A task as it stands."""
        return view_of(await (await self.opened()).events(id_))

    async def follow(
        self, id_: str, after: int = 0, *, drains: bool = False
    ) -> AsyncIterator[Event]:
        """Its events after a number, as they come, up to its end; `drains`: also while this
        process stops, else up to then."""
        tasks, works = await self.opened(), self._spine().works
        while drains or not works.stopping:
            try:
                found = await tasks.changed(id_, after, LOOK_S)
                is_over = found[-1].kind in OVER if found else await _is_over(tasks, id_, after)
            except StoreFailed as failed:
                if "damaged" in failed.facts:
                    raise
                await asyncio.sleep(LOOK_S)  # the task goes on when it is there again, and so this
                continue
            for event in found:
                after = event.number
                yield event
            if is_over:
                return

    @property
    def spine(self) -> Spine:
        """The configuration in force, as far as tasks use it."""
        return self._spine()

    async def settled(self, id_: str) -> None:
        """Wait until the end of a task that was told is the end of its row, too."""
        await (await self.opened()).settled(id_)

    async def approve(self, id_: str, step: str, word: dict[str, Any]) -> dict[str, Any]:
        """Say whether a step may be done; what holds, which is the first word on it.

        A word has the `topic` that it is about where the step was asked about more than once.

        Raises:
            InvalidCall: the task does not wait for that.
        """
        tasks, word = await self.opened(), dict(word)
        asked = [e for e in await tasks.events(id_) if e.kind == "approval.asked"]
        topic = _topic(asked, step, str(word.pop("topic", "")))
        held: dict[str, Any] = await tasks.tell(id_, topic, word)
        return held

    async def cancel(self, id_: str, by: str, why: str = "") -> None:
        """Have a task end; harmless where it has."""
        await (await self.opened()).cancel(id_, {"by": by, "why": why})

    async def resume(self, id_: str) -> None:
        """Let a task go on that was cancelled, failed or cut off, and wait until it does.

        Raises:
            NotFound, InvalidCall: there is none, or nothing to resume.
        """
        tasks = await self.opened()
        before = await tasks.events(id_)
        await tasks.resume(id_)
        await tasks.changed(id_, len(before), RESUMED_S)

    async def answer(self, name: str, ask: Ask) -> Answer:
        """Answer a chat by a task."""
        row = await self.submit(Rights(ask.caller), task_of(name, ask))
        ask.trail.task, ask.trail.of_parts = row.id, True
        going = _Going(self, row)
        try:
            return await opened(going, ask, self._spine().works.faces[DIALECT])
        except BaseException:
            going.stop()
            raise

    def used(self, id_: str) -> Usage:
        """The tokens of a task that has run here."""
        return self._used.get(id_, NO_USAGE)

    def beside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something that nobody waits for."""
        task = asyncio.ensure_future(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    # -- what lives as long as the process -----------------------------------------------------

    async def opened(self) -> Tasks:
        """The journal, opened at its first use; from then on this process runs tasks."""
        async with self._opening:
            if self._tasks is None:
                where = _where(self._spine())
                if isinstance(where, Path):
                    where.parent.mkdir(mode=0o700, exist_ok=True)
                self._tasks = await Tasks.open(where, self._work, self._rules)
            return self._tasks

    @property
    def _rules(self) -> Rules:
        server, data = self._spine().settings.server, self._spine().works.data
        return Rules(
            at_once=server.task_concurrency,
            keep_days=server.tasks_days,
            folders=own_folders(data),
            takes_up=not self._alone,
        )

    def begin(self) -> None:
        """Go on with what processes have left: an earlier one, or others of the same database."""
        self._spine().works.on_gone.append(lambda gone: self.beside(self._end_of(gone)))
        self._looking = asyncio.ensure_future(self._resumed())

    async def _end_of(self, keys: set[str]) -> None:
        """Have what these keys gave end, also in the middle of a step."""
        for id_ in self._tasks.living if self._tasks else ():
            with suppress(GatewayError):  # then its next step is refused
                if (await self.row(id_)).key_id in keys:
                    await self.cancel(id_, "octoplex", "Its key is no longer in force.")

    async def _resumed(self) -> None:
        """What tasks need is only loaded where there are any."""
        failed = ""
        while self._tasks is None:
            spine = self._spine()
            where = _where(spine)
            try:
                if isinstance(where, Path):
                    are_there = where.exists()
                else:
                    are_there = bool(spine.settings.agents) or await are_kept(where)
                if are_there:
                    await asyncio.shield(self.opened())
                    return
            except GatewayError as error:
                if str(error) != failed:
                    log.error("tasks that were left are not gone on with: %s", error)
                failed = str(error)
            if isinstance(where, Path):
                return  # nobody else puts any there
            await asyncio.sleep(ELSEWHERE_S)

    async def close(self) -> None:
        """Hand running tasks on; whoever opens them next goes on with them."""
        if self._looking is not None:
            self._looking.cancel()
        if self._beside:
            _, slow = await asyncio.wait(self._beside, timeout=LOOK_S)
            for task in slow:
                task.cancel()
        async with self._opening:
            if self._tasks is not None:
                await self._tasks.close()
                self._tasks = None
        await self._servers.close()
        if self._memory is not None:
            await self._memory.close()

    def memory_of(self, caller: Caller, task_id: str = "") -> Remembered:
        """The memory of a caller's tenant."""
        spine = self._spine()
        settings, works = spine.settings, spine.works
        if self._memory is None:
            facts = facts_of(settings, works.env, works.data)
            self._memory = Memory(facts, days=settings.memory.days)
        model = settings.memory.embed
        return self._memory.of(
            owner_of(caller),
            screen=screen_of(spine.plan.guards.usual),
            embed=Embedding(spine.answer, caller, model, task_id) if model else None,
            task=task_id,
            who=caller.name,
        )

    # -- an arm by itself --------------------------------------------------------------------

    async def offers(self, rights: Rights, agent: str) -> list[Offer]:
        """What the arms of an agent can do, with those by which it plans and judges.

        Raises:
            NotFound, Forbidden: there is no such agent, or the caller may not use it.
        """
        spine = self._spine()
        arms = await self._arms(spine, allowed(spine, rights.caller, agent), ALWAYS)
        return [offer for arm in arms for offer in arm.offers]

    async def act(self, rights: Rights, agent: str, order: Order) -> tuple[Outcome, Grant]:
        """Have an arm of an agent do one thing, in a folder of the caller's.

        Raises:
            NotFound, Forbidden: there is no such agent or action, or the caller may not use it.
            Failed: as the arm says.
        """
        spine, caller = self._spine(), rights.caller
        table = allowed(spine, caller, agent)
        who = agent_of(spine, caller, Task(goal=order.action, agent=agent))
        folder = folder_of(spine, table, rights, order.task_id, "arms")
        row = TaskRow(
            id=order.task_id,
            key_id=caller.id,
            tenant=caller.tenant,
            task=Task(goal=order.action, agent=agent, workspace=str(folder)),
            created_at_ms=0,
            status="running",
        )
        for arm in await self._arms(spine, table, ALWAYS):
            offer = next((one for one in arm.offers if one.name == order.action), None)
            if offer is None:
                continue
            order = replace(order, model=who.worker, nanos=int(who.limits.dollars * NANOS))
            grant = order.grant or self._mint.mint(order, offer, who.allow)
            order = replace(order, grant=grant)
            granted = self._checker.check(order)
            part = Purse(who.limits).spare()
            world = self._world(spine, row, who, part.asking(self._models_of(row)))
            return await arm(order, world), granted
        raise NotFound(f"The agent {agent or USUAL_NAME!r} has no {order.action}.", param="agent")

    # -- one task ----------------------------------------------------------------------------

    @cached_property
    def _servers(self) -> Connections:
        works = self._spine().works
        return Connections(works.data, works.trust)

    @cached_property
    def _mint(self) -> Mint:
        return Mint()

    @cached_property
    def _checker(self) -> Checker:
        return self._mint.checker()

    async def _work(self, row: TaskRow, journal: Journal) -> None:
        """Run a task: what the journal calls, in whichever life of it."""
        spine = self._spine()
        caller = caller_of(spine, row.key_id)
        agent = agent_of(spine, caller, row.task)
        await asyncio.to_thread(have_folder, spine.settings, row, journal.events)
        models = self._models_of(row)
        world = self._world(spine, row, agent, models)
        arms = await self._arms(spine, table_of(spine.settings, row.task.agent))
        assignment = Assignment(
            id=row.id,
            task=row.task,
            agent=agent,
            arms=arms,
            world=world,
            models=models,
            mint=self._mint_of(row),
            revoke=self._checker.revoke_task,
            plan=row.task.plan,
        )
        view = await run(assignment, journal)
        said = f"{row.task.goal}\n\n{view.text}".strip()
        memory = self.memory_of(caller, row.id)
        try:
            await memory.log(
                row.id, said, kind="task", role="assistant", is_untrusted=view.is_tainted
            )
        except GatewayError as error:  # it has ended; that it is not remembered changes nothing
            log.warning("the task %s is not remembered: %s", row.id, error)

    def _mint_of(self, row: TaskRow) -> MintToken:
        """Tokens for a task's steps, as long as the key that gave it is in force."""

        def mint(order: Order, offer: Offer, allow: tuple[str, ...]) -> str:
            try:
                caller_of(self._spine(), row.key_id)
            except Unauthorized as error:
                raise Failed("denied", str(error)) from None
            return self._mint.mint(order, offer, allow)

        return mint

    def _models_of(self, row: TaskRow) -> TaskModels:
        return TaskModels(self._spine, row, self._new_id, self._tally)

    def _world(self, spine: Spine, row: TaskRow, agent: Agent, ask: AskModel) -> World:
        return World(
            ask=ask,
            workspace=Path(row.task.workspace),
            allow=agent.allow,
            screen=screen_of(spine.plan.guards.usual),
            memory=self.memory_of(caller_of(spine, row.key_id), row.id),
            tools=spine.settings.sandbox.tools,
        )

    async def _arms(self, spine: Spine, table: AgentTable, more: Sequence[str] = ()) -> list[Arm]:
        names = dict.fromkeys((*table.arms, *more))
        own = [name for name in names if not name.startswith(MCP)]
        means = Means(checker=self._checker, sandbox=spine.settings.sandbox)
        arms = list(arms_of(own, means).values())
        if servers := [name.removeprefix(MCP) for name in names if name not in own]:
            env = spine.works.env
            arms.append(await self._servers.arm(spine.settings, env, servers, self._checker))
        return arms

    def _tally(self, id_: str, usage: Usage) -> None:
        before = self._used.pop(id_, NO_USAGE)
        self._used[id_] = replace(
            before,
            input_tokens=before.input_tokens + usage.input_tokens,
            output_tokens=before.output_tokens + usage.output_tokens,
            cached_tokens=before.cached_tokens + usage.cached_tokens,
            reasoning_tokens=before.reasoning_tokens + usage.reasoning_tokens,
            estimated=before.estimated or usage.estimated,
        )
        if len(self._used) > MOST_TALLIES:
            self._used.popitem(last=False)


class _Going:
    """A task that a chat waits for."""

    def __init__(self, agents: Agents, row: TaskRow) -> None:
        self.row, self._agents = row, agents

    def happenings(self) -> AsyncIterator[Event]:
        """What happens to it, up to its end: who asked cannot come back for it."""
        return self._agents.follow(self.row.id, drains=True)

    async def view(self) -> View:
        """How it stands."""
        return await self._agents.view(self.row.id)

    def usage(self) -> Usage:
        """What it has asked of models, in tokens."""
        return self._agents.used(self.row.id)

    def stop(self) -> None:
        """End it: nobody waits for it any more."""
        self._agents.beside(self._agents.cancel(self.row.id, "its caller", "the caller has left"))


def _where(spine: Spine) -> Path | Database:
    return journal_of(spine.settings, spine.works.env, spine.works.data)


def _topic(asked: Sequence[Event], step: str, named: str) -> str:
    """What a word on a step is about. A word that is sent again is not one on what came after."""
    topics = [str(e.body["topic"]) for e in asked if e.step == step]
    if not topics:
        about = ", ".join(sorted({e.step for e in asked})) or "nothing"
        raise InvalidCall(
            f"The task has not asked about the step {step[:60]!r}, but about {about}.",
            param="step",
        )
    if named in topics or (not named and len(topics) == 1):
        return named or topics[0]
    raise InvalidCall(
        f"The step {step[:60]!r} was asked about as {', '.join(topics)}: say `topic`.",
        param="topic",
    )


async def _is_over(tasks: Tasks, id_: str, after: int) -> bool:
    """Whether an event is its task's last: nothing comes after it."""
    events = await tasks.events(id_)
    return bool(events) and events[-1].number <= after and events[-1].kind in OVER
