"""Check digits, each after its public specification, so that a made-up number is a valid one.

A function named after a scheme takes the part without its check and returns the whole; it raises
NoCheckDigit where the scheme has none for that part (the caller draws again). Digits are text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE58 = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


class NoCheckDigit(Exception):
    """The scheme does not hand out this number."""


def weighted(body: str, weights: Sequence[int]) -> int:
    """Add up each digit times its weight; the weights must be as many as the digits."""
    return sum(int(d) * w for d, w in zip(body, weights, strict=True))


def one_digit(number: int) -> str:
    """Write a check digit; ten is no digit."""
    if number > 9:
        raise NoCheckDigit(number)
    return str(number)


def luhn(body: str) -> str:
    """ISO/IEC 7812-1: payment cards, and the personal numbers of several countries."""
    doubled = [int(d) * 2 for d in body[::-2]]
    total = sum(n // 10 + n % 10 for n in doubled) + sum(int(d) for d in body[-2::-2])
    return f"{body}{-total % 10}"


def mod97(text: str) -> int:
    """ISO/IEC 7064 MOD 97: letters count from 10."""
    return int("".join(str(int(c, 36)) for c in text)) % 97


def iban(country: str, account: str) -> str:
    """ISO 13616: the two digits after the country make the turned number 1 modulo 97."""
    return f"{country}{98 - mod97(account + country + '00'):02}{account}"


def aba(body: str) -> str:
    """Return the routing number of the American Bankers Association: weights 3, 7, 1."""
    return f"{body}{-weighted(body, (3, 7, 1, 3, 7, 1, 3, 7)) % 10}"


def vin(body: str) -> str:
    """49 CFR 565.15: the ninth of seventeen places; ``body`` holds any character there."""
    values = dict(
        zip(
            "ABCDEFGHJKLMNPRSTUVWXYZ",
            (*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)),
            strict=True,
        )
    )
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    codes = [int(c) if c.isdigit() else values[c] for c in body]
    rest = sum(c * w for c, w in zip(codes, weights, strict=True)) % 11
    return body[:8] + "0123456789X"[rest] + body[9:]


def nhs(body: str) -> str:
    """NHS Data Dictionary: modulo 11 with weights 10 to 2."""
    return body + one_digit((11 - weighted(body, range(10, 1, -1)) % 11) % 11)


_DIHEDRAL = [
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
]
_TURNS = [
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
]


def verhoeff(body: str) -> str:
    """Verhoeff 1969, as Aadhaar uses it: the dihedral group of ten elements."""
    state = 0
    for place, digit in enumerate(reversed(body), 1):
        state = int(_DIHEDRAL[state][int(_TURNS[place % 8][int(digit)])])
    return body + str(_DIHEDRAL[state].index("0"))


def mod11_10(body: str) -> str:
    """ISO/IEC 7064 MOD 11,10: the German tax number and VAT number."""
    product = 10
    for digit in body:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return f"{body}{(11 - product) % 10}"


def mod11_2(body: str) -> str:
    """ISO/IEC 7064 MOD 11-2: the resident number of China (GB 11643)."""
    total = sum(int(d) * pow(2, 17 - i, 11) for i, d in enumerate(body))
    return body + "10X98765432"[total % 11]


def digest(data: bytes) -> bytes:
    """SHA-256 twice, as Bitcoin and its kin check their addresses."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def base58check(payload: bytes, alphabet: str = BASE58) -> str:
    """Write version byte and hash with four check bytes; leading zero bytes are kept."""
    whole = payload + digest(payload)[:4]
    number, out = int.from_bytes(whole), ""
    while number:
        number, rest = divmod(number, 58)
        out = alphabet[rest] + out
    return alphabet[0] * (len(whole) - len(whole.lstrip(b"\0"))) + out


def base58check_ok(text: str, alphabet: str = BASE58) -> bool:
    """Tell whether ``text`` carries its own four check bytes."""
    number = 0
    for char in text:
        number = number * 58 + alphabet.index(char)
    zeros = len(text) - len(text.lstrip(alphabet[0]))
    whole = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
    return digest(whole[:-4])[:4] == whole[-4:]


def _polymod(values: Sequence[int]) -> int:
    state = 1
    for value in values:
        top, state = state >> 25, (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            state ^= generator if top >> bit & 1 else 0
    return state


def _spread(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def bech32(prefix: str, data: Sequence[int], constant: int) -> str:
    """BIP 173 (constant 1) and BIP 350 (0x2bc830a3): ``data`` in groups of five bits."""
    state = _polymod([*_spread(prefix), *data, *[0] * 6]) ^ constant
    check = [state >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join(BECH32[v] for v in [*data, *check])


def bech32_ok(text: str) -> bool:
    """Tell whether either constant comes out."""
    prefix, _, rest = text.lower().rpartition("1")
    return _polymod([*_spread(prefix), *map(BECH32.index, rest)]) in (1, 0x2BC830A3)


def five_bits(data: bytes) -> list[int]:
    """Cut bytes into groups of five bits, the last filled with zeros."""
    bits = "".join(f"{b:08b}" for b in data)
    return [int(bits[i : i + 5].ljust(5, "0"), 2) for i in range(0, len(bits), 5)]


def _rounds() -> list[int]:
    constants, state = [], 1
    for _ in range(24):
        constant = 0
        for j in range(7):
            constant |= (state & 1) << (1 << j) - 1
            state = state << 1 ^ (0x171 if state & 0x80 else 0)
        constants.append(constant)
    return constants


def _permute(lanes: list[list[int]]) -> list[list[int]]:
    def turn(lane: int, by: int) -> int:
        return (lane << by | lane >> 64 - by) % (1 << 64)

    for constant in _rounds():
        columns = [c[0] ^ c[1] ^ c[2] ^ c[3] ^ c[4] for c in lanes]
        mixed = [columns[x - 1] ^ turn(columns[(x + 1) % 5], 1) for x in range(5)]
        lanes = [[lane ^ mixed[x] for lane in lanes[x]] for x in range(5)]
        x, y, moved = 1, 0, lanes[1][0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            moved, lanes[x][y] = lanes[x][y], turn(moved, (step + 1) * (step + 2) // 2 % 64)
        rows = [[lanes[x][y] for x in range(5)] for y in range(5)]
        lanes = [
            [rows[y][x] ^ (~rows[y][(x + 1) % 5] & rows[y][(x + 2) % 5]) for y in range(5)]
            for x in range(5)
        ]
        lanes[0][0] ^= constant
    return lanes


def keccak256(data: bytes) -> bytes:
    """Keccak with padding 0x01, as Ethereum uses it; one block (135 bytes) at most."""
    block = bytearray(data.ljust(136, b"\0"))
    block[len(data)] ^= 0x01
    block[-1] ^= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for i in range(17):
        lanes[i % 5][i // 5] = int.from_bytes(block[8 * i : 8 * i + 8], "little")
    lanes = _permute(lanes)
    return b"".join(lanes[i][0].to_bytes(8, "little") for i in range(4))


def eip55(address: str) -> str:
    """ERC-55: forty hex digits whose letters are upper case where the hash has its high bit."""
    marks = keccak256(address.lower().encode()).hex()
    pairs = zip(address.lower(), marks, strict=False)
    return "0x" + "".join(c.upper() if int(m, 16) > 7 else c for c, m in pairs)
