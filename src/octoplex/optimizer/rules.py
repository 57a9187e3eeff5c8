"""Rules over what was lately measured: when this, then that, until it is over.

    rule = rule_of(table, "[models.support] rules")   "calls > 50 and p95_latency_s > 4 over 5 min"
    rules = Rules((rule,))
    rules.see(now_s, Outcome(latency_s=0.8, nano=120_000), "acme")
    rules.score(now_s, 0.9, "acme")
    rules.check(now_s) -> [Firing]            once a second or so; what holds is in `rules.active`

A rule fires when all of its conditions hold, and stays until they have not, together, for `clear`:
so it does not flap. A condition over fewer than `least` measurements does not hold. Each firing and
clearing carries the figures that caused it. `now_s` is the caller's clock, monotonic; what comes
late counts as of now.

`quality` is what callers say, and holds for a condition only where it does with any one tenant left
out (`opinions.py`): nobody has a rule fire by what it says.

A window is `CELLS` cells of time, each some sums and a histogram: 70 KB and the same time for each
measurement, however long it is and however much is in it. Measured: 0.5 us with one length of
window, 0.2 us more for each further one; 15 us per quantile at a check. It reaches back between
19/20 of its length and all of it. Quantiles are within `ERROR` of the exact ones between 1 ms and
an hour (bins that grow evenly in the logarithm: Masson, Rim & Lee, DDSketch, VLDB 2019).
"""

import operator
import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate
from math import ceil, exp, inf, log
from typing import NamedTuple

from octoplex.optimizer.config import METRICS, RuleTable, Then, check_word
from octoplex.optimizer.opinions import agreed
from octoplex.wire.error import BadConfig

