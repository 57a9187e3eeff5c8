"""The decoder on streams as servers really send them, and on what no server should send."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects.openai_responses.stream import ResponsesDecoder
from octoplex.wire.error import UpstreamBroken, UpstreamError
from octoplex.wire.event import Event, Finished, Refusal, Text, Thinking, ToolUse, fold
from tests.dialects.openai_responses.test_scan import JSON, PIECES
from tests.dialects.openai_responses.wires import added, delta, done, end, sse, start


def decoded(*events: dict[str, Any]) -> list[Event]:
    decoder = ResponsesDecoder()
    return [*decoder.feed(sse(*events)), *decoder.end()]


def call(number: int, arguments: str = "") -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"fc_{number}",
        "call_id": f"c{number}",
        "name": "f",
        "arguments": arguments,
    }


def test_items_may_interleave() -> None:
    events = decoded(
        start(),
        added(call(0), 0),
        added(call(1), 1),
        delta('{"b":', "function_call_arguments", 1),
        delta('{"a":1}', "function_call_arguments", 0),
        delta("2}", "function_call_arguments", 1),
        done(call(0, '{"a":1}'), 0),
        done(call(1, '{"b":2}'), 1),
        end(),
    )
    assert fold(events).blocks == (ToolUse("c0", "f", '{"a":1}'), ToolUse("c1", "f", '{"b":2}'))
    assert fold(events).stop == "tool"


def test_equal_ids_are_told_apart_and_missing_ones_made() -> None:
    bare = {"type": "function_call", "name": "f", "arguments": "{}"}
    calls = fold(decoded(start(), done(call(0), 0), done(call(0), 1), done(bare, 2), end()))
    ids = [c.id for c in calls.tool_calls]
    assert ids == ["c0", "c0_1", "call_resp_1_2"]


def test_arguments_whose_call_has_no_name_are_a_hole() -> None:
    with pytest.raises(UpstreamBroken, match="without a name"):
        decoded(start(), delta("{}", "function_call_arguments"), end())


def test_a_name_may_come_last() -> None:
    late = decoded(start(), delta("{", "function_call_arguments"), done(call(0, '{"a":1}')), end())
    assert fold(late).blocks == (ToolUse("c0", "f", '{"a":1}'),)


def test_a_piece_that_cannot_be_read_is_a_hole() -> None:
    decoder = ResponsesDecoder()
    with pytest.raises(UpstreamBroken, match="cannot be read"):
        decoder.feed(sse(start(), {"type": "response.output_text.delta", "delta": 5}))
    assert len(decoder.read) == 1
    decoder = ResponsesDecoder()
    assert not decoder.feed(sse({"type": "response.invented.delta", "delta": 5}))


def test_summary_and_plain_reasoning_are_not_said_twice() -> None:
    both = {
        "type": "reasoning",
        "id": "rs",
        "summary": [{"type": "summary_text", "text": "Sum."}],
        "content": [{"type": "reasoning_text", "text": "Long."}],
    }
    streamed = decoded(
        start(),
        delta("Sum.", "reasoning_summary_text"),
        delta("Long.", "reasoning_text"),
        done(both),
        end(),
    )
    assert fold(streamed).blocks == (Thinking("Sum."),)
    assert fold(decoded(start(), done(both), end())).blocks == (Thinking("Sum."),)


def test_parts_of_one_message_are_blocks_of_their_own() -> None:
    parts = [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]
    item = {"type": "message", "content": [{"type": "output_text", "text": ""}, *parts]}
    assert fold(decoded(start(), done(item), end())).blocks == (Text("a"), Refusal("b"))


def test_bad_json_is_skipped_and_counted() -> None:
    decoder = ResponsesDecoder()
    wire = sse(start()) + b"data: {\n\n" + sse(delta("Hi"), end()) + b"data: [DONE]\n\n"
    events = decoder.feed(wire)
    assert decoder.skipped == 1
    assert fold(events).text == "Hi"
    assert decoder.stop == "end"
    assert not decoder.feed(sse(delta("late")))


def test_a_long_stream_leaves_nothing_behind() -> None:
    """Only parts and calls are remembered, not what they said."""
    decoder = ResponsesDecoder()
    decoder.feed(sse(start()))
    for _ in range(2_000):
        decoder.feed(sse(delta("Hello"), delta("{", "function_call_arguments", 1)))
    assert len(decoder.read) == 1
    held = [getattr(decoder, name) for name in ResponsesDecoder.__slots__]
    assert max(len(h) for h in held if isinstance(h, dict | set | list)) == 1


def test_an_end_without_a_word_is_a_cut() -> None:
    for events in ([], [start()], [start(), delta("Hi")]):
        with pytest.raises(UpstreamBroken) as caught:
            decoded(*events)
        assert caught.value.reached


@given(st.lists(PIECES | JSON.map(lambda v: b"data: " + json.dumps(v).encode()), max_size=6))
def test_only_declared_errors_are_raised(pieces: list[bytes]) -> None:
    decoder = ResponsesDecoder()
    events: list[Event] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece + b"\n\n")
        events += decoder.end()
    except UpstreamError:
        return
    assert isinstance(events[-1], Finished)


def test_what_is_misshapen_first_and_no_json_after_that_is_skipped() -> None:
    decoder = ResponsesDecoder()
    bad = b'data: {"type":"response.output_text.delta","delta":1} trailing\n\n'
    assert decoder.feed(bad) == []
    assert decoder.skipped == 1


def test_a_call_without_a_name_is_a_hole() -> None:
    with pytest.raises(UpstreamBroken, match="without a name"):
        decoded(start(), done({**call(0, "{}"), "name": ""}, 0), end())
