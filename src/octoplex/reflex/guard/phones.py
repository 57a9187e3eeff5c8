"""Telephone numbers: how much of a run of digits is one.

The exact judge is libphonenumber's table of every country's plan (package `phonenumberslite`).
A table of our own with country codes and lengths was compared: it takes every grouped number
for a phone, and says nothing of numbers without a country code, which most are.

Numbers that a plan has not given out (555-0123 and the like) count where they are written with
their country code or in the North American way: people make those up, and shape says enough.
"""

import re
from typing import Any

from octoplex.reflex.guard.checks import digits, repeats
from octoplex.reflex.guard.plans import plans, valid

_ENDS = re.compile(r"\d\)?(?!\d)")
_TRUNK: tuple[str, ...]
_TRUNK = ("GB", "DE", "FR", "IT", "AU", "NL", "CH", "IN", "JP", "KR", "BE", "AT", "ZA", "TR", "SE")
_TRUNK += ("NZ", "IE", "CN", "ID", "IL", "BR")
"""Where a number begins with 0 within the country."""
_OTHER = ("US", "ES", "PL", "IN", "CN", "BR", "MX", "DK", "NO", "PT", "CZ", "GR", "SG", "HK")
_DATE = re.compile(
    r"(?:19|20)\d\d[-./]\d\d?[-./]\d\d?(?:[ T]\d\d?)?|\d\d?[-./]\d\d?[-./](?:19|20)?\d\d"
    r"|(?:19|20)\d\d ?[-/] ?(?:19|20)\d\d"
)

_SSN = re.compile(r"\d{3}-\d{2}-\d{4}")
_ZIP = re.compile(r"\d{5}-\d{4}(?!\d)")


def _parsed(text: str, region: str | None) -> Any:
    """The number, None where it is none."""
    try:
        return plans().parse(text, region)
    except plans().NumberParseException:
        return None


_LABELLED = re.compile(
    r"(?i)(?:\b(?:order|invoice|account|acct|ref|reference|serial|tracking|ticket|case|part|sku|"
    r"model|isbn|nhs|patient|policy|claim|id|card|build|batch|version|license|licence|passport|"
    r"confirmation)(?: ?(?:no|number|num|id|code))?[ .:#=-]{0,3}(?:is )?|\d[ .-]?)$"
)
"""Says that what follows is some other number, or the rest of one."""


_ORDER = re.compile(
    r"(?i)(?:zamowieni\w|polizz\w|polis\w{0,6}|pedido|commande|bestell\w{0,8}|auftrag\w{0,8}|ordine|"
    r"ordre\w{0,8}|order(?: ?(?:no|nr|number))?|faktur\w{0,3}|invoice)[^A-Za-z0-9\n]{0,24}$"
)
"""After the word for numbers, in languages where it also stands for the one of a telephone."""


def _labelled(left: str) -> bool:
    return _LABELLED.search(left[-32:]) is not None


_EXTENSION = re.compile(r"(?i),? ?(?:x|ext\.?|extension) ?\d{1,5}$")


def _main(text: str) -> str:
    """Without an extension."""
    return _EXTENSION.sub("", text)


def _ends(text: str) -> list[int]:
    return [found.end() for found in _ENDS.finditer(text)][::-1]


def international(text: str, left: str) -> int:
    """With a country code: the longest valid beginning, else the longest possible one."""
    main = _main(text)
    if main.startswith("00") and _labelled(left):
        return 0
    dialled = "+" + main[2:] if main.startswith("00") else main
    shift = len(main) - len(dialled)
    end = _dialled(dialled) + shift
    return 0 if end == shift else len(text) if end == len(main) else end


def _dialled(dialled: str) -> int:
    ends = [end for end in _ends(dialled) if 7 <= len(digits(dialled[:end])) <= 15]
    if dialled.startswith("+1"):  # all of North America has ten
        ends = [end for end in ends if len(digits(dialled[:end])) == 11]
    for end in ends:
        if valid(dialled[:end], None):
            return end
    for end in ends:
        number = _parsed(dialled[:end], None)
        if number is None:
            continue
        in_groups = not dialled[1:end].isdigit() and len(digits(dialled[:end])) > 8
        if in_groups or plans().is_possible_number(number):
            return end
    return 0


def american(text: str, left: str) -> int:
    """3-3-4 of the North American plan. Only spaces or dots between: it must be given out."""
    marks = set(re.sub(r"[\w ()+]", "", text.partition("x")[0].partition(",")[0]))
    if repeats(digits(_main(text))[-7:]):
        return 0
    plain = "-" in text or "(" in text
    if (len(marks) > 1 and "(" not in text) or _labelled(left):
        return 0
    return len(text) if plain or valid(_main(text), "US") else 0


def trunk(text: str, left: str) -> int:
    """With a leading 0, in groups: valid in one of the larger countries that write so."""
    if _DATE.fullmatch(text) or _ZIP.match(text) or _labelled(left):
        return 0
    ends = [end for end in _ends(text) if 9 <= len(digits(text[:end])) <= 12]
    for end in ends[:2]:
        if any(valid(text[:end], region) for region in _TRUNK):
            return end
    return 0


_GROUPED = ("IN", "CN", "IT", "RU")


def grouped(text: str, left: str) -> int:
    """In groups that say where it is from: valid there, or with an area in brackets."""
    if _labelled(left) or repeats(digits(text)[-7:]):
        return 0
    bracketed = text.startswith("(") and 8 <= len(digits(text)) <= 12
    return len(text) if bracketed or any(valid(text, region) for region in _GROUPED) else 0


_BARE = ("GB", "FR", "IT", "AU", "JP", "KR", "DE", "CN", "IN", "ZA", "TR", "NL", "ES", "BR")


def bare(text: str, left: str) -> int:
    """Digits in one run, in a column of telephone numbers: valid in one of the larger countries."""
    regions = _BARE if text[0] == "0" else ("CN", "US")
    return len(text) if any(valid(text, region) for region in regions) else 0


def named(text: str, left: str) -> int:
    """After a word that announces one: the longest beginning that is valid somewhere, else all."""
    main = _main(text)
    if main.startswith("+"):  # `international` says it
        return 0
    if _DATE.match(main) or _ZIP.match(main) or _SSN.fullmatch(main) or _ORDER.search(left):
        return 0
    ends = [end for end in _ends(main) if 7 <= len(digits(main[:end])) <= 15]
    for end in ends[:3] if len(ends) > 1 else ():
        regions = _TRUNK if digits(main[:end]).startswith("0") else _OTHER
        if any(valid(main[:end], region) for region in regions):
            return len(text) if end == len(main) else end
    if not ends or (main.isdigit() and len(main) > 12):
        return 0
    return len(text) if ends[0] == len(main) else ends[0]
