"""Replies that are given again: bounded in memory and on disk, and never a reason to fail."""

import asyncio
import hashlib
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from octoplex.ledger.rows import Kept
from octoplex.ledger.stock import Room, Stock
from octoplex.ledger.stock_disk import NAME, DiskStock
from octoplex.wire.error import StoreFailed
from tests.ledger.conftest import fill_up

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000_000
NOISE = random.Random(1)


def row(number: int, route: str = "main", size: int = 1_000, for_ms: int = 60_000) -> Kept:
    return Kept(key(number), route, NOW, NOW + for_ms, number, NOISE.randbytes(size))


def key(number: int) -> bytes:
    """As fingerprints are: alike in nothing."""
    return hashlib.blake2b(str(number).encode(), digest_size=32).digest()


def opened(folder: Path, now: Callable[[], int] = lambda: NOW, **room: float) -> Stock:
    return DiskStock(folder, Room(**{"spare_bytes": 0, "wait_s": 10.0, **room}), now)  # type: ignore[arg-type]


async def settled(stock: Stock) -> None:
    """Everything before is in the file."""
    await stock.routes()


def test_what_comes_while_the_file_is_asked_is_what_counts(tmp_path: Path) -> None:
    async def main() -> None:
        stock = opened(tmp_path)
        stock.keep(row(1))
        stock.close()
        stock = opened(tmp_path)
        asking = asyncio.ensure_future(stock.find(key(1)))
        await asyncio.sleep(0)
        later = row(1, "later")
        stock.keep(later)
        assert await asking == later
        assert stock.near(key(1)) == later
        stock.close()

    asyncio.run(main())


def test_memory_is_bounded_and_what_is_asked_for_stays(tmp_path: Path) -> None:
    async def main() -> None:
        stock = opened(tmp_path, memory_bytes=20_000)
        for number in range(100):
            stock.keep(row(number))
            assert stock.near(key(0)), "it is asked for all the time"
            assert stock.holding().memory_bytes <= 20_000
        assert stock.near(key(1)) is None
        assert stock.near(key(99))
        await settled(stock)
        assert await stock.find(key(1)), "the file has it"
        stock.keep(row(500, size=50_000))
        assert stock.near(key(500)) is None
        assert stock.holding().memory_bytes == 0
        stock.close()

    asyncio.run(main())


def test_the_file_is_bounded_and_its_oldest_go_first(tmp_path: Path) -> None:
    async def main() -> None:
        stock = opened(tmp_path, disk_bytes=300_000, memory_bytes=0)
        for number in range(2_000):
            stock.keep(row(number))
            if number % 50 == 0:
                await settled(stock)
        await settled(stock)
        now = stock.holding()
        assert 200_000 < now.disk_bytes <= 300_000
        assert await stock.find(key(1_999))
        assert await stock.find(key(0)) is None
        stock.close()
        assert (tmp_path / NAME).stat().st_size < 1_000_000
        stock = opened(tmp_path)
        await settled(stock)
        assert stock.holding().disk_entries == now.disk_entries
        assert stock.holding().disk_bytes == now.disk_bytes
        stock.close()

    asyncio.run(main())


def test_one_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    async def main() -> None:
        stock = opened(tmp_path, row_bytes=2_000)
        stock.keep(row(1, size=2_000))
        assert await stock.find(key(1)) is None
        assert not (tmp_path / NAME).exists()
        stock.close()

    asyncio.run(main())


def test_what_waits_to_be_written_is_bounded(tmp_path: Path) -> None:
    async def main() -> None:
        stock = opened(tmp_path, queue_bytes=20_000)
        for number in range(500):
            stock.keep(row(number))
        await settled(stock)
        now = stock.holding()
        assert now.dropped > 0
        assert now.disk_entries + now.dropped == 500
        assert now.memory_entries == 500
        stock.keep(row(600))
        await settled(stock)
        assert stock.holding().disk_entries == now.disk_entries + 1
        stock.close()

    asyncio.run(main())


