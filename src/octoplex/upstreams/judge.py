"""Replies measured against callers' JSON Schemas, in a process of its own.

    judge.fault(format, text)  ->  a line to the process, a line back  ->  what is wrong, or ""

Ten lines of schema can make a check take hours, and the checker is native code that nothing in
its own process can stop. So it works beside this one, which goes on answering; it is killed when
a check takes longer than `LONGEST_S`, and dies of more memory than `MOST_BYTES`. It starts with
the first check, sees none of our environment, and ends with its standard input, so never later
than this process.

Not promised: that a check need not wait for those of others; there is one at a time.
"""

import asyncio
import contextlib
import os
import resource
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from functools import lru_cache
from hashlib import sha256

import msgspec
from msgspec import Struct

from octoplex.dialects.structured import Measure
from octoplex.wire.chat import Format
from octoplex.wire.eager import in_task
from octoplex.wire.error import GatewayError, InvalidCall

LONGEST_S = 2.0
"""How long one check may take; they take milliseconds."""
REST_S, MOST_RESTING = 60.0, 256
"""How long a schema that took longer is refused unseen, and how many are remembered."""
MOST_BYTES = 1 << 30
"""How much memory the process may take; it dies of more."""
START_S = 30.0
_READY = b"ready\n"


class _Case(Struct):
    schema: bytes
    text: str | None


class _Verdict(Struct):
    fault: str = ""
    refused: str = ""


_TOO_MUCH = _Verdict(
    refused="To check a reply against the JSON Schema of the response format takes too much;"
    " make it simpler."
)


class Judge:
    """The process and the way to it. It belongs to the event loop that asks first."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._resting: dict[bytes, float] = {}

    async def fault(self, form: Format, text: str | None, name: str = "response_format") -> str:
        """The first thing that is wrong with a reply, "" when nothing is. None: look at the form,
        which its caller calls `name`.

        Raises:
            InvalidCall: the schema is none, or takes too much to check.
            GatewayError: the process does not start.
        """
        if form.schema is None:
            return "" if text is None else Measure(form).fault(text)
        await in_task()
        case = msgspec.json.encode(_Case(bytes(form.schema), text)) + b"\n"
        digest = sha256(form.schema).digest()
        async with self._turn:
            now = asyncio.get_running_loop().time()
            rests = now < self._resting.get(digest, now)
            verdict = _TOO_MUCH if rests else await self._verdict(case)
        if verdict is _TOO_MUCH and not rests:
            self._resting[digest] = now + REST_S
            if len(self._resting) > MOST_RESTING:
                del self._resting[next(iter(self._resting))]
        if verdict.refused:
            raise InvalidCall(verdict.refused, param=name)
        return verdict.fault

    async def _verdict(self, case: bytes) -> _Verdict:
        try:
            process = self._process
            if process is None or process.returncode is not None:
                process = await self._start()
            async with asyncio.timeout(LONGEST_S):
                said = await _talk(process, case)
            return msgspec.json.decode(said, type=_Verdict)
        except (TimeoutError, msgspec.DecodeError):  # too long, or it died of it
            self._kill()
            return _TOO_MUCH
        except BaseException:
            self._kill()  # what it still says would be taken for the next verdict
            raise

    async def _start(self) -> Process:
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # a file named like one of the imports must not be picked up
            __file__,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},  # and none of the keys
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(START_S):
                ready = await _talk(process, b"")
        except TimeoutError:
            ready = b""
        if ready != _READY:
            self._kill()
            raise GatewayError("The process that checks JSON Schemas does not start here.")
        return process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def close(self) -> None:
        """End the process, and return when it is gone."""
        process = self._process
        self._kill()
        if process is not None:
            await process.wait()


async def _talk(process: Process, case: bytes) -> bytes:
    """Say a line and hear one; b"" where it died."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(case)
    with contextlib.suppress(ConnectionError):
        await process.stdin.drain()
    return await process.stdout.readline()


def main() -> None:
    """Judge case after case, until there is no more."""
    with contextlib.suppress(ValueError, OSError):  # a lower limit holds, or the system has none
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    measure = lru_cache(8)(lambda schema: Measure(Format(schema=msgspec.Raw(schema))))
    read = msgspec.json.Decoder(_Case).decode
    out = sys.stdout.buffer
    out.write(_READY)
    out.flush()
    for line in sys.stdin.buffer:
        case = read(line)
        verdict = _Verdict()
        try:
            made = measure(case.schema)
            verdict.fault = "" if case.text is None else made.fault(case.text)
        except InvalidCall as error:
            verdict.refused = str(error)
        out.write(msgspec.json.encode(verdict) + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
