"""What the rest of the house may ask of storage: the narrow door.

`Journal` is the hot side, called on the event loop: plain appends that never wait.
Everything else may take a while and is awaited. `SqliteStore` (`sqlite.py`) is the
first to pass `tests/ledger/test_store.py`; a Postgres store passes the same suite.

    store = open_store(folder)                     # lock, migrate, settle what a kill left
    book = Book(store, await store.balances())     # money in memory
    hold = book.hold(order) or await book.wait(order)
    ...
    hold.settle(nano, usage, "done")
    store.record(record)
"""

from collections.abc import Collection
from typing import Protocol

from octoplex.ledger.rows import (
    Balance,
    Condition,
    KeyRow,
    Order,
    Page,
    Record,
    Settlement,
    Spend,
    SpendQuery,
    Stored,
)


class Journal(Protocol):
    """Where money is written down. Neither call blocks, locks or wakes a thread under load."""

    def reserve(self, order: Order) -> None:
        """Write down what an attempt may cost; on disk within 20 ms.

        Raises:
            StoreFailed: the ledger cannot be written; the paid call must not be made.
        """
        ...

    def settle(self, settlement: Settlement) -> None:
        """Write down what it cost. Never refused, never dropped."""
        ...


class Shelf(Protocol):
    """The responses that are kept for their callers: OpenAI's `store`.

    What is asked after `keep` sees what was kept. Another key's response is as absent as
    none. Reading and deleting raise StoreFailed where the file cannot be read or written.
    """

    @property
    def days(self) -> int:
        """How long a response is kept; 0: not at all."""
        ...

    def keep_for(self, days: int) -> None:
        """Keep responses so long from their creation, also those that are there already."""
        ...

    def keep(self, row: Stored) -> None:
        """Write it down behind the path. May be dropped, counted in `Condition`."""
        ...

    async def find(self, key_id: str, id_: str) -> Stored | None:
        """A response of this key."""
        ...

    async def holding(self, key_id: str, ids: Collection[str]) -> list[Stored]:
        """The responses of this key in which these items first came."""
        ...

    async def known(self, ids: Collection[str]) -> set[str]:
        """Those of these ids, of responses or items, that are or were somebody's here."""
        ...

    async def forget(self, key_id: str, id_: str) -> bool:
        """Delete a response of this key, on disk when this returns. False: there was none."""
        ...


class Store(Journal, Protocol):
    """Usage, money, keys, request records and responses."""

    @property
    def responses(self) -> Shelf:
        """The responses that are kept."""
        ...

    def record(self, record: Record) -> None:
        """Keep a request's record. May be dropped above a bound, counted in `condition`."""
        ...

    async def drain(self) -> bool:
        """Wait until all that was written down so far is on disk; False while that fails."""
        ...

    async def spend(self, query: SpendQuery) -> Spend:
        """Sums per key, model, provider and day, newest day first."""
        ...

    async def requests(self, page: Page) -> list[Record]:
        """Records, newest first."""
        ...

    async def request(self, id_: str) -> Record | None:
        """One record."""
        ...

    async def balances(self) -> list[Balance]:
        """What every key has spent, for a book that starts."""
        ...

    async def keys(self) -> list[KeyRow]:
        """All run-time keys, revoked ones too, oldest first."""
        ...

    async def add_key(self, row: KeyRow) -> None:
        """Keep a key.

        Raises:
            InvalidCall: a key of this name is in use.
        """
        ...

    async def revoke_key(self, name: str, at_ms: int) -> KeyRow | None:
        """Revoke by name or id. None: there is no such key in use."""
        ...

    def condition(self) -> Condition:
        """How it is, for health, metrics and `doctor`. Costs nothing."""
        ...

    def close(self) -> None:
        """Write everything that is waiting, then let go of the files."""
        ...
