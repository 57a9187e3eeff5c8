"""Orders of the last moments, in memory that outlives the process.

    slate.note(order)      on the loop, before the provider is asked: a copy into a mapped file
    slate.wrote(count)     the writer's thread, after it committed so many of them
    slate.take_left()      at the next start: what was noted and may not be in the ledger

The kernel keeps the pages of a mapped file when a process is killed, so that an attempt
which a provider has seen is never unknown here, although its commit comes up to 20 ms (on
a busy machine more) later. No system call and no disk is involved: 1 us an order.

The file is a ring of slots, each a number, a length and the order as JSON. A slot's number
is written last, so that a half-written one still carries its old number and is passed
over. An order that does not fit loses the end of its names, not its money. When more
orders wait for the disk than there are slots, the oldest of them are overwritten.

Not promised: anything after a loss of power; that is what the commits are for.
"""

import mmap
import os
import struct
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

from octoplex.ledger.clean import REFUSED, clean
from octoplex.ledger.rows import Order

SLOTS, SLOT = 8_192, 512
"""4 MB for each process that grants, which become resident with its first 8,192 orders."""
HEAD = 16
"""Bytes before the slots: the count of orders that are committed, and room."""

_MARK = struct.Struct("<QI")
_COUNT = struct.Struct("<Q")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Order).decode
_MOST = SLOT - _MARK.size


class Slate:
    """The ring of one data folder. `note` belongs to the loop, `wrote` to the writer's thread."""

    __slots__ = ("_left", "_map", "_noted", "_written")

    def __init__(self, path: Path) -> None:
        """Open or make the file, with all its room: a mapped hole in a full disk kills.

        Raises:
            OSError: it cannot be opened, or there is no room for it.
        """
        size = HEAD + SLOTS * SLOT
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(file).st_size != size:
                os.ftruncate(file, 0)
            os.posix_fallocate(file, 0, size)
            self._map = mmap.mmap(file, size)
            content = os.pread(file, size, 0)  # looked at in the map, it would be resident
        finally:
            os.close(file)
        (self._written,) = _COUNT.unpack_from(content, 0)
        marks = [_MARK.unpack_from(content, at)[0] for at in range(HEAD, size, SLOT)]
        self._noted: int = max(self._written, *marks)
        self._left = self._read(content)

    def note(self, order: Order) -> None:
        """Copy an order in."""
        try:
            data = _encode(order)
        except REFUSED:
            data = _encode(clean(order))
        if len(data) > _MOST:
            data = _shortened(clean(order))
        number = self._noted = self._noted + 1
        at = HEAD + number % SLOTS * SLOT
        start = at + _MARK.size
        self._map[start : start + len(data)] = data
        _MARK.pack_into(self._map, at, number, len(data))

    @property
    def noted(self) -> int:
        """How many there ever were."""
        return self._noted

    def wrote(self, count: int) -> None:
        """So many more of the orders that were noted are in the ledger, oldest first."""
        self._written += count
        _COUNT.pack_into(self._map, 0, self._written)

    def take_left(self) -> list[Order]:
        """What a killed process noted after its last commit, oldest first; once."""
        left, self._left = self._left, []
        return left

    def clear(self) -> None:
        """All that was left is in the ledger now."""
        self.wrote(self._noted - self._written)

    def _read(self, content: bytes) -> list[Order]:
        found: list[tuple[int, Order]] = []
        for at in range(HEAD, len(content), SLOT):
            number, size = _MARK.unpack_from(content, at)
            if number > self._written and size <= _MOST:
                with suppress(msgspec.DecodeError, UnicodeDecodeError):  # another version's
                    start = at + _MARK.size
                    found.append((number, _decode(content[start : start + size])))
        return [order for _, order in sorted(found, key=lambda pair: pair[0])]


def _shortened(order: Order) -> bytes:
    """An order whose names are too long for a slot: money and id are kept whole."""
    names = ("key_name", "route", "model")
    for most in (128, 64, 24):
        cut = {n: getattr(order, n).encode()[:most].decode("utf-8", "ignore") for n in names}
        data = _encode(replace(order, **cut))
        if len(data) <= _MOST:
            return data
    return _encode(replace(order, key_name="", route="", model="", price_version=""))[:_MOST]
