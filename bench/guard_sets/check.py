"""Check the sets: `python -m bench.guard_sets.check` prints counts, and each fault on a line.

The files must be what ``make`` writes, no text may come twice, every span must hold a value of its
type (checksums, forms), and outside the spans nothing may stand that is one. Where python-stdnum
and phonenumbers are installed, they judge national, tax and telephone numbers too.
"""

from __future__ import annotations

import base64
import importlib
import ipaddress
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote

from bench.guard_sets.checksums import (
    BASE58,
    RIPPLE58,
    aba,
    base58check,
    base58check_ok,
    bech32_ok,
    eip55,
    iban,
    luhn,
    mod11_2,
    mod11_10,
    mod97,
    nhs,
    verhoeff,
    vin,
)
from bench.guard_sets.ids import bsn, cpf
from bench.guard_sets.keys import crc62
from bench.guard_sets.make import HERE, LONGEST, SETS, TYPES, lines

# Numbers that the specifications or their best known examples print.
PUBLISHED = (
    (luhn("411111111111111"), "4111111111111111"),
    (iban("GB", "WEST12345698765432"), "GB82WEST12345698765432"),
    (aba("02100002"), "021000021"),
    (vin("1M8GDM9A0KP042788"), "1M8GDM9AXKP042788"),
    (nhs("943476591"), "9434765919"),
    (verhoeff("236"), "2363"),
    (mod11_10("8609574271"), "86095742719"),
    (mod11_2("11010519491231002"), "11010519491231002X"),
    (cpf("529982247"), "52998224725"),
    (bsn("11122233"), "111222333"),
    (
        eip55("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"),
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    ),
    (
        base58check(bytes.fromhex("0062e907b15cbf27d5425399ebf6f0fb50ebb88f18")),
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    ),
    (bech32_ok("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), True),
    (bech32_ok("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"), True),
    (base58check_ok("rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh", RIPPLE58), True),
)


def bare(text: str) -> str:
    """Leave out what only groups: spaces, dashes, dots, colons, slashes."""
    return re.sub(r"[\s\u00a0.:/-]", "", text)


def is_card(text: str) -> bool:
    """Tell whether these are 12 to 19 digits of a card's range that pass Luhn."""
    digits = bare(text)
    return bool(re.fullmatch(r"[2-6]\d{11,18}", digits)) and luhn(digits[:-1]) == digits


def is_iban(text: str) -> bool:
    """Tell whether the turned number leaves 1."""
    plain = bare(text).upper()
    shaped = re.fullmatch(r"[A-Z]{2}\d\d[A-Z0-9]{11,30}", plain)
    return bool(shaped) and mod97(plain[4:] + plain[:4]) == 1


def is_public(text: str) -> bool:
    """Tell whether this is an address of the open net."""
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def is_coin(text: str) -> bool:
    """Tell whether an address carries its own check (small Ethereum addresses have none)."""
    if text.startswith("0x"):
        return text in (eip55(text[2:]), text.lower()) and len(text) == 42
    if text.startswith(("bc1", "ltc1")):
        return bech32_ok(text)
    letters = RIPPLE58 if text.startswith("r") else BASE58
    return len(text) > 25 and set(text) <= set(letters) and base58check_ok(text, letters)


def checked_token(text: str) -> bool:
    """Tell whether the CRC-32 at the end of a GitHub or npm token is right."""
    if text.startswith("github_pat_"):
        return bool(re.fullmatch(r"github_pat_\w{22}_\w{59}", text))
    body = text.partition("_")[2]
    return len(body) == 36 and crc62(body[:30]) == body


def form(shape: str) -> Callable[[str], bool]:
    """Return what tells whether a whole text has this form."""
    compiled = re.compile(shape, re.DOTALL | re.ASCII)
    return lambda text: bool(compiled.fullmatch(text))


_SSN = r"(?!000|666|9)\d{3}([- ]?)(?!00)\d\d\1(?!0000)\d{4}"
FORMS: dict[str, Callable[[str], bool]] = {
    "email": form(r"[\w.+%'-]+@[\w-]+(\.[\w-]+)+"),
    "phone": lambda t: 7 <= len(re.sub(r"\D", "", t)) <= 15,
    "credit_card": is_card,
    "iban": is_iban,
    "ssn": form(_SSN),
    "itin": form(r"9\d\d([- ]?)(5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])\1\d{4}"),
    "routing_number": lambda t: aba(t[:-1]) == t,
    "ip": is_public,
    "mac": lambda t: bool(re.fullmatch(r"[0-9a-fA-F]{12}", bare(t))),
    "crypto_address": is_coin,
    "vin": lambda t: len(t) == 17 and vin(t.upper()) == t.upper(),
    "date_of_birth": form(r"(?=.*\d).{6,24}"),
    "nhs_number": lambda t: nhs(bare(t)[:-1]) == bare(t),
    "passport": form(r"(?=.*\d)[A-Z0-9 ]{8,10}"),
    "driver_license": form(r"(?=.*\d)[A-Z0-9 -]{8,18}"),
    "national_id": form(r"[\w .-]{7,21}"),
    "tax_id": form(r"[A-Z0-9 ./-]{9,18}"),
    "openai_key": form(r"sk-[\w-]+T3BlbkFJ[\w-]+"),
    "anthropic_key": form(r"sk-ant-(api03|admin01|oat01)-[\w-]{93}AA"),
    "google_api_key": form(r"AIza[\w-]{35}"),
    "aws_access_key_id": form(r"A(KI|SI)A[A-Z2-7]{16}"),
    "aws_secret_key": form(r"[\w/+]{40}"),
    "github_token": checked_token,
    "gitlab_token": form(r"gl(pat|rt|dt|ptt)-[\w-]{20,40}"),
    "slack_token": form(r"(xox[bp](-\d+){2,3}|xapp-1-A\w{10}-\d{13})-\w{24,64}"),
    "stripe_key": form(r"([sr]k_(live|test)|whsec)_\w{24,99}"),
    "huggingface_token": form(r"hf_[A-Za-z]{34}"),
    "npm_token": checked_token,
    "pypi_token": form(r"pypi-AgEIcHlwaS5vcmc[\w-]{80,}"),
    "azure_key": form(r"[\w+/-]{84,86}(==)?|[0-9a-f]{32}|\w{3}8Q~[\w-]{34}"),
    "gcp_service_account": lambda t: json.loads(t)["type"] == "service_account",
    "twilio_key": form(r"(SK)?[0-9a-f]{32}"),
    "sendgrid_key": form(r"SG\.[\w-]{22}\.[\w-]{43}"),
    "jwt": form(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{43}"),
    "private_key": form(r"-----BEGIN ([A-Z ]+)-----(\\n|\n).*\2-----END \1-----"),
    "connection_string": form(r"[a-z0-9+:]+://\S+|Server=.*;Password=.*"),
    "password": form(r"[^\s'\"`,<>]{10,40}"),
    "api_key": form(r"[\w-]{28,43}"),
}

# What must not stand outside a span: how it is found, and what tells that it is real.
STRAY: dict[str, tuple[str, Callable[[str], bool]]] = {
    "email": (
        r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}",
        lambda t: not re.search(r"@example\.(com|org|net)$|^git@git(hub|lab)\.com$", t),
    ),
    "credit_card": (r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w.-])", is_card),
    "iban": (r"\b[A-Z]{2}\d\d(?: ?[A-Z0-9]){11,30}\b", is_iban),
    "ssn": (r"(?<![\w-])\d{3}-\d\d-\d{4}(?![\w-])", FORMS["ssn"]),
    "ip": (r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]\d)", is_public),
    "mac": (r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", lambda t: len(set(t)) > 2),
    "crypto_address": (
        r"\b(?:0x[0-9a-fA-F]{40}|[13LDTr][1-9A-HJ-NP-Za-km-z]{25,34})\b",
        lambda t: is_coin(t) and len(set(t)) > 2,
    ),
    "key": (
        r"\b(?:sk-(?:ant-|proj-)?\w{20,}|AKIA\w{16}|AIza[\w-]{35}|gh[pos]_\w{36}|hf_\w{34})\b",
        lambda t: not re.search(r"EXAMPLE|xxxx", t),
    ),
    "private_key": (r"-----BEGIN [A-Z ]*PRIVATE KEY", bool),
}
# Version numbers and identifiers of four parts, which no context makes an address.
NO_ADDRESS = {"1.2.3.4", "1.3.6.1", "9.11.0.3", "4.3.2.1"}

PHONE_COUNTRIES = (
    "US GB DE FR IT ES NL BE CH AT PL SE IE PT GR CZ RU UA TR IL AE SA EG IN CN JP KR ID VN PH TH "
    "SG AU NZ ZA NG KE BR MX AR CL CO"
)
SCHEMES = {
    "national_id": "pl.pesel nl.bsn in_.aadhaar es.dni es.nie se.personnummer fi.hetu "
    "no.fodselsnummer cn.ric kr.rrn tr.tckimlik za.idnr fr.nir be.nn cl.rut mx.curp ro.cnp jp.in_ "
    "ch.ssn ca.sin il.idnr",
    "tax_id": "br.cpf br.cnpj de.idnr de.vat fr.tva in_.pan pt.nif it.codicefiscale au.tfn pl.nip "
    "ru.inn ar.cuit us.ein",
}
# The library knows neither scheme; the Singaporean check is tested by its own published example.
UNKNOWN_SCHEMES = form(r"[ST]\d{7}[A-Z]|[A-Z]{2}( \d\d){3} [A-D]")


@cache
def library(name: str) -> Any:
    """Import a judge that need not be there; None when it is not."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def is_known_scheme(kind: str, text: str) -> bool:
    """Ask python-stdnum whether any scheme of this type accepts the number."""
    judges = [library(f"stdnum.{name}") for name in SCHEMES[kind].split()]
    if not all(judges):
        return True
    return bool(UNKNOWN_SCHEMES(text)) or any(j.is_valid(text) for j in judges)


def is_known_phone(text: str) -> bool:
    """Ask phonenumbers whether any country's plan has the number, or keeps it for fiction."""
    judge = library("phonenumbers")
    if judge is None or re.search(r"7700 900|6 39 98", text):
        return True
    for country in PHONE_COUNTRIES.split():
        try:
            if judge.is_valid_number(judge.parse(text, country)):
                return True
        except judge.NumberParseException:
            continue
    return False


def undisguised(text: str) -> str:
    """Put plain letters for their look-alikes and leave out the invisible ones."""
    return re.sub(r"[\u00ad\u200b\u200d]", "", unicodedata.normalize("NFKC", text))


def decoded(text: str) -> str:
    """Undo percent, hex or base64; what is none of them stays."""
    if "%" in text:
        return unquote(text)
    for decode in (bytes.fromhex, lambda t: base64.b64decode(t, validate=True)):
        try:
            return decode(text).decode("ascii")
        except ValueError:
            continue
    return text


def holds(kind: str, text: str) -> bool:
    """Tell whether this is a value of the type; what a checksum cannot read is none."""
    try:
        return FORMS[kind](text)
    except (ValueError, KeyError):
        return False


def faults_of_span(kind: str, text: str) -> Iterator[str]:
    """Say what is wrong with one value."""
    text = undisguised(text)
    if not holds(kind, text) and not holds(kind, text := decoded(text)):
        yield f"{kind} {text[:60]!r} has not the form or checksum of its type"
    if kind in SCHEMES and not is_known_scheme(kind, text):
        yield f"{kind} {text!r} is refused by python-stdnum"
    if kind == "phone" and not is_known_phone(text):
        yield f"{kind} {text!r} is refused by phonenumbers"


def faults_of(record: dict[str, Any]) -> Iterator[str]:
    """Say what is wrong with one line of a set."""
    text, rest, last = record["text"], "", 0
    if len(text) > LONGEST:
        yield f"longer than {LONGEST}: {text[:60]!r}"
    for span in record["spans"]:
        if not last <= span["start"] < span["end"] <= len(text):
            yield f"span out of order in {text[:60]!r}"
        rest += text[last : span["start"]] + "\n"
        last = span["end"]
        yield from faults_of_span(span["type"], text[span["start"] : last])
    rest += text[last:]
    for kind, (shape, is_real) in STRAY.items():
        for found in re.finditer(shape, rest):
            if is_real(found[0]) and found[0] not in NO_ADDRESS:
                yield f"unlabelled {kind} {found[0]!r}"


def faults(name: str, records: list[dict[str, Any]]) -> Iterator[str]:
    """Say what is wrong with a whole set."""
    if (HERE / f"{name}.jsonl").read_text() != "".join(lines(name)):
        yield "is not what make.py writes"
    for text, times in Counter(r["text"] for r in records).items():
        if times > 1:
            yield f"{times} times {text[:60]!r}"
    for record in records:
        if record["injection"] != (name == "injection"):
            yield f"wrong mark: {record['text'][:60]!r}"
        yield from faults_of(record)


def main() -> int:
    """Print counts and faults of every set; return 1 when there is a fault."""
    found = [
        f"published: {ours!r} is not {theirs!r}" for ours, theirs in PUBLISHED if ours != theirs
    ]
    seen: Counter[str] = Counter()
    for name in SETS:
        records = [json.loads(line) for line in (HERE / f"{name}.jsonl").open()]
        kinds = Counter(span["type"] for r in records for span in r["spans"])
        seen |= kinds
        found += [f"{name}: {fault}" for fault in faults(name, records)]
        print(f"{name}: {len(records)} texts, {sum(kinds.values())} spans")
        print("".join(f"    {kind} {count}\n" for kind, count in sorted(kinds.items())), end="")
    found += [f"no span of type {kind}" for kind in TYPES if kind not in seen]
    print("\n".join(found) or "no faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
