"""The splitters: they lose nothing, add nothing, do not care where the bytes were cut, and
hold no more than their caps.
"""

from collections.abc import Callable
from struct import pack, unpack_from
from typing import Any
from zlib import crc32

from octoplex.dialects import aws_events
from octoplex.dialects import sse as sse_events
from octoplex.transport import aws_frames, ndjson, sse
from octoplex.wire.error import UpstreamBroken, UpstreamError
from tests.fuzz.parts import Given, weight

CAP = 256
BOM = b"\xef\xbb\xbf"
ROOM = 4096
"""What a splitter's own objects may weigh beside the bytes it holds."""


def fed(splitter: Any, pieces: list[bytes], most: int) -> tuple[list[bytes], str]:
    """What came out, and what it said when it refused. A refusal must stay one."""
    out: list[bytes] = []
    for piece in pieces:
        try:
            out.append(splitter.feed(piece))
        except UpstreamBroken as refused:
            return out, str(refused)
    assert weight(splitter) <= most + ROOM + 128 * len(pieces)
    return out, ""


def whole(
    make: Callable[[], Any], given: Given, read: Callable[[bytes], Any] = bytes
) -> tuple[bytes, bytes]:
    """Feed the wire in one piece and in its pieces: what came out, and what is left.

    `read` is what must not depend on the cuts.
    """
    once, many = make(), make()
    out, refused = fed(once, [given.wire], len(given.wire))
    pieces, again = fed(many, given.pieces, len(given.wire))
    assert read(b"".join(out)) == read(b"".join(pieces))
    assert bool(refused) == bool(again) or isinstance(once, aws_frames.Splitter)
    assert refused or again or read(once.rest()) == read(many.rest())
    return b"".join(pieces), b"" if again else many.rest()


def sse_target(given: Given) -> None:
    """The SSE splitter and the two readers of events, which must agree."""
    out, rest = whole(sse.Splitter, given, sse.parse)
    assert out + rest == given.wire.removeprefix(BOM)
    assert sse.parse(out) == sse_events.events(out)
    assert sse.parse(rest) == sse_events.events(rest)
    assert sse.parse(out) + sse.parse(rest) == sse.parse(out + rest)
    for piece in fed(sse.Splitter(CAP), given.pieces * 10, CAP)[0]:
        # a read that brings whole events may be longer than any of them
        assert all(len(data) <= CAP for _, data in sse.parse(piece))


def ndjson_target(given: Given) -> None:
    """The line splitter."""
    out, rest = whole(ndjson.Splitter, given)
    assert out + rest == given.wire
    assert b"\n" not in rest
    assert not out or out.endswith(b"\n")
    lines, _ = fed(ndjson.Splitter(CAP), given.pieces * 10, CAP)
    assert all(len(line) <= CAP for piece in lines for line in piece.split(b"\n"))


def aws_target(given: Given) -> None:
    """The frame splitter and the reader of frames. The choice mends lengths and checksums."""
    wire = mended(given.wire) if given.choice & 1 else given.wire
    scale = Given(wire, recut(wire, given.pieces))
    out, _ = whole(aws_frames.Splitter, scale)
    assert wire.startswith(out)
    fed(aws_frames.Splitter(CAP), scale.pieces * 10, CAP)
    try:
        events = aws_events.events(out)
    except UpstreamError:
        return
    assert len(events) <= len(out) // aws_frames.LEAST
    assert events or not out


def recut(wire: bytes, pieces: list[bytes]) -> list[bytes]:
    """Cut a wire of the same length as the pieces where they were cut."""
    cut, at = [], 0
    for piece in pieces:
        cut.append(wire[at : at + len(piece)])
        at += len(piece)
    return cut


def mended(wire: bytes) -> bytes:
    """The same bytes as frames whose lengths fit and whose checksums are right."""
    out, at = bytearray(wire), 0
    while len(out) - at >= aws_frames.LEAST:
        left = len(out) - at
        total, headers = unpack_from(">II", out, at)
        total = aws_frames.LEAST + total % (left - aws_frames.LEAST + 1)
        headers %= total - aws_frames.LEAST + 1
        out[at : at + 8] = pack(">II", total, headers)
        out[at + 8 : at + 12] = pack(">I", crc32(out[at : at + 8]))
        end = at + total
        out[end - 4 : end] = pack(">I", crc32(out[at : end - 4]))
        at = end
    return bytes(out)
