"""The scanner: what passes untouched, what is kept back, what is learned."""

import json
from collections import deque
from typing import Any

import pytest

from octoplex.dialects.gemini.scan import GeminiScanner
from octoplex.dialects.gemini.stream import GeminiDecoder
from octoplex.wire.error import UpstreamFailed, UpstreamOverloaded
from octoplex.wire.event import Usage


def chunk(*parts: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    if finish:
        candidate["finishReason"] = finish
    reply = {"candidates": [candidate], "modelVersion": "gemini-2.5-flash", **more}
    return b"data: " + json.dumps(reply, ensure_ascii=False).encode() + b"\n\n"


def usage(read: int, wrote: int) -> dict[str, int]:
    return {
        "promptTokenCount": read,
        "candidatesTokenCount": wrote,
        "totalTokenCount": read + wrote,
    }


HELLO = chunk({"text": "Hel"}, usageMetadata=usage(25, 1))
END = chunk({"text": "lo é"}, finish="STOP", usageMetadata=usage(25, 15))
ERROR = b'data: {"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}\n\n'


@pytest.mark.parametrize("pieces", [[HELLO, END], [HELLO + END]])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_good_events_pass_as_the_same_object(pieces: list[bytes], line_end: bytes) -> None:
    scanner = GeminiScanner()
    for piece in pieces:
        wire = piece.replace(b"\n", line_end)
        assert scanner.feed(wire) is wire
    assert scanner.usage == Usage(input_tokens=25, output_tokens=15)
    assert (scanner.stop, scanner.model, scanner.ended) == ("end", "gemini-2.5-flash", False)
    assert (scanner.skipped, scanner.received) == (0, 7)


@pytest.mark.parametrize(
    "bad",
    [
        b"data: {oh no\n\n",
        b'data: {"x":"\xff"}\n\n',
        b'data: {"candidates":[{"content":{"parts":[{"text":"\xff"}]}}]}\n\n',
        b"data: \n\n",
        b'data: {"a": NaN}\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
    ids=["cut", "not-utf8-unread", "not-utf8", "empty", "nan", "deep"],
)
def test_an_event_that_is_no_json_is_dropped_and_counted(bad: bytes) -> None:
    scanner = GeminiScanner()
    assert scanner.feed(HELLO + bad + END) == HELLO + END
    assert (scanner.skipped, scanner.stop, scanner.error) == (1, "end", None)


def test_comments_do_not_reach_the_caller() -> None:
    """Google's Python package takes them for JSON."""
    scanner = GeminiScanner()
    assert scanner.feed(b": keep-alive\n\n") == b""
    assert scanner.feed(HELLO + b": keep-alive\n\n" + END) == HELLO + END


BARE = b'{\n  "error": {\n    "code": 503,\n    "message": "Overloaded"\n  }\n}\n\n'


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("bare", [BARE, b"[" + BARE.strip() + b"]\n\n"], ids=["object", "array"])
def test_a_bare_error_between_events_is_one_wherever_the_reads_were_cut(
    bare: bytes, line_end: bytes
) -> None:
    pieces = [piece.replace(b"\n", line_end) for piece in (HELLO, bare, END)]
    once, each = GeminiScanner(), GeminiScanner()
    assert once.feed(b"".join(pieces)) == HELLO
    assert b"".join(map(each.feed, pieces)).replace(b"\r\n", b"\n") == HELLO
    assert isinstance(once.error, UpstreamOverloaded)
    assert isinstance(each.error, UpstreamOverloaded)
    for feeds in ([b"".join(pieces)], pieces):
        decoder = GeminiDecoder()
        with pytest.raises(UpstreamOverloaded):
            deque(map(decoder.feed, feeds))


def test_bare_json_that_is_no_error_is_an_event_and_ends_where_it_ends() -> None:
    bare = END.removeprefix(b"data: ")
    scanner = GeminiScanner()
    assert scanner.feed(HELLO + bare + HELLO) == HELLO + END + HELLO
    assert (scanner.stop, scanner.skipped) == ("end", 0)


def test_content_begins_with_content() -> None:
    scanner = GeminiScanner()
    scanner.feed(chunk(usageMetadata=usage(5, 0)))
    scanner.feed(chunk({"text": ""}))
    assert not scanner.content
    scanner.feed(HELLO)
    assert scanner.content


@pytest.mark.parametrize(
    "event",
    [
        chunk({"text": "hm", "thought": True}),
        chunk({"functionCall": {"name": "f", "args": {}}}),
        chunk({"inlineData": {"mimeType": "image/png", "data": "AA"}}),
        chunk({"executableCode": {"code": "1"}}),
        chunk(finish="SAFETY"),
        b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\n\n',
    ],
)
def test_everything_that_is_content(event: bytes) -> None:
    scanner = GeminiScanner()
    assert scanner.feed(event) is event
    assert scanner.content


@pytest.mark.parametrize("error", [ERROR, ERROR[6:], b"[" + ERROR[6:-2] + b"]\n\n"])
def test_an_error_is_kept_back_and_what_came_before_passes(error: bytes) -> None:
    scanner = GeminiScanner()
    assert scanner.feed(HELLO) == HELLO
    assert scanner.feed(error) == b""
    assert scanner.feed(END) == b""
    assert isinstance(scanner.error, UpstreamOverloaded)
    assert scanner.stop is None


def test_a_finish_reason_that_is_a_failure_is_one() -> None:
    scanner = GeminiScanner()
    assert scanner.feed(HELLO + chunk(finish="MALFORMED_FUNCTION_CALL")) == HELLO
    assert isinstance(scanner.error, UpstreamFailed)
    assert scanner.stop is None


def test_the_first_of_several_candidates_does_not_end_it() -> None:
    scanner = GeminiScanner()
    scanner.feed(chunk({"text": "a"}) + chunk({"text": "b"}, index=1))
    scanner.feed(chunk(finish="STOP"))
    assert scanner.stop is None
    scanner.feed(chunk(finish="MAX_TOKENS", index=1))
    assert scanner.stop == "length"


def test_usage_of_a_cut_stream_is_an_estimate() -> None:
    scanner = GeminiScanner()
    assert scanner.usage is None
    scanner.feed(chunk({"text": "x" * 300}, usageMetadata=usage(100, 1)))
    assert scanner.usage == Usage(input_tokens=100, output_tokens=100, estimated=True)


def test_valid_json_of_unknown_shape_passes() -> None:
    wire = b'data: {"candidates":"odd"}\n\ndata: [1, 2]\n\ndata: {"usageMetadata":[]}\n\n'
    scanner = GeminiScanner()
    assert scanner.feed(wire) is wire
    assert (scanner.skipped, scanner.error, scanner.usage) == (0, None, None)


def test_a_bare_error_behind_events_is_an_error_too() -> None:
    bare = ERROR.removeprefix(b"data: ")
    scanner = GeminiScanner()
    assert scanner.feed(HELLO + bare) == HELLO
    assert isinstance(scanner.error, UpstreamOverloaded)


def test_what_is_not_utf8_does_not_pass_whatever_it_is() -> None:
    assert GeminiScanner().feed(HELLO[:-1] + b"id: \xff\n\n") == HELLO
