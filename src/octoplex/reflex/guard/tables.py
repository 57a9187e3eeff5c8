"""What a column is called counts as said before each of its cells.

    Tables(b"id,permis\\n1,82425956").heading(12)      b"permis"
    context("...id,dob\\n1,1990-01-02\\n2,", 128)       what must be kept for what follows

CSV with commas, semicolons and tabs, Markdown, and `INSERT INTO t (a, b) VALUES (...), (...)`.
A table begins with a line of names and ends with a line of another number of cells. What a cell is
follows from what stands to its left alone, so that a stream says the same. One pass over the text,
made when a pattern first asks.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from msgspec import Struct

LINE = 1024
"""Bytes that a row may have, and its heading half of them."""
APART = b" " * 128
"""What keeps the words of a heading out of reach of a row that does not stand below it."""
_QUOTED = re.compile(rb'(?:(?<=[,;\t|])|\A)[ ]?"(?:[^"]|"")*(?:"|\Z)')
_QUOTED_SQL = re.compile(rb"'(?:[^']|'')*(?:'|\Z)")
_NAME = re.compile(rb"[A-Za-z#_(\x80-\xff][^@:=<>{}]{0,47}")
_RULE = re.compile(rb"[ \t>]*\|?[ \t:|-]*-[ \t:|-]*")
_INSERT = re.compile(
    rb"(?i)\binsert\s{1,4}into\s{1,4}[^\s(]{1,80}\s{0,4}\(([^()]{3,512})\)\s{0,160}values\s{0,160}(?=\()"
)
_TUPLE = re.compile(rb"\)\s{0,8},\s{0,8}(?=\()")

_OVER = re.compile(rb"\)[\s,]*[^\s,]")
"""No other tuple comes."""


class _Head(Struct):
    """The names of columns, and where they stand."""

    start: int
    end: int
    names: list[bytes]
    mark: bytes
    sql: bool = False


_MARKS = (b"|", b"\t", b";", b",")
_Row = tuple[int, _Head | None]
"""Where it begins; a line that is no row has no heading."""


class Tables:
    """The tables of a text."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @cached_property
    def said(self) -> bytes:
        """The text with the `_` of names as spaces."""
        return self._data.replace(b"_", b" ")

    @cached_property
    def _lines(self) -> list[_Row]:
        return list(_lines(self._data))

    @cached_property
    def _tuples(self) -> list[_Row]:
        return list(_inserted(self._data))

    @cached_property
    def names(self) -> set[bytes]:
        """What columns are called."""
        heads = {id(head): head for _, head in self._lines + self._tuples if head}
        return {name for head in heads.values() for name in head.names if name}

    @cached_property
    def _may_insert(self) -> bool:
        return _may_insert(self._data)

    def may_name(self, at: int) -> bool:
        """Whether this byte may stand in names of columns."""
        if self._may_insert:
            return True
        line, below = self._line(at)
        return _may_follow(line, self._line(below)[0]) if below <= len(self._data) else False

    def may_hold(self, start: int, end: int) -> bool:
        """Whether what begins between these bytes may stand in a row below names."""
        if self._may_insert:
            return True
        at = self._data.rfind(b"\n", 0, start) + 1
        line = self._line(at - 1)[0] if at else b""
        while at < min(end, len(self._data)):
            before = line
            line, at = self._line(at)
            if _may_follow(before, line):
                return True
        return False

    def _line(self, at: int) -> tuple[bytes, int]:
        """The line in which a byte stands, and where the next begins."""
        end = self._data.find(b"\n", at)
        end = len(self._data) if end < 0 else end
        return self._data[self._data.rfind(b"\n", 0, at) + 1 : end], end + 1

    def say(self, words: Any, hint: Any) -> bool:
        """Whether a column has one of these words (a regex of re2's) in its name.

        `hint` is found wherever they are: a text without it in a line of names has no such column,
        which costs less to see than to read all of its tables.
        """
        if not (self._may_name(hint) or self._may_insert):
            return False
        return any(words.search(name) is not None for name in self.names)

    def _may_name(self, hint: Any) -> bool:
        data, seen = self._data, 0
        for start, end in hint.all(self.said):
            if end <= seen:  # each line once
                continue
            seen = data.find(b"\n", end)
            seen = len(data) if seen < 0 else seen
            lines = data[data.rfind(b"\n", 0, start) + 1 : seen].split(b"\n")
            if any(_head(line, 0) for line in lines):
                return True
        return False

    def heading(self, at: int) -> bytes:
        """What the column is called in which this byte stands."""
        found = self._row(at)
        if found is None:
            return b""
        rows, number = found
        start, head = rows[number]
        assert head is not None
        column = _blank(self._data[start:at], head).count(head.mark)
        return head.names[column] if column < len(head.names) else b""

    def _row(self, at: int) -> tuple[list[_Row], int] | None:
        """The row in which this byte stands, among others."""
        for rows in (self._tuples, self._lines):
            number = bisect_right(rows, at, key=lambda row: row[0]) - 1
            start, head = rows[number] if number >= 0 else (0, None)
            if head is None or at - start > LINE:
                continue
            if not head.sql or not _OVER.search(_blank(self._data[start:at], head)):
                return rows, number
        return None

    def context(self, most: int) -> bytes:
        """The last rows, of so many bytes or more, below their heading; b"" after no table."""
        end = len(self._data)
        found = self._row(end)
        if found is None:
            return b""
        rows, number = found
        start, head = rows[number]
        assert head is not None
        while number and end - start < most and rows[number - 1][1] is head:
            number -= 1
            start = rows[number][0]
        heading = self._data[head.start : head.end].rstrip() + APART
        return heading + (b"" if head.sql else b"\n") + self._data[start:]


