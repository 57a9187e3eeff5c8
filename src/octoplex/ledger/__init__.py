"""Money and memory: what was reserved, spent, asked, and who may ask.

store.py     the narrow doors (`Store`, `Shelf`); one test suite for every store
sqlite.py    the store on SQLite: `open_store(path, address) -> SqliteStore`
shelf.py     `SqliteShelf`: responses kept for their callers, in a file of their own
stock.py     `Stock`: replies that are given again, in memory; `DiskStock`: in a file beside it
redis/       the same in a Redis, for several hosts, with claims and news
queries.py   `Reader(path)`: the same questions from any process, synchronously
postgres/    the store on PostgreSQL; spool.py keeps what it cannot take
backup.py    a copy of the data folder in one file
book.py      `Book`: the owner of budgets in memory
allowance.py the budgets of one key or tenant, with their sums
rows.py      what is kept
"""

from octoplex.ledger.allowance import Cap, Left, dollars
from octoplex.ledger.book import Book, Hold
from octoplex.ledger.ids import request_ids
from octoplex.ledger.queries import Reader
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
    SpendRow,
    Stored,
)
from octoplex.ledger.sqlite import SqliteStore, open_store
from octoplex.ledger.store import Journal, Shelf, Store

__all__ = [
    "Balance",
    "Book",
    "Cap",
    "Condition",
    "Hold",
    "Journal",
    "KeyRow",
    "Left",
    "Minute",
    "Order",
    "Page",
    "Reader",
    "Record",
    "Settlement",
    "Shelf",
    "Spend",
    "SpendQuery",
    "SpendRow",
    "SqliteStore",
    "Store",
    "Stored",
    "dollars",
    "open_store",
    "request_ids",
]
