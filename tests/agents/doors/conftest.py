"""What the tests of these doors share with those of the server."""

from tests.server.conftest import Run, run

__all__ = ["Run", "run"]
