"""Values that belong to a person or a thing: addresses, numbers of cards and accounts, birthdays.

Phones are drawn in the numbering plans' mobile and landline ranges (North American ones half from
the fictional 555-01xx), addresses of the net outside the ranges kept for documentation.
"""

from __future__ import annotations

from bench.guard_sets.checksums import (
    RIPPLE58,
    aba,
    base58check,
    bech32,
    eip55,
    five_bits,
    iban,
    luhn,
    nhs,
    vin,
)
from bench.guard_sets.drawing import (
    DIGITS,
    HEX,
    LOWER,
    UPPER,
    Draw,
    Random,
    day,
    one_of,
    pattern,
    some,
    spaced,
    whole,
)

FIRST = (
    "maren",
    "tobias",
    "ines",
    "oluwaseun",
    "katarzyna",
    "d.okafor",
    "p.lindqvist",
    "yuki",
    "raj",
    "zeynep",
    "m.castellanos",
    "sophie",
    "liam",
    "anneke",
    "giulia",
    "hugo",
    "pavel",
)
LAST = (
    "ferrante",
    "brandt",
    "oyelaran",
    "sato",
    "kowalczyk",
    "nkemelu",
    "de-vries",
    "haugen",
    "marchetti",
    "pettersson",
    "sharma",
    "yildiz",
    "ouellet",
    "papadakis",
    "reyes",
    "novotny",
)
HOSTS = (
    "brightmoor-fixtures.co.uk",
    "kestrelanalytics.io",
    "hausundgarten-lenz.de",
    "nordlys.no",
    "ateliermirabel.fr",
    "tallerdelsol.es",
    "studiobianchi.it",
    "kwiaciarnia-roza.pl",
    "harborlinefreight.com",
    "quietfox.dev",
    "pochta-vostok.ru",
    "mailhaven.io",
    "letterbox-post.com",
    "quietmail.me",
    "verduraviva.com.br",
    "sakuraya.co.jp",
    "students.uni-talheim.de",
    "oakbend.school.nz",
)


def email(rng: Random) -> str:
    """A plain address: first and last name and a host."""
    joint = rng.choice((".", "_", "-", ""))
    return f"{rng.choice(FIRST)}{joint}{rng.choice(LAST)}@{rng.choice(HOSTS)}"


def email_odd(rng: Random) -> str:
    """An address with digits, a tag, an apostrophe, capitals, a percent sign or a young domain."""
    last, host = rng.choice(LAST).replace("-", ""), rng.choice(HOSTS)
    return rng.choice(
        (
            f"{rng.choice(FIRST)}+{rng.choice(('news', 'jobs2024', 'github'))}@{host}",
            f"{last}{some(rng, DIGITS, 3)}@{host}",
            f"{last.title()}.{rng.choice('ABKLM')}@{host.title()}",
            f"sean.o'{last}@{host}",
            f"{last[:1]}{some(rng, DIGITS, 6)}@stud.{host}",
            f"info@{last}.photography",
            f"x_{last}_{some(rng, LOWER, 2)}@{last}.solutions",
        )
    )


