"""What one character of a regex takes, as far as it can be said without RE2.

    among("[a-f]")     "abcdef"          single(r"\\.")     "."
    taken(r"\\s", False)     bytes         size(node)        bytes that a part may take

Of a class only what is printed in ASCII is told, and `taken` says None where more may be.
"""

import re
from functools import lru_cache

from octoplex.reflex.guard.prefix import Char, Group, Node, Times, Zero, parsed

ANY = 1 << 20
"""Bytes: nothing says how many."""
_PRINTABLE = bytes(range(32, 127)).decode()
_ASCII = bytes(range(128)).decode()
_STRANGE = re.compile(r"\A\[\^|\[:|\\[pPxCQDWS0-7]")
"""Classes that take what is not ASCII, or that Python reads otherwise."""
LETTERS = frozenset(re.findall(r"\w", _PRINTABLE))
"""What words are of."""


def among(text: str) -> str:
    """What of all that is printed one character of a regex takes."""
    if not text.isascii() or text.startswith(("\\x{", "\\p", "\\P")):
        return _PRINTABLE if text[0] in "\\[" else ""
    if len(text) == 1:
        return _PRINTABLE if text == "." else text
    try:
        return "".join(re.findall(_quoted(text), _PRINTABLE))
    except re.error:
        return _PRINTABLE


def _quoted(text: str) -> str:
    """To Python a bracket in a class may mean something one day."""
    return text[0] + re.sub(r"(?<!\\)\[", r"\\[", text[1:])


def single(text: str) -> str:
    """The characters of a class of few, the one of any other; none where they are not known."""
    if len(text) == 1:
        return "" if text == "." else text
    if text[0] == "\\":
        plain = {r"\n": "\n", r"\t": "\t", r"\r": "\r"}
        return plain.get(text, "" if text[1].isalnum() else text[1])
    inner = text[1:-1]
    return inner if text[0] == "[" and not set(inner) & set("\\^-[") else ""


@lru_cache(maxsize=512)
def taken(text: str, fold: bool) -> frozenset[int] | None:
    """Bytes that a class may begin with."""
    if len(text) == 1 and text != ".":
        return frozenset(case.encode()[0] for case in (text, text.lower(), text.upper()))
    if not text.isascii() or text in {".", r"\D", r"\W", r"\S"} or _STRANGE.search(text):
        return None
    found = re.findall(("(?i)" if fold else "") + _quoted(text), _ASCII)
    return frozenset(map(ord, found))


def is_cased(text: str) -> bool:
    """Whether it is a letter beyond ASCII that has another case."""
    return len(text) == 1 and not text.isascii() and text.lower() != text.upper()


def takes(char: Char, one: str) -> bool:
    """Whether it takes this one."""
    return one in among(char.text)


def may_be_empty(node: Node) -> bool:
    """Whether it may take nothing."""
    if isinstance(node, Times):
        return node.least == 0
    if isinstance(node, Group):
        return any(all(map(may_be_empty, way)) for way in node.ways)
    return isinstance(node, Zero)


def most(regex: str) -> int:
    """Bytes that a match may take; `ANY` where that cannot be said."""
    try:
        return size(parsed(regex))
    except ValueError:
        return ANY


def size(node: Node) -> int:
    """Bytes that it may take."""
    if isinstance(node, Zero):
        return 0
    if isinstance(node, Char):
        return 1 if node.text.isascii() and len(node.text) == 1 and node.text != "." else 4
    if isinstance(node, Times):
        return ANY if node.most is None else min(ANY, node.most * size(node.node))
    return max(min(ANY, sum(map(size, way))) for way in node.ways)
