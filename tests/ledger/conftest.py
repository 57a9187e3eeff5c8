"""Stores to test, and a disk that fills up. A further store passes the same suite."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from octoplex.ledger import Store, open_store
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.store import open_postgres
from tests.ledger.postgres import Server
from tests.ledger.redis import Server as RedisServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One for all tests of a worker; each takes a database of its own."""
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One for all tests of a worker that leave it as it is; each takes a prefix of its own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """One that the test may kill."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def database(postgres: Server) -> Database:
    return Database(postgres.database(), lambda: postgres.password)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        opened: Store = open_store(tmp_path / "data")
    else:
        opened = open_postgres(tmp_path / "data", request.getfixturevalue("database"))
    yield opened
    opened.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("mounting a small disk needs root")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", "size=4m", "octoplex-test", disk])
    if made.returncode:
        pytest.skip("no tmpfs may be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill_up(disk: Path) -> Path:
    """Leave no room on a small disk; deleting this file is the disk having room again."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return ballast
