"""Which passages of files are about a question: BM25, over what is read now and kept nowhere.

    ranked("sales march", passages, 10)      [(score, passage), ...], best first

Words are runs of letters and digits without case. A passage is some lines of a file, so that what
is found can be shown and cited by its line.

Reference: Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), section 3.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from io import StringIO
from math import log

from msgspec import Struct

K, B = 1.2, 0.75
LINES, LONGEST = 30, 2_000
"""Lines, and characters, of a passage."""
_WORD = re.compile(r"\w+")


class Passage(Struct, frozen=True):
    """Some lines of a file; `line` is the first one's number, from 1."""

    path: str
    line: int
    text: str


def passages(path: str, text: str) -> Iterator[Passage]:
    """The passages of a file."""
    lines: list[str] = []
    begin = size = 0
    for at, line in enumerate(StringIO(text, newline=None)):  # lines as editors count them
        line = line.rstrip("\n")
        if lines and (len(lines) >= LINES or size + len(line) > LONGEST):
            yield Passage(path, begin + 1, "\n".join(lines))
            lines, size, begin = [], 0, at
        lines.append(line[:LONGEST])
        size += len(line)
    if lines:
        yield Passage(path, begin + 1, "\n".join(lines))


def words(text: str) -> list[str]:
    """The words of a text, as they are compared."""
    return _WORD.findall(text.casefold())


def ranked(query: str, found: Sequence[Passage], most: int) -> list[tuple[float, Passage]]:
    """Those that have a word of the query, best first. The name of a file counts as its text."""
    wanted = set(words(query))
    counts = [Counter(words(f"{one.path} {one.text}")) for one in found]
    lengths = [count.total() for count in counts]
    usual = sum(lengths) / max(len(lengths), 1) or 1.0
    have = {word: sum(word in count for count in counts) for word in wanted}
    rare = {w: log(1 + (len(found) - n + 0.5) / (n + 0.5)) for w, n in have.items() if n}
    scored = []
    for one, count, length in zip(found, counts, lengths, strict=True):
        norm = K * (1 - B + B * length / usual)
        score = sum(
            weight * count[word] * (K + 1) / (count[word] + norm) for word, weight in rare.items()
        )
        if score:
            scored.append((score, one))
    return sorted(scored, key=lambda pair: (-pair[0], pair[1].path, pair[1].line))[:most]
