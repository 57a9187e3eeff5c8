"""A reply that is kept, and how it is given again.

What came in the caller's own dialect is kept as its bytes, anything else as the typed view
from which the door writes it anew: so a hit goes out as the miss did, byte for byte but for
what the door makes up (ids and times of translated replies).

Kept is only what is complete and ended as it should (`GOOD`): not what was cut, refused or
filtered, nor what an error status came with. Replies in which tools are called, or were run
by the provider, only where the rule says so.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from octoplex.reflex.cache.fingerprint import Rule, acts
from octoplex.wire.answer import Answer, Ended, Ending, Frame, Head, Outcome, Whole
from octoplex.wire.ask import Ask, Call
from octoplex.wire.error import GatewayError
from octoplex.wire.event import Event, Finished, Reply, StopReason, ToolStart, Usage

NOTHING = Usage()
"""What a hit uses: known to be none, unlike `NO_USAGE`."""
GOOD: frozenset[StopReason | None] = frozenset({"end", "length", "stop_sequence"})
"""With "tool", where tool calls are kept."""
LONGEST_GAP_S = 1.0
"""A stall of the first time is nothing that is worth giving again."""
filtered = re.compile(rb'"content_filter"|"finishReason"\s*:\s*"(?!STOP"|MAX_TOKENS")').search
"""The finish reason of a choice that its provider cut, where nobody reads it: that of a completion,
or of a choice beside the first, which is all that the typed view has."""


class Reader(Protocol):
    """Decodes a stream."""

    def feed(self, wire: bytes) -> Sequence[Event]: ...

    def end(self) -> Sequence[Event]: ...


class View(Protocol):
    """How the bytes of a dialect become what they mean."""

    def decode_reply(self, body: bytes) -> Reply: ...

    def decoder(self) -> Reader: ...


Views = Mapping[str, View]


class Piece(Struct, frozen=True, array_like=True, gc=False):
    """What came at once: bytes, or events. `gap_ms` is how long after the piece before."""

    gap_ms: int
    wire: bytes = b""
    events: tuple[Event, ...] = ()


class Replay(Struct, frozen=True, array_like=True, gc=False):
    """A reply: `body` or `reply` of a whole one, `pieces` of a stream. `nano` is what it cost."""

    provider: str
    model: str
    target: str
    nano: int
    dialect: str
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    body: bytes | None = None
    reply: Reply | None = None
    pieces: tuple[Piece, ...] = ()
    route: str = ""
    asked: bytes = b""
    """`Rule.asked` of what it answered."""
    told_as: tuple[str, int] | None = None
    """`Trail.told_as` of what it answered."""

    def answer(self, ask: Ask, rule: Rule, views: Views) -> Answer:
        """The reply as an answer to an ask that is the same."""
        head = Head(self.provider, self.model, usage=NOTHING)
        view = views.get(self.dialect) if isinstance(ask, Call) else None
        if self.pieces:
            pieces = self.pieces if rule.replay == "natural" else _at_once(self.pieces)
            return Replayed(head, self.dialect, pieces, view, ask.deadline_at)
        reply = self.reply
        if reply is not None:
            return Whole(head, "", b"", NOTHING, lambda _: reply)
        return Whole(head, self.dialect, self.body, NOTHING, view.decode_reply if view else None)


pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Replay).decode
UNPACKABLE = (UnicodeError, OverflowError)
"""What a value that cannot be kept raises, such as half a surrogate pair."""


def replay_of(ask: Ask, answer: Answer, rule: Rule) -> Replay | None:
    """A whole answer as it may be given again; None when it may not."""
    body, head = answer.body, answer.head
    if body is None or head.status != 200:
        return None
    verbatim = answer.dialect == ask.face
    if verbatim and rule.asked:
        return _made(ask, answer, body=body)
    if not isinstance(ask, Call):
        return None if not verbatim or filtered(body) else _made(ask, answer, body=body)
    if ask.n > 1 and not rule.asked and filtered(body):
        return None
    try:
        reply = answer.reply()
    except GatewayError:
        return None
    calls = bool(reply.tool_calls) or acts(ask)
    if not _ended_well(reply.stop, rule) or (calls and not rule.tool_calls):
        return None
    return _made(ask, answer, body=body) if verbatim else _made(ask, answer, reply=reply)


class Tape:
    """Listens to a stream. `good`: what came so far may be kept."""

    def __init__(self, ask: Ask, answer: Answer, rule: Rule, most_bytes: int) -> None:
        self._ask, self._answer, self._rule = ask, answer, rule
        self._most, self._size = most_bytes, 0
        self._verbatim = answer.dialect == ask.face
        self._typed = isinstance(ask, Call)
        self._filters = not rule.asked and (not isinstance(ask, Call) or ask.n > 1)
        self._stop: StopReason | None = None
        self._pieces: list[Piece] = []
        self._now = asyncio.get_running_loop().time
        self._at = self._now()
        self.good = self._typed or self._verbatim
        if isinstance(ask, Call) and not rule.tool_calls and acts(ask):
            self.good = False

    def take(self, frame: Frame) -> None:
        """Hear what came now."""
        if not self.good:
            return
        before, self._at = self._at, self._now()
        wire = frame.wire or b""
        events = self._events(frame) if self._typed else ()
        self._size += len(wire) or 64 * len(events)
        if self._size > self._most or (self._filters and filtered(wire)):
            self.good = False
        if not self.good:
            self._pieces.clear()
            return
        gap_ms = int((self._at - before) * 1000)
        if not self._verbatim:
            self._pieces.append(Piece(gap_ms, b"", tuple(events)))
        elif wire:  # else only what a decoder owed, which the bytes say already
            self._pieces.append(Piece(gap_ms, wire))

    def replay(self) -> Replay | None:
        """The whole stream, once it has ended as it should; None when it may not be kept."""
        if not (self.good and self._pieces):
            return None
        if self._answer.head.skipped and not self._rule.asked:
            return None  # what could not be read is missing in it
        if self._typed and not _ended_well(self._stop, self._rule):
            return None
        return _made(self._ask, self._answer, pieces=tuple(self._pieces))

    def _events(self, frame: Frame) -> Sequence[Event]:
        try:
            events = frame.events()
        except GatewayError:
            self.good = False
            return ()
        for event in events:
            if type(event) is ToolStart:
                self.good = self.good and self._rule.tool_calls
            elif type(event) is Finished:
                self._stop = event.stop
        return events


def _ended_well(stop: StopReason | None, rule: Rule) -> bool:
    return stop in GOOD or (stop == "tool" and rule.tool_calls) or bool(stop and rule.asked)


def _made(
    ask: Ask,
    answer: Answer,
    body: bytes | None = None,
    reply: Reply | None = None,
    pieces: tuple[Piece, ...] = (),
) -> Replay:
    head, trail = answer.head, ask.trail
    answered = trail.answered()
    target = answered.target if answered else f"{head.provider}/{head.model}"
    return Replay(
        head.provider,
        head.model,
        target,
        head.nano,
        answer.dialect,
        trail.all_dropped(),
        tuple(trail.added),
        body,
        reply,
        pieces,
        trail.route,
        told_as=trail.told_as,
    )


def _at_once(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    wire = b"".join([piece.wire for piece in pieces])
    return (Piece(0, wire, tuple([event for piece in pieces for event in piece.events])),)


class Replayed:
    """A stream that is given again, with the gaps that its pieces say."""

    __slots__ = (
        "_deadline_at", "_ending", "_first", "_pieces", "_reader", "body", "dialect", "head",
    )  # fmt: skip

    def __init__(
        self,
        head: Head,
        dialect: str,
        pieces: tuple[Piece, ...],
        view: View | None,
        deadline_at: float,
    ) -> None:
        self.head, self.dialect = head, dialect
        self.body: bytes | None = None
        self._pieces, self._first = list(pieces[::-1]), True
        self._reader = view.decoder() if view else None
        self._deadline_at, self._ending = deadline_at, Ending()

    def reply(self) -> Reply:
        """A stream has no whole body."""
        raise TypeError("this answer is a stream; fold its events instead")

    def __aiter__(self) -> "Replayed":
        return self

    async def __anext__(self) -> Frame:
        """The next piece; it has ended with the last one."""
        if self._ending.outcome is not None:
            raise StopAsyncIteration
        piece = self._pieces.pop()
        gap_s = min(piece.gap_ms / 1000, LONGEST_GAP_S)
        if gap_s and not self._first:  # the first one is what opened it
            left_s = self._deadline_at - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, min(gap_s, left_s)))
        self._first = False
        if not self._pieces and self._ending.outcome is None:
            self._ending.fire("done", NOTHING)
        if piece.wire:
            return Frame(piece.wire, self._decode)
        return Frame(None, None, piece.events)

    def close(self, outcome: Outcome = "left") -> None:
        """Stop; nothing is open."""
        self._ending.fire(outcome, NOTHING)

    def on_end(self, told: Ended) -> None:
        """Be told once how it ended."""
        self._ending.on_end(told)

    def _decode(self, wire: bytes) -> Sequence[Event]:
        assert self._reader is not None, "nobody reads the streams of this operation"
        events = self._reader.feed(wire)
        return events if self._pieces else [*events, *self._reader.end()]
