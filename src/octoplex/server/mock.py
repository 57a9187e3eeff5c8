"""A provider that does what a script says, in both dialects: `octoplex mock`.

    POST /v1/chat/completions, POST /v1/messages     play the next turn of the script
    GET /v1/models                                   one model, `mock`; any name works
    GET /book                                        every request so far, and its end

Turns are played in the order in which requests arrive, the last one for ever, as in
`transport/fake.py`. A turn without text, tools or error repeats what the user said. What
goes out is written by the faces of `dialects/`, so it is what those promise and no more.

    [[turn]]
    status = 429
    headers = { retry-after = "1" }
    [[turn]]
    text = "Better now."
    end = "cut"                  # done | cut (the connection breaks midway) | stall

Not promised: faults below HTTP, other dialects, any judgement of the request beyond its head.
"""

import asyncio
import itertools
import re
import tomllib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from octoplex.assembly.arrival import Arrival, Patience, read_call
from octoplex.dialects.anthropic import AnthropicFace
from octoplex.dialects.dialect import Face
from octoplex.dialects.openai_chat import OpenAIChatFace
from octoplex.wire.ask import Call
from octoplex.wire.chat import TextPart
from octoplex.wire.error import BadConfig, GatewayError, NotFound, Unauthorized
from octoplex.wire.event import (
    Block,
    Event,
    Reply,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ToolUse,
    Usage,
    unfold,
)

LONG_S = 3_600.0
BYTES_PER_TOKEN = 4
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_WORD = re.compile(r"\S+\s*|\s+")


