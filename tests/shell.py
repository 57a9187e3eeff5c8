"""Octoplex as its users start it: real processes, private folders, a scripted provider.

    home = Home(tmp_path)                       HOME, XDG and the data folder are inside
    run(home, "spend", "--json") -> Done        a command that ends
    with started(home, "serve", ...) as p:      one that runs until it is told to end
    with mocked(Script(...)) as mock:           a provider in a thread; `mock.app.book`

Everything has a deadline, and only what was started here is ended.
"""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from octoplex.server.mock import Mock, Script
from tests.server.nursery import PYTHON, nursery

DEADLINE_S = 30.0


def until(true: Callable[[], object], what: str = "it", limit_s: float = DEADLINE_S) -> None:
    """Look until it is so."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"{what} did not happen within {limit_s:g} s"
        time.sleep(0.01)


async def soon(true: Callable[[], object], limit_s: float = DEADLINE_S) -> None:
    """Look until it is so, in an event loop."""
    async with asyncio.timeout(limit_s):
        while not true():  # noqa: ASYNC110  # the provider lives in another thread
            await asyncio.sleep(0.01)


@dataclass
class Home:
    """A user's home with nothing in it, and the environment that leads there."""

    path: Path
    more: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        home = str(self.path)
        own = {
            "HOME": home,
            "XDG_CONFIG_HOME": f"{home}/config",
            "XDG_DATA_HOME": f"{home}/share",
            "PATH": os.environ["PATH"],
        }
        return own | self.more

    @property
    def data(self) -> Path:
        return self.path / "share" / "octoplex"

    def config(self, text: str, name: str = "octoplex.toml") -> Path:
        path = self.path / name
        path.write_text(text, encoding="utf-8")
        return path


@dataclass
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    def failed_with_a_sentence(self) -> str:
        assert self.status == 1, (self.status, self.out, self.err)
        assert "Traceback" not in self.err
        assert self.err.startswith("octoplex: "), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "octoplex", *words]


def run(home: Home, *words: str, stdin: str = "", status: int | None = None) -> Done:
    """Run a command to its end, in the home folder."""
    is_plain = not stdin and not any(name.startswith(PYTHON) for name in home.more)
    done = _forked(home, words) if is_plain else _begun(home, words, stdin)
    assert "Traceback" not in done.err, done.err
    if status is not None:
        assert done.status == status, done
    return done


def _begun(home: Home, words: Sequence[str], stdin: str) -> Done:
    done = subprocess.run(
        command(*words),
        env=home.env,
        cwd=home.path,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def _forked(home: Home, words: Sequence[str]) -> Done:
    """The same without the half second of CPU that importing takes."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        life = nursery().spawn(words, home.env, home.path, out, err)
        try:
            status = life.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            life.kill()
            raise
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode().replace("\r\n", "\n"))
    return Done(status, *said)


class Started:
    """A command that runs; its output so far is `out`."""

    def __init__(self, home: Home, words: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            command(*words),
            env={**home.env, "PYTHONUNBUFFERED": "1"},
            cwd=home.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._pieces: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while piece := os.read(self.process.stdout.fileno(), 65536):
            self._pieces.append(piece)

    @property
    def out(self) -> str:
        return b"".join(self._pieces).decode(errors="replace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            match = re.search(pattern, self.out, re.MULTILINE)
            assert match or self.process.poll() is None, f"ended without {pattern!r}:\n{self.out}"
            return match

        until(found, f"{pattern!r} in {self.out!r}")
        match = found()
        assert match is not None
        return match

    def end(self, sign: signal.Signals = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            status = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(DEADLINE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@contextlib.contextmanager
def started(home: Home, *words: str) -> Iterator[Started]:
    """Start a command, and end it."""
    process = Started(home, words)
    try:
        yield process
    finally:
        process.end()


@contextlib.contextmanager
def serving(home: Home, *words: str) -> Iterator[tuple[Started, str]]:
    """A server on a free port: the process and its URL."""
    with started(home, "serve", "--port", "0", *words) as process:
        url = process.wait_for(r"listening on (http://\S+)")[1]
        process.wait_for(r"(curl .*|No model can be asked.*)\n")
        yield process, url


class Mocked:
    """A scripted provider in a thread of this process."""

    def __init__(self, script: Script, key: str = "") -> None:
        self.app = Mock(script, key)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self.app, lifespan="off", ws="none", log_config=None, access_log=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        until(lambda: self._server.started, "the mock's start")

    def stop(self) -> None:
        self._server.force_exit = self._server.should_exit = True
        self._thread.join(DEADLINE_S)


@contextlib.contextmanager
def mocked(script: Script | None = None, key: str = "") -> Iterator[Mocked]:
    """Start one, and stop it."""
    mock = Mocked(script or Script(), key)
    mock.start()
    try:
        yield mock
    finally:
        mock.stop()


def providers(mock: Mocked) -> str:
    """Configuration of the mock in both dialects: `mock/NAME` and `anthro/NAME`."""
    return f"""
[providers.mock]
dialect = "openai-chat"
base_url = "{mock.url}/v1"
[providers.anthro]
dialect = "anthropic"
base_url = "{mock.url}"
[prices]
"mock/m" = {{ input = 1, output = 2 }}
[models.main]
try = ["mock/m"]
"""
