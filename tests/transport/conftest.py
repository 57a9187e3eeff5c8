"""`run` plays a coroutine in a fresh event loop, on uvloop and on asyncio, and finds leaks."""

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine

import pytest
import uvloop

from tests.transport.asking import until

Run = Callable[[Coroutine[object, object, None]], None]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run to the end; then no task and no descriptor may be left."""
    make = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def play(main: Coroutine[object, object, None]) -> None:
        strays: list[str] = []

        async def watched() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: strays.append(repr(context)))
            before = descriptors()
            try:
                await asyncio.wait_for(main, 20)
            except BaseException:
                main.close()
                raise
            await until(lambda: len(asyncio.all_tasks()) == 1)
            gc.collect()
            await until(lambda: descriptors() <= before + 1)

        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(watched())
        assert not strays, strays

    return play
