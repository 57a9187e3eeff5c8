"""Runs the tests of a request on the code of an answer: the judge `tests`, in the sandbox.

    passes = run_by(settings.sandbox)
    await passes("def f(): return 2", "assert f() == 2")     -> True

Both are Python and share one module's names; functions of the tests called `test_...` are called,
too. They pass when all of it ends without an error and says at the end what nobody told the code.
A run has no network, sees nothing of this machine's files but its programs, and ends after
`SECONDS`, or what `[sandbox] limits` says.

Not promised: that code which looks for its tests and deceives them fails.
"""

import asyncio
import logging
from secrets import token_hex

from octoplex.optimizer.judges import Tests
from octoplex.sandbox.config import SandboxTable
from octoplex.sandbox.limits import Limits, limits_of
from octoplex.sandbox.sandbox import Sandbox
from octoplex.wire.error import BadConfig

log = logging.getLogger("octoplex.optimizer")
SECONDS = 10.0
AT_ONCE = 4
RUNNER = b"""
import sys
told = sys.argv.pop()
names = {"__name__": "answer"}
for file in ("answer.py", "tests.py"):
    with open("/files/" + file, encoding="utf-8") as source:
        exec(compile(source.read(), file, "exec"), names)
for name in [name for name in names if name.startswith("test_")]:
    names[name]()
sys.stdout.write("\\n" + told)
"""


def run_by(table: SandboxTable) -> Tests:
    """Who runs them; a few at a time."""
    usual = Limits(seconds=SECONDS, memory=512 * 1024**2, processes=64, output=100_000)
    box, limits = (
        Sandbox(tools=table.tools, unsafe=table.unsafe, backend=table.container),
        limits_of(table.limits, usual),
    )
    room = asyncio.Semaphore(AT_ONCE)
    problem = ""

    async def passes(code: str, tests: str) -> bool:
        told = token_hex(16)
        files = {
            "run.py": RUNNER,
            "answer.py": code.encode("utf-8", "replace"),
            "tests.py": tests.encode("utf-8", "replace"),
        }
        words = ["python3", "-I", "/files/run.py", told]
        nonlocal problem
        try:
            async with room:
                result = await box.run(words, files=files, limits=limits)
        except BadConfig as error:
            if str(error) != problem:
                log.error('the judge "tests" can say nothing: %s', error)
            problem = str(error)
            raise
        problem = ""
        ended_well = result.outcome == "exited" and result.status == 0
        return ended_well and result.stdout.endswith(told.encode())

    return passes


async def trouble(table: SandboxTable) -> str:
    """Why tests cannot be run here; "" where they can: tried with none on no code."""
    try:
        if await run_by(table)("", ""):
            return ""
    except BadConfig as error:
        return str(error)
    return "no python3 can be run in the sandbox: install it, or name its folder in tools"
