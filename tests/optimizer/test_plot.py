"""A plot is well-formed SVG and shows what it was given, whatever that is."""

from math import inf, nan
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.optimizer.plot import COLOURS, POINTS, Line, Plot, Series, plot

AROUND = Plot("Saving & loss of <support>", "judged pairs", "share", percent=True)


def drawn(*series: Series, lines: tuple[Line, ...] = ()) -> ElementTree.Element:
    return ElementTree.fromstring(plot(AROUND, series, lines))


def texts(root: ElementTree.Element) -> list[str]:
    return [node.text or "" for node in root.iter() if node.tag.endswith("}text")]


def curves(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """The points of each line, in the order of drawing."""
    found = [n.attrib["d"] for n in root.iter() if n.get("stroke-width") == "2"]
    return [
        [
            (float(x), float(y))
            for x, y in (p.split(",") for p in d[1:].removesuffix("h0").split("L"))
        ]
        for d in found
    ]


def test_lines_bands_levels_and_words_are_there() -> None:
    saving = Series("saving", [0, 100, 200], [0.1, 0.3, 0.4], [0, 0.2, 0.35], [0.3, 0.4, 0.45])
    loss = Series("loss", [0, 100, 200], [0.02, 0.03, 0.01])
    root = drawn(saving, loss, lines=(Line("promised", 0.05),))
    words = texts(root)
    for word in ("Saving & loss of <support>", "judged pairs", "share", "promised", "saving"):
        assert word in words
    assert {"0 %", "20 %", "40 %", "0", "100", "200"} <= set(words)
    assert len([n for n in root.iter() if n.get("fill-opacity")]) == 1
    assert len([n for n in root.iter() if n.get("stroke-dasharray")]) == 1
    first, second = curves(root)
    assert [x for x, _ in first] == [x for x, _ in second]
    assert first[0][1] > first[1][1] > first[2][1], "more is higher"
    assert {n.get("stroke") for n in root.iter()} >= set(COLOURS[:2])
    assert "prefers-color-scheme:dark" in plot(AROUND, [saving])


def test_a_gap_is_a_gap_and_an_infinite_bound_reaches_the_edge() -> None:
    root = drawn(Series("x", [0, 1, 2, 3], [1, nan, 2, 3], [0, 0, 0, 0], [2, 2, inf, 4]))
    assert [len(run) for run in curves(root)] == [1, 2]
    assert len([n for n in root.iter() if n.get("fill-opacity")]) == 1


@pytest.mark.parametrize(
    "series",
    [
        (),
        (Series("none", [], []),),
        (Series("one", [5], [7]),),
        (Series("level", [1, 2], [3, 3]),),
        (Series("tiny", [0, 5e-324], [0, 1e-322]),),
        (Series("huge", [0, 1e308], [-1e308, 1e308]),),
        (Series("far from 0", [1e15, 1e15 + 2], [1e9, 1e9 + 1e-7]),),
        (Series("no number", [nan, inf], [nan, 1]),),
    ],
)
def test_little_or_nothing_is_drawn_too(series: tuple[Series, ...]) -> None:
    assert "judged pairs" in texts(drawn(*series))


def test_a_long_series_is_thinned_and_ends_where_it_ended() -> None:
    many = range(100_000)
    (run,) = curves(drawn(Series("x", many, many)))
    assert len(run) <= POINTS + 1
    assert run[-1][0] == max(x for x, _ in run)


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="not of one length"):
        plot(AROUND, [Series("x", [1, 2], [1])])


numbers = st.lists(st.floats(), min_size=1, max_size=8)


@given(st.text(), numbers, st.floats())
@settings(max_examples=100, deadline=None)
def test_anything_makes_a_picture(name: str, ys: list[float], level: float) -> None:
    root = drawn(Series(name, range(len(ys)), ys, ys, ys), lines=(Line(name, level),))
    for run in curves(root):
        for x, y in run:
            assert 0 <= x <= 760
            assert 0 <= y <= 420
