"""Programs of steps, in the sandbox, with as much of the workspace as the step was granted.

    ran = await Runner(table).run(doing, Command(name, argv))

What may be read is there, read-only; what may be written is writable; the rest of the workspace is
not there at all, and no host but those that were granted. A folder that may be written and is not
there yet is made, unless its name ends like that of a file.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from octoplex.agents.arms.actions import Doing, short
from octoplex.agents.arms.folder import Folder
from octoplex.agents.policy.policy import Command
from octoplex.agents.words import Artifact, Evidence, FailureKind, Outcome
from octoplex.sandbox.config import SandboxTable
from octoplex.sandbox.egress import Egress
from octoplex.sandbox.limits import Limits, limits_of
from octoplex.sandbox.sandbox import Result, Sandbox
from octoplex.sandbox.shown import Shown
from octoplex.transport.resolve import Ask

MOST_OUTPUT = 1_000_000
"""Bytes that a program of a step may write."""
TO_TELL_S = 0.5
"""So long before its step a program ends, so that what it wrote until then is told."""
_ENDS: Mapping[str, tuple[FailureKind, str]] = {
    "time": ("timeout", "its time was over"),
    "memory": ("failed", "it used up its memory; work on less at a time"),
    "output": ("failed", f"it wrote more than {MOST_OUTPUT:,} bytes; write to a file instead"),
    "stopped": ("cancelled", "it was stopped"),
}


class Ran(Struct, frozen=True):
    """How a program ended, and what it left."""

    program: Command
    result: Result
    artifacts: tuple[Artifact, ...] = ()

    @property
    def stdout(self) -> str:
        """What it wrote."""
        return self.result.stdout.decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """What it complained of."""
        return self.result.stderr.decode("utf-8", "replace")

    def outcome(self, output: Any, text: str, kind: str = "exit") -> Outcome:
        """What came of a step that was this program."""
        failure, why = self.fault()
        evidence = [Evidence(kind, self.program.name, self.result.status)]
        evidence += [Evidence("planted", name) for name in self.result.planted]
        evidence += [Evidence("left", name) for name in self.result.left]
        evidence += [Evidence("file", one.path, one.size) for one in self.artifacts]
        return Outcome(
            output=output,
            text=short(text),
            artifacts=self.artifacts,
            evidence=tuple(evidence),
            is_untrusted=True,
            failure=failure,
            why=why,
        )

    def fault(self) -> tuple[FailureKind | None, str]:
        """Whether it failed, and why."""
        result, name = self.result, self.program.name
        if result.outcome != "exited":
            kind, why = _ENDS[result.outcome]
            return kind, f"{name} ended because {why}."
        if result.status in self.program.answers:
            return None, ""
        refused = f" It was kept from: {', '.join(result.refused[:3])}." if result.refused else ""
        said = short((self.stderr or self.stdout).strip(), 1_500)
        return "failed", f"{name} ended with {result.status}: {said}{refused}"


class Runner:
    """Runs programs. `ask` looks names up, for tests."""

    def __init__(self, table: SandboxTable, ask: Ask | None = None) -> None:
        usual = Limits(output=MOST_OUTPUT)
        self._table, self._ask, self._limits = table, ask, limits_of(table.limits, usual)

    async def run(self, doing: Doing, program: Command) -> Ran:
        """Run a program to its end.

        Raises:
            Failed: a host or a place was not granted.
            BadConfig, InvalidCall: no sandbox can be built, or the program is not there.
        """
        grant, world = doing.grant, doing.world
        for host in program.hosts:
            grant.need(f"net:{host}")
        folder = doing.folder
        writes = grant.of("write") if program.changes else ()
        shown = Shown(world.workspace, grant.readable, writes)
        before = await asyncio.to_thread(_prepared, folder, writes)
        egress = None
        if program.hosts:
            egress = Egress(program.hosts, permitted=self._table.permitted, ask=self._ask)
        box = self._table
        tools = tuple(dict.fromkeys((*box.tools, *world.tools)))
        sandbox = Sandbox(tools=tools, unsafe=box.unsafe, backend=box.container)
        most = doing.order.seconds
        seconds = min(self._limits.seconds, max(most - TO_TELL_S, most / 2))
        result = await sandbox.run(
            program.argv,
            workspace=shown,
            files=program.files,
            env=program.env,
            limits=replace(self._limits, seconds=seconds),
            network=egress or (),
        )
        artifacts = await asyncio.to_thread(folder.changed, before) if writes else ()
        return Ran(program, result, artifacts)


def _prepared(folder: Folder, writes: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Have the folders that may be written; what lies in the workspace."""
    for place in writes:
        if place and not PurePosixPath(place).suffix:
            folder.make(place)
    return folder.state() if writes else {}
