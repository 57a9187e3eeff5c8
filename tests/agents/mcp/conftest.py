"""`run` plays a coroutine of a test in a fresh event loop."""

from tests.server.conftest import run

__all__ = ["run"]
