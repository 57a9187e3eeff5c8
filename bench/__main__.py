"""The command: choose subjects, workloads and modes, run, print, and say what failed.

``python -m bench`` is the full run; ``python -m bench --quick`` compares Octoplex with Go in less
than three minutes, for work on the hot path. The exit status is 1 when a subject failed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench import measure, report
from bench.measure import Bench, Cell
from bench.process import cores, priority
from bench.soak import soak
from bench.subjects import VARIANTS, Octoplex, Subject, all_subjects
from bench.tools import ROOT, WORK, BenchError
from bench.workloads import MODES, PLAIN, SATURATED, WORKLOADS


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="direct, go, octoplex; few cells")
    parser.add_argument("--only", help="subjects, e.g. go,octoplex")
    parser.add_argument("--against", type=Path, metavar="SRC", help="another tree's src, as `old`")
    parser.add_argument("--workload", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--mode", help=f"of {', '.join(MODES)}")
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--rounds", type=int, help="interleaved rounds")
    parser.add_argument("--pace-ms", type=int, default=10, help="interval of paced events")
    parser.add_argument("--soak", type=int, default=0, metavar="N", help="only N small chats, RSS")
    parser.add_argument("--nice", type=int, default=0, help="e.g. -10 on a busy machine (as root)")
    parser.add_argument("--keep", action="store_true", help="keep the run's folder (logs, data)")
    return parser.parse_args()


def chosen(text: str | None, among: list[str], default: list[str], what: str) -> list[str]:
    """Return the names asked for, or the default; refuse unknown ones."""
    names = text.split(",") if text else default
    unknown = [name for name in names if name not in among]
    if unknown:
        raise BenchError(f"no {what} named {unknown[0]}; there are {', '.join(among)}")
    return names


def cells(options: argparse.Namespace) -> list[Cell]:
    """Return the pairs of workload and mode to measure."""
    plain = [workload.name for workload in PLAIN]
    both = [*plain, *(f"{name}-tls" for name in plain)]
    names = chosen(options.workload, list(WORKLOADS), plain if options.quick else both, "workload")
    modes = chosen(options.mode, list(MODES), ["sat", "one", "500"], "mode")
    picked: list[Cell] = []
    for name in names:
        for mode in modes:
            extra = mode == "one" or (options.quick and mode == "500")
            if options.mode or not extra or name == "small":
                picked.append((WORKLOADS[name], MODES[mode]))
    return picked


def capacity(bench: Bench, subject: Subject) -> str:
    """Return what the mock can do when the load generator has the other core."""
    workload = WORKLOADS["small"]
    seen = measure.load(bench, subject, workload, SATURATED, 1.5, core=cores()[0])
    return f"The mock alone answers {seen['rps']:,.0f} small chats per second on its core."


def run_cells(bench: Bench, subjects: list[Subject], options: argparse.Namespace) -> str:
    """Warm up, measure all cells in rounds, save the samples; return the report."""
    todo = cells(options)
    seconds = options.seconds or (1.5 if options.quick else 3.0)
    rounds = options.rounds or 3
    able = capacity(bench, all_subjects()["direct"])
    measure.warm(bench, subjects, todo, min(seconds, 1.5))
    samples = measure.measure(bench, subjects, todo, seconds, rounds)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    measure.dump(samples, bench, ROOT / "bench" / "results" / f"{stamp}.json")
    for sample in samples:
        if sample.errors and sample.ok == 0:
            where = f"{sample.subject} {sample.workload}"
            bench.failures.setdefault(where, sample.error_sample)
    return report.render(report.Results(samples), subjects, todo, bench, able)


def execute(options: argparse.Namespace, folder: Path) -> int:
    """Run what was asked for in a folder; return the exit status."""
    everyone = all_subjects()
    variants = {subject.name for subject in VARIANTS}
    usual = [name for name in everyone if name not in variants]
    if options.quick or options.soak:
        usual = ["direct", "go", "octoplex"]
    if options.against:
        everyone["old"] = Octoplex("old", source=options.against)
        usual.append("old")
    names = chosen(options.only, list(everyone), usual, "subject")
    subjects = [everyone[name] for name in names]
    bench = measure.prepare(folder, options.pace_ms)
    try:
        bench.ports["direct"] = bench.site.plain
        for subject in subjects:
            measure.start(bench, subject, folder)
        running = [subject for subject in subjects if subject.name not in bench.failures]
        if options.soak:
            for subject in running:
                if subject.name in bench.programs:
                    print(soak(bench, subject, options.soak), flush=True)
        else:
            print(run_cells(bench, running, options), flush=True)
    finally:
        bench.stop()
    for where, why in bench.failures.items():
        print(f"FAILED {where}: {why}", file=sys.stderr)
    return 1 if bench.failures else 0


def main() -> int:
    """Run the benchmark; return its exit status."""
    options = arguments()
    WORK.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=WORK))
    try:
        with priority(options.nice):
            return execute(options, folder)
    except PermissionError as error:
        print(f"bench: {error} (a negative --nice needs root)", file=sys.stderr)
        return 1
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if options.keep:
            print(f"kept {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
