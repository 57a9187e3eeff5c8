"""The standard's own examples, and what providers send."""

import pytest

from octoplex.dialects.sse import events

CASES = [
    (b'data: {"a":1}\n\n', [("", b'{"a":1}')]),
    (b'data: 1\n\ndata: 2\n\n', [("", b"1"), ("", b"2")]),
    (b"event: ping\ndata: {}\n\n", [("ping", b"{}")]),
    (b"data: {}\nevent: late\n\n", [("late", b"{}")]),
    (b"data:tight\n\n", [("", b"tight")]),
    (b"data:  two\n\n", [("", b" two")]),
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("", b"YHOO\n+2\n10")]),
    (b": a comment\n\n", []),
    (b": comment\ndata: x\n\n", [("", b"x")]),
    (b"data: crlf\r\n\r\ndata: more\r\n\r\n", [("", b"crlf"), ("", b"more")]),
    (b"data: cr\r\rdata: more\r\r", [("", b"cr"), ("", b"more")]),
    (b"\xef\xbb\xbfdata: bom\n\n", [("", b"bom")]),
    (b"data\n\n", [("", b"")]),
    (b"data\ndata\n\n", [("", b"\n")]),
    (b"event: alone\n\n", []),
    (b"id: 1\nretry: 5\ndata: x\n\n", [("", b"x")]),
    (b"data: unclosed", [("", b"unclosed")]),
    (b"\n\n\ndata: x\n\n\n\n", [("", b"x")]),
    (b"event: a\nevent: b\ndata: x\n\n", [("b", b"x")]),
    (b"nonsense: x\ndata: y\n\n", [("", b"y")]),
    (b"xdata: y\n\n", []),
    (b"", []),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "expected"), CASES)
def test_events(wire: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert events(wire) == expected


@pytest.mark.parametrize(("wire", "expected"), CASES)
def test_an_odd_event_behind_usual_ones(wire: bytes, expected: list[tuple[str, bytes]]) -> None:
    usual = b"event: one\ndata: 1\n\ndata: 2\n\n"
    assert events(usual + wire) == [("one", b"1"), ("", b"2"), *expected]
