"""Numbers of states for the fourth set: those of `ids.py` and as many countries more.

Each check digit after the scheme that its office publishes; numbers without one are drawn in their
published form and only stand where a word names them.
"""

from __future__ import annotations

from bench.guard_sets import ids
from bench.guard_sets.checksums import (
    NoCheckDigit,
    luhn,
    mod11_10,
    mod97,
    one_digit,
    weighted,
)
from bench.guard_sets.drawing import DIGITS, UPPER, Draw, Random, day, one_of, some, spaced, whole


def cpr(rng: Random) -> str:
    """Denmark: the birthday and four digits; the old check digit is no longer promised."""
    return f"{day(rng):%d%m%y}-{rng.randrange(1, 4000):04}"


def rodne_cislo(rng: Random) -> str:
    """Czechia and Slovakia: ten digits divide by 11; women's months are raised by 50."""
    born, woman = day(rng, 1955, 1999), rng.random() < 0.5
    head = f"{born:%y}{born.month + 50 * woman:02}{born:%d}"
    while True:
        body = head + some(rng, DIGITS, 3)
        rest = int(body) % 11
        if rest < 10:
            return f"{head}/{body[6:]}{rest}"


def egn(rng: Random) -> str:
    """Bulgaria: weights 2 4 8 5 10 9 7 3 6 modulo 11, ten is zero."""
    born = day(rng, 1942, 1999)
    body = f"{born:%y%m%d}{some(rng, DIGITS, 3)}"
    return f"{body}{weighted(body, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10}"


