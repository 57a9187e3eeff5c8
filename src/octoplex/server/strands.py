"""The websocket form of Responses: many requests and their events on one connection.

    text -> Create, a line of its own -> the doors of POST /v1/responses -> events as texts

What a caller sends as `response.create` is served as the same request over HTTP would be: it is
authorised anew, limited, reserved, routed, recorded and stored by the code that does that there.
Only its line is another: the data of each event goes out as a text of its own, and what would be
an error's status and body is an `error` event.

A `stream_id` names a strand. The requests of a strand are answered one after the other, those of
different strands at once, up to 16; further ones wait. A failure leaves the others alone.

Reference: https://developers.openai.com/api/docs/guides/websocket-mode

Not promised: headers of answers and the comment with the cost, for which this form has no place;
the record has both. Steering a response that is being written is refused as OpenAI refuses it for
models that cannot be steered. `generate: false` asks nobody and leaves no record.
"""

import contextlib
import re
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Sequence
from hashlib import sha1

import msgspec
from msgspec import Raw, Struct
from websockets.frames import CloseCode

from octoplex.dialects import sse
from octoplex.dialects.members import UNREADABLE, value_of
from octoplex.dialects.openai_chat.failure import error_members
from octoplex.dialects.verbatim import join, split
from octoplex.gateway import Gateway
from octoplex.server.app import LAST_WORDS
from octoplex.server.history import PREVIOUS
from octoplex.server.inbound import JSON, Inbound
from octoplex.server.line import Line, Pairs, header_pairs, untaken
from octoplex.server.memory import Memory, Shared
from octoplex.server.protocol import Direct, DoorProtocol
from octoplex.server.websocket import WebSocket
from octoplex.wire.eager import Eager
from octoplex.wire.error import (
    Forbidden,
    GatewayError,
    InvalidCall,
    Stopping,
    TooFast,
    WrongMethod,
)

MOST_AT_ONCE, MOST_STRANDS, MOST_WAITING = 16, 32, 64
ONE_REQUEST = {b"idempotency-key"}
"""Headers that name a request, and so none of those that a websocket brings."""
_STRAND = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What RFC 6455 (1.3) has a server add to the caller's key."""
_OURS = ("type", "stream_id", "generate")
"""Members that mean something here, and nothing to a provider."""


class _Body(Struct):
    error: dict[str, object]


_json = msgspec.json.Encoder().encode
_error_of = msgspec.json.Decoder(_Body).decode


# -- opening ----------------------------------------------------------------------------------


async def connect(inbound: Inbound, gateway: Gateway) -> None:
    """Open the websocket form of Responses: `response.create` in, events out."""
    line = inbound.line
    door = line.door if isinstance(line, Direct) else None
    if door is None:
        raise WrongMethod(
            "GET /v1/responses opens a websocket: offer `upgrade: websocket`, or use POST.",
            allow="POST",
        )
    headers = line.headers
    if headers.get(b"sec-websocket-version") != b"13":
        error = InvalidCall("This server speaks version 13 of websockets (RFC 6455).")
        body = inbound.face.encode_error(error, inbound.shown_id)
        ids = inbound.id_lines().encode()
        await line.whole(426, JSON + ids + b"sec-websocket-version: 13\r\n", body)
        return
    origin, host = headers.get(b"origin"), headers.get(b"host", b"").lower()
    # Over HTTP the browser keeps the answer from a page of another origin; here nobody would.
    if origin is not None and not inbound.cors and origin.lower().partition(b"://")[2] != host:
        shown = origin.decode("latin-1")[:100]
        raise Forbidden(f'Pages of "{shown}" may not connect; add it to `cors` under [server].')
    head = (
        f"upgrade: websocket\r\nconnection: Upgrade\r\n{inbound.id_lines()}"
        f"sec-websocket-accept: {_accepted(headers)}\r\n"
    )
    socket = WebSocket(door.app.socket_limits, gateway.max_body, door.connections)
    socket.talk = Strands(socket, line, door, inbound.id, gateway.max_body)
    door.switch(head.encode("latin-1"), socket)


def _accepted(headers: dict[bytes, bytes]) -> str:
    key = headers.get(b"sec-websocket-key", b"")
    try:
        good = len(b64decode(key, validate=True)) == 16
    except ValueError:
        good = False
    if not good:
        raise InvalidCall("`sec-websocket-key` must be 16 bytes in base64.")
    return b64encode(sha1(key + _MAGIC, usedforsecurity=False).digest()).decode("ascii")


# -- talking ----------------------------------------------------------------------------------


class Said(Struct, frozen=True):
    """An event as a caller sent it: its members, and the body of the request that it is.

    `fields` None: the body is what could not be read.
    """

    body: bytes
    fields: dict[str, Raw] | None
    kind: object = None
    strand: object = None


