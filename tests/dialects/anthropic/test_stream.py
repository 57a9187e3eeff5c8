"""The decoder: what servers of this dialect do to a stream, and what comes of it."""

import json

import pytest

from octoplex.dialects.anthropic import Anthropic
from octoplex.wire.error import UpstreamBroken, UpstreamBusy, UpstreamError, UpstreamOverloaded
from octoplex.wire.event import (
    Event,
    Finished,
    Reply,
    Started,
    TextDelta,
    Thinking,
    ToolStart,
    ToolUse,
    Usage,
    fold,
)
from tests.dialects.anthropic.wires import (
    PING,
    STOP,
    TEXT,
    begin,
    close,
    delta,
    end,
    sse,
    start,
    text,
)

PLAIN = sse(start(), TEXT, PING, text("Hel"), text("lo"), close(0), end(), STOP)
USAGE = Usage(input_tokens=25, output_tokens=15)


def events(*wires: bytes) -> list[Event]:
    decoder = Anthropic().decoder()
    return [e for wire in wires for e in decoder.feed(wire)] + [*decoder.end()]


def folded(*wires: bytes) -> Reply:
    return fold(events(*wires))


@pytest.mark.parametrize(
    "wire",
    [
        PLAIN,
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.replace(b"\n", b"\r"),
        PLAIN.replace(b"data: ", b"data:").replace(b"event: ", b"event:"),
        b"\xef\xbb\xbf" + PLAIN,
        b": hello\n\n"
        + PLAIN.replace(b"event: ping", b": a comment\nevent: ping\nid: 7\nretry: 3"),
        PLAIN.rstrip(b"\n"),
        PLAIN.replace(b'", "index', b'",\ndata: "index'),
        PLAIN.replace(b"event: content_block_delta\n", b""),
        PLAIN + sse(text("late")) + b"data: [DONE]\n\n",
    ],
    ids=[
        "plain",
        "crlf",
        "cr",
        "no-space",
        "bom",
        "comments",
        "no-last-blank",
        "multi-line",
        "no-names",
        "after-end",
    ],
)
def test_sse_in_every_dress_says_the_same(wire: bytes) -> None:
    reply = folded(wire)
    assert (reply.text, reply.stop, reply.usage) == ("Hello", "end", USAGE)


def test_a_missing_message_stop_is_supplied_at_the_end() -> None:
    assert folded(PLAIN.removesuffix(sse(STOP))).stop == "end"


def test_finished_comes_once() -> None:
    assert [type(e) for e in events(PLAIN, sse(STOP))].count(Finished) == 1


@pytest.mark.parametrize("cut", [sse(start(), TEXT, text("He")), sse(start(), TEXT, STOP), b""])
def test_a_stream_without_a_stop_reason_failed(cut: bytes) -> None:
    with pytest.raises(UpstreamBroken) as caught:
        events(cut)
    assert caught.value.reached


def test_an_event_that_is_no_json_is_skipped_and_counted() -> None:
    decoder = Anthropic().decoder()
    found = [*decoder.feed(sse(start(), TEXT) + b"event: x\ndata: {oh\n\n" + sse(text("a"), end()))]
    assert [type(e) for e in [*found, *decoder.end()]] == [Started, TextDelta, Finished]
    assert getattr(decoder, "skipped") == 1  # noqa: B009


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, UpstreamOverloaded),
        ({"type": "rate_limit_error", "message": "slow"}, UpstreamBusy),
        ({"type": "never_heard_of", "message": "?"}, UpstreamError),
        ("words", UpstreamError),
    ],
)
def test_an_error_event_is_raised(error: object, kind: type[UpstreamError]) -> None:
    body = json.dumps({"type": "error", "error": error})
    with pytest.raises(kind) as caught:
        events(sse(start()) + f"event: error\ndata: {body}\n\n".encode())
    assert caught.value.reached


def test_an_error_without_an_event_name_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        events(b'data: {"error": {"message": "no", "code": 500}}\n\n')


def tool(*pieces: str, start_input: object = None, closes: bool = True) -> bytes:
    block = begin(0, type="tool_use", id="toolu_1", name="f", input=start_input or {})
    deltas = [delta(0, type="input_json_delta", partial_json=p) for p in pieces]
    stops = [close(0)] if closes else []
    return sse(start(), block, *deltas, *stops, end("tool_use"), STOP)


