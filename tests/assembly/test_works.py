"""What lives as long as the process."""

import asyncio

from octoplex.assembly.works import Works
from octoplex.ledger.allowance import Left


class Shares:
    """Works whose database is slow: meanwhile a worker gives back what it was lent."""

    _shared = None

    def __init__(self) -> None:
        self.held = 447_000
        self.late: list[bool] = []
        self.book = self.desk = self

    async def spent(self, key_id: str) -> int:
        await asyncio.sleep(0)
        self.held = 0
        return 9_512_000

    async def look(self, *of: object) -> None: ...

    def figures(self, key_id: str) -> list[object]:
        return []

    def left(self, key_id: str, now_ms: int) -> list[Left]:
        asyncio.get_running_loop().call_soon(self.late.append, True)
        return [Left("day", 10_000_000, 9_512_000, self.held, "never", "")]


def test_nobody_waits_between_what_is_held_and_who_takes_off_what_is_lent() -> None:
    async def main() -> None:
        works = Shares()
        standing = await Works.standing(works, "app")  # type: ignore[arg-type]
        assert not works.late
        assert standing.budgets[0].left_nano == 488_000

    asyncio.run(main())
