"""What part of a regex is looked for: each match holds it, and it is seldom said."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.reflex.guard.engine import Finder, Sieve
from octoplex.reflex.guard.needs import EDGE, held
from octoplex.reflex.guard.places import spans
from octoplex.reflex.guard.prefix import parsed
from octoplex.reflex.guard.scan import patterns
from octoplex.reflex.guard.signs import sign, word_said

MEMORY, REACH = 1 << 20, 256
REGEXES = [
    r"(?i:\b(?:read|forget)(?: \w+){0,4} (?:the )?rules\b)",
    r"\b(?:gh[po]_)[A-Za-z0-9]{8,12}\b",
    r"(?i:(?:\w{1,8}[_-])?keys?)[\"']? ?[:=] ?[a-z]{3,9}",
    r"[A-Za-z0-9.]{1,9}@[a-z]{2,9}\.[a-z]{2,3}",
    r"(?:\+|\b00 ?)\(?[1-9]\d{0,2}\)?(?:[ -]{0,2}\d{1,3}){2,4}",
    r"(?i:пароль|ключ)[: ]{1,2}[a-z]{4}",
    r"(?:ab?c|x[yz]){2}\d",
    r"\bS(?:e|E)rial \d{3,5}|no\. \d{4}",
    r"[A-Za-z0-9+/]{44}=",
    r"\.[a-z]{2}-[0-9]{2,}\?",
]


@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("regex", REGEXES)
@given(data=st.data(), around=st.sampled_from([("", ""), ("so ", "."), ("x_", "9"), ("é-", "é")]))
def test_every_match_lies_around_its_sign(
    regex: str, data: st.DataObject, around: tuple[str, str]
) -> None:
    text = data.draw(st.from_regex(regex, fullmatch=True, alphabet=st.characters(codec="utf-8")))
    one, raw = sign(regex), (around[0] + text + around[1]).encode()
    begun = len(around[0].encode())
    if Finder(regex).match(raw, begun):  # digits are of ASCII there
        found = (Sieve([one], REACH, MEMORY).passes(raw) or {}).get(0, [])
        near = spans(found, min(one.before, REACH), REACH)
        assert any(first <= begun < last for first, last in near), one


@pytest.mark.parametrize(
    ("regex", "words"),
    [
        (r"(?i:\bignore \w+ rules)", [f"{EDGE}ignore ", " rules"]),
        (r"gh[po]_\d+", ["gho_", "ghp_"]),
        (r"ab?cd", ["abcd", "acd"]),
        (r"(?:one|two) *(?:three)+", ["one", "two", "three"]),
        (r"\d{9}|[a-z]+x|(?:long|\d)|(?:optional)?", []),
    ],
)
def test_words_that_each_match_holds(regex: str, words: list[str]) -> None:
    assert {word for one in held([parsed(regex)]) for word in one} == set(words)


@pytest.mark.parametrize(
    ("regex", "ways"),
    [
        (REGEXES[0], {r"(?i)\brules\b", r"(?i)\bthe rules\b"}),
        (r"\d{9}", {r"\d{9}"}),
        (r"\w{1,9} (?:secret|hidden)(?: \w+)* end", {r"\bsecret", r"\bhidden"}),
        (r"[A-Za-z0-9+/]{86}==", {"[A-Za-z0-9+/]{40}"}),
        (r"(a", {"(a"}),
        (r"(?i)flags hold", {"(?i)flags hold"}),
    ],
)
def test_what_is_looked_for(regex: str, ways: set[str]) -> None:
    assert {way.regex for way in sign(regex).ways} == ways


def test_a_word_near_by_may_have_its_spaces_as_underlines() -> None:
    sieve = Sieve([word_said(r"(?i:\btax id\b|\bsol\b)")], 32, MEMORY)
    for text in (b"my tax id", b"my_TAX_ID_2", b"_sol_", b"a sol."):
        assert sieve.passes(text), text
    for text in (b"taxidermy", b"solve", b"tax-id"):
        assert not sieve.passes(text), text


def test_most_signs_are_seldom_said() -> None:
    """Of a pattern that needs no word near by; once in 4 KB, as far as can be told."""
    told = [sign(f"(?:{p.lead})(?:{p.regex})").bits for p in patterns() if not p.near]
    assert sum(bits > 12 for bits in told) > 0.8 * len(told)
