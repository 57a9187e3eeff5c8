"""RE2, as the guard uses it: one regex, a set of them, or the signs of many.

    Finder(r"\\bgh[po]_\\w{36}").search(data)    (start, end) in bytes, or None
    sieve = Sieve([sign(regex), ...], 256, memory)
    sieve.passes(data)      {number: [where its sign begins]}; None where that cannot be said

RE2 makes an automaton while it reads: a transition costs 1 us when it is met first. So the words
that signs begin with are looked for by one that is made whole before (Aho and Corasick, in the
extra `guard`; without it by RE2), and RE2 has what begins with digits and classes, in a few
automata of those that begin alike: of all together each two places would be a state. Which of
them begin at a place says a set that is anchored there. A set of hundreds that is not is no use in
text it has not seen: each subset of them that is begun is a state, and 4.7 MB of documents filled
64 MB of states again and again.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from msgspec import Struct

from octoplex.reflex.guard.finding import LONGEST
from octoplex.reflex.guard.signs import Sign
from octoplex.reflex.guard.ways import FOLD, LONG, RUN

ONE = 8 << 20
"""Bytes that the states of one regex may take."""
_BLOCK = 2_048
_CROWD = 160
"""Where more signs begin within a block, all that may begin so are taken to be there."""
_OTHER_CASE = ("\u212a".encode(), "\u017f".encode())
"""Kelvin's sign and the long s: letters of ASCII to a regex that ignores case."""
_WORD = frozenset(b"0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_ALWAYS = ""
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

    def __init__(self, regexes: Sequence[str], memory: int, *, anchored: bool = False) -> None:
        self._size = len(regexes)
        kinds = re2().Set
        made = (kinds.MatchSet if anchored else kinds.SearchSet)(options(memory))
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


class Words:
    """Where words stand in a text in lower case, also within each other."""

    def __init__(self, words: Sequence[bytes], memory: int, *, fast: bool = True) -> None:
        self._fast = _aho(words) if fast else None
        if self._fast is None:
            self._numbers = {word: number for number, word in enumerate(words)}
            self._lengths = sorted({len(word) for word in words})
            every = "|".join(sorted(re2().escape(word.decode()) for word in words))
            self._any = Finder(every, memory)

    def all(self, low: bytes) -> list[tuple[int, int, int]]:
        """Their numbers, and where each begins and ends."""
        if self._fast is not None:
            found: list[tuple[int, int, int]] = self._fast(low, overlapping=True)
            return found
        return list(self._slowly(low))

    def _slowly(self, low: bytes) -> Iterator[tuple[int, int, int]]:
        at = 0
        while span := self._any.search(low, at):
            at = span[0]
            for length in self._lengths:
                number = self._numbers.get(low[at : at + length])
                if number is not None and at + length <= len(low):
                    yield number, at, at + length
            at += 1


def _aho(words: Sequence[bytes]) -> Any:
    """All of them in one automaton that does not grow, where the extra `guard` is there."""
    try:
        made = import_module("ahocorasick_rs")
    except ImportError:
        return None
    compact = made.Implementation.ContiguousNFA  # the other is no faster, and takes 24 MB more
    return made.BytesAhoCorasick(words, implementation=compact).find_matches_as_indexes


class _Said(Struct):
    """What follows from a word: numbers whose sign it is, and whether it may begin that of others.

    Each for places where no word goes on before it, and for all others. And what stands behind it.
    """

    signs: tuple[list[tuple[int, int]], list[tuple[int, int]]]
    begins: list[int]


class Sieve:
    """Where which of many regexes may match: around their signs."""

    def __init__(self, signs: Sequence[Sign], reach: int, memory: int) -> None:
        """`reach` is how many bytes a sign may have."""
        self._reach = reach
        ways = [(number, way) for number, sign in enumerate(signs) for way in sign.ways]
        said: dict[bytes, _Said] = {}
        for number, way in ways:
            if not way.word:
                continue
            one = said.setdefault(way.word, _Said(([], []), [0, 0]))
            for inside in (False, True)[: 2 - way.edge]:
                if way.all_said:
                    one.signs[inside].append((number, way.after))
                else:
                    one.begins[inside] |= way.after
        self._said = list(said.values())
        self._words = Words(list(said), memory)
        self._rest = _Which(
            [(n, way.regex) for n, way in ways if way.word and not way.all_said], memory
        )
        shapes = [(n, way.regex) for n, way in ways if not way.word]
        self._shapes = [_Shapes(part, memory) for part in _parted(shapes)]
        self._runs = [number for number, regex in shapes if regex == RUN]
        self._run = Finder(RUN.replace("}", ",}"), memory)

    def passes(self, data: bytes) -> dict[int, list[int]] | None:
        """Their numbers, and where their signs begin; None where that cannot be said."""
        found: dict[int, list[int]] = {}
        for part in self._shapes:
            if not part.add(data, self._reach, found):
                return None
        if self._runs:
            self._add_runs(data, found)
        return found if self._add_words(data, found) else None

    def _add_runs(self, data: bytes, found: dict[int, list[int]]) -> None:
        """Each long run once: a match in it begins near one of these places."""
        for start, end in self._run.all(data):
            for number in self._runs:
                found.setdefault(number, []).extend(every(start, end - LONG))

    def _add_words(self, data: bytes, found: dict[int, list[int]]) -> bool:
        if not data.isascii() and any(letter in data for letter in _OTHER_CASE):
            return False
        said, size = self._said, len(data)
        for word, start, end in self._words.all(data.lower()):
            one = said[word]
            inside = bool(start) and data[start - 1] in _WORD
            after = data[end] if end < size else 256
            for number, behind in one.signs[inside]:
                if behind >> after & 1:
                    found.setdefault(number, []).append(start)
            if one.begins[inside] >> after & 1:
                numbers = self._rest.match(data[start : start + self._reach])
                if numbers is None:
                    return False
                for number in numbers:
                    found.setdefault(number, []).append(start)
        return True


class _Which:
    """Which of many regexes match where a text begins."""

    def __init__(self, ways: Sequence[tuple[int, str]], memory: int) -> None:
        by_number: dict[int, list[str]] = {}
        for number, way in ways:
            by_number.setdefault(number, []).append(way)
        self.numbers = list(by_number)
        self._set = Set(list(map(_either, by_number.values())), memory, anchored=True)

    def match(self, data: bytes) -> list[int] | None:
        """Their numbers, None where memory ran out."""
        places = self._set.match(data)
        return None if places is None else [self.numbers[place] for place in places]


class _Shapes:
    """Ways that begin with any of many letters."""

    def __init__(self, ways: Sequence[tuple[int, str]], memory: int) -> None:
        every = _alternatives([way for _, way in ways]).encode()
        self._match = re2().compile(every, options(memory))._regexp.Match
        self._anywhere = re2()._Anchor.UNANCHORED
        self._which = _Which(ways, memory)

    def add(self, data: bytes, reach: int, found: dict[int, list[int]]) -> bool:
        """Put in what is there; False where memory ran out.

        A search ends a little behind where it begins: what begins everywhere and ends nowhere
        would be read to its end from everywhere. Long runs of digits have a sign at each.
        """
        match, anywhere, size, at = self._match, self._anywhere, len(data), 0
        border = crowd = 0
        while at <= size:
            end = at + _BLOCK + reach
            start = match(anywhere, data, at, min(end, size))[0][0]
            if start < 0:
                at += _BLOCK if end < size else end
                continue
            border, crowd = (border, crowd + 1) if start < border else (start + _BLOCK, 1)
            if crowd > _CROWD:
                at = min(border, size) + 1
                for number in self._which.numbers:
                    found.setdefault(number, []).extend(every(start, at))
                continue
            numbers = self._which.match(data[start : start + reach])
            if numbers is None:
                return False
            for number in numbers:
                found.setdefault(number, []).append(start)
            at = start + 1
        return True


def every(start: int, end: int) -> list[int]:
    """Places so near each other that what lies around any between them lies around these."""
    return [*range(start, end, LONGEST // 2), end]


def _parted(ways: Sequence[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """Those that begin alike: what begins otherwise goes on at other places, and every two places
    together would be a state."""
    parts: dict[str, list[tuple[int, str]]] = {}
    for number, way in ways:
        if way == RUN:
            continue
        begin = way.removeprefix(FOLD).removeprefix(r"\b")
        alike = "digit" if _DIGIT.match(begin) else "any" if _ANY.match(begin) else ""
        parts.setdefault(alike, []).append((number, way))
    return list(parts.values())


_DIGIT = re.compile(r"\\d|\[?[0-9]")
_ANY = re.compile(r"\(*(?:\?:)?\[[^\]]*a-")


def _alternatives(all_ways: Sequence[str]) -> str:
    """All ways, those that begin alike beside each other: RE2 makes one of their beginnings."""
    groups: dict[tuple[bool, bool], set[str]] = {}
    for way in all_ways:
        bare = way.removeprefix(FOLD)
        rest = bare.removeprefix(r"\b")
        groups.setdefault((bare is not way, rest is not bare), set()).add(rest)
    parts = [
        ("(?i:" if fold else "(?:") + (r"\b" if edge else "") + f"(?:{'|'.join(sorted(ways))}))"
        for (fold, edge), ways in groups.items()
    ]
    return "|".join(parts)


def _either(ways: Sequence[str]) -> str:
    parts = [(way.removeprefix(FOLD), "(?i:" if way.startswith(FOLD) else "(?:") for way in ways]
    return "|".join([f"{begin}{way})" for way, begin in parts])
