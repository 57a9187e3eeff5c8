"""What is looked for at all: never less than what the patterns themselves would find."""

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.reflex.guard.engine import Finder, Sieve
from octoplex.reflex.guard.needs import EDGE, LONG, needs
from octoplex.reflex.guard.normal import FORMS
from octoplex.reflex.guard.prefix import loosened
from octoplex.reflex.guard.scan import Detector, patterns
from tests.reflex.guard.test_injection import ATTACKS
from tests.reflex.guard.test_personal import FALSE, TRUE
from tests.reflex.guard.test_secrets import ASSIGNED
from tests.reflex.guard.test_secrets import TRUE as KEYS

MEMORY = 64 << 20
REGEXES = [f"(?:{p.lead})(?:{p.regex})" for p in patterns(unnamed=True)]
TEXTS = [
    *[text for _, text, _ in TRUE],
    *FALSE,
    *[key for _, key in KEYS],
    *[text for _, text, _ in ASSIGNED],
    *ATTACKS,
]


@pytest.fixture(scope="module")
def sieve() -> Sieve:
    return Sieve(REGEXES, MEMORY)


@pytest.fixture(scope="module")
def finders() -> list[Finder]:
    return [Finder(regex) for regex in REGEXES]


def test_what_matches_passes(sieve: Sieve, finders: list[Finder]) -> None:
    """Of all examples, in upper case, and behind each other."""
    rng = random.Random(4)
    mixed = [" ".join(rng.sample(TEXTS, 3)) for _ in range(200)]
    for text in [*TEXTS, *mixed, *(text.upper() for text in TEXTS)]:
        data = text.encode()
        matching = {n for n, finder in enumerate(finders) if finder.search(data)}
        assert matching <= set(sieve.passes(data)), text


FRAGMENTS = (
    *"0123456789", *"AZaz", *" .-/:@^<=,|\n_", "4111", "1990", "DE89", "+44 20", "license,", "ssn",
    "phone: ", "password=", "token", "sk-", "dob", "born ", "ignore ", "previous ", "instructions",
    "Aq9", "xK", "0f3e", "%41", "10.1",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_what_is_found_is_what_trying_every_pattern_finds(text: str) -> None:
    sorted_out, every = detectors()
    assert sorted_out.find(text) == every.find(text)


@cache
def detectors() -> tuple[Detector, Detector]:
    """One as it is, and one that tries every pattern and every form."""
    every = Detector(patterns())
    count = len(every._patterns) + len(FORMS)
    every._sieve.passes = lambda data: list(range(count))  # type: ignore[method-assign]
    return Detector(patterns()), every


def test_most_patterns_are_not_tried() -> None:
    """Half of the texts of a kind of its own pass less than one pattern in twenty."""
    sieve = Sieve(REGEXES, MEMORY)
    text = b"The committee met on Tuesday to talk about the budget. Nobody could say who would pay."
    assert len(sieve.passes(text)) < len(REGEXES) / 20


@pytest.mark.parametrize(
    ("regex", "words"),
    [
        (r"(?i:\bignore \w+ rules)", [f"{EDGE}ignore ", " rules"]),
        (r"gh[po]_\d+", ["gho_", "ghp_"]),
        (r"ab?cd", ["abcd", "acd"]),
        (r"(?:one|two) *(?:three)+", ["one", "two", "three"]),
        (r"\d{9}", []),
        (r"[a-z]+x", []),
        (r"(?:long|\d)", []),
        (r"(?:optional)?", []),
    ],
)
def test_words_that_a_regex_needs(regex: str, words: list[str]) -> None:
    found = {word for held in needs(regex) for word in held}
    assert found == {word[:LONG] for word in words}


def test_a_word_within_a_word_is_seen() -> None:
    sieve = Sieve([r"secretive", r"secret", r"retiv", r"\bive"], MEMORY)
    assert sieve.passes(b"SECRETIVE") == [0, 1, 2]
    assert sieve.passes(b"ive secret") == [1, 3]


def test_without_memory_all_pass() -> None:
    assert Sieve([r"\d{9}", "word"], 1).passes(b"nothing") == [0, 1]


@given(st.text(st.sampled_from("ab0 "), max_size=40))
def test_loosened_matches_no_less(text: str) -> None:
    regex = r"a{2,30}(?:b0|[ab]{17,20})?b"
    if Finder(regex).search(text.encode()):
        assert Finder(loosened(regex)).search(text.encode())
