"""The ASGI application: one route table, one way in.

Whether a path needs a key is a property of its row in the table, nothing else; a row
says so or the request is refused (`tests/server/test_auth.py` asks every row). Paths
are taken from the decoded `scope["path"]` alone, never rebuilt from a header.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Collection
from time import monotonic
from typing import Any, Literal

from msgspec import Struct

from octoplex.dialects.dialect import Face
from octoplex.gateway import Gateway
from octoplex.ledger.ids import request_ids
from octoplex.reflex.keys import credentials
from octoplex.server import out
from octoplex.server.forwarded import caller_address
from octoplex.server.headers import error_headers
from octoplex.server.inbound import JSON, Inbound
from octoplex.server.line import Asgi, Line, left
from octoplex.server.memory import Hoard
from octoplex.server.room import Room
from octoplex.server.websocket import Limits
from octoplex.settings import Server, loopback
from octoplex.wire.answer import revoked
from octoplex.wire.ask import Ask
from octoplex.wire.error import (
    CallerLeft,
    Forbidden,
    GatewayError,
    InvalidCall,
    NotFound,
    Stopping,
    WrongMethod,
)

log = logging.getLogger("octoplex.server")
Serve = Callable[[Inbound, Gateway], Awaitable[None]]
Who = Literal["key", "anyone", "loopback", "admin"]


class Route(Struct, frozen=True, kw_only=True):
    """One row: a method and a path, who may ask, and in which dialect it answers.

    A path that ends in `/` takes the rest as one argument (ids may hold slashes).
    """

    method: str
    path: str
    who: Who
    face: str
    serve: Serve
    says: str
    websocket: bool = False
    """It may become a websocket."""


class App:
    """ASGI entry. `gateway` is replaced whole at a reload; requests keep the one they met."""

    def __init__(self, gateway: Gateway, routes: list[Route], faces: dict[str, Face]) -> None:
        self.gateway = gateway
        self.quiet = out.Quiet()
        self.running: set[Inbound] = set()
        """What is being answered to keys, but for `/admin`: what has begun there is done."""
        gateway.works.on_gone.append(self._revoke)
        self.room = Room(gateway.settings.server.max_bodies_bytes)
        self._faces = faces
        self._beside: list[App] = []
        self._renewing = asyncio.Lock()
        self._exact = {(r.method, r.path): r for r in routes if not r.path.endswith("/")}
        self.usual = {(m.encode(), p.encode()): (m, p, b"") for m, p in self._exact}
        """Method, path and query of the request lines that have neither query nor argument."""
        self.websockets = frozenset({r.path for r in routes if r.websocket})
        self.socket_limits = Limits()
        self.hoard = Hoard(MOST_REMEMBERED)
        """How long a websocket may be."""
        self._open = [r for r in routes if r.path.endswith("/")]
        self._plain_face = faces["openai-chat"]
        self.new_id = request_ids()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI scope, under whatever server."""
        if scope["type"] == "http":
            line = Asgi(scope, receive, send)
            try:
                await self.serve(line)
            finally:
                line.close()
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    def put(self, gateway: Gateway) -> None:
        """Put another configuration in force."""
        for app in (self, *self._beside):
            app.gateway = gateway
            app.room.most = gateway.settings.server.max_bodies_bytes

    async def renew_keys(self) -> None:
        """Put the keys in force that the store has now.

        One after the other: what is read first is not put in force last, else a key that was
        revoked meanwhile would open again.
        """
        async with self._renewing:
            rows = await self.gateway.works.store.keys()
            self.gateway.put_keys(rows)

    def beside(self, routes: list[Route]) -> "App":
        """Another one, with rows of its own, which always has in force what this one has."""
        other = App(self.gateway, routes, self._faces)
        self._beside.append(other)
        return other

    def door(self, method: str, path: str) -> Route:
        """The row of a path without an argument."""
        return self._exact[(method, path)]

    def face(self, route: Route) -> Face:
        """The dialect that a row answers in; not for those that exist in several."""
        return self._faces[route.face]

    async def serve(self, line: Line) -> None:
        """Answer one request, whatever happens."""
        gateway = self.gateway
        inbound = Inbound(self.new_id(), line, monotonic(), self._plain_face, self.quiet, self.room)
        known = False
        try:
            route = self._admitted(inbound, gateway)
            known = True
            if route.who == "key":
                self.running.add(inbound)
            await route.serve(inbound, gateway)
        except GatewayError as error:
            await self._end(inbound, gateway, error, known)
        except asyncio.CancelledError:
            if line.gone:  # its caller went away: everything below was cancelled, nobody waits
                await self._end(inbound, gateway, left(), known)
                return
            if inbound.revoked:
                await self._end(inbound, gateway, revoked(), known)
                return
            if gateway.works.stopping:
                await self._end(inbound, gateway, Stopping(LAST_WORDS), known)
            raise
        except Exception as error:  # noqa: BLE001 - the last line: no traceback reaches a caller
            await self._end(inbound, gateway, defect(inbound, error), known)
        finally:
            self.running.discard(inbound)
            if inbound.held:
                inbound.let_go()

    def _revoke(self, keys: Collection[str]) -> None:
        """End everything that is being answered to these keys."""
        for inbound in [one for one in self.running if one.caller.id in keys]:
            inbound.revoke()

    async def _end(
        self, inbound: Inbound, gateway: Gateway, error: GatewayError, known: bool
    ) -> None:
        """Tell the caller, if it is there; record what ended before it became a call."""
        if inbound.trail is None and inbound.line.method == "POST":
            ask = Ask(inbound.id, inbound.face.name, "", b"", 0.0, inbound.started_at)
            ask.caller = inbound.caller
            gateway.answer.refused(ask, error, known=known)
        if not isinstance(error, CallerLeft):
            await self._refuse(inbound, gateway, error)

    def _admitted(self, inbound: Inbound, gateway: Gateway) -> Route:
        """The route of a request whose caller may ask it."""
        line = inbound.line
        headers = line.headers
        if b"x-request-id" in headers and REQUEST_ID.fullmatch(headers[b"x-request-id"]):
            inbound.echo = headers[b"x-request-id"].decode("ascii")
        if b"origin" in headers:
            allowed = gateway.settings.server.cors
            inbound.cors = cors_lines(headers[b"origin"], allowed)
            if line.method == "OPTIONS" and inbound.cors:
                return PREFLIGHT
        route = self._exact.get((line.method, line.path)) or self._find(inbound)
        if route.face != "openai-chat":
            inbound.face = self._faces[self._face_of(route, headers)]
        if line.proof is not None and route.who == "key" and gateway.needs_key:
            inbound.caller = gateway.works.keyring.opened_by(line.proof).caller
        elif route.who != "anyone":
            self._admit(route, inbound, gateway)
        return route

    def _find(self, inbound: Inbound) -> Route:
        line = inbound.line
        method, path = line.method, line.path
        method = "GET" if method == "HEAD" else method
        route = self._exact.get((method, path))
        if route is not None:
            return route
        for route in self._open:
            rest = path.removeprefix(route.path)
            if route.method == method and rest and rest != path:
                inbound.rest = rest
                return route
        rows = [r for r in self._exact.values() if r.path == path]
        rows += [r for r in self._open if path.startswith(r.path) and path != r.path]
        allowed = sorted({r.method for r in rows})
        if allowed:
            raise WrongMethod(
                f"{path} takes {' or '.join(allowed)}, not {line.method}.",
                allow=", ".join(allowed),
            )
        raise NotFound(f"There is no {path[:200]} here; GET /openapi.json lists what is.")

    def _face_of(self, route: Route, headers: dict[bytes, bytes]) -> str:
        """Some paths exist in three dialects; Anthropic's clients name their version, Google's
        themselves."""
        if route.face != "either":
            return route.face
        if b"anthropic-version" in headers:
            return "anthropic"
        return "gemini" if b"x-goog-api-client" in headers else "openai-chat"

    def _admit(self, route: Route, inbound: Inbound, gateway: Gateway) -> None:
        line, server = inbound.line, gateway.settings.server
        if gateway.needs_key and not (route.who == "loopback" and _is_here(line, server)):
            if line.proof is None:
                given = credentials(line.headers, line.query, line.repeated)
                line.proof = gateway.works.keyring.proof(given)
            inbound.caller = gateway.works.keyring.opened_by(line.proof).caller
            if route.who == "admin" and not (inbound.caller.role or inbound.caller.user):
                raise Forbidden(NO_ROLE)
            return
        if route.who == "admin":
            raise Forbidden(NO_ROLE)
        strange = _strange(line.headers, server.cors)
        if strange:
            raise Forbidden(strange)

    async def _refuse(self, inbound: Inbound, gateway: Gateway, error: GatewayError) -> None:
        face = inbound.face
        try:
            block = JSON + error_headers(error, inbound, gateway)
            status, body = face.status(error), face.encode_error(error, inbound.shown_id)
        except Exception:  # nobody may wait for an answer that cannot be written
            log.exception("request %s: its error %r could not be written", inbound.id, error.code)
            inbound.line.cut()
            return
        await inbound.line.whole(status, block, body)


