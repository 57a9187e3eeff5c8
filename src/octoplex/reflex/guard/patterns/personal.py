"""Personal data: mail, telephone, money, network; `papers.py` has birth and papers.

What has a checksum is known by it. What has only a common shape counts only where a word to
its left says what it is. Where both hold, there are two patterns.
"""

import re

from octoplex.reflex.guard import checks, phones
from octoplex.reflex.guard.checks import compact, digits
from octoplex.reflex.guard.finding import Check, Pattern


def personal(name: str, regex: str, **more: object) -> Pattern:
    """A pattern of kind pii."""
    return Pattern(kind="pii", type=name, regex=regex, **more)  # type: ignore[arg-type]


def numeric(test: object, score: float = 0.9) -> Check:
    """The digits must pass."""
    return lambda value, left: score if test(digits(value)) else 0  # type: ignore[operator]


def coded(test: object, score: float = 0.9) -> Check:
    """Letters and digits, in upper case, must pass."""
    return lambda value, left: score if test(compact(value)) else 0  # type: ignore[operator]


_FILES = frozenset(
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "bmp",
        "ico",
        "css",
        "scss",
        "js",
        "ts",
        "jsx",
        "tsx",
        "py",
        "rb",
        "go",
        "rs",
        "java",
        "kt",
        "md",
        "txt",
        "html",
        "htm",
        "json",
        "yaml",
        "yml",
        "toml",
        "xml",
        "lock",
        "sh",
        "min",
        "map",
        "local",
        "localhost",
        "internal",
    ]
)
_USERINFO = re.compile(r"://[^\s/@]*$")
_MESSAGE = re.compile(r"(?i)\b(?:message-id|in-reply-to|references|content-id): ?[^\n]*$")
"""Names of mails (RFC 5322), which have the form of addresses."""
_LOCAL = re.compile(r"[A-Za-z0-9_%+'.-]+$")
_NOBODY = re.compile(
    r"(?i)(?:users?\d?|you|your\.?(?:name|e?mail)|me|test\w{0,6}|foo|bar|baz|qux|name|e?mail|admin|"
    r"info|no-?reply|someone|somebody|username|example|contact|support|hello|root|postmaster|alice|"
    r"bob|a|b|team|dev(?:s|el|elopers?)?|maintainers?|authors?|owners?|ops|devops|sre|sales|"
    r"security|"
    r"abuse|noc|webmaster|hostmaster|marketing|press|jobs|careers|hr|legal|privacy|billing|"
    r"accounts?|"
    r"finance|office|help(?:desk)?|service|services|staff|list|lists|mailing-list|bugs?|ci|bot|git|"
    r"alerts?|news(?:letter)?|releases?|builds?|deploy|claims|orders?|payments?|payroll|notifications?|"
    r"system|robot|feedback|community|editor|sender|recipient|from|to|ceo|cto)"
    r"(?:\+\w*)?@(?:[a-z]+\.)?example\.(?:com|net|org)"
)
"""Placeholders and roles (RFC 2142) at the hosts of documentation (RFC 2606)."""


def _email(value: str, left: str) -> float:
    """An address, not the head of a URL, a git remote, or a file such as logo@2x.png."""
    local, _, host = value.rpartition("@")
    top = host.rpartition(".")[2].lower()
    wrong = ".." in value or local.startswith(".") or local.endswith(".") or "-." in host
    if wrong or ".-" in host or top in _FILES or local == "git" or _USERINFO.search(left):
        return 0
    if _MESSAGE.search(left):
        return 0
    begun = _LOCAL.search(left)
    return 0 if _NOBODY.fullmatch((begun[0].lstrip("'") if begun else "") + value) else 0.95


_VERSION = re.compile(
    r"(?i)(?:(?:\bv|\bver|version|release|build|firmware|\brv|kernel|sdk|revision|\bsection|"
    r"chapter|"
    r"\b(?:up|down)grade[ds]? (?:from|to))[\"']?\.?[ :=]{0,3}|[a-z]/|[=<>~^]=\s?|"
    r"(?:oid|identifier)\W{0,3})[\"']?$"
)


_HOST = re.compile(
    r"(?i)\b(?:ip|ipv4|addr(?:ess)?|host|server|from|client|peer|ping|ssh|at)\W[^\n.]{0,24}$|://$"
)
"""What tells an address of low numbers from a section, a version or an object identifier."""


def _ip(value: str, left: str) -> float:
    """Somebody's address, not a version."""
    return checks.ip(value) if _is_address(value, left) else 0


def _private_ip(value: str, left: str) -> float:
    return checks.private_ip(value) if _is_address(value, left) else 0


def _is_address(value: str, left: str) -> bool:
    if ":" in value:
        return True
    if _VERSION.search(left[-24:]):
        return False
    low = all(int(part) < 50 for part in value.split("."))
    return not low or value.startswith("10.") or _HOST.search(left[-40:]) is not None


