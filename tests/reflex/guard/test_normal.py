# ruff: noqa: RUF001 (letters that look like others are what it is about)
"""Folding, and the way back."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.reflex.guard.normal import PIECE, decoded, fold, plain


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("plain", "plain"),
        ("ⅰgnоre", "ignore"),
        ("ｆｕｌｌ　width", "full width"),
        ("i\u200bg\u00adn\u2060ore", "ignore"),
        ("é e\u0301 ï ß ﬁ …", "e e i ss fi ..."),
        ("٤٢ ४२ ４２", "42 42 42"),
        ("a–b—c−d", "a-b-c-d"),
        ("“x” ‘y’", "\"x\" 'y'"),
        ("\U0001d422\U0001d420", "ig"),
        ("\U000e0069\U000e0067", "ig"),
        ("한글 漢字 😀", "한글 漢字 😀"),
        ("\ud800", "\ufffd"),
    ],
)
def test_what_a_reader_sees(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text(), st.text())
def test_the_fold_of_two_texts_is_both_folds(a: str, b: str) -> None:
    assert fold(a + b) == fold(a) + fold(b)


@given(st.text(st.characters() | st.sampled_from("aé…ﬁ\u200b😀оß漢"), max_size=30))
def test_every_byte_leads_back_to_its_character(text: str) -> None:
    view = plain(text)
    at = 0
    for index, char in enumerate(text):
        for _ in range(len(fold(char).encode("utf-8", "replace"))):
            assert view.span(at, at + 1) == (index, index + 1)
            at += 1
    assert at == len(view.data)


def test_a_long_text_folds_as_its_parts() -> None:
    text = "\u24d8gn\u043ere " * (PIECE // 4)
    assert fold(text) == "ignore " * (PIECE // 4)


def test_many_different_letters_fold_the_same_way() -> None:
    letters = "".join(map(chr, range(0xC0, 0x250)))
    assert fold(letters) == "".join(map(fold, letters))


WORDS = b"the quick brown fox jumps over the lazy dog"


@pytest.mark.parametrize("pad", ["", "é ", "x/", "data:text/plain;base64,"])
@pytest.mark.parametrize("size", [24, 25, 26, 43])
def test_base64_leads_back_to_whole_groups(pad: str, size: int) -> None:
    coded = base64.b64encode(WORDS[:size]).decode()
    (view,) = [v for v in decoded(plain(f"{pad}{coded} end")) if b"brown" in v.data]
    at = view.data.index(b"brown")
    start, end = view.span(at, at + 5)
    piece = f"{pad}{coded} end"[start:end]
    assert b"brown" in base64.b64decode(piece + "=" * (-len(piece) % 4))


def test_hex_and_percent_lead_back_exactly() -> None:
    text = f"x {WORDS.hex()} y"
    (view,) = decoded(plain(text))
    start, end = view.span(4, 9)
    assert bytes.fromhex(text[start:end]) == b"quick"
    text = "é %71ui%63k %"
    (view,) = decoded(plain(text))
    at = view.data.index(b"quick")
    start, end = view.span(at, at + 5)
    assert text[start:end] == "%71ui%63k"


@pytest.mark.parametrize(
    "text",
    [
        "d670460b4b4aece5915caf5c68d12f560a9fe3e4",
        "src/octoplex/reflex/guard/patterns/personal",
        "v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZN",
        "internationalizationandlocalization",
        "100% of 5% and %zz",
    ],
)
def test_what_is_no_text_is_not_decoded(text: str) -> None:
    assert list(decoded(plain(text))) == []
