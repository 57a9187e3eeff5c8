"""The text of a web page that a person would see, as plain lines.

    text_of_page("<h1>Hi</h1><p hidden>obey me</p>")     Page("", "Hi", 1)

Scripts, styles and comments are no text. What its author hides from people (`hidden`, no display,
no size) is left out and counted: on pages that models read it is where instructions are put.

It takes time in proportion to the page, whatever is in it: the standard library's parser takes
minutes for 200 kB of `<a <a <a`. So a tag that does not end swallows the rest, as in browsers.

Reference: the HTML standard, 13.2.5 (tokens) and 13.1.2.4 (ends that may be left out). Not
promised: what a style sheet hides, or a script shows.
"""

import contextlib
import html
import re

from msgspec import Struct

from octoplex.agents.quoting import hidden, visible

DEEPEST = 500
"""Elements within each other; what lies deeper counts as its place there."""
_RAW = frozenset({"script", "style", "textarea", "title", "noscript", "iframe", "template"})
"""Elements whose content is no markup, or is of no interest."""
_SILENT = (_RAW - {"title", "textarea"}) | {"svg", "math", "object"}
_EMPTY_NAMES = "area base br col embed hr img input link meta param source track wbr"
_EMPTY = frozenset(_EMPTY_NAMES.split())
_BLOCK_NAMES = """
address article aside blockquote br dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6
header hr li main nav ol p pre section table td th tr ul title
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_ALONE = frozenset({"li", "dt", "dd", "tr", "td", "th"})
_TAG = re.compile(r"""<(/?)([A-Za-z][^\s/>]*+)((?:[^"'>]|"[^"]*+"|'[^']*+')*+)>""")
_ENDS = {name: re.compile(f"</{name}", re.IGNORECASE | re.ASCII) for name in _RAW}
_PAIR = re.compile(r"""([^\s"'>/=]++)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++))?""")
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?![.\d])|font-size\s*:\s*0(?![.\d])"
)
_SPACES, _LINES = re.compile(r"[ \t\r\f\v\u00a0]+"), re.compile(r"\s*\n\s*")


class Page(Struct, frozen=True):
    """What a page says. `hidden` counts pieces that people would not see."""

    title: str
    text: str
    hidden: int


def text_of_page(source: str) -> Page:
    """Read a page."""
    reader = _Reader()
    reader.read(source)
    text = "".join(reader.pieces)
    unseen = reader.hidden + hidden(text)
    lines = _LINES.sub("\n", _SPACES.sub(" ", visible(text))).strip()
    return Page(_SPACES.sub(" ", visible(reader.title)).strip()[:300], lines, unseen)


class _Reader:
    """Gathers text. `_open` are the elements it is in, and whether each is seen."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.title, self.hidden = "", 0
        self._open: list[tuple[str, bool]] = []

    def read(self, source: str) -> None:
        """Read all of it."""
        at = 0
        while 0 <= at < len(source):
            tag = source.find("<", at)
            self._text(source[at : tag if tag >= 0 else None])
            if tag < 0:
                return
            at = self._markup(source, tag)

    def _markup(self, source: str, at: int) -> int:
        """Read what begins with `<`; where it ends, -1 when it does not."""
        if source.startswith("<!--", at):
            end = source.find("-->", at + 4)
            return end + 3 if end >= 0 else -1
        if source[at + 1 : at + 2] in ("!", "?"):
            end = source.find(">", at)
            return end + 1 if end >= 0 else -1
        if not source[at + 1 : at + 3].lstrip("/")[:1].isalpha():
            self._text("<")
            return at + 1
        match = _TAG.match(source, at)
        if match is None:
            return -1
        name = match[2].lower()
        if match[1]:
            self._end(name)
            return match.end()
        self._start(name, match[3])
        if name not in _RAW:
            return match.end()
        closing = _ENDS[name].search(source, match.end())
        if name in ("title", "textarea"):
            self._text(source[match.end() : closing.start() if closing else None])
        return closing.start() if closing else -1

    def _start(self, tag: str, attributes: str) -> None:
        if tag in _BLOCKS:
            self.pieces.append("\n")
        if tag in _EMPTY or len(self._open) == DEEPEST:
            return
        above = self._open[-1][0] if self._open else ""
        if (above == "p" and tag in _BLOCKS) or (above == tag and tag in _ALONE):
            self._open.pop()  # its end may be left out
        unseen = tag not in _SILENT and _is_unseen(attributes)
        self.hidden += unseen
        is_seen = not self._open or self._open[-1][1]
        self._open.append((tag, is_seen and not unseen and tag not in _SILENT))

    def _end(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.pieces.append("\n")
        for at in range(len(self._open) - 1, -1, -1):
            if self._open[at][0] == tag:
                del self._open[at:]
                return

    def _text(self, text: str) -> None:
        if not text or (self._open and not self._open[-1][1]):
            return
        with contextlib.suppress(ValueError):  # a number with more digits than Python reads
            text = html.unescape(text)
        if self._open and self._open[-1][0] == "title":
            self.title += text
        else:
            self.pieces.append(text)


def _is_unseen(text: str) -> bool:
    attributes = {name.lower(): value.strip("\"'").lower() for name, value in _PAIR.findall(text)}
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    return bool(_UNSEEN.search(attributes.get("style", "")))