def _solana(value: str, left: str) -> float:
    """32 bytes in base58, as drawn by chance."""
    mixed = re.search(r"\d", value) and re.search(r"[A-Z]", value) and len(set(value)) > 15
    return 0.8 if mixed and checks.base58_size(value) == 32 else 0


def _address(value: str, left: str) -> float:
    """Of Ethereum, in a case that is no checksum."""
    return 0.7 if len(set(value.lower())) > 8 else 0


_B58 = "[1-9A-HJ-NP-Za-km-z]"
_SIDES = ".-_"
_PHONE_WORD = (
    r"\b(?:my (?:new |old |work )?number|tele?(?:phone)?|phone|ph|mobile?|mob|cell(?:phone|ular)?|"
    r"fax|whats ?app|signal|sms|text (?:me|us|him|her|them|back|at|to|or call)|"
    r"call(?:ed|ing|s)?|dial|ring (?:me|us|her|back|on)|"
    r"reach|contact|hotline|landline|handy|rufnummer|anrufen|"
    r"telefon\w{0,8}|telef?|tlfn?|tfno|telemovel|kontakt|numer|movil|celular|portable|gsm|"
    r"appele[rz]|joindre|llama\w{0,3}|"
    r"chiama\w{0,3}|cellulare|fono|service client|simu|nomor hp|numero|nummer|bellen|"
    r"ligue|puhelin|komorka|zadzwon)\b|dien thoai|τηλ|κινητ|โทร|נייד|טלפון|телефон|"
    r"тел\.|номер|手机|电话|電話|携帯|微信|전화|휴대폰|هاتف"
)
_PHONE_COLUMN = r"(?:\b|_)(?:phone|mobile|cell|tel|fax|msisdn|handy|telefon|movil|telefono)\w{0,8}"
"""What a column, or a member of JSON, is called that holds them."""
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IP4 = rf"\b(?:{_BYTE}\.){{3}}{_BYTE}\b"
_HEX = "0123456789abcdefABCDEF"
_IP6 = r"(?:\b[0-9A-Fa-f]{1,4}|:)(?::[0-9A-Fa-f]{0,4}){2,7}"

