"""Ask the small one, verify, escalate: an answer that is given only once it was found good.

    call.trail.cascade = Cascade("support", small, (check, ...), big)
    answer = await Cascading(chain, route_of, judging, tell)(call)

    small answers -> held whole -> verified: given as it came
                                -> not: dropped, and `escalate` is asked, whose answer is given

What is given was found good by a verifier and refused by none, or comes of another target than the
one that was verified. So an answer of which no verifier says anything is not given, nor one whose
verifier failed, that broke off, says nothing or is longer than `LONGEST`; and where it is known
before that no verifier can speak (several replies at once, tools that the provider runs, no schema
for "json-schema"), `escalate` is asked at once. Where that one may not be asked (a region that bars
it) the route answers as if there were no cascade. What answers in place of a target that fails is
the route's to say, but never the one that was not verified; where nobody does, its failure is told.

A stream is held too, and given as a stream of the same bytes: its first byte comes when the whole
answer is there and was verified. Guard, cache and idempotency stand above and see what is given.

All of it is one request of its caller: each attempt, a judge's too, is reserved, settled and told
in its trail, within its deadline. A verifier has half of the time that is left, at most `JUDGE_S`,
so that there is some left to escalate. Tokens of what was dropped are in the record's sum.

Reference: Chen, Zaharia & Zou, FrugalGPT (2023). Not promised: that a verifier is right.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol

from msgspec import Struct

from octoplex.optimizer.checks import Check
from octoplex.optimizer.judges import is_model
from octoplex.routing import Route
from octoplex.wire.answer import (
    Answer,
    Answerer,
    Ended,
    Ending,
    Frame,
    Outcome,
    bound,
    why_cancelled,
)
from octoplex.wire.ask import Ask, Call, Trail
from octoplex.wire.beside import understood
from octoplex.wire.chat import Chat
from octoplex.wire.eager import in_task
from octoplex.wire.error import DeadlinePassed, GatewayError, UpstreamBroken, UpstreamError
from octoplex.wire.event import Event, Reply, Usage, fold

log = logging.getLogger("octoplex.experiments")
LONGEST = 8 << 20
"""Bytes of a stream that is held: 30,000 tokens of the wordiest dialect."""
MOST = 128 << 20
"""Bytes of all that are held at once; they take some three times as much memory."""
JUDGE_S = 30.0
ESCALATED, JUDGED = "escalated", "judged"
"""How attempts are told whose answers were not given: not verified, or a judge's."""
Result = Literal["passed", "escalated", "unverifiable"]
CallOf = Callable[[Ask, str, bytes, float], Call]
"""(the ask that it is about, a model, the body of a chat, a deadline on the loop's clock)."""


class Cascade(Struct, frozen=True, eq=False):
    """`target`, `verify` and `escalate` of a variant, compiled."""

    route: str
    first: str
    """Who is asked first, and `escalate` who is asked then, as `Target.name` says it."""
    verify: tuple[Check, ...]
    escalate: str