def baltic(rng: Random) -> str:
    """Estonia and Lithuania: two rounds of weights modulo 11."""
    born = day(rng, 1942, 1999)
    body = f"{rng.choice('34')}{born:%y%m%d}{some(rng, DIGITS, 3)}"
    rest = weighted(body, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if rest == 10:
        rest = weighted(body, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return f"{body}{rest}"


def amka(rng: Random) -> str:
    """Greece, social security: birthday, four digits, Luhn."""
    return luhn(f"{day(rng):%d%m%y}{some(rng, DIGITS, 4)}")


def pps(rng: Random) -> str:
    """Ireland: seven digits and a letter modulo 23; new ones have an A after it."""
    body = some(rng, "123456789", 1) + some(rng, DIGITS, 6)
    second = rng.choice(("", "A"))
    total = weighted(body, range(8, 1, -1)) + 9 * bool(second)
    return f"{body}{'WABCDEFGHIJKLMNOPQRSTUV'[total % 23]}{second}"


def hkid(rng: Random) -> str:
    """Hong Kong: a letter, six digits, a digit modulo 11 in brackets; ten is A."""
    body = rng.choice("ABCDEGHKPRVYZ") + some(rng, DIGITS, 6)
    values = [36, int(body[0], 36), *map(int, body[1:])]
    total = sum(v * w for v, w in zip(values, range(9, 1, -1), strict=True))
    return f"{body}({'0123456789A'[-total % 11]})"


def taiwan_id(rng: Random) -> str:
    """Taiwan: a letter, sex, seven digits, weights 1 9 8 ... 1 modulo 10."""
    body = rng.choice("ABCDEFGHJKLMNPQRSTUV") + rng.choice("12") + some(rng, DIGITS, 7)
    number = 10 + "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(body[0])
    total = number // 10 + number % 10 * 9 + weighted(body[1:], range(8, 0, -1))
    return f"{body}{-total % 10}"


def thai_id(rng: Random) -> str:
    """Thailand: weights 13 to 2 modulo 11."""
    body = rng.choice("12345") + some(rng, DIGITS, 11)
    check = (11 - weighted(body, range(13, 1, -1)) % 11) % 10
    return f"{body[0]}-{body[1:5]}-{body[5:10]}-{body[10:]}-{check}"


def nik(rng: Random) -> str:
    """Indonesia: district, birthday (women's day raised by 40), serial."""
    born, woman = day(rng, 1960, 2004), rng.random() < 0.5
    district = rng.choice(("317401", "327305", "351508", "337402"))
    return f"{district}{born.day + 40 * woman:02}{born:%m%y}{rng.randrange(1, 40):04}"


def mykad(rng: Random) -> str:
    """Malaysia: birthday, state, four digits."""
    return f"{day(rng):%y%m%d}-{rng.choice(('10', '14', '01', '07', '12'))}-{some(rng, DIGITS, 4)}"


def cccd(rng: Random) -> str:
    """Vietnam: province, century and sex, year, serial."""
    born, place = day(rng, 1960, 1999), rng.choice(("001", "079", "048", "031"))
    return f"{place}{rng.choice('01')}{born:%y}{some(rng, DIGITS, 6)}"


def iin(rng: Random) -> str:
    """Kazakhstan: birthday, century and sex, serial, two rounds of weights modulo 11."""
    while True:
        body = f"{day(rng, 1950, 1999):%y%m%d}{rng.choice('34')}{some(rng, DIGITS, 4)}"
        rest = weighted(body, range(1, 12)) % 11
        if rest == 10:
            rest = weighted(body, (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)) % 11
        if rest < 10:
            return f"{body}{rest}"


def emirates(rng: Random) -> str:
    """United Arab Emirates: 784, year, seven digits, Luhn."""
    number = luhn(f"784{day(rng):%Y}{some(rng, DIGITS, 7)}")
    return f"{number[:3]}-{number[3:7]}-{number[7:14]}-{number[14]}"


def cedula_ec(rng: Random) -> str:
    """Ecuador: province, a digit below six, Luhn."""
    return luhn(f"{rng.randrange(1, 25):02}{rng.randrange(6)}{some(rng, DIGITS, 6)}")


def cedula_uy(rng: Random) -> str:
    """Uruguay: weights 2 9 8 7 6 3 4 modulo 10."""
    body = f"{rng.randrange(1_000_000, 6_000_000)}"
    check = -weighted(body, (2, 9, 8, 7, 6, 3, 4)) % 10
    return f"{body[0]}.{body[1:4]}.{body[4:]}-{check}"


def egypt(rng: Random) -> str:
    """Egypt: century, birthday, governorate, serial, a digit."""
    place = rng.choice(("01", "02", "21", "12"))
    return f"2{day(rng, 1960, 1999):%y%m%d}{place}{some(rng, DIGITS, 5)}"


def kennitala(rng: Random) -> str:
    """Iceland: birthday, serial, weights 3 2 7 6 5 4 3 2 modulo 11, century."""
    while True:
        body = f"{day(rng, 1942, 1999):%d%m%y}{rng.randrange(20, 100)}"
        check = -weighted(body, (3, 2, 7, 6, 5, 4, 3, 2)) % 11
        if check < 10:
            return f"{body[:6]}-{body[6:]}{check}9"


def jmbg(rng: Random) -> str:
    """Serbia and its neighbours: birthday, region, serial, modulo 11."""
    while True:
        born = day(rng, 1945, 1999)
        body = f"{born:%d%m}{born:%Y}"[:4] + f"{born:%Y}"[1:] + f"71{some(rng, DIGITS, 3)}"
        check = -weighted(body, (7, 6, 5, 4, 3, 2) * 2) % 11
        if check < 10:
            return f"{body}{check}"


def abn(rng: Random) -> str:
    """Australia, businesses: the two leading digits make it divide by 89."""
    body = some(rng, DIGITS, 9)
    total = weighted(body, range(3, 20, 2))
    for lead in range(11, 100):
        if ((lead // 10 - 1) * 10 + lead % 10 + total) % 89 == 0:
            return f"{lead} {body[:3]} {body[3:6]} {body[6:]}"
    raise NoCheckDigit(body)


def gstin(rng: Random) -> str:
    """India, goods and services: state, PAN, entity, Z, a character modulo 36."""
    order = DIGITS + UPPER
    body = rng.choice(("27", "29", "07", "33")) + ids.TAX["in"](rng) + "1Z"
    total = 0
    for place, char in enumerate(body):
        product = order.index(char) * (1 + place % 2)
        total += product // 36 + product % 36
    return body + order[-total % 36]


def piva(rng: Random) -> str:
    """Italy, businesses: eleven digits by Luhn."""
    return luhn(f"0{some(rng, DIGITS, 6)}{rng.choice(('015', '058', '063'))}")


def uid_at(rng: Random) -> str:
    """Austria: ATU, seven digits, 10 less (sum + 4)."""
    body = some(rng, "3456", 1) + some(rng, DIGITS, 6)
    total = sum(d if i % 2 == 0 else d * 2 // 10 + d * 2 % 10 for i, d in enumerate(map(int, body)))
    return f"ATU{body}{(10 - (total + 4) % 10) % 10}"


def vat_be(rng: Random) -> str:
    """Belgium: 97 less the rest of eight digits."""
    body = "0" + some(rng, "45678", 1) + some(rng, DIGITS, 6)
    whole_number = f"{body}{97 - int(body) % 97:02}"
    return f"BE {whole_number[:4]}.{whole_number[4:7]}.{whole_number[7:]}"


def vat_nl(rng: Random) -> str:
    """The Netherlands since 2020: the whole with its country is 1 modulo 97."""
    while True:
        body = f"{some(rng, DIGITS, 9)}B"
        for check in range(2, 99):
            if mod97(f"NL{body}{check:02}") == 1:
                return f"NL{body}{check:02}"


def cif(rng: Random) -> str:
    """Spain, companies: a letter, seven digits, a digit by Luhn."""
    return rng.choice("ABE") + luhn("28" + some(rng, DIGITS, 5))


def che(body: str) -> str:
    """Switzerland, companies: weights 5 4 3 2 7 6 5 4 modulo 11."""
    return body + one_digit(-weighted(body, (5, 4, 3, 2, 7, 6, 5, 4)) % 11)


def ytunnus(body: str) -> str:
    """Finland, companies: weights 7 9 10 5 8 4 2 modulo 11; one is not handed out."""
    return body + one_digit(-weighted(body, (7, 9, 10, 5, 8, 4, 2)) % 11)


def gb_vat(rng: Random) -> str:
    """United Kingdom: weights 8 to 2, two digits modulo 97."""
    body = some(rng, "6789", 1) + some(rng, DIGITS, 6)
    check = -weighted(body, range(8, 1, -1)) % 97
    return f"GB {body[:3]} {body[3:]} {check:02}"


def afm(rng: Random) -> str:
    """Greece: powers of two modulo 11, ten is zero."""
    body = "0" + some(rng, "456789", 1) + some(rng, DIGITS, 6)
    total = weighted(body, (256, 128, 64, 32, 16, 8, 4, 2))
    return f"{body}{total % 11 % 10}"


def nit(rng: Random) -> str:
    """Colombia: weights from the right 3 7 13 17 19 23 29 37 41 modulo 11."""
    body = f"9{some(rng, DIGITS, 8)}"
    total = weighted(body, (41, 37, 29, 23, 19, 17, 13, 7, 3)) % 11
    return f"{body[:3]}.{body[3:6]}.{body[6:]}-{total if total < 2 else 11 - total}"


def ruc(body: str) -> str:
    """Peru: weights 5 4 3 2 7 6 5 4 3 2 modulo 11."""
    return f"{body}{(11 - weighted(body, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 10}"


def rnokpp(rng: Random) -> str:
    """Ukraine: days since 1900, serial, weights -1 5 7 9 4 6 10 5 7 modulo 11."""
    body = f"{rng.randrange(22000, 38000)}{some(rng, DIGITS, 4)}"
    return f"{body}{weighted(body, (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10}"


def kr_business(body: str) -> str:
    """Korea, businesses: weights 1 3 7 1 3 7 1 3 5 and a tenth of five times the ninth."""
    total = weighted(body, (1, 3, 7, 1, 3, 7, 1, 3, 5)) + int(body[8]) * 5 // 10
    return f"{body}{-total % 10}"


def dic(rng: Random) -> str:
    """Czechia, companies: eight digits, weights 8 to 2 modulo 11."""
    body = f"2{some(rng, DIGITS, 6)}"
    rest = 11 - weighted(body, range(8, 1, -1)) % 11
    return f"CZ{body}{rest % 10 if rest < 12 and rest != 10 else 0}"


def rfc(rng: Random) -> str:
    """Mexico, persons: letters of the names, birthday, two characters and a check (drawn)."""
    letters = some(rng, "BCDGHLMPRST", 1) + rng.choice("AEIOU") + some(rng, "BCDGHLMPRST", 2)
    return f"{letters}{day(rng):%y%m%d}{some(rng, UPPER + DIGITS, 2)}{some(rng, DIGITS + 'A', 1)}"


NATIONAL: dict[str, Draw] = ids.NATIONAL | {
    "dk": cpr,
    "cz": rodne_cislo,
    "bg": egn,
    "ee": baltic,
    "gr": amka,
    "ie": pps,
    "hk": hkid,
    "tw": taiwan_id,
    "th": thai_id,
    "id": nik,
    "my": mykad,
    "vn": cccd,
    "kz": iin,
    "ae": emirates,
    "ec": cedula_ec,
    "uy": cedula_uy,
    "eg": egypt,
    "is": kennitala,
    "rs": jmbg,
    "hr": whole("N#########", mod11_10),
    "pk": one_of("35202-#######-N", "42101-#######-N"),
    "pe": one_of("4#######", "7#######"),
    "ar": one_of("2#.###.###", "3#.###.###"),
    "ng": one_of("2##########", "7##########"),
}

TAX: dict[str, Draw] = ids.TAX | {
    "au_business": abn,
    "in_gst": gstin,
    "it_business": piva,
    "at_vat": uid_at,
    "be_vat": vat_be,
    "nl_vat": vat_nl,
    "es_business": cif,
    "ch_business": lambda rng: "CHE-" + spaced(whole("1#######", che), "3.3.3")(rng),
    "fi_business": spaced(whole("2######", ytunnus), "7-1"),
    "gb_vat": gb_vat,
    "gr": afm,
    "co": nit,
    "pe_business": whole("20########", ruc),
    "ua": rnokpp,
    "kr_business": spaced(whole("1########", kr_business), "3-2-5"),
    "cz_vat": dic,
    "mx": rfc,
    "pl_vat": lambda rng: "PL" + ids.TAX["pl"](rng).replace("-", ""),
}
