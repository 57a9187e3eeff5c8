"""Values of the second set that belong to a person or a thing, and fillers that are none.

Check digits come from ``checksums`` and ``ids``; the ways of writing are this file's own.
"""

from __future__ import annotations

# ruff: noqa: E501
import base64
import ipaddress
import uuid
from datetime import UTC, datetime

from bench.guard_sets import ids
from bench.guard_sets.checksums import (
    BASE58,
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
    ALNUM,
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

PEOPLE = (
    ("Agnieszka", "Wrona"), ("Bilal", "Chaudhry"), ("Carmen", "Ibarra"), ("Dorothea", "Klinge"),
    ("Emeka", "Nwosu"), ("Fleur", "Vandamme"), ("Gareth", "Pugh"), ("Hanneke", "Bos"),
    ("Ilse", "Thorvald"), ("Jorge", "Quiroga"), ("Kirsi", "Laaksonen"), ("Luca", "Ferrero"),
    ("Mei", "Huang"), ("Niamh", "Gallagher"), ("Ottavia", "Serra"), ("Priya", "Raman"),
    ("Quentin", "Lemaire"), ("Rosalind", "Achebe"), ("Stellan", "Ek"), ("Tamar", "Gelashvili"),
    ("Umberto", "Nardi"), ("Vesna", "Kovac"), ("Wendell", "Stubbs"), ("Xiomara", "Delgado"),
)  # fmt: skip
MAIL_HOSTS = (
    "gmail.com", "outlook.com", "proton.me", "web.de", "gmx.net", "orange.fr", "libero.it",
    "wp.pl", "hotmail.co.uk", "yahoo.com", "icloud.com", "fastmail.com", "seznam.cz",
    "alderway-dental.com", "tern-and-co.org", "voltmark.eu", "mail.gov.ie", "hvk.hu", "uni-ost.ac.at",
    "post.rivertown.k12.oh.us", "wexcombe.nhs.uk", "nimbus-cargo.sg", "padaria-luz.pt", "lumen.health",
)  # fmt: skip


def person(rng: Random) -> str:
    """A full name."""
    return " ".join(rng.choice(PEOPLE))


def email(rng: Random) -> str:
    """A common way of making an address of a name."""
    first, last = (part.lower() for part in rng.choice(PEOPLE))
    local = rng.choice((
        f"{first}.{last}", f"{first[0]}{last}", f"{last}{first[0]}", f"{first}{some(rng, DIGITS, 2)}",
        f"{first}_{last}", f"{first}.{last}{rng.randrange(1950, 2004)}", f"{last}+{some(rng, LOWER, 4)}",
        f"{first}-{last}", f"{first[0]}.{last[0]}.{last}", f"{first.title()}.{last.title()}",
        f"{last.upper()}",
    ))  # fmt: skip
    return f"{local}@{rng.choice(MAIL_HOSTS)}"


PHONES: dict[str, Draw] = {
    "us": one_of("(303) 7##-4###", "+1 704 3##-9###", "206.4##.7###", "1 (919) 8##-2###",
                 "503-2##-6###", "+18135##4###", "917 6## 3###", "(214)7##-8###"),
    "ca": one_of("+1 (604) 6##-3###", "416-9##-2###", "514 8##-7###"),
    "uk": one_of("07400 ######", "+44 7584 ######", "0117 92# ####",
                 "(0131) 55# ####", "+44 (0)20 8### ####", "07463######", "0044 7763 ######"),
    "de": one_of("0176 2#######", "+49 176 2#######", "089 / 54 32 #1 #", "+49 (0)89 5432 ####",
                 "0211-86####", "+49-1523-4######", "(0341) 96 ### ##"),
    "fr": one_of("06.8#.##.##.##", "+33 6 7# ## ## ##", "01 53 ## ## ##", "+33(0)4 72 ## ## ##",
                 "07-6#-##-##-##", "0033 6 2# ## ## ##"),
    "it": one_of("+39 333 4## ####", "338/5######", "06 4### ####", "+39 02 8### ####"),
    "es": one_of("+34 655 ## ## ##", "93 4## ## ##", "644-###-###", "+34 91 5## ## ##"),
    "nl": one_of("06 2# ## ## ##", "+31 (0)6 4# ### ###", "+31-20-6## ####", "010-4## ####"),
    "be": one_of("0475 ## ## ##", "+32 (0)2 5## ## ##", "+32 486 ## ## ##"),
    "at": one_of("+43 676 #######", "0699 1#######", "+43 (0)1 58# ####"),
    "ch": one_of("+41 79 4## ## ##", "076 3## ## ##", "+41 (0)31 3## ## ##"),
    "pl": one_of("+48 603 ### ###", "503 ### ###", "(22) 6## ## ##", "+48 12 4## ## ##"),
    "cz": one_of("+420 724 ### ###", "+420 777######"),
    "se": one_of("+46 (0)70 3## ## ##", "073-5## ## ##", "+46 8 5## ### ##"),
    "dk": one_of("+45 26 ## ## ##", "+45 22 3# ## ##"),
    "no": one_of("+47 92# ## ###", "+47 480 ## ###"),
    "fi": one_of("+358 40 5######", "040 7## ####", "+358 50 4## ####"),
    "pt": one_of("+351 91# ### ###", "96# ### ###", "+351 21 3## ####"),
    "ie": one_of("+353 87 2######", "(086) 8## ####", "01 6## ####"),
    "gr": one_of("+30 694 ### ####", "210 6## ####"),
    "in": one_of("+91 98### #####", "+91-93########", "099########", "022-26## ####"),
    "cn": one_of("+86 139 #### ####", "186 #### ####", "+86 21 5### ####"),
    "jp": one_of("+81 80 4### ####", "080-3###-####", "03-5###-####", "+81-6-6###-####"),
    "kr": one_of("010-4###-####", "+82 10 8### ####", "02-7##-####"),
    "br": one_of("+55 11 9 8###-####", "(21) 99###-####", "+55 (41) 3###-####"),
    "mx": one_of("+52 55 3### ####", "+52 33 2### ####"),
    "ar": one_of("+54 9 11 5###-####", "(011) 4###-####"),
    "za": one_of("082 4## ####", "+27 83 3## ####"),
    "ng": one_of("+234 803 ### ####", "0803 ### ####"),
    "au": one_of("0415 ### ###", "+61 438 ### ###", "(03) 9### ####"),
    "nz": one_of("+64 27 4## ####", "021 5## ###"),
    "sg": one_of("+65 91## ####", "+65 67## ####"),
    "tr": one_of("+90 533 ### ## ##", "0542 ### ## ##"),
    "il": one_of("+972 54-4##-####", "052-6######"),
    "ae": one_of("+971 50 6## ####", "055 7## ####"),
    "ru": one_of("+7 916 ###-##-##", "8 (903) ###-##-##"),
    "ua": one_of("+380 67 ### ## ##", "095 ### ## ##"),
}  # fmt: skip


def grouped(shape: str, groups: str) -> Draw:
    """Return what draws a card number in these groups."""
    return spaced(whole(shape, luhn), groups)


CARDS: dict[str, Draw] = {
    "visa_plain": whole("4##############", luhn),
    "visa_groups": grouped("4##############", "4 4 4 4"),
    "visa_dash": grouped("4##############", "4-4-4-4"),
    "master_plain": whole("53#############", luhn),
    "master_groups": grouped("55#############", "4 4 4 4"),
    "master_two": grouped("2720###########", "4-4-4-4"),
    "amex_plain": whole("34############", luhn),
    "amex_groups": grouped("37############", "4 6 5"),
    "amex_dash": grouped("34############", "4-6-5"),
    "discover": grouped("6011###########", "4 4 4 4"),
    "diners": whole("36###########", luhn),
    "jcb": grouped("3566###########", "4 4 4 4"),
    "unionpay": whole("62#############", luhn),
    "visa_dots": grouped("4##############", "4.4.4.4"),
}

_BANKS = {
    "de": "##################", "gb": "'BARC'##############", "fr": "#######################",
    "nl": "'INGB'##########", "es": "####################", "it": "'K'######################",
    "be": "############", "ch": "#################", "at": "################",
    "pl": "########################", "se": "####################", "no": "###########",
    "dk": "##############", "fi": "##############", "pt": "#####################",
    "ie": "'BOFI'##############", "lu": "################", "cz": "####################",
    "hu": "########################", "gr": "#######################", "lt": "################",
    "lv": "'HABA'#############", "ee": "################", "hr": "#################",
    "si": "###############", "sk": "####################", "bg": "'UNCR'##############",
    "tr": "#####0################", "ae": "###################", "il": "###################",
}  # fmt: skip


def account(country: str) -> Draw:
    """Return what draws an IBAN of this country."""
    body = pattern(_BANKS[country])
    return lambda rng: iban(country.upper(), body(rng))


IBANS = {c: spaced(account(c), "4 4 4 4 4 4 4 4") for c in _BANKS}
IBANS |= {f"{c}_plain": account(c) for c in _BANKS}


def area(rng: Random) -> str:
    """The first three digits of an SSN as they are given out."""
    return f"{rng.choice([n for n in range(1, 900) if n != 666]):03}"


def ssn(gap: str) -> Draw:
    """Return what draws an SSN with this between its parts."""
    return lambda rng: gap.join(
        (area(rng), f"{rng.randrange(1, 100):02}", f"{rng.randrange(1, 10000):04}")
    )


def itin(gap: str) -> Draw:
    """Return what draws an ITIN (IRS: 9xx, group 50-65, 70-88, 90-92, 94-99)."""
    groups = [*range(50, 66), *range(70, 89), 90, 91, 92, *range(94, 100)]
    return lambda rng: gap.join(
        ("9" + some(rng, DIGITS, 2), f"{rng.choice(groups)}", some(rng, DIGITS, 4))
    )


def ipv4(rng: Random) -> str:
    """A public address."""
    while True:
        found = ipaddress.IPv4Address(rng.randrange(11 << 24, 223 << 24))
        if found.is_global and int(found) & 255:
            return str(found)


def ipv6(rng: Random) -> str:
    """A public address of a block that is in use."""
    head = rng.choice(("2a01:4f8", "2600:1f18", "2606:4700", "2a00:1450", "2001:41d0", "2404:6800",
                       "2a02:8109", "2804:14c"))  # fmt: skip
    number = int(ipaddress.IPv6Address(head + "::")) + rng.getrandbits(rng.choice((8, 64, 92)))
    return str(ipaddress.IPv6Address(number))


def octets(rng: Random) -> str:
    """Twelve hex digits of a maker's block."""
    return rng.choice(("e4b97a", "74d435", "001b63", "9c93e4", "d8bb2c", "b827eb")) + some(
        rng, HEX, 6
    )


def raw58(data: bytes) -> str:
    """Base 58 without a check."""
    number, out = int.from_bytes(data), ""
    while number:
        number, rest = divmod(number, 58)
        out = BASE58[rest] + out
    return out


def witness(prefix: str, version: int, size: int) -> Draw:
    """Return what draws a witness address."""
    constant = 0x2BC830A3 if version else 1
    return lambda rng: bech32(prefix, [version, *five_bits(rng.randbytes(size))], constant)


CAR = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"


def car(rng: Random) -> str:
    """A North American vehicle, with its check digit."""
    maker = rng.choice(("1C4", "1N4", "4T1", "5NP", "2HG", "3VW", "1GC", "5UX", "JM1", "KNA"))
    return vin(f"{maker}{some(rng, CAR, 5)}0{rng.choice('HJKLMNPRS')}{rng.choice('ABGMSU')}"
               f"{some(rng, DIGITS, 6)}")  # fmt: skip


def car_eu(rng: Random) -> str:
    """A European vehicle: no check digit at the ninth place."""
    maker = rng.choice(("WVWZZZ1KZ", "WAUZZZ8V6", "VF3LBHZTX", "ZFA31200Z", "TMBJJ7NE0", "WF0AXXWPB",
                        "VSSZZZ5FZ", "YV1FW08V9", "SALGA2VE0", "W0L0AHL48"))  # fmt: skip
    return f"{maker}{rng.choice('ABCDEFGHJ')}{rng.choice('ABWPM')}{some(rng, DIGITS, 6)}"


_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
}


