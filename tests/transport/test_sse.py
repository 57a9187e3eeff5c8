"""Splitting and reading server-sent events (F20, F23, F24)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.transport import Splitter, parse
from octoplex.wire.error import UpstreamBroken

BOM = b"\xef\xbb\xbf"

LINES = st.one_of(
    st.sampled_from([b"", b"data", b"data:", b"data: {}", b"data:x", b": ping", b"event: a"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n")).map(
        lambda t: b"data: " + t.encode()
    ),
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
STREAMS = st.lists(st.tuples(LINES, ENDS)).map(lambda rows: b"".join(a + b for a, b in rows))


def split(wire: bytes, cuts: list[int]) -> tuple[list[bytes], bytes]:
    splitter = Splitter()
    edges = [0, *sorted(c % (len(wire) + 1) for c in cuts), len(wire)]
    out = [splitter.feed(wire[a:b]) for a, b in pairwise(edges)]
    return out, splitter.rest()


@given(STREAMS, st.lists(st.integers(0, 10_000)))
def test_events_do_not_depend_on_how_the_bytes_came(wire: bytes, cuts: list[int]) -> None:
    out, rest = split(wire, cuts)
    assert b"".join(out) + rest == wire
    events = [event for piece in out for event in parse(piece)]
    whole, whole_rest = split(wire, [])
    assert events == parse(b"".join(whole))
    assert parse(rest) == parse(whole_rest)
    assert events + parse(rest) == parse(wire)


@given(STREAMS, st.lists(st.integers(0, 10_000)))
def test_a_byte_order_mark_goes_and_nothing_else(wire: bytes, cuts: list[int]) -> None:
    out, rest = split(BOM + wire, cuts)
    assert b"".join(out) + rest == wire


@given(STREAMS)
def test_parse_agrees_with_the_specification(wire: bytes) -> None:
    assert [e for piece in split(wire, [])[0] for e in parse(piece)] == by_the_book(wire)


def by_the_book(wire: bytes) -> list[tuple[str, bytes]]:
    """The steps of the WHATWG text, one by one."""
    events: list[tuple[str, bytes]] = []
    name, data, any_data = b"", b"", False
    lines = wire.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for line in lines[:-1]:
        if not line:
            if any_data:
                events.append((name.decode(), data[:-1]))
            name, data, any_data = b"", b"", False
        elif line.startswith(b":"):
            continue
        else:
            field, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if field == b"event":
                name = value
            elif field == b"data":
                data, any_data = data + value + b"\n", True
    return events


def test_a_read_that_ends_with_an_event_is_not_copied() -> None:
    wire = b'data: {"a": 1}\n\ndata: {"b": 2}\n\n'
    assert Splitter().feed(wire) is wire


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        (b"data: a\n\n", [("", b"a")]),
        (b"data:a\n\n", [("", b"a")]),
        (b"data:  a\n\n", [("", b" a")]),
        (b"data: a\r\n\r\n", [("", b"a")]),
        (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
        (b"data: a\ndata: b\n\n", [("", b"a\nb")]),
        (b"event: x\ndata: a\n\n", [("x", b"a")]),
        (b"data: a\nevent:x\n\n", [("x", b"a")]),
        (b": ping\n\n", []),
        (b": ping\ndata: a\n\n", [("", b"a")]),
        (b"id: 1\nretry: 5\ndata: a\n\n", [("", b"a")]),
        (b"event: x\n\n", []),
        (b"data\n\n", [("", b"")]),
        (b"data: [DONE]\n\ndata: after\n\n", [("", b"[DONE]"), ("", b"after")]),
        (BOM + b"data: a\n\n", [("", b"a")]),
        (b"\n\n\ndata: a\n\n\n\n", [("", b"a")]),
        ("data: grüße\n\n".encode(), [("", "grüße".encode())]),
    ],
)
def test_f24_variants(wire: bytes, events: list[tuple[str, bytes]]) -> None:
    assert parse(wire) == events
    for step in (1, 2, 3, len(wire)):
        splitter = Splitter()
        out = [splitter.feed(wire[i : i + step]) for i in range(0, len(wire), step)]
        assert [e for piece in out for e in parse(piece)] == events


def test_f24_a_missing_blank_line_is_the_callers_to_judge() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: a\n\ndata: b\n") == b"data: a\n\n"
    assert splitter.rest() == b"data: b\n"
    assert parse(splitter.rest()) == [("", b"b")]


@pytest.mark.parametrize("step", [10, 99, 1000, 5000])
@pytest.mark.parametrize(
    "wire",
    [
        b"data: " + b"x" * 5000 + b"\n\n",
        b"data: a\n\ndata: " + b"x" * 5000,
        b"data: xxxxxxxx\n" * 500,
        b"data: a\n\n" + b"data: xxxxxxxx\r\n" * 500,
    ],
)
def test_f23_an_event_above_the_cap_is_not_asked_for_again(wire: bytes, step: int) -> None:
    splitter = Splitter(max_event=4000)
    with pytest.raises(UpstreamBroken, match="An event is above its cap") as raised:
        list(map(splitter.feed, (wire[i : i + step] for i in range(0, len(wire), step))))
    assert raised.value.next == "target"


def test_f23_a_line_may_be_as_long_as_an_event() -> None:
    """An image in base64, or the arguments of a tool: 5 MB in one line."""
    wire = b'data: {"b64_json":"' + b"x" * 5_000_000 + b'"}\n\n'
    splitter = Splitter()
    pieces = [splitter.feed(wire[i : i + 65_536]) for i in range(0, len(wire), 65_536)]
    assert b"".join(pieces) == wire


@pytest.mark.parametrize("step", [10, 99, 1000, 5000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_f23_what_is_within_the_caps_passes(step: int, end: bytes) -> None:
    event = b"data: " + b"x" * 990 + end + (b"data: " + b"y" * 900 + end) * 3 + end
    wire = event * 20
    splitter = Splitter(max_event=4000)
    out = b"".join(splitter.feed(wire[i : i + step]) for i in range(0, len(wire), step))
    assert out == wire
