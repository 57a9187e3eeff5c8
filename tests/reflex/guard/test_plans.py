"""That our reading of libphonenumber's tables says what libphonenumber says."""

import random

import phonenumbers
import pytest

from octoplex.reflex.guard.plans import valid

COUNTRIES = "US GB DE FR ES IT NL CN IN JP KR BR MX RU TR AU ZA NO DK SG CZ PT PL GR CH AT SE AR CL"


def judged(text: str, region: str | None) -> bool:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(number)


@pytest.mark.parametrize("country", COUNTRIES.split())
def test_drawn_numbers_are_judged_alike(country: str) -> None:
    rng = random.Random(country)
    differing = []
    for _ in range(60):
        example = phonenumbers.example_number_for_type(country, rng.choice((0, 1)))
        number = phonenumbers.national_significant_number(example)
        kept = rng.randrange(1, len(number))
        number = number[:kept] + "".join(rng.choices("0123456789", k=len(number) - kept))
        for text, region in (
            (f"+{example.country_code} {number}", None),
            (f"+{example.country_code} (0) {number}", None),
            (f"0{number}", country),
            (number, country),
            (f"{example.country_code}{number}", country),
        ):
            if valid(text, region) != judged(text, region):
                differing.append((text, region))
    assert not differing


@pytest.mark.parametrize("text", ["+999 1234567", "+", "+0 123", "12", "+1" + "2" * 30])
def test_what_no_plan_knows(text: str) -> None:
    assert not valid(text)
    assert not valid(text, "US")
    assert not valid(text, "ZZ")
