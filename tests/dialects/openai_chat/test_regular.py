"""Tool calls of a reply that passes verbatim: mended where a client would break on them."""

import json
from typing import Any

import pytest
from openai.lib.streaming._deltas import accumulate_delta

from octoplex.dialects.openai_chat.regular import regular_body
from octoplex.dialects.openai_chat.scan import ChatScanner
from octoplex.dialects.openai_chat.tags import TagScanner

Piece = dict[str, Any]
ODD = b'"odd":[1e1, "\\u003c"]'
DONE = b"data: [DONE]\n\n"


def event(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c-1", "choices": [choice]}).encode() + b"\n\n"


def piece(arguments: Any = None, name: str = "", **members: Any) -> Piece:
    function = {**({"name": name} if name else {}), "arguments": arguments}
    if arguments is None:
        del function["arguments"]
    return {**members, "function": function}


def scanned(*events: bytes, at_once: bool = False) -> bytes:
    scanner = ChatScanner(hide_usage=False)
    return b"".join([scanner.feed(e) for e in ([b"".join(events)] if at_once else events)])


def read(wire: bytes) -> list[dict[str, Any]]:
    return [json.loads(e[6:]) for e in wire.split(b"\n\n") if e.startswith(b"data: {")]


def joined(wire: bytes) -> dict[str, Any]:
    """What the vendor's SDK makes of a stream: the pieces added up."""
    said: dict[Any, Any] = {}
    for chunk in read(wire):
        said = accumulate_delta(said, chunk["choices"][0]["delta"])
    return said


def calls(wire: bytes) -> list[tuple[int, str, str, str]]:
    return [
        (c["index"], c["id"], c["function"]["name"], c["function"].get("arguments", ""))
        for c in joined(wire)["tool_calls"]
    ]


def tools(*pieces: Piece) -> bytes:
    return event({"tool_calls": list(pieces)})


TWO = [(0, "a", "f", '{"x":1}'), (1, "b", "g", "{}")]
STREAMS = {
    "no index": [
        tools(piece("", "f", id="a")),
        tools(piece('{"x":')),
        tools(piece("1}")),
        tools(piece("{}", "g", id="b")),
    ],
    "no index, but the id each time": [
        tools(piece('{"x":', "f", id="a")),
        tools(piece("{}", "g", id="b")),
        tools(piece("1}", id="a")),
    ],
    "an index that is null": [
        tools(piece('{"x":1}', "f", id="a", index=None), piece("{}", "g", id="b", index=None)),
    ],
    "one index for both": [
        tools(piece('{"x":1}', "f", id="a", index=0)),
        tools(piece("{}", "g", id="b", index=0)),
    ],
    "from one on": [
        tools(piece('{"x":', "f", id="a", index=1)),
        tools(piece("{}", "g", id="b", index=2)),
        tools(piece("1}", index=1)),
    ],
    "id and name each time": [
        tools(piece('{"x":', "f", id="a", index=0)),
        tools(piece("1}", "f", id="a", index=0)),
        tools(piece("{}", "g", id="b", index=1)),
    ],
    "arguments that are an object": [
        tools(piece({"x": 1}, "f", id="a", index=0)),
        tools(piece("{}", "g", id="b", index=1)),
    ],
    "beside text": [
        event({"content": "Hm.", "tool_calls": [piece('{"x":1}', "f", id="a")]}),
        tools(piece("{}", "g", id="b")),
    ],
}


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("name", STREAMS)
def test_the_vendors_sdk_can_join_the_pieces(name: str, at_once: bool) -> None:
    """F26. The SDK: https://github.com/openai/openai-python/blob/main/src/openai/lib/streaming"""
    out = scanned(*STREAMS[name], event({}, "tool_calls"), DONE, at_once=at_once)
    assert calls(out) == TWO
    assert out.endswith(event({}, "tool_calls") + DONE)


def test_a_call_without_an_id_gets_one_and_of_two_with_the_same_each_its_own() -> None:
    none = scanned(tools(piece("{}", "f", index=0), piece("{}", "g", index=1)))
    assert [id_ for _, id_, _, _ in calls(none)] == ["call_c-1_0", "call_c-1_1"]
    same = scanned(tools(piece("{}", "f", id="a", index=0), piece("{}", "g", id="a", index=1)))
    assert [id_ for _, id_, _, _ in calls(same)] == ["a", "a_1"]


@pytest.mark.parametrize("at_once", [False, True])
def test_stop_beside_tool_calls_says_that_they_are_to_be_made(at_once: bool) -> None:
    begun = tools(piece("{}", "f", id="a", index=0))
    out = scanned(begun, event({}, "stop"), DONE, at_once=at_once)
    assert out.startswith(begun)
    assert read(out)[-1]["choices"][0]["finish_reason"] == "tool_calls"
    other = event({}, "length")
    assert scanned(begun, other) == begun + other
    plain = event({"content": "Hi"}) + event({}, "stop") + DONE
    assert scanned(plain) == plain


def test_only_these_members_of_only_that_event_are_written() -> None:
    text, chunk = event({"content": "Hm."}), (
        b'{"id":"c-1","choices":[{"index":0,"delta":{"tool_calls":[{%b"id":"a","type":"function",'
        b'"function":{"name":"f","arguments":"\\u007b}"}}]},"logprobs":1.50}],%b}'
    )  # fmt: skip
    out = scanned(text, b"data: " + chunk % (b"", ODD) + b"\n\n", event({}, "tool_calls"))
    assert out.startswith(text)
    mended = chunk % (b"", ODD)
    mended = mended.replace(b'"arguments":"\\u007b}"}', b'"arguments":"\\u007b}"},"index":0')
    assert out == text + b"data: " + mended + b"\n\n" + event({}, "tool_calls")


REGULAR = [
    event({"role": "assistant", "content": None}),
    tools(piece("", "f", id="a", index=0, type="function")),
    tools(piece('{"x":', index=0)),
    tools(piece("1}", index=0, id="")),
    tools(piece("{}", "g", id="b", index=1), piece("", index=0, id=None)),
    event({}, "tool_calls"),
    b'data: {"id":"c-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
    DONE,
]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize("at_once", [False, True])
def test_where_all_is_well_it_passes_as_it_came(end: bytes, at_once: bool) -> None:
    wires = [wire.replace(b"\n\n", end) for wire in REGULAR]
    assert scanned(*wires, at_once=at_once) == b"".join(wires)


@pytest.mark.parametrize("delta", [{"tool_calls": [1]}, {"tool_calls": [{"index": "0"}]}])
def test_what_cannot_be_read_passes_as_it_came(delta: dict[str, Any]) -> None:
    assert scanned(event(delta)) == event(delta)


def test_each_choice_counts_for_itself() -> None:
    out = scanned(
        *[event({"tool_calls": [piece("{}", "f", id=id_)]}, index=i) for i, id_ in enumerate("ab")],
        event({}, "stop", index=2),
    )
    found = [chunk["choices"][0] for chunk in read(out)]
    assert [c["delta"]["tool_calls"][0]["index"] for c in found[:2]] == [0, 0]
    assert found[2]["finish_reason"] == "stop"


def test_behind_thinking_that_is_moved() -> None:
    scanner = TagScanner(hide_usage=False, unopened=False)
    wires = [event({"content": "<think>Hm.</think>"}), tools(piece("{}", "f", id="a"))]
    out = joined(b"".join(scanner.feed(wire) for wire in wires))
    assert out["reasoning_content"] == "Hm."
    assert out["tool_calls"][0]["index"] == 0


def whole(*calls: Piece, finish: str = "tool_calls") -> bytes:
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = json.dumps({"id": "c-1", "choices": [choice], "odd": 1}).encode()
    return body[:-1] + b', "odder" :[1e1]}'


def mended(*calls: Piece, finish: str = "tool_calls") -> tuple[list[tuple[str, str, str]], str]:
    body = regular_body(whole(*calls, finish=finish))
    assert body == regular_body(body)
    assert (b"[1e1]" in body, json.loads(body)["odd"]) == (True, 1)
    (choice,) = json.loads(body)["choices"]
    made = choice["message"]["tool_calls"]
    assert {c["type"] for c in made} == {"function"}
    found = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in made]
    return found, choice["finish_reason"]


