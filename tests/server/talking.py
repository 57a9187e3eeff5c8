"""A caller on the websocket form of Responses, and one on its bare bytes.

    async with talk(gate) as ws:
        await ws.create("up/m", "Hello")
        assert said(await ws.answer()) == "It is sunny."

`answer` gives the events of one response, each strand's for itself, and checks their grammar.
"""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from typing import Any

import websockets
from websockets.frames import Frame, Opcode

from tests.dialects.grammar import openai_responses
from tests.server import provider
from tests.server.caller import WAIT_S, Line, Reply, request
from tests.upstream_server import Exchange, head

PATH = "/v1/responses"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The key of RFC 6455's own example (1.3), and what a server answers to it."""
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ENDS = ("response.completed", "response.incomplete", "response.failed")
Event = dict[str, Any]


class Talk:
    """One websocket, read by `answer` and `event`."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.raw: list[bytes] = []
        self._kept: defaultdict[str, list[Event]] = defaultdict(list)

    async def send(self, **event: Any) -> None:
        await self.socket.send(json.dumps(event))

    async def create(self, model: str, input_: Any = "Hello", **members: Any) -> None:
        await self.send(type="response.create", model=model, input=input_, **members)

    async def event(self) -> Event:
        """The next event, of whatever strand."""
        async with asyncio.timeout(WAIT_S):
            text = await self.socket.recv()
        assert isinstance(text, str), "a binary message"
        self.raw.append(text.encode())
        event: Event = json.loads(text)
        return event

    async def until(self, kind: str, strand: str = "") -> Event:
        """The strand's next event of this kind; `answer` gives it and those before it, too."""
        at = 0
        while True:
            for event in self._kept[strand][at:]:
                at += 1
                if event["type"] == kind:
                    return event
            event = await self.event()
            self._kept[event.get("stream_id", "")].append(event)

    async def answer(self, strand: str = "", *, checked: bool = True) -> list[Event]:
        """The events of the strand's next response; one `error` where there is none.

        `checked`: they must obey the grammar; False for a provider's own that do not.
        """
        got: list[Event] = []
        while True:
            while self._kept[strand]:
                got.append(self._kept[strand].pop(0))
                if "status" in got[-1]:
                    check_error(got[-1])
                    return got
                if got[-1]["type"] in ENDS:
                    if checked:
                        openai_responses.check(wire(got))
                    return got
            event = await self.event()
            self._kept[event.get("stream_id", "")].append(event)

    async def refused(self, strand: str = "") -> Event:
        """The `error` event of a request that got no response."""
        (event,) = await self.answer(strand)
        assert event["type"] == "error"
        return event

    async def closed(self) -> tuple[int, str]:
        """How the other side closes."""
        with contextlib.suppress(websockets.ConnectionClosed):
            async with asyncio.timeout(WAIT_S):
                while True:
                    self.raw.append(str(await self.socket.recv()).encode())
        return self.socket.close_code or 0, self.socket.close_reason or ""


@contextlib.asynccontextmanager
async def talk(gate: Any, key: str | None = None, **options: Any) -> AsyncIterator[Talk]:
    """A websocket to a gateway with its own key, or another; "": without one."""
    key = getattr(gate, "key", "") if key is None else key
    headers = {"authorization": f"Bearer {key}"} if key else {}
    url = f"ws://127.0.0.1:{gate.port}{PATH}"
    usual = {"additional_headers": headers, "proxy": None, "max_size": None, "close_timeout": 1}
    options = {**usual, **options}
    async with websockets.connect(url, **options) as socket:
        talking = Talk(socket)
        yield talking
        if hasattr(gate, "seen"):
            gate.seen += talking.raw


def wire(events: Iterable[Event]) -> bytes:
    """The same events as a stream over HTTP has them."""
    bare = [{k: v for k, v in event.items() if k != "stream_id"} for event in events]
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in bare)


def check_error(event: Event) -> None:
    assert event.keys() <= {"type", "status", "error", "stream_id"}
    assert event["type"] == "error"
    assert 400 <= event["status"] < 600
    error = event["error"]
    assert error.keys() <= {"message", "type", "param", "code", "octoplex", "headers"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    assert all(isinstance(value, str) for value in error.get("headers", {}).values())


def said(events: list[Event]) -> str:
    """The text of a response, in its pieces and in its end."""
    pieces = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
    assert events[-1]["type"] == "response.completed", events[-1]
    items = [i for i in events[-1]["response"]["output"] if i["type"] == "message"]
    assert pieces == "".join(part["text"] for item in items for part in item["content"])
    return pieces


def id_of(events: list[Event]) -> str:
    id_: str = events[-1]["response"]["id"]
    return id_


class Gated:
    """A provider of Chat whose streams go on one by one, by what was asked, when they are let."""

    def __init__(self) -> None:
        self.open: dict[str, asyncio.Event] = {}

    def let(self, asked: str = "Hello") -> None:
        self.open[asked].set()

    async def __call__(self, exchange: Exchange) -> None:
        asked = json.loads(exchange.entry.body)["messages"][0]["content"]
        mine = self.open[asked] = asyncio.Event()
        exchange.bill(*provider.BILL)
        exchange.send(
            head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")])
        )
        events = provider.chat_events()
        exchange.chunk(b"".join(events[:3]))
        await mine.wait()
        exchange.chunk(b"".join(events[3:]))
        exchange.send(b"0\r\n\r\n")


# -- bare bytes -------------------------------------------------------------------------------


def opening(*more: tuple[str, str], without: str = "", path: str = PATH) -> bytes:
    pairs = [
        ("upgrade", "websocket"), ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-key", KEY), ("sec-websocket-version", "13"),
    ]  # fmt: skip
    given = {name for name, _ in more}
    kept = [pair for pair in pairs if pair[0] not in given | {without}]
    return request("GET", path, None, [*kept, *more])


async def opened(line: Line, *more: tuple[str, str]) -> Reply:
    """Open a websocket on a bare connection."""
    line.send(opening(*more))
    reply = await line.head()
    assert reply.status == 101, reply.raw
    assert reply.headers["sec-websocket-accept"] == ACCEPT
    return reply


def frame(opcode: Opcode, data: bytes, *, fin: bool = True, mask: bool = True) -> bytes:
    """A frame as callers send it."""
    return Frame(opcode, data, fin).serialize(mask=mask)


async def close_code(line: Line) -> int:
    """The code of the close frame with which the other side ends."""
    got = await line.ended()
    at = got.rfind(b"\x88")
    assert at >= 0, got
    return int.from_bytes(got[at + 2 : at + 4], "big")
