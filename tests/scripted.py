"""An Answerer that says what it is told to: the public double for everyone's tests.

    says(TextDelta("hi"))            opens and plays; a stream when the ask wants one
    says(..., breaks=error)          breaks off after the last event
    fails(error)                     never opens
    silent()                         never does anything
    in_turn(fails(error), says())    one after the other, the last one for ever

Every double records when it was asked (`asked_at`), what it opened (`opened`), and how
many of its calls were cancelled before they opened. `asking()` makes an ask.
"""

import asyncio
import copy
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from octoplex.wire.answer import Answer, Answerer, Ended, Ending, Frame, Head, Outcome, Whole
from octoplex.wire.ask import Ask, Call
from octoplex.wire.chat import Chat
from octoplex.wire.error import GatewayError
from octoplex.wire.event import Event, Finished, Reply, Started, TextDelta, Usage, fold

USAGE = Usage(input_tokens=3, output_tokens=2)
HELLO: tuple[Event, ...] = (
    Started("reply-1", "scripted"),
    TextDelta("hello"),
    Finished(stop="end", usage=USAGE),
)


class Streamed:
    """A stream that plays events, then ends, or breaks off with `breaks`."""

    def __init__(
        self,
        head: Head,
        events: Sequence[Event],
        breaks: GatewayError | None = None,
        gap_s: float = 0.0,
    ) -> None:
        self.head, self.dialect, self.closed = head, "", 0
        self.body: bytes | None = None
        self._events, self._breaks, self._gap_s = list(events), breaks, gap_s
        self._ending, self._usage = Ending(), Usage()

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, None while it is open."""
        return self._ending.outcome

    def reply(self) -> Reply:
        """A stream has no whole body."""
        raise TypeError("this answer is a stream")

    def __aiter__(self) -> "Streamed":
        return self

    async def __anext__(self) -> Frame:
        if self._ending.outcome is not None:
            raise StopAsyncIteration
        if self._gap_s:
            await asyncio.sleep(self._gap_s)
        if not self._events:
            if self._breaks is not None:
                self._ending.fire("cut", self._usage)
                raise copy.copy(self._breaks)
            self._ending.fire("done", self._usage)
            raise StopAsyncIteration
        event = self._events.pop(0)
        if isinstance(event, Finished):
            self._usage = event.usage
        return Frame(None, events=(event,))

    def close(self, outcome: Outcome = "left") -> None:
        """Stop."""
        self.closed += 1
        self._ending.fire(outcome, self._usage)

    def on_end(self, told: Ended) -> None:
        """Be told once how it ended."""
        self._ending.on_end(told)


class Scripted:
    """Opens after `after_s` and plays `events`; raises `error` instead when there is one."""

    def __init__(
        self,
        events: Sequence[Event] = HELLO,
        *,
        error: GatewayError | None = None,
        breaks: GatewayError | None = None,
        after_s: float = 0.0,
        name: str = "scripted",
    ) -> None:
        self.events, self.error, self.breaks = tuple(events), error, breaks
        self.after_s, self.name = after_s, name
        self.asked_at: list[float] = []
        self.asks: list[Ask] = []
        self.opened: list[Whole | Streamed] = []
        self.cancelled = 0

    async def __call__(self, ask: Ask, /) -> Answer:
        """Do what the script says."""
        self.asked_at.append(asyncio.get_running_loop().time())
        self.asks.append(ask)
        try:
            if self.after_s:
                await asyncio.sleep(self.after_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise copy.copy(self.error)
        answer = self._open(ask)
        self.opened.append(answer)
        return answer

    def _open(self, ask: Ask) -> Whole | Streamed:
        head = Head(provider="scripted", model=self.name)
        if ask.stream:
            return Streamed(head, self.events, self.breaks)
        reply = fold(self.events)
        body = msgspec.json.encode({"text": reply.text})
        return Whole(head, "scripted", body, reply.usage, lambda _: reply)


class InTurn:
    """One answerer after the other, the last one for ever."""

    def __init__(self, *turns: Answerer) -> None:
        self.turns, self.asked_at = turns, list[float]()

    def __call__(self, ask: Ask, /) -> Any:
        """Pass the ask to whose turn it is."""
        turn = self.turns[min(len(self.asked_at), len(self.turns) - 1)]
        self.asked_at.append(asyncio.get_running_loop().time())
        return turn(ask)


def says(
    *events: Event, breaks: GatewayError | None = None, after_s: float = 0.0, name: str = "scripted"
) -> Scripted:
    """An Answerer whose every answer is these events ("hello" when there are none)."""
    return Scripted(events or HELLO, breaks=breaks, after_s=after_s, name=name)


def fails(error: GatewayError, after_s: float = 0.0) -> Scripted:
    """An Answerer that never opens."""
    return Scripted(error=error, after_s=after_s)


def silent() -> Scripted:
    """An Answerer that never answers."""
    return Scripted(after_s=1e9)


def in_turn(*turns: Answerer) -> InTurn:
    """One after the other, the last one for ever."""
    return InTurn(*turns)


def _no_chat(call: Call) -> Chat:
    raise AssertionError("nobody should have to understand this call")


def asking(
    model: str = "main", *, stream: bool = False, deadline_at: float = 1e12, **fields: Any
) -> Call:
    """An ask for `model`; `fields` are further top-level members of its body."""
    body = {"model": model, "stream": stream, "messages": [], **fields}
    raw = msgspec.json.encode(body)
    return Call(
        id="call-1",
        face="openai-chat",
        model=model,
        raw=raw,
        deadline_at=deadline_at,
        stream=stream,
        fields=msgspec.json.decode(raw, type=dict[str, Raw]),
        understand=_no_chat,
    )


async def listen(answer: Answer) -> str:
    """Read an answer to its end and give its text."""
    if answer.body is not None:
        return answer.reply().text
    events = [event async for frame in answer for event in frame.events()]
    return fold(events).text
