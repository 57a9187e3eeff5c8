"""What a database could not take, on the disk of this machine until it can.

    spool.append(rows)                 # synced when it returns, or StoreFailed
    for rows in spool.waiting(): ...   # oldest first; write them, then
    spool.clear()                      # all of it is in the database

One file of frames: length, CRC-32, rows as JSON. It is only appended to and only emptied
whole, so a kill at any moment leaves what was acknowledged, and perhaps half a frame after
it, which was not and is cut off. A frame that a disk has damaged costs itself alone: the next
whole one is looked for, and what lies between is put aside. A replay that is broken off begins
anew: whoever writes the rows must take the same row twice (`postgres/writing.py` keys them by
request and attempt).

Above `most_bytes`, or when the disk is full, nothing more is taken. A failed sync is final
(F55): what the kernel dropped would not be noticed a second time.
"""

import logging
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from octoplex.ledger.rows import Order, Record, Settlement
from octoplex.wire.error import BadConfig, StoreFailed

log = logging.getLogger("octoplex.ledger")
NAME = "spool.log"
MOST_BYTES = 256_000_000
_HEAD = struct.Struct("<II")
_OPENING = b"[["
"""How the data of every frame begin."""


class Rows(Struct, array_like=True, gc=False):
    """A batch as it waits."""

    orders: list[Order] = []
    settlements: list[Settlement] = []
    records: list[Record] = []

    @property
    def count(self) -> int:
        """How many rows."""
        return len(self.orders) + len(self.settlements) + len(self.records)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Rows).decode


class Spool:
    """The file of one data folder. It belongs to the writer's thread, `rows` to anybody."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        """Open or make the file; half a frame at its end is cut off.

        Raises:
            BadConfig: it cannot be opened, or holds what cannot be read.
        """
        self._path, self._most = path, most_bytes
        self._broken = ""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            size = os.fstat(self._file).st_size
        except OSError as error:
            raise BadConfig(f"{path} cannot be opened: {error.strerror}") from error
        self._size = self.rows = self._damaged = 0
        for end, rows in self._frames(size):
            self._size = end
            self.rows += rows.count
        if self._size < size:
            self._cut(size)

    def __bool__(self) -> bool:
        return self._size > 0

    def append(self, rows: Rows, share: float = 1.0) -> None:
        """Put a batch down; it is on the disk when this returns.

        `share` is how much of the bound may be used.

        Raises:
            StoreFailed: there is no room, or the disk fails.
        """
        data = _encode(rows)
        frame = _HEAD.pack(len(data), zlib.crc32(data)) + data
        if self._broken:
            raise StoreFailed(self._broken)
        if self._size + len(frame) > self._most * share:
            raise StoreFailed(
                f"{self.rows:,} entries ({self._size:,} bytes) already wait for the database in "
                f"{self._path.name}"
            )
        try:
            written = os.pwrite(self._file, frame, self._size)
        except OSError as error:
            raise StoreFailed(f"{self._path.name}: {error.strerror}") from error
        if written < len(frame):
            raise StoreFailed(f"{self._path.name}: the disk is full")
        self._sync()
        self._size += len(frame)
        self.rows += rows.count

    def waiting(self) -> Iterator[Rows]:
        """All batches, oldest first."""
        read, size = 0, self._size
        for end, rows in self._frames(size):
            read = end
            yield rows
        if read < size:
            self._put_aside_damaged(read, size)

    def clear(self) -> None:
        """Forget all of it: it is elsewhere now."""
        os.ftruncate(self._file, 0)
        self._sync()
        self._size = self.rows = self._damaged = 0

    def close(self) -> None:
        """Let go of the file; an empty one is removed."""
        if not self._size:
            with suppress(OSError):
                self._path.unlink()
        os.close(self._file)

    def _frames(self, size: int) -> Iterator[tuple[int, Rows]]:
        """Every whole frame, and where it ends."""
        at = 0
        while at + _HEAD.size <= size:
            data = self._data(at, size)
            if data is None:
                found = self._next_whole(at, size)
                if found is None:
                    return
                self._put_aside_damaged(at, found)
                at = found
                continue
            try:
                rows = _decode(data)
            except msgspec.MsgspecError as error:
                raise BadConfig(
                    f"{self._path} holds what another version of octoplex wrote ({error}): start "
                    "that one once, so that it is written to the database"
                ) from None
            at += _HEAD.size + len(data)
            yield at, rows

    def _data(self, at: int, size: int) -> bytes | None:
        """What the frame that begins there holds; None where none does."""
        length, sum_ = _HEAD.unpack(os.pread(self._file, _HEAD.size, at))
        data = os.pread(self._file, length, at + _HEAD.size) if length <= size else b""
        return data if length and len(data) == length and zlib.crc32(data) == sum_ else None

    def _next_whole(self, at: int, size: int) -> int | None:
        """Where the first whole frame behind a place begins."""
        rest = os.pread(self._file, size - at, at)
        found = rest.find(_OPENING, _HEAD.size + 1)
        while found >= 0:
            start = at + found - _HEAD.size
            if self._data(start, size) is not None:
                return start
            found = rest.find(_OPENING, found + 1)
        return None

    def _put_aside_damaged(self, at: int, after: int) -> None:
        """Say once, and keep, what the disk has made of entries."""
        if at >= self._damaged:
            self._damaged = after
            aside = self._aside(at, after)
            log.error("%s: %d bytes are damaged, and now in %s", self._path, after - at, aside)

    def _cut(self, size: int) -> None:
        """Cut off what is no whole frame, and keep it aside: a damaged disk may have done it."""
        aside, count = self._aside(self._size, size), size - self._size
        log.warning("%s: %d bytes at its end are no entry, and are now in %s", NAME, count, aside)
        os.ftruncate(self._file, self._size)
        self._sync()

    def _aside(self, at: int, after: int) -> Path:
        """Keep a part of the file beside it, behind what was kept before."""
        aside = self._path.with_name(f"{self._path.name}.cut")
        file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "ab") as copy:
            copy.write(os.pread(self._file, after - at, at))
        return aside

    def _sync(self) -> None:
        try:
            os.fdatasync(self._file)
        except OSError as error:
            self._broken = (
                f"the disk failed ({error.strerror}), and {self._path.name} takes nothing more "
                "before a restart"
            )
            raise StoreFailed(self._broken) from error
