"""A tool as its server lists it, and whether it may be used.

    approved    exactly what somebody approved
    new         nobody has looked at it
    changed     it says something else than what was approved
    refused     it cannot be used, whoever approves it: its name, its size, a double
    unwanted    the file names other tools

Only what is approved is shown to a planner and can be called.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from octoplex.agents.mcp.pins import Pin, canonical, digest
from octoplex.agents.mcp.signs import signs, written_out

State = Literal["approved", "new", "changed", "refused", "unwanted"]
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
MOST_BYTES = 64 * 1024
"""Of one tool's definition: more is no description."""


class Listed(Struct, frozen=True, kw_only=True):
    """One tool. `signs` are what is hidden or gives orders in it; `why` it may not be used."""

    name: str
    definition: Mapping[str, Any]
    sha256: str
    state: State
    signs: tuple[str, ...] = ()
    why: str = ""

    @property
    def description(self) -> str:
        """What it says of itself, with everything visible."""
        return written_out(str(self.definition.get("description") or ""))


def listed(
    server: str,
    tools: Sequence[dict[str, Any]],
    pins: Mapping[str, Pin],
    wanted: Collection[str],
    others: Iterable[str] = (),
) -> list[Listed]:
    """Each tool beside what was approved. `others` are names of other servers' tools."""
    folded, rivals = [str(tool.get("name")).casefold() for tool in tools], list(others)
    found = []
    for tool in tools:
        name = str(tool.get("name"))
        try:
            why, sha256 = _refusal(name, tool, folded), digest(tool)
            seen = () if why else tuple(signs(_read(tool), rivals))
        except RecursionError:
            why, sha256, seen = "its definition is nested too deeply", "", ()
        state: State = "refused" if why else "approved"
        pin = pins.get(name)
        anew = f"`octoplex mcp approve {server} {name}`"
        if why:
            name = written_out(name)[:100]
        elif wanted and name not in wanted:
            state, why = "unwanted", f"[mcp.{server}] tools does not name it"
        elif pin is None:
            state, why = "new", f"nobody has approved it; {anew}"
        elif pin.sha256 != sha256:
            state, why = "changed", f"it has changed since it was approved; {anew}"
        found.append(
            Listed(name=name, definition=tool, sha256=sha256, state=state, signs=seen, why=why)
        )
    return found


def _read(tool: dict[str, Any]) -> dict[str, Any]:
    """What a model may come to read."""
    return {name: value for name, value in tool.items() if name not in ("icons", "_meta")}


def _refusal(name: str, tool: dict[str, Any], folded: Sequence[str]) -> str:
    """Why a tool cannot be used at all; "" where it can."""
    if not isinstance(tool.get("name"), str) or not NAME.fullmatch(name):
        return "its name is no plain one"
    if folded.count(name.casefold()) > 1:
        return "another tool of this server has the same name"
    if not isinstance(tool.get("inputSchema"), dict):
        return "it has no input schema"
    if len(canonical(tool)) > MOST_BYTES:
        return f"its definition has more than {MOST_BYTES:,} bytes"
    return ""
