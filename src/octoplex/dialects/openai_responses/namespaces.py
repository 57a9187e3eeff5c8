"""Tools in a namespace, which only this dialect has: `mcp__files` holds `read`, `write`.

Elsewhere each is a tool called `NAMESPACE__TOOL`, and so it stands in the typed view; the
face tells a caller that gave the namespace its two names again, in the item of the call.
Codex brings the tools of each MCP server in this form.

    tools: [{type: namespace, name: crm, tools: [{type: function, name: find, ...}]}]
    call:  {type: function_call, namespace: crm, name: find, ...}

Reference: https://developers.openai.com/api/docs/guides/function-calling (namespaces)

Not promised: namespaces with other tools than functions, which stay the provider's own; the
namespace's description; names that a provider finds too long once joined.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE

MARK = "__"
Spaces = Mapping[str, tuple[str, str]]
"""Joined name -> namespace and name."""


class _Named(Struct):
    type: str
    name: str = ""


class _Space(Struct):
    type: str
    name: str = ""
    tools: list[Raw] = []


_space = msgspec.json.Decoder(_Space).decode
_named = msgspec.json.Decoder(_Named).decode
_list = msgspec.json.Decoder(list[Raw]).decode


def joined(namespace: str | None, name: str) -> str:
    """The name of a tool anywhere else."""
    return f"{namespace}{MARK}{name}" if namespace else name


def functions_of(raw: Raw) -> tuple[str, list[Raw]] | None:
    """A namespace's name and functions; None where it holds something else."""
    space = _space(raw)
    if any(_named(tool).type != "function" for tool in space.tools):
        return None
    return space.name, space.tools


def spaces_of(tools: Raw | None) -> Spaces:
    """What must be taken apart again in a reply to a request with these tools."""
    if tools is None or b'"namespace"' not in bytes(tools):
        return {}
    found: dict[str, tuple[str, str]] = {}
    try:
        for raw in _list(tools):
            if _named(raw).type == "namespace" and (space := functions_of(raw)) is not None:
                names = [_named(tool).name for tool in space[1]]
                found |= {joined(space[0], name): (space[0], name) for name in names}
    except UNREADABLE:
        return {}
    return found
