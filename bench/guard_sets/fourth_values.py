"""Personal data of the fourth set: shapes that national plans and standards publish.

What has a check digit gets a right one. Telephone numbers lie in ranges that the plans of their
countries hand out; nobody was asked whether one is in use.
"""

# ruff: noqa: E501, RUF001 (texts in one line, in all letters)

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import date

from bench.guard_sets.checksums import RIPPLE58 as RIPPLE
from bench.guard_sets.checksums import (
    aba,
    base58check,
    bech32,
    eip55,
    five_bits,
    iban,
    luhn,
    nhs,
    one_digit,
    vin,
    weighted,
)
from bench.guard_sets.drawing import (
    DIGITS,
    HEX,
    Draw,
    Random,
    day,
    one_of,
    pattern,
    some,
    spaced,
    whole,
)
from bench.guard_sets.fourth_states import NATIONAL, TAX
from bench.guard_sets.ids import LICENCE, PASSPORT

BECH32M = 0x2BC830A3

PHONE: dict[str, Draw] = {
    "us": one_of("(415) N5#-####", "646-N3#-####", "713.N6#.####", "1-617-N7#-####"),
    "us_intl": one_of("+1 312 N4# ####", "+1 (206) N8#-####", "+1-404-N5#-####", "+1503N46####"),
    "us_ext": one_of("(214) N5#-#### ext. ###", "+1 702-N3#-#### x##", "480-N7#-#### Ext ####"),
    "ca": one_of("514-N5#-####", "(604) N3#-####", "+1 416 N6#-####"),
    "uk": one_of("020 7N## ####", "0161 496 0###", "07400 ######", "0121 4## ####"),
    "uk_intl": one_of("+44 20 7N## ####", "+44 7400 ######", "+44 (0)161 496 0###"),
    "de": one_of("0151 2#######", "0221/9######", "0171-6######", "030 2#######", "089/5######"),
    "de_intl": one_of(
        "+49 30 2#######", "+49 (0) 89 5######", "+49 171 6######", "0049 40 3######"
    ),
    "fr": one_of("06 12 ## ## ##", "01.42.##.##.##", "07 61 ## ## ##", "0478######"),
    "fr_intl": one_of("+33 6 72 ## ## ##", "+33 (0)4 78 ## ## ##", "+33142######"),
    "es": one_of("612 ### ###", "+34 655 ## ## ##", "+34 915 ## ## ##", "934 ## ## ##"),
    "it": one_of("+39 347 ### ####", "06 69## ####", "02/83######", "338 #######"),
    "nl": one_of("06-1#######", "+31 6 2### ####", "020-6######", "+31 (0)10 4## ####"),
    "be": one_of("0475 ## ## ##", "+32 2 5## ## ##", "+32 (0)479 ## ## ##"),
    "ch": one_of("079 4## ## ##", "+41 44 2## ## ##", "0041 76 3## ## ##"),
    "at": one_of("0664 1######", "+43 1 5######", "+43 (0)676 3######"),
    "pl": one_of("601 ### ###", "+48 22 6## ## ##", "+48 502 ### ###"),
    "se": one_of("070-3## ## ##", "+46 8 505 ### ##", "+46 70 2## ## ##"),
    "no": one_of("+47 41# ## ###", "22 4# ## ##", "+47 92 ## ## ##"),
    "dk": one_of("+45 26 1# ## ##", "33 1# ## ##", "+45 3312 ####"),
    "fi": one_of("040 5######", "+358 50 3######", "09 6######"),
    "pt": one_of("912 ### ###", "+351 21 3## ####", "+351 936 ### ###"),
    "ie": one_of("087 2######", "+353 1 6## ####", "(021) 4## ####"),
    "gr": one_of("697 ### ####", "+30 210 3## ####", "2310 2#####"),
    "cz": one_of("+420 602 ### ###", "777 ### ###", "+420 224 ### ###"),
    "hu": one_of("+36 20 3## ####", "06 30 4## ####", "+36 1 3## ####"),
    "ro": one_of("0722 ### ###", "+40 21 3## ## ##", "+40 745 ### ###"),
    "bg": one_of("+359 88 8## ####", "0888 ## ## ##"),
    "tr": one_of("0532 ### ## ##", "+90 212 2## ## ##", "(0216) 3## ## ##"),
    "ru": one_of("+7 (916) ###-##-##", "8 903 ###-##-##", "+7 495 7##-##-##", "8(495)9######"),
    "ua": one_of("+380 67 ### ## ##", "050 ### ## ##", "(044) 2##-##-##"),
    "il": one_of("054-4######", "+972-3-6######", "052 2######"),
    "ae": one_of("+971 50 ### ####", "04 3## ####"),
    "sa": one_of("+966 55 ### ####", "055 ### ####"),
    "eg": one_of("+20 100 ### ####", "010 0### ####"),
    "za": one_of("082 ### ####", "+27 11 4## ####", "+27 (0)83 ### ####"),
    "ng": one_of("0803 ### ####", "+234 802 ### ####"),
    "ke": one_of("+254 722 ######", "0722 ######"),
    "in": one_of("+91 98450 #####", "98201 #####", "+91-80-2#######", "080 2### ####"),
    "pk": one_of("+92 300 #######", "0321-#######"),
    "cn": one_of("1380013####", "+86 139 #### ####", "010-6#######", "138-1234-####"),
    "hk": one_of("+852 92## ####", "25## ####"),
    "tw": one_of("0912-###-###", "+886 2 27## ####", "(02) 27##-####"),
    "jp": one_of("090-1###-####", "03-35##-####", "+81 80 1### ####", "06-62##-####"),
    "kr": one_of("010-2###-####", "+82 10-3###-####", "02-7##-####"),
    "sg": one_of("+65 91## ####", "62## ####"),
    "my": one_of("012-3## ####", "+60 3-21## ####"),
    "id": one_of("0812-9###-####", "+62 21 57## ####", "+62 813-1###-####"),
    "ph": one_of("0917 ### ####", "+63 2 82## ####"),
    "th": one_of("081 4## ####", "+66 2 2## ####"),
    "vn": one_of("0903 ### ###", "+84 28 38## ####"),
    "au": one_of("0412 ### ###", "(02) 92## ####", "+61 3 96## ####", "1300 ### ###"),
    "nz": one_of("021 4## ###", "+64 9 3## ####"),
    "br": one_of("(11) 98###-####", "+55 21 99###-####", "(31) 32##-####"),
    "ar": one_of("+54 9 11 52## ####", "011 43##-####"),
    "mx": one_of("55 52## ####", "+52 33 36## ####"),
    "cl": one_of("+56 9 8### ####", "22 6## ####"),
    "co": one_of("+57 310 ### ####", "300 ### ####"),
    "pe": one_of("+51 987 ### ###", "01 4## ####"),
    "e164": one_of(
        "+4915123######", "+33612######", "+14155N#####", "+919845######", "+447400######"
    ),
}

