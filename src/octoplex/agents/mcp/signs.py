"""What a tool says of itself that people do not see, or that is meant for a model to obey.

    signs(definition)     ["U+200B (not visible) in description", ...]; [] where nothing is
    written_out(text)         the same text, every hidden character written out

Tools are described by strangers, and models read all of it: characters without a shape, Unicode's
tags (a whole ASCII that nobody sees), directions that reorder a line, escapes of terminals,
comments of HTML, blanks that push text out of sight; and plain words that tell a model what to do.
A sign refuses nothing by itself: it keeps a tool from being trusted before a person has seen it.

Reference: security cases S59 and S60; Unicode TR 36, TR 39. Not promised: that poison is found.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

_PLAIN = frozenset("\n\r\t")
_BLANKS = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Without a shape, though Unicode calls some of them letters or marks."""
_TAGS = range(0xE0000, 0xE0080)
_SELECTORS = (range(0xFE00, 0xFE0F), range(0xE0100, 0xE01F0))
"""But for U+FE0F, which makes an emoji of a sign."""
_HIDDEN_KINDS = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SPACE = re.compile(r"[^\S\n]{40}|(?:[^\S\n]*\n){12}")
_COMMENT = re.compile(r"<!--|-->")
_ORDERS = {
    "a tag of orders": r"<\s*/?\s*(?:important|system|instructions?|secret|critical|override)\s*>",
    "overrules": r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:previous|prior|above|earlier"
    r"|all|other)\b.{0,40}\b(?:instructions?|prompts?|rules|messages|tools?)\b",
    "secrecy": r"\b(?:do\s*n[o']t|don\u2019t|never|without)\b.{0,30}\b(?:tell|telling|mention\w*"
    r"|inform\w*|reveal\w*|show|notify\w*|alert\w*)\b.{0,40}\b(?:user|human|person|them|anyone)\b",
    "orders about tools": r"\b(?:before|after|when(?:ever)?)\b.{0,30}\b(?:us(?:e|ing)|call(?:ing)?"
    r"|invok(?:e|ing))\b.{0,30}\b(?:this|any|every|other|all)\b.{0,20}"
    r"\b(?:tools?|functions?|must|read|call|first)\b",
    "orders a model": r"\byou\s+(?:must|have\s+to|should\s+always|are\s+required\s+to)\b.{0,60}"
    r"\b(?:read|send|pass|include|call|forward|copy|upload|append|attach)\b",
    "displaces a tool": r"\binstead\s+of\b.{0,40}\btools?\b"
    r"|\bthis\s+tool\s+(?:replaces|overrides|supersedes)\b",
    "a path of secrets": r"(?:~|\$HOME|/root|/home/\w+)/\.\w+|\bid_(?:rsa|ed25519|ecdsa)\b"
    r"|/etc/(?:passwd|shadow)|\.ssh/|\.aws/|mcp\.json\b|\.netrc\b|\bauthorized_keys\b",
}
_FOUND = {what: re.compile(text, re.IGNORECASE | re.DOTALL) for what, text in _ORDERS.items()}
_MOST_SHOWN = 8


def written_out(text: str) -> str:
    """The text with every hidden character written out, as `<U+200B>`; tags as what they spell."""
    return "".join(_shown(text)) if _hidden(text) else text


def signs(definition: Any, others: Iterable[str] = ()) -> list[str]:
    """What is hidden or gives orders in it; `others` are names of other servers' tools."""
    names = [name for name in others if len(name) >= 6]
    found: dict[str, None] = {}
    for where, text in _texts(definition, ""):
        for sign in (*_in_characters(text), *_in_words(text, names)):
            found[f"{sign} in {where or 'it'}"] = None
    return list(found)


def _is_hidden(char: str) -> bool:
    if char in _PLAIN or " " <= char <= "~":
        return False
    point = ord(char)
    if char in _BLANKS or any(point in points for points in _SELECTORS):
        return True
    kind = unicodedata.category(char)
    return kind in _HIDDEN_KINDS or (kind == "Zs" and char != "\u00a0")


def _hidden(text: str) -> list[str]:
    return [] if text.isascii() and text.isprintable() else [c for c in text if _is_hidden(c)]


def _shown(text: str) -> Iterator[str]:
    """Pieces of the text; a run of tags is one."""
    tags = ""
    for char in text:
        if ord(char) in _TAGS:
            tags += chr(ord(char) - 0xE0000) if ord(char) > 0xE001F else ""
            continue
        if tags:
            yield f"<tags: {tags}>"
            tags = ""
        yield f"<U+{ord(char):04X}>" if _is_hidden(char) else char
    if tags:
        yield f"<tags: {tags}>"


def _in_characters(text: str) -> Iterator[str]:
    hidden = list(dict.fromkeys(_hidden(text)))
    tags = [char for char in hidden if ord(char) in _TAGS]
    if tags:
        yield "tags that nobody sees"
    for char in [c for c in hidden if c not in tags][:_MOST_SHOWN]:
        yield f"U+{ord(char):04X} ({_named(char)})"
    if _SPACE.search(text):
        yield "blanks that push text out of sight"
    if _COMMENT.search(text):
        yield "a comment of HTML"


def _named(char: str) -> str:
    if char in _DIRECTIONS:
        return "changes the direction of text"
    return "a control character" if unicodedata.category(char) == "Cc" else "not visible"


def _in_words(text: str, others: list[str]) -> Iterator[str]:
    clear = "".join(char for char in text if not _is_hidden(char) or char.isspace())
    for what, pattern in _FOUND.items():
        if pattern.search(clear):
            yield f'words that give orders ("{what}")'
    for name in others:
        if name in clear and re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", clear):
            yield f'the name of another server\'s tool "{name}"'


def _texts(tree: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text, names of members too, and where it stands."""
    if isinstance(tree, str):
        yield where, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            place = f"{where}.{written_out(str(key))}".lstrip(".")
            yield place, str(key)
            yield from _texts(value, place)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _texts(value, where)
