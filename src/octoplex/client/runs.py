"""Tasks of a data folder, as who commands this machine gives and watches them.

    runs = await open_runs(config, data, env)     here, or at the server that has the folder
    id_ = await runs.submit(Task("Summarise the sales", workspace="sales"))
    async for event in runs.follow(id_): ...

In this process a task runs as long as the process does, and is there to be resumed after that. A
server is asked over the operator's socket of its folder, so no key is needed.
"""

import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from octoplex.agents.task import Event, Task
from octoplex.assembly.agents import OVER, Agents
from octoplex.assembly.assigning import Rights
from octoplex.client.inside import Inside, folder_of, open_inside
from octoplex.ledger.orders import command
from octoplex.settings import find, load
from octoplex.wire.error import StoreFailed

WAIT_S = 10.0


class Runs(Protocol):
    """Where tasks are given."""

    async def submit(self, task: Task) -> str:
        """Take a task on; its id. A `workspace` is any folder of this machine."""
        ...

    def follow(self, id_: str, after: int = 0) -> AsyncIterator[Event]:
        """What happens to it after an event, up to its end."""
        ...

    async def approve(self, id_: str, step: str, word: Mapping[str, Any]) -> None:
        """Say whether a step may be done: approved, by, note."""
        ...

    async def cancel(self, id_: str, by: str) -> None:
        """Have it end."""
        ...

    async def resume(self, id_: str) -> None:
        """Let one that was cancelled or failed go on."""
        ...

    async def close(self) -> None:
        """Let go; what runs in this process stops, and may be resumed."""
        ...


async def open_runs(config: str | None, data: str | None, env: Mapping[str, str]) -> Runs:
    """A way to the tasks of a folder.

    Raises:
        BadConfig: the configuration is wrong.
        StoreFailed: another process has the folder and does not answer.
    """
    try:
        return Here(await open_inside(config, data, env, None))
    except StoreFailed as error:
        if not error.facts.get("address"):
            raise
    return There(folder_of(data, load(find(env, config)), env))


class Here:
    """In this process."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._agents: Agents = inside.agents

    async def submit(self, task: Task) -> str:
        """Take a task on."""
        return (await self._agents.submit(Rights(trusted=True), task)).id

    async def follow(self, id_: str, after: int = 0) -> AsyncIterator[Event]:
        """What happens to it."""
        async for event in self._agents.follow(id_, after):
            yield event
        await self._agents.settled(id_)

    async def approve(self, id_: str, step: str, word: Mapping[str, Any]) -> None:
        """Say whether a step may be done."""
        await self._agents.approve(id_, step, dict(word))

    async def cancel(self, id_: str, by: str) -> None:
        """Have it end."""
        await self._agents.cancel(id_, by)

    async def resume(self, id_: str) -> None:
        """Let it go on."""
        await self._agents.resume(id_)

    async def close(self) -> None:
        """End what runs here, then the gateway."""
        await self._inside.close()


def absolute(folder: str) -> str:
    """A folder by its whole path."""
    return os.path.abspath(folder) if folder else ""


class There:
    """At the server that has the folder."""

    def __init__(self, data: Path) -> None:
        self._data = data

    async def submit(self, task: Task) -> str:
        """Take a task on; its folder is told to a process that is somewhere else."""
        task = msgspec.structs.replace(task, workspace=absolute(task.workspace))
        return str(await self._ask("submit", task=msgspec.to_builtins(task)))

    async def follow(self, id_: str, after: int = 0) -> AsyncIterator[Event]:
        """What happens to it."""
        while True:
            found = await self._ask("events", id=id_, after=after, wait_s=WAIT_S)
            for event in msgspec.convert(found, list[Event]):
                after = event.number
                yield event
                if event.kind in OVER and event.number == found[-1]["number"]:
                    return
            if not found and await self._ask("over", id=id_, after=after):
                return

    async def approve(self, id_: str, step: str, word: Mapping[str, Any]) -> None:
        """Say whether a step may be done."""
        await self._ask("approve", id=id_, step=step, word=dict(word))

    async def cancel(self, id_: str, by: str) -> None:
        """Have it end."""
        await self._ask("cancel", id=id_, by=by)

    async def resume(self, id_: str) -> None:
        """Let it go on."""
        await self._ask("resume", id=id_)

    async def close(self) -> None:
        """Nothing is open."""

    async def _ask(self, what: str, **order: Any) -> Any:
        return await command(self._data, {"do": f"tasks.{what}", **order}, 3 * WAIT_S)