_IBANS = {
    "de": ("37040044##########", "4 4 4 4 4 2"),
    "fr": ("3000600001###########89", "4 4 4 4 4 4 3"),
    "it": ("X0542811101######123456", "4 4 4 4 4 4 3"),
    "nl": ("'ABNA'04########", "4 4 4 4 2"),
    "ch": ("00762############", "4 4 4 4 4 1"),
    "at": ("19043###########", "4 4 4 4 4"),
    "pl": ("10901014################", "4 4 4 4 4 4 4"),
    "se": ("5000000##########4##", "4 4 4 4 4 4"),
    "dk": ("00400#########", "4 4 4 4 2"),
    "fi": ("123456########", "4 4 4 4 2"),
    "gb": ("'NWBK'601613########", "4 4 4 4 4 2"),
    "ie": ("'AIBK'931152########", "4 4 4 4 4 2"),
    "pt": ("000201231234#########", "4 4 4 4 4 4 1"),
    "ro": ("'AAAA'1B3100##########", "4 4 4 4 4 4"),
    "cz": ("08000000############", "4 4 4 4 4 4"),
    "hu": ("11773016################", "4 4 4 4 4 4 4"),
    "gr": ("0110125################", "4 4 4 4 4 4 3"),
    "tr": ("000610################", "4 4 4 4 4 4 2"),
    "ae": ("033################", "4 4 4 4 4 3"),
    "sa": ("80000000############", "4 4 4 4 4 4"),
    "lu": ("0019##########00", "4 4 4 4 4"),
    "mt": ("'MALT'01100#################'S'", "4 4 4 4 4 4 4 3"),
    "ee": ("2200##########45", "4 4 4 4 4"),
    "lt": ("10000###########", "4 4 4 4 4"),
    "hr": ("1001005##########", "4 4 4 4 4 1"),
    "br": ("00360305###############'C1'", "4 4 4 4 4 4 4 1"),
}


def _spanish(body: str) -> str:
    """Bank and branch, account: a digit modulo 11 for each, between them."""
    first, second = ("00" + body[:8], body[8:])
    checks = [11 - weighted(part, [2**i % 11 for i in range(10)]) % 11 for part in (first, second)]
    return body[:8] + "".join(str({10: 1, 11: 0}.get(c, c)) for c in checks) + body[8:]


