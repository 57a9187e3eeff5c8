"""Servers of tools as an arm: each approved tool is an action `mcp.SERVER.TOOL`.

    arm = McpArm(servers)
    await arm.ready()              connects, lists, looks at the pins
    arm.offers                     what planners see: the approved tools, as they were approved

The names of two servers' tools can never meet. What a tool says about its own effects counts only
where the file believes that server (`read_only`); else every call is one that must not be made
twice. All that comes in is text of strangers, so that after it a step with effects needs approval,
or a plan made before (S62); what leaves and what enters is screened by whoever runs the step.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from octoplex.agents.capability import Checker
from octoplex.agents.mcp.listed import Listed
from octoplex.agents.mcp.results import OUTPUT_SCHEMA, outcome_of
from octoplex.agents.mcp.server import ToolServer
from octoplex.agents.words import Effect, Failed, Offer, Order, Outcome, Tell, World

PREFIX = "mcp."
MOST_DESCRIPTION = 4_000
MOST_TOLD = 100
"""Words of progress in one call: a tool is no place to fill a log."""


class McpArm:
    """Tools of all servers of the file. One for a process: connections are shared by tasks."""

    def __init__(self, servers: Mapping[str, ToolServer], checker: Checker | None = None) -> None:
        """Without `checker` nothing is checked: for using an arm by itself."""
        self._servers, self._checker = servers, checker

    async def ready(self) -> dict[str, str]:
        """Connect to the servers and list their tools; why some could not be reached."""
        servers = list(self._servers.values())
        found = await asyncio.gather(*map(_trouble, servers))
        return {s.name: why for s, why in zip(servers, found, strict=True) if why}

    @property
    def offers(self) -> Sequence[Offer]:
        """What can be done now."""
        return [
            offer_of(server, one)
            for server in self._servers.values()
            for one in server.known
            if one.state == "approved"
        ]

    async def __call__(self, order: Order, world: World) -> Outcome:
        """Call the tool that the order names."""
        server, tool = self._found(order.action)
        if self._checker is not None:
            self._checker.check(order).need(f"mcp:{server.name}.{tool}")
        telling = _Telling(world.tell)
        try:
            async with asyncio.timeout(order.seconds):
                one, result = await server.call(tool, order.inputs, telling.hear)
                await telling.finish()
        except TimeoutError:
            why = f"{order.action} did not answer in {order.seconds:g} s."
            raise Failed("timeout", why) from None
        finally:
            telling.close()
        return await asyncio.to_thread(
            outcome_of, result, one.definition, world.workspace, order.step_id
        )

    async def close(self) -> None:
        """End every connection."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    def _found(self, action: str) -> tuple[ToolServer, str]:
        name, _, tool = action.removeprefix(PREFIX).partition(".")
        server = self._servers.get(name) if action.startswith(PREFIX) else None
        if server is None or not tool:
            raise Failed("refused", f"There is no server of tools for {action[:100]}.")
        return server, tool


def offer_of(server: ToolServer, one: Listed) -> Offer:
    """An approved tool as planners read it."""
    return Offer(
        name=f"{PREFIX}{server.name}.{one.name}",
        description=one.description[:MOST_DESCRIPTION],
        input_schema=dict(one.definition["inputSchema"]),
        output_schema=_object(one.definition.get("outputSchema")) or OUTPUT_SCHEMA,
        effect=_effect(one, believed=server.table.read_only),
        needs=(f"mcp:{server.name}.{one.name}",),
        timeout_s=server.table.timeout_s,
        brings_untrusted=True,
    )


def _object(schema: Any) -> dict[str, Any]:
    return schema if isinstance(schema, dict) else {}


def _effect(one: Listed, *, believed: bool) -> Effect:
    hints = _object(one.definition.get("annotations"))
    if believed and hints.get("readOnlyHint") is True:
        return "none"
    return "repeatable" if believed and hints.get("idempotentHint") is True else "once"


async def _trouble(server: ToolServer) -> str:
    try:
        await server.tools()
    except Failed as error:
        return str(error)
    return ""


class _Telling:
    """Passes progress on, a bounded part of it."""

    def __init__(self, tell: Tell | None) -> None:
        self._tell, self._left = tell, MOST_TOLD
        self._tasks: set[asyncio.Task[None]] = set()

    def hear(self, text: str) -> None:
        """Note a word of progress."""
        if self._tell is None or self._left <= 0:
            return
        self._left -= 1
        task = asyncio.ensure_future(self._tell({"text": text[:200]}))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait until all of it is told."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Nobody hears it any more."""
        for task in self._tasks:
            task.cancel()
