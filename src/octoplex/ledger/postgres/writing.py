"""Batches into tables: one statement a batch, and the spool while the database is away.

A batch of money is one statement and so one transaction and one round trip (`octoplex.write` in
`migrations/postgres`): ended attempts, the sums of their days, what stays open and what is open
no more, and what moves from this host's leases to what was spent. Attempts are keyed by
request and number and a row that is there already changes nothing, also not the sums. So a
batch may be sent again when nobody knows whether it was committed, in any order, and counts
once. (Issue 4 says `kind`: an order and its end are two tables here.)

What cannot be written goes to the spool (`spool.py`), synced before it counts as written;
when the spool is full the writer refuses paid calls. New batches do not wait for old ones: a
settlement may come before its order, which then is not opened any more.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # an extra
import msgspec
from msgspec.structs import replace

from octoplex.ledger.accounts import TERMS, Terms
from octoplex.ledger.clean import clean, cleaned
from octoplex.ledger.migrate import check, steps
from octoplex.ledger.postgres.link import LOCK, WRITE_S, Connection, Link
from octoplex.ledger.postgres.queries import keys
from octoplex.ledger.records import fitted
from octoplex.ledger.rows import (
    NO_HEIRS,
    Heirs,
    KeyRow,
    Laid,
    Order,
    Record,
    Settlement,
    Turned,
    WindowKind,
)
from octoplex.ledger.slate import Slate
from octoplex.ledger.spool import Rows, Spool
from octoplex.ledger.writer import Money
from octoplex.wire.error import InvalidCall, StoreFailed
from octoplex.wire.event import NO_USAGE

REFUSED = (ValueError, OverflowError, asyncpg.DataError)
"""What a single bad value raises; UnicodeError is a ValueError."""
AT_ONCE, AT_REST = 4, 64
"""Batches of the spool that are written before a new one, and when nothing else is to do."""
REPLAY_S = 20.0
"""How long a batch of the spool is waited for: one that is always too slow would never end."""
KEYS = "keys"
"""What has changed, as other hosts are told."""
RECORDS_SHARE = 0.5
"""How full records may make the spool: the rest is the money's."""

_KNOWN = f"select id, {', '.join(TERMS)} from octoplex.terms"
_LEARN = f"""insert into octoplex.terms ({", ".join(TERMS)})
    values ($1, $2, $3, $4, $5, $6, $7) returning id"""
_WRITE = f"select octoplex.write({', '.join(f'${number}' for number in range(1, 23))})"
_FOUND = f"select octoplex.found({', '.join(f'${number}' for number in range(1, 17))})"
NOBODY = ""
"""Of whose leases nothing is taken."""
_RECORD = """insert into octoplex.records (id, at_ms, key_id, record)
    select id, at_ms, key_id, record
    from unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) with ordinality
        as given (id, at_ms, key_id, record, place)
    order by place on conflict do nothing"""
_OPEN = f"""select request_id, attempt, at_ms, {", ".join(TERMS)}, reserved_nano as nano
    from octoplex.opened join octoplex.terms on terms.id = opened.terms
    where host in ($1, '')"""
_LEFT = "select octoplex.forsake($1)"
_HELD = """insert into octoplex.leases
    select till.account, kind, first, host, octoplex.bounded(sum(reserved_nano))
    from unnest($2::text[], $3::integer[]) as going_on (request_id, attempt)
    join octoplex.opened using (request_id, attempt)
    join octoplex.terms on terms.id = opened.terms
    cross join lateral octoplex.accounts(key_id, tenant) as own (account)
    join octoplex.till on till.account = own.account
        and at_ms / 60000 >= first and at_ms / 60000 < after
    where host = $1 group by 1, 2, 3, 4"""
"""What the heirs' orders hold stays here: else another host would have it, too."""
_LEASES = "select account, kind, first, nano from octoplex.leases where host = $1"
_LAID = """select till.account, kind, first, octoplex.bounded(sum(nano))
    from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
        as laid (key_id, tenant, at_ms, nano)
    cross join lateral octoplex.accounts(key_id, tenant) as own (account)
    join octoplex.till on till.account = own.account
        and at_ms / 60000 >= first and at_ms / 60000 < after
    group by 1, 2, 3"""
_KEEP = """insert into octoplex.leases as l values ($1, $2, $3, $4, $5)
    on conflict on constraint leases_pkey do update set nano = l.nano + excluded.nano"""
_FULL = """delete from octoplex.rates
    where not exists (select from octoplex.hosts where id <> $1)"""
