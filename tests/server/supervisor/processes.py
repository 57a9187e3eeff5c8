"""The processes of one server, as a test sees them."""

import contextlib
import os
import signal
import time
from pathlib import Path

from tests.server.caller import Line
from tests.server.gate import Gate


def children(gate: Gate) -> list[int]:
    """The processes that the supervisor has started and not buried, oldest first."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == gate.process.pid and state != "Z":
            found.append(int(path.parent.name))
    return sorted(found)


def workers(gate: Gate) -> list[int]:
    """Those that have a slate."""
    slates = {int(path.stem.rpartition("-")[2]) for path in gate.data.glob("orders-*.ring")}
    return sorted(slates & set(children(gate)))


def whole(gate: Gate, wanted: int) -> bool:
    """Whether all processes are there again, and each can be told from the others."""
    return len(workers(gate)) == wanted and len(children(gate)) == wanted + 1


def owner(gate: Gate) -> int:
    """The one that has none; for a moment a worker that begins has none either."""
    until_at = time.monotonic() + 10
    while len(found := set(children(gate)) - set(workers(gate))) != 1:
        assert time.monotonic() < until_at, found
        time.sleep(0.01)
    return found.pop()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def behind(gate: Gate, line: Line) -> int:
    """The worker that has a connection."""
    port = line.writer.get_extra_info("sockname")[1]
    ends = [f":{gate.port:04X}", f":{port:04X}"]
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = [row[9] for row in rows if [row[1][8:], row[2][8:]] == ends]
    for pid in workers(gate):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(path) == f"socket:[{inode}]":
                    return pid
    raise AssertionError("nobody has accepted it")
