"""Take secrets out of text that a person or a caller will read.

Providers echo keys in their error messages, sometimes masked by half, and proxies
echo whole headers. Whatever comes from outside goes through here before it stands in
an error, a record or a log. The patterns are the public prefixes of keys plus the
words that introduce one; a false hit costs a few letters of a message.

Not promised: that a secret of no known form is found. What must never leak is kept
out of messages, not filtered from them.
"""

import re

MASK = "[redacted]"
SNIPPET_CHARS = 160

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
_BLANK = re.compile(r"[\s\x00-\x1f]+")


def redact(text: str) -> str:
    """Mask what looks like a secret."""
    return _SECRET.sub(MASK, text)


def snippet(body: bytes) -> str:
    """The first words of a body that could not be read: one line, short, without secrets.

    Redacted before it is cut, so that no half of a key remains at the end.
    """
    text = body[: 8 * SNIPPET_CHARS].decode("utf-8", "replace")
    line = _BLANK.sub(" ", redact(text)).strip()
    return line[: SNIPPET_CHARS - 1] + "…" if len(line) > SNIPPET_CHARS else line
