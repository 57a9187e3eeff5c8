"""Every target over its seeds, and over what hypothesis makes of them; `make fuzz` goes on.

What the fuzzer once found stands beside what was wrong, in the tests of that module. Here the
targets are kept alive, and a new dialect is tried as soon as it is in the table.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.assembly.dialects import dialects, faces
from tests.fuzz.parts import input_of, weight
from tests.fuzz.targets import targets

TARGETS = targets()
every = pytest.mark.parametrize("name", TARGETS)


def test_every_dialect_and_every_face_has_its_targets() -> None:
    for name in dialects():
        assert {f"stream-{name}", f"reply-{name}"} <= TARGETS.keys()
        assert TARGETS[f"stream-{name}"].inputs, "a stream to start from"
    assert {f"request-{name}" for name in faces()} <= TARGETS.keys()


@every
def test_seeds(name: str) -> None:
    for data in TARGETS[name].inputs:
        TARGETS[name](data)


@st.composite
def damaged(draw: st.DrawFn, inputs: list[bytes], words: list[bytes]) -> bytes:
    """A seed with pieces lost, repeated, changed, put in, or taken from another seed."""
    data = bytearray(draw(st.sampled_from(inputs)))
    for _ in range(draw(st.integers(1, 4))):
        at, size = draw(st.integers(0, len(data))), draw(st.integers(0, 40))
        other = draw(st.sampled_from(inputs))
        start = draw(st.integers(0, len(other)))
        piece = st.sampled_from(words) | st.binary(max_size=4)
        piece |= st.just(bytes(data[at : at + size])) | st.just(other[start : start + size])
        data[at : at + draw(st.sampled_from([0, 1, size]))] = draw(piece)
    return bytes(data)


@every
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_seeds(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    target(data.draw(damaged(target.inputs, target.words)))


@every
@settings(max_examples=20, deadline=None)
@given(data=st.binary(max_size=60))
def test_noise(name: str, data: bytes) -> None:
    TARGETS[name](data)


def test_an_input_is_cut_as_it_says() -> None:
    from tests.fuzz.parts import given as read

    for cuts in range(8):
        one = read(input_of(b"0123456789", cuts, 5))
        assert b"".join(one.pieces) == one.wire == b"0123456789"
        assert len(one.pieces) == (10 if cuts == 7 else cuts + 1)
        assert one.choice == 5
    assert read(b"").wire == b""


def test_a_weight_is_all_that_is_held() -> None:
    assert weight([b"x" * 1000]) > 1000
    assert weight({"a": {b"y" * 1000}}) > 1000
