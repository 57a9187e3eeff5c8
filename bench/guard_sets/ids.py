"""Numbers that states give to people: national, tax, licence and passport numbers.

What a state calls its citizen's number is ``national_id``; what its tax office gives out is
``tax_id``. Schemes without a public check digit are drawn in their published form.
"""

from __future__ import annotations

from itertools import pairwise

from bench.guard_sets.checksums import (
    NoCheckDigit,
    luhn,
    mod11_2,
    mod11_10,
    one_digit,
    verhoeff,
    weighted,
)
from bench.guard_sets.drawing import (
    DIGITS,
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


def cpf(body: str) -> str:
    """Receita Federal (Brazil): two digits modulo 11."""
    for top in (10, 11):
        body += str(weighted(body, range(top, 1, -1)) * 10 % 11 % 10)
    return body


def cnpj(body: str) -> str:
    """Receita Federal (Brazil), companies."""
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    for skip in (1, 0):
        rest = weighted(body, weights[skip:]) % 11
        body += str(0 if rest < 2 else 11 - rest)
    return body


def pesel(rng: Random) -> str:
    """Poland: the month is raised by 20 after 1999; weights 1, 3, 7, 9."""
    born = day(rng)
    month = born.month + (20 if born.year > 1999 else 0)
    body = f"{born:%y}{month:02}{born:%d}{some(rng, DIGITS, 4)}"
    return f"{body}{-weighted(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10}"


def bsn(body: str) -> str:
    """The Netherlands: the 'elfproef' with weights 9 to 2 and -1."""
    return body + one_digit(weighted(body, range(9, 1, -1)) % 11)


def steuer_id(rng: Random) -> str:
    """Germany: of the first ten digits exactly one comes twice and one is missing."""
    kept = rng.sample(DIGITS, 9)
    body = [*kept, rng.choice(kept)]
    while body[0] == "0" or any(a == b for a, b in pairwise(body)):
        rng.shuffle(body)
    return mod11_10("".join(body))


def dni(rng: Random) -> str:
    """Spain: the letter is the number modulo 23; foreigners begin with X, Y or Z."""
    first = rng.choice(("", "", "X", "Y", "Z"))
    body = some(rng, DIGITS, 7 if first else 8)
    number = int({"": "", "X": "0", "Y": "1", "Z": "2"}[first] + body)
    return first + body + "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23]


def codice_fiscale(rng: Random) -> str:
    """Italy (D.M. 23/12/1976): surname, name, birth, place and a letter modulo 26."""
    born, woman = day(rng), rng.random() < 0.5
    letters = "".join(some(rng, "BCDFGLMNPRSTVZ", 2) + rng.choice("AEIOBCDLMN") for _ in "ab")
    place = rng.choice(("H501", "F205", "L219", "D612", "A944", "G273", "F839", "C351"))
    body = f"{letters}{born:%y}{'ABCDEHLMPRST'[born.month - 1]}{born.day + 40 * woman:02}{place}"
    odd = (
        1,
        0,
        5,
        7,
        9,
        13,
        15,
        17,
        19,
        21,
        2,
        4,
        18,
        20,
        11,
        3,
        6,
        8,
        12,
        14,
        16,
        10,
        22,
        25,
        24,
        23,
    )
    values = [int(c) if c.isdigit() else ord(c) - 65 for c in body]
    total = sum(values[1::2]) + sum(odd[v] for v in values[::2])
    return body + UPPER[total % 26]


def personnummer(rng: Random) -> str:
    """Sweden: the birthday, three digits, Luhn."""
    whole_number = luhn(f"{day(rng):%y%m%d}{some(rng, DIGITS, 3)}")
    return f"{whole_number[:6]}-{whole_number[6:]}"


def hetu(rng: Random) -> str:
    """Finland: a mark for the century and a character modulo 31."""
    born, serial = day(rng), f"{rng.randrange(2, 900):03}"
    check = "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(f"{born:%d%m%y}{serial}") % 31]
    return f"{born:%d%m%y}{'-' if born.year < 2000 else 'A'}{serial}{check}"


def fodselsnummer(rng: Random) -> str:
    """Norway: two digits modulo 11."""
    while True:
        born = day(rng, 1942, 1999)
        body = f"{born:%d%m%y}{rng.randrange(500):03}"
        try:
            for weights in ((3, 7, 6, 1, 8, 9, 4, 5, 2), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)):
                body += one_digit(-weighted(body, weights) % 11)
        except NoCheckDigit:
            continue
        return body


def resident_id(rng: Random) -> str:
    """China, GB 11643: region, birthday, serial."""
    region = rng.choice(("110101", "310104"))
    return mod11_2(f"{region}{day(rng):%Y%m%d}{some(rng, DIGITS, 3)}")