def born(shape: str, language: str = "en") -> Draw:
    """Return what writes a birthday in this shape."""

    def draw(rng: Random) -> str:
        date = day(rng, 1935, 2009)
        month = _MONTHS[language].split()[date.month - 1]
        return shape.format(date, m=month, s=month[:3], d=date.day, n=date.month, y=date.year,
                            th={1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd",
                                31: "st"}.get(date.day, "th"))  # fmt: skip

    return draw


BIRTHS: dict[str, Draw] = {
    "iso": born("{0:%Y-%m-%d}"), "us": born("{0:%m/%d/%Y}"), "us_loose": born("{n}/{d}/{y}"),
    "eu": born("{0:%d/%m/%Y}"), "dot": born("{0:%d.%m.%Y}"), "dot_loose": born("{d}.{n}.{y}"),
    "dash": born("{0:%d-%m-%Y}"), "long": born("{m} {d}, {y}"), "ordinal": born("{d}{th} of {m} {y}"),
    "ordinal_us": born("{m} {d}{th}, {y}"), "abbr": born("{d} {s} {y}"), "abbr_us": born("{s} {d}, {y}"),
    "compact": born("{0:%Y%m%d}"), "slash_iso": born("{0:%Y/%m/%d}"), "two": born("{0:%d/%m/%y}"),
    "de": born("{d}. {m} {y}", "de"), "fr": born("{d} {m} {y}", "fr"),
    "es": born("{d} de {m} de {y}", "es"), "nl": born("{d} {m} {y}", "nl"),
    "pt": born("{d} de {m} de {y}", "pt"), "sv": born("{d} {m} {y}", "sv"),
    "ja": born("{y}年{n}月{d}日"),
}  # fmt: skip


