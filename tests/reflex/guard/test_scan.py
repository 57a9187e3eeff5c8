# ruff: noqa: RUF001 (letters that look like others are what it is about)
"""The detector itself: overlaps, streams, hostile text, one's own patterns."""

import base64
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from octoplex.reflex.guard.finding import Finding
from octoplex.reflex.guard.scan import Detector, custom, patterns, word
from octoplex.wire.error import BadConfig
from tests.reflex.guard import test_injection, test_personal, test_secrets
from tests.reflex.guard.found import detector, found

PLANTED = [text for _, text, _ in test_personal.TRUE] + [key for _, key in test_secrets.TRUE]
PLANTED += [
    "at 203.0.113.42.5 or 203.0.113.42/24",
    "ana@acme.example-x and git@acme.example:tools/a",
    "536-22-1234-5 and 00:1A:2B:3C:4D:5E:6F",
    base64.b64encode(b"write to ana@acme.example or to bob@acme.example, please").decode(),
    b"write to ana@acme.example or bob@acme.example".hex(),
    "to=ana%40acme%2eexample%20and%20bob%40acme.example",
    f"%41KIA2E4F6H8J1L3N5P7R eyJhbGciOiJIUzI1NiJ9.{test_secrets.R[:9]}. end",
]
PLANTED += [text for _, text, _ in test_secrets.ASSIGNED] + test_personal.FALSE + test_secrets.FALSE
ATTACKS = test_injection.ATTACKS + test_injection.CLEAN
NOISE = [
    " ",
    "\n",
    ". ",
    ", ",
    "-",
    ".",
    ":",
    "%",
    "%2",
    "=",
    "a",
    "1",
    "42 ",
    "é",
    "ß",
    "\u200b",
    "e\u0301",
]
NOISE += [
    "😀",
    "漢字",
    "…",
    "слово ",
    "May ",
    "http://",
    "@",
    "+",
    "(",
    '"',
    "the ",
    "AKIA",
    "eyJ",
    "\ud83d",
]
pieces = st.lists(st.sampled_from(PLANTED + NOISE * 6) | st.text(max_size=8), max_size=12)
STREAMABLE = Detector([pattern for pattern in patterns() if not pattern.company])
OWN = [word("banned", ["falcon", "Straße nord"]), custom("staff", r"AC-\d{3,9}(?:/[a-z]+)?")]


def stable(detector: Detector, text: str, cut: int) -> None:
    """What is found before the open end of a beginning stays, and nothing lies across it."""
    begun = text[:cut]
    at = detector.open_from(begun)
    assert 0 <= at <= len(begun)
    settled = [f for f in detector.find(begun) if f.start < at]
    assert all(f.end <= at for f in settled)
    assert [f for f in detector.find(text) if f.start < at] == settled, (begun, at)


@settings(max_examples=400, deadline=None)
@given(pieces, st.data())
def test_more_text_changes_nothing_before_the_open_end(
    parts: list[str], data: st.DataObject
) -> None:
    text = "".join(parts)
    cut = data.draw(st.integers(0, len(text)))
    stable(detector("pii", "secret"), text, cut)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(ATTACKS + NOISE * 4), max_size=4), st.data())
def test_nor_of_attacks(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    stable(STREAMABLE, text, data.draw(st.integers(0, len(text))))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["falcon", "AC-1234", "AC-", "STRASSE  nord", *NOISE]), max_size=9),
    st.data(),
)
def test_nor_of_ones_own(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    stable(Detector(OWN), text, data.draw(st.integers(0, len(text))))


@pytest.mark.parametrize("text", PLANTED)
def test_every_example_cut_everywhere(text: str) -> None:
    whole = f"so {text} and {text[:5]}"
    for cut in range(len(whole) + 1):
        stable(detector("pii", "secret"), whole, cut)


HOSTS = b"from 203.0.113.42 to 198.51.100.77 and on to 192.0.2.15 now"
ALONE = [
    ("ip", "at 203.0.113.42.5 or 203.0.113.42/24 x"),
    ("ip", base64.b64encode(HOSTS).decode() + " x"),
    ("ip", HOSTS.hex() + " x"),
    ("ip", "at 203%2e0.113.42 x"),
    ("ip", "at 203%2e0%2e113%2e42%2e5 or 198%2E51.100%2e7%20x"),
    ("email", "git@acme.example:tools ana@acme.example-x"),
    ("ssn", "536-22-1234-5 and 536-22-1234.x"),
    ("mac", "00:1A:2B:3C:4D:5E:6F x"),
    ("nhs_number", "PID|1||9434765919^^^NHS^NH||9434765919^^^NHSX x"),
    ("doppler_token", f"dp.st.prd.{test_secrets.R[:43]} x"),
    ("mailgun_key", f"{test_secrets.HEX[:32]}-{test_secrets.HEX[:8]}-{test_secrets.HEX[:8]}-1 x"),
    ("connection_string", "host=db user=rw password=dVHQnL0TlxPb x=1"),
    ("national_id", "1-2345-45678-78-1-2 and 112-233-445 95 x"),
]


@pytest.mark.parametrize(("name", "text"), ALONE)
def test_a_pattern_alone_holds_what_it_must(name: str, text: str) -> None:
    """Among all of them others hold the same text."""
    alone = Detector([pattern for pattern in patterns() if pattern.type == name])
    for cut in range(len(text) + 1):
        stable(alone, text, cut)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | pieces.map("".join))
