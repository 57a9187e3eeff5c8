"""What of a message HTTP repeats in headers, so that proxies can route it without reading it.

Both ends need it: a client writes them, a server refuses a request whose headers say otherwise.

Reference: revision 2026-07-28, streamable HTTP: `Mcp-Method`, `Mcp-Name`, `Mcp-Param-*` for
properties with `x-mcp-header`, and `=?base64?...?=` for what a header cannot carry.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from octoplex.agents.mcp.messages import NAMED_BY, VERSION_KEY

VERSION = "mcp-protocol-version"
METHOD, NAME = "mcp-method", "mcp-name"
SESSION, LAST_EVENT = "mcp-session-id", "last-event-id"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?|")
_WRAPPED = re.compile(r"=\?base64\?(.*)\?=")
_DEEPEST = 16


def wrapped(value: str) -> str:
    """A value as a header carries it."""
    if _PLAIN.fullmatch(value) and not _WRAPPED.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def unwrapped(value: str) -> str | None:
    """The value that a header carries; None where it is damaged."""
    found = _WRAPPED.fullmatch(value)
    if found is None:
        return value
    try:
        return base64.b64decode(found[1], validate=True).decode()
    except ValueError:
        return None


def routing(method: str, params: Mapping[str, Any]) -> dict[str, str]:
    """The headers that repeat a modern request; none of any other."""
    version = (params.get("_meta") or {}).get(VERSION_KEY)
    if not isinstance(version, str):
        return {}
    named = params.get(NAMED_BY.get(method, ""))
    said = {VERSION: version, METHOD: method}
    return said | ({NAME: wrapped(named)} if isinstance(named, str) else {})


def disagreement(said: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The first of these headers that a request has otherwise, or not; "" where they agree."""
    return next((n for n, v in said.items() if unwrapped(headers.get(n, "")) != unwrapped(v)), "")


def mirrored(schema: Any, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Arguments that a tool's schema wants repeated."""
    said = {}
    for token, value in _marked(schema, arguments, 0):
        if isinstance(value, bool):
            said[f"mcp-param-{token}"] = "true" if value else "false"
        elif isinstance(value, str | int):
            said[f"mcp-param-{token}"] = wrapped(str(value))
    return said


def _marked(schema: Any, values: Any, depth: int) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not isinstance(values, Mapping) or depth > _DEEPEST:
        return
    for name, inner in properties.items():
        if name not in values or not isinstance(inner, dict):
            continue
        token = inner.get("x-mcp-header")
        if isinstance(token, str) and _TOKEN.fullmatch(token):
            yield token.lower(), values[name]
        yield from _marked(inner, values[name], depth + 1)
