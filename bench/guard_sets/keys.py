"""Secrets: valid in form, random in content, opened by nothing.

Where a vendor publishes a check (GitHub's and npm's CRC-32 in base 62) it is right. What a service
knows only by its context (a password, Azure's and Twilio's bare hex) is drawn bare; the texts give
the context. Private keys have true headers and random bodies, except Ed25519, where every body of
32 bytes is a key.
"""

from __future__ import annotations

import base64
import binascii
import json
import string

from bench.guard_sets.drawing import (
    ALNUM,
    BASE32,
    DIGITS,
    HEX,
    LOWER,
    UPPER,
    URLSAFE,
    Draw,
    Random,
    some,
)

BASE62 = string.digits + UPPER + LOWER
WORDS = (
    "harbor",
    "Tulip",
    "granite",
    "Falcon",
    "marble",
    "Comet",
    "willow",
    "Bishop",
    "ember",
    "Juniper",
    "rocket",
    "Saffron",
    "cobalt",
    "Lantern",
)
PLACES = (
    "db.internal",
    "pg-main.prod.svc",
    "10.20.4.11",
    "mongo-0.mongo",
    "cache.prod.local",
    "rabbit-2.queue.internal",
    "sql07.corp.local",
    "cluster0.k3xqz.mongodb.net",
)
USERS = ("app", "svc_orders", "readonly", "billing", "etl", "admin", "reporting")

_RSA = bytes.fromhex("308204a40201000282010100")
_PKCS8 = bytes.fromhex("308204be020100300d06092a864886f70d0101010500048204a8308204a4")
_ED25519 = bytes.fromhex("302e020100300506032b657004220420")
_EC = bytes.fromhex("30770201010420")
_OPENSSH = b"openssh-key-v1\0" + bytes.fromhex("000000046e6f6e65000000046e6f6e65")


def after(prefix: str, alphabet: str, count: int, suffix: str = "") -> Draw:
    """Return what draws ``count`` characters between two fixed parts."""
    return lambda rng: prefix + some(rng, alphabet, count) + suffix


def urlsafe(data: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def crc62(body: str) -> str:
    """Put after a random part its CRC-32 in six base-62 digits, as GitHub and npm do."""
    number, check = binascii.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        check = BASE62[rest] + check
    return body + check


def checked(prefix: str) -> Draw:
    """Return what draws thirty characters and their check."""
    return lambda rng: prefix + crc62(some(rng, BASE62, 30))


def openai(prefix: str, half: int, alphabet: str = URLSAFE) -> Draw:
    """Return what draws a key with OpenAI's mark (base64 of "OpenAI") in the middle."""
    return lambda rng: f"{prefix}{some(rng, alphabet, half)}T3BlbkFJ{some(rng, alphabet, half)}"


def slack(kind: str, *digits: int) -> Draw:
    """Return what draws a token of numbers and a random tail."""
    return lambda rng: "-".join(
        [
            kind,
            *(rng.choice("123456789") + some(rng, DIGITS, n - 1) for n in digits),
            some(rng, ALNUM, 24),
        ]
    )


def jwt(rng: Random) -> str:
    """Header, claims and 32 random bytes."""
    head = {"alg": rng.choice(("HS256", "HS512", "RS256")), "typ": "JWT"}
    claims = {
        "sub": some(rng, DIGITS, 9),
        "iat": 1_700_000_000 + rng.randrange(90_000_000),
        "scope": rng.choice(("read", "admin", "orders:write")),
        "jti": some(rng, HEX, 12),
    }
    parts = [urlsafe(json.dumps(p, separators=(",", ":")).encode()) for p in (head, claims)]
    return ".".join([*parts, urlsafe(rng.randbytes(32))])


def pem(label: str, start: bytes, size: int) -> Draw:
    """Return what draws a PEM block whose bytes begin with ``start``."""

    def draw(rng: Random) -> str:
        text = base64.b64encode(start + rng.randbytes(size)).decode()
        lines = [text[i : i + 64] for i in range(0, len(text), 64)]
        return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])

    return draw


def escaped(rng: Random) -> str:
    """An RSA key on one line, as in environment files and JSON."""
    return pem("RSA PRIVATE KEY", _RSA, 590)(rng).replace("\n", "\\n")


def pgp(rng: Random) -> str:
    """An armoured OpenPGP block."""
    block = pem("PGP PRIVATE KEY BLOCK", b"\x95\x03\xc5\x04", 420)(rng)
    head, body = block.split("\n", 1)
    return f"{head}\n\n{body}"


def service_account(rng: Random) -> str:
    """Google's JSON key file, whole."""
    project = f"{rng.choice(WORDS).lower()}-{rng.choice(WORDS).lower()}-{some(rng, DIGITS, 6)}"
    return json.dumps(
        {
            "type": "service_account",
            "project_id": project,
            "private_key_id": some(rng, HEX, 40),
            "private_key": pem("PRIVATE KEY", _PKCS8, 600)(rng) + "\n",
            "client_email": f"worker@{project}.iam.gserviceaccount.com",
            "client_id": some(rng, "123456789", 21),
            "token_uri": "https://oauth2.googleapis.com/token",
        },
        indent=rng.choice((None, 2)),
    )


def password(rng: Random) -> str:
    """A password as people choose or machines make them; no quote, space or comma."""
    word, other = rng.sample(WORDS, 2)
    return rng.choice(
        (
            f"{word}{other}{some(rng, DIGITS, 2)}!",
            f"{word.title()}#{some(rng, DIGITS, 4)}",
            f"{word[:4]}_{other.upper()}{some(rng, DIGITS, 3)}$",
            some(rng, ALNUM + "!#$%&*+=?@^", 16),
            some(rng, ALNUM, 20),
            f"{word}-{other.lower()}-{rng.choice(WORDS).lower()}-{some(rng, DIGITS, 2)}",
        )
    )