@pytest.mark.parametrize(
    ("wire", "arguments"),
    [
        (tool(), "{}"),
        (tool(""), "{}"),
        (tool(closes=False), "{}"),
        (tool('{"a"', ": 1}"), '{"a": 1}'),
        (tool(start_input={"a": 1}), '{"a": 1}'),
        (tool('{"a"', start_input={"b": 1}), '{"a"'),
    ],
)
def test_arguments_wherever_they_come(wire: bytes, arguments: str) -> None:
    assert folded(wire).blocks == (ToolUse("toolu_1", "f", arguments),)


def test_usage_missing_is_estimated() -> None:
    message = start()
    message["message"]["usage"] = None
    ending = end() | {"usage": None}
    assert folded(sse(message, ending, STOP)).usage.estimated


def test_usage_at_the_end_alone_counts() -> None:
    message = start()
    del message["message"]["usage"]
    ending = end(input_tokens=7, output_tokens=2, cache_read_input_tokens=3)
    usage = folded(sse(message, ending, STOP)).usage
    assert usage == Usage(input_tokens=10, output_tokens=2, cached_tokens=3)


def test_zeros_at_the_end_do_not_unsay_the_input() -> None:
    ending = end(input_tokens=0, cache_read_input_tokens=0, output_tokens=9)
    first = start(input_tokens=5, cache_read_input_tokens=6, output_tokens=1)
    usage = folded(sse(first, ending, STOP)).usage
    assert usage == Usage(input_tokens=11, output_tokens=9, cached_tokens=6)


def test_usage_said_twice_counts_once() -> None:
    wire = sse(start(), end(None, output_tokens=5), end(output_tokens=9), STOP)
    assert folded(wire).usage == Usage(input_tokens=25, output_tokens=9)


@pytest.mark.parametrize("nonsense", [{"input_tokens": "many"}, [1], 3, {"output_tokens": -4}])
def test_usage_that_is_nonsense_breaks_nothing(nonsense: object) -> None:
    message, ending = start(), end()
    message["message"]["usage"] = nonsense
    ending["usage"] = nonsense
    reply = folded(sse(message, TEXT, text("ok"), ending, STOP))
    assert reply.text == "ok"
    assert reply.usage.output_tokens == 0


def test_thinking_without_text_keeps_its_signature() -> None:
    block = begin(0, type="thinking", thinking="", signature="")
    signed = delta(0, type="signature_delta", signature="c2ln")
    assert folded(sse(start(), block, signed, close(0), end(), STOP)).blocks == (
        Thinking("", "c2ln"),
    )


def test_blocks_of_unknown_shape_are_read_over() -> None:
    odd = begin(0, type="holograph", text={"deep": [1]}, id=7)
    wire = sse(start(), odd, delta(0, type="light_delta", text="x"), close(0), end(), STOP)
    assert folded(wire).blocks == ()


def test_a_head_full_of_nulls_still_starts() -> None:
    message = start()
    message["message"] |= {"id": None, "model": None, "type": None}
    assert events(sse(message, end(), STOP))[0] == Started(
        "", "", Usage(input_tokens=25, output_tokens=1)
    )


def test_deltas_of_a_call_that_never_began_are_ignored() -> None:
    wire = sse(start(), delta(3, type="input_json_delta", partial_json="{}"), end(), STOP)
    assert not any(isinstance(e, ToolStart) for e in events(wire))


def call(index: int, id_: object, name: object = "f") -> bytes:
    return sse(begin(index, type="tool_use", id=id_, name=name, input={}), close(index))


def test_equal_ids_are_told_apart_and_missing_ones_made() -> None:
    wire = sse(start()) + call(0, "a") + call(1, "a") + call(2, None) + sse(end(), STOP)
    ids = [use.id for use in fold(events(wire)).tool_calls]
    assert ids[0] == "a"
    assert len(set(ids)) == 3
    assert all(ids)


@pytest.mark.parametrize("name", ["", None])
def test_a_call_without_a_name_is_a_hole(name: object) -> None:
    with pytest.raises(UpstreamBroken, match="without a name"):
        events(sse(start()) + call(0, "a", name) + sse(end(), STOP))


def test_two_calls_in_one_block_are_a_hole() -> None:
    with pytest.raises(UpstreamBroken, match="one block"):
        events(sse(start()) + call(0, "a") + call(0, "b") + sse(end(), STOP))