class Change(Protocol):
    """A variant: gives the call as it has it; raises InvalidCall where that cannot be."""

    def __call__(self, call: Call) -> Call: ...

    @property
    def target(self) -> str:
        """Who is asked first, as `Target.name` says it; "" as the route has it."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """Who may answer as this variant."""
        ...

    @property
    def prompt(self) -> str:
        """What is put before what the caller tells the model."""
        ...

    @property
    def added_tokens(self) -> int:
        """About how many the prompt has."""
        ...

    @property
    def cascade(self) -> Cascade | None:
        """How its answers are verified, where they are."""
        ...


class Room(Struct):
    """How many bytes of streams are held."""

    most: int = MOST
    used: int = 0


class Cascading:
    """The Answerer around routing that verifies answers of calls with a `Cascade`."""

    __slots__ = ("_call_of", "_inner", "_judging", "_route_of", "_tell", "room")

    def __init__(
        self,
        inner: Answerer,
        route_of: Callable[[Ask], Route],
        judging: tuple[CallOf, Answerer],
        tell: Callable[[str, Result], None],
    ) -> None:
        """`judging` makes the calls of judges, and answers them; `tell` is told how each cascade
        went, by route."""
        self._inner, self._route_of = bound(inner), route_of
        self._call_of, self._judging = judging
        self._tell, self.room = tell, Room()

    async def __call__(self, ask: Ask, /) -> Answer:
        """Open an answer inside; where it is verified, it is whole by then."""
        cascade = ask.trail.cascade
        if not isinstance(cascade, Cascade) or not isinstance(ask, Call):
            return await self._inner(ask)
        route, trail = self._route_of(ask), ask.trail
        trail.first, trail.refused = "", ""
        names = {candidate.target.name for candidate in route.candidates}
        # Of another route: several models in one.
        if ask.op != "chat" or route.name != cascade.route or cascade.escalate not in names:
            trail.trial = ""  # it is answered as if there were no variant
            return await self._inner(ask)
        if trail.trial:  # elsewhere the route's chooser has chosen it
            trail.first = cascade.first
        return await self._verified(ask, cascade)

    async def _verified(self, call: Call, cascade: Cascade) -> Answer:
        await understood(call)
        chat, trail = _readable(call), call.trail
        checks = () if chat is None else tuple(c for c in cascade.verify if c.has_say(chat))
        if chat is None or not checks:
            self._tell(cascade.route, "unverifiable")
            return await self._escalated(call, cascade, "nothing could be verified")
        trail.held, added = cascade.first, len(trail.added)
        try:
            answer = await self._inner(call)
        finally:
            trail.held = ""
        row = trail.answered()
        if row is None or row.target != cascade.first:  # it failed, and another one answered
            return answer
        given = answer
        try:
            given, reply = await held(answer, self.room)
            row.first_s = row.duration_s  # all of it was waited for
            why = await self._fault(call, checks, chat, reply)
        except UpstreamError as error:
            why = f"its answer cannot be read: {error.code}"
        except asyncio.CancelledError as left:
            _waste(trail, given, why_cancelled(left))
            raise
        if not why:
            self._tell(cascade.route, "passed")
            return given
        self._tell(cascade.route, "escalated")
        _waste(trail, given)
        if row.outcome != "cut":
            row.outcome = ESCALATED
        trail.refused = cascade.first
        del trail.added[added:]
        return await self._escalated(call, cascade, why)

    async def _escalated(self, call: Call, cascade: Cascade, why: str) -> Answer:
        call.trail.first = cascade.escalate
        try:
            return await self._inner(call)
        finally:
            call.trail.why = f"{ESCALATED}: {why}"

    async def _fault(self, call: Call, checks: tuple[Check, ...], chat: Chat, reply: Reply) -> str:
        """Why an answer is not given; "" where it is."""
        if not reply.tool_calls and not reply.text.strip():
            return "it says nothing"
        ask, found = partial(self._asked, call), False
        for check in checks:
            try:
                if is_model(check.name):  # its call has a deadline
                    good = await check.passes(chat, reply, ask)
                else:
                    await in_task()
                    async with asyncio.timeout_at(_until_at(call)):
                        good = await check.passes(chat, reply, ask)
            except GatewayError as error:
                return f"{check.name} failed: {error.code}"
            except TimeoutError:
                return f"{check.name} failed: {DeadlinePassed.code}"
            except Exception:  # a defect: it must not end unseen, nor let an answer pass
                log.exception("an answer of %s was not verified", call.model)
                return f"{check.name} failed"
            if good is False:
                return f"{check.name} refused it"
            found = found or good is True
        return "" if found else "nobody vouches for it"

    async def _asked(self, call: Call, model: str, body: bytes) -> Reply:
        """What a judge says, in the trail of the call that it is about."""
        trail = call.trail
        before, count = (trail.route, trail.why), len(trail.attempts)
        trail.first = ""
        answer = None
        try:
            answer = await self._judging(self._call_of(call, model, body, _until_at(call)))
            answer, reply = await held(answer, self.room)
            return reply
        finally:
            if answer is not None:
                _waste(trail, answer)
            trail.route, trail.why = before
            for row in trail.attempts[count:]:
                if 0 < row.status < 400:
                    row.outcome, row.first_s = JUDGED, row.duration_s


def _until_at(call: Call) -> float:
    """How long a verifier that begins now may take."""
    now = asyncio.get_running_loop().time()
    return min(now + JUDGE_S, (now + call.deadline_at) / 2)


def _waste(trail: Trail, answer: Answer, why: Outcome = "done") -> None:
    """Nobody is given this answer."""
    answer.close(why)
    usage = answer.head.usage
    trail.wasted_tokens += usage.input_tokens + usage.output_tokens
    trail.wasted_output_tokens += usage.output_tokens


def _readable(call: Call) -> Chat | None:
    """The typed view of a call whose answer can be verified from its own; None of any other."""
    try:
        chat = call.chat()
    except GatewayError:  # verbatim: the provider may understand it
        return None
    apart = call.n != 1 or chat.server_tools or chat.native or set(chat.modalities) - {"text"}
    return None if apart else chat


async def held(answer: Answer, room: Room) -> tuple[Answer, Reply]:
    """An answer once all of it is there, to be given as it came, and its typed view.

    Raises:
        UpstreamError: it broke off, cannot be read, is too long, or too much is held already.
    """
    if answer.body is not None:
        return answer, answer.reply()
    frames: deque[Frame] = deque()
    events: list[Event] = []
    size = 0
    try:
        async for frame in answer:
            more = len(frame.wire or b"") or 64
            size, room.used = size + more, room.used + more
            if size > LONGEST or room.used > room.most:
                raise UpstreamBroken(f"There is no room to hold {size:,} bytes of an answer.")
            frames.append(frame)
            events += frame.events()
        reply = fold(events)
    except BaseException as left:
        room.used -= size
        answer.close(why_cancelled(left) if isinstance(left, asyncio.CancelledError) else "left")
        raise
    given = Held(answer, frames)
    given.on_end(lambda *_: _give_back(room, size))
    return given, reply


def _give_back(room: Room, size: int) -> None:
    room.used -= size


class Held:
    """A stream that is there already, as it came."""

    __slots__ = ("_ending", "_frames", "_usage", "body", "dialect", "head")

    def __init__(self, inner: Answer, frames: deque[Frame]) -> None:
        self.head, self.dialect = inner.head, inner.dialect
        self.body: bytes | None = None
        self._frames, self._ending, self._usage = frames, Ending(), inner.head.usage
        inner.on_end(self._heard)

    def reply(self) -> Reply:
        """A stream has no whole body."""
        raise TypeError("this answer is a stream; fold its events instead")

    def __aiter__(self) -> "Held":
        return self

    async def __anext__(self) -> Frame:
        """The next frame; it has ended with the last one."""
        if self._ending.outcome is not None or not self._frames:
            self._ending.fire("done", self._usage)
            raise StopAsyncIteration
        frame = self._frames.popleft()
        if not self._frames:
            self._ending.fire("done", self._usage)
        return frame

    def close(self, outcome: Outcome = "left") -> None:
        """Stop; nothing is open."""
        self._ending.fire(outcome, self._usage)

    def on_end(self, told: Ended) -> None:
        """Be told once how it ended."""
        self._ending.on_end(told)

    def _heard(self, outcome: Outcome, usage: Usage) -> None:
        self._usage = usage
