"""Responses that are kept for their callers: one suite for every store, then SQLite's own."""

import asyncio
import contextlib
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from octoplex.ledger import Store, open_store
from octoplex.ledger.folder import Folder
from octoplex.ledger.period import DAY_MS
from octoplex.ledger.shelf import NAME, Bounds, SqliteShelf
from octoplex.wire.error import BadConfig, StoreFailed
from tests.ledger.conftest import fill_up
from tests.ledger.kept import BODY, INPUT, row

ROOT = Path(__file__).parents[2]
PLENTY = Bounds(spare_bytes=0)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "data")
    made.lock()
    yield made
    made.unlock()


# -- every store ------------------------------------------------------------------------------


def test_what_was_kept_is_found_at_once_and_as_it_was(store: Store) -> None:
    async def main() -> None:
        shelf = store.responses
        for number in range(200):
            kept = row(number, origin="openai", whole=bool(number % 2), items=(f"msg_{number}",))
            shelf.keep(kept)
            found = await shelf.find("k", kept.id)
            assert found == row(number, origin="openai", whole=bool(number % 2))
        assert store.condition().responses_dropped == 0

    asyncio.run(main())


def test_another_keys_response_is_as_absent_as_none(store: Store) -> None:
    async def main() -> None:
        shelf = store.responses
        shelf.keep(row(1, items=("msg_1",)))
        for key in ("other", "", "K", "k "):
            assert await shelf.find(key, "resp_1") is None
            assert await shelf.holding(key, ["msg_1"]) == []
            assert not await shelf.forget(key, "resp_1")
        assert await shelf.find("k", "resp_1")
        assert await shelf.known(["resp_1", "msg_1", "msg_2", "' or 1"]) == {"resp_1", "msg_1"}

    asyncio.run(main())


def test_one_id_may_belong_to_two_keys(store: Store) -> None:
    async def main() -> None:
        shelf = store.responses
        shelf.keep(row(1, model="mine"))
        shelf.keep(row(1, key_id="other", model="theirs"))
        shelf.keep(row(1, model="mine, again"))
        mine, theirs = await shelf.find("k", "resp_1"), await shelf.find("other", "resp_1")
        assert (mine and mine.model, theirs and theirs.model) == ("mine, again", "theirs")
        assert await shelf.forget("k", "resp_1")
        assert await shelf.find("other", "resp_1")

    asyncio.run(main())


def test_items_lead_to_the_response_they_first_came_with(store: Store) -> None:
    async def main() -> None:
        shelf = store.responses
        shelf.keep(row(1, items=("msg_a", "msg_b")))
        shelf.keep(row(2, items=("msg_c",)))
        found = await shelf.holding("k", ["msg_c", "msg_a", "msg_b", "msg_none"])
        assert [kept.id for kept in found] == ["resp_2", "resp_1"]
        assert await shelf.holding("k", []) == []

    asyncio.run(main())


def test_a_deleted_response_is_gone_but_its_id_is_not_free(store: Store) -> None:
    async def main() -> None:
        shelf = store.responses
        shelf.keep(row(1, items=("msg_1",)))
        assert await shelf.forget("k", "resp_1")
        assert not await shelf.forget("k", "resp_1")
        assert await shelf.find("k", "resp_1") is None
        assert await shelf.holding("k", ["msg_1"]) == []
        assert await shelf.known(["resp_1", "msg_1"]) == {"resp_1", "msg_1"}

    asyncio.run(main())


def test_nothing_is_asked_of_what_nobody_began(store: Store) -> None:
    async def main() -> None:
        shelf = store.responses
        assert await shelf.find("k", "resp_1") is None
        assert await shelf.known(["resp_1"]) == set()
        assert not await shelf.forget("k", "resp_1")
        shelf.keep_for(0)
        shelf.keep(row(1))
        assert await shelf.find("k", "resp_1") is None

    asyncio.run(main())


def test_days_at_zero_delete_what_is_there(store: Store) -> None:
    async def main() -> None:
        shelf = store.responses
        shelf.keep(row(1))
        assert await shelf.find("k", "resp_1")
        shelf.keep_for(0)
        assert await shelf.find("k", "resp_1") is None
        shelf.keep_for(30)
        assert await shelf.find("k", "resp_1") is None
        assert await shelf.known(["resp_1"]) == set()

    asyncio.run(main())


