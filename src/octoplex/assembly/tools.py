"""What the file gives to servers of tools: what stands behind the references of their tables.

Apart from `assembly/mcp.py`, which joins them to processes and connections, so that a start and
`octoplex check` can refuse a table without bringing any of that.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.agents.mcp.config import McpTable
from octoplex.agents.mcp.pins import Pins, digest
from octoplex.ledger.audit import Audit
from octoplex.settings import Environment, Settings, secret
from octoplex.transport.origin import header_block
from octoplex.upstreams.configured import resolved
from octoplex.wire.error import BadConfig, InvalidCall

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Given(Struct, frozen=True):
    """The headers of one behind a URL, the environment of one that is started; what is secret."""

    headers: Mapping[str, str] = {}
    env: Mapping[str, str] = {}
    secrets: tuple[str, ...] = ()


class Approval(Struct, frozen=True, forbid_unknown_fields=True):
    """An operator's word that a tool may be used as it describes itself here."""

    server: str
    tool: dict[str, Any]


def approve_tool(data: Path, audit: Audit, order: Mapping[str, Any], who: str) -> str:
    """Note and keep an `Approval`; the hash that it is about.

    Raises:
        msgspec.ValidationError: the order is none.
        StoreFailed: it could not be noted or kept.
    """
    said = msgspec.convert(order, Approval)
    name = str(said.tool.get("name"))
    if not _NAME.fullmatch(said.server):
        raise InvalidCall(f"[mcp.{said.server[:64]}] is no name of a server.")
    pins, sha256 = Pins(data, said.server), digest(said.tool)
    pin = (pins.read() or {}).get(name)
    before = {"sha256": pin.sha256} if pin else None
    about = f"mcp.{said.server}.{name}"
    with audit.change(who, "mcp.approve", about, before=before, after={"sha256": sha256}):
        pins.approve([said.tool], who, time.time_ns() // 1_000_000)
    return sha256


def check_tools(settings: Settings, env: Environment) -> None:
    """Refuse servers that could not be used.

    Raises:
        BadConfig: see `given_to`.
    """
    for name, table in settings.mcp.items():
        given_to(name, table, env)


def given_to(name: str, table: McpTable, env: Environment) -> Given:
    """What a server is given.

    Raises:
        BadConfig: its name, a reference or a header cannot be used.
    """
    where = f"[mcp.{name}]"
    if not _NAME.fullmatch(name):
        raise BadConfig(f"{where}: a name is made of letters, digits, - and _, at most 64.")

    def lookup(reference: str, place: str) -> str:
        return secret(reference, env, place)

    headers = resolved(f"{where} headers", table.headers, lookup)
    variables = resolved(f"{where} env", table.env, lookup)
    hidden = [value for key, value in headers.items() if value != table.headers[key]]
    hidden += [value for key, value in variables.items() if value != table.env[key]]
    if table.token:
        token = lookup(table.token, f"{where} token")
        headers["authorization"] = f"Bearer {token}"
        hidden.append(token)
    try:
        header_block(headers.items())
    except InvalidCall as error:
        raise BadConfig(f"{where} headers: {error}.") from None
    words = [value.rpartition(" ")[2] for value in hidden]  # what stands after "Bearer"
    return Given(headers, variables, (*hidden, *words))
