"""A process whose files may not grow: `python starve.py FOLDER`. A full disk without root.

RLIMIT_FSIZE makes every write beyond the limit fail, as a full disk does; raising it
again is the disk having room. Prints `ok` when everything behaved.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Callable

from octoplex.ledger import Book, Order, Record, SpendQuery, SqliteStore, open_store
from octoplex.wire.error import StoreFailed
from octoplex.wire.event import Usage

FREE = resource.RLIM_INFINITY


def limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, FREE))


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def order(number: int, nano: int) -> Order:
    at_ms = time.time_ns() // 1_000_000
    return Order(f"req_{number:09}", 1, at_ms, "k", "k", "", "p", "m", "v", nano)


def fill(store: SqliteStore, book: Book) -> int:
    """Pay until the ledger refuses; how many calls were taken."""
    taken = 0
    limit(600_000)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            hold = book.hold(order(taken, 10))
        except StoreFailed as refused:
            assert refused.status == 503, refused  # noqa: PT017
            return taken
        assert hold is not None
        hold.settle(7, Usage(1, 1), "done")
        store.record(Record(hold.order.request_id, hold.order.at_ms))
        taken += 1
        time.sleep(0.0002)
    raise AssertionError("never refused")


def main(folder: str) -> None:
    store = open_store(folder)
    book = Book(store)
    taken = fill(store, book)
    free = book.hold(order(10**8, 0))
    assert free is not None, "what costs nothing goes on"
    free.settle(0, Usage(), "done")
    assert store.condition().refusal
    assert not asyncio.run(store.drain())
    limit(FREE)
    until(lambda: not store.condition().refusal, "did not recover")
    hold = book.hold(order(10**8 + 1, 10))
    assert hold is not None
    hold.settle(3, Usage(), "done")
    spent = asyncio.run(store.spend(SpendQuery())).total_nano
    assert spent == taken * 7 + 3 == book.settled_nano, (spent, taken)
    store.close()
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1])
