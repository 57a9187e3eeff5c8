"""What goes on in place of a stream that broke.

    sequel = Sequel(call, way, told, writer, error)
    frame = await sequel.next()        until `over`

    ask again -> hold while it repeats what was told -> give on what is new -> its end
              -> it breaks too: ask again, with all that was told by then
              -> it says something else: cancel it; where the route wants that, have a target go on
                 from what was told (`prefill`); else tell of the break

What is new bears the numbers of the first stream, and where that passed verbatim it is written
in the caller's dialect from where its bytes left off.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from octoplex.routing.chain import Chain
from octoplex.routing.rescue.splice import Diverged, Splice, blocks_of
from octoplex.routing.route import Route
from octoplex.wire.answer import Answer, Frame, Head, Outcome
from octoplex.wire.ask import BYTES_PER_TOKEN, Ask, Attempt, Call
from octoplex.wire.error import (
    DeadlinePassed,
    GatewayError,
    InvalidCall,
    UpstreamBroken,
    UpstreamError,
)
from octoplex.wire.event import NO_USAGE, Event, Finished, TextDelta, Usage, unfold

OPENED = frozenset({"open", "done"})
MOST_EVENTS = 1 << 14
"""With more than this a reply that broke again is not asked for once more."""


class Writer(Protocol):
    """Writes events in the caller's dialect."""

    def feed(self, events: Sequence[Event]) -> bytes: ...


WriterOf = Callable[[Call, bytes, Sequence[Event]], Writer | None]
"""What goes on with a stream of which the caller has these bytes, which say these events; None
where they say more than events do."""


class Way(Struct, frozen=True):
    """How something else is asked for, and how it is written."""

    chain: Chain
    route: Route
    writer_of: WriterOf
    passes: Callable[[Ask, str], bool]


