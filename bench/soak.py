"""Memory over many requests: does the resident size still grow once everything is warm?"""

from __future__ import annotations

from bench.measure import Bench, load
from bench.subjects import Subject
from bench.tools import BenchError
from bench.workloads import SATURATED, WORKLOADS

STEP = 20_000
SLOWEST = 40  # requests per second below which a step is given up


def soak(bench: Bench, subject: Subject, requests: int) -> str:
    """Send small chats in steps of 20,000; return the growth after the first step as a sentence."""
    program = bench.programs[subject.name]
    sizes = []
    for _ in range(max(2, requests // STEP)):
        report = load(bench, subject, WORKLOADS["small"], SATURATED, STEP / SLOWEST, limit=STEP)
        if report["errors"] or report["ok"] < STEP:
            why = report["error_sample"] or f"only {report['ok']} of {STEP} answered"
            raise BenchError(f"soak: {why}")
        program.settle()
        sizes.append(program.rss_mb())
    growth = (sizes[-1] - sizes[0]) / (len(sizes) - 1) * (100_000 / STEP)
    steps = " ".join(f"{size:.1f}" for size in sizes)
    return (
        f"{subject.name}: RSS grew {growth:.2f} MB per 100,000 requests after the first "
        f"{STEP:,} (MB after each {STEP:,}: {steps})"
    )
