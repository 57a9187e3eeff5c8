"""What the journal of tasks costs, and how soon another worker goes on when one is killed.

    python -m bench.agents [--steps 40] [--rounds 3] [--only step,load,takeover]

`step`: the CPU of one process, from the kernel's clock with all threads, for a task whose steps do
nothing: the orchestrator alone with its journal in memory, then the same on SQLite and PostgreSQL;
by steps of effect none and of effect once, which are marked before they begin. `load`: a hundred
tasks of five steps at once on PostgreSQL, by one worker and by two. `takeover`: a worker is killed
that has eight tasks; the time until each has got further in another, with the intervals that hold
in production. The database is a cluster of its own, with fsync, and its CPU is not counted.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.tools import ROOT, WORK, BenchError
from octoplex.agents.agent import Agent, Assignment
from octoplex.agents.journal import Reader, Rules, TaskRow, Tasks
from octoplex.agents.orchestrator import run
from octoplex.agents.plan import Plan, Step
from octoplex.agents.scroll import MemoryJournal
from octoplex.agents.task import Budget, Journal, Task
from octoplex.agents.words import Effect, Offer, Order, Outcome, World
from octoplex.ledger.postgres.database import Database
from tests.ledger.postgres import Server

STEPS, ROUNDS = 40, 3
CROWD, CROWD_STEPS = 100, 5
HELD = 8
LATE_S = 60.0


class Idle:
    """An arm that does nothing, or waits."""

    offers = tuple(
        Offer(f"idle.{effect}", "Nothing.", {"type": "object"}, effect=effect, parallel=100)
        for effect in ("none", "once")
    )

    async def __call__(self, order: Order, world: World) -> Outcome:
        """What it is told to wait."""
        await asyncio.sleep(order.inputs.get("seconds", 0.0))
        return Outcome(output={"n": 1}, text="done")


def plan_of(steps: int, effect: Effect, seconds: float = 0.0) -> Plan:
    """Steps one after the other."""
    inputs = {"seconds": seconds} if seconds else {}
    return Plan(
        steps=tuple(
            Step(f"s{n}", f"idle.{effect}", inputs, after=(f"s{n - 1}",) if n else ())
            for n in range(steps)
        ),
        answer={"$from": f"s{steps - 1}", "at": "/n"},
    )


async def work(folder: Path, row: TaskRow, journal: Journal) -> None:
    """As the gateway does, without models."""
    limits = Budget(steps=1_000, seconds=3_600)
    await run(
        Assignment(
            id=row.id,
            task=row.task,
            agent=Agent(approve="never", limits=limits),
            arms=[Idle()],
            world=World(ask=Nobody(), workspace=folder),
            models=Nobody(),
            plan=row.task.plan,
        ),
        journal,
    )


class Nobody:
    """No model is asked."""

    def quote(self, model: str, body: bytes) -> Any:
        """What it would cost."""
        raise BenchError("a model was asked")

    async def __call__(self, model: str, body: bytes, tab: Any = None) -> Any:
        """What it would say."""
        raise BenchError("a model was asked")


def task_of(steps: int, effect: Effect = "none", seconds: float = 0.0) -> Task:
    """A task with its plan."""
    approve: Any = "never"
    return Task("bench", plan=plan_of(steps, effect, seconds), approve=approve)


async def ended(tasks: Tasks, names: list[str]) -> None:
    """Wait until all are done."""
    for name in names:
        kinds: list[str] = []
        while not kinds or not kinds[-1].startswith(("task.done", "task.failed")):
            kinds += [event.kind for event in await tasks.changed(name, len(kinds), 5.0)]
        if kinds[-1] != "task.done":
            raise BenchError(f"{name}: {(await tasks.events(name))[-1]}")


async def step_cost(
    folder: Path, where: Path | Database | None, steps: int, effect: Effect
) -> dict[str, float]:
    """Milliseconds of CPU and of wall a step, of one task after another has warmed all up."""
    if where is None:
        begun, at = time.process_time(), time.perf_counter()
        row = TaskRow(
            id="a",
            key_id="",
            tenant="",
            task=task_of(steps, effect),
            created_at_ms=0,
            status="running",
        )
        await work(folder, row, MemoryJournal())
    else:
        tasks = await Tasks.open(where, partial(work, folder))
        await tasks.submit(f"warm-{effect}-{time.time_ns()}", task_of(5, effect))
        name = f"{effect}-{time.time_ns()}"
        begun, at = time.process_time(), time.perf_counter()
        await tasks.submit(name, task_of(steps, effect))
        await ended(tasks, [name])
    cpu_s, wall_s = time.process_time() - begun, time.perf_counter() - at
    if where is not None:
        await tasks.close()
    return {"cpu": cpu_s * 1e3 / steps, "wall": wall_s * 1e3 / steps}


def print_steps(server: Server, steps: int, rounds: int) -> dict[str, Any]:
    """One row for each journal and effect; the median of the rounds."""
    found: dict[str, Any] = {}
    print(f"\n{'step':22} {'cpu ms':>8} {'x memory':>9} {'wall ms':>8}   spread of cpu")
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        places: dict[str, Path | Database | None] = {
            "memory": None,
            "sqlite": Path(folder) / "tasks.db",
            "postgres": Database(server.database(), lambda: server.password),
        }
        effects: tuple[Effect, ...] = ("none", "once")
        for effect in effects:
            for name, where in places.items():
                rows = [
                    asyncio.run(step_cost(Path(folder), where, steps, effect))
                    for _ in range(rounds)
                ]
                cpu = [row["cpu"] for row in rows]
                middle = statistics.median(cpu)
                found[f"{name}, {effect}"] = rows
                base = statistics.median(row["cpu"] for row in found[f"memory, {effect}"])
                wall = statistics.median(row["wall"] for row in rows)
                label = f"{name}, effect {effect}"
                ratio, spread = middle / base, f"{min(cpu):.2f} to {max(cpu):.2f}"
                print(f"{label:22} {middle:8.2f} {ratio:9.1f} {wall:8.1f}   {spread}")
    return found


class Worker:
    """A process that runs tasks: `python -m bench.agents --worker`."""

    def __init__(self, where: Database, password: str, at_once: int) -> None:
        asked = json.dumps({"url": where.url, "password": password, "at_once": at_once})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.agents", "--worker", asked],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )
        self._said()

    def _said(self) -> str:
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise BenchError("a worker ended")
        return line.strip()

    def give(self, names: list[str], *shape: Any) -> None:
        """Hand tasks in, as `task_of` makes them."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([names, shape]) + "\n")
        self.process.stdin.flush()

    def end(self) -> float:
        """Let it end; the CPU that it used since it was open, in seconds."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        cpu_s = float(self._said())
        self.process.wait()
        return cpu_s


async def serve(url: str, password: str, at_once: int) -> None:
    """Run tasks until nobody wants it any more."""
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        where = Database(url, lambda: password)
        tasks = await Tasks.open(where, partial(work, Path(folder)), Rules(at_once=at_once))
        print("open", flush=True)
        begun = time.process_time()
        while line := await asyncio.to_thread(sys.stdin.readline):
            names, shape = json.loads(line)
            await asyncio.gather(*(tasks.submit(name, task_of(*shape)) for name in names))
        print(time.process_time() - begun, flush=True)
        await tasks.close()


@contextmanager
def workers(server: Server, number: int, at_once: int) -> Iterator[tuple[Database, list[Worker]]]:
    """So many, at a new database."""
    where = Database(server.database(), lambda: server.password)
    made = [Worker(where, server.password, at_once) for _ in range(number)]
    try:
        yield where, made
    finally:
        for one in made:
            one.process.kill()
            one.process.wait()


async def reached(where: Database, names: list[str], kinds: set[str], most: int = 0) -> list[float]:
    """When each task has told one of these, or so many events."""
    reader = await Reader.open(where)
    at = dict.fromkeys(names, 0.0)
    until_at = time.perf_counter() + LATE_S
    while left := [name for name, when in at.items() if not when]:
        for name in left:
            events = await reader.events(name)
            if kinds & {event.kind for event in events} or 0 < most <= len(events):
                at[name] = time.perf_counter()
        if time.perf_counter() > until_at:
            raise BenchError(f"{left[0]} does not get on")
        await asyncio.sleep(0.1)
    await reader.close()
    return list(at.values())


def print_load(server: Server) -> dict[str, Any]:
    """One worker and two; CPU is that of the workers."""
    found: dict[str, Any] = {}
    whole = CROWD * CROWD_STEPS
    head = f"{CROWD} tasks of {CROWD_STEPS} steps"
    print(f"\n{head:23} {'seconds':>8} {'steps/s':>8} {'cpu ms/step':>12}")
    for number in (1, 2):
        share = CROWD // number
        with workers(server, number, share) as (where, made):
            names = [f"crowd-{n}" for n in range(CROWD)]
            begun = time.perf_counter()
            for n, one in enumerate(made):
                one.give(names[n * share : (n + 1) * share], CROWD_STEPS, "once")
            last = max(asyncio.run(reached(where, names, {"task.done"})))
            cpu_s = sum(one.end() for one in made)
        took_s = last - begun
        found[str(number)] = {"seconds": took_s, "cpu_s": cpu_s}
        label = f"{number} worker{'s' * (number > 1)}"
        print(f"{label:23} {took_s:8.1f} {whole / took_s:8.0f} {cpu_s * 1e3 / whole:12.2f}")
    print(f"two are {found['1']['seconds'] / found['2']['seconds']:.2f} times as fast as one")
    return found


def print_takeover(server: Server, rounds: int) -> list[float]:
    """The time until the first and the last of a killed worker's tasks go on."""
    took: list[float] = []
    for _ in range(rounds):
        with workers(server, 2, HELD) as (where, made):
            names = [f"held-{n}" for n in range(HELD)]
            made[0].give(names, 200, "none", 0.2)
            asyncio.run(reached(where, names, set(), most=6))
            os.kill(made[0].process.pid, signal.SIGKILL)
            begun = time.perf_counter()
            took += [at - begun for at in asyncio.run(reached(where, names, {"task.resumed"}))]
    middle = statistics.median(took)
    print(f"\ntaken over after {min(took):.1f} to {max(took):.1f} s, median {middle:.1f}")
    return took


def main() -> None:
    """Measure what is asked for; every sample goes to bench/results."""
    words = argparse.ArgumentParser(prog="python -m bench.agents")
    words.add_argument("--steps", type=int, default=STEPS)
    words.add_argument("--rounds", type=int, default=ROUNDS)
    words.add_argument("--only", default="step,load,takeover")
    words.add_argument("--worker", default="")
    asked = words.parse_args()
    if asked.worker:
        asyncio.run(serve(**json.loads(asked.worker)))
        return
    WORK.mkdir(exist_ok=True)
    found: dict[str, Any] = {}
    with Server() as server:
        if "step" in asked.only:
            found["step"] = print_steps(server, asked.steps, asked.rounds)
        if "load" in asked.only:
            found["load"] = print_load(server)
        if "takeover" in asked.only:
            found["takeover"] = print_takeover(server, asked.rounds)
    kept = ROOT / "bench" / "results" / f"agents-{time.strftime('%Y%m%d-%H%M%S')}.json"
    kept.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