def test_what_has_ended_is_not_found_and_swept_by_itself(tmp_path: Path) -> None:
    now = [NOW]

    async def main() -> None:
        stock = opened(tmp_path, lambda: now[0], sweep_s=0.01)
        for number in range(300):
            stock.keep(row(number, for_ms=1_000 if number % 2 else 60_000))
        await settled(stock)
        now[0] += 2_000
        assert await stock.find(key(1)) is None
        assert await stock.find(key(2))
        end_at = time.monotonic() + 10
        while stock.holding().disk_entries > 150:
            assert time.monotonic() < end_at
            await asyncio.sleep(0.01)
        stock.close()

    asyncio.run(main())


def test_a_file_that_nobody_uses_any_more_is_swept_too(tmp_path: Path) -> None:
    async def main() -> None:
        stock = opened(tmp_path)
        stock.keep(row(1))
        stock.close()

    asyncio.run(main())
    later = opened(tmp_path, lambda: NOW + 61_000)
    end_at = time.monotonic() + 10
    while sqlite3.connect(tmp_path / NAME).execute("select 1 from kept").fetchone():
        assert time.monotonic() < end_at
        time.sleep(0.01)
    later.close()


@pytest.mark.parametrize("end", ["purged", "replaced", "ended"])
def test_nothing_of_it_stays_on_the_disk(tmp_path: Path, end: str) -> None:
    canary = random.Random(2).randbytes(60_000)  # noise is not packed
    now = [NOW]

    def found() -> bool:
        return any(canary[30_000:30_100] in path.read_bytes() for path in tmp_path.iterdir())

    async def main() -> None:
        stock = opened(tmp_path, lambda: now[0], sweep_s=0.01)
        stock.keep(Kept(key(1), "main", NOW, NOW + 1_000, 1, canary))
        stock.keep(row(2))
        await settled(stock)
        assert found()
        if end == "purged":
            assert await stock.purge("main") == 2
        elif end == "replaced":
            stock.keep(row(1))
            await settled(stock)
            stock.close()
        else:
            now[0] += 2_000
            end_at = time.monotonic() + 10
            while found():
                assert time.monotonic() < end_at
                await asyncio.sleep(0.01)
        assert not found()
        stock.close()

    asyncio.run(main())


def test_a_purge_of_one_route_leaves_the_others(tmp_path: Path) -> None:
    async def main() -> None:
        stock = opened(tmp_path)
        for number in range(300):
            stock.keep(row(number, "main" if number % 3 else "other"))
        assert await stock.purge("main") == 200
        assert stock.near(key(1)) is None
        assert await stock.find(key(1)) is None
        assert stock.near(key(3))
        assert await stock.routes() == [("other", 100, stock.holding().disk_bytes)]
        assert await stock.purge("nobody") == 0
        full = (tmp_path / NAME).stat().st_size
        assert await stock.purge() == 100
        assert stock.holding().memory_bytes == stock.holding().disk_bytes == 0
        assert (tmp_path / NAME).stat().st_size < full, "the room is given back"
        stock.close()

    asyncio.run(main())


def test_nothing_is_made_of_what_nobody_began(tmp_path: Path) -> None:
    async def main() -> None:
        stock = opened(tmp_path)
        assert await stock.find(key(1)) is None
        assert await stock.purge() == 0
        assert await stock.routes() == []
        stock.close()

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def spoil(path: Path, damage: str) -> None:
    data = bytearray(path.read_bytes())
    if damage == "noise":
        path.write_bytes(NOISE.randbytes(len(data)))
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "pages":
        for at in range(8_192, len(data), 8_192):
            data[at : at + 64] = NOISE.randbytes(64)
        path.write_bytes(data)
    else:
        newer = "insert into migrations values (99, 'later', 'x', 0)"
        with sqlite3.connect(path) as db:
            db.execute(newer if damage == "newer" else "update kept set body = x'00'")
        db.close()


