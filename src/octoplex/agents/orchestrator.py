"""A goal, planned, run, checked and repaired; each fact in the journal before what follows from it.

    view = await run(assignment, journal)

    screen the goal -> plan -> [ run what can -> repair what failed ] -> check the whole -> answer

The code is run from its start in every life of a task, with the same journal. What the journal has
is not done again, and what must not depend on chance (which steps had failed when a repair was
planned) is decided when nothing runs. So a life that takes over ends up where the one before it
was, in whatever order the kept outcomes come back.

A failed step is repaired when nothing runs any more: the planner is told what is done, what failed
and why, and its new plan takes the place of what failed and of all that waited for it. What is
done stays. So it is with a result that does not meet the task's criteria.

`told("cancel")` ends a task for good, from wherever it was said. A plain cancel of `run` is the end
of this life only: nothing is told, and another can go on.

Not promised: that a step which was under way at a kill cost nothing; see `budget.py`.
"""

import asyncio
from itertools import pairwise
from typing import Any

import msgspec

from octoplex.agents.agent import Assignment
from octoplex.agents.answering import (
    Ended,
    answer_of,
    artifacts_of,
    cites_of,
    text_of,
    wanted,
)
from octoplex.agents.budget import Purse
from octoplex.agents.carrying import Carrier, kind_of, screened, spent_of
from octoplex.agents.clock import Clock
from octoplex.agents.consent import Means
from octoplex.agents.course import Course, Room, Run
from octoplex.agents.faults import Terms, before, criterion_faults, faults, gravest, output_schema
from octoplex.agents.judge import Subject
from octoplex.agents.plan import Plan, Step
from octoplex.agents.planner import (
    MOST_ASKS,
    Draft,
    Wish,
    deed,
    drafted,
    unplannable,
)
from octoplex.agents.schemas import Schemas
from octoplex.agents.taint import Taint
from octoplex.agents.task import Event, Journal
from octoplex.agents.telling import Telling
from octoplex.agents.view import View, view_of
from octoplex.agents.words import Ask, Failed, FailureKind, Outcome
from octoplex.wire.error import Blocked, GatewayError

FINAL: frozenset[FailureKind] = frozenset({"denied", "interrupted", "cancelled", "loop"})
"""Failures that no other plan gets round."""
ENDS = ("task.done", "task.failed", "task.cancelled")
TAKES_S = (1.0, 5.0, 15.0, 40.0, 120.0)
"""How long a step takes by the tier of its arm's cost, until it is known better."""


async def run(assignment: Assignment, journal: Journal) -> View:
    """Run a task to its end, or on from where an earlier life had left it."""
    if not _is_over(journal):
        life = _Life(assignment, journal)
        try:
            await _lived(life, journal)
        finally:
            life.close()
    return view_of(journal.events)


async def _lived(life: "_Life", journal: Journal) -> None:
    work = asyncio.create_task(life.work())
    cancel: asyncio.Task[Any] = asyncio.create_task(journal.told("cancel"))
    late = asyncio.create_task(life.clock.over())
    try:
        await asyncio.wait({work, cancel, late}, return_when=asyncio.FIRST_COMPLETED)
        await _ended(work)
        if work.done() and not work.cancelled():
            work.result()
        elif cancel.done():
            said = cancel.result()
            said = said if isinstance(said, dict) else {}
            by, why = str(said.get("by", "")), str(said.get("why", ""))
            await life.told("task.cancelled", by=by, why=why)
        else:
            seconds = life.budget.seconds
            why = f"the task's {seconds:g} s are used up"
            await life.told("task.failed", failure="budget", why=why)
    finally:
        await _ended(work, cancel, late)