def context(text: str, most: int) -> str:
    """The end of a text as whole rows with their heading before them, "" where it is no table."""
    if not any(mark in text for mark in ",;\t|"):
        return ""
    return Tables(text.encode("utf-8", "replace")).context(most).decode("utf-8", "replace")


def _lines(data: bytes) -> Iterator[_Row]:
    head: _Head | None = None
    at = 0
    for line in data.split(b"\n"):
        yield at, head
        goes_on = head is not None and (
            _RULE.fullmatch(line) or len(_cells(line, head)) == len(head.names)
        )
        head = head if goes_on else _head(line, at)
        at += len(line) + 1


def _head(line: bytes, start: int) -> _Head | None:
    """The line as names of columns."""
    if len(line) > LINE // 2:
        return None
    mark = next((m for m in _MARKS if m in line), None)
    if mark is None:
        return None
    head = _Head(start, start + len(line), [], mark)
    head.names = [_name(cell) for cell in _cells(line, head)]
    named = [name for name in head.names if name]
    fit = all(_NAME.fullmatch(n) and sum(n.count(d) for d in _DIGITS) < 4 for n in named)
    return head if fit and len(named) > 1 else None


def _may_follow(above: bytes, line: bytes) -> bool:
    """Whether both may be of one table."""
    if _is_rule(above) or _is_rule(line):
        return True
    return any(mark in above and mark in line for mark in _MARKS)


def _is_rule(line: bytes) -> bool:
    return b"-" in line and not line.strip(b" \t>|:-")


def _name(cell: bytes) -> bytes:
    return cell.strip(b" \t\r\n\"'`*>[]").replace(b"_", b" ")


_DIGITS = [b"%d" % digit for digit in range(10)]


def _cells(line: bytes, head: _Head) -> list[bytes]:
    cells, at = [], 0
    for piece in _blank(line, head).split(head.mark):
        cells.append(line[at : at + len(piece)])
        at += len(piece) + 1
    return cells


def _blank(line: bytes, head: _Head) -> bytes:
    """Without what stands in quotes."""
    quoted, quote = (_QUOTED_SQL, b"'") if head.sql else (_QUOTED, b'"')
    return quoted.sub(lambda found: b"x" * len(found[0]), line) if quote in line else line


def _may_insert(data: bytes) -> bool:
    return b"insert" in data.lower()  # a tenth of what the regex takes


def _inserted(data: bytes) -> Iterator[_Row]:
    """The tuples of statements that insert."""
    found = list(_INSERT.finditer(data)) if _may_insert(data) else []
    for statement, after in zip(found, [*found[1:], None], strict=False):
        names = [_name(name) for name in statement[1].split(b",")]
        head = _Head(statement.start(), statement.end(), names, b",", sql=True)
        yield head.end, head
        for one in _TUPLE.finditer(data, head.end, after.start() if after else len(data)):
            yield one.end(), head
