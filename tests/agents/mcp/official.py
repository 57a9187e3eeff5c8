"""A server of tools as its authors write one, by the official package."""

from typing import Annotated

from mcp.server.mcpserver import Context, MCPServer
from pydantic import Field

SERVER = MCPServer("official")


@SERVER.tool()
async def add(a: int, b: int, ctx: Context) -> int:
    """Add two numbers."""
    await ctx.report_progress(1, 2, "adding")
    return a + b


@SERVER.tool()
def region(
    where: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
) -> dict[str, str]:
    """Say where."""
    return {"where": where}


@SERVER.tool()
def broken() -> str:
    """Fail."""
    raise ValueError("it broke")
