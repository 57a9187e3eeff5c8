"""Money into tables: the writing side of `ledger.db`. Used by the writer's thread only.

Money is written as one statement per up to 256 attempts. An order whose settlement is
in the same batch is not written on its own; the settlement carries the whole row and
inserts it, or completes the reservation that is there. The sums per day are added in
the same transaction, from Python (0.2 us a row; a trigger costs 1.2). They are right
only if every settled row was new, so the number of changed rows is checked; when it
differs the batch is rolled back and written row by row, and the odd ones counted.
"""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress

from octoplex.ledger.bulk import Bulk, cleaned
from octoplex.ledger.period import DAY_MS
from octoplex.ledger.rows import RESERVED, SETTLED, Order, Settlement

Terms = tuple[str, str, str, str, str, str]
Sums = list[int]

TERMS = ("key_id", "key_name", "route", "provider", "model", "price_version")
OPENING = ("request_id", "attempt", "at_ms", "terms", "reserved_nano")
TOKENS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
)
ENDING = ("state", "nano", *TOKENS, "estimated", "outcome")
SUMS = ("requests", "input_tokens", "output_tokens", "nano", "estimated")

ADD_DAY = "on conflict (day, terms) do update set " + ", ".join(
    f"{c} = min({c} + excluded.{c}, {1 << 62})"  # the sum never turns into a float
    for c in SUMS
)
ATTEMPTS = Bulk(
    "attempts",
    OPENING + ENDING,
    "on conflict (request_id, attempt) do update set "
    + ", ".join(f"{c} = excluded.{c}" for c in ENDING)
    + " where state = 0 and excluded.state <> 0",
)
DAYS = Bulk("days", ("day", "terms", *SUMS), ADD_DAY)

_LOST_DAYS = f"""insert into days (day, terms, {", ".join(SUMS)})
    select at_ms / {DAY_MS}, terms, count(*), 0, 0, sum(reserved_nano), count(*)
    from attempts where state = 0 group by 1, 2 {ADD_DAY}"""
_LOST = """update attempts set state = 1, nano = reserved_nano, estimated = 1, outcome = 'lost'
    where state = 0"""
_KNOWN = f"select {', '.join(TERMS)}, id from terms"
_LEARN = f"insert into terms ({', '.join(TERMS)}) values (?, ?, ?, ?, ?, ?)"

REFUSED = (OverflowError, UnicodeError, sqlite3.IntegrityError, sqlite3.InterfaceError)
"""What a single bad value raises; such a batch is written row by row, cleaned."""


class Accounts:
    """The money tables on their one write connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._terms: dict[Terms, int] = {}
        self._recall()

    def settle_lost(self) -> int:
        """Settle reservations a kill left open at what was reserved, flagged (F46); how many."""

        def work() -> int:
            self._db.execute(_LOST_DAYS)
            return self._db.execute(_LOST).rowcount

        return self._whole(work)

    def write(self, rows: list[Order | Settlement]) -> int:
        """Write a batch in one transaction; how many rows an earlier one had settled already.

        Raises:
            sqlite3.Error: nothing of it was written.
        """
        try:
            return self._whole(lambda: self._fast(rows))
        except (_Conflict, *REFUSED):
            return self._whole(lambda: self._one_by_one(rows))

    def _fast(self, rows: list[Order | Settlement]) -> int:
        values: list[object] = []
        days: dict[tuple[int, int], Sums] = {}
        orders, settlements = _merge(rows)
        for order in orders:
            self._open(order, values)
        for done in settlements:
            self._end(done, values, days)
        if ATTEMPTS.run(self._db, values) * ATTEMPTS.width != len(values):
            raise _Conflict
        self._add(days)
        return 0

    def _one_by_one(self, rows: list[Order | Settlement]) -> int:
        conflicts = 0
        for row in rows:
            values: list[object] = []
            days: dict[tuple[int, int], Sums] = {}
            if isinstance(row, Order):
                self._open(row, values)
            else:
                self._end(row, values, days)
            if ATTEMPTS.run(self._db, [cleaned(value) for value in values]):
                self._add(days)
            else:
                conflicts += 1
        return conflicts

    def _open(self, order: Order, values: list[object]) -> None:
        values += (order.request_id, order.attempt, order.at_ms, self._of(order), order.nano)
        values += (RESERVED, 0, 0, 0, 0, 0, 0, 0, 0, "")

    def _end(
        self, done: Settlement, values: list[object], days: dict[tuple[int, int], Sums]
    ) -> None:
        order, usage, nano = done.order, done.usage, done.nano
        terms = self._of(order)
        values += (
            order.request_id,
            order.attempt,
            order.at_ms,
            terms,
            order.nano,
            done.state,
            nano,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.cache_write_1h_tokens,
            usage.reasoning_tokens,
            done.estimated,
            done.outcome,
        )
        if done.state != SETTLED:
            return
        key = (order.at_ms // DAY_MS, terms)
        sums = days.get(key)
        if sums is None:
            sums = days[key] = [0, 0, 0, 0, 0]
        sums[0] += 1
        sums[1] += usage.input_tokens
        sums[2] += usage.output_tokens
        sums[3] += nano
        sums[4] += done.estimated

    def _add(self, days: dict[tuple[int, int], Sums]) -> None:
        if days:
            values: list[object] = []
            for key, sums in days.items():
                values += key
                values += [cleaned(value) for value in sums]
            DAYS.run(self._db, values)

    def _of(self, order: Order) -> int:
        terms = (
            order.key_id,
            order.key_name,
            order.route,
            order.provider,
            order.model,
            order.price_version,
        )
        return self._terms.get(terms) or self._learn(terms)

    def _learn(self, terms: Terms) -> int:
        """Give new terms a number. Cleaned: a name SQLite cannot take must not lose money."""
        key_id, key_name, route, provider, model, version = map(_text, terms)
        clean = (key_id, key_name, route, provider, model, version)
        number = self._terms.get(clean)
        if number is None:
            number = self._db.execute(_LEARN, clean).lastrowid or 0
        self._terms[terms] = number
        return number

    def _recall(self) -> None:
        self._terms = {row[:6]: row[6] for row in self._db.execute(_KNOWN)}

    def _whole(self, work: Callable[[], int]) -> int:
        """Do `work` whole or not at all."""
        self._db.execute("begin immediate")
        try:
            result = work()
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            with suppress(sqlite3.Error):
                self._recall()  # terms learned in it are gone with it
            raise
        return result


def _text(value: str) -> str:
    return str(cleaned(value))


class _Conflict(Exception):
    """A row of the batch was already there."""


def _merge(rows: list[Order | Settlement]) -> tuple[Iterable[Order], list[Settlement]]:
    orders: dict[int, Order] = {}
    settlements: list[Settlement] = []
    for row in rows:
        if type(row) is Settlement:
            orders.pop(id(row.order), None)
            settlements.append(row)
        elif type(row) is Order:
            orders[id(row)] = row
    return orders.values(), settlements
