"""Of the same asks at the same time one goes up: the flight. The others wait for what it brings.

    flight = Flight(inner, ask, ...)       begins at once, in a task of its own
    answer = await flight.lead()           for whoever asked first: live, as without a cache
    replay = await flight.follow(until)    for the others: whole, or None: then each asks itself

Followers are given nothing before the end, so that whatever goes wrong before it (a failure,
a cut stream, a reply that may not be kept) they can still ask for themselves.

If the leader leaves while others wait, the flight goes on for them: it has been paid for, and
handing it over by asking again would be a second bill for one reply. If nobody waits any
more it is ended like any answer whose caller left, but for an idempotent ask (`Rule.asked`),
whose caller will come again. Who asked first pays. Its limits count it until the flight has ended,
and then its record is written, also where it left before the answer opened (`Trail.goes_on`).

While somebody waits the stream is read as fast as it comes; else no further ahead of the
leader than `AHEAD` bytes, and not at all ahead once it cannot be kept.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from octoplex.reflex.cache.fingerprint import Rule
from octoplex.reflex.cache.replay import Replay, Tape, replay_of
from octoplex.wire.answer import Answer, Answerer, Ended, Ending, Frame, Outcome, why_cancelled
from octoplex.wire.ask import Ask
from octoplex.wire.eager import in_task
from octoplex.wire.event import NO_USAGE, Reply, Usage

AHEAD = 256_000
Landed = Callable[["Flight", Replay | None], None]


class Flight:
    """One ask on its way, for its leader and those who follow. `task` is its owner's to hold."""

    def __init__(
        self, inner: Answerer, ask: Ask, rule: Rule, most_bytes: int, landed: Landed
    ) -> None:
        """`landed` is told once, as soon as it is known what there is to keep, if anything."""
        self._ask, self.rule, self._most = ask, rule, most_bytes
        self._landed: Landed | None = landed
        self._replay: Replay | None = None
        self._down, self._news, self._room = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._waiting = self._unread = 0
        self._led = True
        self._answer: Answer | None = None
        self._frames: deque[Frame] = deque()
        self._ending = Ending()
        """How the answer below ended."""
        self._error: BaseException | None = None
        self._over = False
        self._told: list[Ended] = []
        """Who waits for its end after its leader left."""
        self.task = asyncio.get_running_loop().create_task(self._fly(inner))
        self.task.add_done_callback(self._finish)  # also when it is ended before its first step

    async def lead(self) -> Answer:
        """The answer, when it has opened.

        Raises:
            GatewayError: it did not.
        """
        try:
            while self._answer is None and not self._over:
                await self._look()
        except asyncio.CancelledError as left:
            self._led = False
            # Others may wait although the leader's key is revoked; nobody does at a shutdown.
            alone = "revoked" in left.args and not self._waiting
            if self._is_unwanted or alone or "stopped" in left.args:
                self.task.cancel(*left.args)
                await asyncio.wait((self.task,))  # its cost is known before the record is made
            else:
                self._ask.trail.goes_on = self._tell
            raise
        if self._answer is None:
            raise self._error or asyncio.CancelledError("stopped")
        return self._answer if self._answer.body is not None else Live(self, self._answer)

    async def follow(self, until_at: float) -> Replay | None:
        """Wait for the reply, at most until a time of the loop's clock."""
        self._waiting += 1
        self._room.set()
        try:
            await in_task()
            async with asyncio.timeout_at(until_at):
                await self._down.wait()
        except TimeoutError:
            return None
        finally:
            self._waiting -= 1
            if self._is_unwanted and not self._led:
                self._end("left")
        return self._replay

    # The flight's own side.

    async def _fly(self, inner: Answerer) -> None:
        try:
            answer = await inner(self._ask)
            if answer.body is not None:
                self._land(replay_of(self._ask, answer, self.rule))
                self._answer = answer
            else:
                answer.on_end(self._ended)
                self._answer = answer
                self._news.set()
                await self._read(answer)
        except asyncio.CancelledError as left:  # nobody wants it, or the process ends
            self._error = left
            if self._answer is not None:
                self._answer.close(why_cancelled(left))
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to whoever leads
            if self._ending.outcome != "done":  # else all of it came, and only we cannot read it
                self._error = error
            if self._answer is not None:
                self._answer.close("cut")
        finally:
            self._finish()

    def _finish(self, _: object = None) -> None:
        self._land(None)
        self._over = True
        self._news.set()
        waiting, self._told = self._told, []
        for told in waiting:
            self._tell(told)

    def _tell(self, told: Ended) -> None:
        """Tell how it ended, once it has."""
        if not self._over:
            self._told.append(told)
        elif self._answer is None:
            told("left", NO_USAGE)
        else:
            self._answer.on_end(told)

    async def _read(self, answer: Answer) -> None:
        tape = Tape(self._ask, answer, self.rule, self._most)
        async for frame in answer:
            tape.take(frame)
            if self._led:
                self._frames.append(frame)
                self._unread += _size(frame)
                self._news.set()
            if not tape.good:
                self._land(None)
            while self._is_ahead(tape):
                self._room.clear()
                await self._room.wait()
        if self._ending.outcome == "done":
            self._land(tape.replay())

    def _is_ahead(self, tape: Tape) -> bool:
        """Whether reading on must wait for the leader."""
        if not self._led or self._ending.outcome is not None:
            return False
        if not tape.good:
            return self._unread > 0
        return self._unread > AHEAD and not self._waiting

    def _ended(self, outcome: Outcome, usage: Usage) -> None:
        self._ending.fire(outcome, usage)

    def _land(self, replay: Replay | None) -> None:
        landed, self._landed = self._landed, None
        if landed is not None:
            self._replay = replay
            landed(self, replay)
            self._down.set()

    def _end(self, outcome: Outcome) -> None:
        """Nobody wants it any more."""
        if self._answer is not None:
            self._answer.close(outcome)
        self.task.cancel()

    async def _look(self) -> None:
        """Wait for anything new."""
        self._news.clear()
        await self._news.wait()

    # The leader's side, for `Live`.

    async def next(self) -> Frame | None:
        """The next frame, None at the end.

        Raises:
            UpstreamError: it broke off.
        """
        while not self._frames and not self._over:
            await self._look()
        if self._frames:
            frame = self._frames.popleft()
            self._unread -= _size(frame)
            self._room.set()
            return frame
        if self._error is not None:
            raise self._error
        return None

    @property
    def _is_unwanted(self) -> bool:
        """Whether nobody would be given it if its leader left."""
        return not self._waiting and not self.rule.asked

    @property
    def is_done(self) -> bool:
        """Whether the leader has everything, and nothing went wrong."""
        return self._over and not self._frames and self._error is None

    @property
    def outcome(self) -> Outcome | None:
        """How the answer below ended; None while it has not."""
        return self._ending.outcome

    @property
    def usage(self) -> Usage:
        """What it used, once it has ended."""
        return self._ending.usage

    def leave(self, outcome: Outcome, told: Ended) -> None:
        """The leader leaves: `told` how much was used, which is at the end if others wait."""
        self._led = False
        self._frames.clear()
        self._room.set()
        if self._over or self._is_unwanted:
            self._end(outcome)
        if self._answer is not None:
            self._answer.on_end(lambda _, usage: told(outcome, usage))


