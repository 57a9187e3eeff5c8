"""The ledger's writer alone: CPU per request in its thread, and how soon money is on disk.

``python -m bench.ledger`` starts a child on one core: a uvloop loop that spends a request's time
in Python (about 60 % of the core at 10,000 per second), reserves, settles and records some
milliseconds later, while the store's thread writes. ``--against SRC`` takes turns with another
source tree (a copy of ``src`` from before a change) and prints medians of both.

    CPU in the writer's thread and in the process, from the kernel's clocks of both;
    commits of money per second, counted at the store;
    the time from ``reserve`` to the end of the commit that holds it, of one request in some.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.tools import ROOT, WORK

if TYPE_CHECKING:
    from octoplex.ledger import Book, SqliteStore

PROBE_EVERY = 37
WARM_S = 0.5
COLUMNS = ("writer_us", "user_us", "sys_us", "total_us", "commits_s", "p50_ms", "p99_ms", "late")


class Probe:
    """Looks at money on its way into the store."""

    def __init__(self, money: Any) -> None:
        self._money = money
        self.waiting: deque[tuple[object, float]] = deque()
        self.took_s: list[float] = []
        self.commits = 0

    def money(self, rows: list[Any]) -> None:
        """Write a batch and take the time of the sampled reservations in it."""
        self._money(rows)
        now = time.perf_counter()
        self.commits += 1
        if self.waiting:
            inside = set(map(id, rows))
            while self.waiting and id(self.waiting[0][0]) in inside:
                self.took_s.append(now - self.waiting.popleft()[1])


class Load:
    """Requests as the gateway makes them, without the gateway."""

    def __init__(self, store: SqliteStore, book: Book, probe: Probe, keys: int) -> None:
        from octoplex.ledger import Order, Record, request_ids
        from octoplex.wire.ask import Attempt
        from octoplex.wire.event import Usage

        self.store, self.book, self.probe, self.keys = store, book, probe, keys
        self.Order, self.Record, self.Attempt, self.Usage = Order, Record, Attempt, Usage
        self.new_id = request_ids()
        self.count = 0

    def begin(self) -> Any:
        """Reserve as metering does."""
        self.count += 1
        key = f"key_{self.count % self.keys:08}"
        at_ms = int(time.time() * 1000)
        names = (key, "app", "main", "openai", "gpt-5-mini", "2026-11-01")
        order = self.Order(self.new_id(), 1, at_ms, *names, 1_234_000)
        if self.count % PROBE_EVERY == 0:
            self.probe.waiting.append((order, time.perf_counter()))
        return self.book.hold(order)

    def end(self, hold: Any) -> None:
        """Settle and record as metering and the record do."""
        usage = self.Usage(100, 50, 0)
        hold.settle(123_456, usage, "done")
        order = hold.order
        tried = self.Attempt(
            target="openai/gpt-5-mini",
            key="a1b2",
            outcome="done",
            status=200,
            duration_s=0.0031,
            first_s=0.0031,
            nano=123_456,
        )
        one = ("openai-chat", "chat", "main", "main", "openai/gpt-5-mini", 200, "done", False)
        times = (0.00321, 0.00315, 0.00005)
        who = (order.request_id, order.at_ms, order.key_id, "app")
        self.store.record(self.Record(*who, *one, *times, 100, 50, 0, 123_456, attempts=(tried,)))


def spin(ns: int) -> None:
    """Be busy in Python, as a request is; by the thread's own clock, so none is lost to others."""
    until = time.thread_time_ns() + ns
    while time.thread_time_ns() < until:
        pass


