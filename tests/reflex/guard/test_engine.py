"""What is looked for at all: never less than what the patterns themselves would find."""

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.reflex.guard import engine
from octoplex.reflex.guard.engine import Finder, Sieve, Words
from octoplex.reflex.guard.normal import FORMS
from octoplex.reflex.guard.places import spans, whole
from octoplex.reflex.guard.scan import Detector, patterns
from octoplex.reflex.guard.signs import sign
from tests.reflex.guard.test_injection import ATTACKS
from tests.reflex.guard.test_personal import FALSE, TRUE
from tests.reflex.guard.test_secrets import ASSIGNED
from tests.reflex.guard.test_secrets import TRUE as KEYS

MEMORY = 64 << 20
REGEXES = [whole(pattern) for pattern in patterns(unnamed=True)]
REACH = 256
TEXTS = [
    *[text for _, text, _ in TRUE],
    *FALSE,
    *[key for _, key in KEYS],
    *[text for _, text, _ in ASSIGNED],
    *ATTACKS,
]


@pytest.fixture(scope="module")
def sieve() -> Sieve:
    return Sieve([sign(regex) for regex in REGEXES], REACH, MEMORY)


@pytest.fixture(scope="module")
def finders() -> list[Finder]:
    return [Finder(regex) for regex in REGEXES]


def test_what_matches_holds_its_sign(sieve: Sieve, finders: list[Finder]) -> None:
    """In all examples, in upper case, and behind each other; and where it says."""
    rng = random.Random(4)
    mixed = [" ".join(rng.sample(TEXTS, 3)) for _ in range(60)]
    for text in [*TEXTS, *mixed, *(text.upper() for text in TEXTS)]:
        data = text.encode()
        passed = sieve.passes(data)
        assert passed is not None
        for number, finder in enumerate(finders):
            for start, end in finder.all(data):
                before = min(sign(REGEXES[number]).before, REACH)
                around = spans(passed.get(number, ()), before, REACH)
                held = any(first <= start and end <= last for first, last in around)
                assert held or end - start > REACH, (REGEXES[number], text)


FRAGMENTS = (
    *"0123456789", *"AZaz", *" .-/:@^<=,|\n_", "4111", "1990", "DE89", "+44 20", "license,", "ssn",
    "phone: ", "password=", "token", "sk-", "dob", "born ", "ignore ", "previous ", "instructions",
    "Aq9", "xK", "0f3e", "%41", "10.1", "ИНН ", "Пароль: ", "insert into t (id,", ") values (",
    "x" * 250, "A1b2" * 40, "-|-\n",
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.lists(st.sampled_from((*FRAGMENTS, *TEXTS)), max_size=30).map("".join))
def test_what_is_found_is_what_trying_every_pattern_finds(text: str) -> None:
    sorted_out, every = detectors()
    assert sorted_out.find(text) == every.find(text)


def test_wherever_it_stands_the_same_is_found() -> None:
    """Behind so much that it lies over the borders of what is read at once."""
    sorted_out, every = detectors()
    rng = random.Random(8)
    for text in rng.sample(TEXTS, 60):
        padded = "so, 12 of it\n" * 160
        at = rng.randrange(1_750, 2_060)
        whole_text = f"{padded[:at]} {text} {padded[:300]}"
        assert sorted_out.find(whole_text) == every.find(whole_text), text


def test_as_far_behind_its_word_as_it_may_be() -> None:
    sorted_out, every = detectors()
    for text in (
        "routing:{}021000021",
        "ssn{}536221234",
        "born on{}12 March 1990",
        "passport{}C01X00T47",
    ):
        told = {gap: sorted_out.find(text.format(" x" * gap + " ")) for gap in range(60)}
        assert told == {gap: every.find(text.format(" x" * gap + " ")) for gap in range(60)}
        assert told[11], text


@pytest.mark.parametrize("crowd", ["0f3a9", "1 1-", "dl: ", "a@b.", "AT 1"])
def test_among_many_signs_the_same_is_found(crowd: str) -> None:
    sorted_out, every = detectors()
    rng = random.Random(crowd)
    around = crowd * (2_600 // len(crowd))
    for text in rng.sample(TEXTS, 8):
        noisy = f"{around} {text} {around[:900]}"
        assert sorted_out.find(noisy) == every.find(noisy), text


@cache
def detectors() -> tuple[Detector, Detector]:
    """One as it is, and one that tries every pattern and every form everywhere."""
    every = Detector(patterns())
    count = len(every._patterns) + len(FORMS)
    every._places.of = lambda data, *_: {n: [(0, len(data))] for n in range(count)}  # type: ignore[method-assign]
    return Detector(patterns()), every


def test_most_patterns_are_not_tried(sieve: Sieve) -> None:
    text = b"The committee met on Tuesday to talk about the budget. Nobody could say who would pay."
    assert len(sieve.passes(text) or ()) < len(REGEXES) / 50


def test_a_word_within_a_word_is_seen() -> None:
    sieve = Sieve(
        [sign(w) for w in (r"(?i:secretive)", "(?i:secret)", "(?i:retiv)", r"(?i:\bive)")],
        9,
        MEMORY,
    )
    assert sieve.passes(b"SECRETIVE") == {0: [0], 1: [0], 2: [3]}
    assert sieve.passes(b"ive secret") == {3: [0], 1: [4]}


def test_without_memory_nothing_is_said() -> None:
    assert Sieve([sign(r"\d{9}"), sign("words?x")], 9, 1).passes(b"number 123456789") is None


@given(st.text(st.sampled_from("abcé"), max_size=30))
def test_words_are_found_alike_with_the_extra_and_without(text: str) -> None:
    words = [b"ab", b"abc", b"bca", b"c", "é".encode(), b"cab"]
    low = text.encode()
    places = {
        (number, at, at + len(word))
        for number, word in enumerate(words)
        for at in range(len(low))
        if low.startswith(word, at)
    }
    fast, slow = Words(words, MEMORY), Words(words, MEMORY, fast=False)
    assert set(fast.all(low)) == set(slow.all(low)) == places


def test_without_the_extra_the_same_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_aho", lambda words: None)
    slow, (fast, _) = Detector(patterns(["secret"])), detectors()
    for text in TEXTS:
        found = [one for one in fast.find(text) if one.kind == "secret"]
        assert not found or slow.find(text)
