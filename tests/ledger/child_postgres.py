"""`child.py` on a PostgreSQL: `python child_postgres.py FOLDER SEED URL PASSWORD`.

It prints what is certain as it goes on; the parent kills it, or the database under it.
"""

import asyncio
import random
import sys
import time

from octoplex.ledger import Book, Hold, Order, Record, request_ids
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.store import open_postgres
from octoplex.wire.event import Usage


def main(folder: str, seed: int, url: str, password: str) -> None:
    dice, new_id = random.Random(seed), request_ids()
    store = open_postgres(folder, Database(url, lambda: password))
    book = Book(store, store.balances_now(), store.minutes_now)
    holds: list[Hold] = []
    print("open", flush=True)
    while True:
        settled = []
        for _ in range(dice.randint(1, 120)):
            at_ms = time.time_ns() // 1_000_000
            key = f"k{dice.randint(0, 3)}"
            made = Order(new_id(), 1, at_ms, key, key, "", "p", "m", "v", dice.randint(1, 10**6))
            hold = book.hold(made)
            assert hold is not None
            holds.append(hold)
            print(f"noted {made.request_id} {made.nano}", flush=True)
            if dice.random() < 0.8:
                hold = holds.pop(dice.randrange(len(holds)))
                nano = dice.randint(0, hold.order.nano)
                hold.settle(nano, Usage(nano, 1), "done")
                settled.append((hold.order.request_id, nano))
            store.record(Record(made.request_id, at_ms))
        assert asyncio.run(store.drain())
        lines = [f"settled {id_} {nano}" for id_, nano in settled]
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
