"""Check digits of national and tax numbers. Each takes digits (or letters and digits, upper case).

Reference: the issuing authorities, as gathered in the documentation of python-stdnum. A number
of a right shape passes by chance once in ten or eleven (97 where so said): those whose shape is
common are looked for near a word that names them only (`patterns/states.py`).
"""

from octoplex.reflex.guard.checks import luhn, mod97, repeats, weighted


def _date(number: str, *, month: slice = slice(2, 4), day: slice = slice(4, 6)) -> bool:
    return 1 <= int(number[month]) <= 12 and 1 <= int(number[day]) <= 31


def _mod11(total: int, *, ten: int = 0) -> int:
    """11 minus the rest; 11 counts as 0, 10 as said."""
    rest = -total % 11
    return ten if rest == 10 else rest


def brazil_cpf(n: str) -> bool:
    """CPF: eleven digits, two of them checks."""
    first = _mod11(weighted(n, tuple(range(10, 1, -1))))
    second = _mod11(weighted(n, tuple(range(11, 1, -1))))
    return not repeats(n) and [first, second] == [int(n[9]), int(n[10])]


def brazil_cnpj(n: str) -> bool:
    """CNPJ: twelve digits, since 2026 letters too (`A` counts 17), and two check digits."""
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    values = [ord(c) - 48 for c in n]
    first, second = (
        _mod11(sum(v * w for v, w in zip(values, some, strict=False)))
        for some in (weights[1:], weights)
    )
    return not repeats(n) and n[12:] == f"{first}{second}"


def germany_id(n: str) -> bool:
    """Steuerliche Identifikationsnummer: ISO 7064 mod 11,10, and a digit that comes twice."""
    product = 10
    for digit in n[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    counts = sorted(n[:10].count(d) for d in set(n[:10]))
    return n[0] != "0" and counts[-1] in (2, 3) and (11 - product) % 10 == int(n[10])


def iso11_10(n: str) -> bool:
    """ISO 7064 mod 11,10: German VAT numbers, Croatian OIB."""
    product = 10
    for digit in n[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return not repeats(n) and (11 - product) % 10 == int(n[-1])


_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


def spain_dni(n: str) -> bool:
    """DNI and NIE: a letter by mod 23."""
    number = n[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdigit() and _DNI[int(number) % 23] == n[-1]


def spain_cif(n: str) -> bool:
    """CIF: Luhn over seven digits, as digit or letter."""
    check = -sum(map(int, n[2:8:2])) - sum(sum(divmod(2 * int(d), 10)) for d in n[1:8:2])
    return n[-1] in (str(check % 10), "JABCDEFGHI"[check % 10])


def france_nir(n: str) -> bool:
    """NIR: thirteen digits (2A and 2B for Corsica) and a key by mod 97."""
    number = n[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(n[13:])


_ODD = dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)) | dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        b"\1\0\5\7\11\15\17\21\23\25\2\4\22\24\13\3\6\10\14\16\20\12\26\31\30\27",
        strict=True,
    )
)


def italy_code(n: str) -> bool:
    """Codice fiscale: sixteen characters, the last one by a table. Letters may stand for digits, so
    that no two persons have the same (omocodia)."""
    even = sum(int(c) if c.isdigit() else ord(c) - 65 for c in n[1:15:2])
    return chr(65 + (even + sum(_ODD[c] for c in n[:15:2])) % 26) == n[15]


