"""What all tests share."""

import gc

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave twenty thousand collected tests out of each collection that a test asks for."""
    gc.collect()
    gc.freeze()
