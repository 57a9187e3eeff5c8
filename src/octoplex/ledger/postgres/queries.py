"""What is read out of a PostgreSQL: the questions of `ledger/queries.py`.

Each is an async function of a connection; `PostgresReader` asks them from any thread. A
database in which no gateway has been yet answers like an empty one.

Files of callers, batches and replies that are given again are not in the database: they are
asked of the data folder.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # an extra
import msgspec

from octoplex.ledger.batch import Batch
from octoplex.ledger.period import FOREVER, MINUTE_MS, day_number, day_text
from octoplex.ledger.postgres.link import Connection, Link, Work, said
from octoplex.ledger.queries import Reader
from octoplex.ledger.rows import (
    REQUEST_FIELDS,
    Balance,
    KeyRow,
    Minute,
    Page,
    Record,
    Spend,
    SpendQuery,
    SpendRow,
)
from octoplex.wire.error import StoreFailed

T = TypeVar("T")

AT_ONCE = 5_000
"""Rows that are read in one question, where all are wanted."""
_SPEND = """select key_name, model, provider, day, sum(requests)::bigint,
    octoplex.bounded(sum(input_tokens)), octoplex.bounded(sum(output_tokens)),
    octoplex.bounded(sum(nano)), sum(estimated)::bigint, tenant
    from octoplex.days join octoplex.terms on terms.id = days.terms
    where day >= $1 and day <= $2 and ($3::text is null or key_id = $3 or key_name = $3)
      and ($4::text is null or tenant = $4 or starts_with(tenant, $4 || '.'))
      and ($5::text[] is null or key_id = any($5))
    group by key_id, key_name, tenant, model, provider, day
    order by day desc, sum(nano) desc, key_id, model, provider"""
_BALANCES = """select key_id, tenant, day, octoplex.bounded(sum(nano)) as nano
    from octoplex.days join octoplex.terms on terms.id = days.terms group by key_id, tenant, day"""
_MINUTES = """select key_id, tenant, at_ms / $2::bigint, octoplex.bounded(sum(nano))
    from octoplex.ended join octoplex.terms on terms.id = ended.terms
    where at_ms >= $1 and state = 1 group by 1, 2, 3"""
_ATTEMPTS = """select * from octoplex.ledger
    where $1::text is null or request_id = $1 order by request_id, attempt"""
_SOME_ATTEMPTS = """select * from octoplex.ledger
    where (request_id, attempt) > ($1, $2) order by request_id, attempt limit $3"""
_REQUEST = "select record from octoplex.records where id = $1"
_TENANT, _TASK = (
    rf"replace(record, '\u', '\n')::json ->> {REQUEST_FIELDS.index(name)}"
    for name in ("tenant", "task")
)
"""Of a record. Callers may write \\u0000 into one, which no text of PostgreSQL can hold."""
_PAGE = f"""select record from octoplex.records
    where ($1::text[] is null or key_id = any($1))
      and ($4::text is null or {_TENANT} = $4 or starts_with({_TENANT}, $4 || '.'))
      and ($5::text = '' or {_TASK} = $5)
      and ($2::text is null or seq {{}} (select seq from octoplex.records
        where id = $2{{}}))
    order by seq {{}} limit $3"""
_OWN = " and ($1::text[] is null or key_id = any($1))"
_BACK, _ON = _PAGE.format("<", _OWN, "desc"), _PAGE.format(">", "", "asc")
_KEYS = "select * from octoplex.keys order by created_at_ms, id"

_record = msgspec.json.Decoder(Record).decode


async def spend(connection: Connection, query: SpendQuery) -> Spend:
    """Sums per key, model, provider and day, newest day first."""
    since = day_number(query.since) if query.since else -FOREVER
    until = day_number(query.until) if query.until else FOREVER
    whose = (_sought(query.key), _sought(query.tenant), _all_sought(query.key_ids))
    found = await _all(connection, _SPEND, since, until, *whose)
    rows = [SpendRow(*[*row[:3], day_text(row[3]), *row[4:]]) for row in found]
    return Spend(sum(row.nano for row in rows), rows)


async def balances(connection: Connection, since_day: int) -> list[Balance]:
    """Every key's days since a day number, and its total."""
    found: dict[tuple[str, str], dict[int, int]] = {}
    for key_id, tenant, day, nano in await _all(connection, _BALANCES):
        found.setdefault((key_id, tenant), {})[day] = nano
    return [
        Balance(key_id, {d: n for d, n in days.items() if d >= since_day}, total, tenant)
        for (key_id, tenant), days in found.items()
        if (total := sum(days.values())) is not None
    ]


