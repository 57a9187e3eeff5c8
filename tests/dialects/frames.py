"""AWS event frames as a provider writes them: the other side of what is tested.

Reference: https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html
"""

from base64 import b64encode
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


def chunk(event: dict[str, Any]) -> bytes:
    """The frame of one entry of `stream.chunks.json`: an event of Anthropic, or an exception."""
    if "type" not in event:
        return told(event)
    data = b64encode(msgspec.json.encode(event)).decode()
    return told({"event": "chunk", "payload": {"bytes": data, "p": "abcdef"}})


def part(message: dict[str, Any]) -> bytes:
    """The frame of one entry of `stream.payloads.json`: a piece of a stream, or an exception."""
    if "bytes" not in message:
        return told(message)
    kind = (":content-type", "application/octet-stream")
    headers = [(":event-type", "PayloadPart"), kind, (":message-type", "event")]
    return frame(headers, message["bytes"].encode())
