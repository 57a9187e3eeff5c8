"""Something that is looked at again and again beside all requests, whatever goes wrong.

async with looking(watch.look, 1.0, "rules cannot be looked at now"):
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

log = logging.getLogger("octoplex.jobs")


@asynccontextmanager
async def looking(
    look: Callable[[], Awaitable[None]], every_s: float, complaint: str
) -> AsyncIterator[None]:
    """Look from now on; what goes wrong is told when it begins, and the next look comes anyhow."""
    task = asyncio.get_running_loop().create_task(_look(look, every_s, complaint))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _look(look: Callable[[], Awaitable[None]], every_s: float, complaint: str) -> None:
    problem = ""
    while True:
        before, problem = problem, ""
        try:
            await look()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may fare better
            problem = f"{type(error).__name__}: {error}"
            if problem != before:
                log.error("%s: %s", complaint, problem)
        await asyncio.sleep(every_s)