PERSONAL = (
    personal(
        "email",
        r"[A-Za-z0-9_%+.-][A-Za-z0-9_%+'.-]{0,63}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,150}[A-Za-z0-9])?\.[A-Za-z]{2,24}",
        not_before="@",
        after=r"[A-Za-z0-9_@]|-\w|\.[A-Za-z0-9]|:[A-Za-z~/]",
        check=_email,
    ),
    personal(
        "phone",
        r"(?:\+|\b00 ?)\(?[1-9]\d{0,2}\)?(?:[ .\-/]{0,2}\(?\d{1,5}\)?){2,7}"
        r"(?:,? ?(?:x|ext\.?) ?\d{1,5})?",
        not_before="+.-_0123456789" + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        after=r"\d|[.-]\d|[A-Za-z_]",
        trim=phones.international,
        score=0.95,
    ),
    personal(
        "phone",
        r"(?:\b1[ .-])?(?:\([2-9]\d{2}\) ?|\b[2-9]\d{2}[ .-])\d{3}[ .-]\d{4}"
        r"(?:,? ?(?:x|ext\.?|extension) ?\d{1,5})?",
        not_before="+./-_0123456789",
        after=r"\d|[ .-]\d|[A-Za-z_]",
        trim=phones.american,
        score=0.85,
    ),
    personal(
        "phone",
        r"(?:\(0\d{1,5}\)|\b0\d{1,5})(?:[ .\-/]{1,3}\d{2,8}){1,5}",
        not_before="+.-_/:0123456789",
        after=r"\d|[.:-]\d|[A-Za-z_]",
        trim=phones.trunk,
        score=0.85,
    ),
    personal(
        "phone",
        r"(?:\(\d{2,5}\) ?\d{3,5}[ -]\d{3,5}|\b[6-9]\d{4} \d{5}|\b1[3-9]\d[ -]\d{4}[ -]\d{4}|"
        r"\b3[2-9]\d/\d{6,7}|\b8 ?[(-]?\d{3}[)-]? ?\d{3}[ -]\d\d[ -]\d\d|\b8 ?\(\d{3}\) ?\d{7})",
        not_before="+./-_0123456789",
        after=r"\d|[.-]\d|[A-Za-z_]",
        trim=phones.grouped,
        score=0.82,
    ),
    personal(
        "phone",
        r"(?:\+|\b)\(?\d(?:[ .\-/()]{0,2}\d){6,14}(?:,? ?(?:x|ext\.?|extension) ?\d{1,5})?",
        not_before="+._0123456789",
        after=r"\d|[.-]\d|[A-Za-z_]",
        near=_PHONE_WORD,
        reach=24,
        trim=phones.named,
        score=0.8,
    ),
    personal(
        "phone",
        r"\b(?:0[1-9]|[17])\d{8,9}\b",
        not_before="+._-/:",
        after=r"[._-]?\w",
        near=_PHONE_COLUMN,
        reach=96,
        trim=phones.bare,
        score=0.8,
    ),
    personal(
        "credit_card",
        r"\b(?:\d{12,19}|\d{4}(?:[ .-]\d{4}){2}[ .-]\d{1,7}(?:[ .-]\d{1,3})?|"
        r"\d{4}[ .-]\d{6}[ .-]\d{4,5}|\d{6} \d{13})\b",
        not_before=".",
        after=r"[.-]?\d|_",
        trim=checks.card_length,
        score=0.95,
    ),
    personal(
        "credit_card",
        r"\b\d{4}[ .-]\d{4}[ .-]\d{4}\b",
        near=r"maestro",
        after=r"[ .-]?\d|_",
        trim=checks.card_length,
        score=0.95,
    ),
    personal(
        "iban",
        r"(?i:\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30})",
        trim=checks.iban_length,
        after=r"[A-Za-z0-9]",
        score=0.98,
    ),
    personal(
        "ssn",
        r"\b\d{3}-\d{2}-\d{4}\b",
        not_before=_SIDES,
        after=r"[-_.]\w",
        check=numeric(checks.ssn),
    ),
    personal(
        "ssn",
        r"\b\d{3}[ .]?\d{2}[ .]?\d{4}\b",
        not_before=_SIDES,
        after=r"[-_.]\w",
        near=r"(?:\b|_)ssns?(?:\b|_)|social.?security|\bsoc\.? ?sec|\bss ?(?:#|no\b|number)|"
        r"\b(?:my|your|his|her|their) social\b|\bsocial (?:is|number|no)\b",
        check=numeric(checks.ssn),
    ),
    personal(
        "ssn",
        r"\b\d{3} \d{2} \d{4}\b",
        not_before=_SIDES,
        after=r"[-_.]\w",
        near=r"\bsocial\b",
        check=numeric(checks.ssn),
    ),
    personal(
        "itin",
        r"\b9\d{2}-\d{2}-\d{4}\b",
        not_before=_SIDES,
        after=r"[-_.]\w",
        check=numeric(checks.itin),
    ),
    personal(
        "itin",
        r"\b9\d{2}[ .-]?\d{2}[ .-]?\d{4}\b",
        not_before=_SIDES,
        after=r"[-_.]\w",
        near=r"(?:\b|_)itins?(?:\b|_)|taxpayer|\btin(?:\b|_)",
        reach=64,
        check=numeric(checks.itin),
    ),
    *(
        personal(name, regex, not_before=before, after=after, check=check)
        for name, check in (("ip", _ip), ("private_ip", _private_ip))
        for regex, before, after in (
            (_IP4, _SIDES, r"\.?\d|[-_][A-Za-z0-9]|/\d{1,2}"),
            (_IP6, ":._-" + _HEX, r"[:\w]|/\d{1,3}"),
        )
    ),
    personal(
        "mac",
        r"\b(?:(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}|"
        r"[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})\b",
        not_before=":._-",
        after=r"[:._-]\w",
        check=lambda value, left: 0.9 if checks.mac(value) else 0,
    ),
    personal(
        "crypto_address",
        rf"\b[123LMDTXAtmn]{_B58}{{25,34}}\b",
        check=lambda value, left: 0.98 if checks.base58check(value) else 0,
    ),
    personal(
        "crypto_address",
        rf"\br{_B58}{{24,34}}\b",
        check=lambda value, left: 0.98 if checks.ripple(value) else 0,
    ),
    personal(
        "crypto_address",
        r"(?i:\b(?:bc|tb|ltc|addr|stake|cosmos|osmo|terra|inj|celestia)1[02-9ac-hj-np-z]{11,100})\b",
        check=lambda value, left: 0.98 if checks.bech32(value) else 0,
    ),
    personal(
        "crypto_address",
        r"\b0x[0-9a-fA-F]{40}\b",
        check=lambda value, left: 0.95 if checks.ethereum(value) else 0,
    ),
    personal(
        "crypto_address",
        r"\b0x[0-9a-fA-F]{40}\b",
        near=r"\beth\b|ethereum|wallet|\berc.?20|\bdonat|metamask|crypto|\bbsc\b|polygon",
        check=_address,
    ),
    personal(
        "crypto_address",
        r"\bG[A-Z2-7]{55}\b",
        check=lambda value, left: 0.98 if checks.stellar(value) else 0,
    ),
    personal("crypto_address", rf"\b(?:[48][0-9AB]{_B58}{{93}}|bitcoincash:[qp][a-z0-9]{{41}})\b"),
    personal(
        "crypto_address",
        rf"\b{_B58}{{32,44}}\b",
        near=r"solana|\bsol\b|phantom|wallet|withdraw|\bdeposit|usdc|lamport|\bspl\b|crypto",
        reach=64,
        check=_solana,
    ),
)
