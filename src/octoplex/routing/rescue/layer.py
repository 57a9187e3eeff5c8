"""A stream that breaks after content is asked for again, and goes on where it broke off.

    answerer = Rescue(chain, route_of, writer_of, passes)

What was delivered stays as it is. The answer that is asked for in its place is held while it
repeats that, and from there on it is the caller's (`sequel.py`). Each ask is an attempt like any
other: reserved, settled, told in the trail, within the deadline, the attempts of the route and
the retry budget.

While nothing breaks, what was delivered is remembered as it came: the bytes of a stream that
passes verbatim, the events of any other; nothing is decoded for it. A stream longer than
`Room.each` is forgotten, and so is one more than `Room.all` holds, also after a rescue: they break
as ever.

The usage at the end is that of the ask that ended the reply, since that one wrote all of it, and so
is what a cache says it saved. What all of them used counts in the caller's limits, what they cost
is in the trail.

Not promised: rescue of a reply with members that no event has (log probabilities, citations,
tools of the provider), of more than one choice, or of anything but a chat.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from msgspec import Struct

from octoplex.routing.chain import Chain
from octoplex.routing.rescue.sequel import Sequel, Way, WriterOf, sum_of
from octoplex.routing.rescue.splice import size_of
from octoplex.routing.route import Route
from octoplex.upstreams.stream import Streamed
from octoplex.wire.answer import Answer, Ended, Ending, Frame, Outcome
from octoplex.wire.ask import Ask, Call
from octoplex.wire.error import DeadlinePassed, GatewayError, InvalidCall, UpstreamError
from octoplex.wire.event import NO_USAGE, Event, Reply, Usage

CLAIM = 1 << 14
"""Bytes of the common room that a stream claims at a time."""


class Room(Struct):
    """How many bytes of streams may be remembered: of `each`, and of `all` that are open."""

    each: int = 1 << 20
    all: int = 64 << 20
    used: int = 0

    def claim(self, mine: int) -> int:
        """What a stream with this much of it has now; no more than before when there is none."""
        if mine + CLAIM > self.each or self.used + CLAIM > self.all:
            return mine
        self.used += CLAIM
        return mine + CLAIM


class Rescue:
    """The Answerer around a chain."""

    __slots__ = ("_passes", "_route_of", "_writer_of", "chain", "room")

    def __init__(
        self,
        chain: Chain,
        route_of: Callable[[Ask], Route],
        writer_of: WriterOf,
        passes: Callable[[Ask, str], bool],
    ) -> None:
        """`passes` says whether what was told may go to a provider to be gone on from."""
        self.chain, self.room = chain, Room()
        self._route_of, self._writer_of, self._passes = route_of, writer_of, passes

    def __call__(self, ask: Ask, /) -> Coroutine[Any, Any, Answer]:
        """Open an answer of the chain; a stream of it is watched."""
        route = self._route_of(ask)
        opened = self.chain.open(ask, route)
        if ask.stream and isinstance(ask, Call) and _may(ask, route):
            return self._watched(ask, route, opened)
        return opened

    async def _watched(self, call: Call, route: Route, opened: Awaitable[Answer]) -> Answer:
        answer = await opened
        if not isinstance(answer, Streamed) or (call.trail.held and _is_held(call)):
            return answer
        way = Way(self.chain, route, self._writer_of, self._passes)
        return Watched(answer, call, way, self.room)


def _may(call: Call, route: Route) -> bool:
    """Whether a stream of this call could be asked for again at all."""
    if route.rescue == "off" or call.op != "chat" or call.n != 1:
        return False
    first = route.candidates[0].target
    return len(route.candidates) > 1 or route.policy_for(first).retries_per_target > 0


def _is_held(call: Call) -> bool:
    """Whether nobody is given this answer before it has ended well."""
    answered = call.trail.answered()
    return answered is not None and answered.target == call.trail.held


class Watched:
    """A stream and, once it has broken, what goes on in its place."""

    __slots__ = (
        "_call", "_claimed", "_ending", "_events", "_inner", "_keeps", "_room", "_sequel", "_size",
        "_usage", "_verbatim", "_way", "_wires", "body", "dialect", "head",
    )  # fmt: skip

    def __init__(self, inner: Streamed, call: Call, way: Way, room: Room) -> None:
        self.head, self.dialect = inner.head, inner.dialect
        self.body: bytes | None = None
        self._inner, self._call, self._way, self._room = inner, call, way, room
        self._verbatim = inner.dialect == call.face
        self._wires: list[bytes] = []
        self._events: list[Event] = []
        self._size = self._claimed = 0
        self._keeps = True
        """Whether all that was delivered is remembered."""
        self._usage: Usage | None = None
        self._sequel: Sequel | None = None
        self._ending = Ending()
        inner.on_end(self._told)

    def reply(self) -> Reply:
        """A stream has no whole body."""
        return self._inner.reply()

    def __aiter__(self) -> "Watched":
        return self

    async def __anext__(self) -> Frame:
        """The next frame; of a stream that broke, the next one of what goes on in its place.

        Raises:
            UpstreamError: it broke off and could not be rescued.
        """
        if self._sequel is not None:
            if self._ending.outcome is not None:
                raise StopAsyncIteration
            return await self._further(self._sequel)
        try:
            frame = await self._inner.__anext__()
        except UpstreamError as error:
            broken = error
        else:
            if self._keeps:
                self._remember(frame)
            return frame
        self._sequel = self._sequel_of(broken)
        if self._sequel is None:
            self._end("cut")
            raise broken
        return await self._further(self._sequel)

    def _remember(self, frame: Frame) -> None:
        wire = frame.wire
        if wire:
            self._size += len(wire)
            if self._size > self._claimed and not self._claims():
                return
        if not self._verbatim:
            self._events += frame.events()
        elif wire:
            self._wires.append(wire)

    def _claims(self) -> bool:
        """Claim room for what is to be remembered; False when there is none any more."""
        while self._size > self._claimed:
            claimed = self._room.claim(self._claimed)
            if claimed == self._claimed:
                self._forget()
                return False
            self._claimed = claimed
        return True

    def _forget(self) -> None:
        self._keeps, self._wires, self._events = False, [], []
        self._room.used -= self._claimed
        self._claimed = 0

    def _sequel_of(self, error: UpstreamError) -> Sequel | None:
        """What may go on in place of the stream, None where nothing can."""
        if not self._keeps or self._ending.outcome is not None:
            return None
        way, call, events, writer = self._way, self._call, self._events, None
        if self._verbatim:
            wire = b"".join(self._wires)
            try:
                events = list(self._inner.told(wire))
                writer = way.writer_of(call, wire, events) if is_plain(call) else None
            except GatewayError:
                return None
            if writer is None:
                return None
        self._wires, self._events = [], []  # now the sequel remembers it, in the room claimed
        return Sequel(call, way, events, writer, error)

    async def _further(self, sequel: Sequel) -> Frame:
        try:
            frame = await sequel.next()
        except GatewayError as error:
            self._end("late" if isinstance(error, DeadlinePassed) else "cut")
            raise
        if sequel.over:
            self._end("done")
        elif self._keeps:
            self._size += size_of(frame.events())
            if self._size > self._claimed and not self._claims():
                sequel.forget()
        return frame

    def _told(self, outcome: Outcome, usage: Usage) -> None:
        """The first answer has ended. Where it broke, it is not yet said that this one has."""
        self._usage = usage
        if outcome != "cut":
            self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        if self._ending.outcome is not None:
            return
        self._forget()
        usage, sequel = self._usage or NO_USAGE, self._sequel
        if sequel is not None:
            usage = sum_of(usage, sequel.usage)
            last = sequel.head
            if last is not None:
                self.head.usage, self.head.estimated = last.usage, last.estimated
                self.head.nano = last.nano
                self.head.skipped += last.skipped
        self._ending.fire(outcome, usage)

    def close(self, outcome: Outcome = "left") -> None:
        """Stop caring: whatever is open closes at once."""
        self._inner.close(outcome)
        if self._sequel is not None:
            self._sequel.close(outcome)
        self._end(outcome)

    def on_end(self, told: Ended) -> None:
        """Be told once how it ended, with what all asks for it used."""
        self._ending.on_end(told)


def is_plain(call: Call) -> bool:
    """Whether a reply to this call, in its caller's own words, says nothing but events."""
    try:
        chat = call.chat()
    except InvalidCall:
        return False
    extra = chat.logprobs or chat.server_tools or chat.native
    return not extra and not set(chat.modalities) - {"text"}
