"""A conversation with one server: the handshake of its era, its tools, calls.

    session = Session(wire)
    await session.open()
    for tool in await session.tools(): ...
    result = await session.call("search", {"query": "..."})

The newest revision is tried first (`server/discover`, 2026-07-28); a server that does not know it
is greeted by `initialize`. Whoever stops waiting for a call tells the server so. Servers may ask us
for nothing but a sign of life: no model, no file and no person of ours is at their service.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from octoplex.agents.mcp import messages
from octoplex.agents.mcp.headers import mirrored
from octoplex.agents.mcp.messages import (
    HANDSHAKE,
    MODERN,
    US,
    VERSION_UNKNOWN,
    Fault,
    Lost,
    Message,
    RpcError,
    answered,
)
from octoplex.agents.mcp.wire import NOTHING, Wire

Progress = Callable[[str], None]
PROBE_S = 10.0
"""Some servers say nothing to what they do not know."""
MOST_TOOLS, MOST_PAGES = 256, 64


class Session:
    """One conversation over one wire."""

    def __init__(self, wire: Wire) -> None:
        self.is_stale = False
        """It said that its tools have changed."""
        self._wire = wire
        self._ids = itertools.count(1)
        self._progress: dict[int | str, Progress] = {}

    @property
    def version(self) -> str:
        """The revision that is spoken."""
        return self._wire.version

    async def open(self, *, probe: bool = True) -> None:
        """Connect and agree on a revision. Without `probe` by `initialize` alone.

        Raises:
            Lost: nobody is there, or not in a revision that is spoken here.
        """
        await self._wire.open(self._hear)
        try:
            if not (probe and await self._discovered()) and not await self._initialized():
                raise Lost("it speaks no revision of MCP that is spoken here", reached=False)
        except RpcError as error:
            raise Lost(f"it refuses to begin: {error}", reached=False) from None

    async def tools(self) -> list[dict[str, Any]]:
        """All its tools, as it describes them.

        Raises:
            Lost: the connection ended, or there is no end of tools.
            RpcError: it has none to list.
        """
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        self.is_stale = False
        for _ in range(MOST_PAGES):
            page = await self._ask("tools/list", {"cursor": cursor} if cursor else {})
            tools = page.get("tools")
            if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
                raise Lost("what it lists are no tools")
            found += tools
            cursor = page.get("nextCursor")
            if len(found) > MOST_TOOLS:
                raise Lost(f"it lists more than {MOST_TOOLS} tools")
            if not isinstance(cursor, str):
                return found
        raise Lost(f"it lists more than {MOST_PAGES} pages of tools")

    async def call(
        self,
        tool: Mapping[str, Any],
        arguments: Mapping[str, Any],
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Call a tool of the list; its result as it came. Cancelling this tells the server.

        Raises:
            RpcError, Lost: as `Wire.ask`.
        """
        params = {"name": tool["name"], "arguments": dict(arguments)}
        repeated = mirrored(tool.get("inputSchema"), arguments) if self.version == MODERN else {}
        return await self._ask("tools/call", params, progress, repeated)

    async def close(self) -> None:
        """End it."""
        await self._wire.close()

    async def _discovered(self) -> bool:
        """Whether it speaks the modern era."""
        self._wire.version = MODERN
        try:
            async with asyncio.timeout(PROBE_S):
                found = await self._ask("server/discover", {})
        except (RpcError, TimeoutError):
            found = {}
        spoken = found.get("supportedVersions")
        if isinstance(spoken, list) and MODERN in spoken:
            return True
        self._wire.version = ""
        return False

    async def _initialized(self) -> bool:
        """Whether it takes the handshake."""
        ours = {"protocolVersion": HANDSHAKE[0], "capabilities": {}, "clientInfo": US}
        try:
            found = await self._ask("initialize", ours)
        except RpcError as error:
            if error.fault.code == VERSION_UNKNOWN:  # it was only slow to answer the probe
                return await self._discovered()
            raise
        version = found.get("protocolVersion")
        if version not in HANDSHAKE:
            return False
        self._wire.version = str(version)
        await self._wire.tell(Message(method="notifications/initialized"))
        return True

    async def _ask(
        self,
        method: str,
        params: dict[str, Any],
        progress: Progress | None = None,
        repeated: Mapping[str, str] = NOTHING,
    ) -> dict[str, Any]:
        id_ = next(self._ids)
        meta: dict[str, Any] = {}
        if self._wire.version == MODERN:
            meta = {messages.VERSION_KEY: MODERN, messages.CLIENT_KEY: US, messages.ABLE_KEY: {}}
        if progress is not None:
            meta["progressToken"] = id_
            self._progress[id_] = progress
        whole = params | ({"_meta": meta} if meta else {})
        try:
            request = Message(id=id_, method=method, params=whole)
            return answered(await self._wire.ask(request, repeated))
        except asyncio.CancelledError:
            if method == "tools/call":
                await self._cancelled(id_)
            raise
        finally:
            self._progress.pop(id_, None)

    async def _cancelled(self, id_: int) -> None:
        """Tell it, without waiting for it. Over HTTP a request that is closed says the same."""
        note = {"requestId": id_, "reason": "nobody waits for it any more"}
        try:
            async with asyncio.timeout(1.0):
                await self._wire.tell(Message(method="notifications/cancelled", params=note))
        except (Lost, RpcError, TimeoutError):
            return

    def _hear(self, message: Message) -> Message | None:
        """What it says by itself."""
        params = message.params if isinstance(message.params, dict) else {}
        if isinstance(message.id, int | str):
            if message.method == "ping":
                return Message(id=message.id, result={})
            fault = Fault(messages.METHOD_NOT_FOUND, "This client offers nothing but ping.")
            return Message(id=message.id, error=fault)
        if message.method == "notifications/tools/list_changed":
            self.is_stale = True
        elif message.method == "notifications/progress":
            token = params.get("progressToken")
            told = self._progress.get(token) if isinstance(token, int | str) else None
            if told is not None:
                told(_said(params))
        return None


def _said(params: Mapping[str, Any]) -> str:
    """Progress in words."""
    numbers = [params.get(name) for name in ("progress", "total")]
    part = " of ".join(f"{number:g}" for number in numbers if isinstance(number, int | float))
    return f"{part}: {params['message']}" if isinstance(params.get("message"), str) else part
