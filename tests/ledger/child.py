"""A process that keeps a ledger until it is killed: `python child.py FOLDER SEED`.

It prints a line per thing that is certain: what was reserved, at once, and after a drain
what was settled. The parent kills it at a moment of its choosing and compares.
"""

import asyncio
import random
import sys
import time

from octoplex.ledger import Book, Hold, Order, Record, open_store, request_ids
from octoplex.ledger.period import DAY_MS
from octoplex.wire.event import Usage


def main(folder: str, seed: int) -> None:
    dice, new_id = random.Random(seed), request_ids()
    store = open_store(folder)
    book = Book(store, store.balances_now())
    holds: list[Hold] = []
    print("open", flush=True)
    while True:
        settled = []
        for _ in range(dice.randint(1, 300)):
            at_ms = time.time_ns() // 1_000_000 - dice.choice([0, DAY_MS])
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
        lines += [f"held {h.order.request_id} {h.order.nano}" for h in holds]
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
