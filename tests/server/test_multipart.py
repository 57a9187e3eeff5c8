"""Forms in pieces: the same at any cut, and nonsense is refused without harm."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from octoplex.server.multipart import Multipart
from octoplex.wire.error import InvalidCall

BOUNDARY = b"zz-boundary"
KIND = b"multipart/form-data; boundary=" + BOUNDARY
PIECES = st.lists(
    st.sampled_from(
        [
            b"--" + BOUNDARY,
            b"--",
            b"\r\n",
            b"\n",
            b": ",
            b'Content-Disposition: form-data; name="file"; filename="x"',
            b'content-disposition: form-data; name="purpose"',
            b"content-disposition: form-data; name*=utf-8''%ff; filename=\xff\"",
            b"\x00",
            b";",
            b"data",
        ]
    )
    | st.binary(max_size=20),
    max_size=30,
)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted(c % (len(data) + 1) for c in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(at)]


@given(content=st.binary(max_size=300), cuts=st.lists(st.integers(0, 10_000), max_size=20))
def test_a_form_is_the_same_at_any_cut(content: bytes, cuts: list[int]) -> None:
    start = b"--%b\r\nContent-Disposition: form-data; " % BOUNDARY
    purpose = start + b'name="purpose"\r\n\r\nbatch\r\n'
    file = start + b'name="file"; filename="a.jsonl"\r\nContent-Type: x/y\r\n\r\n%b\r\n' % content
    if b"\r\n--" + BOUNDARY in content:
        return
    for body in (purpose + file, file + purpose):
        form = Multipart(KIND)
        found = b"".join([form.feed(p) for p in cut(body + b"--%b--\r\n" % BOUNDARY, cuts)])
        form.end()
        assert found == content
        assert (form.fields, form.filename) == ({"purpose": "batch"}, "a.jsonl")


@given(pieces=PIECES)
def test_nonsense_is_refused_and_nothing_worse(pieces: list[bytes]) -> None:
    try:
        form = Multipart(KIND)
        for piece in pieces:
            form.feed(piece)
        form.end()
    except InvalidCall:
        return


@given(kind=st.binary(max_size=60) | st.binary(max_size=40).map(lambda b: KIND + b))
def test_any_content_type_is_read_or_refused(kind: bytes) -> None:
    try:
        Multipart(kind)
    except InvalidCall:
        return
