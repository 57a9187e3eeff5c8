"""What a route that learns adds to a request: its choice by itself, and the path at 1,000 a second.

    choices(loop, texts)        microseconds of `Learned.order`, by the words of a question
    added(texts, features)      milliseconds, of a gateway with a policy in force

The choice is made as in a gateway: the call is decoded, features are made, prices looked up, one
of the policy's snapshots drawn, the decision kept. Every question is another one. CPU is what
the thread itself used; wall has in it what else runs here, the thread that writes among it.

The path: one gateway on one core, the mock and the load on the other, requests sent at an even
rate whatever the answers do, counted from when they were due. Two routes have the same two targets
at the same mock; one learns, with a policy in force, one request in a hundred compared, its
decisions and pairs written, its learner running on the gateway's core. They are asked by turns.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from bench import measure
from bench.measure import Bench
from bench.subjects import SECRET, UPSTREAM_KEY, Asked, Octoplex, Site
from bench.tools import WORK, BenchError
from bench.workloads import WORKLOADS, Mode, Workload
from octoplex.assembly.arrival import Arrival, Patience, read_call
from octoplex.assembly.dialects import faces
from octoplex.gateway import open_gateway
from octoplex.ledger.learning import Noted, open_learning
from octoplex.optimizer.compiled import Compiled
from octoplex.optimizer.features import Features
from octoplex.optimizer.live import Learned, Study
from octoplex.optimizer.loop import Loop, Plan
from octoplex.optimizer.notes import Note, Noticed, Pair, encode, kind_of
from octoplex.optimizer.school import School
from octoplex.settings import parse
from octoplex.wire.ask import Call

REFERENCE, CHEAP = "mock/gpt-mock", "cheap/gpt-mock"
LESSONS = 6_000
COSTS = (1.0, 0.025)
LENGTHS = (20, 200, 500)
"""Words of a question."""
RATES = (1_000, 500, 250)
"""Requests a second; the first that holds is measured at."""
SECONDS, ROUNDS = 5.0, 5
QUESTIONS, TIMES = 200, 12
FLUSHED = 32 << 20
"""Bytes that are touched between two cold choices: more than caches hold."""
TABLES = """
[providers.cheap]
dialect = "openai-chat"
base_url = "{origin}/v1"
api_key = "env:BENCH_UPSTREAM_KEY"

[prices."cheap/gpt-mock"]
input = 0.02
output = 0.06

[models.plain]
try = ["mock/gpt-mock", "cheap/gpt-mock"]

[models.learned]
try = ["mock/gpt-mock", "cheap/gpt-mock"]
pick = "learned"
reference = "mock/gpt-mock"
promise = {{ quality_loss = 0.2 }}
learn = {{ shadow = 0.01, spend = "20% of savings", judge = ["exact-match"] }}
"""
MOCK = """
[providers.mock]
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
api_key = "env:BENCH_UPSTREAM_KEY"

