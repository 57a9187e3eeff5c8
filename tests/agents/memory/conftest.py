"""Both stores; every test has owners of its own, so one database serves all."""

import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from octoplex.agents.memory.facts import Facts
from octoplex.agents.memory.file import open_file
from octoplex.agents.memory.postgres import PostgresFacts
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.store import open_postgres
from tests.ledger.conftest import postgres  # noqa: F401
from tests.ledger.postgres import Server

Open = Callable[[], Facts]
"""Opens the same store once more, as another process would."""
NUMBERS = count(1)


@pytest.fixture(scope="session")
def tables(postgres: Server) -> Database:  # noqa: F811
    """A database in which a gateway has been."""
    database = Database(postgres.database(), lambda: postgres.password)
    with tempfile.TemporaryDirectory() as data:
        open_postgres(Path(data), database).close()
    return database


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    if request.param == "sqlite":
        yield lambda: open_file(tmp_path)
    else:
        found: Database = request.getfixturevalue("tables")
        yield lambda: PostgresFacts(found)


@pytest.fixture
def owner() -> str:
    return f"tenant t{next(NUMBERS)}"