@pytest.mark.parametrize("damage", ["noise", "cut", "empty", "pages", "newer", "bodies"])
def test_a_damaged_file_makes_misses_and_no_errors(tmp_path: Path, damage: str) -> None:
    async def main() -> None:
        stock = opened(tmp_path)
        for number in range(300):
            stock.keep(row(number))
        stock.close()
        spoil(tmp_path / NAME, damage)
        stock = opened(tmp_path)
        found = [await stock.find(key(number)) for number in range(300)]
        assert not any(found) or damage == "cut"
        for number in range(300, 310):
            stock.keep(row(number))
        await settled(stock)
        stock.close()
        stock = opened(tmp_path)
        assert await stock.find(key(309)), "a new one has begun"
        stock.close()

    asyncio.run(main())


def test_a_folder_that_cannot_be_written_makes_misses(tmp_path: Path) -> None:
    async def main() -> None:
        gone = tmp_path / "gone"
        stock = opened(gone)
        stock.keep(row(1))
        assert await stock.find(key(1)), "memory has it"
        assert await stock.find(key(2)) is None
        with pytest.raises(StoreFailed, match="cannot be written"):
            await stock.purge()
        assert stock.near(key(1)) is None
        assert stock.holding().dropped == 1
        gone.mkdir()
        stock.keep(row(3))
        await settled(stock)
        assert stock.holding().disk_entries == 1
        stock.close()

    asyncio.run(main())


def test_the_last_of_the_disk_is_left_to_the_ledger(tmp_path: Path) -> None:
    async def main() -> None:
        stock = opened(tmp_path, spare_bytes=1 << 60)
        stock.keep(row(1))
        await settled(stock)
        assert stock.holding().dropped == 1
        assert stock.near(key(1))
        stock.close()

    asyncio.run(main())


def test_a_full_disk_makes_misses_until_there_is_room(small_disk: Path) -> None:
    async def main() -> None:
        stock = opened(small_disk, memory_bytes=0)
        stock.keep(row(1))
        await settled(stock)
        ballast = fill_up(small_disk)
        for number in range(2, 60):
            stock.keep(row(number, size=100_000))
        await settled(stock)
        assert stock.holding().dropped > 0
        assert await stock.find(key(1))
        ballast.unlink()
        stock.keep(row(100))
        await settled(stock)
        assert await stock.find(key(100))
        stock.close()

    asyncio.run(main())


def test_a_file_that_does_not_answer_is_left_alone_for_a_while(tmp_path: Path) -> None:
    here, held, hangs = threading.current_thread(), threading.Event(), threading.Event()

    def now() -> int:
        """Hang as on a dead disk: the thread, at its first sweep."""
        if threading.current_thread() is not here and not held.is_set():
            hangs.set()
            held.wait(10)
        return NOW

    async def main() -> None:
        stock = opened(tmp_path)
        stock.keep(row(1))
        stock.close()
        stock = opened(tmp_path, now, wait_s=0.05, rest_s=60)
        assert hangs.wait(10)
        assert await stock.find(key(1)) is None
        held.set()
        await settled(stock)
        assert await stock.find(key(1)) is None, "it rests"
        stock.close()

    asyncio.run(main())


def test_killed_while_it_writes_it_is_whole(tmp_path: Path) -> None:
    for life in range(4):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.ledger.child_stock", tmp_path, str(life)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert child.stdout is not None
        certain = [int(child.stdout.readline()) for _ in range(5 + 40 * life)]
        child.kill()
        child.wait()
        child.stdout.close()

        async def look(certain: list[int]) -> None:
            stock = opened(tmp_path)
            for number in certain:
                assert await stock.find(key(number)), number
            stock.close()

        asyncio.run(look(certain))
        db = sqlite3.connect(tmp_path / NAME)
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        db.close()
