"""Money into tables: the writing side of `ledger.db`. Used by the writer's thread only.

Attempts that have ended are written as one row per commit, a JSON array: an insert of a
row each cost 2 to 3 us, encoding it 0.3. An order whose settlement is in the same batch
is not written on its own. One that must wait goes to the table `opened`, which is there
for a start after a kill only, and is remembered here by its identity, so that its
settlement is matched without a look at the disk. Every `CARRY` commits what is still
open is written again and the rows before it removed, so that a start has little to read.

The sums per day are added in the same transaction, from Python. A settlement that
matches no open order is looked for among the ended ones and counted when it is there.
"""

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from octoplex.ledger.clean import REFUSED, clean, cleaned
from octoplex.ledger.marks import WITH_ID, marks_of, sought
from octoplex.ledger.period import DAY_MS
from octoplex.ledger.rows import NO_HEIRS, SETTLED, Heirs, Order, Settlement

Terms = tuple[str, str, str, str, str, str, str]
Days = dict[tuple[int, int], list[int]]
"""Sums of each day and terms: requests, input and output tokens, nano, estimated."""
Matched = tuple[dict[int, Order], list[Settlement], set[int], int]
"""Orders that stay open, settlements to write, open orders they end, how many were double."""

Row = tuple[str | int, ...]

CARRY = 256
"""Commits after which what is still open is written again."""

TERMS = ("key_id", "key_name", "route", "provider", "model", "price_version", "tenant")


_KNOWN = f"select {', '.join(TERMS)}, id from terms"
_LEARN = f"insert into terms ({', '.join(TERMS)}) values (?, ?, ?, ?, ?, ?, ?)"
_LAST = """select max(coalesce((select max(seq) from batches), 0),
    coalesce((select max(seq) from opened), 0))"""
_WRITE = """insert into inbox (seq, first_id, last_id, attempts, marks, days, opened, forget)
    values (?, ?, ?, ?, ?, ?, ?, ?)"""
_LOST = "select request_id, attempt, at_ms, terms, reserved_nano from still_open"
_SAME = f"select attempts {WITH_ID} and instr(attempts, :text)"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[list[str | int]]).decode