async def minutes(connection: Connection, since_ms: int) -> list[Minute]:
    """What was spent by minutes, of attempts reserved since a moment."""
    return [Minute(*row) for row in await _all(connection, _MINUTES, since_ms, MINUTE_MS)]


async def attempts(connection: Connection, request_id: str | None) -> list[dict[str, Any]]:
    """The ledger's rows of one request, or all, by the names of the view `ledger`."""
    return [dict(row) for row in await _all(connection, _ATTEMPTS, _sought(request_id))]


async def _attempts_after(last: tuple[str, int], connection: Connection) -> list[Any]:
    return await _all(connection, _SOME_ATTEMPTS, *last, AT_ONCE)


async def keys(connection: Connection) -> list[KeyRow]:
    """All run-time keys, revoked ones too, oldest first."""
    found = []
    for row in await _all(connection, _KEYS):
        models = msgspec.json.decode(row["models"], type=tuple[str, ...])
        found.append(msgspec.convert(dict(row) | {"models": models}, KeyRow))
    return found


async def request(connection: Connection, id_: str) -> Record | None:
    """One record, by its id."""
    found = _decoded(await _all(connection, _REQUEST, _sought(id_)))
    return found[0] if found else None


async def requests(connection: Connection, page: Page) -> list[Record]:
    """Newest first; with `after`, the oldest `limit` of the newer ones, still newest first."""
    on = page.after is not None
    mark = _sought(page.after if on else page.before)
    whose, limit = _all_sought(page.key_ids), max(0, page.limit)
    asked = (whose, mark, limit, _sought(page.tenant), _sought(page.task))
    records = _decoded(await _all(connection, _ON if on else _BACK, *asked))
    return records[::-1] if on else records


async def _all(connection: Connection, text: str, *values: object) -> list[Any]:
    try:
        rows: list[Any] = await connection.fetch(text, *values)
    except (asyncpg.InvalidSchemaNameError, asyncpg.UndefinedTableError):
        return []
    return rows


def _decoded(rows: list[Any]) -> list[Record]:
    """Records out of their JSON; one that cannot be read does not take the others with it."""
    found = []
    for (text,) in rows:
        with suppress(msgspec.ValidationError):
            found.append(_record(text))
    return found


def _sought(text: str | None) -> str | None:
    """What may be looked for: text that PostgreSQL cannot hold is not there."""
    return None if text is None else text.encode("utf-8", "replace").decode().replace("\0", "?")


def _all_sought(texts: Iterable[str] | None) -> list[str | None] | None:
    return None if texts is None else [_sought(text) for text in texts]


class PostgresReader:
    """The same questions as `Reader`, asked and waited for in any thread but the link's."""

    def __init__(self, link: Link, folder: Path) -> None:
        self._link, self._local = link, Reader(folder)

    def spend(self, query: SpendQuery) -> Spend:
        """Sums per key, model, provider and day, newest day first."""
        return self._ask(lambda connection: spend(connection, query))

    def balances(self, since_day: int) -> list[Balance]:
        """Every key's days since a day number, and its total."""
        return self._ask(lambda connection: balances(connection, since_day))

    def attempts(self, request_id: str | None = None) -> list[dict[str, Any]]:
        """The ledger's rows of one request, or all, by the names of the view `ledger`."""
        return self._ask(lambda connection: attempts(connection, request_id))

    def each_attempt(self) -> Iterator[dict[str, Any]]:
        """All of the ledger's rows, some at a time."""
        last: tuple[str, int] = ("", 0)
        while found := self._ask(partial(_attempts_after, last)):
            yield from map(dict, found)
            last = found[-1]["request_id"], found[-1]["attempt"]

    def batches(self, limit: int, id_: str = "") -> list[Batch]:
        """The newest batches of this host, or the one of an id."""
        return self._local.batches(limit, id_)

    def keys(self) -> list[KeyRow]:
        """All run-time keys."""
        return self._ask(keys)

    def request(self, id_: str) -> Record | None:
        """One record, by its id."""
        return self._ask(lambda connection: request(connection, id_))

    def requests(self, page: Page) -> list[Record]:
        """Records, newest first."""
        return self._ask(lambda connection: requests(connection, page))

    def close(self) -> None:
        """Let go of the database."""
        self._local.close()
        self._link.close()

    def _ask(self, work: Work[T]) -> T:
        try:
            return self._link.ask(work).result()
        except StoreFailed as error:  # the operator may know why
            why = said(error.__cause__ or error)
            raise StoreFailed(f"{self._link.database.shown} cannot be read: {why}.") from error
