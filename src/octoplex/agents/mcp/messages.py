"""JSON-RPC 2.0 as MCP has it: what is said and heard, in which revisions, and how much of it.

Two eras: revisions up to 2025-11-25 begin with `initialize` and may keep a session; 2026-07-28
keeps none, and every request says in `_meta` who asks and in which revision.

Reference: modelcontextprotocol.io/specification, revisions 2025-11-25 and 2026-07-28.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

MODERN = "2026-07-28"
HANDSHAKE = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Newest first: the first one is offered."""
MOST_BYTES = 8 * 1024 * 1024
"""Of one message, whichever way it goes."""
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CLIENT_KEY = "io.modelcontextprotocol/clientInfo"
ABLE_KEY = "io.modelcontextprotocol/clientCapabilities"
SERVER_KEY = "io.modelcontextprotocol/serverInfo"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Methods of which a header repeats a parameter."""
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, INTERNAL_ERROR = -32602, -32603
HEADER_MISMATCH, VERSION_UNKNOWN = -32020, -32022
US = {"name": "octoplex", "version": "0.1.0"}


class Fault(Struct, frozen=True, omit_defaults=True):
    """The `error` of a reply."""

    code: int
    message: str = ""
    data: Any = None


class Message(Struct, frozen=True, kw_only=True):
    """A request (`id` and `method`), a notification (`method` alone), or a reply."""

    jsonrpc: Literal["2.0"] = "2.0"
    id: int | str | UnsetType | None = UNSET
    method: str | UnsetType = UNSET
    params: dict[str, Any] | UnsetType = UNSET
    result: dict[str, Any] | UnsetType = UNSET
    error: Fault | UnsetType = UNSET

    @property
    def is_reply(self) -> bool:
        """Whether it answers a request."""
        return self.method is UNSET

    def bytes(self) -> bytes:
        """As it goes over a wire."""
        return msgspec.json.encode(self)


decode = msgspec.json.Decoder(Message).decode


class RpcError(Exception):
    """The other side refused a request."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.message} ({fault.code})")
        self.fault = fault


class Lost(Exception):
    """The other side is gone, or said what cannot be read. `reached`: it may have heard us."""

    def __init__(self, why: str, *, reached: bool = True) -> None:
        super().__init__(why)
        self.reached = reached


def answered(message: Message) -> dict[str, Any]:
    """The result of a reply.

    Raises:
        RpcError: it is an error.
        Lost: it is neither.
    """
    if isinstance(message.error, Fault):
        raise RpcError(message.error)
    if not isinstance(message.result, dict):
        raise Lost("a reply has neither result nor error")
    return message.result