def _belgian(body: str) -> str:
    return f"{body}{int(body) % 97 or 97:02}"


def _norwegian(body: str) -> str:
    return body + one_digit(-weighted(body, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11)


_CHECKED = {
    "es": ("21000418##########", _spanish, "4 4 4 4 4 4"),
    "be": ("5390######", _belgian, "4 4 4 4"),
    "no": ("8601######", _norwegian, "4 4 4 3"),
}
"""Where an account has a check digit of its own."""


def _iban(country: str, shape: str, groups: str, check: Callable[[str], str] = str) -> Draw:
    plain = whole(shape, check, lambda account: iban(country.upper(), account))
    grouped = spaced(plain, groups)
    dashed = spaced(plain, groups.replace(" ", "-"))

    def draw(rng: Random) -> str:
        return rng.choice((plain, plain, grouped, grouped, grouped, dashed))(rng)

    return draw


IBAN: dict[str, Draw] = {c: _iban(c, *how) for c, how in _IBANS.items()}
IBAN |= {c: _iban(c, shape, groups, check) for c, (shape, check, groups) in _CHECKED.items()}

_GIVEN = ("marta", "j.oduya", "s.lindqvist", "kenji_t", "o.haddad", "pilar.rios", "tvdberg", "nina")
_HOSTS = (
    "brightmoor-fixtures.com",
    "mail.kestrel.io",
    "uni-tuebingen.de",
    "orange.fr",
    "gmail.com",
    "outlook.com",
    "proton.me",
    "nhs.net",
    "yahoo.co.jp",
    "web.de",
    "qq.com",
    "correo.unam.mx",
    "bakeri.no",
    "studio.photography",
)


def _address(rng: Random) -> str:
    return f"{rng.choice(_GIVEN)}{some(rng, DIGITS, rng.choice((0, 0, 2, 3)))}@{rng.choice(_HOSTS)}"


EMAIL: dict[str, Draw] = {
    "plain": _address,
    "tag": lambda rng: f"{rng.choice(_GIVEN)}+{rng.choice(('shop', 'inv-24', 'news'))}@gmail.com",
    "upper": lambda rng: _address(rng).upper(),
    "sub": lambda rng: (
        f"{rng.choice(_GIVEN)}@{rng.choice(('hr', 'eu.support', 'cs'))}.harborline.co.uk"
    ),
    "quote": lambda rng: (
        f"{rng.choice(('siobhan.o', 'k.d', 'pat.o'))}'{rng.choice(('brien', 'arcy'))}@eircom.ie"
    ),
    "idn": lambda rng: (
        f"{rng.choice(_GIVEN)}@{rng.choice(('müller-söhne.de', 'café-lumière.fr', 'bücher.ch'))}"
    ),
    "percent": lambda rng: _address(rng).replace("@", "%40"),
    "numeric": lambda rng: f"{some(rng, '123456789', 9)}@qq.com",
    "hyphen": lambda rng: f"anne-sophie.{rng.choice(('leroy', 'petit'))}@{rng.choice(_HOSTS)}",
}


def card(prefixes: tuple[str, ...], length: int, *groups: str) -> Draw:
    """Return what draws a number by Luhn under a prefix, in one of the groupings or in none."""

    def plain(rng: Random) -> str:
        head = rng.choice(prefixes)
        return luhn(head + some(rng, DIGITS, length - len(head) - 1))

    ways = [plain, *(spaced(plain, g) for g in groups)]
    return lambda rng: rng.choice(ways)(rng)


CARD: dict[str, Draw] = {
    "visa": card(("4539", "4716", "4024", "4485"), 16, "4 4 4 4", "4-4-4-4", "4 4 4 4"),
    "master": card(("5212", "5425", "5105", "2223", "2720"), 16, "4 4 4 4", "4-4-4-4"),
    "amex": card(("34", "37"), 15, "4 6 5", "4-6-5"),
    "diners": card(("3056", "36", "38"), 14, "4 6 4"),
    "jcb": card(("3528", "3566", "3589"), 16, "4 4 4 4"),
    "discover": card(("6011", "6445", "65"), 16, "4 4 4 4", "4-4-4-4"),
    "unionpay": card(("6221", "6258"), 16, "4 4 4 4"),
    "unionpay19": card(("6217", "6225"), 19, "6 13", "4 4 4 4 3"),
    "maestro": card(("5018", "6759", "6763"), 16, "4 4 4 4"),
}


def _public(rng: Random) -> str:
    first = rng.choice((5, 31, 46, 62, 77, 84, 91, 104, 134, 151, 178, 185, 188, 195, 212, 217))
    return f"{first}.{rng.randrange(1, 255)}.{rng.randrange(1, 255)}.{rng.randrange(1, 255)}"


def _six(rng: Random) -> str:
    net = rng.choice(("2a01:4f8", "2a02:8109", "2600:1f18", "2001:9e8", "2409:4072", "2804:14d"))
    return f"{net}:{some(rng, '123456789abcdef', 1)}{some(rng, HEX, 3)}:{some(rng, '123456789', 2)}"


IP: dict[str, Draw] = {
    "v4": _public,
    "v6": lambda rng: f"{_six(rng)}::{some(rng, '123456789abcdef', 1)}{some(rng, HEX, 2)}",
    "v6_full": lambda rng: (
        _six(rng) + "".join(f":{some(rng, '123456789abcdef', 4)}" for _ in "abcd")
    ),
    "v6_upper": lambda rng: f"{_six(rng)}::{some(rng, '123456789abcdef', 3)}:1".upper(),
}

MAC: dict[str, Draw] = {
    "colon": lambda rng: ":".join(["3c", "22", *(some(rng, HEX, 2) for _ in "abcd")]),
    "dash": lambda rng: "-".join(["A4", "83", *(some(rng, HEX.upper(), 2) for _ in "abcd")]),
    "dots": lambda rng: ".".join(["0014", some(rng, HEX, 4), some(rng, HEX, 4)]),
    "upper": lambda rng: ":".join(["F0", "18", *(some(rng, HEX.upper(), 2) for _ in "abcd")]),
}

BIRTH: dict[str, Draw] = {
    "iso": lambda rng: f"{day(rng):%Y-%m-%d}",
    "dots": lambda rng: f"{day(rng):%d.%m.%Y}",
    "slash": lambda rng: f"{day(rng):%d/%m/%Y}",
    "us": lambda rng: f"{day(rng):%m/%d/%Y}",
    "us_short": lambda rng: f"{day(rng):%-m/%-d/%y}",
    "compact": lambda rng: f"{day(rng):%Y%m%d}",
    "long": lambda rng: f"{day(rng):%B %-d, %Y}",
    "day_first": lambda rng: f"{day(rng):%-d %B %Y}",
    "short": lambda rng: f"{day(rng):%d-%b-%Y}",
    "dash": lambda rng: f"{day(rng):%d-%m-%Y}",
    "cjk": lambda rng: "{0.year}年{0.month}月{0.day}日".format(day(rng)),
    "kr": lambda rng: "{0.year}년 {0.month}월 {0.day}일".format(day(rng)),
    "showa": lambda rng: (
        f"昭和{rng.randrange(35, 63)}年{rng.randrange(1, 13)}月{rng.randrange(1, 28)}日"
    ),
    "iso_time": lambda rng: f"{day(rng):%Y-%m-%d}T00:00:00Z",
    "slash_ymd": lambda rng: f"{day(rng):%Y/%m/%d}",
    "dot_ymd": lambda rng: f"{day(rng):%Y.%m.%d}",
}

_MONTHS = {
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "tr": "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "cs": "ledna února března dubna května června července srpna září října listopadu prosince",
}
_WRITTEN = {"de": "{}. {} {}", "es": "{} de {} de {}", "pt": "{} de {} de {}", "cs": "{}. {} {}"}


def _written(language: str) -> Draw:
    months, shape = _MONTHS[language].split(), _WRITTEN.get(language, "{} {} {}")

    def draw(rng: Random) -> str:
        born: date = day(rng)
        return shape.format(born.day, months[born.month - 1], born.year)

    return draw


BIRTH |= {language: _written(language) for language in _MONTHS}


def _segwit(prefix: str, version: int, size: int) -> Draw:
    constant = BECH32M if version else 1
    return lambda rng: bech32(prefix, [version, *five_bits(rng.randbytes(size))], constant)


def _stellar(rng: Random) -> str:
    body = bytes([6 << 3]) + rng.randbytes(32)
    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")).decode()


CRYPTO: dict[str, Draw] = {
    "btc": lambda rng: base58check(b"\0" + rng.randbytes(20)),
    "btc_script": lambda rng: base58check(b"\5" + rng.randbytes(20)),
    "btc_segwit": _segwit("bc", 0, 20),
    "btc_taproot": _segwit("bc", 1, 32),
    "eth": lambda rng: eip55(rng.randbytes(20).hex()),
    "eth_lower": lambda rng: "0x" + rng.randbytes(20).hex(),
    "ltc": lambda rng: base58check(b"\x30" + rng.randbytes(20)),
    "ltc_segwit": _segwit("ltc", 0, 20),
    "doge": lambda rng: base58check(b"\x1e" + rng.randbytes(20)),
    "tron": lambda rng: base58check(b"\x41" + rng.randbytes(20)),
    "xrp": lambda rng: base58check(b"\0" + rng.randbytes(20), RIPPLE),
    "xlm": _stellar,
    "ada": lambda rng: bech32("addr", five_bits(b"\x01" + rng.randbytes(56)), 1),
    "cosmos": lambda rng: bech32("cosmos", five_bits(rng.randbytes(20)), 1),
}

_VIN = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"


def _vin(rng: Random) -> str:
    maker = rng.choice(("1HG", "2T1", "3FA", "5YJ", "JTD", "1FT", "4T1", "KMH", "1C4"))
    year = rng.choice("ABCDEFGHJKLMNPR")
    return vin(
        maker + some(rng, _VIN, 5) + "0" + year + some(rng, "ABCDEFGHJK", 1) + some(rng, DIGITS, 6)
    )


VIN: dict[str, Draw] = {
    "plain": _vin,
    "eu": lambda rng: (
        rng.choice(("WVWZZZ1KZ", "WDB203046", "VF1BB05CF", "ZFA312000", "WBA3A5105"))
        + rng.choice("6789ABCDE")
        + rng.choice("WPMA")
        + some(rng, DIGITS, 6)
    ),
    "lower": lambda rng: _vin(rng).lower(),
}


def _ssn(sep: str) -> Draw:
    def draw(rng: Random) -> str:
        area = rng.choice([a for a in range(1, 773) if a != 666])
        return f"{area:03}{sep}{rng.randrange(1, 100):02}{sep}{rng.randrange(1, 10000):04}"

    return draw


def _itin(sep: str) -> Draw:
    def draw(rng: Random) -> str:
        group = rng.choice([*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)])
        return f"9{some(rng, DIGITS, 2)}{sep}{group}{sep}{some(rng, DIGITS, 4)}"

    return draw


