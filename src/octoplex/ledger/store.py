"""What the rest of the house may ask of storage: the narrow door.

`Journal` is the hot side, called on the event loop: plain appends that never wait.
Everything else may take a while and is awaited. `SqliteStore` (`sqlite.py`) is the
first to pass `tests/ledger/test_store.py`; `PostgresStore` (`postgres/`) passes the same suite.

    store = open_store(folder)                     # lock, migrate, settle what a kill left
    book = Book(store, await store.balances())     # money in memory
    hold = book.hold(order) or await book.wait(order)
    ...
    hold.settle(nano, usage, "done")
    store.record(record)
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal, Protocol

from octoplex.ledger.archive import Archive
from octoplex.ledger.batch import Batch
from octoplex.ledger.common import Common
from octoplex.ledger.rows import (
    Balance,
    Condition,
    KeyRow,
    Minute,
    Order,
    Page,
    Record,
    Settlement,
    Spend,
    SpendQuery,
    Stored,
    Turned,
)
from octoplex.ledger.shared.till import Till

Whose = Literal["ours", "theirs", "told"]


class Notices(Protocol):
    """Which of several hosts tells of something, so that it is told once."""

    async def claim(self, id_: str, term_s: float) -> Whose:
        """Be the one that tells it, for so long; to be asked again before that ends.

        Raises:
            StoreFailed: nobody knows now.
        """
        ...

    async def told(self, id_: str, before: str) -> None:
        """It was told. Those whose ids have a third word before this one are forgotten.

        Raises:
            StoreFailed: it cannot be written down now.
        """
        ...


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

    def hear(self, listener: Callable[[Record], None] | None) -> None:
        """Tell a listener, or nobody, each record as it comes, those that are dropped, too."""
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

    async def rotate_key(self, turned: Turned) -> KeyRow | None:
        """Give a key another secret. None: there is no such key in use."""
        ...

    def condition(self) -> Condition:
        """How it is, for health, metrics and `doctor`. Costs nothing."""
        ...

    def close(self) -> None:
        """Write everything that is waiting, then let go of the files."""
        ...


class Reads(Protocol):
    """The same questions from any thread or process, waited for: `Reader`, `PostgresReader`."""

    def spend(self, query: SpendQuery) -> Spend:
        """Sums per key, model, provider and day, newest day first."""
        ...

    def balances(self, since_day: int) -> list[Balance]:
        """Every key's days since a day number, and its total."""
        ...

    def attempts(self, request_id: str | None = None) -> list[dict[str, Any]]:
        """The ledger's rows of one request, or all, by the names of the view `ledger`."""
        ...

    def each_attempt(self) -> Iterator[dict[str, Any]]:
        """All of the ledger's rows, without having them all at once."""
        ...

    def batches(self, limit: int, id_: str = "") -> list[Batch]:
        """The newest batches, or the one of an id."""
        ...

    def keys(self) -> list[KeyRow]:
        """All run-time keys."""
        ...

    def request(self, id_: str) -> Record | None:
        """One record."""
        ...

    def requests(self, page: Page) -> list[Record]:
        """Records, newest first."""
        ...

    def close(self) -> None:
        """Let go of what is read."""
        ...


class State(Store, Protocol):
    """All that a gateway keeps: a store, and what lies beside it in the data folder."""

    archive: Archive

    @property
    def reader(self) -> Reads:
        """The store's questions from other threads."""
        ...

    def balances_now(self) -> list[Balance]:
        """What every key has spent, without a loop: for a start before one runs."""
        ...

    def minutes_now(self) -> list[Minute]:
        """What was spent of late before this store was opened, for `Book`."""
        ...

    def keys_now(self) -> list[KeyRow]:
        """All run-time keys, at once."""
        ...

    @property
    def till(self) -> Till | None:
        """What hosts share of their budgets; None where there is one host."""
        ...

    @property
    def common(self) -> Common | None:
        """What hosts on the same database tell each other; None where there is one host."""
        ...

    @property
    def notices(self) -> Notices | None:
        """Which of them tells callers' people; None where there is one host."""
        ...

    def hear_keys(self, heard: Callable[[list[KeyRow]], None]) -> None:
        """Have all run-time keys told when another host changed them."""
        ...

    def tell_address(self, address: str) -> None:
        """Say where the listener is to whoever finds the folder locked."""
        ...


class Owned(State, Protocol):
    """As the process has it that writes."""

    @property
    def inherited(self) -> list[Order]:
        """The open orders of processes that outlived the last owner."""
        ...