async def _ended(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel what is not done, and wait until it has ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _is_over(journal: Journal) -> bool:
    """A task that is done stays so, whoever takes it up once more."""
    told = [event.kind for event in journal.events if event.kind in ENDS]
    last = journal.events[-1].kind if journal.events else ""
    return last in ENDS or told[-1:] == ["task.done"]


def _revivals(events: list[Event]) -> int:
    """How often a task was resumed after it had failed."""
    ends = pairwise(event.kind for event in events)
    return sum(pair == ("task.failed", "task.resumed") for pair in ends)


class _Life:
    """One life of a task."""

    def __init__(self, assignment: Assignment, journal: Journal) -> None:
        agent, task = assignment.agent, assignment.task
        self._assignment, self._agent, self._task, self._journal = assignment, agent, task, journal
        self.told = Telling(journal)
        self.budget = agent.limits
        self.clock = Clock(self.budget.seconds, view_of(journal.events).seconds)
        arms = {offer.name: arm for arm in assignment.arms for offer in arm.offers}
        self._offers = {offer.name: offer for arm in assignment.arms for offer in arm.offers}
        self._taint = Taint(self._offers)
        begun = [event for event in journal.events if event.kind == "step.started"]
        self._taint.had_begun({event.step: event.body["action"] for event in begun})
        self._means = Means(
            journal=journal,
            told=self.told,
            purse=Purse(self.budget, *spent_of(journal.kept)),
            clock=self.clock,
            taint=self._taint,
            arms=arms,
            offers=self._offers,
            schemas=Schemas(),
        )
        self._carrier = Carrier(assignment, self._means)
        self._revivals = _revivals(journal.events)
        self._course: Course | None = None
        self._outcomes: dict[str, Outcome] = {}
        """By the ids of runs."""
        self._repairs = 0
        self._stalled: tuple[list[str], int] = ([], 0)

    def close(self) -> None:
        """This life is over."""
        self.clock.close()
        if self._assignment.revoke is not None:
            self._assignment.revoke(self._assignment.id)

    # The whole

    async def work(self) -> None:
        """From the goal to the answer, or to why there is none."""
        while True:
            try:
                await self._once_through()
                return
            except Failed as failure:
                if self._carrier.turn >= self._revivals:
                    why = str(failure)
                    await self.told("task.failed", failure=failure.failure, why=why)
                    return
                self._carrier.turn += 1
                self._stalled = ([], 0)
                if self._course is not None:
                    self._course.again()

    async def _once_through(self) -> None:
        if self._course is None:
            plan = await self._first_plan()
            self._course = Course(plan, Room(self._parallel, self._takes, self._agent.at_once))
        course = self._course
        self._means.purse.waiting = lambda: [*course.shares, *self._carrier.expected]
        if self._task.plan_only:
            await self.told("task.done", text="", answer=None)
            return
        while True:
            await self._drive(course)
            reasons = await self._wrong(course)
            if not reasons:
                break
            await self._repair(course, reasons)
        await self._answer(course)

    def _parallel(self, action: str) -> int:
        return max(1, self._offers[action].parallel)

    def _takes(self, step: Step) -> float:
        offer = self._offers[step.arm]
        usual = TAKES_S[min(max(offer.cost_tier, 1), 5) - 1]
        return min(usual, step.timeout_s or offer.timeout_s)

    # Plans

    async def _first_plan(self) -> Plan:
        told = (why for one, _ in wanted(self._task) for why in criterion_faults(one))
        if wrong := list(told):
            raise Failed("refused", f"the task's criteria cannot be checked: {'; '.join(wrong)}")
        given = self._assignment.plan
        if given is not None:
            wrong = faults(given, self._terms())
            if wrong:
                raise Failed("refused", f"the plan will not do: {'; '.join(wrong)}")
            await self._made(given, 0, Draft())
            return given
        await self.told("task.planning", goal=self._task.goal)
        wish = await self._wish()
        plan, draft = await self._planned(wish, "plan")
        await self._made(plan, 0, draft)
        return plan

    async def _wish(self, failed: tuple[str, ...] = (), tried: tuple[str, ...] = ()) -> Wish:
        task, course = self._task, self._course
        done = course.steps("done") if course is not None else []
        texts: list[Any] = [task.goal, task.context, list(task.constraints)]
        if self._assignment.world.screen is not None:
            try:
                texts = await screened(texts, self._assignment.world.screen, "in")
            except Blocked as error:
                raise Failed("refused", f"the guard refuses the goal: {error}") from None
        return Wish(
            goal=texts[0],
            context=texts[1],
            constraints=tuple(texts[2]),
            criteria=tuple(words for _, words in wanted(task)),
            terms=self._terms(),
            model=self._agent.planner,
            is_small=self._agent.is_small,
            outputs={s.id: course.output(s.id) for s in done} if course is not None else {},
            failed=failed,
            tried=tried,
        )

    def _terms(self) -> Terms:
        course = self._course
        done = course.steps("done") if course is not None else []
        return Terms(
            offers=self._offers,
            schemas=self._means.schemas,
            steps=max(0, self._means.purse.steps_left),
            allow=self._agent.allow,
            done={step.id: output_schema(step, self._offers[step.arm]) for step in done},
        )

    async def _planned(self, wish: Wish, key: str) -> tuple[Plan, Draft]:
        """A plan without faults, each answer of the planner kept. Raises `Failed`."""
        rejected: list[Draft] = []

        async def think(ask: Ask) -> Any:
            return msgspec.to_builtins(await drafted(wish, ask, rejected))

        while len(rejected) < MOST_ASKS:
            number = f"{key}/{self._carrier.turn}.{len(rejected) + 1}"
            try:
                kept = await self._means.thought(number, think, self._assignment.models)
            except GatewayError as error:
                why = f"the planner could not be asked: {error}"
                raise Failed(kind_of(error), why) from None
            draft = msgspec.convert(kept, Draft)
            if draft.refused:
                raise Failed("refused", draft.refused)
            if draft.plan is not None and not draft.reasons:
                return draft.plan, draft
            rejected.append(draft)
            await self.told(
                "plan.rejected",
                attempt=len(rejected),
                reasons=draft.reasons,
                nanos=draft.nanos,
                tokens=draft.tokens,
            )
        raise unplannable(rejected)

    async def _made(self, plan: Plan, number: int, draft: Draft) -> None:
        await self.told(
            "plan.made",
            plan=msgspec.to_builtins(plan),
            after={step.id: sorted(before(step)) for step in plan.steps},
            round=number,
            nanos=draft.nanos,
            tokens=draft.tokens,
        )

    # Running

    async def _drive(self, course: Course) -> None:
        """Run until nothing runs and nothing can begin."""
        tasks: dict[asyncio.Task[Outcome], Run] = {}
        try:
            while True:
                for begun in course.ready():
                    self._carrier.expect(begun, course.share(begun))
                    self._taint.begins(begun.step, begun.id)
                    tasks[asyncio.create_task(self._carry(course, begun))] = begun
                await self._tell_ended(course)
                if not tasks:
                    return
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    self._end(course, tasks.pop(task), task.result())
        finally:
            await _ended(*tasks)

    async def _carry(self, course: Course, begun: Run) -> Outcome:
        of = course.elements(begun.step.id) if begun.index is not None else 0
        return await self._carrier.carry(begun, of)

    def _end(self, course: Course, ended: Run, outcome: Outcome) -> None:
        self._outcomes[ended.id] = outcome
        self._taint.ended(ended.step, outcome, ended.id)
        if outcome.failure is None:
            course.done(ended, outcome.output)
        else:
            course.failed(ended, f"{outcome.failure}: {outcome.why}")

    async def _tell_ended(self, course: Course) -> None:
        for name in course.ended:
            state, why = course.state(name), course.why(name)
            if state == "skipped":
                await self.told("step.skipped", name, why=why)
            elif state == "failed":
                await self.told("step.failed", name, failure="failed", why=why)
            else:
                await self.told("step.done", name, text="nothing to do")
        course.ended.clear()

    # What went wrong

    async def _wrong(self, course: Course) -> list[str]:
        """Why what there is will not do; nothing where it does. Raises `Failed` for what no
        repair helps against."""
        failed = course.steps("failed")
        if failed:
            self._give_up(failed)
            return [f'step "{s.id}" ({s.arm}): {course.why(s.id)}' for s in failed]
        try:
            answer = answer_of(course)
        except Failed as failure:
            return [f"the answer: {failure}"]
        criteria = wanted(self._task)
        if not criteria:
            return []
        ended = self._done(course)
        subject = Subject(
            goal=self._task.goal,
            output=answer,
            workspace=self._assignment.world.workspace,
            evidence=tuple(e for one in ended for e in one.outcome.evidence),
            artifacts=tuple(a for one in ended for a in one.outcome.artifacts),
        )
        key = f"check//{self._carrier.turn}.{self._repairs}"
        return await self._carrier.check(key, tuple(one for one, _ in criteria), subject)

    def _give_up(self, failed: list[Step]) -> None:
        """Raises `Failed` where a failure is one that no other plan gets round."""
        steps = {step.id: step for step in failed}
        for name, outcome in self._outcomes.items():
            step = steps.get(name.partition(".")[0])
            kind = outcome.failure
            if step is None or kind is None:
                continue
            if kind in FINAL or (self._is_once(step) and self._may_have_been(step, kind)):
                raise Failed(kind, f'step "{name}": {outcome.why}')

    def _is_once(self, step: Step) -> bool:
        return gravest(step, self._offers[step.arm]) == "once"

    def _may_have_been(self, step: Step, kind: FailureKind) -> bool:
        """Whether something of a failed step has, or may have, happened: then another plan could
        have it happen twice."""
        return kind == "timeout" or (self._course is not None and self._course.is_begun(step.id))

    def _done(self, course: Course) -> list[Ended]:
        """What the steps that are done have left, in the order of the plan."""
        return [
            Ended(name, step, outcome)
            for step in course.steps("done")
            for name, outcome in self._outcomes.items()
            if name.partition(".")[0] == step.id
        ]

    async def _repair(self, course: Course, reasons: list[str]) -> None:
        """Put another plan in the place of what failed. Raises `Failed` where that is no use."""
        failed = course.steps("failed")
        kind = self._kind(failed)
        if self._repairs >= self._agent.repairs * (self._carrier.turn + 1):
            raise Failed(kind, "; ".join(reasons))
        if self._means.purse.steps_left <= 0:
            raise Failed("budget", f"no steps are left for a repair: {'; '.join(reasons)}")
        progress = len(course.steps("done"))
        bare = sorted(reason.partition(": ")[2] for reason in reasons)
        if self._repairs and (bare, progress) == self._stalled:
            raise Failed("loop", f"the last repair brought nothing new: {'; '.join(reasons)}")
        self._stalled = (bare, progress)
        self._repairs += 1
        await self.told("repair.begun", round=self._repairs, reasons=reasons)
        tried = tuple(deed(step.arm, step.inputs) for step in failed)
        is_loose = self._taint.has_entered
        wish = await self._wish(tuple(reasons), tried)
        try:
            plan, draft = await self._planned(wish, f"repair/{self._repairs}")
        except Failed as failure:
            raise Failed(kind, f"{'; '.join(reasons)}; no repair: {failure}") from None
        plan = course.replace(plan)
        if is_loose:
            self._taint.planned_after(*(step.id for step in plan.steps))
        await self._made(plan, self._repairs, draft)

    def _kind(self, failed: list[Step]) -> FailureKind:
        """How the first of these failed."""
        names = {step.id for step in failed}
        outcomes = (o for n, o in self._outcomes.items() if n.partition(".")[0] in names)
        return next((o.failure for o in outcomes if o.failure), "failed")

    # The end

    async def _answer(self, course: Course) -> None:
        answer, ended = answer_of(course), self._done(course)
        said: list[Any] = [answer, text_of(answer, course, ended)]
        if self._assignment.world.screen is not None:
            try:
                said = await screened(said, self._assignment.world.screen, "out")
            except Blocked as error:
                raise Failed("refused", f"the guard refuses the answer: {error}") from None
        await self.told(
            "task.done",
            answer=said[0],
            text=said[1],
            cites=msgspec.to_builtins(cites_of(course, ended)),
            artifacts=msgspec.to_builtins(artifacts_of(ended)),
            is_tainted=self._taint.has_entered,
        )
