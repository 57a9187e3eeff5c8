"""What every client must do alike: each scenario is a script and a conversation.

A scenario is written once, against the asynchronous client; `Awaited` gives the
synchronous one the same face. It returns plain values, which all four clients must agree
on, and checks them itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from octoplex.client import Octoplex
from octoplex.server.mock import Called, Entry, Script, Turn
from octoplex.wire.chat import Message, TextPart, Tool, ToolResult
from octoplex.wire.error import GatewayError, InvalidCall, NotFound, UpstreamBroken
from octoplex.wire.event import Finished, TextDelta, ThinkingDelta, ToolDelta, ToolStart
from tests.shell import soon

Client = Any


@dataclass(frozen=True)
class Book:
    """The provider's book, and a tag of this client: a target that failed rests for the next."""

    entries: Callable[[], list[Entry]]
    tag: int

    def __call__(self) -> list[Entry]:
        return self.entries()


class Awaited:
    """A synchronous client, its methods run in a thread."""

    def __init__(self, client: Octoplex) -> None:
        self._client = client

    async def chat(self, *args: Any, **options: Any) -> Any:
        got = await asyncio.to_thread(self._client.chat, *args, **options)
        return AwaitedStream(got) if options.get("stream") else got

    async def models(self) -> Any:
        return await asyncio.to_thread(self._client.models)


