"""Pairs: a request that both the reference and a candidate answer, so that somebody can judge.

    answerer = Paired(inner, pairs)        around routing; knows a request by its `Choice`

The reference's answer is the caller's, and goes its way. When it has ended well, the rival is asked
the same, beside the path: nobody waits for it, and it is not the caller's. It has an id, a record
and rows in the ledger of its own, under the key and the route `shadow:NAME`; no limit of the
caller's counts it. Then the judges compare, and a note is written. Tools are never run here: of a
reply that calls some only the calls are compared.

At most `MOST` pairs are under way in a process; what `learn.spend` allows is asked before
(`course.py`). A graceful stop drops what is under way.

A rival that fails in a way after which routing would ask the reference has cost nobody an answer:
it is noted without scores. What would have ended the call, such as a refusal or the deadline, is
worth nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from math import nan
from typing import Protocol

from msgspec.structs import replace

from octoplex.ledger.ids import request_ids
from octoplex.optimizer.course import NANO, Course
from octoplex.optimizer.live import Choice
from octoplex.optimizer.notes import Order, Pair
from octoplex.optimizer.shelf import Shelf
from octoplex.wire.answer import Answer, Answerer, Ended, Frame, Outcome, Whole, bound
from octoplex.wire.ask import Ask, Call, Trail
from octoplex.wire.chat import Chat
from octoplex.wire.error import (
    CallerError,
    DeadlinePassed,
    GatewayError,
    NoTarget,
    OurError,
    UpstreamError,
)
from octoplex.wire.event import Event, Reply, Usage, fold

log = logging.getLogger("octoplex.optimizer")
MOST = 64
LONGEST = 1 << 20
"""Bytes of a reply that is compared."""
REFUSED = "refused"
"""Who has judged where the rival's answer was an error that its caller would have been given."""


class Judged(Protocol):
    """What a judge says of two replies: their worth, 0..1, who it was and what it cost."""

    @property
    def reference(self) -> float: ...
    @property
    def rival(self) -> float: ...
    @property
    def judge(self) -> str: ...
    @property
    def nano(self) -> int: ...


Judge = Callable[[Chat, Reply, Reply], Awaitable[Judged | None]]
"""(the request, the reference's reply, the rival's)."""
Rival = Callable[[Course, int], Answerer | None]
"""Asks a variant of a course alone, recorded; None where it cannot be asked."""


class Pairs:
    """The pairs that are under way in this process."""

    def __init__(self, shelf: Shelf, most: int = MOST) -> None:
        self.shelf, self._most = shelf, most
        self._tasks: set[asyncio.Task[None]] = set()
        self._new_id = request_ids()
        self.stopping = False

    def have_room(self) -> bool:
        """Whether another one may begin."""
        return not self.stopping and len(self._tasks) < self._most

    def begin(self, work: "Comparison", reference: Callable[[], Reply]) -> None:
        """Make a pair of an answer that has ended."""
        if not self.have_room():
            return
        task = asyncio.get_running_loop().create_task(self._made(work, reference))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _made(self, work: "Comparison", reference: Callable[[], Reply]) -> None:
        try:
            pair = await work.pair(self._new_id(), reference)
        except Exception:  # a defect: it costs a pair, and must not end unseen
            log.exception("a pair of %s was not made", work.choice.study.course.route)
            return
        if pair is not None:
            self.shelf.note(work.choice.study.course.route, pair)

    async def close(self) -> None:
        """Drop what is under way."""
        self.stopping = True
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel("stopped")
        if tasks:
            await asyncio.wait(tasks)


class Comparison:
    """What one pair is made of: who was chosen for what, and who is asked besides."""

    __slots__ = ("_judge", "_rival", "call", "choice")

    def __init__(self, call: Call, choice: Choice, rival: Answerer, judge: Judge) -> None:
        self.call, self.choice = call, choice
        self._rival, self._judge = rival, judge

    async def pair(self, id_: str, reference: Callable[[], Reply]) -> Pair | None:
        """Ask the rival under this id, and have both judged; None where nothing was learned."""
        choice, shadow = self.choice, self._shadow(id_)
        scores, judge, nano = (nan, nan), "", 0
        try:
            told = reference()
        except GatewayError:
            return None  # it reached its caller, and cannot be read here
        try:
            reply = await reply_of(await self._rival(shadow))
        except DeadlinePassed:
            scores, judge = (1.0, 0.0), REFUSED
        except (CallerError, OurError, NoTarget):
            return None  # nobody was asked
        except UpstreamError as error:
            if error.next == "end":
                scores, judge = (1.0, 0.0), REFUSED
        else:
            judged = await self._judged(told, reply)
            if judged is not None:
                scores, judge, nano = (judged.reference, judged.rival), judged.judge, judged.nano
        finally:
            choice.study.fund.pay(shadow.trail.nano)  # the judges' asks pay for themselves
        nano += shadow.trail.nano
        assert choice.features is not None
        assert choice.decision is not None
        return Pair(self.call.id, choice.features, choice.decision, *scores, judge, nano)

    async def _judged(self, reference: Reply, rival: Reply) -> Judged | None:
        try:
            return await self._judge(self.call.chat(), reference, rival)
        except GatewayError as error:
            log.info("a pair has no verdict: %s", error)
            return None

    def _shadow(self, id_: str) -> Call:
        """The same request, of nobody, with as much time as it had at first."""
        call, now = self.call, asyncio.get_running_loop().time()
        return replace(
            call,
            id=id_,
            caller=self.choice.study.course.caller,
            started_at=now,
            deadline_at=now + call.deadline_at - call.started_at,
            trail=Trail(why=f"beside {call.id}"),
        )


