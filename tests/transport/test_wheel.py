"""One timer for all: it turns while something waits, and forgives its own lateness."""

import asyncio
import time

from octoplex.transport.wheel import LATE_S, Wheel
from tests.transport.asking import until
from tests.transport.conftest import Run


class Item:
    def __init__(self, wheel: Wheel, expires_at: float, deadline_at: float = 1e9) -> None:
        self.expires_at, self.deadline_at = expires_at, deadline_at
        self.wheel, self.expired_at = wheel, 0.0
        wheel.add(self)

    def expire(self, now: float) -> None:
        self.expired_at = now
        self.wheel.discard(self)


def test_a_time_is_met_and_never_early(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        wheel = Wheel(loop)
        one = Item(wheel, loop.time() + 0.1)
        two = Item(wheel, 1e9, loop.time() + 0.2)
        await until(lambda: not wheel.waiting)
        assert one.expired_at >= one.expires_at
        assert two.expired_at >= two.deadline_at
        await until(lambda: wheel._timer is None)
        three = Item(wheel, 0.0)
        await until(lambda: three.expired_at > 0)

    run(main())


def test_a_blocked_loop_blames_nobody(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        wheel = Wheel(loop)
        item = Item(wheel, loop.time() + 0.1)
        time.sleep(LATE_S + 0.2)  # noqa: ASYNC251 - this is the fault
        due_at = wheel._due_at
        await until(lambda: wheel._due_at > due_at)
        assert item.expired_at == 0
        await until(lambda: item.expired_at > 0)

    run(main())