def rrn(rng: Random) -> str:
    """Korea: the birthday, sex and century, region, and a digit modulo 11."""
    born = day(rng)
    body = f"{born:%y%m%d}{rng.choice('12' if born.year < 2000 else '34')}"
    body += f"{rng.randrange(96):02}{some(rng, DIGITS, 3)}"
    check = (11 - weighted(body, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    return f"{body[:6]}-{body[6:]}{check}"


def tckn(body: str) -> str:
    """Türkiye: two digits over the odd and even places."""
    odd, even = sum(map(int, body[::2])), sum(map(int, body[1::2]))
    body += str((odd * 7 - even) % 10)
    return body + str(sum(map(int, body)) % 10)


def sa_id(rng: Random) -> str:
    """South Africa: the birthday, four digits, citizenship, an 8, Luhn."""
    return luhn(f"{day(rng):%y%m%d}{some(rng, DIGITS, 4)}08")


def nir(rng: Random) -> str:
    """France: sex, year, month, department, commune, order, and 97 less the rest."""
    born = day(rng)
    body = f"{rng.choice('12')}{born:%y%m}{rng.randrange(1, 96):02}"
    body += f"{rng.randrange(1, 600):03}{rng.randrange(1, 990):03}"
    return f"{body}{97 - int(body) % 97:02}"


def rijksregister(rng: Random) -> str:
    """Belgium: 97 less the rest, with a 2 in front for those born after 1999."""
    born = day(rng)
    body = f"{born:%y%m%d}{rng.randrange(1, 998):03}"
    check = 97 - int(("2" if born.year > 1999 else "") + body) % 97
    return f"{born:%y.%m.%d}-{body[6:]}.{check:02}"


def rut(rng: Random) -> str:
    """Chile: modulo 11 with weights 2 to 7 from the right; ten is K."""
    body = str(rng.randrange(6_000_000, 25_000_000))
    total = sum(int(d) * (2 + i % 6) for i, d in enumerate(reversed(body)))
    return f"{int(body):,}".replace(",", ".") + "-" + "0K987654321"[total % 11]


def nric(rng: Random) -> str:
    """Singapore: S and T share a table that T enters four later."""
    first, body = rng.choice("ST"), some(rng, DIGITS, 7)
    total = weighted(body, (2, 7, 6, 5, 4, 3, 2)) + (4 if first == "T" else 0)
    return first + body + "JZIHGFEDCBA"[total % 11]


def curp(rng: Random) -> str:
    """Mexico: the letters of the names, the birthday, sex, state, and a digit modulo 10."""
    born = day(rng, 1950, 1999)
    body = f"{some(rng, 'BCDGHLMPRST', 1)}{rng.choice('AEIOU')}{some(rng, 'BCDGHLMPRST', 2)}"
    body += f"{born:%y%m%d}{rng.choice('HM')}{rng.choice(('DF', 'JC', 'NL', 'MC', 'PL'))}"
    body += some(rng, "BCDFGLMNPRST", 3) + rng.choice(DIGITS)
    order = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    total = sum(order.index(c) * (18 - i) for i, c in enumerate(body))
    return f"{body}{-total % 10}"


def cnp(rng: Random) -> str:
    """Romania: weights 279146358279 modulo 11, ten is one."""
    born = day(rng, 1942, 1999)
    body = f"{rng.choice('12')}{born:%y%m%d}{rng.randrange(1, 47):02}{rng.randrange(1, 999):03}"
    rest = weighted(body, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return f"{body}{1 if rest == 10 else rest}"


def my_number(body: str) -> str:
    """Japan: weights 6 5 4 3 2 7 6 5 4 3 2 modulo 11."""
    rest = weighted(body, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return f"{body}{0 if rest < 2 else 11 - rest}"


def ahv(body: str) -> str:
    """Switzerland: EAN-13 after the country's 756."""
    return f"{body}{-weighted(body, (1, 3) * 6) % 10}"


def nif(body: str) -> str:
    """Portugal: modulo 11 with weights 9 to 2."""
    rest = weighted(body, range(9, 1, -1)) % 11
    return f"{body}{0 if rest < 2 else 11 - rest}"


def tfn(body: str) -> str:
    """Australia: weights 1 4 3 7 5 8 6 9 10 and nothing left modulo 11."""
    return body + one_digit(weighted(body, (1, 4, 3, 7, 5, 8, 6, 9)) % 11)


def nip(body: str) -> str:
    """Poland, tax: weights 6 5 7 2 3 4 5 6 7 modulo 11."""
    return body + one_digit(weighted(body, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11)


def inn(body: str) -> str:
    """Russia, tax number of a person: two digits modulo 11."""
    for weights in ((7, 2, 4, 10, 3, 5, 9, 4, 6, 8), (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)):
        body += str(weighted(body, weights) % 11 % 10)
    return body


def cuit(body: str) -> str:
    """Argentina: weights 5 4 3 2 7 6 5 4 3 2 modulo 11."""
    return body + one_digit(-weighted(body, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11)


def siren_vat(rng: Random) -> str:
    """France: key 12 + 3 * SIREN modulo 97, the SIREN by Luhn."""
    siren = luhn(some(rng, "345678", 8))
    return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02}{siren}"


def uk_licence(rng: Random) -> str:
    """DVLA: five letters of the surname, birthday with the decade apart, initials, two more."""
    born, woman = day(rng), rng.random() < 0.5
    surname = rng.choice(("MORGA", "HARTL", "PENDL", "OKAFO", "FLETC", "WARD9", "SINGH", "BRADY"))
    month = born.month + (50 if woman else 0)
    initials = rng.choice(UPPER) + rng.choice("9JKMT")
    tail = rng.choice("9876") + some(rng, "ABCDEFGHJK", 2)
    return f"{surname}{born.year // 10 % 10}{month:02}{born:%d}{born.year % 10}{initials}{tail}"


def german_document(rng: Random) -> str:
    """Germany: the office's letter, then digits and consonants; nine in all."""
    return rng.choice("CFGHJK") + some(rng, "0123456789CFGHJKLMNPRTVWXYZ", 7) + rng.choice(DIGITS)


NATIONAL: dict[str, Draw] = {
    "pl": pesel,
    "nl": whole("1N######", bsn),
    "in": spaced(whole("N##########", verhoeff), "4 4 4"),
    "in_plain": whole("N##########", verhoeff),
    "es": dni,
    "se": personnummer,
    "fi": hetu,
    "no": fodselsnummer,
    "cn": resident_id,
    "kr": rrn,
    "tr": whole("N########", tckn),
    "za": sa_id,
    "fr": nir,
    "fr_spaced": spaced(nir, "1 2 2 2 3 3 2"),
    "be": rijksregister,
    "cl": rut,
    "sg": nric,
    "mx": curp,
    "ro": cnp,
    "jp": spaced(whole("N##########", my_number), "4 4 4"),
    "ch": spaced(whole("756#########", ahv), "3.4.4.2"),
    "ca": spaced(whole("4#######", luhn), "3 3 3"),
    "il": whole("0#######", luhn),
    "uk": spaced(
        lambda rng: (
            f"{some(rng, 'ABCEHJLMPRSTWX', 1)}{some(rng, 'ABCEHJLMPRSTWXZ', 1)}"
            f"{some(rng, DIGITS, 6)}{rng.choice('ABCD')}"
        ),
        "2 2 2 2 1",
    ),
}

TAX: dict[str, Draw] = {
    "br": spaced(whole("N########", cpf), "3.3.3-2"),
    "br_plain": whole("N########", cpf),
    "br_company": spaced(whole("N#######0001", cnpj), "2.3.3/4-2"),
    "de": spaced(steuer_id, "2 3 3 3"),
    "de_plain": steuer_id,
    "de_vat": whole("N#######", mod11_10, lambda t: "DE" + t),
    "fr_vat": siren_vat,
    "in": lambda rng: (
        f"{some(rng, UPPER, 3)}P{some(rng, UPPER, 1)}{some(rng, DIGITS, 4)}" + some(rng, UPPER, 1)
    ),
    "pt": spaced(whole("2#######", nif), "3 3 3"),
    "it": codice_fiscale,
    "au": spaced(whole("N#######", tfn), "3 3 3"),
    "pl": spaced(whole("N########", nip), "3-3-2-2"),
    "ru": whole("77########", inn),
    "ar": spaced(whole("20########", cuit), "2-8-1"),
    "us": one_of("12-#######", "36-#######", "47-#######", "82-#######"),
}

LICENCE: dict[str, Draw] = {
    "ca": pattern("@#######"),
    "fl": pattern("@###-###-##-###-#"),
    "ny": pattern("### ### ###"),
    "tx": pattern("N#######"),
    "il": pattern("@###-####-####"),
    "uk": uk_licence,
    "de": lambda rng: (
        f"{some(rng, 'BCFHJKL', 1)}{some(rng, DIGITS + UPPER[:8], 9)}{rng.choice('0123')}"
    ),
    "fr": pattern("##0#########"),
    "on": pattern("@####-#####-#####"),
    "au": pattern("N#######"),
    "in": one_of("'MH'14 20110######", "'KA'05-2016-0######", "'DL'-0420110######"),
    "it": lambda rng: f"U1{some(rng, DIGITS + 'ABCDEFGHLMNPRSTVWZ', 7)}{rng.choice(UPPER)}",
    "ie": pattern("### ### ###"),
    "wa": lambda rng: f"WDL{some(rng, UPPER + DIGITS, 9)}",
}

PASSPORT: dict[str, Draw] = {
    "us": pattern("5########"),
    "us_new": pattern("A########"),
    "uk": pattern("5########"),
    "de": german_document,
    "fr": pattern("##@@#####"),
    "in": pattern("@#######"),
    "it": one_of("'YA'#######", "'YB'#######"),
    "es": one_of("'PAA'######", "'PAB'######", "'XDD'######"),
    "cn": one_of("'E'########", "'G'########"),
    "jp": one_of("'TR'#######", "'TZ'#######"),
    "ca": one_of("'GA'######", "'HK'######"),
    "au": one_of("'PA'#######", "'N'#######"),
    "br": one_of("'FX'######", "'GB'######"),
    "pl": one_of("'EH'#######", "'EA'#######"),
    "kr": pattern("M########"),
    "ru": one_of("71 #######", "75 #######"),
    "mx": pattern("G########"),
}
