"""One measurement: a subject, a workload and a mode, for a few seconds; and the loop over all.

Rounds are interleaved (every cell of every subject, then again), because a shared machine drifts
by more within ten minutes than the differences that matter. CPU is read before the load and after
the subject has come to rest, so work that a gateway defers is counted.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import tools
from bench.process import Program, clean_environment, core_busy_ns, cores, free_port, post
from bench.progress import Progress
from bench.subjects import Site, Subject
from bench.workloads import SATURATED, WORKLOADS, Mode, Workload


@dataclass
class Sample:
    """What one run of a few seconds showed."""

    subject: str
    workload: str
    mode: str
    round: int
    ok: int
    errors: int
    unfinished: int
    rps: float
    p50_ms: float
    p99_ms: float
    first_p50_ms: float
    first_p99_ms: float
    cpu_us: float  # per request, whole process tree
    busy: float  # share of its core that the subject used during the load
    foreign: float  # share of a core (the worse of the two) that other programs used meanwhile
    error_sample: str = ""


REPORTED = [
    *("ok", "errors", "unfinished", "error_sample", "rps"),
    *("p50_ms", "p99_ms", "first_p50_ms", "first_p99_ms"),
]


@dataclass
class Bench:
    """A running set: the mocks, the started subjects, and what failed so far (by name)."""

    site: Site
    mocks: list[Program]
    programs: dict[str, Program] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)  # cells whose rate is out of reach
    progress: Progress = field(default_factory=Progress)
    repeats: int = 0
    idle_mb: dict[str, float] = field(default_factory=dict)
    loaded_mb: dict[str, float] = field(default_factory=dict)

    def stop(self) -> None:
        """End everything that was started."""
        for program in [*self.programs.values(), *self.mocks]:
            program.stop()


def prepare(folder: Path, pace_ms: int = 10) -> Bench:
    """Build the tools and start both mocks; return a bench without subjects."""
    tools.ensure_tool()
    authority = tools.ensure_certificates()
    folder.mkdir(parents=True, exist_ok=True)
    site = Site(folder, free_port(), free_port(), authority)
    core = cores()[1]
    shared = ["-pace", f"{pace_ms}ms", "-port"]
    pair = ["-cert", str(tools.TLS / "cert.pem"), "-key", str(tools.TLS / "key.pem")]
    env = clean_environment(folder, {"GOMAXPROCS": "1"})
    plain = [str(tools.TOOL), "mock", *shared, str(site.plain)]
    secure = [str(tools.TOOL), "mocktls", *shared, str(site.secure), *pair]
    # The plain mock is one thread that sits in system calls: the runtime's preemption signals
    # would only interrupt it.
    mocks = [
        Program(plain, core, {**env, "GODEBUG": "asyncpreemptoff=1"}, folder / "mock.log"),
        Program(secure, core, env, folder / "mocktls.log"),
    ]
    bench = Bench(site, mocks)
    for mock in mocks:
        mock.start()
        log = mock.log
        mock.wait(lambda log=log: "ready" in log.read_text(), 5)  # type: ignore[misc]
    return bench


def start(bench: Bench, subject: Subject, folder: Path) -> None:
    """Install, start and try a subject; a failure is noted under its name and does not stop us."""
    bench.progress.say(f"starting {subject.name} (its first start installs it)")
    try:
        port = free_port()
        argv, env = subject.command(bench.site, port)
        if not argv:
            bench.ports[subject.name] = bench.site.plain
            return
        program = Program(argv, cores()[0], env, folder / f"{subject.name}.log")
        program.start()
        bench.programs[subject.name] = program
        bench.ports[subject.name] = port
        asked = subject.ask(WORKLOADS["small"], bench.site)
        assert asked is not None
        program.wait(lambda: post(port, asked.path, asked.headers, asked.body)[0] == 200, 90)
        program.settle()
        time.sleep(1)
        bench.idle_mb[subject.name] = program.rss_mb()
    except (tools.BenchError, OSError) as error:
        bench.failures[subject.name] = str(error)
        if subject.name in bench.programs:
            bench.programs.pop(subject.name).stop()


def load(
    bench: Bench,
    subject: Subject,
    workload: Workload,
    mode: Mode,
    seconds: float,
    *,
    limit: int = 5_000_000,
    core: int | None = None,
) -> dict[str, Any]:
    """Run the load generator once; return its report (raise BenchError when it cannot run)."""
    asked = subject.ask(workload, bench.site)
    assert asked is not None
    payload = bench.site.folder / "body.json"
    payload.write_bytes(asked.body)
    argv = [str(tools.TOOL), "load", "-addr", f"127.0.0.1:{bench.ports[subject.name]}"]
    argv += ["-path", asked.path, "-body", str(payload), "-expect", workload.expect]
    argv += ["-conns", str(mode.conns), "-rate", str(mode.rate), "-limit", str(limit)]
    argv += ["-period", f"{seconds:.3f}s"]
    argv += ["-events", "50"] if workload.stream else []
    for name, value in asked.headers.items():
        argv += ["-header", f"{name}: {value}"]
    where = cores()[1] if core is None else core
    done = subprocess.run(
        argv,
        env=clean_environment(
            bench.site.folder, {"GOMAXPROCS": "1", "GODEBUG": "asyncpreemptoff=1"}
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 30,
        preexec_fn=lambda: os.sched_setaffinity(0, {where}),
    )
    if done.returncode != 0:
        raise tools.BenchError(done.stderr.strip()[-300:] or "the load generator failed")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


DISTURBED = 0.2  # repeat a run during which others used more of a core than this
REPEATS = 0.3  # repeats allowed, as a share of the planned runs: a busy machine must not stall us


def sample(
    bench: Bench, subject: Subject, workload: Workload, mode: Mode, seconds: float, number: int
) -> Sample:
    """Measure one cell; repeat it if other programs disturbed it, keep the less disturbed run."""
    best = sample_once(bench, subject, workload, mode, seconds, number)
    if best.foreign > DISTURBED and bench.repeats > 0:
        bench.repeats -= 1
        again = sample_once(bench, subject, workload, mode, seconds, number)
        best = min(best, again, key=lambda seen: seen.foreign)
    return best


def sample_once(
    bench: Bench, subject: Subject, workload: Workload, mode: Mode, seconds: float, number: int
) -> Sample:
    """Measure one cell once."""
    program = bench.programs.get(subject.name, bench.mocks[0])
    used, began = program.cpu_ns(), time.monotonic()
    watch = Watch(program, bench.mocks)
    report = load(bench, subject, workload, mode, seconds)
    foreign = watch.foreign()
    during, elapsed = program.cpu_ns() - used, time.monotonic() - began
    if subject.name in bench.programs:
        program.settle()
    answered = max(1, report["ok"] + report["errors"])
    figures = {name: report[name] for name in REPORTED}
    return Sample(
        subject=subject.name,
        workload=workload.name,
        mode=mode.name,
        round=number,
        cpu_us=(program.cpu_ns() - used) / answered / 1000,
        busy=during / 1e9 / elapsed,
        foreign=foreign,
        **figures,
    )


class Watch:
    """Watches the two cores from its making on, to tell how much other programs used of them."""

    def __init__(self, subject: Program, mocks: list[Program]) -> None:
        self.subject, self.mocks = subject, mocks
        self.began = time.monotonic()
        self.before = self.read()

    def read(self) -> list[int]:
        """Return, for each core, the busy time that is not this measurement's own (ns)."""
        near, far = cores()
        mine = 0 if self.subject in self.mocks else self.subject.cpu_ns()
        mocks = sum(program.cpu_ns() for program in self.mocks)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        loads = int((usage.ru_utime + usage.ru_stime) * 1e9)
        return [core_busy_ns(near) - mine, core_busy_ns(far) - mocks - loads]

    def foreign(self) -> float:
        """Return the larger of the two shares used by others (0 to 1)."""
        elapsed = (time.monotonic() - self.began) * 1e9
        pairs = zip(self.read(), self.before, strict=True)
        return max(0.0, *((now - then) / elapsed for now, then in pairs))