class Called(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool the model calls; `arguments` as an object."""

    name: str
    arguments: dict[str, Any] = {}


class Turn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reply. Seconds: `wait_s` before it begins, `gap_s` between the events of a stream."""

    text: str = ""
    thinking: str = ""
    tools: tuple[Called, ...] = ()
    stop: StopReason | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    status: int = 200
    message: str = "The script says so."
    headers: dict[str, str] = {}
    wait_s: float = 0.0
    gap_s: float = 0.0
    end: Literal["done", "cut", "stall"] = "done"


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """A script file: `[[turn]]` tables."""

    turn: tuple[Turn, ...] = (Turn(),)


class Entry(Struct, kw_only=True):
    """One request in the provider's own book. `outcome` is "open" until it has ended."""

    dialect: str
    model: str
    stream: bool
    body: msgspec.Raw
    input_tokens: int = 0
    output_tokens: int = 0
    outcome: Literal["open", "done", "cut", "left", "refused"] = "open"


class Cut(Exception):
    """Raised within a response, so that the server breaks its connection."""


def read_script(text: str, origin: str) -> Script:
    """Read a script.

    Raises:
        BadConfig: naming the file and the key.
    """
    try:
        return msgspec.convert(tomllib.loads(text), Script)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadConfig(f"{origin}: {error}.") from None


class Mock:
    """The ASGI application. `book` is what it was asked."""

    def __init__(self, script: Script, key: str = "") -> None:
        self._key = key
        self.play(script)
        chat, messages = OpenAIChatFace(), AnthropicFace()
        self._faces: dict[str, Face] = {"/chat/completions": chat, "/messages": messages}
        self._chat: Face = chat

    def play(self, script: Script) -> None:
        """Play another script, from its first turn on, and begin a new book."""
        self._turns = script.turn or (Turn(),)
        self._numbers = itertools.count()
        self.book: list[Entry] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        door = _Door(scope, receive, send)
        path = door.path.removeprefix("/v1")
        face = self._faces.get(path, self._chat)
        try:
            if self._key and self._key not in (door.header("x-api-key"), door.bearer):
                raise Unauthorized("This mock was started with another --key.")
            if door.method == "POST" and path in self._faces:
                await self._play(door, face)
            elif path == "/models":
                model = {"id": "mock", "object": "model", "created": 0, "owned_by": "mock"}
                await door.json(200, {"object": "list", "data": [model]})
            elif path == "/book":
                await door.json(200, self.book)
            else:
                raise NotFound(f"The mock has no {door.method} {door.path}.")
        except GatewayError as error:
            await door.whole(face.status(error), face.encode_error(error, "mock"))
        except ConnectionError:
            return
        finally:
            door.close()

    async def _play(self, door: "_Door", face: Face) -> None:
        body = await door.body()
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        arrival = Arrival(f"mock-{number}", face, loop.time(), Patience(LONG_S, LONG_S))
        call = read_call(arrival, body)
        turn = self._turns[min(number, len(self._turns) - 1)]
        entry = Entry(
            dialect=face.name, model=call.model, stream=call.stream, body=msgspec.Raw(body)
        )
        self.book.append(entry)
        await asyncio.sleep(turn.wait_s)
        if turn.status != 200:
            entry.outcome = "refused"
            await door.whole(turn.status, _refusal(turn, face), turn.headers)
            return
        reply = _reply(turn, call)
        entry.input_tokens = reply.usage.input_tokens
        entry.output_tokens = reply.usage.output_tokens
        try:
            if call.stream:
                await _stream(door, turn, face.encoder(call).feed, _events(reply))
            else:
                await self._whole(door, turn, face.encode_reply(reply))
            entry.outcome = "done"
        except Cut:
            entry.outcome = "cut"
            raise
        except (asyncio.CancelledError, ConnectionError):
            entry.outcome = "left"
            raise

    async def _whole(self, door: "_Door", turn: Turn, body: bytes) -> None:
        if turn.end == "stall":
            await door.left()
        if turn.end == "cut":
            await door.start(200, turn.headers, len(body))
            await door.write(body[: len(body) // 2])
            raise Cut
        await door.whole(200, body, turn.headers)


async def _stream(door: "_Door", turn: Turn, encode: Any, events: Sequence[Event]) -> None:
    headers = {"content-type": "text/event-stream", **turn.headers}
    await door.start(200, headers)
    stays = len(events) if turn.end == "done" else len(events) // 2
    for event in events[:stays]:
        data = encode([event])
        if data:
            await door.write(data)
        await door.pause(turn.gap_s)
    if turn.end == "stall":
        await door.left()
    if turn.end == "cut":
        raise Cut
    await door.write(b"", last=True)


def _reply(turn: Turn, call: Call) -> Reply:
    blocks: list[Block] = [Thinking(turn.thinking)] if turn.thinking else []
    text = turn.text or ("" if turn.tools else f"You said: {_said(call)}")
    if text:
        blocks.append(Text(text))
    for number, tool in enumerate(turn.tools):
        arguments = msgspec.json.encode(tool.arguments).decode()
        blocks.append(ToolUse(f"call_{call.id}_{number}", tool.name, arguments))
    size = sum(len(getattr(b, "text", "") or getattr(b, "arguments", "")) for b in blocks)
    usage = Usage(
        input_tokens=_count(turn.input_tokens, len(call.raw)),
        output_tokens=_count(turn.output_tokens, size),
    )
    stop = turn.stop or ("tool" if turn.tools else "end")
    return Reply(id=call.id, model=call.model, blocks=tuple(blocks), stop=stop, usage=usage)


def _count(given: int | None, size: int) -> int:
    return -(-size // BYTES_PER_TOKEN) if given is None else given


def _said(call: Call) -> str:
    """The text of the last user turn that has one."""
    for message in reversed(call.chat().messages):
        texts = [p.text for p in message.parts if isinstance(p, TextPart)]
        if message.role == "user" and texts:
            return "".join(texts)
    return "nothing"


def _events(reply: Reply) -> list[Event]:
    """The reply as a stream, a word at a time."""
    events: list[Event] = []
    for event in unfold(reply):
        if isinstance(event, TextDelta):
            events += [TextDelta(w, event.index) for w in _WORD.findall(event.text)]
        else:
            events.append(event)
    return events


def _refusal(turn: Turn, face: Face) -> bytes:
    """A provider's own error body: without the members by which we know our own."""
    kind = ERROR_TYPES.get(turn.status, "api_error")
    error = {"type": kind, "message": turn.message}
    if face.name == "anthropic":
        return msgspec.json.encode({"type": "error", "error": error})
    return msgspec.json.encode({"error": {**error, "param": None, "code": None}})


class _Door:
    """One ASGI request."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        pairs: list[tuple[bytes, bytes]] = scope["headers"]
        self._headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in pairs}
        self._receive, self._send = receive, send
        self._gone: asyncio.Task[None] | None = None

    def header(self, name: str) -> str:
        """A header's value, "" without it."""
        return self._headers.get(name, "")

    @property
    def bearer(self) -> str:
        """The token of the Authorization header."""
        return self.header("authorization").removeprefix("Bearer ").strip()

    async def body(self) -> bytes:
        """The whole body."""
        pieces = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError("the caller left")
            pieces.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(pieces)

    async def left(self) -> None:
        """Say nothing more until the caller leaves.

        Raises:
            ConnectionError: it has.
        """
        while (await self._receive())["type"] != "http.disconnect":
            pass
        raise ConnectionError("the caller left")

    async def pause(self, seconds: float) -> None:
        """Wait between events, and see it when the caller leaves."""
        if self._gone is None:
            self._gone = asyncio.create_task(self.left())
        await asyncio.wait([self._gone], timeout=seconds)
        if self._gone.done():
            self._gone.result()

    def close(self) -> None:
        """The request is over; leaving no longer matters."""
        if self._gone is not None and not self._gone.cancel():
            self._gone.exception()

    async def start(self, status: int, headers: dict[str, str], size: int | None = None) -> None:
        """Send the head."""
        pairs = {"content-type": "application/json", **headers}
        if size is not None:
            pairs["content-length"] = str(size)
        lines = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in pairs.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": lines})

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def whole(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send a whole reply."""
        await self.start(status, headers or {}, len(body))
        await self.write(body, last=True)

    async def json(self, status: int, value: object) -> None:
        """Send a value."""
        await self.whole(status, msgspec.json.encode(value))