class AwaitedStream:
    """A synchronous stream, likewise."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def text(self) -> Any:
        return _Awaited(self._stream.text)

    @property
    def receipt(self) -> Any:
        return self._stream.receipt

    def __aiter__(self) -> Any:
        return _Awaited(self._stream)

    async def reply(self) -> Any:
        return await asyncio.to_thread(self._stream.reply)

    async def close(self) -> None:
        await asyncio.to_thread(self._stream.close)

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Awaited:
    def __init__(self, items: Any) -> None:
        self._items = iter(items)

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        item = await asyncio.to_thread(next, self._items, None)
        if item is None:
            raise StopAsyncIteration
        return item


@dataclass(frozen=True)
class Scenario:
    name: str
    script: Script
    play: Callable[[Client, Book], Awaitable[Any]]


async def raised(work: Awaitable[Any]) -> tuple[Any, ...]:
    """What an error says, without the ids that differ."""
    with pytest.raises(GatewayError) as caught:
        await work
    error = caught.value
    facts = {k: v for k, v in error.facts.items() if k not in ("request_id", "status")}
    assert error.facts.get("request_id"), "an error names its request"
    wait_s = error.retry_after_s
    said = (type(error).__name__, error.code, error.status, str(error), facts)
    return (*said, None if wait_s is None else round(wait_s))


def sent(book: Book) -> Any:
    return msgspec.json.decode(book()[-1].body)


async def plain(client: Client, book: Book) -> Any:
    reply = await client.chat("mock/m", "Hello", system="Be brief.", max_tokens=9, stop=["."])
    assert (reply.text, reply.stop, reply.usage.output_tokens) == ("Hi there.", "end", 7)
    assert reply.cost_nano == 11 * 1000 + 7 * 2000
    assert reply.request_id
    assert sent(book) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
        "max_tokens": 9,
        "stop": ["."],
    }
    receipt = reply.receipt
    return reply.blocks, reply.usage, receipt.target, receipt.provider, receipt.attempts


async def streamed(client: Client, book: Book) -> Any:
    async with await client.chat("main", "Hello", stream=True) as stream:
        pieces = [piece async for piece in stream.text]
        reply = await stream.reply()
    assert pieces == ["Hi ", "there."]
    assert (reply.text, reply.cost_nano) == ("Hi there.", 11 * 1000 + 7 * 2000)
    return reply.blocks, reply.stop, reply.usage, reply.receipt.target, reply.receipt.route


async def events(client: Client, book: Book) -> Any:
    stream = await client.chat("mock/m", "Think.", stream=True)
    got = [event async for event in stream]
    kinds = {type(event) for event in got}
    assert {ThinkingDelta, TextDelta, Finished} <= kinds
    reply = await stream.reply()
    assert (reply.thinking, reply.text) == ("Let me see.", "So it is.")
    return [e for e in got if isinstance(e, TextDelta | ThinkingDelta | Finished)]


async def tools(client: Client, book: Book) -> Any:
    tool = Tool(name="weather", schema=msgspec.Raw(b'{"type":"object"}'))
    question = Message("user", (TextPart("Weather in Rome?"),))
    reply = await client.chat("mock/t", [question], tools=[tool], tool_choice="weather")
    (call,) = reply.tool_calls
    assert (reply.stop, call.name, call.arguments) == ("tool", "weather", '{"city":"Rome"}')
    assert sent(book)["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    result = Message("user", (ToolResult(call.id, (TextPart("sunny"),)),))
    after = await client.chat("mock/t", [question, reply, result], tools=[tool])
    turns = sent(book)["messages"]
    assert [t["role"] for t in turns] == ["user", "assistant", "tool"]
    assert turns[1]["tool_calls"][0]["function"]["arguments"] == '{"city":"Rome"}'
    return after.text, reply.stop


async def tool_events(client: Client, book: Book) -> Any:
    plain_tool = {"name": "weather", "parameters": {"type": "object"}}
    async with await client.chat("mock/t", "Rome?", stream=True, tools=[plain_tool]) as stream:
        got = [event async for event in stream]
    starts = [e.name for e in got if isinstance(e, ToolStart)]
    arguments = "".join(e.arguments for e in got if isinstance(e, ToolDelta))
    assert (starts, arguments) == (["weather"], '{"city":"Rome"}')
    return starts, arguments


async def formatted(client: Client, book: Book) -> Any:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    reply = await client.chat("mock/m", "JSON", format=schema, temperature=0.5, extra={"x_new": 1})
    body = sent(book)
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert (body["temperature"], body["x_new"]) == (0.5, 1)
    return reply.text


async def crossing(client: Client, book: Book) -> Any:
    reply = await client.chat("anthro/c", "Hello", max_tokens=50)
    stream = await client.chat("anthro/c", "Hello", stream=True)
    again = await stream.reply()
    assert (reply.text, again.text, again.thinking) == ("So it is.", "So it is.", "Let me see.")
    assert book()[-1].dialect == "anthropic"
    return reply.blocks, again.blocks, reply.usage, again.usage, reply.stop, again.stop


async def rejected(client: Client, book: Book) -> Any:
    said = await raised(client.chat("mock/rejected", "Hello"))
    assert said[:4] == ("UpstreamRejected", "upstream_rejected", 422, "No such thing.")
    return said


async def denied(client: Client, book: Book) -> Any:
    said = await raised(client.chat(f"deny-{book.tag}/m", "Hello", stream=True))
    assert said[:3] == ("UpstreamDenied", "upstream_denied", 502)
    return said


async def overloaded(client: Client, book: Book) -> Any:
    said = await raised(client.chat(f"once-{book.tag}", "Hello"))
    assert said[:3] == ("UpstreamOverloaded", "upstream_overloaded", 529)
    assert said[-1] == 60
    return said


async def unknown(client: Client, book: Book) -> Any:
    said = await raised(client.chat("nowhere", "Hello"))
    assert said[0] == NotFound.__name__
    return said


async def wrong(client: Client, book: Book) -> Any:
    said = await raised(client.chat("mock/m", [], stream=True))
    assert (said[0], said[4]["param"]) == (InvalidCall.__name__, "messages")
    return said


async def cut(client: Client, book: Book) -> Any:
    stream = await client.chat("mock/cut", "Hello", stream=True)
    pieces: list[str] = []

    async def listen() -> None:
        async for piece in stream.text:
            pieces.append(piece)  # noqa: PERF401  # what came before the failure is wanted

    said = await raised(listen())
    again = await raised(stream.reply())
    assert (said[0], again) == (UpstreamBroken.__name__, said)
    assert pieces
    assert "".join(pieces) in "one two three four five six"
    return said[:3], pieces


async def left(client: Client, book: Book) -> Any:
    stream = await client.chat("mock/left", "Hello", stream=True)
    first = await anext(aiter(stream.text))
    await stream.close()
    await _ended(book, "left")
    return first


async def late(client: Client, book: Book) -> Any:
    said = await raised_anyhow(client.chat("mock/late", "Hello", timeout_s=0.4))
    await _ended(book, "left")
    assert said == "deadline_passed"
    return said


async def raised_anyhow(work: Awaitable[Any]) -> str:
    try:
        await work
    except GatewayError as error:
        return error.code
    return "nothing"


async def listed(client: Client, book: Book) -> Any:
    offers = await client.models()
    names = [offer.id for offer in offers]
    assert names[:2] == ["main", "once-0"]
    assert "mock/m" in names
    return offers


async def _ended(book: Book, outcome: str) -> None:
    await soon(lambda: any(entry.outcome == outcome for entry in book()))


HI = Turn(text="Hi there.", input_tokens=11, output_tokens=7)
DEEP = Turn(thinking="Let me see.", text="So it is.", input_tokens=5, output_tokens=6)
ROME = Turn(tools=(Called(name="weather", arguments={"city": "Rome"}),))
LONG = "one two three four five six"

SCENARIOS = [
    Scenario("plain", Script((HI,)), plain),
    Scenario("streamed", Script((HI,)), streamed),
    Scenario("events", Script((DEEP,)), events),
    Scenario("tools", Script((ROME, Turn(text="Sunny."))), tools),
    Scenario("tool_events", Script((ROME,)), tool_events),
    Scenario("formatted", Script((Turn(text='{"a":1}'),)), formatted),
    Scenario("crossing", Script((DEEP,)), crossing),
    Scenario("rejected", Script((Turn(status=422, message="No such thing."),)), rejected),
    Scenario("denied", Script((Turn(status=401, message="Bad key sk-123456789"),)), denied),
    Scenario("overloaded", Script((Turn(status=503, headers={"retry-after": "60"}),)), overloaded),
    Scenario("unknown", Script((HI,)), unknown),
    Scenario("wrong", Script((HI,)), wrong),
    Scenario("cut", Script((Turn(text=LONG, end="cut"),)), cut),
    Scenario("left", Script((Turn(text=LONG, gap_s=0.05, end="stall"),)), left),
    Scenario("late", Script((Turn(text=LONG, end="stall"),)), late),
    Scenario("listed", Script((HI,)), listed),
]
