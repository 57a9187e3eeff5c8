"""`run`: a coroutine in a fresh event loop, on uvloop and on asyncio, and what it leaves behind."""

from tests.transport.conftest import run

__all__ = ["run"]
