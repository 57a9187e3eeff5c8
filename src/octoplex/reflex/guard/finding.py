"""What the guard looks for, and what it found.

    Pattern    one thing to look for: a regex, what must stand around it, a check
    Finding    where one was found, in characters of the text as it was given

A pattern's regex is re2's: it finds in linear time, whoever wrote it. It describes only
what is found, so that a stream holds no more than that; words that must stand before are
`lead` (adjacent, found with it) or part of `check` (somewhere to the left). Nothing
to the right decides but `after`, so that a stream need not wait, and `company`, for what no stream
is searched for.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

Kind = Literal["pii", "secret", "injection", "word"]
Check = Callable[[str, str], float]
"""(what matched, up to `LEFT` bytes of text before it) to its score; 0 is no finding."""
Trim = Callable[[str, str], int]
"""The same, to how many characters of what matched count; 0 is no finding."""

LONGEST = 256
"""Bytes of UTF-8 that a match may have. Longer things are found by how they begin (`rest`)."""
LEFT = 96
"""Bytes before a match that its check may see."""
COMPANY = 160


class Finding(Struct, frozen=True):
    """One find, without its text. `start` and `end` count characters, `score` is 0 to 1."""

    kind: Kind
    type: str
    start: int
    end: int
    score: float


class Pattern(Struct, frozen=True, kw_only=True):
    """One thing to look for. Several patterns may share a type."""

    kind: Kind
    type: str
    regex: str
    lead: str = ""
    """Regex of what must stand directly before it."""
    not_before: str = ""
    """Characters none of which may stand directly before it (before the lead, if any)."""
    after: str = ""
    """Regex (of Python, on bytes) of what must not follow."""
    rest: str = ""
    """For what may be of any length: `regex` is only how it begins, and this is how it goes
    on, as far as it matches."""
    until: str = ""
    """The same, for what goes on to a mark, or without it to the end of the text."""
    near: str = ""
    """Regex of a word that must stand to the left, at most `reach` bytes away; case is ignored."""
    reach: int = 40
    company: str = ""
    """Regex of what must stand at most `COMPANY` bytes to its left or right; case is ignored.
    Not for kinds that are looked for in streams."""
    trim: Trim | None = None
    check: Check | None = None
    score: float = 0.9
    """Where there is no check."""
    longest: int = LONGEST
