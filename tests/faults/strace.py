"""Calls of the kernel that fail in a real process: strace's injection, put on and taken off.

    async with failing(gate.process.pid, tmp_path / "ledger.db-wal", calls=SYNCS):
        ...     # each sync of this file fails with EIO, in every thread

https://man7.org/linux/man-pages/man1/strace.1.html (Tampering)
"""

import asyncio
import contextlib
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.gate import until

SYNCS = "fsync,fdatasync"


class Injected:
    """What strace has written down."""

    def __init__(self, log: Path) -> None:
        self._log = log

    @property
    def count(self) -> int:
        """How many calls failed."""
        return self._log.read_text().count("(INJECTED)")


@contextlib.asynccontextmanager
async def failing(
    pid: int, *files: Path, folder: Path, calls: str = SYNCS, error: str = "EIO"
) -> AsyncIterator[Injected]:
    """Have these calls fail in a process, those on some files only, or on all."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed; `make test` does it")
    log, said = folder / "strace", folder / "strace-said"
    args = ["-f", "-p", str(pid), "-o", str(log), "-e", f"trace={calls}"]
    args += ["-e", f"inject={calls}:error={error}"]
    for file in files:
        args += ["-P", str(file)]
    with said.open("wb") as err:
        tracer = await asyncio.create_subprocess_exec(strace, *args, stderr=err)
    try:
        await until(lambda: " attached" in said.read_text() or tracer.returncode is not None, 20)
        if tracer.returncode is not None:
            pytest.skip(f"strace may not attach here: {said.read_text().strip()}")
        yield Injected(log)
    finally:
        if tracer.returncode is None:
            tracer.send_signal(signal.SIGINT)
        await tracer.wait()
