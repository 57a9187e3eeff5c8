"""One step, carried out: asked about, paid for, granted, done, kept, checked, and done again.

    carrier = Carrier(assignment, means)
    outcome = await carrier.carry(run)          an outcome, also of what failed

    consent -> begin -> once(reserve, screen, mint, arm, settle) -> check -> again?

What is kept of an attempt is its outcome, on disk before anything that follows from it; an attempt
that is kept is never made again. An attempt with the effect "once" is marked before it begins:
where an earlier life had marked it and kept nothing, it may have happened, so it is "interrupted"
and is made again only if a person says so. Of the others, those that failed by themselves or took
too long are made again, up to the step's `attempts`; the same failure three times over is a loop.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.agents.agent import Assignment
from octoplex.agents.budget import NANOS, Part
from octoplex.agents.capability import leaves
from octoplex.agents.consent import Consent, Means
from octoplex.agents.course import Run
from octoplex.agents.judge import Subject, Verdict, judged, met
from octoplex.agents.planner import deed
from octoplex.agents.swarm import Trial, is_swarmed, swarmed
from octoplex.agents.words import (
    Ask,
    Failed,
    FailureKind,
    Offer,
    Order,
    Outcome,
    Screen,
    World,
)
from octoplex.wire.error import Blocked, GatewayError, OverBudget

log = logging.getLogger("octoplex.agents")
MENDABLE: frozenset[FailureKind] = frozenset({"failed", "timeout"})
"""What may go better when it is tried again."""
MOST_SAME = 3
MOST_PROGRESS = 200
"""Events in which one attempt may say how it goes: each of them is on disk before it goes on."""
_MOST_TOLD = 400
"""Characters of an outcome's text that an event shows."""


class _Kept(Struct):
    """What is kept of an attempt."""

    outcome: Outcome
    seconds: float


