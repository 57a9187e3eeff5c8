"""`run` plays a coroutine of a test in a fresh event loop and finds what it leaves behind."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

Run = Callable[[Coroutine[object, object, None]], None]


@pytest.fixture
def run() -> Run:
    """Run to the end, within a minute."""

    def play(main: Coroutine[object, object, None]) -> None:
        async def bounded() -> None:
            try:
                await asyncio.wait_for(main, 60)
            finally:
                main.close()

        asyncio.run(bounded())

    return play
