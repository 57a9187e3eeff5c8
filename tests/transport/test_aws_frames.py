"""Splitting AWS event frames: whole, checked, bounded, however the bytes come."""

from itertools import pairwise
from struct import pack
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.transport.aws_frames import LEAST, PRELUDE, Splitter
from octoplex.wire.error import UpstreamBroken
from tests.dialects.frames import frame

EMPTY = bytes.fromhex("000000100000000005c248eb7d98c8ff")
"""The encoding's smallest message, with no headers and no payload."""

FRAMES = st.lists(
    st.builds(
        frame,
        st.lists(st.tuples(st.text(max_size=5), st.text(max_size=9)), max_size=2),
        st.binary(max_size=40),
    ),
    min_size=1,
    max_size=5,
)


def fed(wire: bytes, cuts: list[int]) -> tuple[bytes, UpstreamBroken | None]:
    splitter, out = Splitter(), b""
    edges = [0, *sorted(c % (len(wire) + 1) for c in cuts), len(wire), len(wire)]
    for start, end in pairwise(edges):
        try:
            out += splitter.feed(wire[start:end])
        except UpstreamBroken as error:
            return out, error
    assert splitter.rest() == b""
    return out, None


def test_the_smallest_message_is_the_documented_one() -> None:
    assert frame([], b"") == EMPTY
    assert Splitter().feed(EMPTY) == EMPTY


@given(FRAMES, st.lists(st.integers(0, 10_000)), st.binary(max_size=PRELUDE - 1))
def test_frames_do_not_depend_on_how_the_bytes_came(
    frames: list[bytes], cuts: list[int], tail: bytes
) -> None:
    whole = b"".join(frames)
    assert fed(whole + tail, cuts) == (whole, None)


def test_every_cut_gives_the_same_frames() -> None:
    frames = [frame([(":event-type", "a")], b'{"x":1}'), EMPTY, frame([], b"y" * 30)]
    wire = b"".join(frames)
    for at in range(len(wire) + 1):
        assert fed(wire, [at]) == (wire, None)
    assert fed(wire, list(range(len(wire)))) == (wire, None)


@given(FRAMES, st.integers(0, 10_000), st.integers(1, 255), st.lists(st.integers(0, 10_000)))
def test_a_damaged_byte_is_found_and_what_came_before_it_is_given(
    frames: list[bytes], where: int, change: int, cuts: list[int]
) -> None:
    wire = bytearray(b"".join(frames))
    where %= len(wire)
    wire[where] ^= change
    good, start = b"", 0
    for whole in frames:
        start += len(whole)
        if where < start:
            break
        good += whole
    out, error = fed(bytes(wire), cuts)
    assert out == good
    assert error is not None


@given(st.binary(max_size=200), st.lists(st.integers(0, 10_000)))
def test_noise_raises_nothing_else(noise: bytes, cuts: list[int]) -> None:
    out, _ = fed(noise, cuts)
    assert noise.startswith(out)


@pytest.mark.parametrize("total", [0, LEAST - 1, 2**32 - 1, 1001])
def test_a_length_that_cannot_be_is_refused_at_once(total: int) -> None:
    prelude = pack(">II", total, 0)
    with pytest.raises(UpstreamBroken):
        Splitter(1000).feed(prelude + pack(">I", crc32(prelude)))


def test_headers_longer_than_their_frame_are_refused() -> None:
    prelude = pack(">II", 20, 5)
    with pytest.raises(UpstreamBroken, match="cannot hold"):
        Splitter().feed(prelude + pack(">I", crc32(prelude)))


def test_what_is_held_is_bounded() -> None:
    """A frame at the cap is taken in small pieces; nothing is held beyond it."""
    whole = frame([], b"z" * 984)
    splitter = Splitter(len(whole))
    out = b"".join([splitter.feed(whole[i : i + 7]) for i in range(0, len(whole), 7)])
    assert out == whole
    with pytest.raises(UpstreamBroken, match="cap"):
        splitter.feed(frame([], b"z" * 985)[:PRELUDE])
