"""AWS event streams (`application/vnd.amazon.eventstream`): cut bytes into whole frames.

    total length (4) | headers length (4) | CRC of these 8 (4) | headers | payload | CRC (4)

All numbers are big-endian; the last checksum covers everything before it. `Splitter` never
changes a byte: what it returns are whole frames whose two checksums are right. The prelude
has its own checksum so that a damaged length is noticed at once; nothing is ever awaited, or
held, on the word of a length that was not checked.

What a frame says is read in `dialects/aws_events.py`.

Reference: https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html

Not promised: the signatures of streams that are sent to AWS.
"""

from struct import Struct
from zlib import crc32

from octoplex.transport.sse import MAX_EVENT, oversized
from octoplex.wire.error import UpstreamBroken

PRELUDE = 12
LEAST = PRELUDE + 4

_read_prelude = Struct(">III").unpack_from
_read_crc = Struct(">I").unpack_from


class Splitter:
    """Bytes in, whole frames out."""

    __slots__ = ("_held", "_max_frame", "_need", "_size")

    def __init__(self, max_frame: int = MAX_EVENT) -> None:
        self._max_frame = max_frame
        self._held: list[bytes] = []
        self._size, self._need = 0, PRELUDE

    def feed(self, data: bytes) -> bytes:
        """The bytes of all frames that are whole by now; b"" when none is.

        Raises:
            UpstreamBroken: a checksum is wrong, or a frame is above its cap. Good frames
                before it are given first; then the next call raises.
        """
        self._held.append(data)
        self._size += len(data)
        if self._size < self._need:
            return b""
        buffer = data if len(self._held) == 1 else b"".join(self._held)
        end = 0
        while True:
            size = len(buffer) - end
            try:
                need = self._length(buffer, end) if size >= PRELUDE else PRELUDE
                if size < need:
                    break
                _check(buffer, end, need)
            except UpstreamBroken:
                if not end:
                    raise
                need = 0
                break
            end += need
        self._held, self._size, self._need = [buffer[end:]], size, need
        return buffer[:end]

    def rest(self) -> bytes:
        """Nothing: half a frame cannot be read. A stream that ends in one was cut."""
        return b""

    def _length(self, buffer: bytes, at: int) -> int:
        total, headers, crc = _read_prelude(buffer, at)
        if crc32(memoryview(buffer)[at : at + 8]) != crc:
            raise UpstreamBroken("The prelude of an event frame does not fit its checksum")
        if total < LEAST + headers:
            raise UpstreamBroken(f"An event frame of {total} bytes cannot hold its headers")
        if total > self._max_frame:
            raise oversized("An event frame", self._max_frame)
        return int(total)


def _check(buffer: bytes, at: int, size: int) -> None:
    last = at + size - 4
    if crc32(memoryview(buffer)[at:last]) != _read_crc(buffer, last)[0]:
        raise UpstreamBroken("An event frame does not fit its checksum")
