"""Undo gzip and deflate with a cap on what comes out.

We ask for `identity`; some servers compress all the same. A kilobyte can inflate to a
megabyte, so the output of every step is bounded before it exists, not measured after.

References: RFC 1952 (gzip, several members allowed), RFC 1950, and RFC 9110 8.4.1.2, which
knows that some send "deflate" without the zlib wrapper.
"""

import zlib
from typing import Protocol

from octoplex.wire.error import UpstreamBroken

_GZIP, _ZLIB, _RAW = 31, 15, -15


class _Machine(Protocol):
    """What zlib's unnamed decompressor offers."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Inflater:
    """A push machine: compressed bytes in, plain bytes out."""

    __slots__ = ("_coding", "_machine")

    def __init__(self, coding: str) -> None:
        """Make one for a `content-encoding`.

        Raises:
            UpstreamBroken: a coding we did not ask for and cannot read.
        """
        self._coding = coding.strip().lower()
        if self._coding not in ("gzip", "x-gzip", "deflate"):
            raise UpstreamBroken(f"The reply came as content-encoding {coding[:40]!r}")
        self._machine: _Machine | None = None

    def feed(self, data: bytes, room: int) -> bytes:
        """Inflate.

        Raises:
            UpstreamBroken: it is not what it says, or gives more than `room` bytes.
        """
        out: list[bytes] = []
        while data:
            machine = self._machine or self._start(data)
            try:
                plain = machine.decompress(data, room + 1)
            except zlib.error as error:
                raise UpstreamBroken(f"The reply is not {self._coding}: {error}") from None
            room -= len(plain)
            if room < 0 or machine.unconsumed_tail:
                raise UpstreamBroken("The reply inflates to more than is allowed")
            out.append(plain)
            data = machine.unused_data
            if machine.eof:
                self._machine = None
        return b"".join(out)

    def end(self) -> None:
        """The reply ended.

        Raises:
            UpstreamBroken: the compressed data did not.
        """
        if self._machine is not None:
            raise UpstreamBroken(f"The reply's {self._coding} data ended early")

    def _start(self, data: bytes) -> _Machine:
        if self._coding != "deflate":
            kind = _GZIP
        else:
            wrapped = data[0] & 0x0F == 8 and (len(data) == 1 or (data[0] << 8 | data[1]) % 31 == 0)
            kind = _ZLIB if wrapped else _RAW
        machine: _Machine = zlib.decompressobj(kind)
        self._machine = machine
        return machine
