"""Tests that are coroutines run in a loop of their own, for at most 30 s, and leave no task."""

import asyncio
import inspect
from typing import Any

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine; other tests run as they do."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments: dict[str, Any] = {name: pyfuncitem.funcargs[name] for name in names}

    async def watched() -> None:
        await asyncio.wait_for(pyfuncitem.obj(**arguments), 30)
        for _ in range(100):
            if len(asyncio.all_tasks()) == 1:
                return
            await asyncio.sleep(0.01)
        pytest.fail(f"tasks were left: {asyncio.all_tasks()}")

    asyncio.run(watched())
    return True
