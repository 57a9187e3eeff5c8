"""A file with servers of tools, and the arm over them.

async with opened(tmp_path, box(tmp_path, "echo")) as arm: ...
"""

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from octoplex.agents.mcp.arm import McpArm
from octoplex.agents.mcp.server import ToolServer
from octoplex.agents.words import Order, Outcome, World
from octoplex.assembly.mcp import servers_of
from octoplex.settings import parse
from octoplex.wire.event import Reply

TOOLBOX = Path(__file__).with_name("toolbox.py")


def tool(name: str, says: str = "Does a thing.", **more: Any) -> dict[str, Any]:
    return {"name": name, "description": says, "inputSchema": {"type": "object"}, **more}


def offers(folder: Path, *tools: Any, name: str = "box") -> None:
    """What the toolbox lists from now on."""
    made = [tool(one) if isinstance(one, str) else one for one in tools]
    (folder / f"{name}.json").write_text(json.dumps({"tools": made}))


def box(folder: Path, *tools: Any, more: str = "trust = 'first'", name: str = "box") -> str:
    """A table of the file, for a toolbox with these tools."""
    offers(folder, *tools, name=name)
    command = [sys.executable, "-S", str(TOOLBOX), str(folder / f"{name}.json")]
    return f"[mcp.{name}]\ncommand = {command}\n{more}\n"


@contextlib.asynccontextmanager
async def opened(
    folder: Path, text: str, env: Mapping[str, str] | None = None
) -> AsyncIterator[McpArm]:
    servers = servers_of(parse(text), env or {}, folder / "data")
    arm = McpArm(servers)
    try:
        yield arm
    finally:
        await arm.close()


def only(arm: McpArm) -> ToolServer:
    (server,) = arm._servers.values()
    return server


def names(arm: McpArm) -> list[str]:
    return [offer.name for offer in arm.offers]


async def nobody(model: str, body: bytes) -> tuple[Reply, int]:
    raise AssertionError("no tool asks a model")


def world(folder: Path, **more: Any) -> World:
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    return World(ask=nobody, workspace=workspace, **more)


async def called(
    arm: McpArm, folder: Path, action: str, inputs: dict[str, Any] | None = None, **more: Any
) -> Outcome:
    return await arm(Order("task", "step", action, inputs or {}), world(folder, **more))
