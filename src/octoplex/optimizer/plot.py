"""A plot as SVG text: lines with bands over time, legible on light and dark ground.

    plot(Plot("Saving", "judged pairs", "share"), [Series("saved", x, y, lower, upper)])

Plain text of a few kilobytes that any browser shows; colours follow the reader's scheme.
Numbers that are none (NaN, infinity) leave a gap. No more than `POINTS` of a series are drawn.
"""

import html
from collections.abc import Sequence
from math import floor, log10
from typing import NamedTuple

import msgspec

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#7a6ff0")
"""Told apart by the colour-blind too; after Okabe & Ito."""
POINTS = 800
FAR = 1e90
"""What is further off is not drawn."""
WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 44, 52
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1b1f24}.title{font-size:16px;font-weight:600}"
    ".axis{stroke:#57606a}.grid{stroke:#d0d7de}.ground{fill:#fff}.edge{stroke:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.axis{stroke:#8b949e}"
    ".grid{stroke:#30363d}.ground{fill:#0d1117}.edge{stroke:#0d1117}}"
)


class Series(NamedTuple):
    """A line, and where bounds are known a band around it."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    lower: Sequence[float] = ()
    upper: Sequence[float] = ()
    """Both as long as `x`, or empty."""


class Line(NamedTuple):
    """A level to compare with: what was promised, or nothing gained."""

    name: str
    y: float


class Plot(msgspec.Struct, frozen=True):
    """What stands around the lines."""

    title: str
    x: str
    y: str
    percent: bool = False
    """Write y as per cent of 1."""


class _Frame(NamedTuple):
    """The ranges that are drawn."""

    x0: float
    x1: float
    y0: float
    y1: float

    def at(self, x: float, y: float) -> str:
        """A place in the picture; what lies outside is set on the edge."""
        across = (min(self.x1, max(self.x0, x)) - self.x0) / (self.x1 - self.x0)
        up = (min(self.y1, max(self.y0, y)) - self.y0) / (self.y1 - self.y0)
        there = LEFT + across * (WIDTH - LEFT - RIGHT)
        return f"{there:.1f},{HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM):.1f}"


def plot(around: Plot, series: Sequence[Series], lines: Sequence[Line] = ()) -> str:
    """The whole picture; an empty one where there is nothing to draw.

    Raises:
        ValueError: a series whose columns are not of one length.
    """
    for one in series:
        if any(column and len(column) != len(one.x) for column in map(list, one[2:])):
            raise ValueError(f"{one.name}: columns are not of one length")
    thin = [_thinned(one) for one in series]
    frame = _frame(thin, lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{_words(around.title)}"><style>{STYLE}</style>',
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="24">{_words(around.title)}</text>',
        *_axes(around, frame),
    ]
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(thin))]
    for one, colour in zip(thin, colours, strict=True):
        parts += _band(one, frame, colour)
    for line in lines:
        parts += _level(line, frame)
    for one, colour in zip(thin, colours, strict=True):
        parts += _curve(one, frame, colour)
    parts += _legend([one.name for one in thin], colours)
    return "\n".join([*parts, "</svg>", ""])


def _thinned(one: Series) -> Series:
    step = -(-len(one.x) // POINTS) or 1
    chosen = sorted({*range(0, len(one.x), step), max(0, len(one.x) - 1)})
    columns = ([float(column[at]) for at in chosen] if len(column) else [] for column in one[1:])
    return Series(one.name, *columns)


def _frame(series: Sequence[Series], lines: Sequence[Line]) -> _Frame:
    xs = [x for one in series for x in one.x if _is_plain(x)]
    ys = [y for one in series for column in one[2:] for y in column if _is_plain(y)]
    ys += [line.y for line in lines if _is_plain(line.y)]
    return _Frame(*_range(xs, 0), *_range(ys, 0.06))


def _range(found: Sequence[float], margin: float) -> tuple[float, float]:
    low, high = min(found, default=0.0), max(found, default=1.0)
    size = high - low
    if size <= 1e-9 * max(abs(low), abs(high), 1e-90):
        return low - (abs(low) / 10 or 1), high + (abs(high) / 10 or 1)
    return low - margin * size, high + margin * size


def _is_plain(number: float) -> bool:
    return abs(number) < FAR


def _ticks(low: float, high: float) -> list[float]:
    """Some five round numbers between them."""
    rough = (high - low) / 5
    size = 10.0 ** floor(log10(rough))
    step = next(size * by for by in (1, 2, 5, 10) if size * by >= rough * 0.8)
    first = floor(low / step) + 1 if low % step else round(low / step)
    ticks = []
    while first * step <= high + step * 1e-9:
        ticks.append(first * step)
        first += 1
    return ticks


def _axes(around: Plot, frame: _Frame) -> list[str]:
    parts = []
    for y in _ticks(frame.y0, frame.y1):
        height = frame.at(frame.x0, y).split(",")[1]
        said = f"{100 * y:.6g} %" if around.percent else f"{y:.6g}"
        parts.append(f'<path class="grid" d="M{LEFT},{height}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{float(height) + 4}" text-anchor="end">{said}</text>'
        )
    for x in _ticks(frame.x0, frame.x1):
        across = frame.at(x, frame.y0).split(",")[0]
        parts.append(
            f'<text x="{across}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:,.6g}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) // 2
    return [
        *parts,
        f'<path class="axis" fill="none" d="M{LEFT},{TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>',
        f'<text x="{(LEFT + WIDTH - RIGHT) // 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{_words(around.x)}</text>",
        f'<text transform="translate(16,{middle}) rotate(-90)" text-anchor="middle">'
        f"{_words(around.y)}</text>",
    ]


def _band(one: Series, frame: _Frame, colour: str) -> list[str]:
    """Where a bound is infinite the band reaches the edge; where one is NaN there is none."""
    if not one.lower or not one.upper:
        return []
    parts = []
    for run in _runs([*zip(one.x, one.lower, one.upper, strict=True)]):
        there = [frame.at(x, low) for x, low, _ in run]
        back = [frame.at(x, high) for x, _, high in reversed(run)]
        parts.append(
            f'<path fill="{colour}" fill-opacity=".18" d="M{"L".join([*there, *back])}Z"/>'
        )
    return parts


def _curve(one: Series, frame: _Frame, colour: str) -> list[str]:
    points = [(x, y if _is_plain(y) else float("nan")) for x, y in zip(one.x, one.y, strict=True)]
    drawn = ["L".join(frame.at(x, y) for x, y in run) for run in _runs(points)]
    return [
        f'<path fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"'
        f' stroke-linecap="round" d="M{run}{"h0" if "L" not in run else ""}">'
        f"<title>{_words(one.name)}</title></path>"
        for run in drawn
    ]


def _level(line: Line, frame: _Frame) -> list[str]:
    if not _is_plain(line.y):
        return []
    height = float(frame.at(frame.x0, line.y).split(",")[1])
    return [
        f'<path class="axis" stroke-dasharray="6 4" d="M{LEFT},{height}H{WIDTH - RIGHT}"/>',
        f'<text x="{WIDTH - RIGHT - 4}" y="{height - 6}" text-anchor="end">'
        f"{_words(line.name)}</text>",
    ]


def _legend(names: Sequence[str], colours: Sequence[str]) -> list[str]:
    parts, at = [], float(WIDTH - RIGHT)
    for name, colour in zip(reversed(names), reversed(colours), strict=True):
        at -= 7.2 * len(name) + 26
        parts.append(f'<path stroke="{colour}" stroke-width="4" d="M{at:.0f},34h14"/>')
        parts.append(f'<text x="{at + 19:.0f}" y="38">{_words(name)}</text>')
    return parts


def _runs(rows: Sequence[tuple[float, ...]]) -> list[list[tuple[float, ...]]]:
    """Rows without NaN and with a finite x, parted where one is missing."""
    runs: list[list[tuple[float, ...]]] = [[]]
    for row in rows:
        if _is_plain(row[0]) and all(value == value for value in row):
            runs[-1].append(row)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _words(text: str) -> str:
    """Words as XML can hold them."""
    return html.escape("".join(c if c.isprintable() else "?" for c in text))
