"""One of several hosts: `python child_hosts.py FOLDER SEED URL PASSWORD STARTED_S`.

It asks as much as its budgets let it, of which one is for a minute that lasts a second here, until
a line comes in. The parent kills it at any moment.
"""

import asyncio
import random
import sys
import time

from octoplex.ledger import Book, Cap, Order, request_ids
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.store import open_postgres
from octoplex.wire.error import OverBudget, StoreFailed
from octoplex.wire.event import Usage

MINUTE, TOTAL, MOST = 20_000, 150_000, 700
BEGAN_MS = 60_000 * 20_000_000
AT_ONCE = 12


def now_ms(started_s: float) -> int:
    """Sixty times as fast as the world."""
    return BEGAN_MS + int((time.time() - started_s) * 60_000)


async def main(folder: str, seed: int, url: str, password: str, started_s: float) -> None:
    dice, new_id = random.Random(seed), request_ids()
    store = open_postgres(folder, Database(url, lambda: password))
    book = Book(store, store.balances_now(), store.minutes_now, store.till)
    book.limit("k", [Cap("total", TOTAL)], "acme.web")
    book.limit_tenant("acme", [Cap("minute", MINUTE)])
    print("open", flush=True)

    stopped = asyncio.Event()

    async def ask() -> None:
        while not stopped.is_set():
            at_ms, nano = now_ms(started_s), dice.randint(1, MOST)
            made = Order(new_id(), 1, at_ms, "k", "k", "", "p", "m", "v", nano, "acme.web")
            try:
                hold = book.hold(made) or await book.wait(made, 0.2)
            except (OverBudget, StoreFailed):
                await asyncio.sleep(0.05)
                continue
            print(".", end="", flush=True)
            await asyncio.sleep(dice.random() * 0.02)
            paid = nano if dice.random() < 0.5 else dice.randint(0, nano)
            hold.settle(paid, Usage(1, 1), "done")

    tasks = [asyncio.create_task(ask()) for _ in range(AT_ONCE)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    stopped.set()
    await asyncio.gather(*tasks)
    store.close()


if __name__ == "__main__":
    words = sys.argv[1:]
    asyncio.run(main(words[0], int(words[1]), words[2], words[3], float(words[4])))
