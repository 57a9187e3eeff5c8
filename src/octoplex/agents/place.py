"""Where something lies in a workspace, as one spelling.

    place_of("./data/../x")    refused
    place_of("/workspace/a//b")   "a/b"; "" is the workspace itself

What comes out has no `..`, no root, nothing that cannot be seen, and no character that only looks
like a slash, a dot or a dash: what a person approves, a grant covers and a program opens are the
same file. It says nothing of links: whoever opens it follows none.
"""

import unicodedata

from octoplex.agents.words import Failed

ROOT = "/workspace"
"""Where programs in the sandbox find it."""
_LONGEST, _LONGEST_PART = 4_000, 255
_SLASHES = "\u2044\u2215\u29f8\u2571\u29f5\uff0f\uff3c\ufe68"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def place_of(text: str) -> str:
    """The path below the workspace, "" for the workspace.

    Raises:
        Failed: it leads elsewhere, or is not what it looks like.
    """
    shown = repr(text[:80])
    if fault := _fault(text):
        raise Failed("refused", f"{shown} is no path in the workspace: {fault}.")
    if text == ROOT or text.startswith(ROOT + "/"):
        text = text[len(ROOT) :].lstrip("/")
    if text.startswith(("/", "~")):
        raise Failed("refused", f"{shown} lies outside of the workspace; write it below there.")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Failed("refused", f'{shown} leads up by ".."; write the path without it.')
    if any(len(part.encode()) > _LONGEST_PART for part in parts):
        raise Failed("refused", f"{shown} has a name that no file can have: it is too long.")
    return "/".join(parts)


def _fault(text: str) -> str:
    """What is wrong with its characters, "" when nothing is."""
    if text.isascii():
        bad = not text.isprintable()
        return "it has a control character in it" if bad else _long(text)
    if any(unicodedata.category(letter) in _HIDDEN for letter in text):
        return "it has a character in it that cannot be seen"
    if any(letter in _SLASHES for letter in text):
        return "it has a character in it that only looks like a slash"
    parts, plain = text.split("/"), unicodedata.normalize("NFKC", text).split("/")
    if any(part[:1] in _DASHES for part in parts if part):
        return "it has a name that begins with what only looks like a dash"
    if ".." in plain and ".." not in parts:
        return "it has characters in it that only look like dots"
    return _long(text)


def _long(text: str) -> str:
    return "it is too long" if len(text.encode()) > _LONGEST else ""


def covers(above: str, below: str) -> bool:
    """Whether one place is the other or holds it."""
    return not above or below == above or below.startswith(above + "/")