def test_responses_outlive_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for number in range(50):
        store.responses.keep(row(number))
    store.close()
    store = open_store(tmp_path)
    assert asyncio.run(store.responses.find("k", "resp_49")) == row(49)
    assert asyncio.run(store.responses.forget("k", "resp_49"))
    store.close()
    store = open_store(tmp_path)
    assert asyncio.run(store.responses.find("k", "resp_49")) is None
    assert asyncio.run(store.responses.find("k", "resp_48"))
    store.close()


# -- SQLite -----------------------------------------------------------------------------------


def test_there_is_no_file_until_something_is_kept(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    asyncio.run(store.responses.known(["x"]))
    assert not (tmp_path / NAME).exists()
    store.responses.keep(row(1))
    store.close()
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_retention_deletes_what_is_too_old_and_gives_the_room_back(folder: Folder) -> None:
    now = 1_800_000_000_000

    async def main() -> None:
        shelf = SqliteShelf(folder, PLENTY, lambda: now)
        for number in range(300):
            age_ms = (number % 3) * 20 * DAY_MS
            body = random.Random(number).randbytes(20_000)
            shelf.keep(row(number, created_at_ms=now - age_ms, body=body, items=(f"i_{number}",)))
        assert await shelf.find("k", "resp_1")  # 20 days
        assert await shelf.find("k", "resp_2") is None  # 40 days, though not yet swept
        assert await shelf.sweep() == 100
        assert await shelf.known(["resp_2", "i_2"]) == set()
        assert await shelf.known(["resp_1", "i_1"]) == {"resp_1", "i_1"}
        full = (folder.path / NAME).stat().st_size
        shelf.keep_for(10)
        assert await shelf.find("k", "resp_1") is None
        assert await shelf.find("k", "resp_0")
        await shelf.sweep()
        assert await shelf.known(["resp_1"]) == set()
        shelf.keep_for(0)
        await shelf.sweep()
        shelf.close()
        assert (folder.path / NAME).stat().st_size < full / 10

    asyncio.run(main())


def test_the_sweep_needs_nobody_to_ask_for_it(folder: Folder) -> None:
    now = 1_800_000_000_000
    shelf = SqliteShelf(folder, PLENTY, lambda: now)
    for number in range(200):
        shelf.keep(row(number, created_at_ms=now))
    assert asyncio.run(shelf.known(["resp_0"]))
    shelf.close()
    later = SqliteShelf(folder, Bounds(spare_bytes=0, sweep_s=0.01), lambda: now + 31 * DAY_MS)

    async def main() -> None:
        end_at = time.monotonic() + 10
        while await later.known([f"resp_{number}" for number in range(200)]):
            assert time.monotonic() < end_at

    asyncio.run(main())
    later.close()


@pytest.mark.parametrize("end", ["deleted", "expired"])
def test_nothing_of_a_deleted_response_stays_on_the_disk(folder: Folder, end: str) -> None:
    # Packed text would not be found anyhow; noise is stored as it is.
    canary = random.Random(1).randbytes(60_000)
    now = [1_800_000_000_000]

    def found() -> bool:
        return any(canary[30_000:30_100] in path.read_bytes() for path in folder.path.iterdir())

    async def main() -> None:
        shelf = SqliteShelf(folder, PLENTY, lambda: now[0])
        shelf.keep(row(1, created_at_ms=now[0], body=canary, input=INPUT))
        shelf.keep(row(2, created_at_ms=now[0]))
        assert await shelf.find("k", "resp_1")
        assert found()
        if end == "deleted":
            await shelf.forget("k", "resp_1")
        else:
            now[0] += 31 * DAY_MS
            await shelf.sweep()
        assert not found()
        shelf.close()
        assert not found()

    asyncio.run(main())


def test_one_that_is_too_large_is_dropped_and_counted(folder: Folder) -> None:
    async def main() -> None:
        shelf = SqliteShelf(folder, Bounds(spare_bytes=0, row_bytes=10_000))
        shelf.keep(row(1, body=b"x" * 10_000))
        shelf.keep(row(2))
        assert await shelf.find("k", "resp_1") is None
        assert await shelf.known(["resp_1"]) == {"resp_1"}
        assert await shelf.find("k", "resp_2")
        assert shelf.dropped == 1
        shelf.close()

    asyncio.run(main())


def test_what_waits_is_bounded(folder: Folder) -> None:
    async def main() -> None:
        shelf = SqliteShelf(folder, Bounds(spare_bytes=0, queue_bytes=50_000))
        for number in range(2_000):
            shelf.keep(row(number, body=b"x" * 5_000))
        assert shelf.dropped > 0
        dropped = shelf.dropped
        assert await shelf.find("k", "resp_0")
        kept = await shelf.known([f"resp_{number}" for number in range(2_000)])
        assert len(kept) == 2_000 - dropped
        shelf.keep(row(5_000))  # there is room again
        assert await shelf.find("k", "resp_5000")
        shelf.close()

    asyncio.run(main())


def test_the_last_of_the_disk_is_left_to_the_ledger(folder: Folder) -> None:
    async def main() -> None:
        shelf = SqliteShelf(folder, Bounds(spare_bytes=1 << 60))
        shelf.keep(row(1))
        assert await shelf.find("k", "resp_1") is None
        assert shelf.dropped == 1
        shelf.close()

    asyncio.run(main())


def test_a_row_that_cannot_be_written_takes_no_other_with_it(folder: Folder) -> None:
    async def main() -> None:
        shelf = SqliteShelf(folder, PLENTY)
        for number in range(10):
            shelf.keep(row(number, model="\ud800" if number == 4 else "m"))
        found = [await shelf.find("k", f"resp_{number}") for number in range(10)]
        assert [number for number in range(10) if not found[number]] == [4]
        assert shelf.dropped == 1
        shelf.close()

    asyncio.run(main())


def test_a_damaged_file_is_put_aside_and_service_goes_on(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.responses.keep(row(1))
    store.close()
    (tmp_path / NAME).write_bytes(b"not a database" * 1000)
    store = open_store(tmp_path)
    store.responses.keep(row(2))
    assert asyncio.run(store.responses.find("k", "resp_2"))
    assert asyncio.run(store.responses.find("k", "resp_1")) is None
    assert len(list(tmp_path.glob(f"{NAME}.damaged-*"))) == 1
    store.close()


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.responses.keep(row(1))
    store.close()
    db = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    db.execute("insert into migrations values (99, 'later', 'x', 0)")
    db.close()
    for _ in range(2):  # and the lock was let go
        with pytest.raises(BadConfig, match="schema 99"):
            open_store(tmp_path)


def test_files_that_cannot_grow_drop_responses_and_recover(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.ledger.starve_shelf", tmp_path / "data"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "ok\n", done.stderr
    assert done.stderr.count("a response is not stored") == 1


def test_a_full_disk_drops_responses_and_recovers_without_restart(small_disk: Path) -> None:
    folder = Folder(small_disk / "data")
    folder.lock()
    noise = random.Random(1).randbytes(50_000)

    async def main() -> None:
        shelf = SqliteShelf(folder, PLENTY)
        shelf.keep(row(0))
        assert await shelf.find("k", "resp_0")
        ballast = fill_up(small_disk)
        for number in range(1, 21):
            shelf.keep(row(number, body=noise))
        assert await shelf.find("k", "resp_0"), "what is there can be read"
        assert await shelf.find("k", "resp_20") is None
        assert shelf.dropped > 0
        ballast.unlink()
        shelf.keep(row(30, body=noise))
        assert await shelf.find("k", "resp_30")
        shelf.close()

    asyncio.run(main())
    folder.unlock()
    db = sqlite3.connect(f"file:{small_disk}/data/{NAME}?mode=ro", uri=True)
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    db.close()


def test_a_killed_shelf_is_whole(tmp_path: Path) -> None:
    certain: set[str] = set()
    for life in range(4):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.ledger.child_shelf", tmp_path / "data", str(life)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        certain |= {child.stdout.readline().strip() for _ in range(40 + 30 * life)}
        child.kill()
        rest = child.stdout.read().split("\n")[:-1]  # the last line may be cut
        certain |= {line for line in rest if line}
        child.wait()
        child.stdout.close()
        store = open_store(tmp_path / "data")
        for id_ in certain:
            found = asyncio.run(store.responses.find("k", id_))
            assert found
            assert (found.body, found.input) == (BODY, INPUT)
        store.close()
        db = sqlite3.connect(f"file:{tmp_path}/data/{NAME}?mode=ro", uri=True)
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        strays = "select count(*) from items where seq not in (select seq from responses)"
        assert db.execute(strays).fetchone() == (0,)
        db.close()


def test_nobody_waits_for_a_shelf_that_was_closed(folder: Folder) -> None:
    async def main() -> None:
        shelf = SqliteShelf(folder, PLENTY)
        shelf.keep(row(1))
        asked = asyncio.ensure_future(shelf.find("k", "resp_1"))
        await asyncio.sleep(0)
        shelf.close()
        with contextlib.suppress(StoreFailed):
            assert await asyncio.wait_for(asked, 5)
        shelf.keep(row(2))
        assert await shelf.find("k", "resp_1") is None

    asyncio.run(main())
