"""Mixed traffic for a long time; then every cent is looked for.

    python -m tests.soak [--minutes 30] [--rate 300] [--failing 0.05] [--restart-s 60] [--seed 1]
                         [--workers 1] [--postgres] [--redis]

Callers of two faces, streams and whole replies, small and large, some of whom leave, some with an
address that the guard masks, some with a question that others asked, some who ask twice under one
idempotency key; two providers of which one in twenty replies fails somehow, and which are shut and
opened again in turns, as are the database and the Redis if there are some (killed); reloads of the
configuration. At the end it prints what callers saw, what the ledger has too much or too little,
how memory grew and what the gateway adds to a small chat, and fails if a cent is lost or doubled,
a provider saw an address, one key had two answers, or somebody was left without a word.
"""

import argparse
import asyncio
import base64
import contextlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from octoplex.assembly.state import reader_of
from octoplex.settings import parse
from tests.ledger import postgres, redis
from tests.server import provider
from tests.server.gate import Gate, question
from tests.server.supervisor.processes import children
from tests.soak.crowd import KEY, Failing, Tally, call, opened, probe
from tests.upstream_server import Upstream

WARM = 0.1
"""The share of the time after which memory is looked at."""
CLOSED_S = 2.0
PEPPER = base64.b64encode(b"canary-pepper-of-thirty-two-byte").decode()


def configuration(ups: Sequence[Upstream], server: Sequence[str]) -> str:
    """Two providers that fail in turns, and one that does not."""
    lines = ["[server]", "drain_s = 5.0", *server]
    a, claude, steady = ups
    for name, up in (("a", a), ("claude", claude), ("steady", steady)):
        dialect = "anthropic" if name == "claude" else "openai-chat"
        lines += [f"[providers.{name}]", f"dialect = '{dialect}'"]
        lines += [f"base_url = '{up.url}'", "api_key = 'env:UP_KEY'"]
        lines += ["timeouts = { connect_s = 2.0, header_s = 2.0, idle_s = 2.0, total_s = 5.0 }"]
    lines += ["[models.main]", "try = ['a/m', 'claude/m']", "pick = 'weighted'"]
    lines += ["retry = { attempts = 3, backoff_s = 0.05 }"]
    lines += ["[models.kept]", "try = ['steady/m']", "cache = { ttl = '2 s' }"]
    lines += ["[guard]", "pii = { default = 'flag', email = 'mask' }", "secrets = 'block'"]
    lines += ["[keys.app]", "secret = 'env:APP_KEY'"]
    lines += ["limits = '10000000 req/min, 10000000k tok/min, $1000000/day'", "[prices]"]
    lines += [f"'{name}/m' = {provider.PRICE}" for name in ("a", "claude", "steady")]
    return "\n".join(lines) + "\n"


def rss_mb(gate: Gate) -> float:
    """Of all its processes, in MB."""
    found = 0
    for pid in (gate.process.pid, *children(gate)):
        with contextlib.suppress(OSError, IndexError):  # one may be ending
            status = Path(f"/proc/{pid}/status").read_text()
            found += int(status.split("VmRSS:")[1].split()[0])
    return found / 1024


def slope(points: list[tuple[int, float]]) -> float:
    """MB per 100,000 requests, by least squares."""
    if len(points) < 2:
        return 0.0
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    over = sum((x - mean_x) * (y - mean_y) for x, y in points)
    under = sum((x - mean_x) ** 2 for x, _ in points)
    return over / under * 100_000 if under else 0.0


def p99_ms(times: Any) -> float:
    """The 99th percentile, in ms."""
    ordered = sorted(times)
    return ordered[int(len(ordered) * 0.99)] * 1_000 if ordered else float("nan")


