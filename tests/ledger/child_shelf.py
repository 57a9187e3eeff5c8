"""A process that keeps responses until it is killed.

It prints the id of every one that was found again: those are certain.

    python -m tests.ledger.child_shelf FOLDER LIFE
"""

import asyncio
import random
import sys

from octoplex.ledger import open_store
from tests.ledger.kept import row


async def main(folder: str, life: int) -> None:
    shelf = open_store(folder).responses
    dice = random.Random(life)
    number = life * 1_000_000
    while True:
        for _ in range(dice.randint(1, 20)):
            number += 1
            shelf.keep(row(number, items=(f"msg_{number}", f"msg_{number + 1}")))
        if await shelf.find("k", f"resp_{number}"):
            print(f"resp_{number}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
