"""The printed report: medians over rounds, ratios to Go, what was added, memory, features.

A ratio is the median of the ratios of each round, because a round's two figures were taken within
seconds of each other. `added` is the difference of medians to the direct row of the same load; over
TLS the plain direct row stands in, since the load generator speaks plain HTTP only.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median

from bench.measure import Bench, Cell, Sample
from bench.subjects import FEATURES, Subject
from bench.workloads import MEANING, STEADY, Mode, Workload


class Results:
    """All samples of a run, asked by subject, workload and mode."""

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples

    def of(self, subject: str, workload: str, mode: str) -> list[Sample]:
        """Return the samples of one cell, one per round."""
        wanted = (subject, workload, mode)
        return [s for s in self.samples if (s.subject, s.workload, s.mode) == wanted]

    def middle(
        self, subject: str, workload: str, mode: str, read: Callable[[Sample], float]
    ) -> float | None:
        """Return the median of a figure over the rounds; None without a good answer."""
        values = [read(s) for s in self.of(subject, workload, mode) if s.ok]
        return median(values) if values else None

    def added(
        self, subject: str, workload: str, mode: str, read: Callable[[Sample], float]
    ) -> float | None:
        """Return how much more than direct a subject shows."""
        mine = self.middle(subject, workload, mode, read)
        base = self.middle("direct", workload.removesuffix("-tls"), mode, read)
        return None if mine is None or base is None else mine - base

    def ratios(self, subject: str, workload: str, mode: str) -> list[float]:
        """Return CPU per request relative to Go's in the same round, for each round."""
        yardstick = {s.round: s.cpu_us for s in self.of("go", workload, mode) if s.ok}
        return [
            s.cpu_us / yardstick[s.round]
            for s in self.of(subject, workload, mode)
            if s.ok and s.round in yardstick
        ]

    def ratio(self, subject: str, workload: str, mode: str) -> float | None:
        """Return the median of the ratios to Go."""
        return median(self.ratios(subject, workload, mode) or [0]) or None

    def spread(self, subject: str, workload: str, mode: str) -> str:
        """Return the least and the largest ratio to Go; differences inside it mean nothing."""
        found = self.ratios(subject, workload, mode)
        if len(found) < 2 or subject == "go":
            return "-"
        return f"{number(min(found))}-{number(max(found))}"


def number(value: float | None, digits: int = 2) -> str:
    """Return a figure for a table; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table with columns wide enough to read in a terminal."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(head), rule, *(line(row) for row in rows)])


def machine() -> str:
    """Return one line about where and when this ran."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    kernel, cores = platform.release().split("-")[0], os.cpu_count()
    python = platform.python_version()
    return f"{date.today()}, {model}, {cores} cores, Linux {kernel}, Python {python}"


def cell_table(results: Results, subjects: list[Subject], workload: Workload, mode: Mode) -> str:
    """Return the table of one workload under one mode."""
    head = [
        "subject",
        "CPU us/req",
        "x Go",
        "spread",
        "req/s",
        "p50 ms",
        "p99 ms",
        "added p50",
        "added p99",
    ]
    head += ["first p50", "first p99", "core", "ok", "errors", "unanswered"]
    rows = []
    for subject in subjects:
        key = (subject.name, workload.name, mode.name)
        found = results.of(*key)
        if not found:
            continue
        values = [
            number(results.middle(*key, lambda s: s.cpu_us), 1),
            number(results.ratio(*key)),
            results.spread(*key),
            number(results.middle(*key, lambda s: s.rps), 0),
            number(results.middle(*key, lambda s: s.p50_ms)),
            number(results.middle(*key, lambda s: s.p99_ms)),
            number(results.added(*key, lambda s: s.p50_ms)),
            number(results.added(*key, lambda s: s.p99_ms)),
            number(results.middle(*key, lambda s: s.first_p50_ms)),
            number(results.middle(*key, lambda s: s.first_p99_ms)),
            f"{100 * (results.middle(*key, lambda s: s.busy) or 0):.0f}%",
            f"{sum(s.ok for s in found)}",
            f"{sum(s.errors for s in found)}",
            f"{sum(s.unfinished for s in found)}",
        ]
        rows.append([subject.name, *values])
    meaning = MEANING[workload.name.removesuffix("-tls")]
    over = "TLS upstream" if workload.tls else "plain upstream"
    load = f"{mode.conns} connection{'s'[: mode.conns - 1]}" if not mode.rate else "500 req/s"
    return f"**{workload.name}, {load}** - {meaning}; {over}\n\n{table(head, rows)}"


def memory_table(bench: Bench) -> str:
    """Return resident memory before and after the load."""
    rows = [
        [name, number(idle, 1), number(bench.loaded_mb.get(name), 1)]
        for name, idle in bench.idle_mb.items()
    ]
    return table(["RSS, MB", "idle", "after load"], rows)


def feature_table(subjects: list[Subject]) -> str:
    """Return which features each subject had switched on."""
    rows = [
        [subject.name, *("on" if feature in subject.features else "-" for feature in FEATURES)]
        for subject in subjects
    ]
    return table(["features", *FEATURES], rows)


GOALS = [
    ("small", "saturated", 0.9),
    ("small", "single", 1.1),
    ("stream", "saturated", 1.2),
    ("to-anthropic", "saturated", 1.5),
    ("to-openai", "saturated", 1.5),
]


def goals(results: Results, bench: Bench) -> str:
    """Return the project's own goals beside what this run measured of octoplex."""
    rows = []
    for workload, mode, most in GOALS:
        seen = results.ratio("octoplex", workload, mode)
        if seen is not None:
            verdict = "yes" if seen <= most else "NO"
            name = f"CPU {workload} {mode}, x Go"
            rows.append([name, f"<= {most:.2f}", number(seen), verdict])
    late = results.added("octoplex", "small", STEADY.name, lambda s: s.p99_ms)
    if late is not None:
        rows.append(["added p99 at 500/s, ms", "< 2", number(late), "yes" if late < 2 else "NO"])
    idle = bench.idle_mb.get("octoplex")
    if idle is not None:
        rows.append(["idle RSS, MB", "<= 60", number(idle, 1), "yes" if idle <= 60 else "NO"])
    return table(["octoplex", "goal", "measured", "reached"], rows) if rows else ""


def noise(results: Results) -> str:
    """Return how much other programs disturbed the gateway's core."""
    shares = [s.foreign for s in results.samples if s.subject != "direct"]
    if not shares:
        return ""
    return (
        f"Other programs used {100 * median(shares):.0f} % of a core (median; worst "
        f"run {100 * max(shares):.0f} %). Ratios to Go suffer least from it, tails most."
    )


def render(
    results: Results, subjects: list[Subject], cells: list[Cell], bench: Bench, capacity: str
) -> str:
    """Return the whole report as Markdown."""
    parts = [machine() + ". " + capacity]
    parts += [cell_table(results, subjects, workload, mode) for workload, mode in cells]
    parts += [
        f"{where.replace(' ', ': ')} cannot hold 500 req/s (it saturates at {rate:.0f})."
        for where, rate in bench.slow.items()
    ]
    parts += [memory_table(bench), feature_table(subjects), goals(results, bench), noise(results)]
    return "\n\n".join(part for part in parts if part) + "\n"