async def drive(load: Load, rate: int, seconds: float, busy_ns: int, delay_s: float) -> int:
    """Offer requests at a rate; how many were ended."""
    import asyncio

    open_: deque[tuple[float, Any]] = deque()
    began = now = time.perf_counter()
    made = done = 0
    while now < began + seconds or open_:
        if now < began + seconds and made < (now - began) * rate:
            spin(busy_ns // 2)
            open_.append((now + delay_s, load.begin()))
            made += 1
        if open_ and open_[0][0] <= now:
            spin(busy_ns // 2)
            load.end(open_.popleft()[1])
            done += 1
        behind = made + 1 < (now - began) * rate
        await asyncio.sleep(0 if behind else 0.0001)
        now = time.perf_counter()
    return done


def child(options: argparse.Namespace) -> dict[str, float]:
    """Run in the pinned process: warm up, load, report."""
    import gc

    import uvloop

    from octoplex.ledger import Book, open_store

    os.sched_setaffinity(0, {options.core})
    store: Any = open_store(Path(options.child) / "data")
    probe = Probe(store._files.money)
    store._files.money = probe.money
    load = Load(store, Book(store), probe, options.keys)
    how = (int(options.busy_us * 1000), options.delay_ms / 1000)
    uvloop.run(drive(load, options.rate, WARM_S, *how))
    uvloop.run(store.drain())
    gc.collect()
    gc.freeze()
    thread = store._writer._thread
    clock = time.pthread_getcpuclockid(thread.ident)
    probe.commits, probe.took_s = 0, []
    before = (time.clock_gettime(clock), time.process_time(), time.perf_counter())
    ticks = split(thread.native_id)
    done = uvloop.run(drive(load, options.rate, options.seconds, *how))
    uvloop.run(store.drain())
    after = (time.clock_gettime(clock), time.process_time(), time.perf_counter())
    used = [b - a for a, b in zip(before, after, strict=True)]
    user, system = (b - a for a, b in zip(ticks, split(thread.native_id), strict=True))
    share = user / max(1, user + system)
    took = sorted(probe.took_s)
    store.close()
    size = sum(f.stat().st_size for f in (Path(options.child) / "data").glob("l*.db"))
    return {
        "writer_us": used[0] / done * 1e6,
        "user_us": used[0] / done * 1e6 * share,
        "sys_us": used[0] / done * 1e6 * (1 - share),
        "total_us": (used[1] / done * 1e6),
        "commits_s": probe.commits / used[2],
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[len(took) * 99 // 100] * 1e3,
        "late": sum(t > 0.020 for t in took) / len(took) * 100,
        "rate": done / used[2],
        "bytes": size / load.count,
    }


def split(thread: int) -> tuple[int, int]:
    """User and system ticks of a thread; only their ratio is used."""
    fields = Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


def run(src: Path, options: argparse.Namespace) -> dict[str, float]:
    """Measure one source tree in a process of its own."""
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK, prefix="ledger-") as folder:
        words = [f"--{n.replace('_', '-')}={getattr(options, n)}" for n in PASSED]
        argv = [sys.executable, "-m", "bench.ledger", f"--child={folder}", *words]
        env = {**os.environ, "PYTHONPATH": f"{src}:{ROOT}"}
        out = subprocess.run(argv, env=env, cwd=folder, stdout=subprocess.PIPE, check=True)
        found: dict[str, float] = json.loads(out.stdout)
        return found


PASSED = ("rate", "seconds", "busy_us", "delay_ms", "keys", "core")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--against", type=Path, action="append", default=[], metavar="SRC")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--busy-us", type=float, default=30.0, help="Python per request")
    parser.add_argument("--delay-ms", type=float, default=3.0, help="from reserve to settle")
    parser.add_argument("--keys", type=int, default=8)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)))
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Take turns, print medians."""
    options = arguments()
    if options.child:
        print(json.dumps(child(options)))
        return
    trees = [*options.against, ROOT / "src"]
    seen: dict[Path, list[dict[str, float]]] = {tree: [] for tree in trees}
    for _ in range(options.rounds):
        for tree in trees:
            seen[tree].append(run(tree, options))
    columns = (*COLUMNS, "rate", "bytes")
    print(f"{'':24}" + "".join(f"{name:>11}" for name in columns))
    for tree, runs in seen.items():
        middle = [statistics.median(r[name] for r in runs) for name in columns]
        print(f"{str(tree)[-24:]:24}" + "".join(f"{value:11.2f}" for value in middle))
        each = " ".join(f"{r['writer_us']:.1f}" for r in runs)
        print(f"{'':24}   writer_us of each round: {each}")


if __name__ == "__main__":
    main()
