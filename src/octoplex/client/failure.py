"""An error body of the Chat dialect -> the error that the gateway raised.

The other half of `dialects/openai_chat/failure.py`: a client on a URL raises the same
class, with the same facts, as one in process. `error.octoplex.code` names the class.
Where it is absent the URL is somebody else's, and status and body decide, with one
difference to a gateway's own reading: a 401 or 403 is about the key of *this* caller.

Not promised: which class an undocumented body of another server becomes.
"""

import time
from collections.abc import Mapping
from functools import cache

import msgspec
from msgspec import Struct

from octoplex.dialects.openai_chat import OpenAIChat, OpenAIChatFace
from octoplex.wire.error import (
    Forbidden,
    GatewayError,
    Unauthorized,
    UpstreamError,
    UpstreamRejected,
)

Fact = str | int | float | bool | None
_OURS = frozenset({"code", "request_id", "retry_after_ms"})


class _Said(Struct):
    message: str = ""
    type: str | None = None
    param: str | None = None
    octoplex: dict[str, Fact] | None = None


class _Body(Struct):
    error: _Said


_read = msgspec.json.Decoder(_Body).decode


@cache
def classes() -> Mapping[str, type[GatewayError]]:
    """The error tree by its codes; a leaf's code comes before its parent's."""
    found: dict[str, type[GatewayError]] = {}

    def walk(kind: type[GatewayError]) -> None:
        found[kind.code] = kind
        for sub in kind.__subclasses__():
            walk(sub)

    walk(GatewayError)
    return found


def read_ours(body: bytes, status: int | None = None) -> GatewayError | None:
    """The error in a body that an Octoplex wrote; None when it did not."""
    try:
        said = _read(body).error
    except msgspec.MsgspecError:
        return None
    ours = said.octoplex
    if ours is None:
        return None
    kind = classes().get(str(ours.get("code")), GatewayError)
    wait_ms = ours.get("retry_after_ms")
    error = kind(
        said.message,
        retry_after_s=wait_ms / 1000 if isinstance(wait_ms, int | float) else None,
        **{n: v for n, v in ours.items() if n not in _OURS and isinstance(v, str | int)},
    )
    for name, value in (("param", said.param), ("request_id", ours.get("request_id"))):
        if value is not None:
            error.facts[name] = str(value)
    if isinstance(error, UpstreamRejected) and said.type:
        error.facts["type"] = said.type
    if status is not None and OpenAIChatFace().status(error) != status:
        error.status = status
    return error


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """The error behind a reply that is not a 200."""
    ours = read_ours(body, status)
    if ours is not None:
        return ours
    error = OpenAIChat(time.time).decode_error(status, headers, body)
    kind = {401: Unauthorized, 403: Forbidden}.get(status)
    if kind is None or not isinstance(error, UpstreamError):
        return error
    return kind(f"The server answered {status}: it does not accept this key (api_key).")
