"""The servers of tools that the file names: nothing is started or connected before use."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from octoplex.agents.capability import Checker
from octoplex.agents.mcp.arm import McpArm
from octoplex.agents.mcp.config import McpTable
from octoplex.agents.mcp.http import Streamable, client_for
from octoplex.agents.mcp.pins import Pins
from octoplex.agents.mcp.server import ToolServer
from octoplex.agents.mcp.stdio import Bare, Boxed, Piped, Process
from octoplex.agents.mcp.wire import Wire
from octoplex.assembly.tools import Given, given_to
from octoplex.sandbox.config import SandboxTable
from octoplex.sandbox.egress import Egress
from octoplex.sandbox.limits import limits_of
from octoplex.sandbox.sandbox import Sandbox
from octoplex.settings import Environment, Settings
from octoplex.transport import Limits
from octoplex.wire.error import BadConfig
from octoplex.wire.redact import Veil

log = logging.getLogger(__name__)
_LIFE_S, _OUTPUT = 1_000 * 3_600.0, 64_000_000
"""Of a server in the sandbox, which then begins anew: all that it wrote is held."""
_CONNECT_S = 10.0


class Connections:
    """The servers of one process. A reload keeps those whose tables stay as they were."""

    def __init__(self, data: Path, trust: ssl.SSLContext | None = None) -> None:
        self._data, self._trust = data, trust
        self._settings = Settings()
        self._servers: dict[str, ToolServer] = {}
        self._lock = asyncio.Lock()

    async def arm(
        self, settings: Settings, env: Environment, names: Sequence[str], checker: Checker
    ) -> McpArm:
        """The tools of these servers, connected and listed as far as they can be reached.

        Raises:
            BadConfig: the file has no such server, or it cannot be used.
        """
        missing = [name for name in names if name not in settings.mcp]
        if missing:
            raise BadConfig(f"[mcp.{missing[0]}]: an agent's arms name it, and it is not there.")
        async with self._lock:
            await self._follow(settings, env)
        arm = McpArm({name: self._servers[name] for name in names}, checker)
        for name, why in (await arm.ready()).items():
            log.warning("the tools of mcp.%s are away: %s", name, why)
        return arm

    async def close(self) -> None:
        """End every connection."""
        await _close(self._servers.values())

    async def _follow(self, settings: Settings, env: Environment) -> None:
        """Have the servers of this file, and no others."""
        before = self._settings
        if settings.mcp == before.mcp and settings.sandbox == before.sandbox:
            return
        made = servers_of(settings, env, self._data, self._trust)
        same = settings.sandbox == before.sandbox
        for name, server in self._servers.items():
            if same and name in made and made[name].table == server.table:
                made[name] = server
        gone = [server for name, server in self._servers.items() if made.get(name) is not server]
        self._settings, self._servers = settings, made
        for name, server in made.items():
            server.others = partial(_names_beside, name, made)
        await _close(gone)


async def _close(servers: Iterable[ToolServer]) -> None:
    await asyncio.gather(*(server.close() for server in servers))


def servers_of(
    settings: Settings, env: Environment, data: Path, trust: ssl.SSLContext | None = None
) -> dict[str, ToolServer]:
    """Every server of the file by its name; `data` holds what was approved.

    Raises:
        BadConfig: a name, a reference, a header or a host cannot be used.
    """
    servers: dict[str, ToolServer] = {}
    for name, table in settings.mcp.items():
        make = _wire(name, table, settings, env, trust)
        servers[name] = ToolServer(name, table, Pins(data, name), make)
        servers[name].others = partial(_names_beside, name, servers)
    return servers


def _names_beside(name: str, servers: Mapping[str, ToolServer]) -> list[str]:
    """The tools of all other servers, as far as they are known."""
    return [one.name for key, server in servers.items() if key != name for one in server.known]


def _wire(
    name: str,
    table: McpTable,
    settings: Settings,
    env: Environment,
    trust: ssl.SSLContext | None,
) -> Callable[[], Wire]:
    given = given_to(name, table, env)
    if table.url:
        return partial(_asked, table, given, settings.sandbox, trust)
    return partial(_started, table, given, settings.sandbox)


def _asked(table: McpTable, given: Given, box: SandboxTable, trust: ssl.SSLContext | None) -> Wire:
    client = client_for(table.url, box.permitted, trust)
    limits = Limits(connect_s=_CONNECT_S, first_s=table.timeout_s, idle_s=table.timeout_s)
    return Streamable(table.url, given.headers, client, limits, Veil(given.secrets))


def _started(table: McpTable, given: Given, box: SandboxTable) -> Wire:
    process: Process = Bare(table.command, given.env)
    if table.sandbox:
        make = partial(Sandbox, tools=box.tools, unsafe=box.unsafe, backend=box.container)
        egress = Egress(table.net, permitted=box.permitted) if table.net else None
        workspace = Path(table.workspace).expanduser() if table.workspace else None
        limits = replace(limits_of(box.limits), seconds=_LIFE_S, output=_OUTPUT)
        process = Boxed(table.command, given.env, workspace, limits, make, egress)
    return Piped(process, Veil(given.secrets))
