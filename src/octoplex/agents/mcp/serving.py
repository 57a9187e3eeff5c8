"""The other side: messages of an MCP client answered out of a list of tools.

    answer(message, tools, headers)  ->  a reply, or None to what is not answered

Nothing is kept between two messages: a session that is asked for by `initialize` has no number, so
there is none to guess, to steal or to fill a memory with. Both eras are served; the newest needs no
more than that anyway.

What goes wrong in a tool is its result, so that a model can read it; what is wrong with a message
is an error of the protocol.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.agents.mcp import messages
from octoplex.agents.mcp.headers import VERSION, disagreement, routing
from octoplex.agents.mcp.messages import HANDSHAKE, MODERN, US, Fault, Message
from octoplex.agents.schemas import schema_from
from octoplex.dialects.members import UNREADABLE
from octoplex.wire.error import GatewayError

INSTRUCTIONS = (
    "Octoplex is a gateway to language models. `models` lists those that may be asked, `chat` asks "
    "one and says what it cost."
)
LIST_TTL_MS = 60_000


class Given(Struct, frozen=True):
    """What a tool gave: text, and the same as JSON."""

    text: str
    structured: dict[str, Any] = {}
    failed: bool = False


class Served(Struct, frozen=True, kw_only=True):
    """A tool of ours. `kind` is a struct: its fields are the arguments, its docstring nobody's."""

    name: str
    description: str
    kind: type[Struct]
    call: Callable[[Any], Awaitable[Given]]
    reads_only: bool = False

    def shown(self) -> dict[str, Any]:
        """As `tools/list` has it."""
        schema = {**schema_from(self.kind), "additionalProperties": False}
        schema.pop("description", None)
        return {
            "name": self.name,
            "description": self.description,
            "inputSchema": schema,
            "annotations": {"readOnlyHint": self.reads_only},
        }


class Wrong(Exception):
    """A message that is answered by an error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.fault = Fault(code, message, data)


def read(data: bytes) -> Message:
    """One message.

    Raises:
        Wrong: it is none.
    """
    try:
        message = messages.decode(data)
    except msgspec.ValidationError as error:
        raise Wrong(messages.INVALID_REQUEST, f"This is no message of JSON-RPC: {error}.") from None
    except UNREADABLE:
        raise Wrong(messages.PARSE_ERROR, "This is no JSON.") from None
    if message.is_reply or message.id is None:
        raise Wrong(messages.INVALID_REQUEST, "Send a request or a notification.")
    return message


async def answer(
    message: Message, tools: Sequence[Served], headers: Mapping[str, str] | None = None
) -> Message | None:
    """The reply to a message, None to a notification. `headers` are those of HTTP, lower case."""
    if not isinstance(message.id, int | str):
        return None
    try:
        result = await _result(message, tools, headers)
    except Wrong as error:
        return Message(id=message.id, error=error.fault)
    return Message(id=message.id, result=result)


async def _result(
    message: Message, tools: Sequence[Served], headers: Mapping[str, str] | None
) -> dict[str, Any]:
    method = str(message.method)
    params = message.params if isinstance(message.params, dict) else {}
    meta = params.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    version = meta.get(messages.VERSION_KEY)
    said = (headers or {}).get(VERSION)
    if version is None and method != "server/discover" and said != MODERN:
        return await _handshake_era(method, params, tools)
    if not isinstance(version, str) or not isinstance(meta.get(messages.ABLE_KEY), dict):
        needed = f"{messages.VERSION_KEY} and {messages.ABLE_KEY}"
        raise Wrong(messages.INVALID_PARAMS, f"params._meta must have {needed}.")
    wrong = disagreement(routing(method, params), headers) if headers is not None else ""
    if wrong:
        raise Wrong(
            messages.HEADER_MISMATCH, f"The header {wrong} does not say what the body says."
        )
    if version != MODERN:
        spoken = {"supported": [MODERN], "requested": version}
        raise Wrong(messages.VERSION_UNKNOWN, "Unsupported protocol version", spoken)
    found = {"resultType": "complete", "_meta": {messages.SERVER_KEY: US}}
    cached = {"ttlMs": LIST_TTL_MS, "cacheScope": "private"}
    if method == "server/discover":
        able = {"supportedVersions": [MODERN], "capabilities": {"tools": {}}}
        return found | cached | able | {"instructions": INSTRUCTIONS}
    if method == "tools/list":
        return found | cached | _list(tools)
    return found | await _tool_result(method, params, tools)


async def _handshake_era(
    method: str, params: Mapping[str, Any], tools: Sequence[Served]
) -> dict[str, Any]:
    if method == "initialize":
        asked = params.get("protocolVersion")
        return {
            "protocolVersion": asked if asked in HANDSHAKE else HANDSHAKE[0],
            "capabilities": {"tools": {}},
            "serverInfo": US,
            "instructions": INSTRUCTIONS,
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return _list(tools)
    return await _tool_result(method, params, tools)


def _list(tools: Sequence[Served]) -> dict[str, Any]:
    return {"tools": [tool.shown() for tool in tools]}


async def _tool_result(
    method: str, params: Mapping[str, Any], tools: Sequence[Served]
) -> dict[str, Any]:
    if method != "tools/call":
        raise Wrong(messages.METHOD_NOT_FOUND, f"There is no method {method[:60]!r} here.")
    name = params.get("name")
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        names = ", ".join(tool.name for tool in tools)
        raise Wrong(messages.INVALID_PARAMS, f"There is no tool {str(name)[:60]!r}; {names}.")
    try:
        arguments = msgspec.convert(params.get("arguments") or {}, tool.kind)
        given = await tool.call(arguments)
    except msgspec.ValidationError as error:
        given = Given(f"The arguments are wrong: {error}.", failed=True)
    except GatewayError as error:
        code = {"error": {"code": error.code, "message": str(error)}}
        given = Given(str(error), code, failed=True)
    result = {"content": [{"type": "text", "text": given.text}], "isError": given.failed}
    return result | ({"structuredContent": given.structured} if given.structured else {})
