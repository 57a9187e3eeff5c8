"""Streams to a caller: written event by event, kept alive while silent."""

import asyncio
from time import monotonic
from typing import Protocol

from octoplex.dialects.gemini import JsonArray
from octoplex.server.line import Line, Waiting
from octoplex.wire.answer import Answer, revoked
from octoplex.wire.ask import Ask
from octoplex.wire.error import GatewayError

COMMENT = b": keep-alive\n\n"
SSE = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"


class Writes(Protocol):
    """What takes the pieces of a stream."""

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send bytes."""
        ...


class Stream:
    """A response of unknown length.

    The head is held until the first `write`, so that head and first event are one system
    call; until then `block` may still be replaced. `written_at` is a monotonic time.
    """

    __slots__ = (
        "_array", "_ask", "_line", "_unread", "answer", "block", "keep_alive", "over",
        "revoked", "started", "written_at",
    )  # fmt: skip

    def __init__(
        self, line: Line, block: bytes, ask: Ask, *, array: bool = False, comments: bool = True
    ) -> None:
        """`array`: the caller wants one JSON array instead of SSE.

        `comments`: its SDKs read over SSE comments; if not, blank lines keep it alive.
        """
        self._line, self.block, self._ask = line, block, ask
        self._unread = Waiting()
        self._array = JsonArray() if array else None
        self.keep_alive = COMMENT if comments else b"\n"
        self.started = self.over = self.revoked = False
        self.answer: Answer | None = None
        """What it hands on, once that has opened."""
        self.written_at = monotonic()

    def blocked(self, now: float, most_s: float) -> bool:
        """Whether the caller reads more slowly than we write; it is given up when it takes
        nothing for so long, or at the request's deadline."""
        ask = self._ask
        if not self._unread.look(self._line.unread, now):
            return False
        moved_at = self._unread.moved_at
        if now >= min(moved_at + most_s, ask.deadline_at, ask.trail.deadline_at):
            self._line.cut()
        return True

    def cause(self, error: GatewayError | None) -> GatewayError:
        """Why it ends: this error, unless its key was revoked. After that it can be written."""
        if error is not None and not self.revoked:
            return error
        self.revoked = False
        return revoked()

    def revoke(self, answer: Answer) -> None:
        """End what it hands on, for its key was revoked: the next write says so."""
        self.revoked = True
        answer.close("stopped")

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send bytes; waits while the caller reads more slowly than we write.

        Raises:
            Unauthorized: its key was revoked; what is written after that goes out.
        """
        if self.revoked:
            raise self.cause(None)
        if self.over:
            return
        if self._array is not None:
            pause = data if data == self.keep_alive else b""
            data = pause or self._array.feed(data) + (self._array.end() if last else b"")
        self.written_at = monotonic()
        self.over = last
        block = None if self.started else self.block
        self.started = True
        await self._line.write(data, block, last)


class Quiet:
    """Streams that have been silent for a while are kept alive by a comment.

    One task looks once a second over all open streams; a timer per stream would cost
    2 us per request. Before the first content it is what sends the status line, so that
    neither the caller nor a proxy on the way gives up on a model that thinks.

    A caller that takes nothing for `unread_s` of what waits for it is given up: as long as it is
    there its stream is not settled, and holds money.
    """

    def __init__(self, after_s: float = 10.0, step_s: float = 1.0, unread_s: float = 30.0) -> None:
        self.after_s, self.step_s, self.unread_s = after_s, step_s, unread_s
        self._streams: set[Stream] = set()
        self.add, self.discard = self._streams.add, self._streams.discard

    async def watch(self) -> None:
        """Run until cancelled; owned by the server."""
        while True:
            await asyncio.sleep(self.step_s)
            now = monotonic()
            for stream in [s for s in self._streams if s.written_at <= now - self.step_s]:
                blocked = stream.blocked(now, self.unread_s)
                waits = not blocked and not stream.revoked
                if waits and stream.keep_alive and stream.written_at <= now - self.after_s:
                    await stream.write(stream.keep_alive)