Cell = tuple[Workload, Mode]


def warm(bench: Bench, subjects: Iterable[Subject], cells: list[Cell], seconds: float) -> None:
    """Load every subject with every workload once, unmeasured; note who answers wrongly."""
    for subject in subjects:
        for workload in dict.fromkeys(workload for workload, _ in cells):
            if subject.ask(workload, bench.site) is None or not usable(bench, subject, workload):
                continue
            bench.progress.say(f"warming up {subject.name} {workload.name}")
            mode = next(mode for other, mode in cells if other == workload)
            if mode.rate:
                mode = Mode("warm", 8)
            note(bench, subject, workload, seconds, mode)


def note(bench: Bench, subject: Subject, workload: Workload, seconds: float, mode: Mode) -> None:
    """Run one warm-up and record the subject's failure, if it fails."""
    where = f"{subject.name} {workload.name}"
    try:
        report = load(bench, subject, workload, mode, seconds)
        if report["ok"] == 0:
            bench.failures[where] = report["error_sample"] or "no answer"
    except tools.BenchError as error:
        bench.failures[where] = str(error)
    if subject.name in bench.programs:
        bench.programs[subject.name].settle()


def usable(bench: Bench, subject: Subject, workload: Workload) -> bool:
    """Tell whether neither the subject nor this workload on it has failed."""
    failed = {subject.name, f"{subject.name} {workload.name}"}
    return not failed & bench.failures.keys()