def _size(frame: Frame) -> int:
    return len(frame.wire or b"") or 64


class Live:
    """The stream of a flight, as its leader has it."""

    __slots__ = ("_ending", "_flight", "_left", "body", "dialect", "head")

    def __init__(self, flight: Flight, answer: Answer) -> None:
        self.head, self.dialect = answer.head, answer.dialect
        self.body: bytes | None = None
        self._flight, self._ending, self._left = flight, Ending(), False

    def reply(self) -> Reply:
        """A stream has no whole body."""
        raise TypeError("this answer is a stream; fold its events instead")

    def __aiter__(self) -> "Live":
        return self

    async def __anext__(self) -> Frame:
        """The next frame; it has ended with the last one."""
        if self._ending.outcome is not None:
            raise StopAsyncIteration
        flight = self._flight
        try:
            frame = await flight.next()
        except Exception:
            self._ending.fire(flight.outcome or "cut", flight.usage)
            raise
        if flight.is_done:
            self._ending.fire("done", flight.usage)
        if frame is None:
            raise StopAsyncIteration
        return frame

    def close(self, outcome: Outcome = "left") -> None:
        """Stop caring."""
        if self._ending.outcome is None and not self._left:
            self._left = True
            self._flight.leave(outcome, self._fire)

    def on_end(self, told: Ended) -> None:
        """Be told once how it ended."""
        self._ending.on_end(told)

    def _fire(self, outcome: Outcome, usage: Usage) -> None:
        self._ending.fire(outcome, usage)
