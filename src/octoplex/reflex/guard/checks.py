"""Checksums and rules that numbers of the world keep. Pure; most take digits without separators.

References: ISO/IEC 7812 (cards, Luhn), ISO 13616 (IBAN) with ISO 7064 (mod 97-10), SSA and IRS
(SSN, ITIN), ABA, ISO 3779 with 49 CFR 565 (VIN), NHS data dictionary, BIP 13, 173 and 350
(Bitcoin), EIP-55 (Ethereum). Numbers of states are in `states.py`.
"""

import base64
import binascii
import ipaddress
import math
import re
from collections import Counter
from datetime import date
from hashlib import sha256

_LUHN = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


_NO_DIGIT = re.compile(r"\D")
_MARK = re.compile(r"[^A-Za-z0-9]")
_ENDS = re.compile(r"\d(?!\d)")


def digits(text: str) -> str:
    """Only its digits."""
    return text if text.isdigit() else _NO_DIGIT.sub("", text)


def compact(text: str) -> str:
    """Only letters and digits, in upper case."""
    return _MARK.sub("", text).upper()


def weighted(number: str, weights: tuple[int, ...]) -> int:
    """The sum of digits times weights."""
    return sum(int(d) * w for d, w in zip(number, weights, strict=False))


def luhn(number: str) -> bool:
    """Mod 10 with every second digit doubled."""
    total = sum(map(int, number[-1::-2])) + sum(_LUHN[int(d)] for d in number[-2::-2])
    return total % 10 == 0


def repeats(number: str) -> bool:
    """One character over and over: a placeholder."""
    return len(set(number)) == 1


