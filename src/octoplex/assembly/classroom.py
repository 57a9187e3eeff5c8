"""Joins routes that learn to routing: who chooses, who is asked beside the path, who judges.

Rivals and judges are asked through the chain below the caller's layers: metered, within a deadline,
with breakers and keys as ever, and recorded under the course's own caller. What outlives a
configuration is the school, in `Works`.
"""

import asyncio
from collections.abc import Mapping
from functools import partial

from msgspec.structs import replace

from octoplex.assembly.arrival import Arrival, Patience, read_call
from octoplex.assembly.guards import judging
from octoplex.assembly.plan import Plan
from octoplex.assembly.testing import run_by
from octoplex.assembly.works import Works
from octoplex.ledger.ids import request_ids
from octoplex.optimizer.cascade import Cascading, Change
from octoplex.optimizer.course import Course
from octoplex.optimizer.judges import AskModel, Judge, judges_of
from octoplex.optimizer.pairs import Paired, Prepared
from octoplex.optimizer.school import School
from octoplex.optimizer.shelf import DiskShelf
from octoplex.reflex.record import Recorded
from octoplex.routing import Chain, Chooser, Route, choosers
from octoplex.wire.answer import Answer, Answerer, reply_of
from octoplex.wire.ask import Ask, Call
from octoplex.wire.event import Reply

JUDGE_S = 120.0
"""How long a model may take to judge."""
JUDGED = "openai-chat"
"""The dialect in which judges are asked."""


class Classroom:
    """The routes of one configuration that learn."""

    def __init__(self, plan: Plan, works: Works) -> None:
        if not isinstance(works.school, School):
            works.school = School(DiskShelf(works.data))
        self._plan, self._works, self._school = plan, works, works.school
        self._learned = self._school.learned(plan.courses)
        for study in self._learned.studies.values():
            study.fund.among = lambda: works.others().get("workers", 1)
        self._new_id = request_ids()
        self.choosers: Mapping[str, Chooser] = {**choosers(), "learned": self._learned}

    def around(self, inner: Answerer, chain: Chain) -> Answerer:
        """The layer around routing that makes pairs.

        Raises:
            BadConfig: a judge is none.
        """
        judges = {
            name: self._judges(course, self._recorded(chain))
            for name, course in self._plan.courses.items()
        }

        def rival(course: Course, variant: int) -> Answerer | None:
            route = self._plan.routes[course.route]
            road = _road(route, course, variant)
            if road is None:
                return None
            alone, change = _Alone(chain, road), course.change(variant)
            if change is None:
                return self._recorded(alone)
            return self._recorded(_Varied(self._verified(alone, chain, course), change))

        return Paired(inner, self._school.pairs, rival, judges, self._prepared())

    def _prepared(self) -> Prepared | None:
        """How requests are changed, where a variant of a route is more than its target."""
        if not any(course.changes for course in self._plan.courses.values()):
            return None
        route_of, studies = self._plan.resolver.route_of, self._learned.studies

        def prepared(call: Call) -> Call:
            study = studies.get(route_of(call).name)
            more = study is not None and study.course.changes
            return self._learned.prepared(call, study) if study is not None and more else call

        return prepared

    def _verified(self, alone: "_Alone", chain: Chain, course: Course) -> Answerer:
        """A rival whose answer is verified, as it would be for its caller."""
        works, route = self._works, self._plan.routes[course.route]
        judging_of = partial(judging, works.faces[JUDGED])

        def tell(_: str, result: str) -> None:
            works.metrics.cascaded(course.shadow, result)

        return Cascading(alone, lambda ask: route, (judging_of, chain), tell)

    def begin(self) -> None:
        """The configuration is in force."""
        self._school.follow(self._learned)

    def _recorded(self, inner: Answerer) -> Recorded:
        works = self._works
        return Recorded(inner, works.store, works.metrics, lambda f, e: works.faces[f].status(e))

    def _judges(self, course: Course, judging: Answerer) -> Judge:
        """The judges of a course, whose models are asked by `judging`."""
        face, fund = self._works.faces[JUDGED], self._learned.studies[course.route].fund

        async def ask(model: str, body: bytes) -> tuple[Reply, int]:
            now, patience = asyncio.get_running_loop().time(), Patience(JUDGE_S, JUDGE_S)
            headers = {"cache-control": "no-store"}
            arrival = Arrival(self._new_id(), face, now, patience, course.caller, headers)
            call = replace(read_call(arrival, body), model=model)
            try:
                return await reply_of(await judging(call)), call.trail.nano
            finally:
                fund.pay(call.trail.nano)

        asks: AskModel = ask
        judges, tests = course.table.learn.judge, None
        if "tests" in judges:
            tests = run_by(self._plan.settings.sandbox)
        return judges_of(judges, asks, self._works.judge.fault, tests)


def _road(route: Route, course: Course, variant: int) -> Route | None:
    """The route on which a variant is asked once and alone; None where it cannot be."""
    change = course.change(variant)
    names = change.targets if change else (course.targets[variant].name,)
    by_name = {c.target.name: c for c in route.candidates if c.lanes}
    if any(name not in by_name for name in names):
        return None
    return replace(
        route,
        name=course.shadow,
        candidates=tuple(by_name[name] for name in names),
        pick="in-order",
        attempts=1,
        rescue="off",
        hedge="off",
    )


class _Alone:
    """The chain on one road; the record says for which request."""

    __slots__ = ("_chain", "_road")

    def __init__(self, chain: Chain, road: Route) -> None:
        self._chain, self._road = chain, road

    async def __call__(self, ask: Ask, /) -> Answer:
        """Open an answer there."""
        why = ask.trail.why
        try:
            return await self._chain.open(ask, self._road)
        finally:
            ask.trail.why = why


class _Varied:
    """A variant that is more than its target, asked beside the path."""

    __slots__ = ("_change", "_inner")

    def __init__(self, inner: Answerer, change: Change) -> None:
        self._inner, self._change = inner, change

    async def __call__(self, ask: Ask, /) -> Answer:
        """Open an answer to the request as the variant has it."""
        assert isinstance(ask, Call)
        why, call = ask.trail.why, self._change(ask)
        call.trail.first = ""
        try:
            return await self._inner(call)
        finally:
            ask.trail.why = why
