"""Which regexes without words are looked for together."""

import pytest

from octoplex.reflex.guard.looks import Look, look
from octoplex.reflex.guard.needs import needs
from octoplex.reflex.guard.scan import patterns


@pytest.mark.parametrize(
    ("regex", "kind"),
    [
        (r"\b[A-Z]{2}\d{9}\b", "digits"),
        (r"(?:\b\d{9}\b|\b\d{4}-\d{5}\b)", "letters"),
        (r"(?:\d{9}|\d{4}-\d{5})", "digits"),
        (r"\b[A-Za-z]{33}\b", "letters"),
        (r"\b[A-Z]{5}\b", "often"),
        (r"\w{1,3}@\w{4}\.\w{3}\d", "marks"),
        (r"年{3}[^\x{5e74}a]", "letters"),
        (r"[[:digit:]]{9}", "letters"),
        (r"\Cab", "letters"),
        (r"(a", "letters"),
    ],
)
def test_how_it_begins(regex: str, kind: Look) -> None:
    assert look(regex) == kind


def test_most_of_what_has_no_words_begins_with_a_digit() -> None:
    kinds = [look(p.regex) for p in patterns() if not needs(f"(?:{p.lead})(?:{p.regex})")]
    assert kinds.count("digits") > len(kinds) / 2
    assert kinds.count("often") < 8
