"""What all tests share."""

import gc
import os
from contextlib import suppress

import pytest

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    # numpy reads it when it is imported: several threads wait for each other on a busy machine.
    os.environ.setdefault(_name, "1")

with suppress(ImportError):  # the clients' environment has no hypothesis
    from hypothesis import settings

    # No test asks how long something takes: on a busy machine that says nothing.
    settings.register_profile("house", deadline=None)
    settings.load_profile("house")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave twenty thousand collected tests out of each collection that a test asks for."""
    gc.collect()
    gc.freeze()
