"""Arguments of tool calls, as text and as an object."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from octoplex.dialects.arguments import Gathered, input_object, input_text, is_object

OBJECTS = st.dictionaries(st.text(), st.none() | st.integers() | st.text(), max_size=3)


@given(OBJECTS, st.sampled_from([None, 0, 2]), st.sampled_from(["", "\n", " \r\n"]))
def test_an_object_keeps_its_meaning_and_takes_one_line(
    value: dict[str, Any], indent: int | None, space: str
) -> None:
    text = space + json.dumps(value, indent=indent) + space
    written = bytes(input_object(text))
    assert json.loads(written) == value
    assert b"\n" not in written
    assert b"\r" not in written
    assert json.loads(input_text(Raw(written))) == value
    assert is_object(text)


@pytest.mark.parametrize("text", ["", " ", "null", "{}"])
def test_nothing_is_an_empty_object(text: str) -> None:
    assert bytes(input_object(text)) == b"{}"
    assert input_text(Raw(text.strip().encode())) == "{}"


@pytest.mark.parametrize("text", ["oops", "[1]", '{"a":', "\ud800", "[" * 100_000])
def test_what_is_no_object_is_handed_on_as_text(text: str) -> None:
    (name,) = json.loads(bytes(input_object(text)))
    assert name == "INVALID_JSON"
    assert not is_object(text)


def gathered(pieces: list[str]) -> Gathered:
    found = Gathered()
    for piece in pieces:
        found.add(piece)
    return found


@given(OBJECTS, st.integers(1, 5), st.sampled_from(["", " ", "\n"]))
def test_arguments_are_whole_once_all_has_come(value: dict[str, Any], size: int, end: str) -> None:
    text = json.dumps(value) + end
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert gathered(pieces).is_whole()
    assert gathered(pieces).text == text
    assert not gathered(pieces[:-1]).is_whole() or not pieces[-1].strip("}\n ")
    assert not Gathered().is_whole()


def test_vain_looks_become_rare() -> None:
    """A stream of braces: each look is a parse of all that came."""
    found, looks = Gathered(), 0
    found.add("[")
    for _ in range(20_000):
        found.add("{},}")
        assert not found.is_whole()
        looks = found.vain
    assert 64 < looks < 150
