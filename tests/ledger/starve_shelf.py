"""A process whose files may not grow: a full disk without root.

Responses are dropped and counted while it lasts, money is written again as soon as there
is room. Prints `ok` when everything behaved.

    python -m tests.ledger.starve_shelf FOLDER
"""

import asyncio
import random
import sys

from octoplex.ledger import Book, SpendQuery, open_store
from octoplex.wire.event import Usage
from tests.ledger.kept import row
from tests.ledger.starve import FREE, limit, order

NOISE = random.Random(1).randbytes(20_000)


async def main(folder: str) -> None:
    store = open_store(folder)
    shelf, book = store.responses, Book(store)
    shelf.keep(row(0, body=NOISE))
    assert await shelf.find("k", "resp_0")
    limit(1_500_000)
    for number in range(1, 100):
        shelf.keep(row(number, body=NOISE))
    first = await shelf.find("k", "resp_0")
    assert first, "what is there can be read"
    assert first.body == NOISE
    dropped = store.condition().responses_dropped
    assert 0 < dropped < 99, dropped
    kept = await shelf.known([f"resp_{number}" for number in range(1, 100)])
    assert len(kept) == 99 - dropped
    limit(FREE)
    shelf.keep(row(200, body=NOISE))
    assert await shelf.find("k", "resp_200"), "did not recover"
    hold = book.hold(order(1, 10))
    assert hold is not None
    hold.settle(7, Usage(1, 1), "done")
    assert (await store.spend(SpendQuery())).total_nano == 7
    store.close()
    print("ok")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
