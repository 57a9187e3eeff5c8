"""Routing as one Answerer: choose a target, ask it, and do what the plan says if it fails.

The fast path is the whole of `open`: order the candidates, take the first one's first
lane, await its answer. No task, no timer, no plan. A plan (`plan.py`) exists only once
something failed, rests or may have to be asked twice (`hedge.py`).

Retry and fallback happen while the answer is awaited, that is before its first content.
After that the answer belongs to the caller and is never touched here again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from random import random as uniform
from typing import Any

from octoplex.routing.health import Health, OpenCall
from octoplex.routing.hedge import Race, ask_lane
from octoplex.routing.limits import Limits
from octoplex.routing.pick import Chooser, choosers
from octoplex.routing.plan import Plan, Step
from octoplex.routing.route import Candidate, Route
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask, Attempt
from octoplex.wire.eager import in_task
from octoplex.wire.error import GatewayError


class Chain:
    """The Answerer over all routes. `route_of` finds an ask's route, or raises."""

    __slots__ = ("_choosers", "_limits", "_random", "_route_of", "_sleep", "health")

    def __init__(
        self,
        route_of: Callable[[Ask], Route],
        health: Health,
        *,
        pick: Mapping[str, Chooser] | None = None,
        random: Callable[[], float] = uniform,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._route_of, self.health = route_of, health
        self._choosers = choosers(random) if pick is None else pick
        self._random, self._sleep = random, sleep
        self._limits = Limits()

    def __call__(self, ask: Ask, /) -> Coroutine[Any, Any, Answer]:
        """Open an answer on the route that the ask's model names."""
        return self.open(ask, self._route_of(ask))

    async def open(self, ask: Ask, route: Route) -> Answer:
        """Open an answer on a route.

        Raises:
            GatewayError: no target of the route opened one; the most telling failure.
        """
        health, trail, order = self.health, ask.trail, route.candidates
        now = health.now()
        health.retries.called(now)
        trail.route = route.name
        if len(order) > 1:
            order = tuple(self._choosers[route.pick].order(ask, route, health))
        else:
            trail.why = "only target"
        first = order[0]
        target = first.target
        state = health.targets.get(target.name) or health.of(target)
        lanes = first.lanes
        lane = lanes[0] if lanes and not health.rests.table else health.lane(first, now)
        if lane is None or not state.breaker.closed or now >= ask.deadline_at:
            plan = self._plan(ask, route, order)
            return await self._walk(plan, plan.start())
        if ask.stream and len(order) > 1:
            plan = self._plan(ask, route, order)
            return await self._walk(plan, plan.asked(first, lane))
        call = OpenCall(state, Attempt(target.name, lane.key), now)
        state.open_calls += 1
        trail.attempts.append(call.row)
        try:
            answer = await lane.answer(ask)
        except GatewayError as error:
            call.failed(error)
            failure = error
        except BaseException as error:
            call.failed(error)
            raise
        else:
            call.opened(answer)
            return answer
        plan = self._plan(ask, route, order)
        step = plan.asked(first, lane)
        return await self._walk(plan, plan.after(step, failure))

    def _plan(self, ask: Ask, route: Route, order: Sequence[Candidate]) -> Plan:
        return Plan(ask, route, order, self.health, self._random, ask.trail.why)

    async def _walk(self, plan: Plan, step: Step) -> Answer:
        """Ask step after step until one opens."""
        while True:
            if step.wait_s > 0:
                await self._sleep(step.wait_s)
                step = plan.still(step)
            try:
                answer = await self._ask(plan, step)
            except GatewayError as error:
                failure = error
            else:
                if answer is None:
                    raise plan.verdict()
                return answer
            step = plan.after(step, failure)

    async def _ask(self, plan: Plan, step: Step) -> Answer | None:
        """One attempt, with another beside it if it is slow and may have one."""
        whole = not plan.ask.stream or step.candidate.buffers(plan.ask)
        if whole or not plan.may_have_further():
            return await ask_lane(plan.open_call(step), step, plan.ask)
        if plan.is_first():
            policy = plan.route.policy_for(step.candidate.target)
            self.health.share(plan.route).earn(policy.hedge_share)
        await in_task()
        return await Race(plan, step, self._walk, self._limits).open()