def cpr(rng: Random) -> str:
    """Denmark: birthday and four digits; the check digit was given up in 2007."""
    return f"{day(rng, 1950, 1999):%d%m%y}-{some(rng, '123', 1)}{some(rng, DIGITS, 3)}"


def thai(body: str) -> str:
    """Thailand: weights 13 to 2 modulo 11."""
    total = sum(int(d) * (13 - i) for i, d in enumerate(body))
    return f"{body}{(11 - total % 11) % 10}"


def egn(rng: Random) -> str:
    """Bulgaria: weights 2 4 8 5 10 9 7 3 6 modulo 11 modulo 10."""
    body = f"{day(rng, 1950, 1999):%y%m%d}{some(rng, DIGITS, 3)}"
    total = sum(int(d) * w for d, w in zip(body, (2, 4, 8, 5, 10, 9, 7, 3, 6), strict=True))
    return f"{body}{total % 11 % 10}"


def utr(rng: Random) -> str:
    """United Kingdom, self assessment: the first digit checks the nine after it."""
    body = some(rng, DIGITS, 9)
    weights = (6, 7, 8, 9, 10, 5, 4, 3, 2)
    total = sum(int(d) * w for d, w in zip(body, weights, strict=True))
    return "21987654321"[total % 11] + body


def ppsn(rng: Random) -> str:
    """Ireland: weights 8 to 2 modulo 23, a letter."""
    body = some(rng, DIGITS, 7)
    total = sum(int(d) * (8 - i) for i, d in enumerate(body))
    return body + "WABCDEFGHIJKLMNOPQRSTUV"[total % 23]


