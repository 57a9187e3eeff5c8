"""Starting the local model's process, and ending it.

The process inherits three things: a stdin that stays open as long as we live, a stdout
on which it says one line, and a log file for everything else it prints. It gets a
session of its own, so that Ctrl-C in the terminal stops the gateway and leaves the
answers in flight to the gateway's own drain.

Reference: `engine.py`, whose first lines are the conversation.
"""

import asyncio
import contextlib
import math
import os
import re
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from octoplex.upstreams.local import engine
from octoplex.upstreams.local.models import CONTEXT, LocalModel, built_in, command
from octoplex.wire.error import ModelGone, UpstreamError, UpstreamSlow, UpstreamUnreachable

LOAD_S = 300.0
TERM_S = 3.0
LOG_MAX_BYTES = 1_000_000
REASON = re.compile(rb"error loading model: ([^\n]+)")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class Address(Struct, frozen=True, kw_only=True, tag="ready"):
    """Where a running model answers, and what it turned out to be able to do."""

    host: str
    port: int
    api_key: str
    context: int
    tools: bool
    images: bool


class Refusal(Struct, frozen=True, kw_only=True, tag="refused"):
    """Why the engine did not start: `cause` is model, engine or load."""

    cause: str
    message: str


class Order(Struct, frozen=True, kw_only=True):
    """What the engine is to load, and how."""

    id: str
    path: str
    context: int
    slots: int
    threads: int
    template: str
    idle_s: int
    temperature: float | None
    top_p: float | None


class Running(Struct, frozen=True, kw_only=True):
    """A process that answers, and since when (the event loop's clock)."""

    process: Process
    address: Address
    since_at: float


async def launch(model: LocalModel, threads: int, log: Path | None) -> Running:
    """Start a process for this model and wait until it answers; none is left if it fails.

    Raises:
        ModelGone: the file, or the engine's library, is missing or cannot be used.
        UpstreamUnreachable: the process died while it started.
        UpstreamSlow: it did not load within 300 s.
    """
    with opened(log) as noise:
        begins = noise.seek(0, os.SEEK_END)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # A file named like one of the engine's imports must not be picked up.
            engine.__file__,
            stdin=PIPE,
            stdout=PIPE,
            stderr=noise,
            start_new_session=True,
        )
        try:
            line = await asyncio.wait_for(talk(process, order(model, threads)), LOAD_S)
            if not line:
                raise died(model, await asyncio.wait_for(process.wait(), TERM_S))
            answer = msgspec.json.decode(line, type=Address | Refusal)
            if isinstance(answer, Refusal):
                raise refused(model, answer, reason(noise, begins))
        except TimeoutError:
            await end(process)
            raise UpstreamSlow(f"{model.path} did not load within {LOAD_S:.0f} s.") from None
        except BaseException:
            await end(process)
            raise
    now = asyncio.get_running_loop().time()
    return Running(process=process, address=answer, since_at=now)


async def talk(process: Process, words: Order) -> bytes:
    """Give the order and wait for the engine's line; empty if it died without one."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(words) + b"\n")
    with contextlib.suppress(ConnectionError):
        await process.stdin.drain()
    return await process.stdout.readline()


async def end(process: Process) -> None:
    """Ask the process to end, and after 3 s make it. Returns when it is gone."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    try:
        await asyncio.wait_for(process.wait(), TERM_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def order(model: LocalModel, threads: int) -> Order:
    """The order for one model."""
    return Order(
        id=model.id,
        path=str(model.path),
        context=model.context or CONTEXT,
        slots=model.slots,
        threads=threads,
        template=model.template,
        idle_s=model.idle_s,
        temperature=model.temperature,
        top_p=model.top_p,
    )


def opened(log: Path | None) -> IO[bytes]:
    """The log, emptied when it grew; without one, a nameless file that ends with the process."""
    if log is None:
        return tempfile.TemporaryFile()
    log.parent.mkdir(parents=True, exist_ok=True)
    file = open(log, "ab+", opener=lambda path, flags: os.open(path, flags, 0o600))  # noqa: SIM115
    if file.seek(0, os.SEEK_END) > LOG_MAX_BYTES:
        file.truncate(0)
    return file


def reason(noise: IO[bytes], begins: int) -> str:
    """What llama.cpp wrote to the log about this failure, "" if nothing we know."""
    noise.seek(begins)
    found = REASON.search(noise.read(LOG_MAX_BYTES))
    return found[1].decode(errors="replace").strip() if found else ""


def died(model: LocalModel, status: int | None) -> UpstreamError:
    """The error for a process that ended by itself."""
    how = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
    return UpstreamUnreachable(f"The process of the local model {model.id} ended with {how}.")


def refused(model: LocalModel, refusal: Refusal, reason: str) -> UpstreamError:
    """The error for an engine that said why it cannot start, with what to do."""
    fetch = f"`{command(model.id)}`" if built_in(model.id) else ""
    match refusal.cause:
        case "engine":
            ways = " or ".join(filter(None, (fetch, "`pip install 'octoplex[local]'`")))
            said = f"The engine of local models is not usable: {refusal.message}. Run {ways}."
        case "model":
            cure = f"Run {fetch}." if fetch else f"Correct `path` under [local.{model.id}]."
            said = f"{refusal.message} {cure}"
        case _:
            said = f"{model.path} cannot be loaded: {reason or refusal.message}"
    return ModelGone(said)


def spare_cores() -> int:
    """Threads for a model: the cores we may use less one, but at least one."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # Not on macOS and Windows.
        cores = os.cpu_count() or 1
    return max(1, min(cores, quota()) - 1)


def quota() -> int:
    """Cores that the container's CPU limit amounts to, rounded up; large without a limit.

    More threads than that make every step wait for one that is not running.
    """
    try:
        share, period = CPU_QUOTA.read_text().split()
        return math.ceil(int(share) / int(period))
    except (OSError, ValueError):  # No cgroup v2, or the limit is "max".
        return sys.maxsize