[prices."mock/gpt-mock"]
input = 0.2
output = 0.6
"""


def lessons(
    loop: Loop, features: Sequence[Features], count: int = LESSONS, every: int = 1
) -> Iterator[Note]:
    """What so many requests leave behind, decided by the policies of a loop that hears of it.

    One in `every` is noted, beside pairs.
    """
    dice, costs = Random(1), np.array(COSTS)
    for number in range(count):
        one = dice.choice(features)
        if number % every == 0:
            loop.notice(one, costs)
            yield Noticed(one, COSTS)
        decision = loop.policy.decide(loop.seen(one), costs, loop.draws())
        if decision.is_judged:
            lost = (one.prompt % 100) < 10 and dice.random() < 0.5
            pair = (1.0, 0.0 if lost else 1.0)
            yield Pair(f"req_{number}", one, decision, *pair, "exact-match", 1_000)
            loop.judged(one, decision, pair)


def question(texts: Sequence[str], words: int, dice: Random, model: str) -> bytes:
    """A body that asks something of so many words."""
    said: list[str] = []
    while len(said) < words:
        said += dice.choice(texts).split()
    turns = [{"role": "user", "content": " ".join(said[:words])}]
    return json.dumps(
        {"model": model, "messages": turns, "metadata": {"expected": "word"}}
    ).encode()


def choices(loop: Loop, texts: Sequence[str]) -> None:
    """Print what the whole choice takes, also with caches that hold nothing of it, and at best."""
    trash = np.zeros(FLUSHED, np.uint8)

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            text = MOCK + TABLES.format(origin="http://127.0.0.1:9")
            env = {"HOME": folder, "BENCH_UPSTREAM_KEY": UPSTREAM_KEY}
            gateway = open_gateway(parse(text), env, Path(folder) / "data")
            course, route = gateway.plan.courses["learned"], gateway.plan.routes["learned"]
            school = gateway.works.school
            assert isinstance(school, School)
            study = Study(course)
            study.compiled = Compiled(loop.policy, loop.encoder, course.variants)
            learned = Learned({"learned": study}, school.shelf)

            def choose(call: Call) -> None:
                learned.order(call, route, gateway.works.health)

            for words in LENGTHS:
                calls = asked(texts, words)
                print(f"  choice, {words:3} words       {timed(choose, calls[:3_000])}")
                cold = timed(choose, calls[3_000:], lambda: trash.fill(1))
                print(f"    its caches cold       {cold}")
                print(f"    each at its best      {at_best(choose, texts, words)}", flush=True)
            assert not study.problem, study.problem
            await gateway.works.close()

    asyncio.run(main())


def asked(texts: Sequence[str], words: int, count: int = 3_300) -> list[Call]:
    """Calls, each with another question."""
    dice, face, patience = Random(words), faces()["openai-chat"], Patience(1e9, 1e9)
    return [
        read_call(Arrival(f"req_{n}", face, 0.0, patience), question(texts, words, dice, "learned"))
        for n in range(count)
    ]


def timed(
    work: Callable[[Any], object], given: Sequence[Any], before: Callable[[], object] = lambda: None
) -> str:
    """Microseconds of CPU, so that what else runs here does not count, and of the clock."""
    found = []
    for one in given:
        before()
        clock, cpu = time.perf_counter(), time.thread_time()
        work(one)
        found.append((time.thread_time() - cpu, time.perf_counter() - clock))
    (cpu_50, clock_50), (cpu_99, clock_99) = np.percentile(np.array(found) * 1e6, (50, 99), axis=0)
    return f"p50 {cpu_50:6.1f}   p99 {cpu_99:6.1f}   by the clock {clock_50:6.1f}   {clock_99:6.1f}"


def at_best(choose: Callable[[Call], object], texts: Sequence[str], words: int) -> str:
    """Microseconds of CPU, of each question its best of `TIMES`: what others do counts little."""
    best = np.full(QUESTIONS, np.inf)
    for _ in range(TIMES):
        for number, call in enumerate(asked(texts, words, QUESTIONS)):
            begun = time.thread_time()
            choose(call)
            best[number] = min(best[number], time.thread_time() - begun)
    middle, most = np.percentile(best * 1e6, (50, 99))
    return f"p50 {middle:6.1f}   p99 {most:6.1f}"


class Road(Octoplex):
    """A gateway with two routes to the same two targets; asked by the one that is named."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__("learned")
        self.model, self.words, self._texts = "plain", LENGTHS[0], texts

    def command(self, site: Site, port: int) -> tuple[list[str], dict[str, str]]:
        """See `Octoplex`."""
        self.more = TABLES.format(origin=site.origin(False))
        return super().command(site, port)

    def ask(self, workload: Workload, site: Site) -> Asked:
        """One question, the same again and again."""
        body = question(self._texts, self.words, Random(self.words), self.model)
        return Asked("/v1/chat/completions", body, {"authorization": f"Bearer {SECRET}"})