def measure(
    bench: Bench, subjects: list[Subject], cells: list[Cell], seconds: float, rounds: int
) -> list[Sample]:
    """Run all cells of all subjects in interleaved rounds; return every sample.

    Interrupted, it returns what it has, so that a long run is never lost.
    """
    samples: list[Sample] = []
    steps = [
        (number, cell, subject)
        for number in range(rounds)
        for cell in cells
        for subject in (subjects if number % 2 == 0 else subjects[::-1])
    ]
    bench.repeats = int(REPEATS * len(steps))
    try:
        for at, (number, cell, subject) in enumerate(steps):
            now, *later = [f"{s.name} {c[0].name} {c[1].name}" for _, c, s in steps[at : at + 2]]
            then = f", then {later[0]}" if later else ", the last"
            where = f"{at + 1} of {len(steps)}, round {number + 1}"
            bench.progress.say(f"{where}: {now}{then}")
            measure_cell(bench, subject, cell, seconds, number, samples)
    except KeyboardInterrupt:
        print("interrupted: reporting what was measured", file=sys.stderr)
    for name, program in bench.programs.items():
        bench.loaded_mb[name] = program.rss_mb()
    return samples


def measure_cell(
    bench: Bench, subject: Subject, cell: Cell, seconds: float, number: int, samples: list[Sample]
) -> None:
    """Add one sample, unless the subject does not offer, failed or cannot hold what is asked."""
    workload, mode = cell
    where = f"{subject.name} {workload.name}"
    if not subject.ask(workload, bench.site) or not usable(bench, subject, workload):
        return
    mine = [s for s in samples if s.subject == subject.name and s.workload == workload.name]
    able = [s.rps for s in mine if s.mode == SATURATED.name]
    if mode.rate and able and max(able) < mode.rate:
        bench.slow[where] = max(able)
        return
    bench.slow.pop(where, None)
    try:
        samples.append(sample(bench, subject, workload, mode, seconds, number))
    except tools.BenchError as error:
        bench.failures[where] = str(error)


def dump(samples: list[Sample], bench: Bench, path: Path) -> None:
    """Write every sample to a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    memory = {"idle_mb": bench.idle_mb, "loaded_mb": bench.loaded_mb}
    content = {"samples": [asdict(s) for s in samples], **memory, "failures": bench.failures}
    path.write_text(json.dumps(content, indent=1))
