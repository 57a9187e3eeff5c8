"""What the owner keeps in files, as a worker sees it: it reads, and writes nothing itself."""

import asyncio
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import msgspec

from octoplex.ledger.archive import FOLDER, NAME, Archive
from octoplex.ledger.rows import Kept, Stored
from octoplex.ledger.stock import Room, Stock
from octoplex.wire.eager import in_task
from octoplex.wire.error import StoreFailed


class Asks(Protocol):
    """Who asks the owner: `RemoteStore`."""

    async def ask(self, what: str, *args: object) -> bytes: ...

    def tell(self, what: str, *args: object) -> None: ...


class SeenArchive(Archive):
    """An `Archive` that another process writes. Only files that callers name are read here."""

    def __init__(self, folder: Path) -> None:
        self.now = time.time
        self._path = folder / NAME
        self._place = folder / FOLDER
        self._made: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "octoplex-archive")
        self.open = {}
        self.changed = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether there ever was anything to keep."""
        return self._made is not None or self._path.exists()

    @property
    def _db(self) -> sqlite3.Connection:
        if self._made is None:
            where = f"file:{self._path}?mode=ro"
            self._made = sqlite3.connect(where, uri=True, check_same_thread=False)
        return self._made


class SeenStock(Stock):
    """A `Stock` whose file is the owner's; the memory before it is one's own."""

    def __init__(self, owner: Asks, room: Room | None = None) -> None:
        super().__init__(room)
        self._owner = owner

    async def find(self, key: bytes, patient: bool = False) -> Kept | None:
        """See `Stock`; the owner is asked."""
        row = self.near(key)
        if row is not None:
            return row
        purges = self.purges
        await in_task()
        try:
            async with asyncio.timeout(self.room.patient_s if patient else self.room.wait_s):
                said = await self._owner.ask("stock.find", key, patient)
        except (TimeoutError, StoreFailed):
            return self.near(key)
        row = msgspec.msgpack.decode(said, type=Kept | None)
        if row is None or row.ends_at_ms <= self.now_ms() or purges != self.purges:
            return self.near(key)
        self._remember(row)
        return row

    async def vectors(self, group: bytes, most: int) -> list[tuple[bytes, bytes]] | None:
        """(key, vector) of the newest of a group; None when the owner does not say in time."""
        await in_task()
        try:
            async with asyncio.timeout(self.room.wait_s):
                said = await self._owner.ask("stock.vectors", group, most)
        except (TimeoutError, StoreFailed):
            return None
        return msgspec.msgpack.decode(said, type=list[tuple[bytes, bytes]] | None)

    def keep(self, row: Kept) -> None:
        """Keep a reply in place of the one under its key."""
        if not self._closed and row.size <= self.room.row_bytes:
            self._remember(row)
            self._owner.tell("stock.keep", row)

    async def purge(self, route: str | None = None) -> int:
        """Empty one's own memory; the rest is the owner's to delete."""
        self.forget(route)
        return 0


class SeenShelf:
    """Implements `Shelf` for a worker: the owner is asked."""

    def __init__(self, owner: Asks) -> None:
        self._owner = owner
        self.days = 0

    def keep_for(self, days: int) -> None:
        self.days = days

    def keep(self, row: Stored) -> None:
        self._owner.tell("shelf.keep", row)

    async def find(self, key_id: str, id_: str) -> Stored | None:
        said = await self._owner.ask("shelf.find", key_id, id_)
        return msgspec.msgpack.decode(said, type=Stored | None)

    async def holding(self, key_id: str, ids: Any) -> list[Stored]:
        said = await self._owner.ask("shelf.holding", key_id, list(ids))
        return msgspec.msgpack.decode(said, type=list[Stored])

    async def known(self, ids: Any) -> set[str]:
        said = await self._owner.ask("shelf.known", list(ids))
        return msgspec.msgpack.decode(said, type=set[str])

    async def forget(self, key_id: str, id_: str) -> bool:
        said = await self._owner.ask("shelf.forget", key_id, id_)
        return msgspec.msgpack.decode(said, type=bool)
