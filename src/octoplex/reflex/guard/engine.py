"""RE2, as the guard uses it: one regex, a set of them, or words that regexes need.

    Finder(r"\\bgh[po]_\\w{36}").search(data)    (start, end) in bytes, or None
    sieve = Sieve(regexes)
    sieve.passes(data)      numbers of regexes that may match; all where it cannot say

A set of hundreds of regexes in one automaton is fast only in text that it has seen: each subset
of them that is begun is a state of its own. Over 4.7 MB of documents and sources a set of 410
took 7,000 us a KB, since its 64 MB were filled again and again; with a repeated sentence, 3.
So a regex that needs a word (`needs.py`) is tried only where one of its words stands, and looking
for words knows no subsets. What is left, digits and classes, are sets with loosened counts, by how
they begin (`looks.py`), each behind one regex that says whether any of them is there.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from octoplex.reflex.guard.looks import Look, look
from octoplex.reflex.guard.needs import EDGE, Words, needs, telling
from octoplex.reflex.guard.prefix import loosened

ONE = 8 << 20
"""Bytes that the states of one regex may take."""
_ALWAYS = r"\z"
"""In a set so that its answer is never empty but when it failed."""


@cache
def re2() -> Any:
    """It has no types, and 2.5 MB that a server without guards has not."""
    return import_module("re2")


def options(memory: int = ONE) -> Any:
    """Of everything that is compiled here."""
    made = re2().Options()
    made.max_mem, made.log_errors, made.never_capture = memory, False, True
    return made


class Finder:
    """One regex over bytes.

    Asks the compiled regex itself: the package's wrapper makes a generator and an object for each
    match, 1.6 us.
    """

    __slots__ = ("_match",)

    def __init__(self, regex: str, memory: int = ONE) -> None:
        self._match = re2().compile(regex.encode(), options(memory))._regexp.Match

    def search(self, data: bytes, at: int = 0, end: int | None = None) -> tuple[int, int] | None:
        """The first match from there on."""
        return self._found(re2()._Anchor.UNANCHORED, data, at, end)

    def match(self, data: bytes, at: int = 0, end: int | None = None) -> tuple[int, int] | None:
        """A match that begins there."""
        return self._found(re2()._Anchor.ANCHOR_START, data, at, end)

    def matches_all(self, data: bytes, at: int) -> bool:
        """Whether all of it from there on matches."""
        return self._found(re2()._Anchor.ANCHOR_BOTH, data, at, None) is not None

    def all(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Every match, none over another."""
        at = 0
        while found := self.search(data, at):
            yield found
            at = max(found[1], found[0] + 1)

    def distinct(self, data: bytes) -> set[bytes]:
        """What is matched, also within other matches."""
        found: set[bytes] = set()
        match, anywhere, size, at = self._match, re2()._Anchor.UNANCHORED, len(data), 0
        while (span := match(anywhere, data, at, size)[0])[0] >= 0:
            at = span[0]
            found.add(data[at : span[1]])
            at += 1
        return found

    def _found(self, anchor: Any, data: bytes, at: int, end: int | None) -> tuple[int, int] | None:
        size = len(data)
        end = size if end is None or end > size else end
        if at > end:
            return None
        span: tuple[int, int] = self._match(anchor, data, at, end)[0]
        return span if span[0] >= 0 else None


class Set:
    """Which of many regexes occur, in one pass."""

    def __init__(self, regexes: Sequence[str], memory: int) -> None:
        self._size = len(regexes)
        made = re2().Set.SearchSet(options(memory))
        for regex in [*regexes, _ALWAYS]:
            made.Add(regex.encode())
        try:
            made.Compile()
        except re2().error:  # the memory does not even hold the program
            made = None
        self._made = made
        self.is_made = made is not None

    def match(self, data: bytes) -> list[int] | None:
        """Their numbers, None where memory ran out."""
        found: list[int] | None = self._made.Match(data) if self._made is not None else None
        if not found:
            return None
        found.remove(self._size)
        return found


class _Shapes:
    """Regexes without words that begin alike: whether there is any, and only then which.

    A set knows which of them it has met, and so has many more states than one regex of all.
    """

    def __init__(
        self, numbers: Sequence[int], regexes: Sequence[str], memory: int, alike: Look
    ) -> None:
        self._numbers = numbers
        self._set = Set(regexes, memory)
        self._any: Finder | None = None
        if alike != "often":
            self._any = Finder("|".join(f"(?:{regex})" for regex in regexes), memory)

    def passes(self, data: bytes) -> list[int] | None:
        """Their numbers, None where memory ran out."""
        if self._set.is_made and self._any is not None and not self._any.search(data):
            return []
        found = self._set.match(data)
        return None if found is None else [self._numbers[place] for place in found]


class Sieve:
    """Which of many regexes may match: those whose words stand there, or whose shape does."""

    def __init__(self, regexes: Sequence[str], memory: int) -> None:
        self._size = len(regexes)
        self._by_word: dict[str, set[int]] = {}
        shapes: dict[Look, list[int]] = {}
        needed: set[str] = set()
        for number, regex in enumerate(regexes):
            words = _words(regex)
            needed |= words
            for word in words:
                self._by_word.setdefault(_plain(word), set()).add(number)
            if not words:
                shapes.setdefault(look(regex), []).append(number)
        self._shapes = [
            _Shapes(numbers, [_loose(regexes[number]) for number in numbers], memory, alike)
            for alike, numbers in shapes.items()
        ]
        self._words = _finder(needed, memory)
        for word, numbers in self._by_word.items():
            for end in range(1, len(word)):  # what begins it is found with it
                numbers |= self._by_word.get(word[:end], set())

    def passes(self, data: bytes) -> list[int]:
        """Their numbers, in order."""
        found: set[int] = set()
        for shapes in self._shapes:
            passed = shapes.passes(data)
            if passed is None:
                return list(range(self._size))
            found.update(passed)
        for word in self._words.distinct(data) if self._words else ():
            found |= self._by_word.get(_plain(word.decode("utf-8", "replace")), set())
        return sorted(found)


def _plain(word: str) -> str:
    return word.strip(EDGE).casefold()


def _finder(words: Collection[str], memory: int) -> Finder | None:
    """All of them in one; of two that begin alike the longer one is found."""
    free = {word for word in words if not word.startswith(EDGE)}
    known = free | {word for word in words if word.strip(EDGE) not in free}
    ways = [
        (r"\b" if word.startswith(EDGE) else "") + re2().escape(word.strip(EDGE))
        for word in sorted(known, key=_plain, reverse=True)
    ]
    return Finder(f"(?i:{'|'.join(ways)})", memory) if ways else None


def _words(regex: str) -> Words:
    """The rarest set of words that it needs, none where it needs none."""
    try:
        found = needs(regex)
    except ValueError:
        found = []
    return max(found, key=telling, default=frozenset())


def _loose(regex: str) -> str:
    try:
        return loosened(regex)
    except ValueError:
        return regex
