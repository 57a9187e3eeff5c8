"""Streams to a caller: written event by event, kept alive while silent."""

import asyncio
from time import monotonic
from typing import Protocol

from octoplex.dialects.gemini import JsonArray
from octoplex.server.line import Line

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

    __slots__ = ("_array", "_line", "block", "keep_alive", "over", "started", "written_at")

    def __init__(
        self, line: Line, block: bytes, *, array: bool = False, comments: bool = True
    ) -> None:
        """`array`: the caller wants one JSON array instead of SSE.

        `comments`: its SDKs read over SSE comments; if not, blank lines keep it alive.
        """
        self._line, self.block = line, block
        self._array = JsonArray() if array else None
        self.keep_alive = COMMENT if comments else b"\n"
        self.started = self.over = False
        self.written_at = monotonic()

    @property
    def paused(self) -> bool:
        """Whether the caller reads more slowly than we write."""
        return self._line.paused

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send bytes; waits while the caller reads more slowly than we write."""
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
    """

    def __init__(self, after_s: float = 10.0, step_s: float = 1.0) -> None:
        self.after_s, self.step_s = after_s, step_s
        self._streams: set[Stream] = set()
        self.add, self.discard = self._streams.add, self._streams.discard

    async def watch(self) -> None:
        """Run until cancelled; owned by the server."""
        while True:
            await asyncio.sleep(self.step_s)
            before = monotonic() - self.after_s
            for stream in [s for s in self._streams if s.written_at <= before]:
                if not stream.paused:
                    await stream.write(stream.keep_alive)
