"""What a caller gets, and the one shape of everything that answers.

> An `Answerer` opens an `Answer`.

Awaiting an Answerer ends at the first content event, or raises. That line is the
only place where retry, fallback and hedge can act. An Answer is either *whole* (a
body) or *streamed* (an iterator of `Frame`s). It is iterated to its end or closed;
`on_end` fires exactly once, however it ends, and the first cause wins.

A `Frame` is the wire bytes of one or more whole events, in `Answer.dialect`. Typed
events are a view: `events()` decodes when asked. Views are all or none: who looks
at one frame's events looks at every frame's, in order. Whoever changes an event
makes a Frame without bytes, and the door writes it in the caller's dialect.
"""

from collections.abc import Awaitable, Callable, Sequence
from types import MethodType
from typing import Literal, Protocol

from msgspec import Struct

from octoplex.wire.ask import Ask
from octoplex.wire.error import Unauthorized
from octoplex.wire.event import NO_USAGE, Event, Reply, Usage, fold

Outcome = Literal["done", "cut", "left", "late", "stopped"]
"""Ended properly; the upstream broke off; the caller went away; a deadline; a shutdown."""


class Head(Struct):
    """What is known when an answer opens. `nano`, `estimated`, `usage`: final after `on_end`."""

    provider: str
    model: str
    attempt: int = 1
    status: int = 200
    nano: int = 0
    estimated: bool = False
    usage: Usage = NO_USAGE
    content_type: str = "application/json"
    """Of a body that passes as it came."""
    skipped: int = 0
    """Events of its stream that were no JSON and were left out; final after `on_end`."""
    told: str = ""
    """The model by whose price its usage is billed, where the request named none."""
    refused: bool = False
    """Of a stream: it opened with its end, which is that the provider filtered it."""
    faultless: bool = False
    """Of a stream that broke off: its provider refused the rest, which is no failure of it."""


class Frame:
    """Wire bytes of whole events, and the view of them. Either may be absent, not both."""

    __slots__ = ("_decode", "_events", "wire")

    def __init__(
        self,
        wire: bytes | None,
        decode: Callable[[bytes], Sequence[Event]] | None = None,
        events: Sequence[Event] | None = None,
    ) -> None:
        self.wire, self._decode, self._events = wire, decode, events

    def events(self) -> Sequence[Event]:
        """The events in these bytes, decoded at the first call."""
        if self._events is None:
            assert self.wire is not None
            assert self._decode is not None
            self._events = self._decode(self.wire)
        return self._events


Ended = Callable[[Outcome, Usage], None]


def why_cancelled(error: BaseException) -> Outcome:
    """What a cancellation means: a shutdown says `task.cancel("stopped")`, a caller nothing.

    "revoked": the caller's key was, and it has been told nothing yet.
    """
    return "stopped" if error.args in (("stopped",), ("revoked",)) else "left"


def revoked() -> Unauthorized:
    """What a request is told whose key stopped opening anything while it was answered."""
    return Unauthorized("This key was revoked while it was answered.")


class Answer(Protocol):
    """An opened reply."""

    head: Head
    dialect: str
    """The dialect of `body` and of the frames' bytes; "" when there are only events."""
    body: bytes | None
    """The whole reply, or None: then it is a stream."""

    def reply(self) -> Reply:
        """The typed view of a whole answer."""
        ...

    def __aiter__(self) -> "Answer": ...

    async def __anext__(self) -> Frame:
        """The next frame of a stream.

        Raises:
            UpstreamError: it broke off; what was delivered stays delivered.
        """
        ...

    def close(self, outcome: Outcome = "left") -> None:
        """Stop caring. Cancels the upstream at once; harmless when repeated or already ended."""
        ...

    def on_end(self, told: Ended) -> None:
        """Be told once how it ended; at once if it already has."""
        ...


class Answerer(Protocol):
    """Anything that answers: a provider, a local engine, a cache, a chain, an agent."""

    def __call__(self, ask: Ask, /) -> Awaitable[Answer]: ...


def bound(answerer: Answerer) -> Answerer:
    """The method behind an answerer that is an object: to call that costs 0.1 us less."""
    call = answerer.__call__
    return call if isinstance(call, MethodType) else answerer


class Whole(Struct, eq=False):
    """An answer that is already complete."""

    head: Head
    dialect: str
    body: bytes | None
    usage: Usage = NO_USAGE
    decode: Callable[[bytes], Reply] | None = None
    _reply: Reply | None = None

    def reply(self) -> Reply:
        """The typed view, decoded at the first call."""
        if self._reply is None:
            assert self.body is not None
            assert self.decode is not None
            self._reply = self.decode(self.body)
        return self._reply

    def __aiter__(self) -> "Whole":
        return self

    async def __anext__(self) -> Frame:
        raise StopAsyncIteration

    def close(self, outcome: Outcome = "left") -> None:
        """Nothing is open."""

    def on_end(self, told: Ended) -> None:
        """It has ended: tell at once."""
        told("done", self.usage)


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


class Ending:
    """The exactly-once end of a streamed answer. The first cause wins."""

    __slots__ = ("_told", "outcome", "usage")

    def __init__(self) -> None:
        self._told: list[Ended] = []
        self.outcome: Outcome | None = None
        self.usage = NO_USAGE

    def on_end(self, told: Ended) -> None:
        """Register, or be told at once when it is over."""
        if self.outcome is None:
            self._told.append(told)
        else:
            told(self.outcome, self.usage)

    def fire(self, outcome: Outcome, usage: Usage) -> bool:
        """End it; False when it had ended before."""
        if self.outcome is not None:
            return False
        self.outcome, self.usage = outcome, usage
        told, self._told = self._told, []
        for call in told:
            call(outcome, usage)
        return True