async def reply_of(answer: Answer) -> Reply:
    """All of an answer.

    Raises:
        UpstreamError: it broke off, or cannot be read.
    """
    if isinstance(answer, Whole):
        return answer.reply()
    try:
        return fold([event async for frame in answer for event in frame.events()])
    finally:
        answer.close()


class Paired:
    """The Answerer around routing: sees what requests use and save, and begins pairs."""

    __slots__ = ("_inner", "_judges", "_pairs", "_rival")

    def __init__(
        self, inner: Answerer, pairs: Pairs, rival: Rival, judges: Mapping[str, Judge]
    ) -> None:
        """`judges` are those of each route."""
        self._inner, self._pairs = bound(inner), pairs
        self._rival, self._judges = rival, judges

    async def __call__(self, ask: Ask, /) -> Answer:
        """Open an answer inside; its content is listened to where a pair is made of it."""
        answer = await self._inner(ask)
        choice = ask.trail.decided
        if not isinstance(choice, Choice) or not isinstance(ask, Call) or choice.raw is not ask.raw:
            return answer
        self._name(choice, ask, answer.head.model)
        answer.on_end(partial(_learn, choice, ask))
        work = self._comparison(ask, choice, answer)
        if work is None:
            return answer
        if isinstance(answer, Whole):
            self._pairs.begin(work, answer.reply)
            return answer
        return Overheard(answer, partial(self._pairs.begin, work))

    def _name(self, choice: Choice, call: Call, model: str) -> None:
        """Hear which model has answered; another one than before is not what was certified."""
        study, variant = choice.study, _variant(choice, call)
        if variant is None or not model:
            return
        before = study.names[variant].heard(model)
        if before:
            name = study.course.variants[variant]
            why = f"{name} answers as {model}, no longer as {before}"
            self._pairs.shelf.note(study.course.route, Order("void", why))

    def _comparison(self, call: Call, choice: Choice, answer: Answer) -> Comparison | None:
        """What a pair of this answer is made of; None where there is to be none."""
        decision, course = choice.decision, choice.study.course
        if decision is None or not decision.is_judged or answer.head.status != 200:
            return None
        if _variant(choice, call) != 0:
            return None
        rival = self._rival(course, decision.rival)
        if rival is None:
            return None
        return Comparison(call, choice, rival, self._judges[course.route])


def _learn(choice: Choice, call: Call, outcome: Outcome, usage: Usage) -> None:
    """What a request has used and saved."""
    study, variant = choice.study, _variant(choice, call)
    if variant is None or outcome != "done":
        return
    study.expected.saw(variant, call, usage)
    costs = choice.costs
    saved = costs[0] - costs[variant] if costs else 0.0
    study.fund.earn(saved * NANO, call.trail.nano)


def _variant(choice: Choice, call: Call) -> int | None:
    """Who has answered."""
    answered = call.trail.answered()
    return None if answered is None else choice.study.numbers.get(answered.target)


class Overheard:
    """A stream of which a copy is gathered, as far as its caller reads it."""

    __slots__ = ("_events", "_inner", "_size", "_told", "body", "dialect", "head")

    def __init__(self, inner: Answer, told: Callable[[Callable[[], Reply]], None]) -> None:
        self.head, self.dialect, self.body = inner.head, inner.dialect, inner.body
        self._inner, self._told = inner, told
        self._events: list[Event] = []
        self._size = 0
        inner.on_end(self._ended)

    def reply(self) -> Reply:
        """A stream has no whole body."""
        return self._inner.reply()

    def __aiter__(self) -> "Overheard":
        return self

    async def __anext__(self) -> Frame:
        """The next frame, as it came."""
        frame = await self._inner.__anext__()
        if self._size <= LONGEST:
            self._size += len(frame.wire or b"") or 64
            try:
                self._events += frame.events()
            except GatewayError:  # its caller's to meet, if it looks
                self._size = LONGEST + 1
        return frame

    def _ended(self, outcome: Outcome, usage: Usage) -> None:
        """Its last frame is on its way yet: what it says is heard in this turn of the loop."""
        if outcome == "done":
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        if self._size <= LONGEST:
            self._told(partial(fold, self._events))

    def close(self, outcome: Outcome = "left") -> None:
        """Stop caring."""
        self._inner.close(outcome)

    def on_end(self, told: Ended) -> None:
        """Be told once how it ended."""
        self._inner.on_end(told)