def rodne(rng: Random) -> str:
    """Czechia: ten digits that eleven divides."""
    while True:
        date = day(rng, 1955, 1999)
        month = date.month + 50 * (rng.random() < 0.5)
        body = f"{date:%y}{month:02}{date:%d}{some(rng, DIGITS, 3)}"
        rest = int(body) % 11
        if rest < 10 and (int(body) * 10 + rest) % 11 == 0:
            return f"{body[:6]}/{body[6:]}{rest}"


NATIONAL = ids.NATIONAL | {
    "dk": cpr,
    "th": spaced(whole("N###########", thai), "1-4-5-2-1"),
    "bg": egn,
    "ie": ppsn,
    "cz": rodne,
    "nl_spaced": spaced(whole("1N######", ids.bsn), "4.2.3"),
    "fr_tight": ids.nir,
    "uk_tight": lambda rng: (
        f"{rng.choice('JNPST')}{rng.choice('ABCEHJ')}{some(rng, DIGITS, 6)}{rng.choice('ABCD')}"
    ),
}
TAX = ids.TAX | {
    "nl_vat": lambda rng: f"NL{whole('1N######', ids.bsn)(rng)}B0{rng.randrange(1, 4)}",
    "it_vat": whole("0#########", luhn, lambda t: "IT" + t),
    "uk_utr": utr,
    "us_ein": one_of("27-#######", "45-#######", "81-#######"),
}
LICENCE = ids.LICENCE | {
    "oh": lambda rng: f"{some(rng, UPPER, 2)}{some(rng, DIGITS, 6)}",
    "nj": pattern("@#### ##### #####"),
    "mi": pattern("@ ### ### ### ###"),
    "va": pattern("@########"),
    "md": pattern("@-###-###-###-###"),
    "nl": pattern("5#########"),
}
PASSPORT = ids.PASSPORT | {
    "nl": lambda rng: (
        f"N{some(rng, 'BCDFGHJKLMNPRST', 1)}{some(rng, 'BCDFGHJKLMPR0123456789', 6)}{rng.choice(DIGITS)}"
    ),
    "ie": pattern("'P'@#######"),
    "se": pattern("3#######"),
    "ch": pattern("'X'#######"),
    "nz": pattern("'LA'######"),
}


