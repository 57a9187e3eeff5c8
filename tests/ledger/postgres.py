"""A real PostgreSQL for tests: in a folder and on a port of its own, with a password.

    with Server() as server:
        url = server.database()        # a new, empty one; server.password opens it
        server.kill(); server.start()

PostgreSQL refuses root, so a test run as root hands the folder to another user.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

import pytest

PASSWORD = "canary-postgres-password"
START_S = 60.0
PLACES = ("/usr/local/bin", "/usr/local/pgsql/bin")


def binaries() -> Path | None:
    """The folder with initdb and postgres."""
    found = [Path(place) for place in PLACES]
    if (initdb := shutil.which("initdb")) is not None:
        found.append(Path(initdb).parent)
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    whole = (p for p in found if (p / "initdb").exists() and (p / "postgres").exists())
    return next(whole, None)


class Server:
    """One cluster. Killed and begun anew as tests like; gone with everything at the end."""

    def __init__(self) -> None:
        found = binaries()
        if found is None:
            pytest.skip("PostgreSQL is not installed (no initdb and postgres); `make test` does it")
        self._binaries = found
        self._user = _user()
        self._folder = Path(tempfile.mkdtemp(prefix="octoplex-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self.password = PASSWORD
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def __enter__(self) -> "Server":
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if self._user is not None:
            for path in (self._folder, secret):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        how = ["--username=octoplex", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync"]
        made = self._run("initdb", "-D", str(self._folder / "data"), "-E", "UTF8", *how)
        assert made.wait(START_S) == 0, made.stdout.read() if made.stdout else ""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, *settings: str) -> None:
        """Start, and wait until it answers."""
        places = ["-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1"]
        more = [word for setting in ("max_connections=60", *settings) for word in ("-c", setting)]
        self._process = self._run(
            "postgres", "-D", str(self._folder / "data"), "-p", str(self.port), *places, *more
        )
        until_at = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, self._said()
            assert time.monotonic() < until_at
            time.sleep(0.02)

    def stop(self) -> None:
        """As an administrator does: connections are told and closed."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As a machine dies: every process of it at once."""
        self._end(signal.SIGKILL)

    def hang(self) -> None:
        """Connections stay, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After `hang`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)  # first, so that it makes no others meanwhile
        while number == signal.SIGSTOP and _state(self._process.pid) not in "TZX":
            time.sleep(0.001)  # it may be making one just now
        seen: set[int] = set()
        # While some end, the kernel's list may leave out others.
        while new := set(_children(self._process.pid)) - seen:
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            seen |= new

    def database(self) -> str:
        """The URL of a new database, without the password."""
        name = f"octo_{next(self._numbers)}"
        self.sql("postgres", f"create database {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://octoplex@127.0.0.1:{self.port}/{name}"

    def sql(self, name: str, text: str) -> list[tuple[object, ...]]:
        """Run a statement, in a process of its own so that no loop is needed."""
        import asyncio

        import asyncpg

        async def run() -> list[tuple[object, ...]]:
            db = await asyncpg.connect(self.url(name), password=PASSWORD)
            try:
                return [tuple(row) for row in await db.fetch(text)]
            finally:
                await db.close()

        return asyncio.run(run())

    def tool(self, name: str, *words: str) -> None:
        """Run one of PostgreSQL's own programs as an administrator would."""
        beside = (self._binaries / "postgres").resolve().parent / name
        place = str(beside) if beside.exists() else shutil.which(name)
        if place is None:
            pytest.skip(f"{name} is not installed")
        env = {"PATH": os.environ["PATH"], "PGPASSWORD": self.password}
        subprocess.run([place, *words], env=env, check=True, timeout=START_S)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGSTOP if how == signal.SIGKILL else how)
            for pid in _children(self._process.pid) if how == signal.SIGKILL else ():
                os.kill(pid, signal.SIGKILL)
            if how == signal.SIGKILL:
                self._process.kill()
            self._process.wait(START_S)
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def _answers(self) -> bool:
        try:
            self.sql("postgres", "select 1")
        except Exception:  # noqa: BLE001 - not yet, whatever it says
            return False
        return True

    def _said(self) -> str:
        return (self._folder / "said").read_text()

    def _run(self, name: str, *words: str) -> "subprocess.Popen[bytes]":
        user = self._user
        with (self._folder / "said").open("ab") as said:
            return subprocess.Popen(
                [self._binaries / name, *words],
                stdout=said,
                stderr=said,
                cwd=self._folder,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self._folder)},
            )


def _state(pid: int) -> str:
    """As proc(5) has it: "T" of one that is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]


def _children(pid: int) -> list[int]:
    """The processes that it forked; each has a session of its own."""
    place = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in place.read_text().split()] if place.exists() else []


def _user() -> pwd.struct_passwd | None:
    """Whom to run it as; None is whoever we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("PostgreSQL refuses root, and there is neither a user postgres nor nobody")
