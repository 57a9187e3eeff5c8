"""Runs attempts, each in a process of its own, and prints what became of them.

This runs inside the sandbox, and outside to show that the attempts can succeed; it needs nothing
but the standard library. The facts of the host are JSON in the file that argv[1] names.

An attempt is a function that takes the facts. Returning means that it got through; a refusal
is an exception. A process that is ended or hangs did not get through.
"""

import ctypes
import errno
import json
import os
import select
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
Attempt = Callable[[Facts], object]
REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS)
WAIT_S = 10.0


LAST = "take_much_memory"
"""Where a group counts, this ends all that runs."""


class Refused(Exception):
    """It did not get through."""


def reached(facts: Facts, name: str, *arguments: Any) -> int:
    """Make a system call. It got through if the kernel looked at it, whatever it then said."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = call(facts["calls"][name], *words)
    if result < 0 and ctypes.get_errno() in REFUSALS:
        raise Refused(errno.errorcode[ctypes.get_errno()])
    return int(result)


def must(true: object) -> None:
    if not true:
        raise Refused("not so")


def tried(attempt: Attempt, facts: Facts) -> str:
    """ "" if it got through, else what stood in its way."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_fd)
        said = b"through"
        try:
            attempt(facts)
        except BaseException as error:  # noqa: BLE001 - whatever it was, it is told
            said = f"{type(error).__name__}: {error}".encode()
            if not isinstance(error, (OSError, Refused, MemoryError, RuntimeError, ValueError)):
                said += traceback.format_exc().encode()  # a mistake of the attempt itself
        os.write(write_fd, said[:4000])
        os._exit(0)
    os.close(write_fd)
    said = b""
    if select.select([read_fd], [], [], WAIT_S)[0]:
        said = os.read(read_fd, 4000)
    else:
        os.kill(pid, 9)
    os.close(read_fd)
    os.waitpid(pid, 0)
    return "" if said == b"through" else said.decode() or "ended"


def main(attempts: dict[str, Attempt]) -> None:
    facts = json.loads(Path(sys.argv[1]).read_text())
    wanted = facts.get("only", attempts)
    most = [name for name in attempts if name != LAST and name in wanted]
    print(json.dumps({name: tried(attempts[name], facts) for name in most}), flush=True)
    if LAST in wanted:
        print(json.dumps({LAST: tried(attempts[LAST], facts)}))
