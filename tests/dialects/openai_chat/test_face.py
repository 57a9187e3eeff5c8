"""The face at its edges: heads, odd event orders, errors."""

import msgspec
import pytest

from octoplex.dialects.openai_chat import OpenAIChat, OpenAIChatFace
from octoplex.dialects.openai_chat.face import wants_usage
from octoplex.dialects.verbatim import split
from octoplex.wire import error as errors
from octoplex.wire.event import Event, Finished, Started, TextDelta, ToolDelta, ToolStart, Usage
from tests.dialects.grammar.openai_chat import check
from tests.dialects.test_transcripts import call_of

FACE = OpenAIChatFace(now=lambda: 1.0)
ASK = b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}'
END = Finished(stop="end", usage=Usage(1, 1))


def written(*events: Event) -> bytes:
    wire = FACE.encoder(call_of(FACE, ASK)).feed(events)
    check(wire)
    return wire


def test_a_stream_without_a_start_gets_one() -> None:
    assert b'"id":"chatcmpl-req-1"' in written(TextDelta("a"), END)
    assert b'"id":"chatcmpl-req-1"' in written(Started("", ""), END)
    assert b"chatcmpl-req-1" in written(END)


def test_nothing_follows_the_end() -> None:
    encoder = FACE.encoder(call_of(FACE, ASK))
    wire = encoder.feed([Started("a", "m"), END])
    assert encoder.feed([TextDelta("late"), END]) == b""
    check(wire)
    broken = FACE.encoder(call_of(FACE, ASK))
    failed = broken.fail(errors.Stopping("shutting down"))
    assert broken.feed([TextDelta("late")]) == b""
    check(failed)


def test_arguments_of_no_call_are_not_written() -> None:
    assert b"tool_calls" not in written(Started("a", "m"), ToolDelta("{}", 3), END)


def test_a_second_start_is_one_too_many() -> None:
    assert written(Started("a", "m"), Started("b", "m"), END).count(b'"role"') == 1


def test_two_calls_count_from_zero_whatever_their_blocks() -> None:
    wire = written(
        Started("a", "m"), ToolStart("x", "f", 4), ToolStart("y", "g", 9), ToolDelta("1", 9), END
    )
    assert b'"index":1,"id":"y"' in wire


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (b'{"include_usage":true}', True),
        (b'{"include_usage":false}', False),
        (b"{}", False),
        (b"null", False),
        (b"7", False),
        (b'{"include_usage":"yes"}', False),
    ],
)
def test_wants_usage(options: bytes, wanted: bool) -> None:
    assert wants_usage({"stream_options": msgspec.Raw(options)}) is wanted
    assert not wants_usage({})


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (b"", None),
        (b',"max_tokens":7', 7),
        (b',"max_completion_tokens":7', 7),
        (b',"max_completion_tokens":1,"max_tokens":100000', 100_000),
        (b',"max_tokens":1,"max_completion_tokens":100000', 100_000),
        (b',"max_completion_tokens":null,"max_tokens":9', 9),
    ],
)
def test_of_two_limits_the_larger_is_reserved(limits: bytes, most: int | None) -> None:
    """Both go upstream, and a server may know either."""
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}]%b}' % limits
    assert call_of(FACE, body).worst_case().output_tokens == most


@pytest.mark.parametrize(
    ("content", "may"),
    [
        (b'"plain"', False),
        (b'[{"type":"image_url","image_url":{"url":"x"}}]', True),
        (b'[{"type": "input_audio", "input_audio": {}}]', True),
        (b'[{"type":"file","file":{}}]', True),
        (b'"say \\"image_url\\" aloud"', False),
    ],
)
def test_media_is_suspected_by_its_bytes(content: bytes, may: bool) -> None:
    turn = b'{"role":"user","content":%b}' % content
    called = b'{"role":"assistant","content":null,"tool_calls":[{"id":"call_1"}]}'
    for turns in (turn, b"%b,%b" % (called, turn), b"%b,%b" % (turn, called)):
        body = b'{"model":"m","messages":[%b]}' % turns
        assert FACE.read_head(split(body)).may_hold_media is may


@pytest.mark.parametrize(
    ("turn", "may"),
    [
        (b'{"role":"assistant","reasoning_details":null,"tool_calls":[]}', False),
        (b'{"role":"assistant","reasoning_details":[{"data":"octoplex:x"}]}', True),
        (b'{"role":"tool","tool_call_id":"c__gemini_sig__QUJD","content":["x"]}', True),
        (b'{"role":"user","content":["not a part"]}', False),
        (b'{"role":"user","content":[{"type":"text","text":"x"}],"n":[]}', False),
        (b'{"role":"user","content":7,"n":[]}', False),
    ],
)
def test_what_must_be_looked_at_is_suspected(turn: bytes, may: bool) -> None:
    body = b'{"model":"m","messages":[%b]}' % turn
    assert FACE.read_head(split(body)).may_hold_media is may


def test_a_body_that_is_not_utf8_is_the_callers_fault() -> None:
    bodies = [
        b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"\xff","messages":[{"role":"user","content":"x"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"stop":"\xff"}',
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"\xff"}]}',
        b'{"model":"m","messages":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ]
    for body in bodies:
        with pytest.raises(errors.InvalidCall):
            call_of(FACE, body).chat()


def test_a_providers_verdict_keeps_its_words() -> None:
    body = b'{"error":{"message":"bad top_p","type":"invalid_request_error","param":"top_p",'
    body += b'"code":"decimal_above_max_value"}}'
    error = OpenAIChat().decode_error(400, {}, body)
    shown = msgspec.json.decode(FACE.encode_error(error, "r"))["error"]
    assert shown["message"] == "bad top_p"
    assert shown["type"] == "invalid_request_error"
    assert shown["param"] == "top_p"
    assert shown["code"] == "decimal_above_max_value"


def test_the_wait_is_told() -> None:
    shown = msgspec.json.decode(FACE.encode_error(errors.TooFast("x", retry_after_s=1.5), "r"))
    assert shown["error"]["octoplex"]["retry_after_ms"] == 1500