def moment_in(shape: str) -> Draw:
    """Return what writes a moment of the years 2022 to 2026."""

    def draw(rng: Random) -> str:
        moment = datetime.fromtimestamp(rng.randrange(1_642_000_000, 1_790_000_000), UTC)
        return moment.strftime(shape)

    return draw


_NHS = whole("4########", nhs)
VALUES: dict[str, dict[str, Draw]] = {
    "email": {"plain": email},
    "phone": PHONES,
    "credit_card": CARDS,
    "iban": IBANS,
    "ssn": {"dash": ssn("-"), "space": ssn(" "), "plain": ssn("")},
    "itin": {"dash": itin("-"), "space": itin(" "), "plain": itin("")},
    "ip": {"v4": ipv4, "v6": ipv6},
    "mac": {
        "colon": spaced(octets, "2:2:2:2:2:2"),
        "dash": lambda rng: spaced(octets, "2-2-2-2-2-2")(rng).upper(),
        "upper": lambda rng: spaced(octets, "2:2:2:2:2:2")(rng).upper(),
        "cisco": spaced(octets, "4.4.4"),
    },
    "crypto_address": {
        "btc": lambda rng: base58check(b"\x00" + rng.randbytes(20)),
        "btc_script": lambda rng: base58check(b"\x05" + rng.randbytes(20)),
        "btc_segwit": witness("bc", 0, 20),
        "btc_script_segwit": witness("bc", 0, 32),
        "btc_taproot": witness("bc", 1, 32),
        "eth": lambda rng: eip55(some(rng, HEX, 40)),
        "eth_small": lambda rng: "0x" + some(rng, HEX, 40),
        "tron": lambda rng: base58check(b"\x41" + rng.randbytes(20)),
        "ltc": witness("ltc", 0, 20),
        "doge": lambda rng: base58check(b"\x1e" + rng.randbytes(20)),
        "sol": lambda rng: raw58(rng.randbytes(32)),
    },
    "date_of_birth": BIRTHS,
    "passport": PASSPORT,
    "vin": {"us": car, "eu": car_eu},
    "nhs_number": {
        "plain": _NHS,
        "space": spaced(_NHS, "3 3 4"),
        "dash": spaced(_NHS, "3-3-4"),
        "six": spaced(whole("6########", nhs), "3 3 4"),
    },
    "driver_license": LICENCE,
    "routing_number": {
        "east": whole("0210####", aba),
        "west": whole("1220####", aba),
        "mid": whole("0740####", aba),
        "south": whole("2650####", aba),
        "thrift": whole("3222####", aba),
    },
    "national_id": NATIONAL,
    "tax_id": TAX,
}

