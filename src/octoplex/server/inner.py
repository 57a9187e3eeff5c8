"""Requests that no connection brought: the lines of batches, each by its own endpoint's door.

    runner = Runner(archive, Asker(app).answer, ...)

A line goes the way of any request of the key that made its batch, from the door on: the
same checks, limits, money, record and body. What is different: its caller's rate limit is
waited out rather than told, and so is a provider who is busy; and the last fifth of a rate
limit is left to requests that somebody waits for.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic

import msgspec
from msgspec import Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.gateway import Gateway
from octoplex.jobs.lines import Asked, Replied
from octoplex.jobs.runner import Rules
from octoplex.ledger.batch import Batch
from octoplex.server.app import App, defect
from octoplex.server.inbound import Inbound
from octoplex.wire.answer import revoked
from octoplex.wire.ask import ANYONE, Ask, Caller
from octoplex.wire.error import (
    GatewayError,
    InvalidCall,
    NoTarget,
    Stopping,
    StoreFailed,
    TooFast,
    Unauthorized,
    UpstreamBusy,
    UpstreamOverloaded,
)

LEFT_TO_OTHERS = 5
"""A line is asked only while more than one part in so many of its key's limits is there."""
LOOK_AGAIN_S = 0.5
BUSY = NoTarget | UpstreamBusy | UpstreamOverloaded


class _Head(Struct):
    stream: bool | None = None


_head = msgspec.json.Decoder(_Head).decode


class Inner:
    """A body that goes in and a reply that comes out. Implements `server.line.Line`."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.query = "POST", path, b""
        self.headers = {n.encode(): v.encode("latin-1") for n, v in headers.items()}
        self.repeated: Sequence[tuple[bytes, bytes]] = ()
        self.proof: bytes | None = None
        self.gone, self.unread = False, 0
        self.client = ""
        self.status, self.reply = 0, b""
        self._body = body
        self._task = asyncio.current_task()

    def ready(self, cap: int) -> bytes | None:
        """The whole body if it is within the cap."""
        return self._body if len(self._body) <= cap else None

    async def piece(self) -> bytes:
        """The whole body, once."""
        body, self._body = self._body, b""
        return body

    async def whole(self, status: int, block: bytes, body: bytes) -> None:
        """Keep the response."""
        self.status, self.reply = status, body

    async def write(self, data: bytes, block: bytes | None, last: bool) -> None:
        """Nothing here is streamed (`_check`)."""
        raise InvalidCall(NO_STREAM, param="stream")

    def cut(self) -> None:
        """There is nobody who could take it for a whole one."""

    def stop(self, why: str) -> None:
        """Cancel what asks it."""
        if self._task is not None:
            self._task.cancel(why)

    def still_asked(self) -> bool:
        """Take that back; False if it was cancelled for another reason, too."""
        return self._task is not None and not self._task.uncancel()


NO_STREAM = "Batches are not streamed; leave `stream` out."


class Asker:
    """Asks the lines of batches of an app."""

    def __init__(self, app: App) -> None:
        self._app = app

    def rules(self) -> Rules:
        """What the configuration in force says of batches."""
        server = self._app.gateway.settings.server
        return Rules(
            at_once=server.batch_concurrency,
            longest_line=server.max_body_bytes,
            keep_days=server.files_days,
        )

    async def answer(self, batch: Batch, asked: Asked) -> Replied:
        """Ask one line as the caller of its batch."""
        app, gateway = self._app, self._app.gateway
        route = app.door("POST", batch.endpoint)
        line = Inner(batch.endpoint, batch.headers, bytes(asked.body))
        inbound = Inbound(app.new_id(), line, monotonic(), app.face(route), app.quiet)
        known = False
        try:
            inbound.caller = _caller(batch, gateway)
            known = True
            if _crowded(inbound.caller, gateway):
                return Replied(0, inbound.id, b"", LOOK_AGAIN_S)
            _check(line)
            app.running.add(inbound)
            await route.serve(inbound, gateway)
            return Replied(line.status, inbound.id, line.reply)
        except GatewayError as failed:
            error = failed
        except asyncio.CancelledError:
            if not inbound.revoked or not line.still_asked():
                if inbound.trail is None:
                    _record(inbound, gateway, Stopping("The server is shutting down."), known)
                raise
            error = revoked()
        except Exception as failed:  # noqa: BLE001 - one line's defect is no other's
            error = defect(inbound, failed)
        finally:
            app.running.discard(inbound)
        if inbound.trail is None:
            _record(inbound, gateway, error, known)
        return _told(inbound, error)


def _caller(batch: Batch, gateway: Gateway) -> Caller:
    """Who made the batch, as its key is now.

    Raises:
        Unauthorized: the key is no longer in force.
    """
    if not batch.key_id and not gateway.needs_key:
        return ANYONE
    key = gateway.key_of(Caller(batch.key_id)) if batch.key_id else None
    if key is None:
        raise Unauthorized("The key that made this batch is no longer in force.")
    return key.caller


def _crowded(caller: Caller, gateway: Gateway) -> bool:
    """Whether what is left of the key's rates is for requests that somebody waits for."""
    figures = gateway.works.desk.figures(caller.id) if caller.id else ()
    return any(f.remaining * LEFT_TO_OTHERS < f.limit for f in figures)


def _check(line: Inner) -> None:
    body = line.ready(1 << 62) or b""
    try:
        if _head(body).stream:
            raise InvalidCall(NO_STREAM, param="stream")
    except UNREADABLE:
        pass  # the door says what is wrong with it


def _record(inbound: Inbound, gateway: Gateway, error: GatewayError, known: bool) -> None:
    """Keep what ended before it became a call, as the doors do."""
    ask = Ask(inbound.id, inbound.face.name, "", b"", 0.0, inbound.started_at)
    ask.caller = inbound.caller
    gateway.answer.refused(ask, error, known=known)


def _told(inbound: Inbound, error: GatewayError) -> Replied:
    """What becomes of a failure: a reply, or another try."""
    face = inbound.face
    busy = isinstance(error, BUSY)
    later = busy or isinstance(error, TooFast | StoreFailed | Stopping)
    if isinstance(error, NoTarget) and error.retry_after_s is None:  # none will be there
        later = False
    again_s = error.retry_after_s or 0.0 if later else None
    body = face.encode_error(error, inbound.id)
    return Replied(face.status(error), inbound.id, body, again_s, busy)