class Accounts:
    """The money tables on their one write connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._open: dict[int, Order] = {}
        """Orders in `opened` that have not ended, by identity; kept, so that it stays theirs."""
        self._since_carry = 0
        (self._seq,) = db.execute(_LAST).fetchone()
        self._terms: dict[Terms, int] = {row[:7]: row[7] for row in db.execute(_KNOWN)}

    def settle_lost(self, noted: Sequence[Order] = (), heirs: Heirs = NO_HEIRS) -> int:
        """Settle reservations a kill left open at what was reserved, flagged (F46); how many.

        `noted` are orders that may have missed the last commit (`slate.py`); what `heirs` go on
        with stays open.
        """
        lost = self._db.execute(_LOST).fetchall()
        known = {(id_, attempt) for id_, attempt, *_ in lost}
        living = self._inherit(heirs, known)
        named = {(o.request_id, o.attempt) for o in (*heirs.opened, *heirs.wanted)}
        lost = [row for row in lost if row[:2] not in named]
        for order in noted:
            id_ = (order.request_id, order.attempt)
            if id_ in known | named or self._has_ended(order, ()):
                continue
            known.add(id_)
            lost.append((order.request_id, order.attempt, order.at_ms, self._of(order), order.nano))
        days: Days = {}
        rows: list[Row] = []
        for id_, attempt, at_ms, terms, nano in lost:
            sums = days.setdefault((at_ms // DAY_MS, terms), [0, 0, 0, 0, 0])
            sums[:] = sums[0] + 1, 0, 0, sums[3] + nano, sums[4] + 1
            rows.append(
                (id_, attempt, at_ms, terms, nano, SETTLED, nano, 0, 0, 0, 0, 0, 0, 1, "lost")
            )
        self._insert(rows, days, self._waiting(living) if living else None, True)
        return len(lost)

    def _inherit(self, heirs: Heirs, known: set[tuple[str, int]]) -> list[Order]:
        """Take up those that have not ended; they are in `open_now` then."""
        living = [
            order
            for order in heirs.opened
            if (order.request_id, order.attempt) in known or not self._has_ended(order, ())
        ]
        self._open |= {id(order): order for order in living}
        return living

    @property
    def open_now(self) -> list[Order]:
        """What is open on disk."""
        return list(self._open.values())

    def write(self, rows: list[Order | Settlement]) -> int:
        """Write a batch in one transaction; how many rows an earlier one had settled already.

        Raises:
            sqlite3.Error: nothing of it was written.
        """
        fresh, done, taken, conflicts = self._match(rows)
        carry = self._since_carry >= CARRY
        if carry:
            still = {key: order for key, order in self._open.items() if key not in taken}
            opened = [*still.values(), *fresh.values()]
        else:
            opened = [*fresh.values()]
        try:
            self._write(opened, done, carry)
        except REFUSED:
            self._write([clean(order) for order in opened], [_clean(one) for one in done], carry)
        self._since_carry = 0 if carry else self._since_carry + 1
        for key in taken:
            del self._open[key]
        self._open |= fresh
        return conflicts

    def _match(self, rows: list[Order | Settlement]) -> Matched:
        """Find for each settlement the reservation it ends."""
        fresh: dict[int, Order] = {}
        done: list[Settlement] = []
        taken: set[int] = set()
        conflicts = 0
        open_ = self._open
        for row in rows:
            if type(row) is Order:
                fresh[id(row)] = row
            elif type(row) is Settlement:
                key = id(row.order)
                if key in fresh:
                    del fresh[key]
                elif key in open_ and key not in taken:
                    taken.add(key)
                elif self._has_ended(row.order, done):
                    conflicts += 1
                    continue
                done.append(row)
        return fresh, done, taken, conflicts

    def _has_ended(self, order: Order, done: Sequence[Settlement]) -> bool:
        """Whether an attempt that is not open has ended before; asked for odd ones only."""
        id_, attempt = order.request_id, order.attempt
        if any(one.order.request_id == id_ and one.order.attempt == attempt for one in done):
            return True
        try:
            values = {**sought(id_), "text": _encode(id_).decode()}
            found = self._db.execute(_SAME, values).fetchall()
        except REFUSED:
            return False
        return any(row[:2] == [id_, attempt] for (text,) in found for row in _decode(text))

    def _write(self, opened: list[Order], done: list[Settlement], forget: bool) -> None:
        days: Days = {}
        rows = [self._row(one, days) for one in done]
        self._insert(rows, days, self._waiting(opened) if opened else None, forget)

    def _waiting(self, opened: Sequence[Order]) -> str:
        of = self._of
        return _encode([(o.request_id, o.attempt, o.at_ms, of(o), o.nano) for o in opened]).decode()

    def _row(self, done: Settlement, days: Days) -> Row:
        """What is stored of a settlement; its amounts are added to the sums of its day."""
        order, usage, nano, state = done.order, done.usage, done.nano, done.state
        estimated = 1 if done.estimated else 0
        at_ms, terms = order.at_ms, self._of(order)
        input_, output = usage.input_tokens, usage.output_tokens
        if state == SETTLED:
            key = (at_ms // DAY_MS, terms)
            sums = days.get(key)
            if sums is None:
                sums = days[key] = [0, 0, 0, 0, 0]
            sums[0] += not done.again
            sums[1] += input_
            sums[2] += output
            sums[3] += nano
            sums[4] += estimated
        return (
            order.request_id,
            order.attempt,
            at_ms,
            terms,
            order.nano,
            state,
            nano,
            input_,
            output,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.cache_write_1h_tokens,
            usage.reasoning_tokens,
            estimated,
            done.outcome,
        )

    def _insert(self, rows: list[Row], days: Days, opened: str | None, forget: bool) -> None:
        first = last = marks = ""
        if rows:
            ids = [str(row[0]) for row in rows]
            first, last = min(ids), max(ids)
            marks = _encode(marks_of(ids, first, last)).decode()
        sums = _encode([(*key, *map(cleaned, amounts)) for key, amounts in days.items()]).decode()
        text = _encode(rows).decode()
        values = (self._seq + 1, first, last, text, marks or "[]", sums, opened, forget)
        self._db.execute(_WRITE, values)
        self._seq += 1

    def _of(self, order: Order) -> int:
        terms = (
            order.key_id,
            order.key_name,
            order.route,
            order.provider,
            order.model,
            order.price_version,
            order.tenant,
        )
        return self._terms.get(terms) or self._learn(terms)

    def _learn(self, terms: Terms) -> int:
        """Give new terms a number. Cleaned: a name SQLite cannot take must not lose money."""
        key_id, key_name, route, provider, model, version, tenant = map(_text, terms)
        clean = (key_id, key_name, route, provider, model, version, tenant)
        number = self._terms.get(clean)
        if number is None:
            number = self._db.execute(_LEARN, clean).lastrowid or 0
        self._terms[terms] = number
        return number


def _text(value: str) -> str:
    return str(cleaned(value))


def _clean(done: Settlement) -> Settlement:
    """The same with values that SQLite and JSON take."""
    return clean(replace(done, order=clean(done.order), usage=clean(done.usage)))