PHONES: dict[str, Draw] = {
    "us": one_of(
        "(212) 555-01##",
        "415-555-01##",
        "312.555.01##",
        "+1 202-555-01##",
        "1-617-555-01##",
        "(646) 27#-4###",
        "+1 (503) 48#-2###",
        "720-36#-7###",
        "+1415555'01'##",
        "'617 '23#' '4###",
    ),
    "uk": one_of(
        "020 7946 0###",
        "+44 20 7946 0###",
        "07400 12####",
        "+44 7911 12####",
        "(0113) 496 0###",
        "0161-496 0###",
        "+44 (0)7400 12####",
        "+44 7700 900###",
    ),
    "de": one_of(
        "+49 30 23125###",
        "030 23125 ###",
        "0151 23####56",
        "+49 (0) 171 39#####",
        "0049 89 99998###",
        "0221/4710###",
        "+49 1575 44#####",
        "(040) 66969-###",
    ),
    "fr": one_of(
        "06 12 34 ## ##",
        "+33 6 39 98 ## ##",
        "01.42.68.##.##",
        "+33 (0)1 44 72 ## ##",
        "0612 34 ## ##",
        "+33 7 56 78 ## ##",
    ),
    "it": one_of("+39 06 698# ####", "347 55# ####", "+39 347 55#####", "02 467# ####"),
    "es": one_of("+34 612 34 ## ##", "612 3# ## ##", "91 123 4# ##", "+34 91 123 4# ##"),
    "nl": one_of("06-1#######", "+31 6 1# ## ## ##", "020 794 ####", "+31 20 794 ####"),
    "be": one_of("+32 470 12 ## ##", "0470/12.##.##", "02 555 ## ##"),
    "ch": one_of("+41 78 123 ## ##", "078 612 ## ##", "044 668 ## ##", "+41 (0)44 668 ## ##"),
    "at": one_of("+43 664 12#####", "0664 12#####", "+43 1 234 5###"),
    "pl": one_of("+48 512 34# ###", "512-34#-###", "22 123 4# ##", "0048 601 2## ###"),
    "se": one_of("070-174 06 ##", "+46 70 174 06 ##", "08-465 004 ##"),
    "ie": one_of("+353 85 012 ####", "085 012 ####", "(01) 234 ####"),
    "pt": one_of("+351 912 34# ###", "912 34# ###", "21 234 ## ##"),
    "gr": one_of("+30 691 234 ####", "21 0345 ####"),
    "cz": one_of("+420 601 12# ###", "601 12# ###"),
    "ru": one_of("+7 (912) 345-##-##", "8 (495) 123-##-##", "8-916-23#-##-##", "+791623#####"),
    "ua": one_of("+380 50 123 ## ##", "(067) 234-##-##", "050 123 ####"),
    "tr": one_of("+90 532 12# ## ##", "0532 12# ## ##", "(0212) 345 ## ##"),
    "il": one_of("+972 50-234-####", "050-234####", "03-612-####"),
    "ae": one_of("+971 50 123 ####", "050 123 ####"),
    "sa": one_of("+966 51 234 ####", "051 234 ####"),
    "eg": one_of("+20 100 123 ####", "0100 123 ####"),
    "in": one_of(
        "+91 81234 5####", "98765 4####", "+91-99100-1####", "011-2374####", "09810######"
    ),
    "cn": one_of("+86 131 2345 ####", "138 0013 ####", "010-6552####", "1391234####"),
    "jp": one_of("090-1234-####", "+81 90-1234-####", "03-3234-####", "0120-123-###"),
    "kr": one_of("010-2000-####", "+82 10-2000-####", "02-312-####"),
    "id": one_of("+62 812-345-###", "0812-3456-####"),
    "vn": one_of("+84 912 345 ###", "0912 34# ###"),
    "ph": one_of("+63 905 123 ####", "0905 123 ####"),
    "th": one_of("081 234 ####", "+66 81 234 ####"),
    "sg": one_of("+65 8123 4###", "6123 4###"),
    "au": one_of("0412 34# ###", "+61 412 34# ###", "(02) 5550 ####", "+61 2 7010 ####"),
    "nz": one_of("021 123 4###", "+64 21 123 4###"),
    "za": one_of("071 123 ####", "+27 71 123 ####"),
    "ng": one_of("0802 123 ####", "+234 802 123 ####"),
    "ke": one_of("0712 123###", "+254 712 123###"),
    "br": one_of("(11) 96123-####", "+55 21 96123-####", "(31) 3456-####", "11 9 6123-####"),
    "mx": one_of("+52 55 1234 ####", "55 1234 ####", "(33) 1234-####"),
    "ar": one_of("+54 9 11 2345-####", "011 4345-####"),
    "cl": one_of("+56 9 6123 ####", "2 2123 ####"),
    "co": one_of("+57 321 123 ####", "321 123 ####"),
}

_VISA, _MASTER = whole("4##############", luhn), whole("52#############", luhn)
_AMEX, _DINERS = whole("37############", luhn), whole("36###########", luhn)
CARDS: dict[str, Draw] = {
    "visa": _VISA,
    "visa_spaced": spaced(_VISA, "4 4 4 4"),
    "visa_dashed": spaced(_VISA, "4-4-4-4"),
    "visa13": whole("4###########", luhn),
    "visa_wide": spaced(_VISA, "4\u00a04\u00a04\u00a04"),
    "master": _MASTER,
    "master_spaced": spaced(_MASTER, "4 4 4 4"),
    "master2": spaced(whole("2222###########", luhn), "4 4 4 4"),
    "amex": _AMEX,
    "amex_spaced": spaced(_AMEX, "4 6 5"),
    "diners": _DINERS,
    "diners_spaced": spaced(_DINERS, "4 6 4"),
    "discover": whole("6011###########", luhn),
    "discover_dashed": spaced(whole("65#############", luhn), "4-4-4-4"),
    "jcb": spaced(whole("3530###########", luhn), "4 4 4 4"),
    "maestro": whole("6304##############", luhn),
    "maestro12": spaced(whole("5018#######", luhn), "4 4 4"),
    "unionpay": spaced(whole("62#############", luhn), "4 4 4 4"),
    "unionpay19": whole("622###############", luhn),
    "mir": spaced(whole("2200###########", luhn), "4 4 4 4"),
}

