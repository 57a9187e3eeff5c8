"""Ask a second target beside a slow one; the first to have content wins.

Only where a further target can be asked, and only so often (see `Share`). There are two
moments for it. A route may set the first, for streams and whole replies alike: `hedge`, the
target's own p95 of first contents or of whole replies once a hundred are known, or a time;
beyond the share it passes without effect. The second is the first-content limit, which every
stream has: beyond the share the slow one is cancelled there. A target that is outrun before
that limit has not failed; one that is outrun after it has.

One that is asked beside another and fails is not followed by a third, nor asked again, unless
the first one fails too or passes the first-content limit: slow is not down. Where a budget does
not hold two at once, the second is asked when the first has ended; at the first-content limit the
first one is cancelled for it, if what that frees is enough.

The first target is asked in the caller's own task, so that the usual case, in which it
answers in time, costs one cancelled timer and no task. At the limit the rest of the
call's plan becomes a task of its own. If that has content first, the caller's task is
interrupted in the way `asyncio.timeout` does it: cancelled by us, counted back with
`uncancel`, and passed on whenever anybody else cancelled it too.

A race returns when both sides have ended, with at most one open answer; every other one
is closed. Metering settles a cancelled attempt by itself.

Reference: Dean and Barroso, The Tail at Scale, CACM 56(2), 2013: hedged requests.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

from msgspec import Struct

from octoplex.routing.health import OpenCall, TargetHealth
from octoplex.routing.limits import Limits
from octoplex.routing.plan import Plan, Step
from octoplex.routing.refusal import is_refused, refused
from octoplex.routing.route import Route, Target
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask
from octoplex.wire.error import GatewayError, OverBudget, UpstreamSlow

NEVER = float("inf")
Walk = Callable[[Plan, Step, asyncio.Event], Coroutine[Any, Any, Answer]]


def limit_s(route: Route, target: Target, state: TargetHealth) -> float:
    """How long a stream may be without content before another target is asked, in seconds."""
    policy, p99_s = route.policy_for(target), state.spread.p99_s()
    if policy.first_content_always_s is not None:
        return policy.first_content_always_s
    if p99_s is not None:
        return max(policy.first_content_p99 * p99_s, policy.first_content_min_s)
    if target.reasons_silently:
        return policy.silent_first_content_s
    return policy.first_content_s


def hedge_s(route: Route, state: TargetHealth, *, stream: bool) -> float:
    """After how long a route hedges, in seconds; infinite where it does not, or not yet."""
    if isinstance(route.hedge, float):
        return route.hedge
    if route.hedge not in ("p95", "p99"):
        return NEVER
    spread = state.spread if stream else state.whole
    return (spread.p95_s() if route.hedge == "p95" else spread.p99_s()) or NEVER


async def ask_lane(call: OpenCall, step: Step, ask: Ask) -> Answer:
    """One attempt, entered into health and trail however it ends."""
    try:
        answer = await step.lane.answer(ask)
    except BaseException as error:
        call.failed(error)
        raise
    call.opened(answer)
    return answer


class Race(Struct, eq=False):
    """One step of a plan with a limit, and what may be asked beside it."""

    plan: Plan
    step: Step
    walk: Walk
    limits: Limits
    limit_at: float = NEVER
    _last_at: float = NEVER
    """When the first-content limit passes, which may be later than the hedge."""
    _rival: "asyncio.Task[Answer] | None" = None
    _beside_it: Step | None = None
    """What the rival began with."""
    _rows: int = 0
    _main: "asyncio.Task[Any] | None" = None
    _before: int = 0
    _context: Context | None = None
    _interrupted: bool = False
    _free: asyncio.Event | None = None
    """Of a rival: set once it may be followed by others."""

    async def open(self) -> Answer | None:
        """The first answer that opens; None when both sides failed: the plan has the verdict.

        Raises:
            GatewayError: the step's target failed and nothing was asked beside it.
            UpstreamSlow: it passed the limit and was cancelled.
        """
        plan, step = self.plan, self.step
        stream, route = plan.ask.stream, plan.route
        call = plan.open_call(step)
        limited_s = limit_s(route, step.candidate.target, call.state) if stream else NEVER
        hedged_s = hedge_s(route, call.state, stream=stream) if plan.is_first() else NEVER
        self._watch(hedged_s, limited_s)
        try:
            answer = await ask_lane(call, step, plan.ask)
            beside = self._rival is not None
            if beside and plan.falls_over(beside=True) and await is_refused(answer):
                raise refused(plan.ask, step.candidate.target)
        except asyncio.CancelledError:
            if not self._ours():
                await self._discard()
                raise
        except GatewayError as error:
            self._ours()
            if self._rival is None or plan.ends(error):
                await self._discard()
                raise
            plan.gave_up(step, error)
            return await self._rivals_answer()
        except BaseException:
            self._ours()
            await self._discard()
            raise
        else:
            self._ours()
            if not stream and answer.body is not None:
                call.state.whole.add(call.row.duration_s)
            if self._rival is not None:
                await self._keep(answer)
            return answer
        return await self._outrun(call, min(hedged_s, limited_s))

    async def _outrun(self, call: OpenCall, after_s: float) -> Answer | None:
        """We have cancelled the step: tell its target, and take what the rival has."""
        plan, step = self.plan, self.step
        slow = UpstreamSlow(f"{step.candidate.target.name} had no content in {after_s:.3g} s.")
        call.outrun(slow.code if self._rival is None else "outrun", stream=plan.ask.stream)
        if self._rival is None:
            raise slow
        if asyncio.get_running_loop().time() < self._last_at:
            plan.note(step, slow)  # another was quicker, that is no failure of its target
        else:
            plan.gave_up(step, slow)
        return await self._rivals_answer()

    def limit(self) -> None:
        """A limit has passed: ask beside, or cancel, or let it be when nobody is left."""
        plan, last = self.plan, self.limit_at >= self._last_at
        if self._main is None:
            return
        if self._free is not None:
            self._free.set()
        elif plan.further() and plan.health.share(plan.route).take():
            self._beside(alone=last)
            self._wait_for_last()
        elif not last:
            self._wait_for_last()
        elif plan.further():
            self._interrupt()

    def _beside(self, *, alone: bool) -> None:
        """Ask the next target while the first one is still being asked.

        `alone`: as if that were not so, because it has passed its last limit.
        """
        plan = self.plan
        assert self._main is not None
        plan.health.hedges += 1
        self._rows = len(plan.ask.trail.attempts)
        self._beside_it = step = plan.onward()
        assert step is not None
        loop = self._main.get_loop()
        self._free = asyncio.Event()
        if alone:
            self._free.set()
        walk = self.walk(plan, step, self._free)
        self._rival = loop.create_task(walk, context=self._context)
        self._rival.add_done_callback(self._ended)

    def _watch(self, hedged_s: float, limited_s: float) -> None:
        """Note who is asking, and from when on another may be asked."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        self._main, self._before, self._context = task, task.cancelling(), copy_context()
        self._last_at = loop.time() + limited_s
        self.limit_at = loop.time() + min(hedged_s, limited_s)
        self._wait()

    def _wait_for_last(self) -> None:
        if self.limit_at < self._last_at:
            self.limit_at = self._last_at
            self._wait()

    def _wait(self) -> None:
        if self._main is not None and self.limit_at < NEVER:
            self.limits.add(self, self._main.get_loop())

    def _ours(self) -> bool:
        """The step has ended: stop watching. Whether it was only we who cancelled it."""
        main, self._main = self._main, None
        self.limits.drop(self)
        return self._interrupted and main is not None and main.uncancel() <= self._before

    def _ended(self, rival: asyncio.Task[Answer]) -> None:
        if rival.cancelled():
            return
        error = rival.exception()
        if error is None or (isinstance(error, OverBudget) and self._holds_it(error)):
            self._interrupt()

    def _holds_it(self, error: OverBudget) -> bool:
        """Whether the first one, past its last limit, holds the money that the other lacks."""
        if self._main is None or self._main.get_loop().time() < self._last_at:
            return False
        assert self._beside_it is not None
        first, other = self.step.candidate.target, self._beside_it.candidate.target
        worst, left_nano = self.plan.ask.worst_case(), error.facts.get("left_nano")
        held, spent = first.cost(worst), first.reads(worst.input_tokens, 0)
        needed = other.cost(worst)
        if held is None or spent is None or needed is None or not isinstance(left_nano, int):
            return False
        return needed <= left_nano + held - spent

    def _interrupt(self) -> None:
        """Break the caller's task out of the step, if it is still in it."""
        if self._main is not None and not self._interrupted:
            self._interrupted = True
            self._main.cancel()

    async def _keep(self, answer: Answer) -> None:
        """The step won: stop the rival, and do not lose the answer while waiting for that."""
        try:
            await self._discard()
        except BaseException:
            answer.close()
            raise
        self.plan.ask.trail.why = self.step.why or self.plan.why
        for row in self.plan.ask.trail.attempts[self._rows :]:
            if row.outcome in ("left", "open", "done"):
                row.outcome = "outrun"

    async def _discard(self) -> None:
        """Cancel the rival, wait for its end, close what it opened."""
        rival, self._rival = self._rival, None
        if rival is not None:
            rival.add_done_callback(_close)
            rival.cancel()
            await asyncio.wait((rival,))

    async def _rivals_answer(self) -> Answer | None:
        """What the rival opens, None when it fails."""
        rival = self._rival
        assert rival is not None
        assert self._free is not None
        self._free.set()
        try:
            await asyncio.wait((rival,))
        except asyncio.CancelledError:
            await self._discard()
            raise
        self._rival = None
        try:
            try:
                answer = rival.result()
            except OverBudget:  # the first one's money was held then, and is free now
                assert self._beside_it is not None
                answer = await self.walk(self.plan, self._beside_it, self._free)
        except GatewayError:
            return None
        else:
            self.plan.health.hedges_won += 1
            return answer
        finally:
            del rival  # its exception's traceback holds this frame


def _close(rival: asyncio.Task[Answer]) -> None:
    """Close the answer of a rival that opened although it was no longer wanted."""
    if not rival.cancelled() and rival.exception() is None:
        rival.result().close()
