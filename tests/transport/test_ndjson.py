"""Splitting lines of JSON: whole and bounded, however the bytes come."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.transport.ndjson import Splitter
from octoplex.wire.error import UpstreamBroken

STREAMS = st.lists(st.sampled_from([b"{}", b'{"a":1}', b"", b"\r", b"\n", "é".encode()])).map(
    b"".join
)


@given(STREAMS, st.lists(st.integers(0, 10_000)))
def test_lines_do_not_depend_on_how_the_bytes_came(wire: bytes, cuts: list[int]) -> None:
    splitter = Splitter()
    edges = [0, *sorted(c % (len(wire) + 1) for c in cuts), len(wire)]
    out = [splitter.feed(wire[a:b]) for a, b in pairwise(edges)]
    assert all(piece == b"" or piece.endswith(b"\n") for piece in out)
    assert b"".join(out) == wire[: wire.rfind(b"\n") + 1]
    assert splitter.rest() == wire[wire.rfind(b"\n") + 1 :]


@pytest.mark.parametrize("pieces", [[b"a" * 11], [b"a" * 6, b"a" * 5], [b"\n", b"a" * 11 + b"\n"]])
def test_a_line_above_its_cap_is_refused(pieces: list[bytes]) -> None:
    splitter = Splitter(10)
    with pytest.raises(UpstreamBroken, match="cap"):
        b"".join([splitter.feed(piece) for piece in pieces])


def test_many_lines_may_come_at_once() -> None:
    assert Splitter(10).feed(b"aaaaaaaaa\n" * 5) == b"aaaaaaaaa\n" * 5