_ACCOUNTS = {
    "de": "##################",
    "gb": "'NWBK'##############",
    "fr": "###########'0A0B'########",
    "nl": "'ABNA'0#########",
    "es": "####################",
    "it": "'X'######################",
    "be": "############",
    "ch": "#####0###########",
    "at": "################",
    "pl": "########################",
    "se": "####################",
    "no": "###########",
    "dk": "##############",
    "fi": "##############",
    "pt": "#####################",
    "ie": "'AIBK'##############",
    "lu": "###'0A1B2C3D4E5F'#",
    "cz": "####################",
    "ro": "'AAAA1B31'############",
    "tr": "######################",
    "sa": "##'0000'##############",
    "ae": "###################",
    "br": "#######################'P1'",
    "gr": "#######################",
    "mt": "'MALT'################'A'######",
}


def account(country: str) -> Draw:
    """Return what draws an IBAN of this country."""
    body = pattern(_ACCOUNTS[country])
    return lambda rng: iban(country.upper(), body(rng))


IBANS: dict[str, Draw] = {c: spaced(account(c), "4 4 4 4 4 4 4 4") for c in _ACCOUNTS}
IBANS |= {f"{c}_plain": account(c) for c in _ACCOUNTS}
IBANS["de_small"] = lambda rng: account("de")(rng).lower()
IBANS["fr_dashed"] = spaced(account("fr"), "4-4-4-4-4-4-4")


def ssn(rng: Random) -> str:
    """Social Security Administration: no 000, 666 or 9xx, no zero group or serial."""
    area = rng.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03}-{rng.randrange(1, 100):02}-{rng.randrange(1, 10000):04}"


def itin(rng: Random) -> str:
    """IRS: 9xx with group 50-65, 70-88, 90-92 or 94-99."""
    group = rng.choice([*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)])
    return f"9{some(rng, DIGITS, 2)}-{group}-{some(rng, DIGITS, 4)}"


def public_ipv4(rng: Random) -> str:
    """An address of the open net."""
    first = rng.choice((23, 31, 45, 52, 62, 77, 81, 91, 109, 134, 151, 178, 185, 193, 212, 217))
    return f"{first}.{rng.randrange(4, 250)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"


def ipv6(rng: Random) -> str:
    """An address of the open net, whole or shortened."""
    first = rng.choice(("2a00", "2a02", "2600", "2607", "2001", "2400"))
    second = some(rng, "123456789abc", 1) + some(rng, HEX, 3)
    groups = [some(rng, "123456789abcdef", 1) + some(rng, HEX, 3) for _ in range(6)]
    tails = (
        ":".join(groups),
        f"{groups[0]}::{groups[1]}",
        f":{rng.randrange(1, 99)}",
        f"{groups[0]}:{groups[1]}::1",
    )
    return f"{first}:{second}:{rng.choice(tails)}"


def mac(rng: Random) -> str:
    """Six octets; the first is that of a maker's block."""
    start = rng.choice(("00", "3c", "a4", "f0", "b8", "dc", "48", "70"))
    return start + "".join(f"{rng.randrange(256):02x}" for _ in range(5))


def dotted_mac(rng: Random) -> str:
    """The writing of network switches: three groups of four."""
    text = mac(rng)
    return f"{text[:4]}.{text[4:8]}.{text[8:]}"


def car(rng: Random) -> str:
    """A vehicle's seventeen places: maker, type, check, year, plant, serial."""
    maker = rng.choice(
        ("1HG", "2T1", "3FA", "5YJ", "JTD", "KMH", "WVW", "WBA", "1FT", "1G1", "VF1")
    )
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
    return vin(
        f"{maker}{some(rng, letters, 5)}0{some(rng, 'ABCDEFGHJKLMNPR', 1)}"
        f"{some(rng, UPPER[:8], 1)}{some(rng, DIGITS, 6)}"
    )


