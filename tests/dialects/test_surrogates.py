"""Half a surrogate pair is mended, and nothing else is touched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects.surrogates import mended
from octoplex.dialects.verbatim import split

ANY = st.characters(blacklist_categories=()) | st.sampled_from('\\"u\ud83d\ude00d8')


@given(value=st.dictionaries(st.text(), st.text(ANY) | st.lists(st.text(ANY))))
def test_it_reads_as_before_without_halves(value: dict[str, object]) -> None:
    raw = json.dumps(value).encode()
    text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
    want = json.loads(text.decode("utf-16", "replace").encode("utf-8", "surrogatepass"))
    assert json.loads(mended(raw)) == want


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        (rb'"A\ud83d"', rb'"A\ufffd"'),
        (rb'"\uDE00 \ud83d\uD83D\ude00"', rb'"\ufffd \ufffd\uD83D\ude00"'),
        (rb'"\\ud83d \"\ud83dx"', rb'"\\ud83d \"\ufffdx"'),
    ],
)
def test_only_halves_change(raw: bytes, want: bytes) -> None:
    assert mended(raw) == want


def test_what_holds_none_is_the_same_object() -> None:
    for raw in (rb'"\ud83d\ude00"', rb'"\\ud83d"', b'"x"', b"\\"):
        assert mended(raw) is raw


def test_a_request_with_a_half_is_cut_into_members() -> None:
    fields = split(rb'{"model": "m", "x": ["A\ud83d"]}')
    assert bytes(fields["x"]) == rb'["A\ufffd"]'
