"""Where tasks are kept: a file, and a PostgreSQL of the test's own."""

from pathlib import Path

import pytest

from tests.ledger.conftest import postgres, small_disk
from tests.ledger.postgres import Server

__all__ = ["postgres", "small_disk"]


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | tuple[str, str]:
    """As it goes to another process; `place` makes of it what `Tasks.open` takes."""
    if request.param == "sqlite":
        return tmp_path / "tasks.db"
    server: Server = request.getfixturevalue("postgres")
    return server.database(), server.password
