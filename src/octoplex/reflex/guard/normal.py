# ruff: noqa: RUF001, RUF002 (letters that look like others are what it is about)
"""Text as a reader sees it: what is looked through, with the way back to the text as given.

    fold(text)            look-alikes, accents, widths, digits to ASCII; invisible characters gone
    View                  bytes to look through; `span` leads back to characters of the text
    plain(text)           the view of the text itself: ASCII as it is, anything else folded
    decoded(view)         views of what stands in it as base64, hex or percent escapes, one level,
                          and of words with digits for letters, a space after each letter, in
                          rot13, backwards or in binary digits

Folding goes character by character (NFKD without its marks, then Unicode's confusables of Latin
letters), so that the fold of two texts is the folds of both: streams depend on that. Hence
also that base64 counts from where 24 characters of it are printable ASCII, wherever it began.

Not promised: other encodings, two levels, confusables of other scripts than Cyrillic and Greek.
Reference: Unicode TR 15 (NFKD), TR 39 (confusables).
"""

import binascii
import codecs
import re
import string
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from html import unescape
from itertools import accumulate

from msgspec import Struct

_CYRILLIC = "АВЕКМНОРСТУХаеорсухіјѕԁԛԝһІЈЅҮүӏԌ", "ABEKMHOPCTYXaeopcyxijsdqwhIJSYylG"
_GREEK = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανρυικτχ", "ABEZHIKMNOPTYXoavpuiktx"
_LATIN = "ıȷɑɡɩʏɴʀʟɪʜᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢøØłŁđĐ⁄∕∣：˗⁃", "ijagiyNRLIHacdejkmoptuvwzoOlLdD//|:--"
_ALIKE = {ord(a): b for pair in (_CYRILLIC, _GREEK, _LATIN) for a, b in zip(*pair, strict=True)}
_ALIKE |= dict.fromkeys(map(ord, "‘’‚‛′"), "'") | dict.fromkeys(map(ord, "“”„‟″«»"), '"')
_ALIKE |= {ord("ß"): "ss", ord("æ"): "ae", ord("Æ"): "AE", ord("œ"): "oe", ord("…"): "..."}
_HANGUL = range(0xAC00, 0xD7A4)
_TAGS = range(0xE0020, 0xE007F)
"""Invisible doubles of ASCII, which models read."""
_GONE = frozenset({"Cf", "Mn", "Me"})
PIECE = 1_000_000
_FEW = 48
"""Up to so many different characters each is replaced on its own, which is faster."""
_KNOWN_MOST = 20_000


def _folded(char: str) -> str:
    """What takes the place of one character that is not ASCII."""
    point = ord(char)
    if point in _ALIKE:
        return _ALIKE[point]
    if point in _TAGS:
        return chr(point - 0xE0000)
    kind = unicodedata.category(char)
    if kind in _GONE:
        return ""
    if kind == "Nd":
        return str(unicodedata.digit(char))
    if kind == "Pd" or point == 0x2212:
        return "-"
    if kind[0] == "Z":
        return " " if kind == "Zs" else "\n"
    if point in _HANGUL:
        return char
    if kind == "Cs":
        return "\ufffd"
    parts = unicodedata.normalize("NFKD", char)
    if parts == char:
        return char
    return "".join([p if p.isascii() else _folded(p) if p != char else p for p in parts])


class _Folds(dict[int, str]):
    """Every character met so far and its fold, for `str.translate`."""

    def __missing__(self, point: int) -> str:
        folded = chr(point) if point < 0x80 else _folded(chr(point))
        if len(self) < _KNOWN_MOST:
            self[point] = folded
        return folded


_FOLDS = _Folds()


def pieces(text: str) -> Iterator[str]:
    """A text in parts: one call for all of 20 MB holds up other threads for 200 ms."""
    return (text[at : at + PIECE] for at in range(0, len(text), PIECE))


def fold(text: str) -> str:
    """The text in the letters a reader sees: `ⅰgnоre` to `ignore`."""
    if text.isascii():
        return text
    if len(text) > PIECE:
        return "".join([fold(piece) for piece in pieces(text)])
    met = set(text)
    changed = [c for c in met if c > "\x7f" and _FOLDS[ord(c)] != c]
    if len(changed) > _FEW:
        return text.translate(_FOLDS)
    for char in changed:
        text = text.replace(char, _FOLDS[ord(char)])
    return text


def anycase(regex: str) -> str:
    """A regex for folded text: of each letter beyond ASCII all cases as they look once folded.

    (Cyrillic `В` looks like `B`, its small letter like none.) Not for letters in brackets.
    """
    return "".join([c if c < "\x80" else _looks(c) for c in regex])


