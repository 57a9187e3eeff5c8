"""Fuzz with atheris: `make fuzz ARGS="TARGET... --seconds N --jobs N"`.

    make fuzz                                   a minute for every target
    make fuzz ARGS="sse http-reply"             two of them
    make fuzz ARGS="stream --seconds 600"       all whose name begins so, ten minutes each

Each target runs in a process of its own with 2 GB of memory and ten seconds an input. What it
learns is kept in the folder `--work` for the next run; what breaks it lies there under
`found/`, and one goes through it again with `python -m tests.fuzz.one TARGET FILE`. A crash
does not end a target's time, until there have been ten. A table of figures is printed and
written to `figures.md` as each target ends. The exit status is 1 when anything was found.
"""

import argparse
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from tests.fuzz.targets import Target, targets

WORK = Path(".fuzz")
MAX_INPUT = 4096
INPUT_S, MEMORY_MB, MOST_CRASHES = 10, 2048, 10
HEAD = """\
| target | seconds | executions | per second | corpus | edges | peak MB | found |
|---|---|---|---|---|---|---|---|
"""
_PULSE = re.compile(r"cov: (\d+) ft: \d+ corp: (\d+)/")
_RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_PEAK = re.compile(r"stat::peak_rss_mb:\s*(\d+)")
_LAST = re.compile(r"^#(\d+)\s", re.MULTILINE)


class Figures(Struct):
    """How a target fared."""

    seconds: float = 0.0
    runs: int = 0
    corpus: int = 0
    edges: int = 0
    peak_mb: int = 0
    found: int = 0

    def row(self, name: str) -> str:
        """Its row in the table."""
        rate = self.runs / max(self.seconds, 1)
        return (
            f"| {name} | {self.seconds:.0f} | {self.runs:,} | {rate:,.0f} | {self.corpus:,} "
            f"| {self.edges:,} | {self.peak_mb} | {self.found} |\n"
        )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", nargs="*", help="names, or how they begin; none: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("--work", type=Path, default=WORK, help="corpora, logs and what was found")
    parser.add_argument("--list", action="store_true", help="only name the targets")
    return parser.parse_args()


def prepare(work: Path, name: str, target: Target) -> list[str]:
    """Write seeds and dictionary; the command without its time."""
    for kind in ("corpus", "found", "logs"):
        (work / kind / name).mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.inputs):
        (work / "corpus" / name / f"seed-{number:04}").write_bytes(data[-MAX_INPUT:])
    words = work / "logs" / name / "words.dict"
    words.write_text(
        "".join(f'"{"".join(f"{chr(92)}x{b:02x}" for b in w)}"\n' for w in target.words)
    )
    return [
        *(sys.executable, "-m", "tests.fuzz.one", name, str(work / "corpus" / name)),
        f"-dict={words}",
        f"-artifact_prefix={work / 'found' / name}/",
        f"-max_len={MAX_INPUT}",
        f"-timeout={INPUT_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        "-print_final_stats=1",
    ]


def fuzz(work: Path, name: str, target: Target, seconds: int) -> Figures:
    """Fuzz one target for its time, going on after what it finds."""
    command = prepare(work, name, target)
    figures = Figures()
    begun_at = time.monotonic()
    while (left := seconds - (time.monotonic() - begun_at)) >= 1:
        log = work / "logs" / name / f"{time.time_ns()}.log"
        with log.open("wb") as out:
            ended = subprocess.run(
                [*command, f"-max_total_time={int(left)}"], stdout=out, stderr=out, check=False
            )
        read(log.read_text("utf-8", "replace"), figures)
        figures.found += ended.returncode != 0
        for crash in (work / "found" / name).iterdir():  # where it came from would break it again
            (work / "corpus" / name / crash.name.rpartition("-")[2]).unlink(missing_ok=True)
        if figures.found >= MOST_CRASHES:
            break
    figures.seconds = time.monotonic() - begun_at
    return figures


def read(log: str, figures: Figures) -> None:
    """Add what libFuzzer said; a run that broke says no final count, so its last line counts."""
    runs = _RUNS.findall(log) or _LAST.findall(log)
    figures.runs += int(runs[-1]) if runs else 0
    for edges, corpus in _PULSE.findall(log)[-1:]:
        figures.edges, figures.corpus = int(edges), int(corpus)
    figures.peak_mb = max(figures.peak_mb, *map(int, _PEAK.findall(log)), 0)


def main() -> int:
    """Run what was asked for."""
    asked = arguments()
    every = targets()
    begins = tuple(asked.target) or ("",)
    chosen = [name for name in every if name.startswith(begins)]
    if asked.list or not chosen:
        print("\n".join(every))
        return int(not chosen)
    asked.work.mkdir(parents=True, exist_ok=True)
    table = asked.work / "figures.md"
    table.write_text(HEAD)
    print(HEAD, end="")

    def one(name: str) -> int:
        figures = fuzz(asked.work, name, every[name], asked.seconds)
        with table.open("a") as out:
            out.write(figures.row(name))
        print(figures.row(name), end="", flush=True)
        return figures.found

    with ThreadPoolExecutor(asked.jobs) as pool:
        return int(any(list(pool.map(one, chosen))))


if __name__ == "__main__":
    sys.exit(main())
