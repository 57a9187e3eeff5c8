"""Joins routes that learn to routing: who chooses, who is asked beside the path, who judges.

Rivals and judges are asked through the chain below the caller's layers: metered, within a deadline,
with breakers and keys as ever, and recorded under the course's own caller. What outlives a
configuration is the school, in `Works`.
"""

import asyncio
from collections.abc import Mapping

from msgspec.structs import replace

from octoplex.assembly.arrival import Arrival, Patience, read_call
from octoplex.assembly.plan import Plan
from octoplex.assembly.works import Works
from octoplex.ledger.ids import request_ids
from octoplex.optimizer.course import Course
from octoplex.optimizer.judges import AskModel, Judge, judges_of
from octoplex.optimizer.pairs import Paired, reply_of
from octoplex.optimizer.school import School
from octoplex.optimizer.shelf import DiskShelf
from octoplex.reflex.record import Recorded
from octoplex.routing import Chain, Chooser, Route, choosers
from octoplex.wire.answer import Answer, Answerer
from octoplex.wire.ask import Ask
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
            road = _road(self._plan.routes[course.route], course, variant)
            return None if road is None else self._recorded(_Alone(chain, road))

        return Paired(inner, self._school.pairs, rival, judges)

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
        return judges_of(course.table.learn.judge, asks, self._works.judge.fault)


def _road(route: Route, course: Course, variant: int) -> Route | None:
    """The route on which a variant is asked once and alone; None where it cannot be."""
    name = course.targets[variant].name
    found = next((c for c in route.candidates if c.target.name == name and c.lanes), None)
    if found is None:
        return None
    return replace(
        route,
        name=course.shadow,
        candidates=(found,),
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