class Carrier:
    """Carries out the steps of one task."""

    def __init__(self, assignment: Assignment, means: Means) -> None:
        self.turn = 0
        """How often people have had the task resumed after it had failed."""
        self._assignment, self._means = assignment, means
        self._same: Counter[str] = Counter()
        self._consent = Consent(assignment, means)
        self._doubtful: set[str] = set()
        """Runs with the effect "once" that were begun and did not end well."""
        self._shares: dict[str, float] = {}
        self._expected: set[str] = set()
        """Runs that have begun and have nothing reserved yet."""

    def expect(self, run: Run, share: float) -> None:
        """A run has begun, whose part of the budget is not reserved yet."""
        self._shares[run.id] = share
        self._expected.add(run.id)

    @property
    def expected(self) -> list[float]:
        """The shares of runs that have begun and have nothing reserved yet."""
        return [self._shares[name] for name in self._expected]

    async def carry(self, run: Run, of: int) -> Outcome:
        """Do it, until it is done or nothing helps. `of`: elements in its map, 0: it is none."""
        with self._means.clock.working():
            try:
                await self._consent.enter(run, self._key(run, 1), self.turn)
            except Failed as failure:
                self._expected.discard(run.id)
                outcome = Outcome(failure=failure.failure, why=str(failure))
                await self._means.told(
                    "step.failed", run.id, failure=failure.failure, why=str(failure), of=of
                )
                return outcome
            try:
                return await self._attempts(run, of)
            finally:
                self._consent.leave(run)

    async def _attempts(self, run: Run, of: int) -> Outcome:
        told, effect, most = self._means.told, self._consent.effect(run), run.step.attempts
        number = 0
        if run.id in self._doubtful and not await self._may_repeat(run, number):
            why = "an earlier turn had begun it; it may have happened"
            await told("step.failed", run.id, failure="interrupted", why=why, of=of)
            return Outcome(failure="interrupted", why=why)
        while True:
            number += 1
            key = self._key(run, number)
            await told("step.started", run.id, action=run.step.arm, attempt=number, of=of)
            kept = await self._kept(run, key, number)
            outcome = await self._checked(run, key, kept.outcome)
            body: dict[str, Any] = {
                "attempt": number,
                "seconds": kept.seconds,
                "nanos": outcome.nanos,
                "tokens": outcome.tokens,
            }
            if outcome.failure is None:
                body["artifacts"] = msgspec.to_builtins(outcome.artifacts)
                votes = [e.value for e in outcome.evidence if e.kind == "votes"]
                body |= {"votes": votes[0]} if votes else {}
                await told("step.done", run.id, **body, of=of, text=outcome.text[:_MOST_TOLD])
                return outcome
            outcome = self._noticed(run, outcome)
            body |= {"failure": outcome.failure, "why": outcome.why[:2_000]}
            again = outcome.failure in MENDABLE and effect != "once" and number < most
            if not again and outcome.failure == "interrupted":
                again = await self._may_repeat(run, number)
            await told("step.retried" if again else "step.failed", run.id, **body, of=of)
            if not again:
                return outcome

    async def _may_repeat(self, run: Run, number: int) -> bool:
        return await self._consent.may_repeat(run, f"{self.turn}.{number}")

    def _key(self, run: Run, number: int) -> str:
        return f"{run.id}/{self.turn}.{number}" if self.turn else f"{run.id}/{number}"

    def _noticed(self, run: Run, outcome: Outcome) -> Outcome:
        """A failure, as a loop where it is the same again and again."""
        done = deed(run.step.arm, run.inputs)
        what = f"{self.turn} {done} {outcome.failure} {outcome.why}"
        self._same[what] += 1
        if self._same[what] < MOST_SAME:
            return outcome
        why = f"the same was done {MOST_SAME} times and ended alike: {outcome.why}"
        return msgspec.structs.replace(outcome, failure="loop", why=why)

    # An attempt

    async def _kept(self, run: Run, key: str, number: int) -> _Kept:
        """The outcome of an attempt: the kept one, or a new one, which is kept."""
        means = self._means
        effect = self._consent.effect(run)
        begun = effect == "once" and await means.journal.begin(f"step/{key}")
        parts: list[Part] = []

        async def do() -> Any:
            loop = asyncio.get_running_loop()
            started = loop.time()
            if begun:
                why = "an earlier process had begun it and died; it may have happened"
                outcome = Outcome(failure="interrupted", why=why)
            else:
                outcome = await self._fresh(run, number, parts)
            return msgspec.to_builtins(_Kept(outcome, round(loop.time() - started, 3)))

        kept = msgspec.convert(await means.journal.once(f"step/{key}", do), _Kept)
        self._expected.discard(run.id)
        if effect == "once" and kept.outcome.failure is not None:
            self._doubtful.add(run.id)
        if parts:
            parts[0].settle(kept.outcome.nanos, kept.outcome.tokens)
        else:
            means.purse.steps += 1
        return kept

    async def _fresh(self, run: Run, number: int, parts: list[Part]) -> Outcome:
        """Have the arm do it; whatever goes wrong is an outcome, too."""
        part = None
        try:
            self._expected.discard(run.id)
            part = await self._means.purse.reserve(self._shares[run.id])
            parts.append(part)
            return await self._done(run, number, part)
        except Failed as failure:
            kind, why = failure.failure, str(failure)
        except GatewayError as error:
            kind, why = kind_of(error), str(error)
        except Exception as error:  # an arm's defect ends its step, not the task
            log.exception("the arm %s broke", run.step.arm)
            kind, why = "failed", f"the arm broke: {type(error).__name__}: {error}"
        nanos, tokens = (part.used_nanos, part.used_tokens) if part else (0, 0)
        return Outcome(failure=kind, why=why[:4_000], nanos=nanos, tokens=tokens)

    async def _done(self, run: Run, number: int, part: Part) -> Outcome:
        means, offer = self._means, self._means.offers[run.step.arm]
        screen = self._assignment.world.screen
        inputs = run.inputs
        if screen and leaves(offer):
            inputs = await screened(inputs, screen, "out")
        wrong = means.schemas.faults(offer.input_schema, inputs, "input")
        if wrong:
            raise Failed("failed", "; ".join(wrong))
        seconds = min(run.step.timeout_s or offer.timeout_s, means.clock.left_s)
        seen = await self._consent.seen(run, is_first=number == 1)
        order = msgspec.structs.replace(self._order(run, inputs, number, part), seen=seen)
        order = self._granted(msgspec.structs.replace(order, seconds=seconds), offer)
        try:
            async with asyncio.timeout(seconds):
                outcome = await self._tried(run, order, part)
        except TimeoutError:
            raise Failed("timeout", f"{offer.name} took longer than {seconds:g} s") from None
        if screen and (outcome.is_untrusted or offer.brings_untrusted):
            shown = await screened([outcome.output, outcome.text], screen, "in")
            outcome = msgspec.structs.replace(outcome, output=shown[0], text=shown[1])
        return msgspec.structs.replace(
            outcome,
            nanos=max(outcome.nanos, part.used_nanos),
            tokens=max(outcome.tokens, part.used_tokens),
        )

    async def _tried(self, run: Run, order: Order, part: Part) -> Outcome:
        """What the arm makes of it, or several attempts of it."""
        agent, offer = self._assignment.agent, self._means.offers[order.action]
        arm, world = self._means.arms[order.action], self._world(run, part)

        async def attempt(ask: Ask) -> Outcome:
            outcome = await arm(order, msgspec.structs.replace(world, ask=ask))
            wrong = self._means.schemas.faults(offer.output_schema, outcome.output, "output")
            if wrong and outcome.failure is None:
                raise Failed("failed", f"{offer.name} gave what it should not: {'; '.join(wrong)}")
            return outcome

        if not is_swarmed(agent, self._assignment.task, offer, self._consent.effect(run)):
            return await attempt(world.ask)
        part.lower(round(agent.swarm.dollars * NANOS))
        criteria = run.step.criteria
        return await swarmed(
            agent.swarm,
            Trial(
                goal=self._goal(run),
                attempt=attempt,
                ask=world.ask,
                judge=agent.judge,
                met=lambda outcome: met(criteria, self._subject(run, outcome)),
                more=lambda: part.more,
            ),
        )

    def _order(self, run: Run, inputs: dict[str, Any], number: int, part: Part) -> Order:
        return Order(
            task_id=self._assignment.id,
            step_id=run.id,
            action=run.step.arm,
            inputs=inputs,
            attempt=number,
            model=self._assignment.agent.worker,
            nanos=part.nanos,
            is_tainted=self._means.taint.has_entered,
        )

    def _granted(self, order: Order, offer: Offer) -> Order:
        mint = self._assignment.mint
        if mint is None:
            return order
        return msgspec.structs.replace(
            order, grant=mint(order, offer, self._assignment.agent.allow)
        )

    def _world(self, run: Run, part: Part) -> World:
        world, told = self._assignment.world, self._means.told

        left = iter(range(MOST_PROGRESS))

        async def tell(body: dict[str, Any]) -> None:
            if next(left, None) is not None:
                await told("step.progress", run.id, **body)

        return msgspec.structs.replace(
            world,
            ask=part.asking(self._assignment.models),
            tell=tell,
            approved=self._consent.approved,
        )

    # A check

    async def _checked(self, run: Run, key: str, outcome: Outcome) -> Outcome:
        """The outcome, failed where it does not meet the step's criteria."""
        if outcome.failure is not None or not run.step.criteria:
            return outcome
        subject = self._subject(run, outcome)
        try:
            unmet = await self.check(f"check/{key}", run.step.criteria, subject, run.id)
        except Failed as failure:
            return msgspec.structs.replace(outcome, failure=failure.failure, why=str(failure))
        if not unmet:
            return outcome
        return msgspec.structs.replace(outcome, failure="failed", why="; ".join(unmet))

    def _goal(self, run: Run) -> str:
        return run.step.why or deed(run.step.arm, run.inputs)[:2_000]

    def _subject(self, run: Run, outcome: Outcome) -> Subject:
        return Subject(
            goal=self._goal(run),
            output=outcome.output,
            workspace=self._assignment.world.workspace,
            evidence=outcome.evidence,
            artifacts=outcome.artifacts,
        )

    async def check(
        self, key: str, criteria: tuple[Any, ...], subject: Subject, step: str = ""
    ) -> list[str]:
        """What criteria say; of those that are not met, why. Kept and told."""
        means, assignment = self._means, self._assignment

        async def do(ask: Ask) -> Any:
            return msgspec.to_builtins(await judged(criteria, subject, ask, assignment.agent.judge))

        kept = await means.thought(key, do, assignment.models)
        verdicts = msgspec.convert(kept, list[Verdict])
        for verdict in verdicts:
            await means.told("criterion.checked", step, **msgspec.to_builtins(verdict))
        return [f"not met: {v.what} ({v.why})" for v in verdicts if not v.passed]


def spent_of(kept: Mapping[str, Any]) -> tuple[int, int]:
    """Nano-dollars and tokens of all that a journal has kept of a task."""
    paid: list[Any] = []
    for key, value in kept.items():
        match key.partition("/")[0]:
            case "step":
                paid.append(value["outcome"])
            case "check":
                paid += value
            case "plan" | "repair":
                paid.append(value)
            case _:
                pass
    return sum(one["nanos"] for one in paid), sum(one["tokens"] for one in paid)


def kind_of(error: GatewayError) -> FailureKind:
    """The failure that an error of the gateway is."""
    if isinstance(error, Blocked):
        return "refused"
    return "budget" if isinstance(error, OverBudget) else "failed"


async def screened(value: Any, screen: Screen, way: Any) -> Any:
    """A value with its texts as they may enter or leave. Raises `Blocked`."""
    if isinstance(value, str):
        return await screen(value, way) if value else value
    if isinstance(value, dict):
        said = {name: await screened(part, screen, way) for name, part in value.items()}
        return {await screened(name, screen, way): part for name, part in said.items()}
    if isinstance(value, list | tuple):
        return [await screened(part, screen, way) for part in value]
    return value
