"""Values that look like findings and are none: they fill texts and carry no label."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime

from bench.guard_sets.checksums import iban, luhn
from bench.guard_sets.drawing import (
    ALNUM,
    DIGITS,
    HEX,
    LOWER,
    UPPER,
    Draw,
    Random,
    one_of,
    pattern,
    some,
    spaced,
)

NAMES = (
    "Maren Ferrante",
    "Tobias Brandt",
    "Ines Castellanos",
    "Oluwaseun Oyelaran",
    "Yuki Sato",
    "Katarzyna Kowalczyk",
    "Raj Sharma",
    "Zeynep Yildiz",
    "Sophie Ouellet",
    "Liam Haugen",
    "Anneke de Vries",
    "Giulia Marchetti",
    "Pavel Novotny",
    "Dana Okafor",
    "Hugo Pettersson",
)
COMPANIES = (
    "Brightmoor Fixtures",
    "Kestrel Analytics",
    "Harborline Freight",
    "Quiet Fox Studio",
    "Oak Bend School",
    "Nordlys Bakeri",
    "Verdura Viva",
    "Atelier Mirabel",
)


def moment(shape: str) -> Draw:
    """Return what writes a moment of the years 2021 to 2026."""

    def draw(rng: Random) -> str:
        second = rng.randrange(1_610_000_000, 1_790_000_000)
        return datetime.fromtimestamp(second, UTC).strftime(shape)

    return draw


def broken_card(rng: Random) -> str:
    """Sixteen digits that begin like a card and fail Luhn."""
    right = luhn(rng.choice("45") + some(rng, "12345", 14))
    return right[:-1] + str((int(right[-1]) + rng.randrange(1, 10)) % 10)


def broken_iban(rng: Random) -> str:
    """An IBAN with its check digits off by a few."""
    right = iban("DE", some(rng, DIGITS, 18))
    return f"DE{(int(right[2:4]) + 7) % 97:02}{right[4:]}"


def no_card(count: int) -> Draw:
    """Return what draws so many digits, beginning with 9 as no card does."""
    return lambda rng: "9" + some(rng, DIGITS, count - 1)


def digest(count: int) -> Draw:
    """Return what draws a hash of so many hex digits, with at least one letter in front."""
    return lambda rng: rng.choice("abcdef") + some(rng, HEX, count - 1)


FILLERS: dict[str, Draw] = {
    "name": lambda rng: rng.choice(NAMES),
    "company": lambda rng: rng.choice(COMPANIES),
    "uuid": lambda rng: str(uuid.UUID(bytes=rng.randbytes(16), version=4)),
    "sha1": digest(40),
    "sha256": digest(64),
    "md5": digest(32),
    "short": digest(7),
    "trace": digest(32),
    "span": digest(16),
    "objectid": digest(24),
    "sri": lambda rng: "sha512-" + base64.b64encode(rng.randbytes(64)).decode(),
    "sri256": lambda rng: "sha256-" + base64.b64encode(rng.randbytes(32)).decode(),
    "gosum": lambda rng: "h1:" + base64.b64encode(rng.randbytes(32)).decode(),
    "addr": lambda rng: "0x" + some(rng, HEX, 12),
    "ts": moment("%Y-%m-%dT%H:%M:%SZ"),
    "stamp": moment("%Y-%m-%d %H:%M:%S"),
    "syslog": moment("%b %d %H:%M:%S"),
    "clf": moment("%d/%b/%Y:%H:%M:%S +0000"),
    "date": moment("%Y-%m-%d"),
    "usdate": moment("%m/%d/%Y"),
    "clock": moment("%H:%M:%S"),
    "epoch": lambda rng: str(rng.randrange(1_610_000_000, 1_790_000_000)),
    "epoch_ms": lambda rng: str(rng.randrange(1_610_000_000_000, 1_790_000_000_000)),
    "micros": pattern("######"),
    "port": lambda rng: str(rng.choice((80, 443, 3000, 4317, 5432, 6379, 8080, 8443, 9090, 50051))),
    "pid": lambda rng: str(rng.randrange(200, 65000)),
    "small": lambda rng: str(rng.randrange(1, 100)),
    "int": lambda rng: str(rng.randrange(100, 100_000)),
    "big": lambda rng: str(rng.randrange(10**7, 10**10)),
    "ms": lambda rng: f"{rng.uniform(0.2, 900):.1f}",
    "ver": lambda rng: f"{rng.randrange(12)}.{rng.randrange(30)}.{rng.randrange(20)}",
    "ver4": lambda rng: f"{rng.randrange(1, 5)}.{rng.randrange(300, 999)}.0.{rng.randrange(9)}",
    "ip10": lambda rng: f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}",
    "ip192": lambda rng: f"192.168.{rng.randrange(256)}.{rng.randrange(1, 255)}",
    "colour": lambda rng: "#" + some(rng, HEX, 6),
    "order": one_of("ORD-######", "#10####", "SO-2025-#####", "PO 45#####", "INV-2026-0####"),
    "ticket": one_of("'OPS'-1###", "'WEB'-4##", "'INC'00#####", "'BUG'-###"),
    "snowflake": no_card(18),
    "digits16": no_card(16),
    "digits9": pattern("000######"),
    "tracking": one_of("'1Z'###@##0#########", "'RR'#########'XX'"),
    "sku": lambda rng: f"{some(rng, UPPER, 3)}-{some(rng, DIGITS, 4)}-{some(rng, UPPER, 1)}",
    "pod": lambda rng: (
        f"{some(rng, 'bcdfghjklmnpqrstvwxz2456789', 10)}-"
        + some(rng, "bcdfghjklmnpqrstvwxz2456789", 5)
    ),
    "nanoid": lambda rng: some(rng, ALNUM, 12),
    "word": lambda rng: rng.choice(("orders", "billing", "search", "ingest", "gateway", "worker")),
    "ident": lambda rng: some(rng, LOWER, 6),
    "broken_card": broken_card,
    "broken_card_spaced": spaced(broken_card, "4 4 4 4"),
    "broken_iban": broken_iban,
    "broken_ssn": one_of("000-12-3###", "666-45-6###", "123-00-4###", "219-09-0000"),
    "float": lambda rng: f"{rng.uniform(-90, 90):.6f}",
}
