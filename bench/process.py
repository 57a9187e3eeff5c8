"""Programs under measurement: started on one core, read from /proc, ended by their own group.

CPU time is the kernel's per-process CPU clock (nanoseconds, user and system, all threads, ended
ones too), summed over the process tree; ticks of 10 ms would be too coarse for short runs.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.tools import BenchError


def free_port() -> int:
    """Return a TCP port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cores() -> tuple[int, int]:
    """Return the core of the gateway and the core of the mock and the load."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("two cores are needed: one for the gateway, one for mock and load")
    return usable[0], usable[1]


@contextlib.contextmanager
def priority(nice: int) -> Iterator[None]:
    """Run everything inside with another nice value, among sessions too where Linux groups them."""
    group = Path("/proc/self/autogroup")
    before = group.read_text().rpartition(" ")[2] if nice and group.exists() else ""
    os.nice(nice)
    if before:
        group.write_text(str(nice))
    try:
        yield
    finally:
        if before:
            group.write_text(before)


def clean_environment(home: Path, extra: dict[str, str]) -> dict[str, str]:
    """Return an environment without the machine's provider keys, proxies and certificates."""
    kept = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": str(home)}
    return {**kept, **extra}


@dataclass
class Program:
    """One started program and its children."""

    argv: Sequence[str]
    core: int
    env: dict[str, str]
    log: Path
    child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start in a group of its own, pinned to its core, output to the log file.

        The session stays the benchmark's: Linux shares a core between sessions (autogroups), and
        the mock in one of its own was kept waiting for seconds by a busy neighbour.
        """
        core = self.core
        with self.log.open("wb") as out:
            self.child = subprocess.Popen(
                list(self.argv),
                env=self.env,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )

    @property
    def running(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def wait(self, ready: Callable[[], bool], limit_s: float) -> None:
        """Poll ``ready`` until it holds; raise BenchError with the log's end when it never does."""
        deadline = time.monotonic() + limit_s
        while self.running and time.monotonic() < deadline:
            if ready():
                return
            time.sleep(0.1)
        state = "did not answer" if self.running else "ended at start"
        tail = self.log.read_text(errors="replace").strip()[-800:]
        raise BenchError(f"{state}; the end of its log: {tail or '(empty)'}")

    def tree(self) -> list[int]:
        """Return the process ids of the program and all its descendants."""
        if self.child is None:
            return []
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                parent = int(stat.rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
        found, waiting = [], [self.child.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting.extend(children.get(pid, ()))
        return found

    def cpu_ns(self) -> int:
        """Return the CPU time that the tree has used so far."""
        total = 0
        for pid in self.tree():
            try:
                total += time.clock_gettime_ns((~pid << 3) | 2)
            except OSError:
                continue
        return total

    def rss_mb(self) -> float:
        """Return the resident memory of the tree (MB, pages shared between processes twice)."""
        total = 0
        for pid in self.tree():
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
        return total / 1024

    def settle(self, limit_s: float = 30.0) -> None:
        """Wait until the tree rests (below 3 % of a core), so that deferred work is counted."""
        deadline = time.monotonic() + limit_s
        used = self.cpu_ns()
        while time.monotonic() < deadline:
            time.sleep(0.1)
            now = self.cpu_ns()
            if now - used < 3_000_000:
                return
            used = now

    def stop(self) -> None:
        """End the program's own group, politely first."""
        if self.child is None:
            return
        for ask in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.child.pid, ask)
            except ProcessLookupError:
                return
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                continue
        self.child = None


def post(port: int, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """Send one request to loopback; return status and body, or status 0 when nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("POST", path, body, {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error).encode()
    finally:
        connection.close()


def core_busy_ns(core: int) -> int:
    """Return the time that a core spent busy since boot, by anyone (resolution 10 ms)."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            ticks = [int(part) for part in line.split()[1:9]]
            busy = sum(ticks) - ticks[3] - ticks[4]
            return busy * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return 0
