"""Frames of messages over a Unix socket: four bytes of length, then MessagePack.

What is pushed goes out together 2 ms later, or with the first message that somebody waits
for; the order stays. Whoever reads the socket must be this user (`SO_PEERCRED`).
"""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

import msgspec

from octoplex.ledger.clean import REFUSED, clean

log = logging.getLogger("octoplex.ledger")
SOCKET = "owner.sock"
FLUSH_S = 0.002
LONGEST = 256_000_000
_LENGTH = struct.Struct("<I")
_CREDENTIALS = struct.Struct("3i")
_encode = msgspec.msgpack.Encoder().encode


class Wire(asyncio.Protocol):
    """One end. `heard` is called with each message, in order; `lost` once, at the end."""

    def __init__(
        self,
        decode: Callable[[bytes], list[Any]],
        heard: Callable[["Wire", Any], None],
        lost: Callable[["Wire"], None],
    ) -> None:
        self._decode, self._heard, self._lost = decode, heard, lost
        self._in = bytearray()
        self._out: list[Any] = []
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self.up = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's does not say so
        if peer_uid(transport.get_extra_info("socket")) not in (None, os.geteuid()):
            transport.abort()
            return
        transport.set_write_buffer_limits(high=2**30)  # nobody here waits for it
        self._transport, self.up = transport, True

    def data_received(self, data: bytes) -> None:
        buffer = self._in
        buffer += data
        start = 0
        while len(buffer) - start >= 4:
            (size,) = _LENGTH.unpack_from(buffer, start)
            if len(buffer) - start - 4 < size:
                break
            frame = bytes(buffer[start + 4 : start + 4 + size])
            start += 4 + size
            for message in self._messages(frame):
                try:
                    self._heard(self, message)
                except Exception:  # what it concerns is lost, not what comes after it
                    log.exception("the ledger's socket: %r", type(message).__name__)
        if start:
            del buffer[:start]

    def _messages(self, frame: bytes) -> list[Any]:
        try:
            return self._decode(frame)
        except msgspec.MsgspecError as error:
            log.error("the ledger's socket carried what nobody understands: %s", error)
            self.close()
            return []

    def connection_lost(self, error: Exception | None) -> None:
        if self.up:
            self.up = False
            self._lost(self)

    def push(self, message: Any) -> None:
        """Send soon."""
        if not self._out:
            self._loop.call_later(FLUSH_S, self.flush)
        self._out.append(message)

    def send(self, message: Any) -> None:
        """Send now, after what was pushed."""
        self._out.append(message)
        self.flush()

    def flush(self) -> None:
        """Send what was pushed."""
        out, self._out = self._out, []
        if out and self.up and self._transport is not None:
            try:
                frame = _encode(out)
            except REFUSED:
                frame = _encode([sound for one in out if (sound := _sound(one)) is not None])
            self._transport.write(_LENGTH.pack(len(frame)) + frame)

    @property
    def waiting(self) -> int:
        """Bytes that the other side has not taken."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def close(self) -> None:
        """Send what was pushed, then hang up."""
        self.flush()
        if self._transport is not None:
            self._transport.close()


def _sound(message: Any) -> Any:
    """The message with values that MessagePack takes; None where that does not help."""
    changes = {
        name: clean(value)
        for name in message.__struct_fields__
        if isinstance(value := getattr(message, name), msgspec.Struct)
    }
    message = clean(msgspec.structs.replace(message, **changes))
    try:
        _encode(message)
    except REFUSED:
        log.error("the ledger's socket: %r cannot be sent", type(message).__name__)
        return None
    return message


def peer_uid(sock: Any) -> int | None:
    """The user at the other end of a Unix socket; None where the system does not say."""
    option = getattr(socket, "SO_PEERCRED", None)
    if sock is None or option is None:
        return None
    _, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return int(uid)