def dsn(scheme: str, tail: str) -> Draw:
    """Return what draws a URL with user, password, host and ``tail``."""

    def draw(rng: Random) -> str:
        user = "" if scheme == "redis" else rng.choice(USERS)
        return f"{scheme}://{user}:{some(rng, ALNUM, 14)}@{rng.choice(PLACES)}{tail}"

    return draw


def sql_server(rng: Random) -> str:
    """ADO.NET's semicolons."""
    return (
        f"Server=tcp:{rng.choice(PLACES)},1433;Database=Orders;User Id={rng.choice(USERS)};"
        f"Password={some(rng, ALNUM, 16)};Encrypt=True"
    )


def jdbc(rng: Random) -> str:
    """A JDBC URL with its password as a parameter."""
    return (
        f"jdbc:postgresql://{rng.choice(PLACES)}:5432/ledger?user={rng.choice(USERS)}"
        f"&password={some(rng, ALNUM, 15)}"
    )


SECRETS: dict[str, dict[str, Draw]] = {
    "openai_key": {
        "project": openai("sk-proj-", 74),
        "old": openai("sk-", 20, ALNUM),
        "service": openai("sk-svcacct-", 58),
        "admin": openai("sk-admin-", 58),
    },
    "anthropic_key": {
        "api": after("sk-ant-api03-", URLSAFE, 93, "AA"),
        "admin": after("sk-ant-admin01-", URLSAFE, 93, "AA"),
        "oauth": after("sk-ant-oat01-", URLSAFE, 93, "AA"),
    },
    "google_api_key": {"plain": after("AIzaSy", URLSAFE, 33)},
    "aws_access_key_id": {"long": after("AKIA", BASE32, 16), "session": after("ASIA", BASE32, 16)},
    "aws_secret_key": {"plain": after("", ALNUM + "/+", 40)},
    "github_token": {
        "personal": checked("ghp_"),
        "oauth": checked("gho_"),
        "app": checked("ghs_"),
        "fine": lambda rng: f"github_pat_11{some(rng, BASE32, 20)}_{some(rng, ALNUM, 59)}",
    },
    "gitlab_token": {
        "personal": after("glpat-", URLSAFE, 20),
        "runner": after("glrt-", URLSAFE, 20),
        "deploy": after("gldt-", URLSAFE, 20),
        "trigger": after("glptt-", HEX, 40),
    },
    "slack_token": {
        "bot": slack("xoxb", 12, 13),
        "user": slack("xoxp", 12, 12, 13),
        "app": lambda rng: (
            f"xapp-1-A{some(rng, BASE32, 10)}-{some(rng, '123456789', 13)}-" + some(rng, HEX, 64)
        ),
    },
    "stripe_key": {
        "live": after("sk_live_", ALNUM, 24),
        "long": after("sk_live_51", ALNUM, 97),
        "restricted": after("rk_live_", ALNUM, 24),
        "test": after("sk_test_51", ALNUM, 97),
        "hook": after("whsec_", ALNUM, 32),
    },
    "huggingface_token": {"plain": after("hf_", ALNUM[:52], 34)},
    "npm_token": {"plain": checked("npm_")},
    "pypi_token": {"plain": lambda rng: "pypi-AgEIcHlwaS5vcmcC" + urlsafe(rng.randbytes(120))},
    "azure_key": {
        "storage": lambda rng: base64.b64encode(rng.randbytes(64)).decode(),
        "hex": after("", HEX, 32),
        "openai": lambda rng: (
            f"{some(rng, ALNUM, 52)}JQQJ99{some(rng, 'ABCD', 2)}AC"
            f"{some(rng, ALNUM, 5)}XJ3w3AAABACOG{some(rng, ALNUM, 4)}"
        ),
        "client": lambda rng: f"{some(rng, ALNUM, 3)}8Q~{some(rng, URLSAFE, 34)}",
    },
    "gcp_service_account": {"json": service_account},
    "twilio_key": {"key": after("SK", HEX, 32), "auth": after("", HEX, 32)},
    "sendgrid_key": {"plain": lambda rng: f"SG.{some(rng, URLSAFE, 22)}.{some(rng, URLSAFE, 43)}"},
    "jwt": {"plain": jwt},
    "private_key": {
        "rsa": pem("RSA PRIVATE KEY", _RSA, 1180),
        "pkcs8": pem("PRIVATE KEY", _PKCS8, 1180),
        "ed25519": pem("PRIVATE KEY", _ED25519, 32),
        "ec": pem("EC PRIVATE KEY", _EC, 114),
        "openssh": pem("OPENSSH PRIVATE KEY", _OPENSSH, 230),
        "pgp": pgp,
        "escaped": escaped,
    },
    "connection_string": {
        "postgres": dsn("postgresql", ":5432/orders"),
        "pg_short": dsn("postgres", "/app"),
        "mongo": dsn("mongodb+srv", "/shop?retryWrites=true"),
        "redis": dsn("redis", ":6379/0"),
        "mysql": dsn("mysql", ":3306/crm"),
        "amqp": dsn("amqp", ":5672/%2f"),
        "python": dsn("postgresql+asyncpg", ":5432/ledger"),
        "sqlserver": sql_server,
        "jdbc": jdbc,
    },
    "password": {"plain": password},
    "api_key": {
        "hex": after("", HEX, 40),
        "alnum": after("", ALNUM, 32),
        "url": after("", URLSAFE, 43),
        "named": lambda rng: f"{rng.choice(('acme', 'kst', 'qfx'))}_live_{some(rng, ALNUM, 28)}",
    },
}
