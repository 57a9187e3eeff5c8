"""Every beginning of a match is one of the prefixes."""

import re

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.reflex.guard.prefix import prefixes
from octoplex.reflex.guard.scan import patterns

REGEXES = [
    r"ab{2}[cd]",
    r"(?i:ignore)(?: \w+){0,3} rules",
    r"\bfoo\b",
    r"(?:a|bc)+d{2,}",
    r"x(?i)ab|c",
    r"[a\]-]{2}z?",
    r"(?P<n>\d{3})-?\d{2}$",
    r"\d{1,3}(?:\.\d{1,3}){3}",
    r"a*b+?c??",
    r"(a|(b|(c|d)e)f)g",
]


@pytest.mark.parametrize("regex", [*REGEXES, *sorted({p.regex for p in patterns()})])
def test_the_prefixes_are_a_regex(regex: str) -> None:
    assert re2.compile(prefixes(regex)).fullmatch("")


@pytest.mark.parametrize("regex", REGEXES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_beginning_matches(regex: str, data: st.DataObject) -> None:
    plain = regex.replace("(?i)", "") if "x(?i)" in regex else regex
    text = data.draw(st.from_regex(re.compile(plain, re.ASCII), fullmatch=True))
    begun = re2.compile(prefixes(regex))
    for cut in range(len(text) + 1):
        assert begun.fullmatch(text[:cut]), text[:cut]


@pytest.mark.parametrize(("regex", "text"), [("ab", "b"), ("ab", "abc"), ("[0-9]{4}x", "1a")])
def test_other_text_does_not(regex: str, text: str) -> None:
    assert not re2.compile(prefixes(regex)).fullmatch(text)


@pytest.mark.parametrize("regex", ["a)", "*a"])
def test_what_cannot_be_read_is_refused(regex: str) -> None:
    with pytest.raises(ValueError, match=r"nothing before|do not match"):
        prefixes(regex)
