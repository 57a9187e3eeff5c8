"""The encoder: events in any order become a stream of this grammar."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects.anthropic import Anthropic
from octoplex.wire.error import UpstreamBroken, UpstreamOverloaded
from octoplex.wire.event import (
    NO_USAGE,
    Event,
    Finished,
    RedactedThinking,
    RefusalDelta,
    Reply,
    Started,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    ToolUse,
    Usage,
    fold,
)
from tests.dialects.anthropic.wires import FACE, call
from tests.dialects.grammar.anthropic import check

BEGIN = Started("msg_1", "gpt-5-mini")


def done(stop: StopReason = "end", usage: Usage = NO_USAGE) -> Finished:
    return Finished(stop=stop, usage=usage)


def written(*events: Event, arguments_valid: bool = True) -> bytes:
    """What the encoder writes, the same however the events are dealt out."""
    encoder, at_once = FACE.encoder(call(stream=True)), FACE.encoder(call(stream=True))
    wire = b"".join([encoder.feed([event]) for event in events])
    assert at_once.feed(events) == wire
    check(wire, arguments_valid=arguments_valid)
    return wire


def read(wire: bytes) -> Reply:
    decoder = Anthropic().decoder()
    return fold([*decoder.feed(wire), *decoder.end()])


def said(wire: bytes, type_: str) -> list[dict[str, Any]]:
    found = [json.loads(x[6:]) for x in wire.splitlines() if x.startswith(b"data: ")]
    return [e for e in found if e["type"] == type_]


def test_interleaved_tool_calls_are_put_in_line() -> None:
    wire = written(
        BEGIN,
        ToolStart("a", "f", 0),
        ToolDelta('{"x"', 0),
        ToolStart("b", "g", 1),
        ToolDelta('{"y"', 1),
        ToolDelta(": 1}", 0),
        ToolDelta(": 2}", 1),
        done("tool"),
    )
    assert read(wire).blocks == (ToolUse("a", "f", '{"x": 1}'), ToolUse("b", "g", '{"y": 2}'))


def test_a_finished_call_makes_room_at_once() -> None:
    encoder = FACE.encoder(call(stream=True))
    encoder.feed([BEGIN, ToolStart("a", "f", 0), ToolDelta('{"x": 1}', 0)])
    assert b'"content_block_stop"' in encoder.feed([ToolStart("b", "g", 1)])
    assert b'"input_json_delta"' in encoder.feed([ToolDelta('{"y"', 1)])


def test_an_unfinished_call_streams_while_the_next_waits() -> None:
    encoder = FACE.encoder(call(stream=True))
    encoder.feed([BEGIN, ToolStart("a", "f", 0), ToolDelta('{"x"', 0)])
    assert encoder.feed([ToolStart("b", "g", 1), ToolDelta("{}", 1)]) == b""
    assert b'"partial_json":": 1}"' in encoder.feed([ToolDelta(": 1}", 0)])


def test_text_between_pieces_of_a_call_waits() -> None:
    wire = written(
        BEGIN,
        TextDelta("Hm. ", 0),
        ToolStart("a", "f", 1),
        ToolDelta('{"x"', 1),
        TextDelta("So.", 0),
        ToolDelta(": 1}", 1),
        done("tool"),
    )
    assert read(wire).blocks == (Text("Hm. "), ToolUse("a", "f", '{"x": 1}'), Text("So."))


@pytest.mark.parametrize("pieces", [[], [""], ["", ""], ["  "]])
def test_no_arguments_become_an_empty_object(pieces: list[str]) -> None:
    deltas = [ToolDelta(p, 0) for p in pieces]
    wire = written(BEGIN, ToolStart("a", "f", 0), *deltas, done("tool"))
    assert json.loads(read(wire).tool_calls[0].arguments) == {}


def test_arguments_that_are_no_json_pass_as_the_model_wrote_them() -> None:
    wire = written(
        BEGIN,
        ToolStart("a", "f", 0),
        ToolDelta('{"x": nope', 0),
        ToolStart("b", "g", 1),
        done("tool"),
        arguments_valid=False,
    )
    assert [c.arguments for c in read(wire).tool_calls] == ['{"x": nope', "{}"]


def test_ids_are_clean_unique_and_stable() -> None:
    starts = [ToolStart(id_, "f", n) for n, id_ in enumerate(["functions.f:0", "", "a", "a", ""])]
    first, again = written(BEGIN, *starts, done("tool")), written(BEGIN, *starts, done("tool"))
    ids = [c.id for c in read(first).tool_calls]
    assert len(set(ids)) == 5
    assert ids[2] == "a"
    assert first == again


def test_a_call_ends_as_a_call() -> None:
    wire = written(BEGIN, ToolStart("a", "f", 0), done("end"))
    assert said(wire, "message_delta")[0]["delta"]["stop_reason"] == "tool_use"


def test_thinking_carries_its_signature_whole_and_last() -> None:
    wire = written(
        BEGIN,
        ThinkingDelta("a", 0),
        ThinkingDelta("b", 0, "si"),
        ThinkingDelta("", 0, "gn"),
        RedactedThinking("x", 1),
        RedactedThinking("y", 2),
        TextDelta("t", 3),
        done(),
    )
    blocks = (Thinking("ab", "sign"), Thinking(data="x"), Thinking(data="y"), Text("t"))
    assert read(wire).blocks == blocks
    deltas = [e["delta"] for e in said(wire, "content_block_delta")]
    assert [d["signature"] for d in deltas if d["type"] == "signature_delta"] == ["sign"]


def test_a_refusal_is_text() -> None:
    wire = written(BEGIN, RefusalDelta("I ", 0), RefusalDelta("won't.", 0), done("refusal"))
    assert read(wire).blocks == (Text("I won't."),)


def test_empty_pieces_open_nothing() -> None:
    wire = written(BEGIN, TextDelta("", 0), ThinkingDelta("", 1), ToolDelta("{}", 9), done())
    assert said(wire, "content_block_start") == []


def test_the_start_holds_the_input_as_it_is_estimated() -> None:
    """`pains.md` row 13: a client shows what stands there while the stream runs."""
    expected = call(stream=True).worst_case().input_tokens
    assert expected > 0
    wire = written(BEGIN, done(usage=Usage(input_tokens=9, output_tokens=1)))
    first = said(wire, "message_start")[0]["message"]["usage"]
    assert (first["input_tokens"], first["output_tokens"]) == (expected, 0)
    last = said(wire, "message_delta")[0]["usage"]
    assert (last["input_tokens"], last["output_tokens"]) == (9, 1)


def test_usage_leaves_the_cache_out_of_the_input() -> None:
    usage = Usage(
        input_tokens=100,
        output_tokens=7,
        cached_tokens=60,
        cache_write_tokens=30,
        cache_write_1h_tokens=10,
        reasoning_tokens=3,
    )
    wire = written(Started("m", "m", usage), done(usage=usage))
    assert said(wire, "message_delta")[0]["usage"] == {
        "input_tokens": 10,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
    }
    assert said(wire, "message_start")[0]["message"]["usage"]["input_tokens"] == 10
    assert read(wire).usage == usage


def test_what_the_provider_leaves_out_is_the_requests() -> None:
    message = said(written(TextDelta("x"), done()), "message_start")[0]["message"]
    assert (message["id"], message["model"]) == ("req-1", "claude-opus-4-6")


@pytest.mark.parametrize("opened", [True, False])
def test_a_failure_ends_it(opened: bool) -> None:
    encoder = FACE.encoder(call(stream=True))
    wire = encoder.feed([BEGIN, TextDelta("Hel"), ToolStart("a", "f", 1)]) if opened else b""
    wire += encoder.fail(UpstreamOverloaded("The provider is overloaded."))
    assert encoder.feed([TextDelta("lo"), done()]) == b""
    check(wire)
    error = said(wire, "error")[0]
    assert error["error"]["type"] == "overloaded_error"
    assert error["request_id"] == "req-1"
    assert b"message_stop" not in wire


def test_a_verbatim_stream_fails_in_the_same_words() -> None:
    error = UpstreamBroken("It broke off.")
    assert FACE.fail_event(error, "req-1") == FACE.encoder(call()).fail(error)


indices = st.integers(0, 3)
words = st.text(max_size=3)
deltas = st.one_of(
    st.builds(TextDelta, words, indices),
    st.builds(RefusalDelta, words, indices),
    st.builds(ThinkingDelta, words, indices, words),
    st.builds(RedactedThinking, words, indices),
    st.builds(ToolStart, words, words.filter(bool), indices),
    st.builds(ToolDelta, st.sampled_from(["", "{}", '{"a"', ":1}", "nope"]), indices),
)


@given(st.lists(deltas, max_size=12))
def test_any_events_at_all_give_a_grammatical_stream(events: list[Event]) -> None:
    wire = written(BEGIN, *events, done("tool"), arguments_valid=False)
    texts = "".join(e.text for e in events if isinstance(e, TextDelta | RefusalDelta))
    assert sorted(read(wire).text) == sorted(texts)