_CARDS = tuple(
    (re.compile(prefix), sizes)
    for prefix, sizes in (
        ("4", (13, 16, 19)),  # Visa
        ("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
        ("3[47]", (15,)),  # American Express
        ("36|30[0-5]|3095|3[89]", (14, 15, 16, 17, 18, 19)),  # Diners Club
        ("6011|64[4-9]|65|62|81", (16, 17, 18, 19)),  # Discover, UnionPay
        ("35", (16, 17, 18, 19)),  # JCB, and what generators of test data take for it
        ("2131|1800", (15,)),  # JCB's old ones
        ("50|5[6-9]|6[0-9]", (16, 17, 18, 19)),  # Maestro, RuPay, Elo
        ("50|5[6-9]|6[37]", (12, 13, 14, 15)),  # Maestro's short ones
        ("220[0-4]|9792|82|1946", (16, 17, 18, 19)),  # Mir, Troy, RuPay, BORICA
    )
)


def card(number: str) -> bool:
    """A number in the range of an issuer, of its length, with its check digit."""
    if not luhn(number) or repeats(number):  # which costs less than asking for the issuer
        return False
    size = len(number)
    return any(size in sizes and prefix.match(number) for prefix, sizes in _CARDS)


_NO_CARD = re.compile(
    r"(?i)(?:(?:\b|_)(?:ids?|time(?:stamp)?|ts|nonce|order|invoice|tracking|trace|span|session|"
    r"request|req|seq(?:uence)?|offset|serial|imei|isbn|ean|upc|sku|hash|seed|count|bytes|size|uid|"
    r"status|message|msg|"
    r"inode|epoch|version|build)(?:[ _-]?(?:id|no|number))?[\"']?\s{0,2}(?:[:=#/]|is)?"
    r"\s{0,2}[\"']?|(?<!card)(?<!cc)(?<!visa)(?<!pan)[A-Za-z][-_])$"
)
"""Before digits in one run: they are the id of something else, such as `req-4111...`."""


def card_length(text: str, left: str) -> int:
    """How much of it, from its beginning and up to a separator, is a card's number."""
    if text.isdigit() and _NO_CARD.search(left[-32:]):
        return 0
    if text.isdigit():
        return len(text) if card(text) else 0
    ends = [m.end() for m in _ENDS.finditer(text)]
    for end in reversed(ends):
        number = digits(text[:end])
        if len(number) < 12:
            return 0
        if card(number):
            return end
    return 0


_IBAN = {
    country: int(size)
    for size, countries in (
        pair.split(":")
        for pair in [
            "15:NO",
            "16:BE",
            "18:DK,FO,FI,GL,NL,SD",
            "19:MK,SI",
            "20:AT,BA,EE,KZ,LT,LU,MN,XK",
            "21:CH,HR,LI,LV",
            "22:BG,BH,CR,DE,GB,GE,IE,ME,RS,VA",
            "23:AE,GI,IL,IQ,OM,SO,TL",
            "24:AD,CZ,ES,MD,PK,RO,SA,SE,SK,TN,VG",
            "25:LY,PT,ST",
            "26:IS,TR",
            "27:BI,DJ,FR,GR,IT,MC,MR,SM",
            "28:AL,AZ,BY,CY,DO,GT,HU,LB,NI,PL,SV",
            "29:BR,EG,PS,QA,UA",
            "30:JO,KW,MU,YE",
            "31:MT,SC",
            "32:LC",
            "33:RU",
            "18:FK",
        ]
    )
    for country in countries.split(",")
}


def mod97(text: str) -> int:
    """Of letters and digits, A as 10 to Z as 35 (ISO 7064)."""
    return int("".join([str(int(c, 36)) for c in text])) % 97


def iban_length(text: str, left: str) -> int:
    """How much of it is an IBAN: its country says how long that is."""
    size, count = _IBAN.get(text[:2].upper(), 0), 0
    for at, char in enumerate(text):
        count += char.isalnum()
        if count == size:
            code = compact(text[: at + 1])
            return at + 1 if mod97(code[4:] + code[:4]) == 1 else 0
    return 0


def ssn(number: str) -> bool:
    """An area, a group and a serial that were or may be given out."""
    area, group, serial = number[:3], number[3:5], number[5:]
    dead = area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000"
    return not dead and not repeats(number)


def itin(number: str) -> bool:
    """9xx with a group of 50 to 65, 70 to 88, 90 to 92 or 94 to 99."""
    group = int(number[3:5])
    return number[0] == "9" and group >= 50 and group not in (66, 67, 68, 69, 89, 93)


def aba(number: str) -> bool:
    """A routing number: a Federal Reserve district and weights 3, 7, 1."""
    head = int(number[:2])
    known = 1 <= head <= 12 or 21 <= head <= 32 or 61 <= head <= 72 or head == 80
    return known and weighted(number, (3, 7, 1) * 3) % 10 == 0


def nhs(number: str) -> bool:
    """Mod 11 over ten digits."""
    return not repeats(number) and weighted(number, tuple(range(10, 0, -1))) % 11 == 0


_VIN = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", "12345678123457923456789", strict=True))
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def vin(code: str) -> bool:
    """17 characters whose ninth is the check digit, as in North America and China."""
    values = "".join([_VIN.get(c, c) for c in code])
    if not values.isdigit() or code.isdigit() or code.isalpha():
        return False
    return "0123456789X"[weighted(values, _VIN_WEIGHTS) % 11] == code[8]


_LOCAL = tuple(
    (int(net.network_address), int(net.netmask))
    for net in map(
        ipaddress.IPv4Network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
        ),
    )
)
"""Not of the public network (RFC 6890). Asking `ipaddress` takes forty times as long."""
_PUBLIC = frozenset({"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "1.2.3.4"})


def ip(text: str) -> float:
    """An address of the public network that may be somebody's."""
    address = _address(text)
    if address is None or _is_local(address) or text in _PUBLIC:
        return 0
    return 0.85 if address.version == 4 or _telling(text) else 0


def private_ip(text: str) -> float:
    """An address that means something only where it is: private, of this host, of this link, of
    documentation (RFC 6890)."""
    address = _address(text)
    if address is None or not _is_local(address):
        return 0
    return 0.7 if address.version == 4 or _telling(text) else 0


def _is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if address.version == 6:
        return not address.is_global
    number = int(address)
    return any(number & mask == net for net, mask in _LOCAL)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is none, and for masks and addresses of many."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if text.startswith(("255.", "0.")) or address.is_multicast or address.is_unspecified:
        return None
    return address


def _telling(text: str) -> bool:
    """Of version 6: more than a short word of hex digits and colons."""
    groups = [group for group in text.split(":") if group]
    long = len(groups) > 1 and any(len(group) > 2 for group in groups)
    return long and re.search(r"\d", text) is not None


def mac(text: str) -> bool:
    """Not all zeros or ones, with one kind of separator."""
    plain = compact(text)
    return (
        not repeats(plain) and "DEADBEEF" not in plain and len(set(re.findall(r"[:.-]", text))) == 1
    )


_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"


def base58check(text: str, alphabet: str = _BASE58) -> bool:
    """25 bytes of which four are a hash of the rest (BIP 13)."""
    number = 0
    for char in text:
        value = alphabet.find(char)
        if value < 0:
            return False
        number = number * 58 + value
    try:
        raw = number.to_bytes(25, "big")
    except OverflowError:
        return False
    return sha256(sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def base58_size(text: str) -> int:
    """Bytes that base58 stands for."""
    number = 0
    for char in text:
        number = number * 58 + _BASE58.index(char)
    ones = len(text) - len(text.lstrip("1"))
    return ones + (number.bit_length() + 7) // 8


def ripple(text: str) -> bool:
    """An address of the XRP ledger."""
    return base58check(text, _RIPPLE)


def stellar(text: str) -> bool:
    """An account of Stellar: base32 with a CRC-16 of all before it (SEP-23)."""
    raw = base64.b32decode(text)
    return binascii.crc_hqx(raw[:-2], 0).to_bytes(2, "little") == raw[-2:]


_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(text: str) -> bool:
    """Bitcoin's BCH code, both versions (BIP 173, 350)."""
    prefix, _, tail = text.lower().rpartition("1")
    if not prefix or any(c not in _BECH32 for c in tail):
        return False
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    checksum = 1
    for value in values + [_BECH32.index(c) for c in tail]:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= term if top >> bit & 1 else 0
    return checksum in (1, 0x2BC830A3)


_MASK = (1 << 64) - 1


def _rounds() -> tuple[int, ...]:
    """Keccak's round constants, from its LFSR."""
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for power in range(7):
            if register & 1:
                constant |= 1 << ((1 << power) - 1)
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)


_ROUNDS = _rounds()


def _permuted(a: list[list[int]]) -> list[list[int]]:
    for constant in _ROUNDS:
        c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [c[x - 1] ^ (c[(x + 1) % 5] << 1 | c[(x + 1) % 5] >> 63) & _MASK for x in range(5)]
        a = [[lane ^ d[x] for lane in a[x]] for x in range(5)]
        x, y, current = 1, 0, a[1][0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            turn = (step + 1) * (step + 2) // 2 % 64
            current, a[x][y] = a[x][y], (current << turn | current >> (64 - turn)) & _MASK
        a = [
            [a[x][y] ^ (~a[(x + 1) % 5][y] & a[(x + 2) % 5][y]) for y in range(5)] for x in range(5)
        ]
        a[0][0] ^= constant
    return a


def keccak256(message: bytes) -> bytes:
    """The hash of less than 136 bytes. (Not SHA3-256, whose padding differs.)"""
    block = bytearray(message + b"\x01" + bytes(135 - len(message)))
    block[135] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for number in range(17):
        lanes[number % 5][number // 5] = int.from_bytes(
            block[8 * number : 8 * number + 8], "little"
        )
    lanes = _permuted(lanes)
    return b"".join([lanes[x][0].to_bytes(8, "little") for x in range(4)])


def ethereum(address: str) -> bool:
    """`0x` and 40 hex digits; their case, where it is mixed, is a checksum (EIP-55)."""
    plain = address[2:]
    if len(set(plain.lower())) < 6:
        return False
    if plain in (plain.lower(), plain.upper()):
        return True
    hashed = keccak256(plain.lower().encode()).hex()
    return all(
        (c.upper() if int(h, 16) > 7 else c.lower()) == c
        for c, h in zip(plain, hashed, strict=False)
    )


_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_OLDEST = 1900


def birthday(text: str) -> bool:
    """A day that was, in any order of year, month and day."""
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    word = re.search(r"[^\W\d_]{2,}", text)
    if word and len(numbers) == 2:
        month = next((i for i, m in enumerate(_MONTHS, 1) if word.group().lower().startswith(m)), 1)
        numbers.insert(1, month)
    if len(numbers) != 3:
        return False
    first, second, third = numbers
    ways = ((first, second, third), (third, second, first), (third, first, second))
    return any(_was(*way) for way in ways)


def _was(year: int, month: int, day: int) -> bool:
    if year < 100:
        year += 1900 if year > 30 else 2000
    try:
        return date(year, month, day).year in range(_OLDEST, 2100)
    except ValueError:
        return False


def entropy(text: str) -> float:
    """Bits per character (Shannon)."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
