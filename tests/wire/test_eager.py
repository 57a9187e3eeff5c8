"""A coroutine without a task: what it may wait for, how it is cancelled, when it becomes one."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from msgspec import Struct

from octoplex.wire.eager import Bell, Eager, in_task


class Rung(Struct, Bell, eq=False):
    told: Callable[[], object] | None = None
    _asyncio_future_blocking: bool = False
    _cancelled: tuple[object, ...] | None = None


class Seen:
    def __init__(self) -> None:
        self.steps: list[object] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.loop = asyncio.get_running_loop()
        self.strays: list[object] = []
        self.loop.set_exception_handler(lambda _, context: self.strays.append(context))

    def start(self, coro: Coroutine[Any, Any, None]) -> Eager:
        eager = Eager(coro, self.loop, self.tasks)
        self.loop.call_soon(eager.run)  # as a protocol does it: outside any task
        return eager

    def wake(self, bell: Rung) -> None:
        self.loop.call_soon(bell.wake)

    async def waiting(self, *things: Any) -> None:
        try:
            for thing in things:
                await thing
                self.steps.append(asyncio.current_task() is not None)
        except asyncio.CancelledError as error:
            self.steps.append(error.args)
            raise


async def turns() -> None:
    """Let everything happen that is due."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_it_runs_at_once_and_on_every_wake_without_a_task() -> None:
    async def main() -> None:
        seen, bell = Seen(), Rung()
        seen.start(seen.waiting(bell, bell))
        await turns()
        assert seen.steps == []
        seen.wake(bell)
        await turns()
        assert seen.steps == [False]
        seen.wake(bell)
        seen.wake(bell)  # nobody waits any more
        await turns()
        assert (seen.steps, seen.tasks, seen.strays) == ([False, False], set(), [])

    asyncio.run(main())


def test_it_becomes_a_task_for_anything_else_and_stays_one() -> None:
    async def main() -> None:
        seen, bell, future = Seen(), Rung(), asyncio.get_running_loop().create_future()
        seen.start(seen.waiting(future, bell, asyncio.sleep(0)))
        await turns()
        (task,) = seen.tasks
        future.set_result(None)
        await turns()
        bell.wake()
        await task
        assert seen.steps == [True, True, True]
        assert not seen.tasks

    asyncio.run(main())


@pytest.mark.parametrize("early", [True, False])
def test_in_task_gives_it_a_current_task(early: bool) -> None:
    async def main() -> None:
        seen, bell = Seen(), Rung()

        async def work() -> None:
            if not early:
                await bell
            await in_task()
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
                seen.steps.append(asyncio.current_task() is not None)

        seen.start(work())
        await turns()
        seen.wake(bell)
        await turns()
        assert seen.steps == [True]

    asyncio.run(main())


@pytest.mark.parametrize("words", [(), ("stopped",)])
def test_a_cancellation_arrives_where_it_waits(words: tuple[str, ...]) -> None:
    async def main() -> None:
        seen, bell = Seen(), Rung()
        eager = seen.start(seen.waiting(bell))
        await turns()
        eager.cancel(*words)
        bell.wake()
        eager.cancel(*words)
        assert (seen.steps, seen.strays) == ([words], [])

    asyncio.run(main())


@pytest.mark.parametrize("words", [(), ("stopped",)])
def test_a_cancellation_arrives_in_its_task(words: tuple[str, ...]) -> None:
    async def main() -> None:
        for wait_for_bell in (True, False):
            seen, bell = Seen(), Rung()
            last = bell if wait_for_bell else asyncio.Event().wait()
            eager = seen.start(seen.waiting(asyncio.sleep(0), last))
            await turns()
            (task,) = seen.tasks
            eager.cancel(*words)
            await asyncio.wait([task])
            assert task.cancelled()
            assert seen.steps == [True, words]

    asyncio.run(main())


@pytest.mark.parametrize("words", [(), ("stopped",)])
def test_a_cancellation_before_its_tasks_first_step_arrives_too(words: tuple[str, ...]) -> None:
    """It became a task and its caller left in the same turn of the loop."""

    async def main() -> None:
        seen, future = Seen(), asyncio.get_running_loop().create_future()
        eager = seen.start(seen.waiting(future))
        seen.loop.call_soon(partial(eager.cancel, *words))
        await turns()
        assert (seen.steps, seen.tasks, seen.strays) == ([words], set(), [])

    asyncio.run(main())


def test_a_task_that_was_cancelled_leaves_no_cycle() -> None:
    async def main() -> None:
        seen = Seen()
        gc.collect()
        for _ in range(10):
            eager = seen.start(seen.waiting(seen.loop.create_future()))
            await turns()
            eager.cancel()
            await turns()
        del eager
        assert gc.collect() == 0

    asyncio.run(main())


def test_one_that_runs_is_cancelled_where_it_waits_next() -> None:
    async def main() -> None:
        seen, bell = Seen(), Rung()
        box: list[Eager] = []

        async def work() -> None:
            box[0].cancel()
            await seen.waiting(bell)

        box.append(Eager(work(), seen.loop, seen.tasks))
        box[0].run()
        assert seen.steps == []
        await asyncio.sleep(0)
        assert seen.steps == [()]

    asyncio.run(main())


def test_a_defect_is_told_to_the_loop() -> None:
    async def main() -> None:
        seen, bell = Seen(), Rung()

        async def work() -> None:
            await bell
            raise ValueError("canary")

        seen.start(work())
        await turns()
        bell.wake()
        assert "canary" in repr(seen.strays)

    asyncio.run(main())


def test_a_task_waits_for_a_bell_as_for_a_future() -> None:
    async def main() -> None:
        seen, bell = Seen(), Rung()
        task = asyncio.create_task(seen.waiting(bell, bell))
        for _ in range(2):
            await turns()
            bell.wake()
        await task
        assert seen.steps == [True, True]

    asyncio.run(main())
