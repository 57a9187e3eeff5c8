"""An estimate of tokens is near what a tokenizer counts, in any script.

`o200k.json`: texts, each after its count in OpenAI's `o200k_base` (tiktoken 0.14.0).
"""

import json
from pathlib import Path

import pytest

from octoplex.upstreams.count import tokens_of

TEXTS: dict[str, tuple[int, str]] = json.loads(Path(__file__).with_name("o200k.json").read_text())


@pytest.mark.parametrize("kind", TEXTS)
def test_an_estimate_is_within_ten_percent(kind: str) -> None:
    exact, text = TEXTS[kind]
    assert tokens_of(text) == pytest.approx(exact, rel=0.1)


def test_it_does_not_fall_with_more_of_the_same() -> None:
    for _, text in TEXTS.values():
        assert tokens_of(text * 3) == pytest.approx(3 * tokens_of(text), rel=0.05)


def test_any_text_counts() -> None:
    assert tokens_of("") == 0
    for odd in ("\ud800", "\x00", "\U0001f600", "\u1362", "\u0301", "\n", "\u0663"):
        assert 1 <= tokens_of(odd) <= 2
