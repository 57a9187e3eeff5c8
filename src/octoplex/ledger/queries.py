"""The reading side: read-only connections, from any thread and any process.

Readers open with `mode=ro` and can neither write nor checkpoint, so they never meet
SQLite's WAL-reset bug, never hold up the writer, and need no lock on the folder: the
shell uses this class beside a running server. Every value is bound, never spliced.

Not promised: that a row appended a moment ago is there; ask the store to drain first.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from octoplex.ledger.batch import Batch, results
from octoplex.ledger.marks import PREFIX, WITH_ID, sought
from octoplex.ledger.period import FOREVER, MINUTE_MS, day_number, day_text, levels
from octoplex.ledger.rows import (
    SETTLED,
    Balance,
    KeyRow,
    Minute,
    Page,
    Record,
    Spend,
    SpendQuery,
    SpendRow,
)

Row = tuple[Any, ...]
KEPT = 4
"""Connections kept open per file."""
BELATED_S = 600
"""Attempts begin at most so long after their request, or are not in the sums by minutes."""

_SPEND = """select key_name, model, provider, day, sum(requests), sum(input_tokens),
    sum(output_tokens), sum(nano), sum(estimated), tenant
    from days join terms on terms.id = days.terms
    where day >= :since and day <= :until
      and (:key is null or key_id = :key or key_name = :key)
      and (:tenant is null or tenant = :tenant
        or substr(tenant, 1, length(:tenant) + 1) = :tenant || '.')
      and (:key_ids is null or key_id in (select value from json_each(:key_ids)))
    group by key_id, key_name, tenant, model, provider, day
    order by day desc, sum(nano) desc, key_id, model, provider"""
_COLUMNS = "pragma table_info(terms)"
_WITHOUT_TENANT = "join (select *, '' as tenant from terms) as terms"
"""In a file that still has the first schema."""
_DAYS = """select key_id, tenant, day, sum(nano) from days join terms on terms.id = days.terms
    where day >= ? group by key_id, tenant, day"""
_TOTALS = """select key_id, tenant, sum(nano) from days join terms on terms.id = days.terms
    group by key_id, tenant"""
_LATE = """select attempts from batches where seq <= ?
    and seq in (select seq from marks where mark >= ? and mark < 'id req_~')"""
"""Batches up to one, with requests that began after a moment."""
_WHOSE = "select id, key_id, tenant from terms"
_ATTEMPTS = "select * from ledger order by request_id, attempt"
_ENDED_OF = f"""select * from ended where request_id = :id
    and seq in (select seq {WITH_ID} and instr(attempts, :text))"""
_OPEN_OF = """select distinct null, request_id, attempt, json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), 0, 0, 0, 0, 0, 0, 0, 0, 0, ''
    from (select value, json_extract(value, '$[0]') as request_id,
        json_extract(value, '$[1]') as attempt
        from opened, json_each(opened.attempts) where instr(opened.attempts, :text))
    where request_id = :id and attempt not in (select attempt from mine)"""
_ATTEMPTS_OF = f"""with mine as ({_ENDED_OF}), open_ as ({_OPEN_OF}),
    attempts as (select * from mine union all select * from open_)
    SHOWN from attempts join terms on terms.id = attempts.terms order by attempt"""
"""What the view `ledger` shows, out of the few batches that may hold a request.
`SHOWN` is that view's own list of columns."""
_SHOWN = "select sql from sqlite_schema where name = 'ledger'"
_KEYS = "select * from keys order by created_at_ms, id"
_FIND = f"select seq, records {WITH_ID} and instr(records, :text)"
_BACK = "select seq, records from batches where seq <= ? order by seq desc"
_ON = "select seq, records from batches where seq >= ? order by seq"
_BACK_OF_ONE = """select seq, records from marks join batches using (seq)
    where mark = ? and seq <= ? order by seq desc"""
_ON_OF_ONE = """select seq, records from marks join batches using (seq)
    where mark = ? and seq >= ? order by seq"""
_OF_KEYS = """seq in (select seq from marks
    where mark in (select 'key ' || value from json_each(?)))"""
_BACK_OF_KEYS = _BACK.replace("where ", f"where {_OF_KEYS} and ")
_ON_OF_KEYS = _ON.replace("where ", f"where {_OF_KEYS} and ")
_encode = msgspec.json.Encoder().encode
_records = msgspec.json.Decoder(list[Record]).decode
_one_by_one = msgspec.json.Decoder(list[msgspec.Raw]).decode
_record = msgspec.json.Decoder(Record).decode
_attempts = msgspec.json.Decoder(list[list[Any]]).decode
_models = msgspec.json.Decoder(tuple[str, ...])