def defect(inbound: Inbound, error: Exception) -> GatewayError:
    """What a caller is told of a defect of ours; the log has the rest."""
    if isinstance(error, RecursionError):  # it was read at a door, and again deeper in our stack
        log.debug("request %s is nested too deeply", inbound.id, exc_info=error)
        return InvalidCall("The body is nested too deeply; send a flatter one.")
    log.error("request %s failed", inbound.id, exc_info=error)
    return GatewayError("An internal error; the server's log has it by the request id.")


def cors_lines(origin: bytes, allowed: tuple[str, ...]) -> bytes:
    """What lets a browser page of an allowed origin read the answer; nothing for others."""
    name = origin.decode("latin-1")
    if name not in allowed or not name.isprintable():
        return b""
    return b"access-control-allow-origin: %b\r\nvary: origin\r\n" % origin


USUAL_HEADERS = b"authorization, content-type, x-api-key, anthropic-version, anthropic-beta"
HEADER_NAMES = re.compile(rb"[A-Za-z0-9_-]+(, ?[A-Za-z0-9_-]+){0,63}")


async def preflight(inbound: Inbound, gateway: Gateway) -> None:
    """Tell a browser that a page of an allowed origin may ask, with the headers it wants to send.

    The SDKs send a dozen of their own; no header opens anything here without a key.
    """
    wanted = inbound.line.headers.get(b"access-control-request-headers", b"")
    names = wanted if HEADER_NAMES.fullmatch(wanted) else USUAL_HEADERS
    lines = (
        b"access-control-allow-methods: GET, POST, DELETE\r\naccess-control-max-age: 600\r\n"
        b"access-control-allow-headers: %b\r\n" % names
    )
    await inbound.line.whole(204, inbound.cors + lines, b"")