NONE: dict[str, Draw] = {
    "person": person,
    "given": lambda rng: rng.choice(PEOPLE)[0],
    "firm": lambda rng: rng.choice(
        ("Alderway Dental", "Nimbus Cargo", "Voltmark", "Tern & Co", "Hollis Group")
    ),
    "town": lambda rng: rng.choice(
        ("Leeds", "Graz", "Porto", "Tampere", "Boise", "Gdynia", "Lyon", "Cork", "Bergen")
    ),
    "uuid": lambda rng: str(uuid.UUID(bytes=rng.randbytes(16), version=4)),
    "sha1": lambda rng: rng.choice("abcdef") + some(rng, HEX, 39),
    "sha256": lambda rng: rng.choice("abcdef") + some(rng, HEX, 63),
    "short": lambda rng: rng.choice("abcdef") + some(rng, HEX, 6),
    "md5": lambda rng: rng.choice("abcdef") + some(rng, HEX, 31),
    "sri": lambda rng: "sha512-" + base64.b64encode(rng.randbytes(64)).decode(),
    "iso": moment_in("%Y-%m-%dT%H:%M:%SZ"),
    "stamp": moment_in("%Y-%m-%d %H:%M:%S"),
    "date": moment_in("%Y-%m-%d"),
    "usdate": moment_in("%m/%d/%Y"),
    "syslog": moment_in("%b %d %H:%M:%S"),
    "epoch": lambda rng: str(rng.randrange(1_642_000_000, 1_790_000_000)),
    "year": lambda rng: str(rng.randrange(1870, 2026)),
    "order": one_of("'ORD'-7####-##", "#'-'######", "'SO'2026#####", "'PO'-88###", "'A'#####/26"),
    "invoice": one_of("'INV'-2026-####", "'RE' 26/####", "'F'-2026-0####", "'FV'/##/2026"),
    "track": one_of("'1Z'8##'F'##0#########", "'CP'#########'DE'", "'JD'0141########'00'"),
    "isbn": one_of("978-0-###-#####-4", "978-3-16-######-1"),
    "ver": lambda rng: f"{rng.randrange(9)}.{rng.randrange(40)}.{rng.randrange(25)}",
    "priv": lambda rng: rng.choice(
        ("10.{}.{}.{}", "192.168.{0}.{2}", "172.20.{}.{}", "169.254.{}.{}", "127.0.0.{3}")
    ).format(*(rng.randrange(2, 250) for _ in range(4))),
    "doc": lambda rng: rng.choice(("192.0.2.{}", "198.51.100.{}", "203.0.113.{}")).format(
        rng.randrange(2, 250)
    ),
    "n": lambda rng: str(rng.randrange(2, 90)),
    "int": lambda rng: str(rng.randrange(100, 90_000)),
    "ms": lambda rng: f"{rng.uniform(0.3, 800):.2f}",
    "money": lambda rng: f"{rng.randrange(12, 2400)}.{rng.randrange(100):02}",
    "word": lambda rng: rng.choice(
        ("ledger", "intake", "catalog", "courier", "beacon", "atlas", "ferry")
    ),
    "ident": lambda rng: some(rng, LOWER, 5),
    "nano": lambda rng: some(rng, ALNUM, 10),
    "port": lambda rng: str(rng.choice((3000, 4000, 5000, 5433, 6380, 7070, 8081, 9200))),
}
