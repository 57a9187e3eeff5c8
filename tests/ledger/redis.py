"""A real Redis for tests: in a folder and on a port of its own, with a password.

    with Server() as server:
        address = server.address()     # its keys begin as no other test's do
        server.kill(); server.start()
        server.hang(); server.go_on()

It keeps nothing on the disk: what is killed has forgotten everything.
"""

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from octoplex.ledger.redis.address import Address

PASSWORD = "canary-redis-password"
START_S = 30.0


async def until(holds: Callable[[], object], within_s: float = 15.0) -> None:
    """Wait until it does."""
    end_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_at, "it never came to hold"
        await asyncio.sleep(0.005)


class Server:
    """One Redis without a disk. Killed and begun anew as tests like; gone at the end."""

    def __init__(self) -> None:
        found = shutil.which("redis-server")
        if found is None:
            pytest.skip("Redis is not installed (no redis-server); `make test` does it")
        pytest.importorskip("redis", reason="the extra `redis` is not installed")
        self._binary = found
        self._folder = Path(tempfile.mkdtemp(prefix="octoplex-redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self.password = PASSWORD
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def address(self, prefix: str = "") -> Address:
        """Where it is, with a prefix that nobody else has."""
        prefix = prefix or f"test-{next(self._numbers)}:"
        return Address(
            host="127.0.0.1", port=self.port, password=lambda: self.password, prefix=prefix
        )

    def url(self) -> str:
        """For an environment: the password is in it."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self, *settings: str) -> None:
        """Start, empty, and wait until it answers. `settings` are words of its command line."""
        with (self._folder / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [
                    *(self._binary, "--port", str(self.port), "--bind", "127.0.0.1"),
                    *("--requirepass", self.password, "--dir", str(self._folder)),
                    *("--save", "", "--appendonly", "no", *settings),
                ],
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        until_at = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "said").read_text()
            assert time.monotonic() < until_at
            time.sleep(0.01)

    def kill(self) -> None:
        """As a machine dies; all that it had is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_S)
            self._process = None

    def hang(self) -> None:
        """Connections stay, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After `hang`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def do(self, *words: str | bytes) -> object:
        """One command, as an administrator."""
        import redis

        with redis.Redis(
            host="127.0.0.1", port=self.port, password=self.password, socket_timeout=START_S
        ) as client:
            return client.execute_command(*words)

    def _answers(self) -> bool:
        import redis

        try:
            return bool(self.do("PING"))
        except redis.RedisError:
            return False
