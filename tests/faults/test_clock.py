"""F64: the wall clock of a real gateway jumps by hours, both ways, while everything runs.

Nothing here but the calendar goes by it: periods of budgets, and when keys begin and end.
Its `time.time` is replaced at the interpreter's start; the clock that the event loop, threads and
rate limits go by is another, which no administrator and no NTP sets.
"""

import asyncio
import mmap
import os
import struct
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.server import provider
from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, question, until
from tests.server.supervisor.processes import whole
from tests.upstream_server import Exchange, Upstream, head

NOON = datetime(2031, 5, 5, 12, 30, tzinfo=UTC)
"""In the middle of an hour, so that nothing happens at its ends."""
HOUR_S = 3_600
CLOCK = """
import mmap, struct, time

with open({place!r}, "r+b") as file:
    ahead = mmap.mmap(file.fileno(), 8)
real_ns = time.time_ns
time.time_ns = lambda: real_ns() + struct.unpack_from("<q", ahead)[0]
time.time = lambda: time.time_ns() / 1e9
"""
COST = provider.nano(provider.BILL)
WORST = -(-len(question("a/m")) // 3) * 1_000 + 50 * 10_000
CALLS = 6
CAP = WORST + (CALLS - 1) * COST
"""So many calls one after the other, each of which must fit at its worst."""
KEYS = f"""
[keys.app]
secret = 'env:APP_KEY'
limits = '${Decimal(CAP) / 10**9:f}/hour'
[keys.other]
secret = 'env:OTHER_KEY'
limits = '3 req/min'
[keys.late]
secret = 'env:LATE_KEY'
expires = 2031-05-05T13:00:00Z
"""
OTHER_KEY, LATE_KEY = "oct-other-0f1e2d3c4b5a6978", "oct-late-5b1f0a9c77e2d4860"


class Clock:
    """The wall clock of the processes that are started with `env`."""

    def __init__(self, folder: Path) -> None:
        place, code = folder / "ahead", folder / "clock"
        place.write_bytes(bytes(8))
        with place.open("r+b") as file:
            self._ahead = mmap.mmap(file.fileno(), 8)
        code.mkdir()
        (code / "sitecustomize.py").write_text(CLOCK.format(place=str(place)))
        path = f"{code}:{os.environ.get('PYTHONPATH', '')}"
        self.env = {"PYTHONPATH": path, "LATE_KEY": LATE_KEY}
        self.jump(NOON.timestamp() - time.time())

    def jump(self, by_s: float) -> None:
        """In one step."""
        (ahead,) = struct.unpack_from("<q", self._ahead)
        struct.pack_into("<q", self._ahead, 0, ahead + int(by_s * 1e9))


class Provider:
    """Begins each reply at once and ends it when it is told to."""

    def __init__(self) -> None:
        self.begun, self.over = 0, asyncio.Event()

    async def stream(self, exchange: Exchange) -> None:
        first, *rest = provider.chat_events(provider.WORDS)
        kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        exchange.bill(*provider.BILL)
        exchange.send(head(200, kind))
        exchange.chunk(first + rest.pop(0))
        self.begun += 1
        await self.over.wait()
        exchange.chunk(b"".join(rest))
        exchange.send(b"0\r\n\r\n")

    async def whole(self, exchange: Exchange) -> None:
        self.begun += 1
        await self.over.wait()
        await provider.whole("openai-chat")(exchange)


async def jumps(clock: Clock, still: Any) -> None:
    """There and back, further than any time-out, and what is looked at in between is so."""
    for by_s in (2 * HOUR_S, -4 * HOUR_S, 2 * HOUR_S):
        clock.jump(by_s)
        await asyncio.sleep(0.4)  # so that whatever went by it would have come due
        assert still()


@pytest.mark.parametrize("workers", [1, 2])
def test_f64_what_is_on_its_way_ends_neither_early_nor_late(
    tmp_path: Path, run: Run, workers: int
) -> None:
    async def main() -> None:
        clock, slow = Clock(tmp_path), Provider()
        timeouts = "[providers.b.timeouts]\nheader_s = 0.5\nidle_s = 0.5\ntotal_s = 1.0\n"
        async with (
            Upstream(slow.stream, slow.stream, slow.stream, slow.whole) as up,
            Upstream(lambda exchange: exchange.stall()) as mute,
        ):
            text = file(f"[models.mute]\ntry = ['b/m']\nretry = {{ attempts = 1 }}\n{timeouts}",
                        f"workers = {workers}", a=up, b=mute)  # fmt: skip
            async with Gate(tmp_path, text, env=clock.env) as gate:
                streams = [asyncio.create_task(gate.chat("a/m", stream=True)) for _ in range(3)]
                await until(lambda: slow.begun == 3)
                plain = [asyncio.create_task(gate.chat("a/m")) for _ in range(3)]
                await until(lambda: slow.begun == 6)
                asked = [*streams, *plain]
                await jumps(clock, lambda: not any(one.done() for one in asked))
                late = [asyncio.create_task(gate.chat("mute", stream=s)) for s in (False, True)]
                await until(lambda: len(mute.book) == 2)
                clock.jump(-HOUR_S)  # a limit on the wall would now be an hour away
                assert {reply.status for reply in await asyncio.gather(*late)} == {504}
                slow.over.set()
                replies = await asyncio.gather(*asked)
                assert [reply.status for reply in replies] == [200] * 6
                assert all(b"[DONE]" in reply.body for reply in replies[:3])
                records = await gate.records(8)
                assert all(0 <= record["total_s"] < 60 for record in records), records
                rows = await gate.rows(8)
                assert sorted(row["nano"] for row in rows)[:6] == [COST] * 6

    run(main())


async def passed(gate: Gate) -> int:
    """How many calls pass one after the other until one is refused for want of budget."""
    for count in range(3 * CALLS):
        reply: Reply = await gate.chat("a/m")
        if reply.status == 402:
            return count
        assert reply.status == 200, reply.body
    raise AssertionError("none was refused")


@pytest.mark.parametrize("workers", [1, 2])
def test_f64_budgets_and_keys_go_by_the_calendar_and_rates_do_not(
    tmp_path: Path, run: Run, workers: int
) -> None:
    async def main() -> None:
        clock = Clock(tmp_path)
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(
                tmp_path, file(KEYS, f"workers = {workers}", a=up), key=APP_KEY, env=clock.env
            ) as gate,
        ):
            await until(lambda: workers == 1 or whole(gate, workers), 10)
            assert await passed(gate) == CALLS
            clock.jump(HOUR_S)  # another period
            assert await passed(gate) == CALLS
            for _ in range(2):  # both are spent, whenever the clock is there again
                clock.jump(-HOUR_S)
                assert await passed(gate) == 0
                clock.jump(HOUR_S)
                assert await passed(gate) == 0
            clock.jump(-HOUR_S)
            gate.key = OTHER_KEY
            assert [(await gate.chat("a/m")).status for _ in range(4)] == [200, 200, 200, 429]
            for by_s in (HOUR_S, -2 * HOUR_S, HOUR_S):  # an hour would have filled it
                clock.jump(by_s)
                assert (await gate.chat("a/m")).status == 429
            gate.key = LATE_KEY
            statuses = []
            for by_s in (0, HOUR_S, -HOUR_S):
                clock.jump(by_s)
                statuses.append((await gate.chat("a/m")).status)
            assert statuses == [200, 401, 200]
            await gate.rows(2 * CALLS + 3 + 2)
            assert gate.spent() == (2 * CALLS + 5) * COST

    run(main())