"""Rates start full, where nobody else uses them."""
_UNDONE = "select exists (select from octoplex.opened where host = $1)"
"""One that leaves something open is given up by the others, who settle it."""
_GONE = "delete from octoplex.hosts where id = $1"
_CHANGED = """with changed as (
    insert into octoplex.news values ($1, 1)
    on conflict (topic) do update set number = news.number + 1
) select pg_notify('octoplex', 'news')"""
_ADD_KEY = "insert into octoplex.keys ({}) values ({}) on conflict do nothing returning id"
_MEANT = """id = (select id from octoplex.keys where (id = $2 or name = $2)
    and revoked_at_ms is null order by id <> $2 limit 1)"""
"""The key in use of this id, else of this name."""
_REVOKE = f"update octoplex.keys set revoked_at_ms = $1 where {_MEANT} returning id"
_ROTATE = f"""update octoplex.keys set former = hash, former_until_ms = $1, hash = $3,
    prefix = $4, last4 = $5 where {_MEANT} returning id"""


class Writing:
    """Where the writer's batches go. `begin` and the calls of the writer are its thread's."""

    def __init__(
        self,
        link: Link,
        spool: Spool,
        slate: Slate | None,
        heirs: Heirs = NO_HEIRS,
        host: str = "",
        laid: Callable[[], list[Laid]] = list,
    ) -> None:
        """What `heirs` go on with stays open at the start. `host` is who writes.

        What is `laid` aside stays taken, whether this host runs or not.
        """
        self._link, self.spool, self.slate, self._heirs = link, spool, slate, heirs
        self._host, self._laid = host, laid
        self.kept: dict[tuple[str, WindowKind, int], int] = {}
        """What the till kept for that, by account, kind and first minute of the window."""
        self._terms: dict[Terms, int] = {}
        self._replay: Iterator[Rows] | None = None
        self.conflicts = 0
        self.lost = 0
        self.inherited: list[Order] = []
        """Of what the heirs said was open, what has not ended."""
        self.keys: list[KeyRow] = []
        """As the database had them when they were last read."""

    async def begin(self, connection: Connection) -> None:
        """Bring the schema up, write what waits, and settle what a kill left open (F46).

        Raises:
            BadConfig: the database is newer than this code, or was changed.
        """
        await _migrate(connection)
        await self.again(connection)
        for rows in self.spool.waiting():
            await self._keep(connection, rows)
        self.spool.clear()
        await self._settle_lost(connection)
        lock = self._link.own_lock + 1  # nothing that a killed one asked of the till comes later
        await connection.execute(f"select pg_advisory_lock({lock}), pg_advisory_unlock({lock})")
        await self._forsake(connection)
        await connection.execute(_FULL, self._host)

    async def _forsake(self, connection: Connection) -> None:
        """Give back what this host had taken, but for what heirs have open and what is laid."""
        columns = _columns(map(msgspec.structs.astuple, self._laid()), 4)
        self.kept = {}
        async with connection.transaction():
            had = _by_place(await connection.fetch(_LEASES, self._host))
            await connection.execute(_LEFT, self._host)
            await connection.execute(_HELD, self._host, *_columns(map(_id, self.inherited), 2))
            held = _by_place(await connection.fetch(_LEASES, self._host))
            for place, nano in _by_place(await connection.fetch(_LAID, *columns)).items():
                kept = min(nano, had.get(place, 0) - held.get(place, 0))
                if kept > 0:
                    self.kept[place] = kept
                    await connection.execute(_KEEP, *place, self._host, kept)

    async def again(self, connection: Connection) -> None:
        """Read what is known of the database: it may be another one after a failover."""
        rows = await connection.fetch(_KNOWN)
        self._terms = {tuple(row)[1:]: row["id"] for row in rows}
        self.keys = await keys(connection)

    async def _settle_lost(self, connection: Connection) -> None:
        """Settle at the reservation, flagged, what nobody will settle (F46)."""
        heirs = self._heirs
        living = {_id(order): order for order in heirs.opened}
        named = living.keys() | {_id(order) for order in heirs.wanted}
        left = [Order(**row) for row in await connection.fetch(_OPEN, self._host)]
        left += [*(self.slate.take_left() if self.slate else ()), *heirs.noted]
        lost = [
            Settlement(order, order.nano, NO_USAGE, "lost", estimated=True)
            for order in left
            if _id(order) not in named
        ]
        self.lost = await self._keep(connection, _cleaned(Rows([*living.values()], lost)))
        if self.slate:
            self.slate.clear()
        still = {(row[0], row[1]) for row in await connection.fetch(_OPEN, self._host)}
        self.inherited = [order for id_, order in living.items() if id_ in still]

    def money(self, rows: list[Money]) -> None:
        """Write a batch of money, or have it wait on the disk."""
        orders = {_id(row): row for row in rows if type(row) is Order}
        count = len(orders)
        done = [one for one in rows if type(one) is Settlement]
        for one in done:
            orders.pop(_id(one.order), None)
        self._put(Rows([*orders.values()], done))
        if self.slate:
            self.slate.wrote(count)

    def records(self, rows: list[Record]) -> None:
        """Write records, or have them wait on the disk while there is room."""
        self._put(Rows(records=[record for record, _ in fitted(rows)]), RECORDS_SHARE)

    def rest(self) -> None:
        """Write what waits on the disk, if the database is back."""
        if self.spool and self._link.up:
            self._catch_up(AT_REST)

    def close(self) -> None:
        """Write what waits, if that is possible, and close the connections."""
        while self.spool and self._link.up:
            if not self._catch_up(AT_REST):
                break
        if self._link.up and not self.spool:
            with suppress(StoreFailed):
                self._link.write(self._leave)
        self._link.close()
        self.spool.close()

    async def _leave(self, connection: Connection) -> None:
        """Give back what this host had taken: all that it spent is written."""
        if not await connection.fetchval(_UNDONE, self._host):
            await self._forsake(connection)
            await connection.execute(_GONE, self._host)

    def read_keys(self) -> list[KeyRow]:
        """Read what other hosts may have changed."""

        async def read(connection: Connection) -> list[KeyRow]:
            return await keys(connection)

        self.keys = self._link.write(read)
        return self.keys

    def add_key(self, row: KeyRow) -> None:
        """Keep a key; names in use are unique."""
        values = msgspec.structs.asdict(row) | {"models": msgspec.json.encode(row.models).decode()}
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        names = ", ".join(f'"{name}"' for name in values)  # `user` is a word of SQL
        text = _ADD_KEY.format(names, places)

        async def add(connection: Connection) -> bool:
            added = await connection.fetchval(text, *values.values()) is not None
            await connection.execute(_CHANGED, KEYS)
            self.keys = await keys(connection)
            return added

        if not self._link.write(add):
            raise InvalidCall(f"a key named {row.name!r} is in use; revoke it or choose another")

    def revoke_key(self, name: str, at_ms: int) -> str | None:
        """Mark a key revoked; its id."""
        return self._change_key(_REVOKE, at_ms, name)

    def rotate_key(self, turned: Turned) -> str | None:
        """Put another secret in the place of a key's; its id."""
        new = (turned.hash, turned.prefix, turned.last4)
        return self._change_key(_ROTATE, turned.former_until_ms, turned.name, *new)

    def _change_key(self, text: str, *values: object) -> str | None:
        async def change(connection: Connection) -> str | None:
            id_: str | None = await connection.fetchval(text, *values)
            await connection.execute(_CHANGED, KEYS)
            self.keys = await keys(connection)
            return id_

        return self._link.write(change)

    def _put(self, rows: Rows, share: float = 1.0) -> None:
        if self._link.up and self._catch_up(AT_ONCE):
            try:
                fresh = self._send(rows)
            except StoreFailed:
                pass
            else:
                self.conflicts += len(rows.settlements) - fresh
                return
        self._replay = None
        try:
            self.spool.append(rows, share)
        except REFUSED:
            self.spool.append(_cleaned(rows), share)

    def _catch_up(self, most: int) -> bool:
        """Write some batches of the spool; False when the database cannot take them."""
        for _ in range(most if self.spool else 0):
            self._replay = self._replay or self.spool.waiting()
            rows = next(self._replay, None)
            if rows is None:
                self._replay = None
                self.spool.clear()
                break
            try:
                self._send(rows, REPLAY_S)
            except StoreFailed:
                self._replay = None
                return False
        return True

    def _send(self, rows: Rows, within_s: float = WRITE_S) -> int:
        try:
            return self._link.write(lambda connection: self._keep(connection, rows), within_s)
        except REFUSED:
            fit = _cleaned(rows)
            return self._link.write(lambda connection: self._keep(connection, fit), within_s)

    async def _keep(self, connection: Connection, rows: Rows) -> int:
        """Write a batch; how many of its attempts were not there yet."""
        if rows.records:
            fit = fitted(rows.records)
            texts = [(_text(r.id), r.at_ms, _text(r.key_id), text) for r, text in fit]
            await connection.execute(_RECORD, *zip(*texts, strict=True))
        if not (rows.orders or rows.settlements):
            return 0
        orders = (*rows.orders, *[done.order for done in rows.settlements])
        for order in orders:
            if _terms(order) not in self._terms:
                await self._learn(connection, _terms(order))
        opened = [self._opened(order) for order in rows.orders]
        ended = [self._ended(done) for done in rows.settlements if not done.loose]
        columns = [*_columns(ended, 16), *_columns(opened, 5)]
        fresh: int = await connection.fetchval(_WRITE, self._host, *columns)
        loose = [self._ended(done) for done in rows.settlements if done.loose]
        if loose:
            columns = [*_columns(loose, 16), *_columns((), 5)]
            fresh += await connection.fetchval(_WRITE, NOBODY, *columns)
        if fresh < len(rows.settlements):
            ended += loose
            fresh += await connection.fetchval(_FOUND, *_columns(ended, 16))
        return fresh

    def _opened(self, order: Order) -> tuple[object, ...]:
        number = self._terms[_terms(order)]
        return order.request_id, order.attempt, order.at_ms, number, order.nano

    def _ended(self, done: Settlement) -> tuple[object, ...]:
        usage = done.usage
        return (
            *self._opened(done.order),
            done.state,
            done.nano,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.cache_write_1h_tokens,
            usage.reasoning_tokens,
            done.estimated,
            done.outcome,
            done.again,
        )

    async def _learn(self, connection: Connection, terms: Terms) -> None:
        """Give new terms a number. Cleaned: a name that is no text must not lose money."""
        id_, name, route, provider, model, version, tenant = map(_text, terms)
        fit = (id_, name, route, provider, model, version, tenant)
        number = self._terms.get(fit)
        if number is None:
            number = await connection.fetchval(_LEARN, *fit)
        self._terms[terms] = self._terms[fit] = number