def _looks(char: str) -> str:
    ways = sorted({fold(c) for c in (char, char.lower(), char.upper())} - {""})
    return f"(?:{'|'.join(ways)})" if len(ways) > 1 else "".join(ways)


class View(Struct):
    """Bytes to look through. Offsets lead to characters of the text as given."""

    data: bytes
    first: Callable[[int], int]
    """Byte (up to the length) to the first character that it comes from."""
    last: Callable[[int], int]
    """Byte to the last such character."""
    open: bool = True
    """More text may add to its end."""
    only: str = ""
    """The kind that is looked for in it; "" for all."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Characters of these bytes; at least one."""
        return self.first(start), self.last(end - 1) + 1


def _same(at: int) -> int:
    return at


def plain(text: str) -> View:
    """The text itself. Lone surrogates are looked at as U+FFFD."""
    if text.isascii():
        return View(text.encode(), _same, _same)
    data = fold(text).encode("utf-8", "replace")
    origin: list[int] = []

    def first(at: int) -> int:
        if not origin:  # made only if something was found
            origin.extend(_origins(text))
        return origin[at]

    return View(data, first, first)


def _origins(text: str) -> Iterator[int]:
    """For every byte of the fold, and its end, the character that it comes from."""
    for index, char in enumerate(text):
        folded = char if char < "\x80" else _FOLDS[ord(char)]
        for _ in range(len(folded) if folded.isascii() else len(folded.encode("utf-8", "replace"))):
            yield index
    yield len(text)


_FIRST, _SECOND, _THIRD = rb"[I-Za-f]", rb"[C-HS-Xi-nyz0-3]", rb"[ABEFIJMNQRUVYZcdghklopstwx014589]"
BASE64 = b"(?:" + _FIRST + _SECOND + _THIRD + rb"[A-Za-z0-9+/_-]){6}"
"""18 printable ASCII characters in base64: the high bit of every byte is 0, and it is above 31."""
HEX = rb"(?:[2-7][0-9a-fA-F]){14}"
PERCENT = rb"%[0-9A-Fa-f]{2}"
LEET = (
    r"\b[A-Za-z]{0,7}[013457@$][A-Za-z013457@$]{1,12} {1,2}(?:\w{1,12} ){0,2}"
    r"[A-Za-z]{0,7}[013457@$][A-Za-z]"
)
"""Two words near each other with digits among their letters."""
APART = r"\b(?:[A-Za-z][ ._*-]{1,3}){6,}[A-Za-z]\b"
_APART = re.compile(APART.encode())
_TURNED = "ignore|disregard|instruction|prompt|reveal|forget|override|bypass|restriction|pretend"
"""Words of attacks: turned about they are no words of any language."""
ROT13 = f"(?i:{codecs.encode(_TURNED, 'rot13')})"
BACKWARDS = f"(?i:{'|'.join(word[::-1] for word in _TURNED.split('|'))})"
_LINES = 32
BINARY = r"(?:\b[01]{8}[ ,]{0,2}){12,}"
ENTITIES = r"(?:&#(?:[0-9]{2,6}|[xX][0-9A-Fa-f]{2,5}); ?){6,}"
"""Of HTML, for letters that need none."""
_ROT13 = re.compile(ROT13.encode())
_BACKWARDS = re.compile(BACKWARDS.encode())
_FROM_ROT13 = bytes.maketrans(
    string.ascii_letters.encode(), codecs.encode(string.ascii_letters, "rot13").encode()
)
_LETTER = re.compile(rb"([A-Za-z])([ ._*-]{0,3})")
_LEET = re.compile(LEET.encode())
_MEANT = bytes.maketrans(b"013457@$", b"oieastas")
_CODED = re.compile(
    rb"(?P<b64>" + BASE64 + rb"[A-Za-z0-9+/_-]*)|(?P<hex>" + HEX + rb"(?:[0-9a-fA-F]{2})*)"
)
_PERCENT = re.compile(PERCENT)
PARTIAL = re.compile(rb"%[0-9A-Fa-f]?\Z")
"""What may become an escape."""
FORMS = {
    "base64": BASE64.decode(),
    "hex": HEX.decode(),
    "percent": PERCENT.decode(),
    "leet": LEET,
    "apart": APART,
    "rot13": ROT13,
    "backwards": BACKWARDS,
    "binary": BINARY,
    "entities": ENTITIES,
}
"""What text looks like in which something stands encoded."""
OF_ATTACKS = frozenset({"leet", "apart", "rot13", "backwards", "binary", "entities"})
"""Forms in which nothing but injection is looked for."""
_URLSAFE = bytes.maketrans(b"-_", b"+/")


