"""A home folder and a scripted provider for every test of the shell."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell import Home, Mocked, mocked, providers

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as below nohup; commands inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def mock() -> Iterator[Mocked]:
    with mocked() as mock:
        yield mock


@pytest.fixture
def bare(tmp_path: Path) -> Home:
    """A home without a file."""
    return Home(tmp_path)


@pytest.fixture
def home(tmp_path: Path, mock: Mocked) -> Home:
    """A home whose file names the mock."""
    home = Home(tmp_path)
    home.config(providers(mock))
    return home