async def _migrate(connection: Connection) -> None:
    """Bring the schema to what this code knows: forwards, one step a transaction.

    Raises:
        StoreFailed: it must be changed, and other hosts are at work.
    """
    done: dict[int, str] = {}
    if await connection.fetchval("select to_regclass('octoplex.migrations')") is not None:
        rows = await connection.fetch("select number, checksum from octoplex.migrations")
        done = {row[0]: row[1] for row in rows}
    known = steps("postgres")
    check(done, "the database", known)
    if all(step.number in done for step in known):
        return
    await connection.execute(f"select pg_advisory_unlock_shared({LOCK})")
    if not await connection.fetchval(f"select pg_try_advisory_lock({LOCK})"):
        raise StoreFailed(
            "the database must be brought to the schema of this version, and other hosts are "
            "using it: stop them, start this one, then start them with this version"
        )
    await connection.execute("create schema if not exists octoplex")
    await connection.execute(
        """create table if not exists octoplex.migrations (number integer primary key,
        name text not null, checksum text not null, at_ms bigint not null)"""
    )
    for step in known:
        if step.number not in done:
            async with connection.transaction():
                await connection.execute(step.sql)
                row = (step.number, step.name, step.checksum, time.time_ns() // 1_000_000)
                await connection.execute(
                    "insert into octoplex.migrations values ($1, $2, $3, $4)", *row
                )
    await connection.execute(f"select pg_advisory_lock_shared({LOCK}), pg_advisory_unlock({LOCK})")


def _id(order: Order) -> tuple[str, int]:
    return order.request_id, order.attempt


def _terms(order: Order) -> Terms:
    return (
        order.key_id,
        order.key_name,
        order.route,
        order.provider,
        order.model,
        order.price_version,
        order.tenant,
    )


def _text(value: str) -> str:
    """The nearest text that PostgreSQL takes."""
    return str(cleaned(value)).replace("\0", "")


def _cleaned(rows: Rows) -> Rows:
    """The same with values that PostgreSQL and JSON take."""
    done = [
        clean(replace(one, order=clean(one.order), usage=clean(one.usage)))
        for one in rows.settlements
    ]
    return Rows([clean(order) for order in rows.orders], done, rows.records)


def _by_place(rows: Iterable[Any]) -> dict[tuple[str, WindowKind, int], int]:
    """Amounts by account, kind and first minute."""
    return {(account, kind, first): nano for account, kind, first, nano in rows}


def _columns(rows: Iterable[tuple[object, ...]], count: int) -> list[Sequence[object]]:
    return [*zip(*rows, strict=True)] or [()] * count
