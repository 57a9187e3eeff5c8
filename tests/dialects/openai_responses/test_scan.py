"""The scanner: what it sees, what it keeps back, and that it never raises."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects.openai_responses.scan import ResponsesScanner
from octoplex.wire.error import UpstreamBusy, UpstreamFailed
from tests.dialects.openai_responses.wires import added, delta, done, end, sse, start

START, TEXT, END = sse(start()), sse(delta("Hello")), sse(end())
MESSAGE = sse(added({"type": "message", "id": "m", "content": []}))
ERROR = sse({"type": "error", "code": "server_error", "message": "broken", "param": None})


def scanned(*pieces: bytes) -> tuple[ResponsesScanner, bytes]:
    scanner = ResponsesScanner()
    return scanner, b"".join([scanner.feed(piece) for piece in pieces])


def test_content_begins_with_content() -> None:
    thinking = sse(added({"type": "reasoning", "id": "r", "summary": []}))
    scanner, _ = scanned(b": ping\n\n", START, MESSAGE, thinking, sse(delta("")))
    assert not scanner.content
    assert scanner.model == "gpt-5"
    scanner.feed(TEXT)
    assert scanner.content
    assert scanner.received == 5


@pytest.mark.parametrize(
    "event",
    [
        delta("hm", "reasoning_summary_text"),
        delta("hm", "reasoning_text"),
        delta("no", "refusal"),
        delta("{", "function_call_arguments"),
        delta("x", "custom_tool_call_input"),
        added({"type": "function_call", "id": "f", "name": "f", "call_id": "c", "arguments": ""}),
        added({"type": "web_search_call", "id": "w", "status": "in_progress"}),
        done({"type": "message", "id": "m", "content": [{"type": "output_text", "text": "x"}]}),
        end("incomplete", incomplete_details={"reason": "max_output_tokens"}),
    ],
    ids=lambda e: e["type"],
)
def test_all_kinds_of_content_are_seen(event: dict[str, Any]) -> None:
    assert scanned(START, sse(event))[0].content


def test_the_end_says_all() -> None:
    called = end(output=[{"type": "reasoning"}, {"type": "function_call", "arguments": "{}"}])
    scanner, _ = scanned(START, TEXT, sse(called))
    assert (scanner.stop, scanner.ended) == ("tool", True)
    assert scanner.usage is not None
    assert scanner.usage.output_tokens == 2
    why = {"reason": "content_filter"}
    assert scanned(sse(end("incomplete", incomplete_details=why)))[0].stop == "refusal"


def test_bytes_pass_as_the_same_object() -> None:
    scanner = ResponsesScanner()
    for piece in (START, TEXT, MESSAGE + TEXT + TEXT, b": hi\n\n", TEXT + END):
        assert scanner.feed(piece) is piece


def test_a_bad_event_is_cut_out_and_counted() -> None:
    bad = [
        b'event: response.output_text.delta\ndata: {"type":\n\n',
        b'event: response.output_text.delta\ndata: {"delta":NaN}\n\n',
        b'event: response.output_text.delta\ndata: {"delta":"\xff"}\n\n',
        b'event: response.created\ndata: {"x":"\xff"}\n\n',
        b"data: nonsense\n\n",
    ]
    for one in bad:
        for pieces in ([START, one, TEXT], [START + one + TEXT], [one], [one + one]):
            scanner, passed = scanned(*pieces)
            assert passed == b"".join(pieces).replace(one, b""), one
            assert scanner.skipped == b"".join(pieces).count(one)
            assert scanner.error is None


def test_unknown_shapes_pass() -> None:
    odd = [
        sse({"type": "response.invented", "item": 7}),
        sse({"type": "response.output_text.delta", "delta": 5}),
        sse({"type": "response.created", "response": []}),
        sse({"type": "response.mcp_call_arguments.delta", "delta": {"a": 1}}),
        b"data: [1, 2]\n\n",
        b"data: [DONE]\n\n",
    ]
    for one in odd:
        assert scanned(one)[1] is one
        assert scanned(START + one)[1] == START + one


@pytest.mark.parametrize("at_once", [True, False])
def test_an_error_event_is_kept_back_with_all_after_it(at_once: bool) -> None:
    events = [START, TEXT, ERROR, sse({"type": "response.failed", "response": {}}), TEXT, END]
    scanner, passed = scanned(*([b"".join(events)] if at_once else events))
    assert passed == START + TEXT
    assert isinstance(scanner.error, UpstreamFailed)
    assert scanner.stop is None


def test_a_failed_response_says_why() -> None:
    error = {"code": "rate_limit_exceeded", "message": "Slow down."}
    scanner, passed = scanned(sse({"type": "response.failed", "response": {"error": error}}))
    assert isinstance(scanner.error, UpstreamBusy)
    assert passed == b""


@pytest.mark.parametrize("at_once", [True, False])
def test_nothing_passes_after_the_end(at_once: bool) -> None:
    events = [START, TEXT, END, TEXT, ERROR]
    scanner, passed = scanned(*([b"".join(events)] if at_once else events))
    assert passed == START + TEXT + END
    assert scanner.skipped == 2
    assert scanner.error is None


def test_an_end_of_odd_shape_is_an_end() -> None:
    scanner, _ = scanned(START, TEXT, sse({"type": "response.completed", "response": [1]}))
    assert (scanner.stop, scanner.ended, scanner.usage) == ("end", True, None)


def test_crlf_streams_pass() -> None:
    crlf = (START + TEXT + END).replace(b"\n", b"\r\n")
    scanner, passed = scanned(crlf)
    assert passed is crlf
    assert scanner.stop == "end"
    assert scanner.received == 5


PIECES = st.binary(max_size=40) | st.sampled_from([START, TEXT, MESSAGE, END, ERROR])


@given(st.lists(PIECES, max_size=6))
def test_it_never_raises(pieces: list[bytes]) -> None:
    scanner = ResponsesScanner()
    for piece in pieces:
        scanner.feed(piece + b"\n\n")


WORDS = st.sampled_from(
    [
        *("type", "delta", "text", "item", "response", "output", "usage", "error", "status"),
        *("content", "summary", "arguments", "name", "call_id", "output_index", "model", "code"),
    ]
)
KINDS = st.sampled_from(
    [
        *("response.completed", "response.failed", "response.output_text.delta", "error"),
        *("response.output_item.added", "response.output_item.done", "message", "reasoning"),
        *("response.reasoning_summary_text.delta", "response.refusal.done", "function_call"),
        "response.function_call_arguments.delta",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=12,
)


@given(JSON)
def test_any_json_passes_or_is_an_error(value: Any) -> None:
    wire = b"data: " + json.dumps(value).encode() + b"\n\n"
    scanner, passed = scanned(wire)
    assert passed == wire or scanner.error is not None
    assert scanner.skipped == 0