class Soak:
    """One run."""

    def __init__(
        self,
        options: argparse.Namespace,
        database: postgres.Server | None,
        shared: redis.Server | None,
    ) -> None:
        self.options, self.database, self.shared = options, database, shared
        self.dice = random.Random(options.seed)
        self.tally = Tally()
        self.sizes: list[tuple[int, float]] = []
        self.restarts = 0

    async def run(self, folder: Path) -> int:
        """Everything; the number of things that must not be."""
        options, dice = self.options, self.dice
        serials: Counter[str] = Counter()
        players = [Failing(name, dice, serials, options.failing) for name in ("a", "claude")]
        players.append(Failing("steady", dice, serials, 0.0))
        ups = [await opened(player) for player in players]
        near = await opened(Failing("steady", dice, serials, 0.0))  # asked past the gateway
        server = [f"workers = {options.workers}"]
        if self.database:
            url = await asyncio.to_thread(self.database.database)
            server += [f'database = "{url}"', 'database_password = "env:DATABASE_PASSWORD"']
        env = {"DATABASE_PASSWORD": postgres.PASSWORD, "APP_KEY": KEY}
        if self.shared:
            server += ["redis = 'env:REDIS'", "pepper = 'env:PEPPER'"]
            env |= {"REDIS": self.shared.url(), "PEPPER": PEPPER}
        text = configuration(ups, server)
        async with Gate(folder, text, env=env) as gate:
            end_at = time.monotonic() + options.minutes * 60
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.traffic(gate, end_at))
                tasks.create_task(self.trouble(gate, ups[:2], end_at))
                tasks.create_task(self.probes(gate, near, end_at))
        for up in (*ups, near):
            await up.__aexit__()
        reader = reader_of(parse(gate.config.read_text()), env, gate.data)
        try:
            rows = await asyncio.to_thread(reader.attempts)
        finally:
            reader.close()
        self.tally.addresses = sum(player.addresses for player in players)
        return self.report(rows, [bill for player in players for bill in player.bills])

    async def traffic(self, gate: Gate, end_at: float) -> None:
        """So many calls a second, whatever becomes of them."""
        began_at = time.monotonic()
        step_s, next_at = 1 / self.options.rate, began_at
        open_: set[asyncio.Task[None]] = set()
        with Progress(console=Console(stderr=True), transient=True) as bar:
            work = bar.add_task("soaking", total=end_at - began_at)
            while (now := time.monotonic()) < end_at:
                while next_at <= now and len(open_) < 2_000:
                    task = asyncio.create_task(call(gate.port, self.dice, self.tally))
                    open_.add(task)
                    task.add_done_callback(open_.discard)
                    next_at += step_s
                bar.update(work, completed=now - began_at)
                await asyncio.sleep(max(0.0, next_at - time.monotonic()))
        await asyncio.gather(*open_)

    async def trouble(self, gate: Gate, ups: list[Upstream], end_at: float) -> None:
        """Shut a provider for a moment, read the file again, look at memory."""
        turn, began_at = 0, time.monotonic()
        restart_at = began_at + self.options.restart_s
        while (now := time.monotonic()) < end_at - CLOSED_S - 1:
            if now - began_at > WARM * (end_at - began_at):
                self.sizes.append((self.tally.asked, rss_mb(gate)))
            if now >= restart_at:
                await self.gone(turn, ups)
                gate.hup()
                turn, restart_at = turn + 1, time.monotonic() + self.options.restart_s
                self.restarts = turn
            await asyncio.sleep(1)

    async def gone(self, turn: int, ups: list[Upstream]) -> None:
        """The next of what the gateway needs is away for a moment."""
        stores = [server for server in (self.database, self.shared) if server]
        at = turn % (len(ups) + len(stores))
        if at < len(ups):
            await ups[at].__aexit__()
            await asyncio.sleep(CLOSED_S)
            await ups[at].__aenter__()
        else:
            store = stores[at - len(ups)]
            await asyncio.to_thread(store.kill)
            await asyncio.sleep(CLOSED_S)
            await asyncio.to_thread(store.start)

    async def probes(self, gate: Gate, near: Upstream, end_at: float) -> None:
        """The same small chat through the gateway and past it, in turns."""
        through, direct = question("steady/m"), question("m")
        while time.monotonic() < end_at - 1:
            path = "/v1/chat/completions"
            await probe(gate.port, path, through, self.tally.through_s)
            await probe(near.port, "/chat/completions", direct, self.tally.direct_s)
            await asyncio.sleep(0.1)

    def report(self, attempts: list[dict[str, Any]], bills: list[tuple[int, int]]) -> int:
        """Print it; the number of things that must not be."""
        rows = [row for row in attempts if row["state"] == "settled"]
        exact = Counter((r["input_tokens"], r["output_tokens"]) for r in rows if not r["estimated"])
        flagged = sum(1 for r in rows if r["estimated"])
        book = Counter(bills)
        doubled = sum((exact - book).values())
        unmatched = sum((book - exact).values())
        lost = max(0, unmatched - flagged)
        wrong = sum(
            r["nano"] != provider.nano((r["input_tokens"], r["output_tokens"]))
            for r in rows
            if not r["estimated"]
        )
        tally = self.tally
        added = p99_ms(tally.through_s) - p99_ms(tally.direct_s)
        failed = sum(n for status, n in tally.statuses.items() if status >= 500)
        print(f"asked        {tally.asked:,} ({tally.left:,} left), {self.restarts} restarts")
        print(f"answered     {dict(sorted(tally.statuses.items()))}")
        print(f"failed       {failed:,} ({failed / max(1, tally.asked):.3%}), told as such")
        print(f"no word      {sum(tally.broken.values())} {dict(tally.broken)}")
        print(f"from a cache {tally.hits:,}")
        print(
            f"asked twice  {tally.pairs:,} times under one key, {tally.differed} with two answers"
        )
        print(f"addresses    {tally.addresses} that a provider saw")
        print(f"bills        {len(bills):,}: {sum(exact.values()):,} exact, {flagged:,} flagged")
        print(f"lost         {lost} doubled {doubled} wrong {wrong}")
        if self.sizes:
            grown = f"{self.sizes[0][1]:.1f} -> {self.sizes[-1][1]:.1f} MB"
            print(f"memory       {grown}, {slope(self.sizes):.2f} MB per 100,000 requests")
        print(f"added p99    {added:.2f} ms ({len(tally.through_s):,} small chats)")
        told = tally.addresses + tally.differed + sum(tally.broken.values())
        return lost + doubled + wrong + told


def main() -> int:
    """Run it; 1 if something is there that must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    parser.add_argument(
        "--failing", type=float, default=0.05, help="share of the providers' replies"
    )
    parser.add_argument("--restart-s", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="the ledger in one of its own")
    parser.add_argument("--redis", action="store_true", help="the caches in one of its own")
    options = parser.parse_args()
    print(f"{options.minutes:g} minutes at {options.rate:g} a second, seed {options.seed}, "
          f"{os.cpu_count()} cores")  # fmt: skip
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="octoplex-soak-"))
        database = stack.enter_context(postgres.Server()) if options.postgres else None
        shared = stack.enter_context(redis.Server()) if options.redis else None
        wrong = asyncio.run(Soak(options, database, shared).run(Path(folder)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
