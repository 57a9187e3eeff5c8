"""Features hold hashes and figures, are bounded, and the same for the same text."""

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from octoplex.optimizer.features import FORM, SIZE, WIDTH, Form, encoder_of, features_of


@given(st.text(max_size=300), st.text(max_size=5), st.text(max_size=5))
def test_any_text_becomes_a_vector(text: str, segment: str, key: str) -> None:
    features = features_of(text, Form(3, 2, 1, True), segment, key)
    assert features == features_of(text, Form(3, 2, 1, True), segment, key)
    assert len(features.form) == FORM
    assert list(features.places) == sorted(set(features.places))
    seen = encoder_of([features]).row(features)
    assert len(set(seen.places.tolist())) == len(seen.places)
    assert seen.places.max(initial=0) < WIDTH
    assert np.isfinite(seen.values).all()


def test_a_long_text_costs_no_more_than_its_ends() -> None:
    long = "word " * 200_000
    features = features_of(long)
    assert len(features.places) < 20
    assert features_of(long + "tail").prompt != features.prompt


def test_the_words_themselves_are_not_kept() -> None:
    assert b"canary" not in msgspec.json.encode(features_of("canary canary", segment="s"))


def test_numbers_are_alike_and_words_are_not() -> None:
    assert features_of("sum 1234").places == features_of("sum 8765").places
    assert features_of("sum 1234").places != features_of("product 1234").places
    assert max(features_of("a b c").places) < SIZE


def test_rare_words_weigh_more() -> None:
    known = [features_of(f"the tide {name}") for name in ("ebb", "flow", "neap", "spring")]
    seen = encoder_of(known).row(features_of("the neap"))
    weights = dict(zip(seen.places.tolist(), seen.values.tolist(), strict=True))
    the, neap = (features_of(word).places[0] for word in ("the", "neap"))
    assert weights[neap] > weights[the]
