"""What all tests share."""

import gc
from contextlib import suppress

import pytest

with suppress(ImportError):  # the clients' environment has no hypothesis
    from hypothesis import settings

    # No test asks how long something takes: on a busy machine that says nothing.
    settings.register_profile("house", deadline=None)
    settings.load_profile("house")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave twenty thousand collected tests out of each collection that a test asks for."""
    gc.collect()
    gc.freeze()