CELLS = 20
ERROR = 0.02
_GROWTH = log((1 + ERROR) / (1 - ERROR))
LEAST_S, MOST_S = 0.001, 3_600.0
BINS = ceil(log(MOST_S / LEAST_S) / _GROWTH) + 1
UNITS_S = {"s": 1, "sec": 1, "min": 60, "h": 3_600, "hour": 3_600}
LONGEST_S = 7 * 24 * 3_600
EXAMPLE = '"p95_latency_s > 4 over 5 min"'
COMPARED = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_CONDITION = re.compile(
    r"(?P<metric>\S+?)\s*(?P<sign>[<>=!~]+)\s*(?P<value>\S+)(?:\s+over\s+(?P<over>.+))?"
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", re.ASCII)
_NUMBER = re.compile(r"(\$?)(\d+(?:\.\d+)?|\.\d+)(%?)", re.ASCII)


class Condition(NamedTuple):
    """A metric, compared with a number over a window."""

    metric: str
    sign: str
    value: float
    over_s: float

    def __str__(self) -> str:
        return f"{self.metric} {self.sign} {self.value:g} over {self.over_s:g} s"


class Rule(NamedTuple):
    """A rule of the file, read."""

    text: str
    conditions: tuple[Condition, ...]
    then: Then
    clear_s: float
    least: int


class Outcome(NamedTuple):
    """One call: how long it took, what it cost. The time of a failed one does not count."""

    latency_s: float
    nano: int
    failed: bool = False


class Figure(NamedTuple):
    """What a condition found, over so many measurements; None where those were too few."""

    condition: Condition
    value: float | None
    measured: int


class Firing(NamedTuple):
    """A rule began to hold, or was over, and why."""

    rule: Rule
    at_s: float
    fired: bool
    figures: tuple[Figure, ...]


def rule_of(table: RuleTable, where: str) -> Rule:
    """Read a rule.

    Raises:
        BadConfig: says what was wrong, with which value, and what is allowed.
    """
    read: list[Condition] = []
    over_s = 0.0
    for piece in reversed(_AND.split(table.when.strip())):  # the last window holds for those before
        condition = _condition(piece, over_s, f"{where} when")
        over_s = condition.over_s
        read.insert(0, condition)
    clear_s = _span_s(table.clear, f"{where} clear")
    return Rule(table.when.strip(), tuple(read), table.then, clear_s, table.least)


def _condition(piece: str, over_s: float, where: str) -> Condition:
    match = _CONDITION.fullmatch(piece.strip())
    if match is None:
        raise BadConfig(
            f'{where}: "{piece}" cannot be read; write METRIC > NUMBER over TIME, as {EXAMPLE}.'
        )
    check_word(match["metric"], METRICS, where)
    if match["sign"] not in COMPARED:
        raise BadConfig(f'{where}: "{match["sign"]}" compares nothing; write >, >=, < or <=.')
    if match["over"]:
        over_s = _span_s(match["over"], where)
    if not over_s:
        raise BadConfig(f'{where}: "{piece}" says no window; end it with "over 5 min".')
    value = _value(match["value"], match["metric"], where)
    return Condition(match["metric"], match["sign"], value, over_s)


def _value(text: str, metric: str, where: str) -> float:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BadConfig(f'{where}: "{text}" is no number.')
    number = float(match[2])
    if match[1] and metric != "cost_per_call":
        raise BadConfig(f'{where}: "{text}": {metric} is not in dollars; write {match[2]}.')
    if metric in ("error_rate", "quality"):
        number = float(Decimal(match[2]) / 100) if match[3] else number
        if number > 1:
            raise BadConfig(f'{where}: "{text}": {metric} is from 0 to 1, or to 100%.')
    elif match[3]:
        raise BadConfig(f'{where}: "{text}": {metric} is no share; write a plain number.')
    return number


def _span_s(text: str, where: str) -> float:
    match = _SPAN.fullmatch(text.strip())
    if match is None or match[2] not in UNITS_S:
        raise BadConfig(f'{where}: "{text}" is no time; write it as "30 s", "5 min" or "2 h".')
    seconds = float(match[1]) * UNITS_S[match[2]]
    if not 1 <= seconds <= LONGEST_S:
        raise BadConfig(f'{where}: "{text}" must be from 1 s to {LONGEST_S // 3_600} h.')
    return seconds


CALLS, FAILED, NANO, SHIFTS, SHIFT = range(5)
"""Sums of a cell; shifts, and what callers say, in millionths, so that sums are exact."""
MILLION = 1_000_000


class _Cell:
    __slots__ = ("bins", "said", "sums")

    def __init__(self) -> None:
        self.sums, self.bins = [0] * 5, [0] * BINS
        self.said: dict[str, list[int]] = {}
        """By tenant, how many scores and their sum."""

    def add(self, other: "_Cell", sign: int) -> None:
        self.sums = [a + sign * b for a, b in zip(self.sums, other.sums, strict=True)]
        self.bins = [a + sign * b for a, b in zip(self.bins, other.bins, strict=True)]


class Window:
    """What was measured in the last `over_s`; `CELLS` cells, however much that is."""

    __slots__ = ("_cells", "_closed", "_ends_s", "_width_s", "now")

    def __init__(self, over_s: float) -> None:
        self._width_s, self._ends_s = over_s / CELLS, 0.0
        self._cells = [_Cell() for _ in range(CELLS)]
        self._closed = _Cell()
        """The sum of all but `now`."""
        self.now = self._cells[-1]

    def turn(self, now_s: float) -> _Cell:
        """The cell of this moment; older ones than the window are forgotten."""
        if now_s >= self._ends_s:
            due = int((now_s - self._ends_s) // self._width_s) + 1
            for _ in range(min(due, CELLS)):
                self._closed.add(self.now, 1)
                self._closed.add(self._cells.pop(0), -1)
                self.now = _Cell()
                self._cells.append(self.now)
            self._ends_s += due * self._width_s
        return self.now

    def figure(self, condition: Condition, now_s: float) -> tuple[float, int]:
        """A metric's value, and over how many measurements."""
        self.turn(now_s)
        sums = [a + b for a, b in zip(self._closed.sums, self.now.sums, strict=True)]
        metric, calls = condition.metric, sums[CALLS]
        if metric == "calls":
            return float(calls), calls
        if metric == "error_rate":
            return sums[FAILED] / max(1, calls), calls
        if metric == "cost_per_call":
            return sums[NANO] / 1e9 / max(1, calls), calls
        if metric == "quality":
            return self._quality(most=condition.sign[0] == "<")
        if metric == "drift":
            return sums[SHIFT] / MILLION / max(1, sums[SHIFTS]), sums[SHIFTS]
        done = calls - sums[FAILED]
        return self._quantile(int(metric[1:3]) / 100, done), done

    def _quality(self, *, most: bool) -> tuple[float, int]:
        """What callers agree on, and how many scores that is; 0 where they say too little."""
        told: dict[str, list[int]] = {}
        for cell in self._cells:
            for who, (count, total) in cell.said.items():
                sums = told.setdefault(who, [0, 0])
                sums[0] += count
                sums[1] += total
        scores = [(who, count, total / MILLION) for who, (count, total) in told.items() if count]
        found = agreed(scores, len(told), most=most)
        return (0.0, 0) if found is None else (found, sum(count for _, count, _ in scores))

    def _quantile(self, share: float, count: int) -> float:
        """The smallest latency that so many stay below."""
        rank = max(1, ceil(share * count))
        bins = zip(self._closed.bins, self.now.bins, strict=True)
        for number, reached in enumerate(accumulate(a + b for a, b in bins)):
            if reached >= rank:
                return LEAST_S * exp(number * _GROWTH) * (1 - ERROR)
        return 0.0


class Rules:
    """The rules of one route, and which of them hold."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        spans = {c.over_s for rule in rules for c in rule.conditions}
        self._windows = {over_s: Window(over_s) for over_s in sorted(spans)}
        self._all = tuple(self._windows.values())
        self._listens = any(c.metric == "quality" for rule in rules for c in rule.conditions)
        self._false_at: dict[int, float] = {}
        """By the number of an active rule, since when it has not been true; `inf` while it is."""

    @property
    def active(self) -> tuple[Rule, ...]:
        """Those that hold, in the order of the file: of two that differ the first one counts."""
        return tuple(self._rules[number] for number in sorted(self._false_at))

    def see(self, now_s: float, outcome: Outcome, who: str = "") -> None:
        """A call of this tenant came to its end."""
        latency_s, nano, failed = outcome
        at = -1
        if not failed:
            at = ceil(log(latency_s / LEAST_S) / _GROWTH) if latency_s > LEAST_S else 0
            if at >= BINS:
                at = BINS - 1
        for window in self._all:
            cell = window.turn(now_s)
            sums = cell.sums
            sums[0] += 1
            sums[2] += nano
            if failed:
                sums[1] += 1
            else:
                cell.bins[at] += 1
            if self._listens and who not in cell.said:
                cell.said[who] = [0, 0]

    def score(self, now_s: float, quality: float, who: str = "") -> None:
        """This tenant says what an answer was worth.

        Raises:
            ValueError: it is not from 0 to 1.
        """
        if not 0 <= quality <= 1:
            raise ValueError(f"a quality of {quality} is not from 0 to 1")
        for window in self._all:
            sums = window.turn(now_s).said.setdefault(who, [0, 0])
            sums[0] += 1
            sums[1] += round(quality * MILLION)

    def shift(self, now_s: float, index: float) -> None:
        """How far inputs have drifted, as `drift.py` measures it."""
        for window in self._all:
            sums = window.turn(now_s).sums
            sums[SHIFTS] += 1
            sums[SHIFT] += round(index * MILLION)

    def check(self, now_s: float) -> list[Firing]:
        """What began to hold or is over by now."""
        changed = []
        for number, rule in enumerate(self._rules):
            figures = tuple(self._figure(rule, condition, now_s) for condition in rule.conditions)
            holds = all(
                f.value is not None and COMPARED[f.condition.sign](f.value, f.condition.value)
                for f in figures
            )
            held = number in self._false_at
            if holds:
                self._false_at[number] = inf
            elif held:
                since_s = self._false_at[number] = min(self._false_at[number], now_s)
                if now_s - since_s >= rule.clear_s:
                    del self._false_at[number]
            if held is not (number in self._false_at):
                changed.append(Firing(rule, now_s, holds, figures))
        return changed

    def _figure(self, rule: Rule, condition: Condition, now_s: float) -> Figure:
        value, count = self._windows[condition.over_s].figure(condition, now_s)
        least = {"calls": 0, "drift": 1}.get(condition.metric, rule.least)
        return Figure(condition, value if count >= least else None, count)
