"""Routing as one Answerer: choose a target, ask it, and do what the plan says if it fails.

The fast path is the whole of `open`: order the candidates, take the first one's first
lane, await its answer. No task, no timer, no plan. A plan (`plan.py`) exists only once
something failed, rests or may have to be asked twice (`hedge.py`).

Retry and fallback happen while the answer is awaited, that is before its first content.
After that the answer belongs to the caller. Only a stream that broke may be asked for
`again`, by `rescue/`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from random import random as uniform
from typing import Any

import msgspec

from octoplex.routing.affinity import Stay, key_of, roomy
from octoplex.routing.bend import aimed, bent
from octoplex.routing.deadline import within
from octoplex.routing.health import Health, OpenCall
from octoplex.routing.hedge import Race, ask_lane
from octoplex.routing.limits import Limits
from octoplex.routing.pick import Chooser, choosers
from octoplex.routing.plan import Plan, Step
from octoplex.routing.refusal import is_refused, refused
from octoplex.routing.route import Candidate, Route, Target
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask, Attempt, Call
from octoplex.wire.beside import understood
from octoplex.wire.eager import in_task
from octoplex.wire.error import GatewayError, NoTarget


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

    def open(self, ask: Ask, route: Route) -> Coroutine[Any, Any, Answer]:
        """Open an answer on a route.

        Raises:
            GatewayError: no target of the route opened one; the most telling failure.
        """
        if route.deadline_s is not None:
            ask = within(ask, route.deadline_s)
        if route.affinity and len(route.candidates) > 1 and isinstance(ask, Call):
            return self._stay(ask, route)
        return self._open(ask, route)

    async def _stay(self, call: Call, route: Route) -> Answer:
        """Open an answer where the call's conversation is, and note where it is then."""
        health = self.health
        key = key_of(call, route.name)
        stay = None if key is None else health.stays.home(key, health.now())
        answer = await self._open(call, route, stay)
        self._keep(call, key)
        return answer

    def moved(self, call: Call, route: Route) -> None:
        """Another target than the one that opened an answer goes on with it: it is the home."""
        if route.affinity and len(route.candidates) > 1:
            self._keep(call, key_of(call, route.name))

    def _keep(self, call: Call, key: int | None) -> None:
        answered = call.trail.answered()
        if key is not None and answered is not None:
            self.health.stays.keep(key, call, answered.target, self.health.now())

    async def _open(self, ask: Ask, route: Route, stay: Stay | None = None) -> Answer:
        health, trail, order = self.health, ask.trail, route.candidates
        now = health.now()
        health.retries.called(now)
        trail.route = route.name
        several = len(order) > 1
        if several:
            if route.pick == "learned" and isinstance(ask, Call) and ask.op == "chat":
                await understood(ask)  # what is chosen by
            order = self._order(ask, route, now, stay)
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
        if several and (ask.stream or route.hedge or route.fall_over_on_refusal):
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

    async def again(self, ask: Ask, route: Route, broken: Attempt, error: GatewayError) -> Answer:
        """Open another answer in place of one that broke off with `error` after content.

        Raises:
            GatewayError: nothing may be asked any more, or nothing opened.
        """
        order = route.candidates
        if route.deadline_s is not None:
            ask = within(ask, route.deadline_s)
        if len(order) > 1:
            order = self._order(ask, route, self.health.now())
        plan = self._plan(ask, route, order)
        return await self._walk(plan, plan.broken(broken, error))

    def _order(
        self, ask: Ask, route: Route, now: float, stay: Stay | None = None
    ) -> tuple[Candidate, ...]:
        """All candidates: the route's pick, its home first, small ones and ejected ones last."""
        health = self.health
        away: Sequence[Candidate] = ()
        used = route
        if now < health.trouble.until_at:
            candidates, away = health.part(route, now)
            if away:
                used = msgspec.structs.replace(route, candidates=tuple(candidates))
        order = self._choosers[route.pick].order(ask, used, health)
        if stay is not None:
            order = health.stays.order(ask, order, stay)
        if health.bends and (bend := health.bends.get(route.name)) is not None:
            order = bent(order, ask, bend, self._random())
        if ask.trail.first:
            order, away = aimed(order, ask), aimed(away, ask)
        small = route.least_context
        if small and isinstance(ask, Call) and ask.worst_case().input_tokens > small:
            order = roomy(ask, order)
        if health.gone.table:
            order = health.present(ask, order, now)
        return (*order, *away) if away else tuple(order)

    async def prefilled(self, call: Call, route: Route) -> Answer:
        """Open an answer that goes on from the call's `prefix`, asked once.

        Raises:
            GatewayError: no target of the route can, or may now, or it did not open.
        """
        able = tuple(
            c
            for c in route.candidates
            if c.target.prefill
            and c.lanes
            and not _is_spent(call, route, c.target)
            and c.target.name != call.trail.refused
        )
        policy = route.policy_for(able[0].target) if able else route.policy
        health = self.health
        if not able or not health.retries.take(
            health.now(), policy.retry_budget, policy.retry_floor_per_s
        ):
            raise NoTarget(f"No target of {route.name!r} goes on from what was said.")
        return await self.open(call, msgspec.structs.replace(route, candidates=able, attempts=1))

    def _plan(self, ask: Ask, route: Route, order: Sequence[Candidate]) -> Plan:
        return Plan(ask, route, order, self.health, self._random, ask.trail.why)

    async def _walk(self, plan: Plan, step: Step, free: asyncio.Event | None = None) -> Answer:
        """Ask step after step until one opens; after the first only once they are `free` to."""
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
                beside = free is not None and not free.is_set()
                if not (plan.falls_over(beside=beside) and await is_refused(answer)):
                    return answer
                failure = refused(plan.ask, step.candidate.target)
            plan.note(step, failure)
            if free is not None:
                await _once(free, plan, step, failure)
            step = plan.following(step, failure)

    async def _ask(self, plan: Plan, step: Step) -> Answer | None:
        """One attempt, with another beside it if it is slow and may have one."""
        ask, route = plan.ask, plan.route
        asked_once = route.hedge == "off" or not (ask.stream or route.hedge)
        if asked_once or not plan.may_have_further() or step.candidate.buffers(ask):
            return await ask_lane(plan.open_call(step), step, ask)
        if plan.is_first():
            self.health.share(route).earn(route.policy_for(step.candidate.target).hedge_share)
        await in_task()
        return await Race(plan, step, self._walk, self._limits).open()


async def _once(free: asyncio.Event, plan: Plan, step: Step, failure: GatewayError) -> None:
    """Wait until more may be asked; health hears of the failure also where that never comes."""
    try:
        await free.wait()
    except asyncio.CancelledError:
        plan.leave(step, failure)
        raise


def _is_spent(call: Call, route: Route, target: Target) -> bool:
    """Whether this call has asked a target as often as it may."""
    asked = sum(row.target == target.name for row in call.trail.attempts)
    return asked > route.policy_for(target).retries_per_target
