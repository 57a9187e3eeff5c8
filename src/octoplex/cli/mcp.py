"""`octoplex mcp`: the tools of other servers, and ours for other clients.

    octoplex mcp list                   servers of the file, their tools, what may be used
    octoplex mcp show github            everything that a tool says of itself, hidden text visible
    octoplex mcp approve github         let it be used, exactly as it is shown
    octoplex mcp call github search '{"query": "..."}'
    octoplex mcp serve                  Octoplex itself over stdin and stdout, for desktop clients

Looking at a server starts it, or connects to it. What its tools say is the text of strangers: here
every character of it that cannot be seen is written out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import click
import msgspec

from octoplex.agents.mcp.listed import Listed
from octoplex.agents.mcp.results import outcome_of
from octoplex.agents.mcp.server import ToolServer
from octoplex.agents.mcp.signs import written_out
from octoplex.agents.words import Failed
from octoplex.assembly.mcp import servers_of
from octoplex.assembly.tools import approve_tool
from octoplex.cli.link import ask_server, operator
from octoplex.cli.look import prepared
from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import print_json, print_table
from octoplex.ledger.audit import Audit
from octoplex.ledger.folder import Folder
from octoplex.wire.error import InvalidCall, NotFound

T = TypeVar("T")
Servers = dict[str, ToolServer]
COLUMNS = ("server", "tool", "state", "why")


@click.group()
def mcp() -> None:
    """Use tools of other servers, and be one."""


@mcp.command("list")
@config_option
@json_option
def list_(config: str | None, as_json: bool) -> None:
    """List the servers of the file with their tools, and which of these may be used."""
    rows = _with(config, _all)
    if as_json:
        keys = ("server", "tool", "state", "why", "signs")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        shown = [
            (s, tool, state, "; ".join((why, *signs)).strip("; "))
            for s, tool, state, why, signs in rows
        ]
        print_table(COLUMNS, shown, frozenset())


@mcp.command()
@click.argument("name")
@click.argument("tools", nargs=-1, metavar="[TOOL]...")
@config_option
def show(name: str, tools: tuple[str, ...], config: str | None) -> None:
    """Show what tools say of themselves, whole, and what was approved where that was otherwise."""
    server, found = _with(config, partial(_chosen, name, tools))
    for one in found:
        _print(server, one)


@mcp.command()
@click.argument("name")
@click.argument("tools", nargs=-1, metavar="[TOOL]...")
@click.option("--yes", is_flag=True, help="Without being asked; for tools that are named.")
@config_option
def approve(name: str, tools: tuple[str, ...], yes: bool, config: str | None) -> None:
    """Let tools be used, exactly as they are shown; without TOOL all that are new or changed.

    Those in which something is hidden or gives orders must be named.
    """
    server, found = _with(config, partial(_chosen, name, tools))
    wanted = [one for one in found if one.state in ("new", "changed")]
    if not tools:
        for one in wanted:
            if one.signs:
                click.echo(f"left out: {one.name}, for it has signs; name it to approve it.")
        wanted = [one for one in wanted if not one.signs]
    for one in found:
        if one.state == "refused":
            click.echo(f"left out: {one.name}: {one.why}.")
    for one in wanted:
        _print(server, one)
    if not wanted:
        click.echo("There is nothing to approve.")
        return
    names = ", ".join(one.name for one in wanted)
    if not (yes and tools):
        click.confirm(f"Approve {names} as shown?", abort=True)
    data = place_of(config).data
    for one in wanted:
        _approve(data, {"server": server.name, "tool": dict(one.definition)})
    click.echo(f"approved: {names}")


@mcp.command()
@click.argument("name")
@click.argument("tool")
@click.argument("arguments", default="{}")
@config_option
@json_option
def call(name: str, tool: str, arguments: str, config: str | None, as_json: bool) -> None:
    """Call an approved tool with ARGUMENTS, a JSON object."""
    try:
        given = msgspec.json.decode(arguments, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidCall(f"The arguments are no JSON object: {error}.") from None

    async def work(servers: Servers) -> tuple[Listed, dict[str, Any]]:
        return await _of(servers, name).call(tool, given)

    one, result = _with(config, work)
    if as_json:
        print_json(result)
        return
    with TemporaryDirectory() as folder:  # files that it gives are not kept
        try:
            came = outcome_of(result, one.definition, Path(folder), "call")
            click.echo(came.text or msgspec.json.encode(came.output).decode())
        except Failed as error:
            raise InvalidCall(str(error)) from None


@mcp.command()
@click.option("--url", help="Of a server that runs; its key is in OCTOPLEX_API_KEY.")
@config_option
def serve(url: str | None, config: str | None) -> None:
    """Be a server of tools over stdin and stdout, for clients that start one.

    Asks the server that has the data folder, or a gateway in this process.
    """
    from octoplex.cli.mcp_serve import run  # it brings the whole server

    run(url, config)


def _approve(data: Path, order: dict[str, Any]) -> None:
    """Have it noted and kept by whichever process has the data folder."""
    if ask_server(data, {"do": "mcp.approve", **order}):
        return
    folder = Folder(data)
    folder.lock()
    try:
        approve_tool(data, Audit(data), order, operator())
    finally:
        folder.unlock()


def _with(config: str | None, work: Callable[[Servers], Awaitable[T]]) -> T:
    """Do something with the servers of the file, and end them."""
    place = prepared(place_of(config))

    async def run() -> T:
        servers = servers_of(place.settings, place.env, place.data)
        try:
            return await work(servers)
        except Failed as error:
            raise InvalidCall(str(error)) from None
        finally:
            await asyncio.gather(*(server.close() for server in servers.values()))

    return asyncio.run(run())


def _of(servers: Servers, name: str) -> ToolServer:
    if name not in servers:
        names = ", ".join(servers) or "none"
        raise NotFound(f"There is no [mcp.{name}] in the file; there is {names}.")
    return servers[name]


async def _all(servers: Servers) -> list[tuple[str, str, str, str, Sequence[str]]]:
    """(server, tool, state, why, signs) of everything."""
    await asyncio.gather(*map(_tried, servers.values()))
    rows: list[tuple[str, str, str, str, Sequence[str]]] = []
    for server in servers.values():
        why = await _tried(server)
        if why:
            rows.append((server.name, "", "away", why, ()))
        rows += [(server.name, one.name, one.state, one.why, one.signs) for one in server.known]
    return rows


async def _tried(server: ToolServer) -> str:
    """Why its tools cannot be listed; "" when they are. The second time beside those of others."""
    try:
        await server.tools()
    except Failed as error:
        return str(error)
    return ""


async def _chosen(
    name: str, tools: Sequence[str], servers: Servers
) -> tuple[ToolServer, list[Listed]]:
    """A server and its tools of these names, or all."""
    server = _of(servers, name)
    await asyncio.gather(*(_tried(one) for one in servers.values() if one is not server))
    found = await server.tools()
    missing = set(tools) - {one.name for one in found}
    if missing:
        raise NotFound(f"mcp.{name} has no tool {', '.join(sorted(missing))}.")
    return server, [one for one in found if not tools or one.name in tools]


def _print(server: ToolServer, one: Listed) -> None:
    click.echo(f"mcp.{server.name}.{one.name}: {one.state}{f' ({one.why})' if one.why else ''}")
    for sign in one.signs:
        click.echo(f"  ! {sign}")
    pin = (server.pins.read() or {}).get(one.name)
    if one.state == "changed" and pin is not None:
        click.echo(f"  approved by {pin.by}, sha256 {pin.sha256}:")
        _print_definition(pin.definition)
        click.echo("  now:")
    _print_definition(dict(one.definition))
    click.echo(f"  sha256 {one.sha256}\n")


def _print_definition(definition: dict[str, Any]) -> None:
    """Its description as text, the rest as JSON; both with everything visible."""
    for line in written_out(str(definition.get("description") or "")).splitlines():
        click.echo(f"    {line}")
    names = ("title", "inputSchema", "outputSchema", "annotations")
    rest = {name: definition[name] for name in names if definition.get(name) is not None}
    text = msgspec.json.format(msgspec.json.encode(rest), indent=2).decode()
    click.echo("\n".join(f"    {written_out(line)}" for line in text.splitlines()))