def hashed(version: bytes, alphabet: str = "") -> Draw:
    """Return what draws a version byte and twenty bytes as base58check."""
    extra = (alphabet,) if alphabet else ()
    return lambda rng: base58check(version + rng.randbytes(20), *extra)


def segwit(prefix: str, version: int, size: int) -> Draw:
    """Return what draws a witness address of this version and size in bytes."""
    constant = 0x2BC830A3 if version else 1
    return lambda rng: bech32(prefix, [version, *five_bits(rng.randbytes(size))], constant)


COINS: dict[str, Draw] = {
    "btc": hashed(b"\x00"),
    "btc_script": hashed(b"\x05"),
    "btc_segwit": segwit("bc", 0, 20),
    "btc_taproot": segwit("bc", 1, 32),
    "eth": lambda rng: eip55(some(rng, HEX, 40)),
    "eth_small": lambda rng: "0x" + some(rng, HEX, 40),
    "ltc": hashed(b"\x30"),
    "ltc_segwit": segwit("ltc", 0, 20),
    "doge": hashed(b"\x1e"),
    "tron": hashed(b"\x41"),
    "xrp": hashed(b"\x00", RIPPLE58),
}

_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
    "dicembre",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października "
    "listopada grudnia",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
}


def birthday(shape: str, language: str = "en") -> Draw:
    """Return what writes a birthday; ``{m}`` is the month's name in that language."""

    def draw(rng: Random) -> str:
        born = day(rng)
        name = _MONTHS[language].split()[born.month - 1]
        return shape.format(born, m=name, short=name[:3], d=born.day, n=born.month, y=born.year)

    return draw


BIRTHDAYS: dict[str, Draw] = {
    "iso": birthday("{0:%Y-%m-%d}"),
    "us": birthday("{0:%m/%d/%Y}"),
    "us_short": birthday("{n}/{d}/{0:%y}"),
    "uk": birthday("{0:%d/%m/%Y}"),
    "dots": birthday("{0:%d.%m.%Y}"),
    "dashes": birthday("{0:%d-%m-%Y}"),
    "en": birthday("{m} {d}, {y}"),
    "en_day": birthday("{d} {m} {y}"),
    "en_short": birthday("{d}-{short}-{y}"),
    "de": birthday("{d}. {m} {y}", "de"),
    "fr": birthday("{d} {m} {y}", "fr"),
    "es": birthday("{d} de {m} de {y}", "es"),
    "it": birthday("{d} {m} {y}", "it"),
    "pl": birthday("{d} {m} {y}", "pl"),
    "ru": birthday("{d} {m} {y}", "ru"),
    "cjk": birthday("{y}年{n}月{d}日"),
    "ko": birthday("{y}년 {n}월 {d}일"),
    "compact": birthday("{0:%Y%m%d}"),
}

_NHS = whole("4########", nhs)
PII: dict[str, dict[str, Draw]] = {
    "email": {"plain": email, "odd": email_odd},
    "phone": PHONES,
    "credit_card": CARDS,
    "iban": IBANS,
    "ssn": {
        "dashed": ssn,
        "spaced": lambda rng: ssn(rng).replace("-", " "),
        "plain": lambda rng: ssn(rng).replace("-", ""),
    },
    "itin": {
        "dashed": itin,
        "spaced": lambda rng: itin(rng).replace("-", " "),
        "plain": lambda rng: itin(rng).replace("-", ""),
    },
    "routing_number": {
        "plain": whole("02######", aba),
        "west": whole("121#####", aba),
        "mid": whole("07######", aba),
        "net": whole("31######", aba),
    },
    "ip": {"v4": public_ipv4, "v6": ipv6},
    "mac": {
        "colon": spaced(mac, "2:2:2:2:2:2"),
        "dash": spaced(mac, "2-2-2-2-2-2"),
        "upper": lambda rng: spaced(mac, "2:2:2:2:2:2")(rng).upper(),
        "cisco": dotted_mac,
    },
    "crypto_address": COINS,
    "vin": {"plain": car, "small": lambda rng: car(rng).lower()},
    "date_of_birth": BIRTHDAYS,
    "nhs_number": {"spaced": spaced(_NHS, "3 3 4"), "plain": _NHS, "dashed": spaced(_NHS, "3-3-4")},
}
