"""Look through a text for everything at once.

    detector = Detector(patterns())
    detector.find("mail ana@acme.example")      -> [Finding("pii", "email", 5, 21, 0.95)]
    detector.open_from("mail ana@acme.exa")     -> 5: more text may still change what is found there
    word("words", ["falcon"]), custom("staff", r"AC-\\d{6}")   patterns of one's own

Two passes say which patterns may occur (`engine.py`); only those are then looked for one by
one, and what they find is judged. Where memory does not hold that (hostile text), every pattern is
looked for on its own, which is slower and finds the same. All of it takes time linear in the text.

For streams: let `k = open_from(a)`. For any `b`, `find(a + b)` has before `k` the finds of
`find(a)`, and none lies across `k`. What is open follows from the patterns (`prefix.py`). Not so
injection in words with digits for letters, or that counts beside another sign only
(`Pattern.company`): no stream is searched for it.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from octoplex.reflex.guard import normal
from octoplex.reflex.guard.engine import Finder, options, re2
from octoplex.reflex.guard.finding import COMPANY, LEFT, LONGEST, Finding, Kind, Pattern
from octoplex.reflex.guard.known import Known
from octoplex.reflex.guard.patterns import BUILT_IN, UNNAMED
from octoplex.reflex.guard.places import Places, Span, anycase, hint, whole
from octoplex.reflex.guard.prefix import prefixes
from octoplex.reflex.guard.tables import Tables
from octoplex.wire.error import BadConfig

ALL: tuple[Kind, ...] = ("pii", "secret", "injection")
MEMORY = 64 << 20
"""Bytes that the states of the set may take; prose needs a hundredth of it."""


def patterns(kinds: Collection[str] = ALL, *, unnamed: bool = False) -> list[Pattern]:
    """The patterns that are built in; those of types that must be named only with `unnamed`."""
    return [p for p in BUILT_IN if p.kind in kinds and (unnamed or p.type not in UNNAMED)]


def word(name: str, words: Sequence[str]) -> Pattern:
    """A list of words or phrases: whole words, in any case, with any space between them."""
    ways = [r"[\s_-]{1,4}".join(_anycase(part) for part in entry.split()) for entry in words]
    longest = max([LONGEST, *(8 * len(entry.encode()) for entry in words)])
    ways.sort(key=len, reverse=True)
    regex = f"(?:{'|'.join(way for way in ways if way)})"
    return Pattern(
        kind="word", type=name, regex=regex, check=_whole, after=_LETTER, longest=longest
    )


_LETTER = r"[A-Za-z0-9_\xc3-\xdf]"
"""ASCII, or the first byte of a letter up to Arabic."""


def _anycase(text: str) -> str:
    """Each letter as its cases look once folded: in Cyrillic only one of them may look Latin."""
    looks = ({normal.fold(c), normal.fold(c.lower()), normal.fold(c.upper())} for c in text)
    return "".join(
        [f"(?:{'|'.join(re2().escape(one) for one in sorted(look) if one)})" for look in looks]
    )


def _whole(value: str, left: str) -> float:
    """Not the end of a longer word. Scripts without spaces have no words to be whole."""
    before = left[-1:]
    if value[:1].isascii():
        return 0 if before == "_" or (before.isascii() and before.isalnum()) else 1
    return 0 if before.isalpha() and before < "\u2e80" else 1


def custom(name: str, regex: str, longest: int = LONGEST) -> Pattern:
    """An operator's own regex, in re2's syntax; it is looked for in the folded text.

    Raises:
        BadConfig: re2 does not take it, or it matches nothing at all.
    """
    folded = normal.fold(regex)
    try:
        compiled = re2().compile(folded, options())
    except re2().error as error:
        why = error.args[0] if error.args else error
        why = why.decode("utf-8", "replace") if isinstance(why, bytes) else why
        raise BadConfig(f"the pattern {name!r} is not a regex that RE2 takes: {why}") from None
    if compiled.fullmatch("") is not None:
        raise BadConfig(f"the pattern {name!r} matches the empty text; let it match something")
    return Pattern(kind="word", type=name, regex=folded, longest=longest, score=1.0)


class _Compiled(Struct):
    """A pattern with its regexes."""

    pattern: Pattern
    finder: Finder
    lead: Finder | None
    near: Finder | None
    hint: Finder | None
    after: re.Pattern[bytes] | None
    rest: Finder | None
    resting: Finder | None
    """Matches what may still become a longer rest."""
    until: Finder | None
    company: Finder | None


class _Hit(Struct):
    """A candidate, in characters of the text as given."""

    start: int
    end: int
    score: float
    pattern: Pattern
    far: int = 0
    """Bytes to the word that says what it is."""
    open: bool = False
    """It may go on where more text comes."""

    @property
    def endless(self) -> bool:
        """Whether it may be of any length."""
        return bool(self.pattern.rest or self.pattern.until)


_SAMPLE = "Call +44 20 7946 0958 or write to ana@acme.example. The password is "


class Detector:
    """Patterns, compiled once. Making one takes tens of milliseconds; it may be shared."""

    def __init__(self, patterns: Sequence[Pattern], memory: int = MEMORY) -> None:
        self.known = Known()
        self._patterns = tuple(patterns)
        self._compiled: dict[int, _Compiled] = {}
        self._coded = len(self._patterns)
        self._memory = memory
        self._kinds = {"", *(pattern.kind for pattern in patterns)}
        attacked = "injection" in self._kinds
        self._forms = [form for form in normal.FORMS if attacked or form not in normal.OF_ATTACKS]
        self._places = Places(patterns, [normal.FORMS[form] for form in self._forms], memory)
        self._window = max([LONGEST, *(pattern.longest for pattern in patterns)]) + 16

    @cached_property
    def _beginnings(self) -> list[Finder]:
        """By kind, as small as may be; made for the first stream."""
        found: dict[str, dict[str, None]] = {
            "": dict.fromkeys(prefixes(normal.FORMS[form]) for form in ("base64", "hex"))
        }
        for pattern in self._patterns:
            found.setdefault(pattern.kind, {})[_begun(pattern)] = None
        ways = ["|".join(begun) for begun in found.values()]
        return [Finder(f"(?:{way})\\z", self._memory) for way in ways]

    def prepare(self, *, streams: bool) -> None:
        """Do now what the first text, and the first stream, would wait for: 0.1 s and more."""
        self.find(_SAMPLE)
        if streams:
            self.open_from(_SAMPLE)

    def find(self, text: str) -> list[Finding]:
        """Everything that was found, by start. Of finds that overlap the more certain stays."""
        view = normal.plain(text)
        tables = Tables(view.data)
        tried = self._places.of(view.data, tables)
        if not tried:
            return []
        hits = _chosen(self._hits(view, tried, tables))
        return [
            Finding(hit.pattern.kind, hit.pattern.type, hit.start, hit.end, hit.score)
            for hit in hits
        ]

    def is_silent(self, data: bytes) -> bool:
        """Whether no pattern occurs in these bytes, nor could in what they say.

        Only of ASCII without escapes; of all else it says no.
        """
        if b"\\" in data or not data.isascii():
            return False
        tried = self._places.of(data, Tables(data), named=False)
        if max(tried, default=0) >= self._coded and self._views(normal.plain(data.decode()), tried):
            return False
        return not any(
            self._one(number).finder.search(data, *span)
            for number, spans in tried.items()
            if number < self._coded
            for span in spans
        )

    def open_from(self, text: str) -> int:
        """Where the end begins that may be a find, or another find, once more text comes."""
        view = normal.plain(text)
        data = view.data
        at = self._begins(data)
        partial = normal.PARTIAL.search(data, max(0, len(data) - 2))
        if partial:
            at = min(at, self._begins(data[: partial.start()]))
        open_from = len(text) if at == len(data) else view.first(at)
        tables = Tables(data)
        tried = self._places.of(data, tables)
        if not tried:
            return open_from
        views = self._views(view, tried)
        for inner in views:
            if inner.open:
                open_from = min(open_from, inner.first(self._begins(inner.data)))
        hits = list(self._hits(view, tried, tables, views))
        open_from = min([open_from, *(hit.start for hit in hits if hit.open)])
        for hit in sorted(hits, key=_end, reverse=True):
            if hit.end <= open_from:
                break
            open_from = min(open_from, hit.start)
        return open_from

    def _begins(self, data: bytes) -> int:
        """Where the longest end of it begins that may still become a match."""
        least = max(0, len(data) - self._window)
        found = [begun.search(data, least) for begun in self._beginnings]
        return min([span[0] if span else least for span in found])

    def _hits(
        self,
        view: normal.View,
        tried: Mapping[int, Sequence[Span]],
        tables: Tables,
        views: Iterable[normal.View] | None = None,
    ) -> Iterator[_Hit]:
        """All candidates, of what is encoded in the text, too."""
        yield from self._found(view, tried, tables)
        for inner in self._views(view, tried) if views is None else views:
            tables = Tables(inner.data)
            yield from self._found(inner, self._places.of(inner.data, tables), tables)

    def _found(
        self, view: normal.View, tried: Mapping[int, Sequence[Span]], tables: Tables
    ) -> Iterator[_Hit]:
        for number in sorted(tried):
            if number < self._coded and view.only in ("", self._patterns[number].kind):
                one, spans = self._one(number), tried[number]
                if one.near is None or _match(one, view.data, 0, spans):  # before words near by
                    yield from _look(one, view, tables, spans)

    def _views(self, view: normal.View, tried: Collection[int]) -> list[normal.View]:
        """What stands in it in the forms that fired."""
        forms = [form for number, form in enumerate(self._forms, self._coded) if number in tried]
        if not forms:
            return []
        return [one for one in normal.decoded(view, forms) if one.only in self._kinds]

    def _one(self, number: int) -> _Compiled:
        """A pattern on its own; most are never needed."""
        compiled = self._compiled.get(number)
        if compiled is None:
            compiled = self._compiled[number] = _compiled(self._patterns[number])
        return compiled


def _end(hit: _Hit) -> int:
    return hit.end


def _chosen(hits: Iterable[_Hit]) -> list[_Hit]:
    """Those that stay where they overlap: of unlimited length, more certain, longer, nearer to
    the word that says what it is, earlier.
    """
    order = sorted(hits, key=lambda h: (not h.endless, -h.score, h.start - h.end, h.far, h.start))
    starts: list[int] = []
    chosen: list[_Hit] = []
    for hit in order:
        at = bisect_right(starts, hit.start)
        before = chosen[at - 1] if at and chosen[at - 1].end > hit.start else None
        after = chosen[at] if at < len(starts) and starts[at] < hit.end else None
        if before or after:
            kinds = {other.pattern.kind for other in (before, after) if other}
            if hit.pattern.kind != "injection" or "injection" in kinds:
                continue
            # An address in it must not hide it: what is free of it, is it.
            hit.start = before.end if before else hit.start
            hit.end = after.start if after else hit.end
            if hit.start >= hit.end:
                continue
        starts.insert(at, hit.start)
        chosen.insert(at, hit)
    return chosen


def _look(
    compiled: _Compiled, view: normal.View, tables: Tables, spans: Sequence[Span]
) -> Iterator[_Hit]:
    """Go through the matches of one pattern, and judge each.

    After one that is none the search goes on at its second byte, so that none is hidden.
    """
    data, pattern = view.data, compiled.pattern
    said = _said_before(compiled, tables)
    if said is None:
        return
    words, named = said
    at = 0
    while at <= len(data) and (span := _match(compiled, data, at, spans)):
        first, end = span
        at = first + 1
        if first and chr(data[first - 1]) in pattern.not_before:
            continue
        lead = compiled.lead.match(data, first, end) if compiled.lead else None
        start = lead[1] if lead else first
        far, heading = 0, b""
        if named:
            heading = tables.heading(start)
            heading = heading if compiled.near and compiled.near.search(heading) else b""
        if words is not None and not heading:
            number = bisect_right(words, start)
            if number == 0 or start - words[number - 1] > pattern.reach:
                if number == len(words) and not named:
                    return
                if not named:  # nothing counts before the next word
                    at = max(at, words[number] if start == first else 0)
                continue
            far = start - words[number - 1]
        hit = _judged(compiled, view, start, end, heading)
        if hit is not None:
            at = max(at, hit.end)
            yield _Hit(*view.span(start, hit.end), hit.score, pattern, far, hit.open)


def _said_before(compiled: _Compiled, tables: Tables) -> tuple[list[int] | None, bool] | None:
    """Where the words end that must stand before, and whether a column is called so; None where
    there is neither. No list where nothing need be said.
    """
    if compiled.near is None or compiled.hint is None:
        return None, False
    if not compiled.hint.search(tables.said):
        return None
    words = [word[1] for word in compiled.near.all(tables.said)]
    named = tables.say(compiled.near, compiled.hint)
    return (words, named) if words or named else None


def _match(
    compiled: _Compiled, data: bytes, at: int, spans: Sequence[Span]
) -> tuple[int, int] | None:
    """The next match that is not too long, in bytes."""
    longest = compiled.pattern.longest
    for begin, last in spans:
        at = max(at, begin)
        while at <= last and (found := compiled.finder.search(data, at, last)):
            start, end = found
            if end - start <= longest:
                return found
            shorter = compiled.finder.match(data, start, start + longest)
            if shorter is not None:
                return shorter
            at = start + 1
    return None


def _judged(
    compiled: _Compiled, view: normal.View, start: int, end: int, heading: bytes = b""
) -> _Hit | None:
    """The hit in bytes, None if it is none. Under a heading it is read as `heading: value`."""
    data, pattern = view.data, compiled.pattern
    value = data[start:end].decode("utf-8", "replace")
    before = heading + b": " if heading else data[max(0, start - LEFT) : start]
    left = before.decode("utf-8", "ignore")
    if pattern.trim is not None:
        value = value[: pattern.trim(value, left)]
        end = start + len(value.encode())
    if not value or (compiled.after is not None and compiled.after.match(data, end)):
        return None
    score = pattern.score if pattern.check is None else pattern.check(value, left)
    if not score or not _accompanied(compiled, data, start, end):
        return None
    if compiled.until is not None:
        mark = compiled.until.search(data, end)
        goes_on = view.open and not mark
        return _Hit(start, mark[1] if mark else len(data), score, pattern, open=goes_on)
    if compiled.rest is not None and compiled.resting is not None:
        goes_on = view.open and compiled.resting.matches_all(data, end)
        rest = compiled.rest.match(data, end)
        return _Hit(start, rest[1] if rest else end, score, pattern, open=goes_on)
    return _Hit(start, end, score, pattern)


def _accompanied(compiled: _Compiled, data: bytes, start: int, end: int) -> bool:
    """Whether what must stand beside it does, on its left or on its right."""
    beside = compiled.company
    if beside is None:
        return True
    around = data[max(0, start - COMPANY) : start], data[end : end + COMPANY]
    return any(beside.search(side) is not None for side in around)


def _compiled(pattern: Pattern) -> _Compiled:
    return _Compiled(
        pattern,
        Finder(whole(pattern)),
        _finder(pattern.lead),
        _finder(anycase(pattern.near) if pattern.near else ""),
        _finder(hint(pattern)),
        re.compile(pattern.after.encode()) if pattern.after else None,
        _finder(pattern.rest),
        _finder(prefixes(pattern.rest) if pattern.rest else ""),
        _finder(pattern.until),
        _finder(anycase(pattern.company) if pattern.company else ""),
    )


def _finder(regex: str) -> Finder | None:
    return Finder(regex) if regex else None


def _begun(pattern: Pattern) -> str:
    """What may become a match; where that cannot be said, everything within its length."""
    try:
        begun = prefixes(f"(?:{pattern.regex})(?:{pattern.after})")
        Finder(begun)
    except (ValueError, re2().error):
        return "(?s:.*)"
    return begun
