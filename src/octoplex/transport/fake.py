"""A sender without a network, for everyone's tests.

It plays scripts, one per request, the last one for ever, and keeps every request it got
with all its bytes. Its responses are real ones, filled by hand, with a real deadline wheel:
a script that stalls is ended by the limits as a stalled provider would be.

A chunk of a script is what one `read` returns. Faults below HTTP (a bad length, a reset
socket) need a real socket and are not promised here.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field

from octoplex.transport.http import Request
from octoplex.transport.response import Fault, Limits, Response
from octoplex.transport.wheel import Wheel
from octoplex.wire.error import GatewayError, UpstreamBroken

End = Literal["done", "cut", "stall"]


class Script(Struct, frozen=True, kw_only=True):
    """How to reply. `chunks` makes it a stream, else `body` comes whole.

    `error` is raised by `send` instead. `end` says what follows the last chunk; "stall"
    without chunks says nothing at all until the limits end it; with `chunks=()` it opens a
    stream and says nothing more.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    body: bytes = b"{}"
    chunks: tuple[bytes, ...] | None = None
    end: End = "done"
    error: GatewayError | None = None


class Sent(Struct, kw_only=True):
    """A request that was sent: itself, all its bytes, its limits, and what became of it."""

    request: Request
    wire: bytes
    limits: Limits
    response: Response | None = None
    closed: bool = False
    """The reply was closed before its end, or sending was cancelled."""


class Fake:
    """Plays `scripts` in order. `sent` is its book."""

    def __init__(self, scripts: Iterable[Script] = (Script(),)) -> None:
        self.scripts = deque(scripts)
        self.sent: list[Sent] = []
        self._wheel: Wheel | None = None

    async def send(self, request: Request, limits: Limits) -> Response:
        """Play the next script."""
        script = self.scripts.popleft() if len(self.scripts) > 1 else self.scripts[0]
        entry = Sent(request=request, wire=request.wire(), limits=limits)
        self.sent.append(entry)
        if script.error is not None:
            request.reached = getattr(script.error, "reached", True)
            raise script.error
        request.reached = True
        loop = asyncio.get_running_loop()
        response = _Played(
            request_host(request),
            loop.time() + limits.first_s,
            limits.deadline_at,
            limits.idle_s,
            _script=script,
            _entry=entry,
            _todo=deque(script.chunks or ()),
        )
        response.veil = request.veil
        entry.response = response
        if self._wheel is None:
            self._wheel = Wheel(loop)
        response.play(self._wheel)
        try:
            await (response if response.status == 0 else asyncio.sleep(0))
        except BaseException:
            response.close()
            raise
        if response.fault is not None:
            raise response.fault.error()
        return response


class _Played(Response, kw_only=True, eq=False):
    """A response that a script fills; it is its own line."""

    _script: Script
    _entry: Sent
    _todo: deque[bytes]
    _wheel: Wheel | None = None

    def play(self, wheel: Wheel) -> None:
        """Do what happens before `send` returns."""
        script = self._script
        if script.chunks is None and script.end == "stall":
            self._watch(wheel)
            return
        self.status, self.headers = script.status, dict(script.headers)
        if script.chunks is None:
            if script.end == "cut":
                self.fail(Fault(UpstreamBroken, f"{self.host} closed within a reply"))
            else:
                self.put(script.body)
                self.finish()
            return
        self.streaming, self.phase = True, "first"
        self._watch(wheel)

    async def read(self) -> bytes:
        """The next chunk, then the script's end."""
        if self._todo and self.line is not None:
            await asyncio.sleep(0)
            if self.line is not None:
                self._advance(self._todo.popleft())
        elif self.line is not None and self._script.end != "stall":
            self._stop()
            if self._script.end == "cut":
                self.fail(Fault(UpstreamBroken, f"{self.host} closed within a reply"))
            else:
                self.finish()
        return await super().read()

    def _advance(self, chunk: bytes) -> None:
        if self.phase == "first":
            self.phase = "body"
            self.expires_at = asyncio.get_running_loop().time() + self.idle_s
        self.put(chunk)

    def _watch(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self.line = _Line(self)
        wheel.add(self)

    def _stop(self) -> None:
        if self._wheel is not None:
            self._wheel.discard(self)

    def abort(self, fault: Fault) -> None:
        """End it with this cause."""
        self._stop()
        self._entry.closed = True
        self.fail(fault)
        self.wake()


class _Line:
    """The connection that a played response does not have."""

    __slots__ = ("_played",)

    def __init__(self, played: _Played) -> None:
        self._played = played

    def fail(self, fault: Fault) -> None:
        self._played.abort(fault)

    def resume(self) -> None:
        """Nothing was paused."""


def request_host(request: Request) -> str:
    """The host a request goes to, as messages name it."""
    return request.origin.authority
