"""Whether a telephone number is given out in its country: libphonenumber's tables, asked directly.

    valid("+44 20 7946 0958")      by its country code
    valid("020 7946 0958", "GB")   as dialled there

The package's own parsing takes 40 us a number, most of it for what cannot be here: letters,
carriers, extensions. The tables are the same; that both agree is tested with drawn numbers.
"""

import re
from functools import cache
from importlib import import_module
from typing import Any

from msgspec import Struct

_KINDS = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
)


@cache
def plans() -> Any:
    """The tables, read when first needed: 5 MB that a server without guards has not."""
    return import_module("phonenumbers")


class _Plan(Struct):
    """Of one region."""

    code: str
    given: re.Pattern[str]
    """Every number that is given out."""
    known: re.Pattern[str]
    """Everything that has the form of one."""
    leading: re.Pattern[str] | None
    """How those of this region begin, where several share a code."""
    trunk: re.Pattern[str] | None
    rule: str


@cache
def _plan(region: str) -> _Plan | None:
    of = plans().PhoneMetadata
    found = of.metadata_for_region(region, None)
    found = found or (
        of.metadata_for_nongeo_region(int(region), None) if region.isdigit() else None
    )
    if found is None:
        return None
    kinds = [getattr(found, kind) for kind in _KINDS]
    ways = [k.national_number_pattern for k in kinds if k and k.national_number_pattern]
    trunk, rule = found.national_prefix_for_parsing, found.national_prefix_transform_rule
    return _Plan(
        str(found.country_code),
        re.compile("|".join(f"(?:{way})" for way in ways) or r"(?!)"),
        re.compile(found.general_desc.national_number_pattern),
        re.compile(found.leading_digits) if found.leading_digits else None,
        re.compile(trunk) if trunk else None,
        rule or "",
    )


@cache
def _regions(code: str) -> tuple[str, ...]:
    """Who share a country code, the main one first."""
    found: tuple[str, ...] = plans().COUNTRY_CODE_TO_REGION_CODE.get(int(code), ())
    return (code,) if found == ("001",) else found


def valid(text: str, region: str | None = None) -> bool:
    """Whether it is a number; with `+` by its country code, else as dialled in the region."""
    number = "".join(filter(str.isdecimal, text))
    if text.lstrip(" (").startswith("+"):
        codes = [number[:size] for size in (1, 2, 3) if number[:size]]
        code = next((code for code in codes if code[0] != "0" and _regions(code)), "")
        return bool(code) and _given(code, number[len(code) :])
    plan = _plan(region or "")
    if plan is None:
        return False
    return _given(plan.code, number) or (
        number.startswith(plan.code)
        and plan.known.fullmatch(number) is None
        and _given(plan.code, number[len(plan.code) :])
    )


def _given(code: str, number: str) -> bool:
    regions = _regions(code)
    main = _plan(regions[0])
    if main is None or not 2 <= len(number) <= 17:
        return False
    number = _without_trunk(main, number)
    for region in regions:
        plan = _plan(region)
        if plan is None:
            continue
        if plan.leading is not None and plan.leading.match(number):
            return plan.given.fullmatch(number) is not None
        if plan.leading is None and plan.given.fullmatch(number):
            return True
    return False


def _without_trunk(plan: _Plan, number: str) -> str:
    """Without what is dialled before it within the country."""
    prefix = plan.trunk.match(number) if plan.trunk else None
    if prefix is None or not prefix.end():
        return number
    groups = prefix.groups()
    if plan.rule and groups and groups[-1] is not None:
        rest = prefix.expand(plan.rule.replace("$", "\\")) + number[prefix.end() :]
    else:
        rest = number[prefix.end() :]
    if plan.known.fullmatch(number) and not plan.known.fullmatch(rest):
        return number
    return rest