class Reader:
    """Sums, records and keys out of a data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._free: dict[Path, list[sqlite3.Connection]] = {}
        self._guard = threading.Lock()

    def spend(self, query: SpendQuery) -> Spend:
        """Sums per key, model, provider and day, newest day first.

        Raises:
            ValueError: `since` or `until` is not a day.
        """
        values = {
            "since": day_number(query.since) if query.since else -FOREVER,
            "until": day_number(query.until) if query.until else FOREVER,
            "key": query.key,
            "tenant": query.tenant,
            "key_ids": None if query.key_ids is None else _encode(query.key_ids).decode(),
        }
        text = _SPEND
        if not any(name == "tenant" for _, name, *_ in self._all("ledger.db", _COLUMNS, ())):
            text = text.replace("join terms", _WITHOUT_TENANT)
        found = self._all("ledger.db", text, values)
        rows = [_spent(*row) for row in found]
        return Spend(sum(row.nano for row in rows), rows)

    def balances(self, since_day: int) -> list[Balance]:
        """Every key's days since a day number, and its total."""
        days: dict[tuple[str, str], dict[int, int]] = {}
        for key_id, tenant, day, nano in self._all("ledger.db", _DAYS, (since_day,)):
            days.setdefault((key_id, tenant), {})[day] = nano
        totals = self._all("ledger.db", _TOTALS, ())
        return [Balance(k, days.get((k, tenant), {}), nano, tenant) for k, tenant, nano in totals]

    def minutes(self, since_ms: int, until_seq: int) -> list[Minute]:
        """What was spent by minutes, of attempts reserved since a moment, up to a batch.

        Reads every attempt since: some 0.7 us each.
        """
        since = f"id req_{max(0, since_ms - BELATED_S * 1000):011x}"[: len("id ") + PREFIX]
        sums: dict[tuple[int, int], int] = {}
        with self._borrowed(self._folder / "ledger.db") as db:
            for (text,) in db.execute(_LATE, (until_seq, since)):
                for row in _attempts(text):
                    at_ms, terms, state, nano = row[2], row[3], row[5], row[6]
                    if state == SETTLED and at_ms >= since_ms:
                        key = (terms, at_ms // MINUTE_MS)
                        sums[key] = sums.get(key, 0) + nano
        whose = {id_: (k, tenant) for id_, k, tenant in self._all("ledger.db", _WHOSE, ())}
        return [Minute(*whose[terms], number, nano) for (terms, number), nano in sums.items()]

    def newest_batch(self) -> int:
        """The number of the last batch of attempts; 0 when there is none."""
        ((seq,),) = self._all("ledger.db", "select coalesce(max(seq), 0) from batches", ())
        return int(seq)

    def attempts(self, request_id: str | None = None) -> list[dict[str, Any]]:
        """The ledger's rows of one request, or all, by the names of the view `ledger`."""
        return list(self.each_attempt(request_id))

    def each_attempt(self, request_id: str | None = None) -> Iterator[dict[str, Any]]:
        """The same one after the other, however many there are."""
        path = self._folder / "ledger.db"
        if not path.exists():
            return
        with self._borrowed(path) as db:
            text, values = _ATTEMPTS, {}
            if request_id is not None:
                (view,) = db.execute(_SHOWN).fetchone()
                shown = view[view.index("select") : view.rindex("from")]
                values = {**sought(request_id), "text": _encode(request_id).decode()}
                text = _ATTEMPTS_OF.replace("SHOWN", shown)
            with closing(db.execute(text, values)) as found:
                names = [column[0] for column in found.description]
                for row in found:
                    yield dict(zip(names, row, strict=True))

    def batches(self, limit: int, id_: str = "") -> list[Batch]:
        """The newest batches, or the one of an id; what is running counted from its results."""
        where, values = ("where id = ?", [id_]) if id_ else ("", [])
        text = f"select row from batches {where} order by seq desc limit ?"
        found = [
            msgspec.json.decode(row, type=Batch)
            for (row,) in self._all("archive.db", text, (*values, limit))
        ]
        for batch in found:
            if not batch.over:
                batch.counts = results(self._folder / "files", batch).counts
        return found

    def keys(self) -> list[KeyRow]:
        """All run-time keys, also out of a file that still has an earlier schema."""
        path = self._folder / "control.db"
        if not path.exists():
            return []
        with self._borrowed(path) as db:
            found = db.execute(_KEYS)
            names = [column[0] for column in found.description]
            return [_key(dict(zip(names, row, strict=True))) for row in found]

    def request(self, id_: str) -> Record | None:
        """One record, by its id."""
        found = self._find(id_)
        return found[2][found[3]] if found else None

    def requests(self, page: Page) -> list[Record]:
        """Newest first; with `after`, the oldest `limit` of the newer ones, still newest first."""
        on = page.after is not None
        mark = page.after if page.after is not None else page.before
        files = self._logs()
        if on:
            files.reverse()
        found: list[Record] = []
        first = 0 if on else 1 << 62
        if mark is not None:
            place = self._find(mark)
            if place is None:
                return []
            file, seq, records, index = place
            if not (on or page.key_ids is None or records[index].key_id in page.key_ids):
                return []  # another's is as absent as none
            files, first = files[files.index(file) :], seq + 1 if on else seq - 1
            found = _of(page, records[index + 1 :] if on else records[:index], on)
        for file in files:
            if len(found) >= page.limit:
                break
            for records in self._batches(file, page, first, on):
                found += _of(page, records, on)
                if len(found) >= page.limit:
                    break
            first = 0 if on else 1 << 62
        found = found[: page.limit]
        return found[::-1] if on else found

    def close(self) -> None:
        """Let go of the files."""
        with self._guard:
            free, self._free = self._free, {}
        for connections in free.values():
            for db in connections:
                db.close()

    def _logs(self) -> list[str]:
        names = (path.name for path in self._folder.glob("logs-[0-9]*.db"))
        return sorted((n for n in names if len(n) == len("logs-202601.db")), reverse=True)

    def _find(self, id_: str) -> "tuple[str, int, list[Record], int] | None":
        """File and number of the batch with a record, what is in it, and the record's place."""
        values = {**sought(id_), "text": _encode(id_).decode()}
        for file in self._logs():
            for seq, text in self._all(file, _FIND, values):
                records = _decoded(text)
                for place, record in enumerate(records):
                    if record.id == id_:
                        return file, seq, records, place
        return None

    def _batches(self, name: str, page: Page, first: int, on: bool) -> Iterator[list[Record]]:
        """Whole batches from a number on (or back), those with the page's task or keys in them."""
        path = self._folder / name
        if not path.exists():
            return
        values: tuple[object, ...] = (first,)
        text = _ON if on else _BACK
        if mark := _mark(page):
            values = (mark, first)
            text = _ON_OF_ONE if on else _BACK_OF_ONE
        elif page.key_ids is not None:
            values = (_encode(page.key_ids).decode(), first)
            text = _ON_OF_KEYS if on else _BACK_OF_KEYS
        with self._borrowed(path) as db, closing(db.execute(text, values)) as rows:
            for _, records in rows:
                yield _decoded(records)

    def _all(
        self, name: str, text: str, values: Sequence[object] | Mapping[str, object]
    ) -> list[Row]:
        path = self._folder / name
        if not path.exists():
            return []
        with self._borrowed(path) as db:
            return db.execute(text, values).fetchall()

    @contextmanager
    def _borrowed(self, path: Path) -> Iterator[sqlite3.Connection]:
        with self._guard:
            free = self._free.setdefault(path, [])
            db = free.pop() if free else None
        if db is None:
            db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            yield db
        except GeneratorExit:  # whoever read had enough
            self._give_back(path, db)
            raise
        except BaseException:
            db.close()
            raise
        self._give_back(path, db)

    def _give_back(self, path: Path, db: sqlite3.Connection) -> None:
        with self._guard:
            free = self._free.setdefault(path, [])
            if len(free) < KEPT:
                free.append(db)
                return
        db.close()


def _decoded(text: str) -> list[Record]:
    """The records of a batch; one that cannot be read does not take the others with it."""
    try:
        return _records(text)
    except msgspec.ValidationError:
        found = []
        for raw in _one_by_one(text):
            with suppress(msgspec.ValidationError):
                found.append(_record(raw))
        return found


def _mark(page: Page) -> str:
    """The mark of a task or one key: with one, no more is read than is asked for."""
    if page.task:
        return f"task {page.task}"
    return f"key {page.key_ids[0]}" if page.key_ids is not None and len(page.key_ids) == 1 else ""


def _of(page: Page, records: list[Record], on: bool) -> list[Record]:
    """Those of the page's task, keys and tenant, in the direction of reading."""
    ids, tenant = page.key_ids, page.tenant
    found = records if on else records[::-1]
    if page.task:
        found = [r for r in found if r.task == page.task]
    if ids is not None:
        found = [r for r in found if r.key_id in ids]
    return found if tenant is None else [r for r in found if tenant in levels(r.tenant)]


def _spent(key: str, model: str, provider: str, day: int, *sums: Any) -> SpendRow:
    return SpendRow(key, model, provider, day_text(day), *sums)


def _key(named: dict[str, Any]) -> KeyRow:
    return msgspec.convert(named | {"models": _models.decode(named["models"])}, KeyRow)
