"""`[mcp.NAME]`: a server of tools, started here or reached by HTTP, and how far it is trusted.

A command stands in the file alone: no request, no task and no plan can name one.
"""

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from octoplex.agents.capability import checked
from octoplex.transport.public import is_private_name
from octoplex.wire.error import BadConfig

Trust = Literal["approve", "first"]
"""Tools are used once an operator has approved them, or as they were when first seen."""


class McpTable(Struct, frozen=True, kw_only=True):
    """A server: `command` or `url`. Values of `env` and `headers`, and `token`, may be references.

    `tools` are the only ones wanted; () is all. `read_only` believes a server that says of a tool
    that it changes nothing. `net` and `workspace` are for one in the sandbox.
    """

    command: tuple[str, ...] = ()
    url: str = ""
    env: dict[str, str] = {}
    headers: dict[str, str] = {}
    token: str = ""
    trust: Trust = "approve"
    read_only: bool = False
    timeout_s: Annotated[float, Meta(gt=0, le=3_600)] = 60.0
    tools: tuple[str, ...] = ()
    sandbox: bool = False
    net: tuple[str, ...] = ()
    workspace: str = ""

    def __post_init__(self) -> None:
        """Raises `BadConfig`: the keys do not fit together, or the URL is none to be asked."""
        if bool(self.command) == bool(self.url):
            raise BadConfig("[mcp.NAME]: write either command or url.")
        if self.url:
            _check_url(self.url)
        elif not self.command[0]:
            raise BadConfig("[mcp.NAME] command: its first word must be a program.")
        if self.command:
            _refuse({"headers": self.headers, "token": self.token}, "command")
        else:
            _refuse({"env": self.env, "sandbox": self.sandbox}, "url")
        for host in self.net:
            checked(f"net:{host}")
        if not self.sandbox:
            _refuse({"net": self.net, "workspace": self.workspace}, "sandbox = false")


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host:
        raise BadConfig(f'[mcp.NAME] url: "{url[:100]}" must look like "https://host/mcp".')
    if parts.scheme == "http" and not is_private_name(host):
        raise BadConfig(f'[mcp.NAME] url: "{host}" is a public name; write https://.')


def _refuse(keys: Mapping[str, object], beside: str) -> None:
    wrong = [key for key, value in keys.items() if value]
    if wrong:
        raise BadConfig(f"[mcp.NAME] {wrong[0]}: it means nothing beside {beside}.")