_NHS = whole("4########", nhs)

PASSPORTS: dict[str, Draw] = PASSPORT | {
    "nl": one_of("'NR'2####'B'#", "'BX'R4###'K'#"),
    "ch": one_of("'X'#######", "'S0'##'C'###"),
    "se": one_of("8#######", "9#######"),
    "tr": pattern("'U'########"),
    "ua": pattern("'FE'######"),
    "ie": one_of("'PC'#######", "'LB'#######"),
    "gr": one_of("'AK'#######", "'AM'#######"),
    "ph": pattern("'P'#######'A'"),
    "vn": one_of("'B'#######", "'C'#######"),
    "th": one_of("'AA'#######", "'AB'#######"),
    "id": one_of("'B'#######", "'C'#######"),
    "za": pattern("'A'########"),
    "at": one_of("'P'#######", "'U'#######"),
    "pt": one_of("'C'######", "'N'######"),
    "ro": pattern("05#######"),
}
LICENCES: dict[str, Draw] = LICENCE | {
    "pl": pattern("#####/1#/####"),
    "nl": pattern("5#########"),
    "jp": pattern("30##########"),
    "kr": pattern("11-1#-######-##"),
    "br": pattern("0##########"),
    "mi": pattern("@ ### ### ### ###"),
    "oh": one_of("'RT'######", "'UN'######"),
    "pa": pattern("## ### ###"),
    "ga": pattern("0########"),
    "nj": pattern("@#### ##### #####"),
}

PERSONAL: dict[str, dict[str, Draw]] = {
    "email": EMAIL,
    "phone": PHONE,
    "iban": IBAN,
    "credit_card": CARD,
    "ip": IP,
    "mac": MAC,
    "date_of_birth": BIRTH,
    "crypto_address": CRYPTO,
    "vin": VIN,
    "ssn": {"dash": _ssn("-"), "bare": _ssn(""), "space": _ssn(" ")},
    "itin": {"dash": _itin("-"), "bare": _itin(""), "space": _itin(" ")},
    "nhs_number": {"spaced": spaced(_NHS, "3 3 4"), "bare": _NHS, "dash": spaced(_NHS, "3-3-4")},
    "routing_number": {
        "bare": lambda rng: aba(
            f"{rng.choice(('021', '026', '071', '111', '122', '322'))}{some(rng, DIGITS, 5)}"
        )
    },
    "passport": PASSPORTS,
    "driver_license": LICENCES,
    "national_id": NATIONAL,
    "tax_id": TAX,
}
