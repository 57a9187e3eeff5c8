"""Decoders that only providers feed, fed noise: declared errors, and nothing else.

Streams are those of the transcripts, cut at every byte as a network cuts them, and then
damaged: pieces lost, repeated, exchanged, bytes changed, members of any type. What a
splitter lets through reaches a decoder; a decoder alone also gets what no splitter would
let through.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from struct import pack
from typing import Any
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects import aws_events
from octoplex.dialects.dialect import Dialect
from octoplex.transport import aws_frames, ndjson, sse
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import Event, Finished
from tests.dialects.frames import frame
from tests.dialects.test_one_way import DIALECTS, FOLDERS, OWN, named
from tests.dialects.test_transcripts import ways

SPLITTERS: dict[str, Callable[[], Any]] = {
    "bedrock-converse": aws_frames.Splitter,
    "cohere-v2": sse.Splitter,
    "ollama": ndjson.Splitter,
    "oci": sse.Splitter,
    "replicate": sse.Splitter,
    "watsonx": sse.Splitter,
    "gigachat": sse.Splitter,
    "ernie-v1": sse.Splitter,
}
STREAMED = [case for case in OWN if list(case.glob("stream.*"))]
PIECES = {
    dialect: [p for c in STREAMED if FOLDERS[c.parent.name] == dialect for p in ways(c)[0]]
    for dialect in DIALECTS
}
WORDS = st.sampled_from(
    [
        "text",
        "delta",
        "start",
        "usage",
        "message",
        "content",
        "type",
        "index",
        "tool_calls",
        "toolUse",
        "contentBlockIndex",
        "reasoningContent",
        "stopReason",
        "function",
        "done",
        "message-end",
        "content-delta",
        "error",
        "id",
        "name",
        "arguments",
        "inputTokens",
        "finish_reason",
        "finishReason",
        "toolCalls",
        "status",
        "metrics",
        "COMPLETE",
        "choices",
        "function_call",
        "error_code",
        "is_end",
        "result",
        "errors",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | WORDS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
both = pytest.mark.parametrize("dialect", DIALECTS)


def heard(dialect: Dialect, pieces: list[bytes], splitter: Any = None) -> list[Event]:
    """Everything decoded until it ends or fails; anything but a declared error comes out."""
    decoder, events = dialect.decoder(), list[Event]()
    with contextlib.suppress(UpstreamError):
        for piece in pieces:
            whole = piece if splitter is None else splitter.feed(piece)
            try:
                decoder.feed(whole)
            finally:
                events += decoder.read
        events += decoder.end()
    assert sum(isinstance(e, Finished) for e in events) <= 1
    assert not any(isinstance(e, Finished) for e in events[:-1])
    return events


@pytest.mark.parametrize("case", STREAMED, ids=named)
def test_every_cut_gives_the_same_events(case: Path) -> None:
    name = FOLDERS[case.parent.name]
    wire = ways(case)[1][0]
    expected = heard(DIALECTS[name], [wire])
    for at in range(len(wire) + 1):
        halves = [wire[:at], wire[at:]]
        assert heard(DIALECTS[name], halves, SPLITTERS[name]()) == expected
    bytewise = [wire[i : i + 1] for i in range(len(wire))]
    assert heard(DIALECTS[name], bytewise, SPLITTERS[name]()) == expected


@both
@given(data=st.data())
def test_damaged_streams_raise_nothing_undeclared(dialect: str, data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.sampled_from(PIECES[dialect]), max_size=8))
    wire = bytearray(b"".join(pieces))
    for _ in range(data.draw(st.integers(0, 3))):
        if wire:
            wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    heard(DIALECTS[dialect], [bytes(wire)])
    heard(DIALECTS[dialect], [bytes(wire)], SPLITTERS[dialect]())
    scanner = DIALECTS[dialect].scanner(hide_usage=False)
    scanner.feed(bytes(wire))
    assert scanner.error is None or scanner.stop is None


@both
@given(noise=st.binary(max_size=200))
def test_noise_raises_nothing_undeclared(dialect: str, noise: bytes) -> None:
    heard(DIALECTS[dialect], [noise])
    judged(DIALECTS[dialect], noise)


@both
@given(values=st.lists(JSON, min_size=1, max_size=4), kind=st.data())
def test_any_json_raises_nothing_undeclared(
    dialect: str, values: list[Any], kind: st.DataObject
) -> None:
    """Members of types that no documentation knows."""
    texts = [msgspec.json.encode(value) for value in values]
    if dialect == "bedrock-converse":
        names = st.sampled_from(["contentBlockStart", "contentBlockDelta", "messageStop", "x"])
        pieces = [frame([(":event-type", kind.draw(names))], text) for text in texts]
    elif SPLITTERS[dialect] is sse.Splitter:
        pieces = [b"data: " + text + b"\n\n" for text in texts]
    else:
        pieces = [text + b"\n" for text in texts]
    heard(DIALECTS[dialect], pieces)
    judged(DIALECTS[dialect], texts[0])


def judged(dialect: Dialect, body: bytes) -> None:
    for read in (dialect.decode_reply, dialect.read_whole):
        with contextlib.suppress(UpstreamError):
            read(body)
    for status in (99, 200, 400, 403, 404, 429, 500, 599, 600, 999):
        error = dialect.decode_error(status, {}, body)
        assert isinstance(error, UpstreamError)
        assert 400 <= error.status < 600


@both
def test_depth_raises_nothing_undeclared(dialect: str) -> None:
    deep = b'{"message":' * 100_000
    heard(
        DIALECTS[dialect], [deep, b"data: " + deep + b"\n\n", frame([(":event-type", "x")], deep)]
    )
    judged(DIALECTS[dialect], deep)


def test_arguments_that_are_no_text_are_made_text() -> None:
    """An object of arguments is passed on unread."""
    call = b'"function_call":{"name":"f","arguments":{"a":"\xd0"}}'
    body = b'{"choices":[{"message":{"role":"assistant",%b},"finish_reason":"function_call"}]}'
    (use,) = DIALECTS["gigachat"].decode_reply(body % call).tool_calls
    assert use.arguments == '{"a":"\ufffd"}'


def test_headers_that_are_none_are_a_broken_stream() -> None:
    """The checksum is right and the header block is not: a type nobody knows, a cut value."""
    for block in (b"\x01a\x63", b"\x01a\x07\x00\x09x", b"\x05a"):
        prelude = pack(">II", 16 + len(block), len(block))
        wire = prelude + pack(">I", crc32(prelude)) + block
        wire += pack(">I", crc32(wire))
        decoder = DIALECTS["bedrock-converse"].decoder()
        with pytest.raises(UpstreamError, match="headers"):
            decoder.feed(aws_frames.Splitter().feed(wire))


def test_headers_of_every_type_are_read_over() -> None:
    block = b"\x01a\x00" + b"\x01b\x01" + b"\x01c\x02\x01" + b"\x01d\x03\x00\x01"
    block += b"\x01e\x04" + bytes(4) + b"\x01f\x05" + bytes(8) + b"\x01g\x06\x00\x02xy"
    block += b"\x01h\x08" + bytes(8) + b"\x01i\x09" + bytes(16)
    block += b"\x0b:event-type\x07\x00\x0cmessageStart"
    wire = pack(">III", 16 + len(block) + 2, len(block), 0) + block + b"{}" + bytes(4)
    (told,) = aws_events.events(wire)
    assert (told.kind, told.name, told.payload) == ("event", "messageStart", b"{}")
