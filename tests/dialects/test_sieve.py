"""Events that are cut out of a stream take nothing of the others with them."""

import pytest

from octoplex.dialects import sse
from octoplex.dialects.sieve import sift_slowly


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_data_over_several_lines_stays_whole_when_another_event_goes(line_end: bytes) -> None:
    wire = b'event: a\ndata: {"x":\ndata:  1}\n\nevent: bad\ndata: {}\n\ndata:\ndata: {}\n\n'
    kept = sift_slowly(wire.replace(b"\n", line_end), lambda name, _: name != b"bad")
    assert sse.events(kept) == [("a", b'{"x":\n 1}'), ("", b"\n{}")]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_that_passes_is_the_same_object(line_end: bytes) -> None:
    wire = b"event: a\ndata: 1\n\n".replace(b"\n", line_end)
    assert sift_slowly(wire, lambda *_: True) is wire