@pytest.mark.parametrize(
    ("irregular", "id_", "arguments"),
    [
        (piece("{}", "f"), "call_c-1_0", "{}"),
        (piece("{}", "f", id=None), "call_c-1_0", "{}"),
        (piece("{}", "f", id=""), "call_c-1_0", "{}"),
        (piece(None, "f", id="a"), "a", "{}"),
        ({"id": "a", "type": "function", "function": {"name": "f", "arguments": None}}, "a", "{}"),
        (piece("", "f", id="a"), "a", "{}"),
        (piece({"x": 1}, "f", id="a"), "a", '{"x":1}'),
        (piece("{x", "f"), "call_c-1_0", "{x"),  # the model wrote them
    ],
)
def test_calls_of_a_whole_reply(irregular: Piece, id_: str, arguments: str) -> None:
    """Without an id its result cannot be told; what is no text cannot be read."""
    other = piece("{}", "g", id="b", type="function")
    assert mended(irregular, other) == ([(id_, "f", arguments), ("b", "g", "{}")], "tool_calls")


def test_one_id_for_two_calls_and_a_stop_beside_them() -> None:
    one, same, other = (
        piece("{}", name, id=id_, type="function")
        for name, id_ in (("f", "a"), ("g", "a"), ("g", "b"))
    )
    assert mended(one, same) == ([("a", "f", "{}"), ("a_1", "g", "{}")], "tool_calls")
    for finish, told in (("stop", "tool_calls"), ("length", "length")):
        got = mended(one, other, finish=finish)
        assert got == ([("a", "f", "{}"), ("b", "g", "{}")], told)


@pytest.mark.parametrize(
    "body",
    [
        whole(piece("{}", "f", id="a")),
        whole({"id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}),
        whole(piece('{"x', "f", id="a"), finish="length"),
        b'{"choices":[{"message":{"content":"\\"tool_calls\\""},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"content":"x","tool_calls":[]},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"content":"x","tool_calls":null},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"tool_calls":[7]},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":null,"finish_reason":"tool_calls"}]}',
        b'{"choices":7,"x":"tool_calls","tool_calls":1}',
    ],
)
def test_a_whole_reply_that_is_regular_or_cannot_be_read_keeps_its_bytes(body: bytes) -> None:
    assert regular_body(body) is body