def netherlands_bsn(n: str) -> bool:
    """BSN: the test of eleven."""
    return not repeats(n) and weighted(n, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def belgium_nrn(n: str) -> bool:
    """Rijksregisternummer: mod 97, with a 2 before it for those born since 2000."""
    key = int(n[9:])
    return int(n[2:4]) <= 12 and key in (97 - int(n[:9]) % 97, 97 - int("2" + n[:9]) % 97)


def belgium_vat(n: str) -> bool:
    """Ten digits: mod 97."""
    return n[0] in "01" and 97 - int(n[:8]) % 97 == int(n[8:])


def poland_pesel(n: str) -> bool:
    """PESEL: weights 1 3 7 9 and a date."""
    total = weighted(n[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3))
    dated = 1 <= int(n[2:4]) % 20 <= 12 and 1 <= int(n[4:6]) <= 31
    return dated and -total % 10 == int(n[10])


def poland_nip(n: str) -> bool:
    """NIP: mod 11."""
    return not repeats(n) and weighted(n, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == int(n[9])


def portugal_nif(n: str) -> bool:
    """NIF: mod 11."""
    check = _mod11(weighted(n, tuple(range(9, 1, -1))))
    return n[0] != "0" and check == int(n[8]) and not repeats(n)


_TURNS = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def verhoeff(n: str) -> bool:
    """Over the dihedral group of order ten: Aadhaar."""
    check = 0
    for place, digit in enumerate(reversed(n)):
        value = int(digit)
        for _ in range(place % 8):
            value = _TURNS[value]
        if check < 5:
            check = (check + value) % 5 + (5 if value >= 5 else 0)
        else:
            check = (check - value) % 5 + (5 if value < 5 else 0)
    return check == 0


def aadhaar(n: str) -> bool:
    """Twelve digits, the first above 1."""
    return n[0] not in "01" and not repeats(n) and verhoeff(n)


_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def india_gstin(n: str) -> bool:
    """GSTIN: Luhn in base 36."""
    products = [_BASE36.index(c) * (1 + i % 2) for i, c in enumerate(n[:14])]
    return _BASE36[-sum(sum(divmod(p, 36)) for p in products) % 36] == n[14]


def china_id(n: str) -> bool:
    """Resident identity number: mod 11-2 and a date."""
    total = weighted(n[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
    return _date(n, month=slice(10, 12), day=slice(12, 14)) and "10X98765432"[total % 11] == n[17]


def korea_rrn(n: str) -> bool:
    """Resident registration number: a date, and mod 11."""
    check = (11 - weighted(n[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    return _date(n) and check == int(n[12])


def japan_number(n: str) -> bool:
    """My Number: mod 11."""
    total = weighted(n[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2))
    return not repeats(n) and (0 if total % 11 <= 1 else 11 - total % 11) == int(n[11])


def sweden_pin(n: str) -> bool:
    """Personnummer: a date, and Luhn over the last ten."""
    n = n[-10:]
    day = int(n[4:6])
    return 1 <= int(n[2:4]) <= 12 and (1 <= day <= 31 or 61 <= day <= 91) and luhn(n)


def finland_hetu(n: str) -> bool:
    """Henkilötunnus: ddmmyy, a sign of the century, three digits and mod 31."""
    number = int(n[:6] + n[-4:-1])
    dated = _date(n, day=slice(0, 2))
    return dated and "0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31] == n[-1]


def norway_pin(n: str) -> bool:
    """Fødselsnummer: two digits by mod 11."""
    first = _mod11(weighted(n, (3, 7, 6, 1, 8, 9, 4, 5, 2)), ten=-1)
    second = _mod11(weighted(n, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)), ten=-1)
    return [first, second] == [int(n[9]), int(n[10])] and not repeats(n)


def denmark_cpr(n: str) -> bool:
    """CPR: ddmmyy and four digits; its check digit is given up since 2007."""
    return _date(n, day=slice(0, 2))


def swiss_ahv(n: str) -> bool:
    """AHV: 756 and the check digit of EAN-13."""
    return n[:3] == "756" and weighted(n, (1, 3) * 6 + (1,)) % 10 == 0


def singapore_nric(n: str) -> bool:
    """NRIC and FIN: a letter by weights."""
    total = weighted(n[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(n[0], 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "XWUTRQPNJLK"}
    found = letters.get(n[0], "XWUTRQPNMLK")[total % 11]
    return n[0] == "M" or found == n[8]


def taiwan_id(n: str) -> bool:
    """A letter, nine digits, mod 10."""
    value = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(n[0]) + 10
    return (
        value // 10 + weighted(str(value % 10) + n[1:], (9, 8, 7, 6, 5, 4, 3, 2, 1, 1))
    ) % 10 == 0


def hong_kong_id(n: str) -> bool:
    """HKID: one or two letters, six digits, mod 11."""
    letters = n[:-7].rjust(2, " ")
    head = [36 if c == " " else ord(c) - 55 for c in letters]
    total = head[0] * 9 + head[1] * 8 + weighted(n[-7:-1], (7, 6, 5, 4, 3, 2))
    return "0A987654321"[total % 11] == n[-1] or (total % 11 == 0 and n[-1] == "0")


def south_africa_id(n: str) -> bool:
    """A date, and Luhn."""
    return _date(n) and luhn(n)


def turkey_id(n: str) -> bool:
    """TCKN: two check digits."""
    d = [int(c) for c in n]
    tenth = (7 * sum(d[0:9:2]) - sum(d[1:8:2])) % 10
    return d[0] != 0 and tenth == d[9] and sum(d[:10]) % 10 == d[10]


def chile_rut(n: str) -> bool:
    """RUT: mod 11, 10 written as K."""
    total = sum(int(c) * (2 + i % 6) for i, c in enumerate(reversed(n[:-1])))
    return "0123456789K"[-total % 11] == n[-1]


def argentina_cuit(n: str) -> bool:
    """CUIT: mod 11."""
    return _mod11(weighted(n, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)), ten=9) == int(n[10])


def mexico_curp(n: str) -> bool:
    """CURP: eighteen characters, the last one mod 10."""
    order = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ"
    total = sum(order.index(c) * (18 - i) for i, c in enumerate(n[:17]))
    return str(-total % 10) == n[17]


def romania_cnp(n: str) -> bool:
    """CNP: a date, and mod 11."""
    rest = weighted(n, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    dated = _date(n, month=slice(3, 5), day=slice(5, 7))
    return n[0] != "0" and dated and (1 if rest == 10 else rest) == int(n[12])


def czech_rc(n: str) -> bool:
    """Rodné číslo: ten digits that 11 divides."""
    return 1 <= int(n[2:4]) % 50 % 20 <= 12 and (int(n) % 11 == 0 or int(n[:9]) % 11 == 10)


def bulgaria_egn(n: str) -> bool:
    """EGN: a date, and mod 11."""
    total = weighted(n, (2, 4, 8, 5, 10, 9, 7, 3, 6))
    return 1 <= int(n[2:4]) % 20 <= 12 and total % 11 % 10 == int(n[9])


def australia_tfn(n: str) -> bool:
    """TFN: mod 11."""
    return not repeats(n) and weighted(n, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def australia_abn(n: str) -> bool:
    """ABN: mod 89."""
    weights = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
    return n[0] != "0" and weighted(str(int(n[0]) - 1) + n[1:], weights) % 89 == 0


def australia_medicare(n: str) -> bool:
    """Medicare: mod 10."""
    return n[0] in "23456" and weighted(n, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(n[8])


def ireland_pps(n: str) -> bool:
    """PPS: a letter by mod 23."""
    extra = (ord(n[8]) - 64) * 9 if len(n) > 8 and n[8] != "W" else 0
    return "WABCDEFGHIJKLMNOPQRSTUV"[(weighted(n, (8, 7, 6, 5, 4, 3, 2)) + extra) % 23] == n[7]


def greece_amka(n: str) -> bool:
    """AMKA: a date, and Luhn."""
    return _date(n, day=slice(0, 2)) and luhn(n)


def baltic_pin(n: str) -> bool:
    """Isikukood and asmens kodas: a date, and mod 11 in two rounds."""
    rest = weighted(n, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if rest == 10:
        rest = weighted(n, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return _date(n, month=slice(3, 5), day=slice(5, 7)) and rest == int(n[10])


def thailand_id(n: str) -> bool:
    """Thirteen digits, the first 1 to 8: mod 11."""
    rest = weighted(n, tuple(range(13, 1, -1))) % 11
    return n[0] in "12345678" and (11 - rest) % 10 == int(n[12])


def balkan_id(n: str) -> bool:
    """JMBG and EMŠO: ddmmyyy, and mod 11."""
    check = -weighted(n, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return _date(n, day=slice(0, 2)) and check == int(n[12])


def emirates_id(n: str) -> bool:
    """784, a year, and Luhn."""
    return n[:3] == "784" and luhn(n)


def iceland_id(n: str) -> bool:
    """Kennitala: ddmmyy (companies 40 more), and mod 11."""
    dated = 1 <= int(n[:2]) % 40 <= 31 and 1 <= int(n[2:4]) <= 12
    return dated and n[9] in "089" and weighted(n, (3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def latvia_id(n: str) -> bool:
    """Personas kods: ddmmyy and mod 11, or since 2017 a number that begins with 32."""
    total = 1 + weighted(n, (10, 5, 8, 4, 2, 1, 6, 3, 7, 9))
    old = _date(n, day=slice(0, 2)) and total % 11 % 10 == int(n[10])
    return old or n[:2] == "32"


def ukraine_tax(n: str) -> bool:
    """RNOKPP: mod 11."""
    total = weighted(n, (-1, 5, 7, 9, 4, 6, 10, 5, 7))
    return not repeats(n) and total % 11 % 10 == int(n[9])


def kazakhstan_id(n: str) -> bool:
    """IIN: yymmdd, and mod 11 in two rounds."""
    rest = weighted(n, tuple(range(1, 12))) % 11
    if rest == 10:
        rest = weighted(n, (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)) % 11
    return _date(n) and rest == int(n[11])


def iran_id(n: str) -> bool:
    """Kode melli: mod 11."""
    rest = weighted(n[:9], tuple(range(10, 1, -1))) % 11
    return not repeats(n) and int(n[9]) == (rest if rest < 2 else 11 - rest)


def ecuador_id(n: str) -> bool:
    """Cédula: a province, and Luhn."""
    return (1 <= int(n[:2]) <= 24 or n[:2] == "30") and n[2] in "012345" and luhn(n)


def uruguay_id(n: str) -> bool:
    """Cédula: mod 10."""
    return not repeats(n) and -weighted(n[:-1].zfill(7), (2, 9, 8, 7, 6, 3, 4)) % 10 == int(n[-1])


def austria_insurance(n: str) -> bool:
    """Versicherungsnummer: its fourth digit by mod 11, and ddmmyy (months to 15)."""
    total = weighted(n, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6))
    dated = 1 <= int(n[4:6]) <= 31 and 1 <= int(n[6:8]) <= 15
    return n[0] != "0" and dated and total % 11 == int(n[3])


def germany_insurance(n: str) -> bool:
    """Rentenversicherungsnummer: area, ddmmyy, a letter, a serial, and mod 10 of digit sums."""
    number = n[:8] + f"{ord(n[8]) - 64:02}" + n[9:11]
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    products = [int(d) * w for d, w in zip(number, weights, strict=True)]
    return sum(sum(divmod(p, 10)) for p in products) % 10 == int(n[11])


def hungary_taj(n: str) -> bool:
    """TAJ: mod 10."""
    return not repeats(n) and weighted(n, (3, 7) * 4) % 10 == int(n[8])


def russia_snils(n: str) -> bool:
    """SNILS: mod 101."""
    return not repeats(n[:9]) and weighted(n, tuple(range(9, 0, -1))) % 101 % 100 == int(n[9:])


def dated_id(n: str) -> bool:
    """yymmdd first, as in Malaysia."""
    return _date(n)


def indonesia_id(n: str) -> bool:
    """NIK: an area, ddmmyy with 40 more for women."""
    return 1 <= int(n[6:8]) % 40 <= 31 and 1 <= int(n[8:10]) <= 12 and n[0] in "123456789"


def egypt_id(n: str) -> bool:
    """A century and yymmdd."""
    return n[0] in "23" and _date(n[1:])


def israel_id(n: str) -> bool:
    """Luhn over nine digits."""
    return not repeats(n) and luhn(n)


def austria_vat(n: str) -> bool:
    """Eight digits: Luhn, with 4 added."""
    total = sum(map(int, n[:7:2])) + sum(sum(divmod(2 * int(d), 10)) for d in n[1:7:2])
    return (96 - total) % 10 == int(n[7])


def france_vat(n: str) -> bool:
    """A key by mod 97 before a SIREN."""
    return not n.isdigit() or (12 + 3 * (int(n[2:]) % 97)) % 97 == int(n[:2])


def finland_vat(n: str) -> bool:
    """Eight digits: mod 11."""
    return -weighted(n, (7, 9, 10, 5, 8, 4, 2)) % 11 == int(n[7])


def denmark_vat(n: str) -> bool:
    """Eight digits: mod 11."""
    return n[0] != "0" and weighted(n, (2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def greece_afm(n: str) -> bool:
    """AFM: nine digits, powers of two, mod 11."""
    total = sum(int(d) << (8 - i) for i, d in enumerate(n[:8]))
    return not repeats(n) and total % 11 % 10 == int(n[8])


def colombia_nit(n: str) -> bool:
    """NIT: mod 11 over primes."""
    rest = weighted(n, (41, 37, 29, 23, 19, 17, 13, 7, 3)) % 11
    return not repeats(n) and (rest if rest < 2 else 11 - rest) == int(n[9])


def peru_ruc(n: str) -> bool:
    """RUC: mod 11."""
    check = (11 - weighted(n, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 10
    return n[:2] in ("10", "15", "16", "17", "20") and check == int(n[10])


def korea_business(n: str) -> bool:
    """Business registration number: mod 10, the ninth digit times five with its tens."""
    total = weighted(n, (1, 3, 7, 1, 3, 7, 1, 3, 5)) + int(n[8]) * 5 // 10
    return not repeats(n) and -total % 10 == int(n[9])


def iban_like(n: str) -> bool:
    """ISO 7064 mod 97-10 over all of it, letters as numbers: Dutch VAT since 2020."""
    return mod97(n) == 1


def russia_inn(number: str) -> bool:
    """Ten digits of a company, twelve of a person: weights, mod 11, mod 10."""
    weights = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
    ends = (10,) if len(number) == 10 else (11, 12)
    return not repeats(number) and all(
        weighted(number[: end - 1], weights[12 - end :]) % 11 % 10 == int(number[end - 1])
        for end in ends
    )
