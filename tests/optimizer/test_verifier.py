"""Signs of a wrong reply are found, from prompt and reply alone, whatever is written."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.optimizer.features import WIDTH, encoder_of, features_of
from octoplex.optimizer.verifier import SIGNS, Sum, signs_of, sums_in


@pytest.mark.parametrize(
    ("text", "sums"),
    [
        ("She has 16 - 3 = 13 left, 13 - 4 = <<13-4=8>>8.", [(13, True), (8, False)]),
        ("9 * $2 = $18, and $1,200 / 4 = 300.", [(18, True), (300, True)]),
        ("2 x 3 = 6; 2 \u00d7 (3 + 4) = 15; 50% * 8 = 4", [(6, True), (15, False), (4, True)]),
        ("1 / 3 = 0.33", [(0.33, True)]),
        ("5 = 5, x + 3 = 7, 4 / 0 = 1, ((2 = 2, 2 ** 3 = 8, 007 + 1 = 8", []),
        ("no sums here", []),
    ],
)
def test_sums_are_done_again(text: str, sums: list[tuple[float, bool]]) -> None:
    assert sums_in(text) == [Sum(said, is_right) for said, is_right in sums]


def differs(one: str, other: str, prompt: str = "How much are 3 pens at $2?") -> set[int]:
    """Places of the signs that are higher in the second reply."""
    signs = np.array(signs_of(prompt, one)), np.array(signs_of(prompt, other))
    return set(np.flatnonzero(signs[1] > signs[0] + 1e-9).tolist())


def test_each_fault_has_its_sign() -> None:
    good = "3 * 2 = 6, so they cost $6."
    assert {0, 1, 2} <= differs(good, "3 * 2 = 7, so they cost $7.")
    assert {4} <= differs(good, "They cost $6.")
    assert {5} <= differs(good, "They cost nothing.")
    assert {6} <= differs(good, "3 * 2 = 6, so they cost $9.")
    assert {7, 8} <= differs(good, "3 * 2 = 6, so they cost $8.5.")
    assert {9} <= differs(good, "They cost $6.")
    assert {10, 11} <= differs(good, "However, I cannot determine how much they might cost.")
    assert {14} <= differs(good, good + " And so on, which is a sentence that has no end, as it")


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_reply_has_its_signs(prompt: str, reply: str) -> None:
    signs = signs_of(prompt, reply)
    assert len(signs) == SIGNS
    assert np.isfinite(signs).all()
    assert all(0 <= sign <= 3 for sign in signs)


@pytest.mark.parametrize("piece", ["1 ", "1+", "(", "1=", "(1+", "9/", "however "])
def test_a_long_or_spiteful_reply_is_read_in_bounded_time(piece: str) -> None:
    begun = time.process_time()
    signs_of("what", piece * 20_000)
    assert time.process_time() - begun < 5


def test_what_is_no_number_is_none() -> None:
    assert sums_in("1" * 400 + " + 1 = 2") == []
    assert len(signs_of("", "9" * 400)) == SIGNS


def test_a_reply_is_part_of_the_features() -> None:
    plain, seen = features_of("2 + 2?"), features_of("2 + 2?", reply="2 + 2 = 5.")
    assert plain.signs == ()
    assert len(seen.signs) == SIGNS
    encoder = encoder_of([plain, seen])
    one, other = encoder.row(plain), encoder.row(seen)
    assert len(other.places) == len(one.places) + SIGNS
    assert len(set(other.places.tolist())) == len(other.places)
    assert other.places.max() < WIDTH
    assert seen.prompt != plain.prompt
