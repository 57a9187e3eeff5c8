"""Money in batches: what is open, what is written again, what is found."""

import asyncio
from pathlib import Path

import pytest

from octoplex.ledger import Order, Reader, Settlement, SpendQuery, open_store
from octoplex.ledger.accounts import CARRY
from octoplex.wire.event import Usage
from tests.ledger.faults import rollup, sums

DAY1 = 1_767_225_600_000


def order(number: int, attempt: int = 1) -> Order:
    id_ = f"req_{DAY1 + number * 100:011x}{number:016x}"
    return Order(id_, attempt, DAY1 + number, "k", "k", "", "p", "m", "v", 1_000)


def rows(folder: Path, table: str) -> int:
    with Reader(folder)._borrowed(folder / "ledger.db") as db:
        (count,) = db.execute(f"select count(*) from {table}").fetchone()
        db.close()
    return int(count)


def test_what_stays_open_is_carried_along_and_survives(tmp_path: Path) -> None:
    """Two that never end, many that end a commit later: few rows remain to be read."""
    store = open_store(tmp_path)
    accounts = store._files._accounts
    lasting = [order(1), order(2)]
    accounts.write(list(lasting))
    before: Order | None = None
    for number in range(10, 10 + 2 * CARRY):
        made = order(number)
        batch: list[Order | Settlement] = [made]
        if before is not None:
            batch.append(Settlement(before, 7, Usage(1, 2)))
        assert accounts.write(batch) == 0
        before = made
    assert rows(tmp_path, "opened") <= CARRY + 1
    assert rows(tmp_path, "attempts where state = 0") == 3
    assert accounts.write([Settlement(lasting[0], 9, Usage(1, 1))]) == 0
    assert accounts.write([Settlement(lasting[0], 9, Usage(1, 1))]) == 1
    (found,) = store.reader.attempts(lasting[1].request_id)
    assert (found["state"], found["reserved_nano"]) == ("reserved", 1_000)
    store.close()
    store = open_store(tmp_path)
    assert store.condition().lost == 2
    (found,) = store.reader.attempts(lasting[1].request_id)
    assert (found["state"], found["nano"], found["outcome"]) == ("settled", 1_000, "lost")
    assert sums(store.reader) == rollup(store.reader)
    assert rows(tmp_path, "opened") == 0
    store.close()


def test_attempts_of_a_request_are_found_in_their_batches(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    accounts = store._files._accounts
    first, second, open_ = order(5), order(5, 2), order(5, 3)
    accounts.write([first, order(4)])
    accounts.write([Settlement(first, 3, Usage(1, 1), "failed"), second])
    accounts.write([order(6), Settlement(second, 4, Usage(2, 2)), open_])
    found = store.reader.attempts(first.request_id)
    assert found == [r for r in store.reader.attempts() if r["request_id"] == first.request_id]
    assert [(r["attempt"], r["state"], r["nano"]) for r in found] == [
        (1, "settled", 3),
        (2, "settled", 4),
        (3, "reserved", 0),
    ]
    assert store.reader.attempts("nobody") == []
    store.close()


def test_a_settlement_without_its_reservation_is_written_once(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    accounts = store._files._accounts
    assert accounts.write([Settlement(order(1), 5)]) == 0
    assert accounts.write([Settlement(order(1), 5), Settlement(order(2), 6)]) == 1
    assert accounts.write([Settlement(order(3), 1), Settlement(order(3), 1)]) == 1
    assert asyncio.run(store.spend(SpendQuery())).total_nano == 12
    store.close()


def test_a_batch_that_failed_is_written_whole_the_next_time(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    accounts = store._files._accounts
    made = order(1)
    accounts.write([made])
    batch: list[Order | Settlement] = [order(2), Settlement(made, 5)]
    accounts._db.execute("pragma query_only = on")
    with pytest.raises(Exception, match="readonly"):
        accounts.write(batch)
    accounts._db.execute("pragma query_only = off")
    assert accounts.write(batch) == 0
    assert asyncio.run(store.spend(SpendQuery())).total_nano == 5
    assert rows(tmp_path, "attempts where state = 0") == 1
    store.close()
