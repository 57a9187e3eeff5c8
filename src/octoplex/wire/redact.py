"""Take secrets out of text that a person or a caller will read.

Providers echo keys in their error messages, sometimes masked by half, and proxies
echo whole headers. Whatever comes from outside goes through here before it stands in
an error, a record or a log. The patterns are the public prefixes of keys plus the
words that introduce one; a false hit costs a few letters of a message.

What is asked of a provider is known to hold secrets, and those are known letter by letter:
a `Veil` takes them out of all that it answers, before anybody reads it.

Not promised: that a secret of no known form is found, or one that is spelled out over several
events. What must never leak is kept out of messages, not filtered from them.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "[redacted]"
SNIPPET_CHARS = 160
SHORTEST, SHORTEST_WORD = 8, 16
"""Letters of a secret that is masked, and of one without a figure: what is shorter, such as the
`not-needed` of a server at home, stands in common texts."""

_SECRET = re.compile(
    r"""
      (?<![A-Za-z0-9])                                            # a known prefix
      (?: (?: sk|pk|rk|gsk|xai|hf|ghp|gho|github_pat|glpat|nvapi|pplx|r8|csk|fw|tgp ) [-_]
        | AIza | ya29\. | AKIA | ASIA | eyJ )
      [-_.A-Za-z0-9*]{6,}
    | (?i:\b(?:bearer|basic)\s+) [-._~+/=A-Za-z0-9*]{6,}           # an Authorization header
    | (?i:\b(?:api[-_ ]?key|x-goog-api-key|access[-_]?token|secret|password|token|key)
        ["']?\s*[:=]\s*["']?) [^\s"',;&}]{6,}                      # name = value
    """,
    re.VERBOSE,
)
_CREDENTIAL = re.compile(
    r"""
    (?:.*[-_.])? (?: authorization | auth | bearer | jwt | token | secret | (?:api)?key
    | password | passwd | pwd | cookie | credentials? | signature | sig | seal | pepper )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_BLANK = re.compile(r"[\s\x00-\x1f]+")


def redact(text: str) -> str:
    """Mask what looks like a secret."""
    return _SECRET.sub(MASK, text)


def is_credential(name: str) -> bool:
    """Whether what a header, a parameter or a key of the file is called means a secret."""
    return _CREDENTIAL.fullmatch(name) is not None


def snippet(body: bytes) -> str:
    """The first words of a body that could not be read: one line, short, without secrets.

    Redacted before it is cut, so that no half of a key remains at the end.
    """
    text = body[: 8 * SNIPPET_CHARS].decode("utf-8", "replace")
    line = _BLANK.sub(" ", redact(text)).strip()
    return line[: SNIPPET_CHARS - 1] + "…" if len(line) > SNIPPET_CHARS else line


class Veil:
    """Takes known secrets out of bytes, in the forms in which a provider repeats them."""

    __slots__ = ("_forms", "_letters")

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        self._forms = tuple(sorted(forms, key=len, reverse=True))
        self._letters = frozenset(b"".join(self._forms))

    def __bool__(self) -> bool:
        return bool(self._forms)

    def __call__(self, data: bytes) -> bytes:
        """The same without them."""
        for form in self._forms:
            if form in data:
                data = data.replace(form, MASK.encode())
        return data

    def cut(self, data: bytes) -> int:
        """How many bytes of a piece may go on: the others could begin a secret."""
        if not data or data[-1] not in self._letters:
            return len(data)
        held = 0
        for form in self._forms:
            tail = data[-len(form) + 1 :]
            at = tail.find(form[:1])
            while at >= 0 and not form.startswith(tail[at:]):
                at = tail.find(form[:1], at + 1)
            held = max(held, len(tail) - at if at >= 0 else 0)
        return len(data) - held


def _forms(secret: str) -> set[bytes]:
    """A secret as it stands in a header, in JSON and in a URL; none of one that is a mere word."""
    figure = any(letter.isdigit() for letter in secret)
    if len(secret) < (SHORTEST if figure else SHORTEST_WORD):
        return set()
    escaped = secret.replace("\\", "\\\\").replace('"', '\\"')
    texts = {secret, escaped, escaped.replace("/", "\\/"), quote(secret), quote(secret, safe="")}
    return {text.encode() for text in texts}
