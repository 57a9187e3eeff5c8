"""Lives of `octoplex serve`, and of other commands, forked from a process that has imported it.

    life = nursery().spawn(["serve", "--config", path], env, folder, out, log)

What is run is the command as it is installed, from its first line; only the half second of CPU
that importing it takes is spent once for all tests of a process, instead of for each life.
An environment that changes how Python starts is not taken: such a life is a process of its own.
"""

import atexit
import gc
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO

from tests.test_house import ROOT

LONGEST = 1 << 18
PYTHON = "PYTHON"


class Life:
    """A process of the nursery, as `subprocess.Popen` would show it."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid, self._ended = pid, ended
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("octoplex serve", timeout or 0)
        return code

    def _look(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], timeout_s)[0]:
            said = os.read(self._ended, 16)
            os.close(self._ended)
            assert said, "the nursery is gone"
            self.returncode = int(said)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """One per process of the tests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._line, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.nursery", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd=ROOT,
            env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        )  # fmt: skip
        theirs.close()
        atexit.register(self.close)

    def spawn(
        self,
        args: Sequence[str],
        env: Mapping[str, str],
        folder: Path,
        out: BinaryIO,
        log: BinaryIO,
    ) -> Life:
        ended, tells = os.pipe()
        order = json.dumps([args, dict(env), str(folder)]).encode()
        with self._lock:
            socket.send_fds(self._line, [order], [out.fileno(), log.fileno(), tells])
            pid = int(self._line.recv(16))
        os.close(tells)
        return Life(pid, ended)

    def close(self) -> None:
        self._line.close()
        self._process.wait(10)


@cache
def nursery() -> Nursery:
    return Nursery()


def _tend(line: socket.socket) -> None:
    """Fork a life for each order, and tell of each end. Returns in every child, as that life."""
    import octoplex.assembly.works
    import octoplex.cli.serve
    import octoplex.server.serve
    import octoplex.server.supervisor.processes  # noqa: F401

    gc.freeze()  # what is shared is not looked through, so not copied, by each life at its end
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    lives: dict[int, int] = {}
    while True:
        ready = select.select([line, woken], [], [])[0]
        if woken in ready:
            woken.recv(4096)
            _bury(lives)
        if line in ready:
            order, given, *_ = socket.recv_fds(line, LONGEST, 3)
            if not order:
                for pid in lives:
                    os.kill(pid, signal.SIGKILL)
                sys.exit(0)
            pid = os.fork()
            if pid == 0:
                _be_born(order, given)
                return
            lives[pid] = given[2]
            for one in given[:2]:
                os.close(one)
            line.send(str(pid).encode())


def _bury(lives: dict[int, int]) -> None:
    while lives:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        tells = lives.pop(pid)
        os.write(tells, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(tells)


def _be_born(order: bytes, given: Sequence[int]) -> None:
    """Become what a new process would be: environment, folder, output, signals, chance."""
    args, env, folder = json.loads(order)
    os.dup2(given[0], 1)
    os.dup2(given[1], 2)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.closerange(3, 4096)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    time.tzset()
    random.seed()
    sys.argv = ["octoplex", *args]


if __name__ == "__main__":
    _tend(socket.socket(fileno=int(sys.argv[1])))
    from octoplex.cli import main

    main(prog_name="octoplex")
