"""kill -9 under load: what a provider was asked is in the ledger once, whoever died (F46, F63)."""

import asyncio
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger.slate import Slate
from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route, until
from tests.server.supervisor.processes import children, kill, owner, whole, workers
from tests.upstream_server import Exchange, Play, Upstream

KEY = "[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '$1/day, 1M req/min, 100M tok/min'\n"
WANTED = 3


def served(up: Upstream) -> str:
    return file(route("main", "a/m") + KEY, f"workers = {WANTED}\nbudget_wait_s = 10.0", a=up)


def slowly(after_s: float) -> Play:
    whole = provider.whole("openai-chat")

    async def play(exchange: Exchange) -> None:
        await asyncio.sleep(after_s)
        await whole(exchange)

    return play


class Load:
    """Callers that ask one call after the other until they are told to stop."""

    def __init__(self, gate: Gate, callers: int = 12) -> None:
        self._gate, self._over = gate, asyncio.Event()
        self.statuses: Counter[int] = Counter()
        self.broken = 0
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(callers)]

    async def _ask(self) -> None:
        while not self._over.is_set():
            try:
                reply = await self._gate.chat("main")
            except (OSError, EOFError, AssertionError, ValueError):
                self.broken += 1
                continue
            self.statuses[reply.status] += 1

    async def answered(self, more: int) -> None:
        """Wait until so many more calls were answered."""
        wanted = self.statuses[200] + more
        await until(lambda: self.statuses[200] >= wanted, 20)

    async def goes_on(self, more: int) -> None:
        """Wait for so many more, but not for long: where no lease is left nothing is answered."""
        wanted, end_at = self.statuses[200] + more, time.monotonic() + 1
        await until(lambda: self.statuses[200] >= wanted or time.monotonic() > end_at)

    async def stop(self) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)


def check(rows: list[dict[str, Any]], up: Upstream) -> int:
    """Every row that is not flagged is as the provider billed it; how many are flagged."""
    flagged = [row for row in rows if row["outcome"] == "lost"]
    assert all(row["estimated"] and row["nano"] == row["reserved_nano"] for row in flagged)
    plain = [row for row in rows if row["outcome"] != "lost"]
    assert {(row["nano"], row["estimated"]) for row in plain} == {(provider.nano(provider.BILL), 0)}
    assert len(plain) <= len(up.book) <= len(rows)
    return len(flagged)


def crash(
    tmp_path: Path, run: Run, deed: Callable[[Gate], None], flagged: Callable[[int], bool]
) -> None:
    async def main() -> None:
        async with Upstream(slowly(0.02)) as up:
            async with Gate(tmp_path, served(up), key=APP_KEY) as gate:
                load = Load(gate)
                for _ in range(3):
                    await load.answered(30)
                    deed(gate)
                    await until(lambda: whole(gate, WANTED), 10)
                await load.answered(60)
                await load.stop()
                assert set(load.statuses) == {200}
                gate.clean = False
            rows = gate.ledger()
            assert not [row for row in rows if row["state"] == "reserved"]
            assert sum(int(row["nano"]) for row in rows) == gate.spent()
            assert flagged(check(rows, up)), Counter(row["outcome"] for row in rows)
            assert load.statuses[200] <= len(up.book)

    run(main())


def test_f63_a_killed_worker_is_replaced_and_settled(tmp_path: Path, run: Run) -> None:
    def deed(gate: Gate) -> None:
        kill(workers(gate)[0])

    crash(tmp_path, run, deed, lambda count: count <= 3 * 12)


def test_a_killed_owner_is_missed_by_nobody(tmp_path: Path, run: Run) -> None:
    crash(tmp_path, run, lambda gate: kill(owner(gate)), lambda count: count == 0)


Place = tuple[str, int]


def place(row: dict[str, Any]) -> Place:
    return str(row["request_id"]), int(row["attempt"])


def killed_together(gate: Gate, worker: int) -> tuple[set[Place], dict[Place, Any]]:
    """Kill the owner and a worker in one moment: what nobody but the worker knew, and what was
    settled by then.

    A worker grants on while its owner is held up, and what it has done is known from its slate
    alone until the owner has written it: on a busy machine that is more than is on its way.
    """
    both = (owner(gate), worker)
    for pid in both:
        os.kill(pid, signal.SIGSTOP)
    ring = shutil.copy(gate.data / f"orders-{worker}.ring", gate.folder / "ring")
    noted = {(order.request_id, order.attempt) for order in Slate(Path(ring)).take_left()}
    rows = {place(row): row for row in gate.ledger()}
    for pid in both:
        kill(pid)
    settled = {at: row for at, row in rows.items() if row["state"] != "reserved"}
    return (noted | rows.keys()) - settled.keys(), settled


@pytest.mark.parametrize("late", [0, 60], ids=["at once", "late"])
def test_both_at_once(tmp_path: Path, run: Run, late: int) -> None:
    """`late`: the owner hears nothing for so many calls before."""

    async def main() -> None:
        unknown: set[Place] = set()
        settled: dict[Place, Any] = {}
        async with Upstream(slowly(0.02)) as up:
            async with Gate(tmp_path, served(up), key=APP_KEY, clean=False) as gate:
                load = Load(gate)
                for _ in range(3):
                    await load.answered(30)
                    worker = workers(gate)[0]
                    if late:
                        os.kill(owner(gate), signal.SIGSTOP)
                        await load.goes_on(late)
                    lost, done = killed_together(gate, worker)
                    unknown |= lost
                    settled |= done
                    await until(lambda: whole(gate, WANTED), 20)
                await load.answered(60)
                await load.stop()
                assert set(load.statuses) == {200}
            rows = gate.ledger()
            assert not [row for row in rows if row["state"] == "reserved"]
            assert sum(int(row["nano"]) for row in rows) == gate.spent()
            check(rows, up)
            assert {place(row) for row in rows if row["outcome"] == "lost"} <= unknown
            found = {place(row): row for row in rows}
            assert {at: found[at] for at in settled} == settled
            assert load.statuses[200] <= len(up.book)

    run(main())


def test_all_at_once(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(slowly(0.05)) as up:
            gate = Gate(tmp_path, served(up), key=APP_KEY, clean=False)
            async with gate:
                load = Load(gate)
                await load.answered(50)
                pids = children(gate)
                gate.process.send_signal(signal.SIGKILL)
                for pid in pids:
                    kill(pid)
                gate.process.wait()
                await load.stop()
            async with gate:
                await gate.chat("main")
            rows = gate.ledger()
            assert not [row for row in rows if row["state"] == "reserved"]
            assert check(rows, up) >= 1
            assert not list(gate.data.glob("orders-*.ring"))

    run(main())
