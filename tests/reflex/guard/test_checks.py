"""Check digits against examples that their authorities publish, and against each wrong digit."""

from collections.abc import Callable

import pytest

from octoplex.reflex.guard import checks, states

GOOD: list[tuple[Callable[[str], object], str]] = [
    (checks.luhn, "79927398713"),
    (checks.card, "378282246310005"),
    (checks.nhs, "9434765919"),
    (checks.aba, "021000021"),
    (checks.vin, "1HGCM82633A004352"),
    (checks.base58check, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    (checks.ripple, "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"),
    (checks.bech32, "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
    (states.germany_id, "86095742719"),
    (states.iso11_10, "136695976"),
    (states.spain_dni, "12345678Z"),
    (states.spain_dni, "X1234567L"),
    (states.spain_cif, "A58818501"),
    (states.france_nir, "295109912611193"),
    (states.italy_code, "RSSMRA85T10A562S"),
    (states.netherlands_bsn, "111222333"),
    (states.belgium_nrn, "85073003328"),
    (states.belgium_vat, "0403170701"),
    (states.poland_pesel, "44051401359"),
    (states.poland_nip, "1234563218"),
    (states.portugal_nif, "501964843"),
    (states.brazil_cpf, "39053344705"),
    (states.brazil_cnpj, "11222333000181"),
    (states.aadhaar, "234123412346"),
    (states.india_gstin, "27AAPFU0939F1ZV"),
    (states.china_id, "11010519491231002X"),
    (states.korea_rrn, "9710139019902"),
    (states.japan_number, "123456789018"),
    (states.sweden_pin, "8112189876"),
    (states.finland_hetu, "131052308T"),
    (states.norway_pin, "15108695088"),
    (states.swiss_ahv, "7569217076985"),
    (states.singapore_nric, "S1234567D"),
    (states.taiwan_id, "A123456789"),
    (states.hong_kong_id, "A1234563"),
    (states.south_africa_id, "8001015009087"),
    (states.turkey_id, "10000000146"),
    (states.chile_rut, "123456785"),
    (states.argentina_cuit, "20055361682"),
    (states.mexico_curp, "BOXW310820HNERXN09"),
    (states.romania_cnp, "1630615123457"),
    (states.czech_rc, "7103192745"),
    (states.bulgaria_egn, "7523169263"),
    (states.australia_tfn, "123456782"),
    (states.australia_abn, "51824753556"),
    (states.australia_medicare, "2123456701"),
    (states.ireland_pps, "6433435F"),
    (states.greece_amka, "01013099997"),
    (states.baltic_pin, "36805280109"),
    (states.israel_id, "123456782"),
    (states.austria_vat, "13585627"),
    (states.france_vat, "83404833048"),
    (states.finland_vat, "20774740"),
    (states.denmark_vat, "13585628"),
    (states.iban_like, "NL123456789B13"),
    (states.thailand_id, "1234545678781"),
    (states.iceland_id, "1201743399"),
    (states.latvia_id, "16117519997"),
    (states.balkan_id, "0101006500006"),
    (states.ukraine_tax, "1759013776"),
    (states.iran_id, "0499370899"),
    (states.ecuador_id, "1714307103"),
    (states.uruguay_id, "12345672"),
    (states.germany_insurance, "15070649C103"),
    (states.russia_snils, "11223344595"),
    (states.hungary_taj, "111111110"),
]
UNCHECKED = {states.australia_medicare: 9, states.iceland_id: 9}
"""Digits after this place are not covered by the check."""


@pytest.mark.parametrize(("check", "number"), GOOD, ids=lambda v: getattr(v, "__name__", v))
def test_a_published_example_passes(check: Callable[[str], object], number: str) -> None:
    assert check(number)


@pytest.mark.parametrize(("check", "number"), GOOD, ids=lambda v: getattr(v, "__name__", v))
def test_one_wrong_check_digit_does_not(check: Callable[[str], object], number: str) -> None:
    at = UNCHECKED.get(check, len(number)) - 1  # type: ignore[call-overload]
    place = at if number[at].isdigit() else max(i for i, c in enumerate(number) if c.isdigit())
    wrong = [number[:place] + d + number[place + 1 :] for d in "0123456789" if d != number[place]]
    assert sum(bool(check(one)) for one in wrong) <= 1


def test_an_iban_is_as_long_as_its_country_says() -> None:
    assert checks.iban_length("DE89 3704 0044 0532 0130 00 BIC", "") == 27
    assert checks.iban_length("DE89 3704 0044 0532 0130", "") == 0


def test_a_card_ends_where_its_check_digit_says() -> None:
    assert checks.card_length("4111 1111 1111 1111 123", "") == 19
    assert checks.card_length("4111 1111 1111 1112", "") == 0


def test_keccak_is_not_sha3() -> None:
    empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert checks.keccak256(b"").hex() == empty


@pytest.mark.parametrize(
    ("address", "valid"),
    [
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", True),
        ("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", True),
        ("0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", False),
        ("0x" + "0" * 40, False),
    ],
)
def test_the_case_of_an_ethereum_address_is_its_checksum(address: str, valid: bool) -> None:
    assert checks.ethereum(address) is valid


@pytest.mark.parametrize(
    "text", ["666-12-1234", "000-12-1234", "123-00-1234", "123-45-0000", "987-65-4321"]
)
def test_social_security_numbers_that_nobody_has(text: str) -> None:
    assert not checks.ssn(checks.digits(text))


@pytest.mark.parametrize(("number", "valid"), [("900700000", True), ("900660000", False)])
def test_itin_groups(number: str, valid: bool) -> None:
    assert checks.itin(number) is valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [("1990-02-29", False), ("1992-02-29", True), ("31/12/99", True), ("March 12, 1990", True)],
)
def test_a_birthday_was_a_day(text: str, valid: bool) -> None:
    assert checks.birthday(text) is valid
