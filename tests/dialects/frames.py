"""AWS event frames as a provider writes them: the other side of what is tested.

Reference: https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html
"""

from collections.abc import Iterable
from struct import pack
from typing import Any
from zlib import crc32

import msgspec


def frame(headers: Iterable[tuple[str, str]], payload: bytes) -> bytes:
    """One frame, with headers of type string."""
    written = b"".join(
        pack(">B", len(name)) + name.encode() + pack(">BH", 7, len(value.encode())) + value.encode()
        for name, value in headers
    )
    prelude = pack(">II", 16 + len(written) + len(payload), len(written))
    message = prelude + pack(">I", crc32(prelude)) + written + payload
    return message + pack(">I", crc32(message))


def told(message: dict[str, Any]) -> bytes:
    """The frame of one entry of `stream.frames.json`."""
    payload = msgspec.json.encode(message["payload"]) if "payload" in message else b""
    json = (":content-type", "application/json")
    if "error" in message:
        said = [(":error-code", message["error"]), (":error-message", message["message"])]
        return frame([*said, (":message-type", "error")], payload)
    kind = "exception" if "exception" in message else "event"
    headers = [(f":{kind}-type", message[kind]), json, (":message-type", kind)]
    return frame(headers, payload)
