"""Keeps the learner's process, where a route learns, and notes in the audit log what it did.

    async with Tutor(lambda: app.gateway, control.audit):

The process is begun when the first route learns, told what the file says whenever that changes,
and ended when none learns any more; with this one, too, since its standard input is ours. One that
dies is begun again, later each time. While there is none, the policies that are known serve on,
for 15 minutes (`optimizer/shelf.py`).

Every fit, certificate, alarm and void of a policy is noted once, with the digest of its bytes: what
was noted is read from the audit log itself at the start, so a kill between the two loses nothing.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from octoplex.assembly import labelling
from octoplex.gateway import Gateway
from octoplex.ledger.audit import NAME, Audit, Line, page
from octoplex.ledger.learning import Published, read_learning
from octoplex.optimizer.process import command, environment, wishes
from octoplex.wire.error import GatewayError

log = logging.getLogger("octoplex.optimizer")
LOOK_S, LAPSE_S = 1.0, 60.0
QUICK_S = 10.0
"""A process that lives shorter has failed: the next one waits, longer each time."""
FIRST_S, LONGEST_S = 0.5, 60.0
WHO = "learner"
WHAT = "optimizer."


def of_learner(line: Line) -> bool:
    """Whether the learner did what this line says."""
    return line.who == WHO and line.what.startswith(WHAT)


def shown(policy: Published) -> dict[str, Any]:
    """What is noted of a policy."""
    return {
        "seq": policy.seq,
        "version": policy.version,
        "note": policy.note,
        "pairs": policy.pairs,
        "share": policy.share,
        "why": policy.why,
        "certificate": msgspec.json.decode(policy.told),
        "digest": policy.digest,
    }


class Tutor:
    """Looks once a second at the configuration in force, which `gateway` gives."""

    def __init__(
        self, gateway: Callable[[], Gateway], audit: Audit, look_s: float = LOOK_S
    ) -> None:
        self._gateway, self._audit, self._look_s = gateway, audit, look_s
        self._data: Path = gateway().works.data
        self._process: Process | None = None
        self._told = b""
        self._began_at = self._again_at = self._pause_s = self._lapse_at = 0.0
        self._noted: tuple[int, str] | None = None
        """Number and digest of the last policy that was noted; None before it is known."""
        self._task: asyncio.Task[None] | None = None
        self._problem = ""

    async def __aenter__(self) -> "Tutor":
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._end()

    async def _run(self) -> None:
        while True:
            before, self._problem = self._problem, await self._looked()
            if self._problem and self._problem != before:
                log.error("learning stands still: %s", self._problem)
            await asyncio.sleep(self._look_s)

    async def _looked(self) -> str:
        """ "" or what is wrong: the next look may fare better."""
        courses = self._gateway().plan.courses
        try:
            if not courses:
                await self._end()
                await self._lapse()
                return ""
            await self._keep(wishes(courses.values()))
            await self._note()
        except (OSError, sqlite3.Error, GatewayError) as error:
            return f"{type(error).__name__}: {error}"
        except Exception as error:
            log.exception("a defect of ours beside the path")
            return type(error).__name__
        return ""

    async def _keep(self, told: bytes) -> None:
        """See that a process runs and knows what is wanted."""
        process, now = self._process, time.monotonic()
        if process is not None and process.returncode is not None:
            self._process = None
            lived_s = now - self._began_at
            pause_s = min(max(self._pause_s * 2, FIRST_S), LONGEST_S) if lived_s < QUICK_S else 0.0
            self._pause_s, self._again_at = pause_s, now + pause_s
            log.error(
                "the learner ended with %d; the next one starts in %.1f s",
                process.returncode, pause_s,
            )  # fmt: skip
        if self._process is None and now >= self._again_at:
            self._process = await asyncio.create_subprocess_exec(
                *command(self._data),
                stdin=PIPE,
                stdout=DEVNULL,
                env=environment(),
                start_new_session=True,  # the terminal's signals are not for it
            )
            self._began_at, self._told = now, b""
        process = self._process
        if process is not None and self._told != told:
            assert process.stdin is not None
            process.stdin.write(told)
            self._told = told
            with contextlib.suppress(ConnectionError):  # it has ended: the next look sees it
                await process.stdin.drain()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()  # at any moment it may
            await process.wait()

    async def _lapse(self) -> None:
        """Delete texts whose time is over: where routes learn, the shelf does."""
        now = time.monotonic()
        if now >= self._lapse_at:
            self._lapse_at = now + LAPSE_S
            await asyncio.to_thread(labelling.lapse, self._data)

    async def _note(self) -> None:
        """Write down what was published since the last look."""
        if self._noted is None:
            last = await asyncio.to_thread(page, self._data / NAME, 1, None, of_learner)
            self._noted = (0, "")
            if last:
                self._noted = last[0].after["seq"], last[0].after["digest"]
        for policy in await asyncio.to_thread(_after, self._data, *self._noted):
            if policy.kind:
                what = f"{WHAT}{policy.kind}"
                self._audit.note(WHO, what, policy.route, after=shown(policy))
            self._noted = policy.seq, policy.digest


def _after(data: Path, seq: int, digest: str) -> list[Published]:
    """What was published after that one; all, where the file is another one."""
    file = read_learning(data)
    if file is None:
        return []
    with contextlib.closing(file):
        last = file.policies(after=seq - 1, most=1)
        is_there = bool(last) and (last[0].seq, last[0].digest) == (seq, digest)
        return file.policies(after=seq if is_there else 0)
