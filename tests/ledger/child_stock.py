"""A process that keeps replies to be given again until it is killed.

It prints the number of every one that is certainly in the file.

    python -m tests.ledger.child_stock FOLDER LIFE
"""

import asyncio
import random
import sys
from pathlib import Path

from octoplex.ledger.rows import Kept
from octoplex.ledger.stock import Room
from octoplex.ledger.stock_disk import DiskStock
from tests.ledger.test_stock import NOW, key


async def main(folder: str, life: int) -> None:
    stock = DiskStock(Path(folder), Room(spare_bytes=0), lambda: NOW)
    dice = random.Random(life)
    number = life * 1_000_000
    while True:
        numbers = range(number, number := number + dice.randint(1, 40))
        for each in numbers:
            body = dice.randbytes(dice.randint(10, 20_000))
            stock.keep(Kept(key(each), "main", NOW, NOW + 60_000, 1, body))
        await stock.routes()
        print(number - 1, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