def added(texts: Sequence[str], features: Sequence[Features]) -> None:
    """Print what learning adds to the path, at the highest rate that holds."""
    WORK.mkdir(parents=True, exist_ok=True)
    road = Road(texts)
    with tempfile.TemporaryDirectory(prefix="learned-", dir=WORK) as name:
        folder = Path(name)
        bench = measure.prepare(folder)
        try:
            measure.start(bench, road, folder)
            if bench.failures:
                raise BenchError(bench.failures[road.name])
            teach(folder / road.name / "data", features)
            bench.programs[road.name].settle()
            rate = next((r for r in RATES if holds(bench, road, r)), RATES[-1])
            print(f"\nms that learning adds to a request at {rate:,} a second, medians of {ROUNDS}")
            for words in LENGTHS:
                road.words = words
                print(_line(words, [turn(bench, road, rate) for _ in range(ROUNDS)]), flush=True)
        finally:
            bench.stop()


def teach(data: Path, features: Sequence[Features]) -> None:
    """Write down what a path would have by which much is certified; wait until that serves."""
    file = open_learning(data)
    until(lambda: file.planned("learned") > 0, "the learner does not begin")
    loop = Loop(Plan((REFERENCE, CHEAP), loss=0.2, feedback=0.01), Random(1), version=1)
    told = lessons(loop, features, 40_000, every=20)
    file.add([Noted("learned", 1, kind_of(note), encode(note)) for note in told])
    version = loop.policy.version

    def is_taught() -> bool:
        newest = file.newest("learned")
        return newest is not None and newest.version >= version and newest.share > 0

    until(is_taught, "nothing is certified")
    file.close()
    time.sleep(2)  # workers look once a second


def until(true: Callable[[], bool], why: str, limit_s: float = 120.0) -> None:
    """Wait until it holds."""
    end_at = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > end_at:
            raise BenchError(why)
        time.sleep(0.2)


def holds(bench: Bench, road: Road, rate: int) -> bool:
    """Whether so many a second are answered on both routes, with the longest questions."""
    road.words = LENGTHS[-1]
    for road.model in ("plain", "learned"):
        report = put(bench, road, rate)
        if report["errors"]:
            raise BenchError(report["error_sample"])
        if report["rps"] < 0.97 * rate:
            print(f"{road.model}: of {rate:,} a second {report['rps']:,.0f} were answered")
            return False
    return True


def put(bench: Bench, road: Road, rate: int) -> dict[str, Any]:
    """Load one route; `cpu_ms` is that of all processes and threads, what comes later too."""
    program = bench.programs[road.name]
    used = program.cpu_ns()
    report = measure.load(bench, road, WORKLOADS["small"], Mode("open", 256, rate), SECONDS)
    program.settle()
    return {**report, "cpu_ms": (program.cpu_ns() - used) / 1e6 / max(1, report["ok"])}


def turn(bench: Bench, road: Road, rate: int) -> list[list[float]]:
    """p50, p99 and CPU of each route."""
    found = []
    for road.model in ("plain", "learned"):
        report = put(bench, road, rate)
        found.append([report[name] for name in ("p50_ms", "p99_ms", "cpu_ms")])
    return found


def _line(words: int, turns: Sequence[Sequence[Sequence[float]]]) -> str:
    table = np.array(turns)  # by round, route, figure
    more = table[:, 1] - table[:, 0]
    parts = []
    for at, name in enumerate(("p50", "p99", "CPU")):
        plain, learned = np.median(table[:, :, at], axis=0)
        least, middle, most = np.percentile(more[:, at], (0, 50, 100))
        parts.append(
            f"{name} {plain:.3f} -> {learned:.3f}: {middle:+.3f} ({least:+.3f} to {most:+.3f})"
        )
    return f"  {words:3} words   " + "   ".join(parts)