def decoded(view: View, forms: Collection[str] = FORMS.keys()) -> Iterator[View]:
    """What stands in it encoded in one of these `FORMS`, one level deep."""
    data = view.data
    if "base64" in forms or "hex" in forms:
        for found in _CODED.finditer(data):
            yield (_base64 if found.lastgroup == "b64" else _hex)(view, *found.span())
    if "percent" in forms and _PERCENT.search(data):
        yield _unescaped(view)
    if "leet" in forms and _LEET.search(data):
        yield View(data.translate(_MEANT), view.first, view.last, view.open, "injection")
    if "apart" in forms and _APART.search(data):
        yield _together(view)
    if "rot13" in forms and _ROT13.search(data):
        turned = data.translate(_FROM_ROT13)
        yield View(turned, view.first, view.last, view.open, "injection")
    if "backwards" in forms and _BACKWARDS.search(data):
        yield from _backwards(view)
    for form in _SPELT.keys() & forms:
        regex, said = _SPELT[form]
        yield from (_whole(view, said(found[0]), *found.span()) for found in regex.finditer(data))


def _of_bits(data: bytes) -> bytes:
    return bytes([int(eight, 2) for eight in re.findall(rb"[01]{8}", data)])


def _of_entities(data: bytes) -> bytes:
    return plain(unescape(data.decode())).data


_SPELT = {
    "binary": (re.compile(BINARY.encode()), _of_bits),
    "entities": (re.compile(ENTITIES.encode()), _of_entities),
}
"""How such a stretch looks, and what it says."""


def _backwards(view: View) -> Iterator[View]:
    """Lines with such words; after the first `_LINES` of them all that is left, as one."""
    data, end, lines = view.data, 0, 0
    for found in _BACKWARDS.finditer(data):
        if found.start() < end:
            continue
        start = data.rfind(b"\n", 0, found.start()) + 1
        lines += 1
        end = data.find(b"\n", start) if lines <= _LINES else -1
        end = len(data) if end < 0 else end
        yield _whole(view, data[start:end][::-1], start, end)


def _whole(view: View, data: bytes, start: int, end: int) -> View:
    """What all of a stretch says; what is found in it is found in all of it."""
    first, last = view.first, view.last
    return View(data, lambda at: first(start), lambda at: last(end - 1), view.open, "injection")


def _together(view: View) -> View:
    """Letters that stand apart as the words they are; more than one space is between words."""
    data = bytearray()
    starts: list[int] = []
    at = 0
    for found in _APART.finditer(view.data):
        data += view.data[at : found.start()]
        starts += range(at, found.start())
        at = found.end()
        for letter in _LETTER.finditer(view.data, found.start(), at):
            piece = letter[1] + (b" " if len(letter[2]) > 1 else b"")
            data += piece
            starts += [letter.start()] * len(piece)
    data += view.data[at:]
    starts += range(at, len(view.data) + 1)
    first, last = view.first, view.last
    return View(
        bytes(data), lambda i: first(starts[i]), lambda i: last(starts[i]), view.open, "injection"
    )


def _base64(view: View, start: int, end: int) -> View:
    token = view.data[start:end].translate(_URLSAFE)
    size = len(token) * 6 // 8
    token += b"A" * (-len(token) % 4)
    data = binascii.a2b_base64(token)[:size]
    first, last = view.first, view.last

    def to_first(at: int) -> int:
        """Of the group of four characters: where a stream is cut, base64 must go on whole."""
        return first(min(end, start + at // 3 * 4)) if at < size else first(end)

    def to_last(at: int) -> int:
        return last(min(end - 1, start + at // 3 * 4 + 3))

    return View(data, to_first, to_last, end == len(view.data))


def _hex(view: View, start: int, end: int) -> View:
    data = binascii.a2b_hex(view.data[start:end])
    first, last = view.first, view.last
    ends = end == len(view.data) or (end == len(view.data) - 1 and view.data[end:].isalnum())
    return View(data, lambda at: first(start + 2 * at), lambda at: last(start + 2 * at + 1), ends)


def _unescaped(view: View) -> View:
    """All of it, with percent escapes as the bytes they stand for; one at the end is left out."""
    source = PARTIAL.sub(b"", view.data)
    escapes = [found.start() for found in _PERCENT.finditer(source)]
    data = _PERCENT.sub(lambda found: bytes([int(found.group()[1:], 16)]), source)
    widths = bytearray(b"\x01") * len(data)
    for number, at in enumerate(escapes):
        widths[at - 2 * number] = 3
    starts: Sequence[int] = [0, *accumulate(widths)]
    first, last = view.first, view.last
    return View(data, lambda at: first(starts[at]), lambda at: last(starts[at + 1] - 1))