class Strands:
    """What is said on one websocket. Implements `Talk`."""

    def __init__(
        self, socket: WebSocket, opening: Line, door: DoorProtocol, id_: str, most_bytes: int
    ) -> None:
        """`opening` is the request that became the websocket at a `door`, `id_` its id."""
        self.socket, self._opening, self._door, self._id = socket, opening, door, id_
        self._most_bytes = most_bytes
        self._waiting: deque[Create] = deque()
        self._running: dict[str, Create] = {}
        self._named: set[str] = set()
        self._memory = Shared(door.app.hoard, most_bytes)
        self._why: tuple[GatewayError, str] | None = None
        """Once this is about to end: why nothing new is taken, and OpenAI's code for it."""

    @property
    def busy(self) -> bool:
        """Whether something is being answered, or waits to be."""
        return bool(self._running or self._waiting)

    def read(self, text: bytes) -> Said | InvalidCall:
        """What an event says, or why that cannot be."""
        try:
            fields = split(text)
        except InvalidCall:
            return Said(text, None)
        try:
            return self._read(fields)
        except InvalidCall as error:
            return error

    def _read(self, fields: dict[str, Raw]) -> Said:
        kind, strand = value_of(fields, "type"), value_of(fields, "stream_id")
        if kind != "response.create":
            return Said(b"", fields, kind, strand)
        body = {name: raw for name, raw in fields.items() if name not in _OURS}
        body["stream"] = Raw(b"true")
        if value_of(fields, "generate") is False:
            body["generate"] = Raw(b"false")
        return Said(join(body), fields, kind, strand)

    def heard(self, said: Said | InvalidCall) -> None:
        """Take one event."""
        refused = self._refusal(said) if isinstance(said, InvalidCall) else self._take(said)
        if refused is not None:
            self.socket.send([refused])

    def _take(self, said: Said) -> bytes | None:
        """Have a request answered, or give its refusal."""
        fields, strand = said.fields, said.strand
        if fields is None:
            return self._add("", {}, said.body)  # to be refused and recorded as any other
        if strand is None:
            strand = ""
        elif not isinstance(strand, str) or not _STRAND.fullmatch(strand):
            words = "`stream_id` must be 1 to 256 letters, digits, `_`, `-` or `.`."
            return self._refusal(InvalidCall(words, param="stream_id"), "invalid_stream_id")
        if said.kind == "response.steer":
            return _not_steered(fields)
        if said.kind != "response.create":
            error = InvalidCall("`type` must be response.create.", param="type")
            return self._refusal(error, "", strand)
        if strand and strand not in self._named and len(self._named) == MOST_STRANDS:
            words = f"This websocket has {MOST_STRANDS} streams; use one of them, or open another."
            error = InvalidCall(words, param="stream_id")
            return self._refusal(error, "websocket_stream_limit_reached", strand)
        return self._add(strand, fields, said.body)

    def _add(self, strand: str, fields: dict[str, Raw], body: bytes) -> bytes | None:
        """Let a request wait for its turn, or give its refusal."""
        waiting = sum(len(one.body) for one in self._waiting)
        too_much = waiting > 0 and waiting + len(body) > self._most_bytes
        if len(self._waiting) == MOST_WAITING or too_much:
            error = TooFast("Too many requests wait on this websocket; wait for their responses.")
            return self._refusal(error, "", strand)
        if strand:
            self._named.add(strand)
        opening = self._opening
        headers = {n: v for n, v in opening.headers.items() if n not in ONE_REQUEST}
        self._waiting.append(
            Create(
                self,
                strand,
                body,
                fields.get(PREVIOUS),
                Memory(strand, self._memory),
                opening.query,
                headers,
                opening.repeated,
                opening.client,
                proof=opening.proof,
            )
        )
        self._go_on()
        return None

    def _go_on(self) -> None:
        """Start what may run, the next of every strand; or refuse it in its turn."""
        for create in list(self._waiting):
            if create.strand in self._running:
                continue
            if self._why is None and len(self._running) == MOST_AT_ONCE:
                return
            self._waiting.remove(create)
            if self._why is not None:
                self.socket.send([self._refusal(*self._why, create.strand)])
                continue
            self._running[create.strand] = create
            door = self._door
            create.task = Eager(door.app.serve(create), door.loop, door.tasks)
            create.task.run()

    def ended(self, create: "Create") -> None:
        """A request has been answered."""
        if self._running.get(create.strand) is create:
            del self._running[create.strand]
            self._door.loop.call_soon(self._rest)  # not here: a thousand would be as deep

    def _rest(self) -> None:
        self._go_on()
        if self._why is not None and not self.busy:
            if self._why[1]:  # not before: it would be taken for a failure of what still comes
                self.socket.send([self._refusal(*self._why)])
            self.socket.close(CloseCode.GOING_AWAY, "")

    def end(self, *, stopping: bool) -> None:
        """Take nothing new, and close after what is being answered."""
        if stopping:
            self._why = Stopping(LAST_WORDS), ""
        elif self._why is None:
            aged = InvalidCall("This websocket has reached its age; open another one.")
            self._why = aged, "websocket_connection_limit_reached"
        self._rest()

    def stop(self) -> None:
        """Cancel what is being answered: the server stops."""
        for create in list(self._running.values()):
            create.stop("stopped")

    def leave(self) -> None:
        """The caller is gone."""
        self._memory.close()
        self._waiting.clear()
        running, self._running = self._running, {}
        for create in running.values():
            create.leave()

    def _refusal(self, error: GatewayError, code: str = "", strand: str = "") -> bytes:
        """The `error` event of what never became a request; `code` is OpenAI's, "" the usual."""
        said = error_members(error, self._id)
        return _error_event(error.status, {**said, "code": code or said["code"]}, strand)


