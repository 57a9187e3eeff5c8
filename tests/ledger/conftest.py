"""Stores to test. A further store joins the list and passes the same suite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from octoplex.ledger import SqliteStore, Store, open_store


def sqlite(path: Path) -> SqliteStore:
    return open_store(path / "data")


STORES = {"sqlite": sqlite}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = STORES[request.param](tmp_path)
    yield opened
    opened.close()
