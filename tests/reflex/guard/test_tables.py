"""A cell is read under the name of its column, whole and in a stream."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.reflex.guard.scan import Detector, patterns
from octoplex.reflex.guard.stream import Flow
from octoplex.reflex.guard.tables import Tables
from tests.reflex.guard.found import found
from tests.reflex.guard.test_stream import verdict_of, whole

FAR = "x" * 100
CSV = (
    f"id,note,passport,date_of_birth\n1,{FAR},YA5143610,1990-02-03\n2,{FAR},YB1419081,1971-11-30\n"
)
SEMI = f'id;"note; long";cnp\n1;"{FAR}; and";2990325212385\n2;"a ""b""; c";2420803433447\n'
TABS = f"id\tnote\tcpr_nummer\n1\t{FAR}\t110490-1456\n2\t{FAR}\t100697-3333\n"
MARKDOWN = f"| Note | **Passport** |\n|---|:--:|\n| {FAR} | YB8109752 |\n| {FAR} | YB1419081 |\n"
SQL = (
    "INSERT INTO staff (note, passport_number)\nVALUES "
    f"('{FAR}, it''s', 'N17126653'),\n  ('{FAR}', 'N17126654');"
)
TABLES = [
    (CSV, ["YA5143610", "1990-02-03", "YB1419081", "1971-11-30"]),
    (SEMI, ["2990325212385", "2420803433447"]),
    (TABS, ["110490-1456", "100697-3333"]),
    (MARKDOWN, ["YB8109752", "YB1419081"]),
    (SQL, ["N17126653", "N17126654"]),
]


@pytest.mark.parametrize(("text", "values"), TABLES)
def test_a_cell_is_read_under_its_heading(text: str, values: list[str]) -> None:
    assert [value for _, value in found(f"Here:\n\n{text}", "pii")] == values


@pytest.mark.parametrize(
    "text",
    [
        f"id,note,passport\n1,{FAR},x\n\n2,{FAR},YB1419081",  # it has ended
        f"id,note,passport\n1,{FAR},x\n2,3\n3,{FAR},YB1419081",
        f"id,passport,note\n1,{FAR},YB1419081",  # of another column
        f"id,note,passport\n1,{'x' * 2000},YB1419081",
        f"INSERT INTO t (note, passport) VALUES ('{FAR}', 'x'); SELECT ('{FAR}', 'YB1419081')",
    ],
)
def test_and_only_there(text: str) -> None:
    assert found(text, "pii") == []


def test_what_a_column_is_called() -> None:
    tables = Tables(b'a,"b, c",d\n1,"x, y",3\n')
    assert tables.heading(0) == b""
    tables = Tables(b'a,b,d\n1,"x, y",3\n')
    assert [tables.heading(at) for at in (6, 9, 13, 15)] == [b"a", b"b", b"b", b"d"]


ROWS = st.lists(
    st.sampled_from(["3", FAR, "YB1419081", '"q, z"', "x y", "", "1990-02-03"]), max_size=12
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([text for text, _ in TABLES]), ROWS, st.lists(st.integers(0, 2000), max_size=12)
)
def test_a_table_in_pieces_is_the_table_whole(
    table: str, cells: list[str], cuts: list[int]
) -> None:
    text = f"See the list:\n{table}{','.join(cells)}\nand on\n{table}"
    edges = sorted({0, len(text), *(cut % len(text) for cut in cuts)})
    flow = Flow(verdict_of())
    told = "".join([flow.feed(text[a:b]) for a, b in pairwise(edges)])
    assert told + flow.end() == whole(text)


@pytest.mark.parametrize(("text", "values"), TABLES)
def test_no_cell_leaves_a_character_at_a_time(text: str, values: list[str]) -> None:
    flow = Flow(verdict_of())
    told = "".join([flow.feed(char) for char in text]) + flow.end()
    assert told == whole(text)
    assert not any(value in told for value in values)


@pytest.mark.parametrize("piece", ["a,b\n", "passport,1\n", "INSERT INTO a (b,c) VALUES (1,2)\n"])
def test_a_table_of_any_length_is_looked_through_once(piece: str) -> None:
    alone = Detector([pattern for pattern in patterns() if pattern.type == "passport"])
    assert alone.find("id,passport\n" + piece * 20_000 + "1,YB1419081") is not None


def test_many_names_in_one_long_line_take_linear_time() -> None:
    """A line is looked at once, however often it says what a column may be called."""
    text = "license, " * 60_000 + "AB12345"
    assert found(text, "pii") == []


def test_a_heading_may_end_with_its_word() -> None:
    """`license` alone is no word for a number, but as the whole name of a column it is."""
    for head in ("id,license", "id,license,note", '"id","license"', "| id | license |"):
        mark = "|" if "|" in head else ","
        row = mark.join(["", "7", "D123-4567-8901", "x"] if mark == "|" else ["7", "Z99887766"])
        assert [type_ for type_, _ in found(f"{head}\n{row}\n", "pii")] == ["driver_license"], head