def _not_steered(fields: dict[str, Raw]) -> bytes:
    """The refusal of `response.steer`, with what it brought."""
    steer = {name: fields[name] for name in (PREVIOUS, "input") if name in fields}
    error = {
        "type": "invalid_request_error",
        "code": "steering_not_supported",
        "message": "A response cannot be steered here; send another one after it.",
    }
    event = {"type": "response.steer.failed", "sequence_number": 0, "error": error, "steer": steer}
    return _json(event)


def _error_event(status: int, error: dict[str, object], strand: str) -> bytes:
    """The event that stands for an error's status and body."""
    event: dict[str, object] = {"type": "error", "status": status, "error": error}
    if strand:
        event["stream_id"] = strand
    return _json(event)


# -- one request --------------------------------------------------------------------------------


class Create(Struct, eq=False):
    """One `response.create` as the doors see it: a POST with the opening's head. A `Line`."""

    _strands: Strands
    strand: str
    body: bytes
    _previous: Raw | None
    memory: Memory
    query: bytes
    headers: dict[bytes, bytes]
    repeated: Sequence[tuple[bytes, bytes]]
    client: str
    method: str = "POST"
    path: str = "/v1/responses"
    proof: bytes | None = None
    gone: bool = False
    task: Eager | None = None
    _over: bool = False

    @property
    def unread(self) -> int:
        """Bytes that wait for a caller who reads more slowly than we write, else 0."""
        socket = self._strands.socket
        return untaken(socket.transport) if socket.flow.write_paused else 0

    def ready(self, cap: int) -> bytes | None:
        """The body if it is within the cap."""
        return self.body if len(self.body) <= cap else None

    async def piece(self) -> bytes:
        """The body, once."""
        body, self.body = self.body, b""
        return body

    async def whole(self, status: int, block: bytes, body: bytes) -> None:
        """Send an `error` event: nothing else is answered whole here."""
        if self._over or self.gone:
            return
        said: dict[str, object] = _error_of(body).error
        if status == 404 and said.get("param") == PREVIOUS:
            words = {"type": "invalid_request_error", "code": "previous_response_not_found"}
            status, said = 400, {**said, **words}
        said["headers"] = _shown(header_pairs(block))
        self._forget()
        self._strands.socket.send([_error_event(status, said, self.strand)])
        self._end()

    async def write(self, data: bytes, block: bytes | None, last: bool) -> None:
        """Send events, each as a text of its own."""
        socket = self._strands.socket
        if socket.flow.write_paused and not self.gone:
            await socket.flow.drain()
        if self._over or self.gone:
            return
        # What is no object is the end marker, which some providers send in this dialect too.
        socket.send([self._marked(event) for _, event in sse.events(data) if event[:1] == b"{"])
        if last:
            self._end()

    def cut(self) -> None:
        """Break off: the connection is of no use for others then."""
        self._strands.socket.transport.abort()

    def stop(self, why: str) -> None:
        """Cancel what answers it."""
        if self.task is not None:
            self.task.cancel(why)

    def leave(self) -> None:
        """The caller has closed the connection."""
        self.gone = True
        if self.task is not None and not self._over:
            self.task.cancel()

    def _forget(self) -> None:
        """Forget what could not be gone on from."""
        with contextlib.suppress(*UNREADABLE):  # then it names nothing
            if self._previous is not None:
                self.memory.forget(msgspec.json.decode(self._previous))

    def _marked(self, event: bytes) -> bytes:
        """An event with the strand's name in it."""
        if not self.strand:
            return event
        members = event.rstrip()[1:-1]
        comma = b"," if members.strip() else b""
        return b'{%b%b"stream_id":"%b"}' % (members, comma, self.strand.encode("ascii"))

    def _end(self) -> None:
        self._over = True
        self.task = None  # a request reachable from its own task is a reference cycle
        self._strands.ended(self)


def _shown(pairs: Pairs) -> dict[str, str]:
    """The headers of an error that tell its reader something: ids, and when to come back."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in pairs
        if name.startswith((b"x-", b"retry-"))
    }
