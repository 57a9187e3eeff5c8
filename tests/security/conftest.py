"""These tests run as those of the server do."""

from tests.server.conftest import run

__all__ = ["run"]
