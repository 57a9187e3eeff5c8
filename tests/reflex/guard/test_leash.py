"""A stream on a leash: what passes at once, what waits, and when its end is told."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Raw

from octoplex.reflex.guard.leash import Consequence, Held, Leash
from octoplex.wire.answer import Ending, Frame, Head
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Message, TextPart, ToolResult
from octoplex.wire.error import ApprovalNeeded, Blocked, InvalidCall
from octoplex.wire.event import Event, Finished, TextDelta, ToolDelta, ToolStart, Usage

FRAMES = [
    (b"a", [TextDelta("I will. ")]),
    (b"b", [ToolStart("call_1", "search_mail", 1), ToolDelta("{}", 1)]),
    (b"c", [ToolStart("call_2", "send_mail", 2)]),
    (b"d", [ToolDelta('{"to":', 2)]),
    (b"e", [ToolDelta(' "bob"}', 2), Finished(stop="tool", usage=Usage(1, 2))]),
]


class Stream:
    """Frames, and an end that is told with the last of them."""

    def __init__(self, frames: Sequence[tuple[bytes, Sequence[Event]]] = tuple(FRAMES)) -> None:
        self.head, self.dialect, self.body = Head("up", "m"), "openai-chat", None
        self._frames = list(frames)
        self._ending = Ending()
        self.on_end = self._ending.on_end

    def reply(self) -> Any:
        raise AssertionError("it is a stream")

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Frame:
        if not self._frames:
            raise StopAsyncIteration
        wire, events = self._frames.pop(0)
        if not self._frames:
            self._ending.fire("done", Usage(1, 2))
        return Frame(wire, events=events)

    def close(self, outcome: Any = "left") -> None:
        self._ending.fire(outcome, Usage())


def leash(consequence: Consequence, now: float = 1e9) -> Leash:
    return Leash(consequence, ("search*",), lambda data: bytes(data[-32:].rjust(32)), lambda: now)


def call(**more: Any) -> Call:
    return Call("r", "openai-chat", "m", b"{}", 1e9, **more)


def read(
    consequence: Consequence, call: Call, now: float = 1e9
) -> tuple[list[bytes | None], list[Any], Any]:
    """What was given, how the end was told, and what it failed with."""
    given: list[bytes | None] = []
    ends: list[Any] = []
    held = Held(leash(consequence, now), call, Stream())

    async def main() -> None:
        held.on_end(lambda outcome, usage: ends.append((outcome, dict(call.trail.findings or {}))))
        async for frame in held:
            assert not ends or frame.wire == b"cde" or consequence == "flag"
            given.append(frame.wire)

    try:
        asyncio.run(main())
    except (Blocked, ApprovalNeeded) as error:
        return given, ends, error
    return given, ends, None


def test_text_and_what_only_reads_pass_as_they_come_and_the_rest_waits() -> None:
    given, ends, error = read("approve", call())
    assert given == [b"a", b"b"]
    assert ends == [("cut", {("untrusted_tool", "approve"): 1})]
    approved = call(headers={"x-octoplex-approve": str(error.facts["approve"])})
    given, ends, error = read("approve", approved)
    assert (given, error) == ([b"a", b"b", b"cde"], None)
    assert ends == [("done", {("untrusted_tool", "approved"): 1})]


def test_a_flag_holds_nothing_and_is_counted_before_the_end_is_told() -> None:
    given, ends, error = read("flag", call())
    assert (given, error) == ([b"a", b"b", b"c", b"d", b"e"], None)
    assert ends == [("done", {("untrusted_tool", "flag"): 1})]


def test_a_block_gives_no_piece_of_the_call() -> None:
    given, ends, error = read("block", call())
    assert (given, isinstance(error, Blocked)) == ([b"a", b"b"], True)
    assert ends[0][0] == "cut"


def test_an_approval_is_for_one_caller_route_conversation_and_end() -> None:
    first = call(fields={"messages": b"[1]"})
    approve = str(read("approve", first)[2].facts["approve"])
    again = {"headers": {"x-octoplex-approve": approve}}
    assert read("approve", call(fields={"messages": b"[1]"}, **again))[2] is None
    assert read("approve", call(fields={"messages": b"[2]"}, **again))[2] is not None
    same = call(fields={"messages": b"[1]"}, **again)
    assert read("approve", same, 1e9 + 3_599)[2] is None
    assert read("approve", same, 1e9 + 3_601)[2] is not None
    late = {"headers": {"x-octoplex-approve": "00000001" + approve[8:]}}
    assert read("approve", call(fields={"messages": b"[1]"}, **late))[2] is not None


def typed(*parts: Any) -> Call:
    chat = Chat(model="m", messages=(Message("user", parts),))
    return call(understand=lambda _: chat)


def test_what_ties_a_conversation() -> None:
    tied = leash("approve").tied
    assert not tied(typed(TextPart("Hello")))
    assert tied(typed(ToolResult("call_1", (TextPart("x"),))))
    assert tied(call(fields={"previous_response_id": b'"resp_1"'}))

    def nothing(_: Call) -> Chat:
        raise InvalidCall("what is this?")

    assert tied(call(understand=nothing))
    with pytest.raises(Blocked, match="cannot read"):
        tied(call(understand=nothing, fields={"tools": b"[{}]"}))
    with pytest.raises(InvalidCall, match="one reply"):
        tied(call(understand=nothing, n=2))


def with_tools(*tools: str, **fields: bytes) -> Call:
    offered = tuple(Raw(tool.encode()) for tool in tools)
    result = Message("user", (ToolResult("call_1", (TextPart("x"),)),))
    chat = Chat(model="m", messages=(result,), server_tools=offered)
    return call(understand=lambda _: chat, fields=fields)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (with_tools('{"type":"web_search_20250305","name":"web_search"}'), "web_search"),
        (with_tools('{"googleSearch":{}}'), "googleSearch"),
        (with_tools(mcp_servers=b"[{}]"), "mcp_servers"),
        (with_tools(enable_search=b"true"), "enable_search"),
    ],
)
def test_what_a_provider_would_run_is_refused_by_the_name_it_goes_by(
    asked: Call, named: str
) -> None:
    with pytest.raises(Blocked, match=f"the tool '{named}'"):
        leash("approve").tied(asked)
    assert Leash("approve", (named,), lambda data: data).tied(asked)
    alone = call(understand=lambda _: Chat(model="m", messages=()), fields=asked.fields)
    assert leash("flag").tied(alone) == bool(asked.fields)  # it will bring untrusted text


@pytest.mark.parametrize(
    "tool",
    [
        '{"type":"custom","name":"patch"}',
        '{"type":"custom","custom":{"name":"patch"}}',
        '{"type":"local_shell"}',
        '{"type":"bash_20250124","name":"bash"}',
        '{"type":"computer_20250124","name":"computer"}',
    ],
)
def test_what_its_caller_runs_is_called_like_any_other(tool: str) -> None:
    assert leash("approve").tied(with_tools(tool, enable_search=b"false"))
    alone = Chat(model="m", messages=(), server_tools=(Raw(tool.encode()),))
    assert not leash("approve").tied(call(understand=lambda _: alone))
