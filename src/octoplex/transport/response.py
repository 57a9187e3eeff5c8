"""A reply, and what went wrong with it.

A `Response` is whole (`body` is there when `send` returns) or a stream (`body` is None and
`read` gives what has come). It is a passive thing: a `Connection` (or the fake) puts bytes
in and ends it, the wheel expires it, its owner reads and closes it. However it ends, the
first cause stays: a connection that is lost after a deadline aborted it does not turn the
deadline into a broken reply.

A cause is kept as a `Fault`, a description, and every raise makes a new exception: a kept
exception would hold the frames that hold it, a cycle per failure for the collector.
"""

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Struct

from octoplex.wire.eager import Bell
from octoplex.wire.error import (
    DeadlinePassed,
    GatewayError,
    Next,
    UpstreamError,
    UpstreamSlow,
)
from octoplex.wire.redact import Veil

Phase = Literal["head", "first", "body"]


class Limits(Struct, frozen=True, gc=False):
    """How long a request may take.

    `connect_s` covers waiting for a free connection, DNS, TCP and TLS; `first_s` the time
    from sending to the status line and, for a stream, to its first bytes; `idle_s` the
    gaps after that. `deadline_at` is on the loop's clock and covers everything.
    """

    connect_s: float = 5.0
    first_s: float = 30.0
    idle_s: float = 30.0
    deadline_at: float = float("inf")


class Fault(Struct, frozen=True):
    """Why a reply did not come."""

    kind: type[GatewayError]
    message: str
    reached: bool = True
    next: Next | None = None

    def error(self) -> GatewayError:
        """A new exception that says so."""
        error = self.kind(self.message)
        if isinstance(error, UpstreamError):
            error.reached = self.reached
            if self.next is not None:
                error.next = self.next
        return error


class Line(Protocol):
    """What a response needs of its connection."""

    def fail(self, fault: Fault) -> None:
        """End the exchange with this cause and abort."""
        ...

    def resume(self) -> None:
        """Read on after a pause."""
        ...


class Response(Struct, Bell, eq=False, weakref=True):
    """One reply. `expires_at` is set on by whoever sees progress (whole events, not bytes).

    `stale`: it failed on a reused connection before a byte of a reply. `drained`: its reader
    has all it wants. `in_pieces`: a good reply is a stream whatever its type.
    `unread`: bytes in `_chunks`. `veil` takes secrets out of what is read; `_tail` could be the
    beginning of one.
    """

    host: str
    expires_at: float
    deadline_at: float
    idle_s: float
    status: int = 0
    headers: dict[str, str] = {}
    body: bytes | None = None
    streaming: bool = False
    in_pieces: bool = False
    veil: Veil | None = None
    complete: bool = False
    stale: bool = False
    drained: bool = False
    phase: Phase = "head"
    fault: Fault | None = None
    line: Line | None = None
    unread: int = 0
    _chunks: list[bytes] = []
    _tail: bytes = b""
    _waking: bool = False
    told: Callable[[], object] | None = None
    _asyncio_future_blocking: bool = False
    _cancelled: tuple[object, ...] | None = None

    async def read(self) -> bytes:
        """Everything that came since the last read; waits if there is nothing, b"" at the end.

        What came before a failure is given first.

        Raises:
            UpstreamBroken: the stream was cut.
            UpstreamSlow: nothing came within the limit.
            DeadlinePassed: the request's own deadline ran out.
        """
        while True:
            while not self._chunks:
                if self.fault is not None:
                    raise self.fault.error()
                if self.complete:
                    tail, self._tail = self._tail, b""
                    return tail
                try:
                    await self
                except asyncio.CancelledError:
                    self.close()
                    raise
            chunks = self._chunks
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            self._chunks = []
            self.unread = 0
            if self.line is not None:
                self.line.resume()
            if self.veil is not None:
                data = self._veiled(data, self.veil)
            if data:
                return data

    def _veiled(self, data: bytes, veil: Veil) -> bytes:
        """A piece without secrets; what could begin one waits for the next."""
        if self._tail:
            data = self._tail + data
        data = veil(data)
        size = veil.cut(data)
        self._tail = data[size:]
        return data[:size] if self._tail else data

    def close(self) -> None:
        """Stop caring. Aborts the connection at once when the reply is incomplete."""
        if self.line is not None:
            self.line.fail(Fault(UpstreamError, "The reply was closed before its end"))
        self._chunks = []

    def release(self, grace_s: float) -> None:
        """The reader has all it wants of a stream: let the rest run out unread.

        The connection is used again if the reply ends within `grace_s`, and closed if not.
        """
        line = self.line
        if line is None:
            return
        self.drained = True
        self._chunks = []
        self.unread = 0
        self.expires_at = asyncio.get_running_loop().time() + grace_s
        line.resume()

    # What follows is for those who fill a response: the connection, the wheel, the fake.

    def wake_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake at the end of this turn of the loop.

        A socket is read several times in one turn; what a stream brought is handled together.
        """
        if not self._waking:
            self._waking = True
            loop.call_soon(self._woken)

    def _woken(self) -> None:
        self._waking = False
        self.wake()

    def put(self, chunk: bytes) -> None:
        """Add body bytes."""
        if self.drained:
            return
        self._chunks.append(chunk)
        self.unread += len(chunk)

    def finish(self) -> None:
        """The reply is whole. Does not wake."""
        self.complete = True
        self.line = None
        if not self.streaming:
            chunks = self._chunks
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            self.body = body if self.veil is None else self.veil(body)
            self._chunks = []

    def fail(self, fault: Fault) -> None:
        """End it; the first cause wins. Does not wake."""
        self.line = None
        if self.fault is None and not self.complete:
            self.fault = fault

    def expire(self, now: float) -> None:
        """A time has passed. Bytes that nobody has read yet show the reader to be the slow one."""
        line = self.line
        if line is None:
            return
        if self.deadline_at <= now:
            line.fail(Fault(DeadlinePassed, "The request's deadline ran out"))
        elif self._chunks and self.streaming:
            self.expires_at = now + self.idle_s
        else:
            line.fail(Fault(UpstreamSlow, _late(self)))


def _late(response: Response) -> str:
    match response.phase:
        case "head":
            return f"{response.host} did not begin to reply within its limit"
        case "first":
            return f"{response.host} opened a stream and sent nothing within its limit"
        case _:
            return f"{response.host} stopped in the middle of a reply"