def test_any_text_can_be_looked_through(text: str) -> None:
    last = 0
    for finding in detector().find(text):
        assert last <= finding.start < finding.end <= len(text)
        assert 0 < finding.score <= 1
        last = finding.end


PROSE = (
    "The quick brown fox may jump over the lazy dog, and show the way to 12 people in March "
    "of 2024. "
)


def test_of_clean_prose_at_most_the_last_word_is_open() -> None:
    """A number or a month may go on, as a date or a telephone number does."""
    streamed = detector("pii", "secret")
    for cut in range(len(PROSE)):
        begun = PROSE[:cut]
        last_word = begun.rstrip().rfind(" ") + 1
        if not any(c.isdigit() for c in begun[-12:]):
            assert streamed.open_from(begun) >= last_word, begun


def test_a_long_token_of_words_is_open_only_where_it_may_matter() -> None:
    path = "src/octoplex/reflex/guard/patterns/personal"
    assert detector("pii").open_from(path + " ") == len(path) + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("😀😀 ana@acme.example", "ana@acme.example"),
        ("e\u0301te\u0301 4111 1111 1111 1111!", "4111 1111 1111 1111"),
        ("4111\u200b1111\u200b1111\u200b1111", "4111\u200b1111\u200b1111\u200b1111"),
        ("４１１１ １１１１ １１１１ １１１１ ok", "４１１１ １１１１ １１１１ １１１１"),
        ("٤١١١١١١١١١١١١١١١", "٤١١١١١١١١١١١١١١١"),
        ("ﬁrst: ana＠acme。example", None),
        ("аna@acme.example", "аna@acme.example"),
        ("…ana\u00ad@acme.example…", "ana\u00ad@acme.example"),
        ("ssn 536–22–1234", "536–22–1234"),
        (
            "\U0001d44e\U0001d45b\U0001d44e@acme.example",
            "\U0001d44e\U0001d45b\U0001d44e@acme.example",
        ),
        ("\ud83d ana@acme.example", "ana@acme.example"),
    ],
)
def test_tricks_with_letters_are_seen_through(text: str, expected: str | None) -> None:
    pieces = [piece for _, piece in found(text, "pii")]
    assert pieces == ([expected] if expected else [])


def test_the_more_certain_wins() -> None:
    assert found('secret = "AKIACANARYCANARY2345"', "secret") == [
        ("aws_key_id", "AKIACANARYCANARY2345")
    ]


def test_inside_a_key_nothing_else_is_found() -> None:
    text = test_secrets.PEM.replace("MIIE", "AKIACANARYCANARY2345")
    assert [name for name, _ in found(text)] == ["private_key"]


def test_words_are_whole_and_in_any_case() -> None:
    own = Detector([word("banned", ["falcon", "blue  moon", "водка", "Straße", "坏蛋"])])
    text = "Falcon falcons afalcon FALCON-9 blue\nMOON ВОДКА водкам Водка STRASSE 这个坏蛋很坏"
    pieces = [text[f.start : f.end] for f in own.find(text)]
    assert pieces == ["Falcon", "FALCON", "blue\nMOON", "ВОДКА", "Водка", "STRASSE", "坏蛋"]


def test_an_own_pattern() -> None:
    own = Detector([custom("staff", r"AC-\d{6}")])
    assert own.find("id AC-123456.") == [Finding("word", "staff", 3, 12, 1.0)]
    assert own.open_from("id AC-12") == 3


@pytest.mark.parametrize("regex", ["(", "a(?=b)", r"(a)\1", "x*", "a{2000}"])
def test_what_re2_refuses_is_refused(regex: str) -> None:
    with pytest.raises(BadConfig, match="mine"):
        custom("mine", regex)


def test_syntax_that_is_not_read_holds_what_is_long() -> None:
    own = Detector([custom("odd", r"(?i)\Qa.b\E\pN{2}|[[:upper:]]{3}z")])
    text = "so A.B12 or XYZz"
    assert [text[f.start : f.end] for f in own.find(text)] == ["A.B12", "XYZz"]
    for cut in range(len(text)):
        stable(own, text, cut)


def test_without_memory_the_same_is_found() -> None:
    text = " and ".join(PLANTED)
    small = Detector(patterns(["pii", "secret"]), memory=1 << 20)
    assert small.find(text) == detector("pii", "secret").find(text)
    assert small.find("nothing here") == []


HOSTILE = [
    "a" * 100,
    "1 1-1.1",
    "a@a.",
    "(1",
    "+1 ",
    "[[<>]] ",
    "ignore the ",
    "password=",
    "ssn 1",
    "%25",
    "eyJ",
    "-----BEGIN PRIVATE KEY-----",
    "SWdub3JlIGFs",
    "4111 1111 ",
    "x" * 63 + "@",
    "\u200b1",
    "é1 ",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_work_grows_with_the_text_and_not_faster(piece: str) -> None:
    """As many candidates are judged in ten times the text as ten times, and all within reach."""
    counts = []
    for size in (2_000, 20_000):
        text = piece * (size // len(piece))
        judged = 0

        def count(value: str, left: str) -> float:
            nonlocal judged
            judged += 1
            return 0.0

        Detector([replace(p, check=count, trim=None) for p in patterns()]).find(text)
        counts.append(judged)
    assert counts[1] <= 12 * counts[0] + 200
    assert counts[1] <= 20_000 * 40


def test_a_hundred_kilobytes_of_noise() -> None:
    rng = random.Random(7)
    text = "".join(rng.choices("ab1 .-@:/+=%(\n\u200bé", k=100_000))
    detector().find(text)
    assert detector("pii", "secret").open_from(text) <= len(text)
