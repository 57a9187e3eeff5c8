"""One run from its start to the last of its processes, in a thread of its own.

The thread starts the program, feeds nothing, reads what it writes, watches the clock and the
amounts, and ends the whole tree by ending the first process of its namespace. It must be the
thread that started it: the kernel ties the program's life to the thread, not to the process.

Not promised: memory that a watched run takes between two looks (`_LOOK_S`); where a cgroup
counts, nothing escapes it.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from functools import partial

import msgspec
from msgspec import Struct

from octoplex.sandbox.cgroup import Group
from octoplex.sandbox.launcher import REPORT
from octoplex.sandbox.watch import exceeds, free, is_scarce
from octoplex.sandbox.work import End, Outcome, Work

Hear = Callable[[int], bool]
"""Reads from a descriptor; whether more may come."""
_CHUNK = 65_536
_LOOK_S = 0.05
_GROUP_LOOK_S = 0.25
_END_S = 5.0


class Start(Struct, frozen=True, kw_only=True):
    """How work is started. Descriptors are ours; all of `passed` go to the program.

    `told_fd` brings the id of the namespace's first process (None: there is no namespace), one
    byte to `go_fd` lets it go on (None: it does not wait), `report_fd` brings the launcher's
    report, and `door` a listening socket of the inside, which `met` of the work is given. `end` is
    called before a program is ended that has not ended by itself.
    """

    work: Work
    argv: list[str]
    executable: str | None = None
    passed: tuple[int, ...]
    group: Group | None
    told_fd: int | None
    go_fd: int | None
    report_fd: int
    stop_fd: int
    env: dict[str, str] = {}
    cwd: str | None = None
    door: socket.socket | None = None
    end: Callable[[], None] | None = None


class Job:
    """A run under way. `run` is its whole life."""

    __slots__ = (
        "_first",
        "_free",
        "_heard",
        "_left",
        "_outcome",
        "_report",
        "_start",
        "_told",
        "_written",
    )

    def __init__(self, start: Start) -> None:
        self._start = start
        self._written = {1: bytearray(), 2: bytearray()}
        self._outcome: Outcome = "exited"
        self._first: int | None = None
        self._report = self._told = b""
        self._left = start.work.limits.output
        self._free = free()
        self._heard: dict[int, Hear] = {}

    def run(self, started: Callable[[], None] = lambda: None) -> End:
        """Start it, wait, gather. `started` is called once our copies of its ends may close.

        Raises:
            OSError: it cannot be started.
        """
        start = self._start
        begun_at = time.monotonic()
        with start.group.joined() if start.group else contextlib.nullcontext():
            process = subprocess.Popen(
                start.argv,
                stdin=subprocess.DEVNULL if start.work.stdin is None else start.work.stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=start.passed,
                env=start.env,
                cwd=start.cwd,
                start_new_session=True,
                executable=start.executable,
            )
        started()
        with process:
            try:
                if start.told_fd is None:
                    self._let_go(process.pid)
                self._watch(process, begun_at + start.work.limits.seconds)
            finally:
                self._end(process)
        if self._outcome == "exited" and process.returncode and start.group is not None:
            self._outcome = "memory" if start.group.ran_out() else "exited"
        failure = self._report[REPORT.size :]
        step, number = REPORT.unpack(failure) if failure else (None, 0)
        return End(
            outcome=self._outcome,
            status=process.returncode,
            stdout=bytes(self._written[1]),
            stderr=bytes(self._written[2]),
            wall_s=time.monotonic() - begun_at,
            begun=self.begun,
            step=step,
            errno=number,
        )

    def _watch(self, process: "subprocess.Popen[bytes]", until: float) -> None:
        """Serve whatever can be read, until the program has ended or must."""
        start = self._start
        assert process.stdout is not None
        assert process.stderr is not None
        ended_fd = os.pidfd_open(process.pid)
        needed: dict[int, Hear] = {
            process.stdout.fileno(): partial(self._read, 1),
            process.stderr.fileno(): partial(self._read, 2),
            ended_fd: lambda _: self._hear_end(process),
        }
        heard = needed | {start.report_fd: self._hear_report}
        if start.told_fd is not None:
            heard[start.told_fd] = self._hear_first
        if start.door is not None:
            heard[start.door.fileno()] = self._hear_door
        poll = select.poll()
        for fd in (*heard, start.stop_fd):
            poll.register(fd, select.POLLIN)
        try:
            while self._outcome == "exited" and needed.keys() & heard.keys():
                for fd, _ in poll.poll(self._wait_s(until) * 1000 + 1):
                    if fd == start.stop_fd:
                        self._outcome = "stopped"
                    elif not heard[fd](fd):
                        poll.unregister(fd)
                        del heard[fd]
        finally:
            os.close(ended_fd)

    def _wait_s(self, until: float) -> float:
        """How long nothing needs to be looked at. Notes what the program has used up."""
        now, limits = time.monotonic(), self._start.work.limits
        if now >= until:
            self._outcome = "time"
        if self._start.group is not None:
            if self._start.group.ran_out():  # version 1 ends one process and lets the others be
                self._outcome = "memory"
            return min(max(0.0, until - now), _GROUP_LOOK_S)
        if self._first is not None and exceeds(self._first, limits.memory):
            self._outcome = "memory"
        if is_scarce(self._free, limits.memory):
            self._outcome = "memory"
        return min(max(0.0, until - now), _LOOK_S)

    def _hear_end(self, process: "subprocess.Popen[bytes]") -> bool:
        """Without a namespace, those it left behind would keep its output open."""
        if self._start.told_fd is None:
            _end_group(process)
        return False

    def _hear_report(self, fd: int) -> bool:
        said = os.read(fd, 64)
        self._report += said
        return bool(said)

    def _hear_first(self, fd: int) -> bool:
        """Take the id of the first process, put it into its group, and let it go on."""
        said = os.read(fd, 256)
        self._told += said
        if not said:
            return False  # it ended before; its words say why
        if not self._told.rstrip().endswith(b"}"):
            return True  # it comes in pieces
        self._let_go(msgspec.json.decode(self._told)["child-pid"])
        return False

    def _let_go(self, first: int) -> None:
        """Count what descends from this process from now on; only then may it go on."""
        self._first = first
        if self._start.group is not None:
            self._start.group.take(first)
        if self._start.go_fd is not None:
            with contextlib.suppress(BrokenPipeError):  # it has failed already, and says why
                os.write(self._start.go_fd, b".")

    def _hear_door(self, fd: int) -> bool:
        """Take the socket that the launcher made inside."""
        assert self._start.door is not None
        _, fds, _, _ = socket.recv_fds(self._start.door, 1, 1)
        for one in fds:
            assert self._start.work.met is not None
            self._start.work.met(socket.socket(fileno=one))
        return False

    def _read(self, stream: int, fd: int) -> bool:
        piece = os.read(fd, _CHUNK)
        kept = piece[: max(0, self._left)]
        self._left -= len(piece)
        self._written[stream] += kept
        if kept and self._start.work.tell is not None and not self._told_of(stream, kept):
            self._outcome = "stopped"
        if self._left < 0:
            self._outcome = "output"
        return bool(piece)

    def _told_of(self, stream: int, piece: bytes) -> bool:
        """Whether whoever hears the output is still there."""
        assert self._start.work.tell is not None
        try:
            self._start.work.tell(stream, piece)
        except OSError:
            return False
        return True

    @property
    def begun(self) -> bool:
        """Whether the launcher has run: after that there is no other way to try."""
        return bool(self._report)

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """End the namespace's first process, and with it all others; then whoever waits for it."""
        if self._start.end is not None and process.poll() is None:
            self._start.end()
        if self._start.told_fd is None:
            _end_group(process)
        if process.poll() is None and self._first is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._first, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        process.kill()
        process.wait()


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
