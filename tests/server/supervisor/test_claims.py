"""One `Idempotency-Key` at several workers: one call, one bill, the same answer to all."""

import asyncio
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.cache_scene import COST, gated, numbered
from tests.server.caller import Line, Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, until
from tests.server.supervisor.processes import behind, kill, owner, whole, workers
from tests.server.test_idempotency import REPLAYED, send
from tests.upstream_server import Upstream

WANTED = 3
KEY = "[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '$1/day'\n"


def text(up: Upstream) -> str:
    return file(KEY, f"workers = {WANTED}\nbudget_wait_s = 10.0", a=up)


def begin(gate: Gate, count: int, key: str = "one") -> list["asyncio.Future[Reply]"]:
    return [asyncio.ensure_future(send(gate, key)) for _ in range(count)]


async def first_of(gate: Gate, line: Line, up: Upstream, key: str) -> int:
    """Ask on a connection, until the provider is asked; the worker that does so."""
    before = len(up.book)
    line.send(gate.question("a/m").replace(b"\r\n", f"\r\nidempotency-key: {key}\r\n".encode(), 1))
    await until(lambda: len(up.book) > before)
    return behind(gate, line)


async def same(asked: list["asyncio.Future[Reply]"]) -> Reply:
    """All have the same answer, and all but one were given it again."""
    replies = await asyncio.gather(*asked)
    assert {(r.status, r.body) for r in replies} == {(200, replies[0].body)}
    return replies[0]


def test_equal_keys_meet_wherever_they_come(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        async with (
            Upstream(*[gated(opened, play) for play in numbered()]) as up,
            Gate(tmp_path, text(up), key=APP_KEY) as gate,
        ):
            asked = begin(gate, 30)
            await until(lambda: up.book)
            other = await send(gate, "one", temperature=0.5)
            assert (other.status, len(up.book)) == (422, 1)
            opened.set()
            await same(asked)
            costs = [int((await one).headers["x-octoplex-cost-nano"]) for one in asked]
            assert (sum(costs), costs.count(COST), len(up.book)) == (COST, 1, 1)
            again = [await send(gate, "one") for _ in range(8)]
            assert {reply.headers[REPLAYED] for reply in again} == {"true"}
            assert {(await send(gate, "one", temperature=0.5)).status for _ in range(8)} == {422}
            (row,) = await gate.rows(1)
            assert (row["nano"], row["estimated"]) == (COST, 0)

    run(main())


def test_what_failed_at_one_worker_is_tried_by_the_next(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        plays = [provider.fails("openai-chat", 400), *numbered()]
        async with (
            Upstream(*[gated(opened, play) for play in plays]) as up,
            Gate(tmp_path, text(up), key=APP_KEY) as gate,
        ):
            asked = begin(gate, 20)
            await until(lambda: up.book)
            opened.set()
            replies = await asyncio.gather(*asked)
            assert sorted(reply.status for reply in replies) == [*[200] * 19, 400]
            assert len({reply.body for reply in replies if reply.status == 200}) == 1
            assert len(up.book) == 2

    run(main())


def test_the_call_goes_on_without_its_caller(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        async with (
            Upstream(*[gated(opened, play) for play in numbered()]) as up,
            Gate(tmp_path, text(up), key=APP_KEY) as gate,
        ):
            async with Line(gate.port) as line:
                await first_of(gate, line, up, "one")
                asked = begin(gate, 9)
                line.leave(hard=True)
            await asyncio.sleep(0.05)  # so that the server sees it go
            opened.set()
            assert (await same(asked)).headers[REPLAYED] == "true"
            assert len(up.book) == 1
            await gate.rows(1)

    run(main())


def test_a_claim_ends_with_its_worker(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        async with (
            Upstream(*[gated(opened, play) for play in numbered()]) as up,
            Gate(tmp_path, text(up), key=APP_KEY, clean=False) as gate,
        ):
            async with Line(gate.port) as line:
                holder = await first_of(gate, line, up, "one")
                lines = [gate.line() for _ in range(9)]
                for one in lines:
                    await one.__aenter__()
                    one.send(
                        gate.question("a/m").replace(b"\r\n", b"\r\nidempotency-key: one\r\n", 1)
                    )
                await asyncio.sleep(0.1)  # so that they wait
                elsewhere = [one for one in lines if behind(gate, one) != holder]
                kill(holder)
                await until(lambda: len(up.book) == 2)
            opened.set()
            replies = [await one.reply() for one in elsewhere]
            assert {reply.body for reply in replies} == {replies[0].body}
            assert len(up.book) == 2
            lost, done = sorted(
                await gate.rows(2), key=lambda row: str(row["outcome"]), reverse=True
            )
            assert (lost["outcome"], done["nano"]) == ("lost", COST)
            for one in lines:
                one.leave(hard=True)

    run(main())


@pytest.mark.parametrize("late", [False, True])
def test_a_claim_outlives_the_owner(tmp_path: Path, run: Run, late: bool) -> None:
    """Also one that was given back a moment before (`late`)."""

    async def main() -> None:
        opened = asyncio.Event()
        async with (
            Upstream(*[gated(opened, play) for play in numbered()]) as up,
            Gate(tmp_path, text(up), key=APP_KEY, clean=False) as gate,
        ):
            for number in range(1, 6):
                key = f"key {number}"
                opened.clear()
                asked = begin(gate, 1, key)
                await until(lambda n=number: len(up.book) == n)  # type: ignore[misc]
                await until(lambda: whole(gate, WANTED), 10)
                if late:
                    opened.set()
                    await asked[0]
                kill(owner(gate))
                asked += begin(gate, 12, key)
                await asyncio.sleep(0.05 * number)
                opened.set()
                await same(asked)
                assert len(up.book) == number
            rows = await gate.rows(5)
            assert {(row["nano"], row["estimated"]) for row in rows} == {(COST, 0)}
            assert len(workers(gate)) == WANTED

    run(main())
