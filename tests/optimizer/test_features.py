"""Features hold hashes and figures, are bounded, and the same for the same text."""

import re
from collections import Counter
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from octoplex.optimizer.features import (
    BASE,
    FEW,
    FORM,
    PAIR_WEIGHT,
    PAIRS,
    SIZE,
    SPREAD,
    WIDTH,
    WORDS,
    Features,
    Form,
    encoder_of,
    features_of,
    gram,
)


def placed(features: Features) -> list[int]:
    return np.frombuffer(features.places, "<u2").tolist()


@given(st.text(max_size=300), st.text(max_size=5), st.text(max_size=5))
def test_any_text_becomes_a_vector(text: str, segment: str, key: str) -> None:
    features = features_of(text, Form(3, 2, 1, True), segment, key)
    assert features == features_of(text, Form(3, 2, 1, True), segment, key)
    assert len(features.form) == FORM
    places = placed(features)
    assert places == sorted(set(places))
    assert len(features.counts) == len(places)
    seen = encoder_of([features]).row(features)
    assert len(set(seen.places.tolist())) == len(seen.places)
    assert seen.places.max(initial=0) < WIDTH
    assert np.isfinite(seen.values).all()


WORD = re.compile(
    rb"(?:[a-z]|[\xc3-\xdf][\x80-\xbf])+|0+|[\xc2\xe0-\xff][\x80-\xbf]+|[!-/:-@\[-`{-~]"
)
"""Letters of alphabets, a number, a sign of other scripts, punctuation."""


def by_hand(text: str) -> Counter[int]:
    """The places of a text, word by word."""
    small = re.sub(rb"\d", b"0", text.encode("utf-8", "replace").lower())
    words = WORD.findall(re.sub(rb"00000+", b"0000", small))
    ones = [
        sum(byte * BASE**at for at, byte in enumerate(word)) * int(SPREAD) % 2**32 for word in words
    ]
    pairs = [(40_503 * one + two) % 2**32 for one, two in pairwise(ones)]
    return Counter([one >> 32 - WORDS for one in ones]) + Counter(
        [(1 << WORDS) + (pair >> 32 - PAIRS) for pair in pairs]
    )


@given(
    st.text(st.sampled_from("ab Z0179,.$?\n\t\x00éß€日本𝄞\ud800") | st.characters(), max_size=300)
)
@example("Aé9 12345,日本a本é£5 ...\u00a0")
@example("")
def test_words_and_pairs_are_those_of_the_text(text: str) -> None:
    features = features_of(text)
    assert dict(zip(placed(features), features.counts, strict=True)) == by_hand(text)


def test_places_are_the_same_in_every_process() -> None:
    """What is noted is read by another one, perhaps on another machine."""
    places = features_of("How many pools are there in London in 2026?").places
    assert (
        places.hex() == "3e125e1e611ee02baf31a837673be93b943cf245a648d448044bbd4bf34c3b4d584d804e"
    )


def test_a_long_text_costs_no_more_than_its_ends() -> None:
    long = "word " * 200_000
    features = features_of(long)
    assert len(placed(features)) < 20
    assert max(features.counts) == 255
    assert features_of(long + "tail").prompt != features.prompt


def test_the_words_themselves_are_not_kept() -> None:
    assert b"canary" not in msgspec.json.encode(features_of("canary canary", segment="s"))


def test_numbers_are_alike_and_words_are_not() -> None:
    assert features_of("sum 1234").places == features_of("sum 8765").places
    assert features_of("sum 1234").places != features_of("product 1234").places
    assert max(placed(features_of("a b c"))) < SIZE


def test_rare_words_weigh_more() -> None:
    known = [features_of(f"the tide {name}") for name in ("ebb", "flow", "neap", "spring")]
    seen = encoder_of(known).row(features_of("the neap"))
    weights = dict(zip(seen.places.tolist(), seen.values.tolist(), strict=True))
    the, neap = (placed(features_of(word))[0] for word in ("the", "neap"))
    assert weights[neap] > weights[the]


def test_words_and_pairs_share_no_places() -> None:
    """Of lengths of their own, so that the many pairs do not drown the words."""
    features = features_of("the neap tide follows the ebb")
    assert sum(place < 1 << WORDS for place in placed(features)) == 5
    seen = encoder_of([features, features_of("spring tide")]).row(features)
    words, pairs = seen.places < 1 << WORDS, (seen.places >= 1 << WORDS) & (seen.places < SIZE)
    assert np.linalg.norm(seen.values[words]) == pytest.approx(1)
    assert np.linalg.norm(seen.values[pairs]) == pytest.approx(PAIR_WEIGHT)


def test_a_gram_is_the_product_of_the_dense_rows() -> None:
    dice = np.random.default_rng(1)
    words = [f"word{'abcdefghijklmnop'[n % 16]}{n}" for n in range(300)]
    rare = 1 / np.arange(1, 301)  # a few words in most texts, most words in few
    texts = [" ".join(dice.choice(words, 12, p=rare / rare.sum())) for _ in range(60)]
    texts[7] = texts[3]
    features = [features_of(text, segment="s", reply="2 + 2 = 5") for text in texts]
    encoder = encoder_of(features)
    rows = [encoder.row(one) for one in features]
    dense = np.zeros((len(rows), WIDTH))
    for number, row in enumerate(rows):
        dense[number, row.places] = row.values
    shared = (dense != 0).sum(axis=0)
    assert (shared > FEW).any()
    assert ((shared > 1) & (shared <= FEW)).any()
    assert np.allclose(gram(rows), dense @ dense.T, atol=1e-5)
