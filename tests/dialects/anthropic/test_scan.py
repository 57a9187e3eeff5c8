"""The scanner: what passes untouched, what is kept back, what is learned."""

import pytest

from octoplex.dialects.anthropic.scan import AnthropicScanner
from octoplex.wire.error import UpstreamBroken, UpstreamOverloaded
from octoplex.wire.event import Usage
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

PLAIN = sse(start(), TEXT, PING, text("Hel"), text("lo é"), close(0), end(), STOP)
ERROR = sse({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})


def pieces(wire: bytes) -> list[bytes]:
    return [event + b"\n\n" for event in wire.split(b"\n\n") if event]


@pytest.mark.parametrize("whole", [True, False])
def test_good_events_pass_as_the_same_object(whole: bool) -> None:
    scanner = AnthropicScanner()
    for wire in [PLAIN] if whole else pieces(PLAIN):
        assert scanner.feed(wire) is wire
    assert scanner.usage == Usage(input_tokens=25, output_tokens=15)
    assert (scanner.stop, scanner.model, scanner.ended) == ("end", "claude-opus-4-6", True)
    assert (scanner.skipped, scanner.received) == (0, 7)


@pytest.mark.parametrize("end_of_line", [b"\r\n", b"\r"])
def test_other_line_ends_pass_too(end_of_line: bytes) -> None:
    wire = PLAIN.replace(b"\n", end_of_line)
    scanner = AnthropicScanner()
    assert scanner.feed(wire) is wire
    assert (scanner.stop, scanner.ended, scanner.received) == ("end", True, 7)


def test_data_over_several_lines_passes() -> None:
    wire = sse(start()) + sse(text("hi")).replace(b'", "index', b'",\ndata: "index')
    scanner = AnthropicScanner()
    assert scanner.feed(wire) is wire
    assert (scanner.content, scanner.received, scanner.skipped) == (True, 2, 0)


@pytest.mark.parametrize(
    "bad",
    [
        b"event: content_block_delta\ndata: {oh no\n\n",
        b'event: content_block_delta\ndata: {"type":"x","delta":{"text":"\xff"}}\n\n',
        b'event: content_block_delta\ndata: {"type":"x","other":"\xff"}\n\n',
        b"event: message_delta\ndata: \n\n",
        b"data: [DONE]\n\n",
        b'event: x\ndata: {"a": NaN}\n\n',
        b"event: x\ndata: " + b"[" * 100_000 + b"\n\n",
    ],
    ids=["cut", "not-utf8", "not-utf8-unread", "empty", "done", "nan", "deep"],
)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_an_event_that_is_no_json_is_dropped_and_counted(bad: bytes, line_end: bytes) -> None:
    before, after = sse(start(), TEXT), sse(text("hi"), end(), STOP)
    scanner = AnthropicScanner()
    passed = scanner.feed((before + bad + after).replace(b"\n", line_end))
    assert passed == before + after
    assert (scanner.skipped, scanner.stop, scanner.error) == (1, "end", None)


def test_content_begins_with_content() -> None:
    scanner = AnthropicScanner()
    for event in (start(), PING, TEXT, text(""), begin(1, type="thinking", thinking="")):
        scanner.feed(sse(event))
        assert not scanner.content
    scanner.feed(sse(text("a")))
    assert scanner.content


@pytest.mark.parametrize(
    "event",
    [
        begin(0, type="tool_use", id="t", name="f", input={}),
        begin(0, type="server_tool_use", id="t", name="web_search", input={}),
        begin(0, type="redacted_thinking", data="abc"),
        delta(0, type="thinking_delta", thinking="hm"),
        delta(0, type="signature_delta", signature="s"),
        delta(0, type="citations_delta", citation={"cited_text": "x"}),
        end("refusal"),
    ],
)
def test_everything_that_is_content(event: dict[str, object]) -> None:
    scanner = AnthropicScanner()
    scanner.feed(sse(event))
    assert scanner.content


def test_an_error_is_kept_back_and_what_came_before_passes() -> None:
    before = sse(start(), TEXT, text("Hel"))
    scanner = AnthropicScanner()
    assert scanner.feed(before + ERROR + sse(text("lo"))) == before
    assert isinstance(scanner.error, UpstreamOverloaded)
    assert scanner.stop is None


@pytest.mark.parametrize(
    "wire",
    [
        b'data: {"error": {"message": "no"}}\n\n',
        b'event: error\ndata: {"error": "no"}\n\n',
        ERROR.replace(b"\n", b"\r\n"),
    ],
)
def test_errors_in_other_dress(wire: bytes) -> None:
    scanner = AnthropicScanner()
    assert scanner.feed(wire) == b""
    assert scanner.error is not None


def test_nothing_passes_after_the_end() -> None:
    scanner = AnthropicScanner()
    assert scanner.feed(PLAIN + sse(text("late"))) == PLAIN
    assert scanner.feed(sse(text("later"))) == b""
    assert scanner.skipped == 2


def test_usage_of_a_cut_stream_is_an_estimate() -> None:
    scanner = AnthropicScanner()
    assert scanner.usage is None
    scanner.feed(sse(start(input_tokens=100, output_tokens=1), TEXT, text("x" * 300)))
    assert scanner.usage == Usage(input_tokens=100, output_tokens=100, estimated=True)


def test_valid_json_of_unknown_shape_passes() -> None:
    wire = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":"odd"}\n\n'
        b"event: new\ndata: [1, 2]\n\nevent: message_delta\ndata: 7\n\n"
        b'event: message_start\ndata: {"type":"message_start","message":[]}\n\n'
    )
    scanner = AnthropicScanner()
    assert scanner.feed(wire) is wire
    assert (scanner.skipped, scanner.error) == (0, None)


def test_comments_pass() -> None:
    wire = b": keep-alive\n\n"
    assert AnthropicScanner().feed(wire) is wire


def test_an_end_without_a_stop_reason_is_a_cut() -> None:
    scanner = AnthropicScanner()
    said = sse(start(), TEXT, text("Hel"))
    assert scanner.feed(said + sse(STOP)) == said
    assert isinstance(scanner.error, UpstreamBroken)
    assert not scanner.ended


@pytest.mark.parametrize("lead", [b": \xff\n", b"id: \xff\n", b"event: \xff\n"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_what_is_not_utf8_does_not_pass_whatever_it_is(lead: bytes, line_end: bytes) -> None:
    data = sse(text("Hel")).partition(b"\n")[2]
    passed = AnthropicScanner().feed((lead + data).replace(b"\n", line_end))
    assert passed.decode() in ("", data.decode(), "event: \ufffd\n" + data.decode())