PREFLIGHT = Route(
    method="OPTIONS", path="", who="anyone", face="openai-chat", serve=preflight, says=""
)
MOST_REMEMBERED = 256_000_000
"""Bytes that all websockets may remember together of responses that nobody stores."""
NO_ROLE = (
    'This needs a key that may: give one a role in the file, [keys.NAME] role = "viewer" to look '
    'or "admin" to change, or make it for a person with a role in its tenant.'
)
LAST_WORDS = "The server is shutting down; ask again in a moment."
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


def _is_here(line: Line, server: Server) -> bool:
    """Whether the caller is on this machine itself, not behind a proxy on it nor lured here."""
    address = caller_address(line.client, line.headers, server.trusted_proxies)
    return loopback(address) and not _strange(line.headers, server.cors)


def _strange(headers: dict[bytes, bytes], cors: tuple[str, ...]) -> str:
    """Why a request is not this machine's own: "" when it is.

    Without a key only this machine is served: not a page that a browser was lured to, which
    shows by a Host that is not loopback (DNS rebinding), or by its Origin.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    if _bare(host) not in LOCAL_NAMES:
        return (
            f'Without keys this server answers only to localhost, not to "{host[:100]}"; '
            "add a [keys.NAME] table or run `octoplex keys new NAME`."
        )
    origin = headers.get(b"origin", b"").decode("latin-1")
    if origin and origin not in cors and _bare(origin.partition("://")[2]) not in LOCAL_NAMES:
        return f'Without keys requests from the web page "{origin[:100]}" are refused; add a key.'
    return ""


def _bare(host: str) -> str:
    """A host without its port."""
    name, _, port = host.rpartition(":")
    return name.lower() if name and port.isdigit() else host.lower()