class Sequel:
    """The rest of a reply whose stream broke with `error`, after these events."""

    __slots__ = (
        "_answer", "_broke", "_call", "_error", "_kind", "_row", "_splice", "_strips", "_told",
        "_way", "_why", "_writer", "head", "over", "usage",
    )  # fmt: skip

    def __init__(
        self,
        call: Call,
        way: Way,
        told: Sequence[Event],
        writer: Writer | None,
        error: UpstreamError,
    ) -> None:
        """`writer`: the stream passed verbatim, and goes on in its caller's own words."""
        self._call, self._way = call, way
        self._told: list[Event] | None = list(told)
        """What the caller has; None where that was too much to remember."""
        self._writer = writer
        self._error = self._broke = error
        """What the caller is told if nothing goes on; what broke last."""
        self._answer: Answer | None = None
        self._row: Attempt | None = None
        self._splice = Splice(())
        self._kind, self._why = "splice", ""
        self._strips = False
        self.head: Head | None = None
        """Of the answer whose words were given on last."""
        self.over = False
        self.usage = NO_USAGE
        """Of all the answers asked for here, as far as they have ended."""

    async def next(self) -> Frame:
        """The next frame.

        Raises:
            UpstreamError: what the stream, or what went on in its place, broke off with.
            DeadlinePassed: the caller's deadline ran out.
        """
        events: list[Event] = []
        while True:
            if self._answer is None:
                self._answer = await self._asked()
            try:
                new = await self._more(self._answer)
            except Diverged:
                self._leave(self._answer)
                self._answer = await self._prefilled()
                continue
            except UpstreamError as error:
                self._answer.close("cut")  # if it has not ended, what it said could not be read
                if self.head is self._answer.head:
                    self._error = error  # else it is still the first one that the caller met
                elif not self._call.trail.rescue:
                    self._call.trail.rescue = "failed"  # until one goes on
                self._broke, self._answer = error, None
                continue
            if not new:
                continue
            self._note(self._answer.head, new)
            events += new
            self.over = isinstance(new[-1], Finished)
            if self._writer is None:
                return Frame(None, events=events)
            wire = self._writer.feed(new)
            if wire or self.over:
                return Frame(wire, events=events)

    async def _asked(self) -> Answer:
        """Another answer to the same call.

        Raises:
            UpstreamError: what the stream broke off with, if none opens.
        """
        call, way, trail = self._call, self._way, self._call.trail
        if self._told is None or len(self._told) > MOST_EVENTS:
            raise self._error
        broken = next((row for row in reversed(trail.attempts) if row.outcome == "cut"), None)
        if broken is None:
            raise self._error
        count = len(trail.attempts)
        try:
            answer = await way.chain.again(call, way.route, broken, self._broke)
        except GatewayError as error:
            if len(trail.attempts) > count:
                trail.rescue = "failed"
            if isinstance(error, DeadlinePassed):
                raise
            raise self._error from None
        self._why = trail.why
        self._splice = Splice(self._told)
        return self._opened(answer)

    async def _prefilled(self) -> Answer:
        """An answer that goes on from what was told, where the route wants that.

        Raises:
            UpstreamError: what the stream broke off with, if none can or may.
        """
        way, told = self._way, self._told or []
        said = self._prefix(told)
        prefix = said.rstrip()  # white space at its end is refused
        if not prefix or way.route.rescue != "prefill" or self._kind == "prefill":
            raise self._error
        tokens = -(-len(prefix.encode()) // BYTES_PER_TOKEN)
        most = self._call.max_tokens
        if (most is not None and tokens >= most) or not way.passes(self._call, prefix):
            raise self._error
        call = replace(
            self._call,
            prefix=prefix,
            added_tokens=self._call.added_tokens + tokens,
            max_tokens=most and most - tokens,  # the caller gets no more than it asked for
            _chat=None,
            _worst=None,
        )
        try:
            answer = await way.chain.prefilled(call, way.route)
        except DeadlinePassed:
            raise
        except GatewayError:
            raise self._error from None
        self._kind, self._strips = "prefill", prefix != said
        self._splice = Splice.after(told)
        return self._opened(answer)

    def _prefix(self, told: Sequence[Event]) -> str:
        """What was told, where it is nothing but text and the call wants no thinking."""
        blocks = blocks_of(told)
        try:
            thinking = self._call.chat().thinking
        except InvalidCall:
            return ""
        if len(blocks) != 1 or blocks[0].kind != "text":
            return ""
        return blocks[0].text if thinking is None or thinking.enabled is False else ""

    def _opened(self, answer: Answer) -> Answer:
        answer.on_end(self._spent)
        rows = reversed(self._call.trail.attempts)
        self._row = next((row for row in rows if row.outcome in OPENED), None)
        return answer

    async def _more(self, answer: Answer) -> list[Event]:
        """What the answer says next that was not told yet.

        Raises:
            Diverged: it is another reply.
            UpstreamError: it broke off.
        """
        if answer.body is not None:
            return self._splice.feed(unfold(answer.reply()))
        try:
            frame = await answer.__anext__()
        except StopAsyncIteration:
            raise UpstreamBroken("The stream ended without saying why it stopped.") from None
        events = frame.events()
        return self._splice.feed(self._stripped(events) if self._strips else events)

    def _stripped(self, events: Sequence[Event]) -> list[Event]:
        """Without the white space that was told already."""
        kept: list[Event] = []
        for event in events:
            if self._strips and isinstance(event, TextDelta):
                event = replace(event, text=event.text.lstrip())
                self._strips = not event.text
            kept.append(event)
        return kept

    def _note(self, head: Head, new: Sequence[Event]) -> None:
        """It goes on with these: say so, once for each answer."""
        if self._told is not None:
            self._told += new
        if self.head is head:
            return
        trail = self._call.trail
        self.head, trail.rescue, trail.why = head, self._kind, f"{self._kind} {self._why}"
        self._way.chain.moved(self._call, self._way.route)

    def _leave(self, answer: Answer) -> None:
        """Cancel an answer that says something else."""
        answer.close("left")
        self._call.trail.rescue = "diverged"
        if self._row is not None:
            self._row.outcome = "diverged"

    def _spent(self, outcome: Outcome, usage: Usage) -> None:
        self.usage = sum_of(self.usage, usage)

    def forget(self) -> None:
        """Remember no more of what was told: if it breaks again, that is its end."""
        self._told = None

    def close(self, outcome: Outcome) -> None:
        """Stop caring."""
        if self._answer is not None:
            self._answer.close(outcome)


def sum_of(one: Usage, other: Usage) -> Usage:
    """What two asks used together."""
    if one is NO_USAGE or other is NO_USAGE:
        return other if one is NO_USAGE else one
    return replace(
        one,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        cache_write_tokens=one.cache_write_tokens + other.cache_write_tokens,
        cache_write_1h_tokens=one.cache_write_1h_tokens + other.cache_write_1h_tokens,
        reasoning_tokens=one.reasoning_tokens + other.reasoning_tokens,
        estimated=one.estimated or other.estimated,
    )
