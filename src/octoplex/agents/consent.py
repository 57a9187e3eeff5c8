"""Before each run of a step: whether a person must allow it, and what that person has seen.

    consent = Consent(assignment, means)
    await consent.enter(run, key, turn)          raises Failed("denied" | "refused")
    seen = await consent.seen(run)              raises Failed where it is not what was allowed
    consent.leave(run)

Why somebody must be asked is kept, so another life asks the same. Since then others may have run:
what they did may be one more reason, which is asked about, too. What a person is shown of files
that the inputs name is looked at again when the run begins.

Files that may hold text of strangers, and steps by which files leave, do not run at the same time
unless somebody allowed it: a step that sends is asked about from the moment at which such files may
be written, and who begins to write them waits until those that were let through before are over.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.agents.agent import Assignment
from octoplex.agents.budget import Part, Purse
from octoplex.agents.capability import leaves
from octoplex.agents.clock import Clock
from octoplex.agents.course import Run
from octoplex.agents.faults import gravest
from octoplex.agents.named import named
from octoplex.agents.schemas import Schemas
from octoplex.agents.taint import Taint
from octoplex.agents.task import Journal
from octoplex.agents.telling import Telling
from octoplex.agents.words import Arm, Ask, Failed, Models, Offer


class Means(Struct, frozen=True):
    """What one life of a task has to carry out steps with."""

    journal: Journal
    told: Telling
    purse: Purse
    clock: Clock
    taint: Taint
    arms: Mapping[str, Arm]
    """By the names of their offers."""
    offers: Mapping[str, Offer]
    schemas: Schemas

    async def thought(
        self, key: str, think: Callable[[Ask], Awaitable[Any]], models: Models
    ) -> Any:
        """What is kept under this key, else what is thought of it now, paid of what is to spare."""
        parts: list[Part] = []

        async def do() -> Any:
            parts.append(self.purse.spare())
            return await think(parts[0].asking(models))

        try:
            return await self.journal.once(key, do)
        finally:
            for part in parts:
                part.settle()


class Consent:
    """Of one task."""

    def __init__(self, assignment: Assignment, means: Means) -> None:
        self._assignment, self._means = assignment, means
        self._allowed: dict[str, set[str]] = defaultdict(set)
        """Why people were asked about runs that they allowed."""
        self._files: dict[str, list[Any]] = {}
        """What lay where the inputs of those runs say, as they were shown it."""
        self._sending: dict[str, asyncio.Event] = {}
        """Runs by which files of the workspace may leave; set when they are over."""

    @property
    def approved(self) -> frozenset[str]:
        """Runs that a person has allowed."""
        return frozenset(name for name, whys in self._allowed.items() if whys)

    def effect(self, run: Run) -> str:
        """What a run leaves."""
        return gravest(run.step, self._means.offers[run.step.arm])

    def _leaves(self, run: Run) -> bool:
        return leaves(self._means.offers[run.step.arm])

    async def enter(self, run: Run, key: str, turn: int) -> None:
        """Ask a person where one must be asked, and wait for what must be over. `key`: of its
        first attempt.

        Raises:
            Failed: it may not be done.
        """
        taint, journal, approve = self._means.taint, self._means.journal, self._agent_asks
        if self.effect(run) != "none" or self._leaves(run) or approve == "always":
            is_done = f"step/{key}" in journal.kept
            again = f"/{turn}" if turn else ""

            async def decide() -> str:
                return taint.objection(run.step, approve, run.id)

            why = await journal.once(f"gate/{run.id}", decide, later=True)
            topic = f"approval/{run.id}{again}"
            if why and why not in self._allowed[run.id]:
                await self._ask(run, topic, why)
                topic += "+"
            while not is_done and (why := taint.objection(run.step, "never", run.id)):
                if why in self._allowed[run.id]:
                    break
                await self._ask(run, topic, why)
                topic += "+"
            if not is_done and taint.sends_files(run.step):
                self._sending[run.id] = asyncio.Event()
        if taint.is_writing(run.id):
            for over in [over for name, over in self._sending.items() if name != run.id]:
                await over.wait()

    def leave(self, run: Run) -> None:
        """A run is over."""
        if run.id in self._sending:
            self._sending.pop(run.id).set()

    @property
    def _agent_asks(self) -> Any:
        return self._assignment.agent.approve

    async def may_repeat(self, run: Run, attempt: str) -> bool:
        """Whether a person lets something be done again that may have happened."""
        try:
            why = "it was begun and did not end well: it may have happened"
            await self._ask(run, f"approval/{run.id}/{attempt}", why)
        except Failed:
            return False
        return True

    async def _ask(self, run: Run, topic: str, why: str) -> None:
        means = self._means
        if self._agent_asks == "never":
            raise Failed("refused", f"{run.step.arm} is not done: {why}, and nobody is to be asked")
        files = await means.journal.once(f"named/{topic}", partial(self._look, run), later=True)
        await means.told(
            "approval.asked",
            run.id,
            topic=topic,
            why=why,
            action=run.step.arm,
            inputs=run.inputs,
            effect=self.effect(run),
            **({"files": files} if files else {}),
        )
        with means.clock.waiting():
            said = await means.journal.told(topic)
        said = said if isinstance(said, dict) else {}
        approved = said.get("approved") is True
        by, note = str(said.get("by", "")), str(said.get("note", ""))
        await means.told("approval.given", run.id, topic=topic, approved=approved, by=by, note=note)
        if not approved:
            who = by or "a person"
            raise Failed("denied", f"{who} did not allow {run.step.arm}: {note or why}")
        self._allowed[run.id].add(why)
        self._files[run.id] = files

    async def _look(self, run: Run) -> Any:
        """What lies where the inputs of a run say."""
        workspace = self._assignment.world.workspace
        return msgspec.to_builtins(await asyncio.to_thread(named, run.inputs, workspace))

    async def seen(self, run: Run, *, is_first: bool) -> dict[str, str]:
        """Digests of what a person saw who allowed a run, by path. What a run changes itself may
        be other when it is tried again, unless it leaves.

        Raises:
            Failed: something is not what was seen.
        """
        seen = self._files.get(run.id, [])
        if run.id in self._files and (is_first or self._leaves(run)):
            for one in await self._look(run):
                if one not in seen:
                    why = f'"{one["path"]}" is not what it was when {run.step.arm} was allowed'
                    raise Failed("refused", f"{why}; have it asked about again")
        return {one["path"]: one["sha256"] for one in seen}
