"""What routes learn from and by: `learning.db`, rows that the optimizer alone can read.

    file = open_learning(data)
    file.add([Noted("support", at_ms, "pair", body)])    notes get ids in the order of commits
    file.notes("support", after=7, most=1_000)           (id, body)

Every process of a server appends here, so the file is written with a journal that is rolled
back, not with a log: two connections that fold a log in at the same moment can damage it
(`folder.py`). Ids are given under the lock of the write, so whoever has read number 8 will never
see a 7 that was not there.

It lies in the data folder also where the ledger is in a PostgreSQL: hosts learn by themselves.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Self

from msgspec import Struct
from msgspec.structs import astuple

from octoplex.ledger.connect import Transaction, connect_beside
from octoplex.ledger.migrate import steps
from octoplex.ledger.period import DAY_MS

NAME = "learning.db"
BODIES = 8
"""Policies of a route whose bodies are kept; of older ones the digest is."""
FEEDBACK_DAYS = 180
STEP = 1_000
"""Old rows that are deleted at once."""


class Noted(Struct, frozen=True):
    """A note, encoded."""

    route: str
    at_ms: int
    kind: str
    body: bytes


class Sum(Struct):
    """What the decisions and pairs of some time came to; money in nano-dollars."""

    requests: int = 0
    moved: int = 0
    """That a candidate answered."""
    saved_nano: int = 0
    """By the prices of the moment, before what pairs cost."""
    pairs: int = 0
    pair_nano: int = 0


class DecidedRow(Struct, frozen=True):
    """A decision, encoded, with the id of its request."""

    id: str
    route: str
    at_ms: int
    body: bytes


class Asked(Struct, frozen=True):
    """A pair of which people are asked what it is worth, with its texts."""

    route: str
    request_id: str
    at_ms: int
    until_ms: int
    """When it is deleted."""
    texts: bytes
    otherwise: bytes
    """The note to be written then, where nobody has said anything."""


class Published(Struct, frozen=True):
    """A policy. `body` is None once newer ones are there."""

    route: str
    version: int
    note: int
    """After which note it was made."""
    at_ms: int
    kind: str
    """Of the event: `fit`, `certified`, ...; "" where only shares have moved."""
    pairs: int
    share: float
    why: str
    told: bytes
    """What is known of what serves, as JSON."""
    digest: str
    """SHA-256 of the body."""
    body: bytes | None
    seq: int = 0


class Switch(Struct, frozen=True):
    """Whether an operator has paused a route, and who."""

    route: str
    paused: bool
    who: str
    at_ms: int


class Said(Struct, frozen=True):
    """What a caller said of an answer, last."""

    request_id: str
    key_id: str
    tenant: str
    route: str
    model: str
    at_ms: int
    score: float | None
    """0..1."""
    body: bytes
    """All that it said, as JSON."""
    seq: int = 0


INSERT_NOTE = "insert into notes (route, at_ms, kind, body) values (?, ?, ?, ?)"
LABEL = "label"
_POLICY = "route, version, note, at_ms, kind, pairs, share, why, told, digest, body, seq"
_BARE = _POLICY.replace("body", "null")
_SAID = "request_id, key_id, tenant, route, model, at_ms, score, body, seq"


def open_learning(data: Path) -> "LearningFile":
    """Open the file of a data folder, a new one where there is none.

    Raises:
        sqlite3.Error, OSError: it cannot be opened, or is damaged.
        BadConfig: it is newer than this code.
    """
    return LearningFile(connected(data), data / NAME)


def connected(data: Path) -> sqlite3.Connection:
    """A connection to the file, which is made or migrated before.

    Raises: as `open_learning`.
    """
    return connect_beside(data, "learning")


def read_learning(data: Path) -> "LearningFile | None":
    """Open it to look; None where there is none.

    Not read-only: what a kill left half-written is rolled back by whoever opens it first, and one
    that an older octoplex wrote is migrated.

    Raises: as `open_learning`.
    """
    path = data / NAME
    if not path.exists():
        return None
    uri = f"{path.absolute().as_uri()}?mode=rw"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        done = db.execute("select max(number) from migrations").fetchone()[0]
    except BaseException:
        db.close()
        raise
    if done < _newest():
        db.close()
        return open_learning(data)
    return LearningFile(db, path)


class Rows:
    """A connection to what else lies in the file; one thread at a time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @classmethod
    def open(cls, data: Path) -> Self:
        """Open the file of a data folder, a new one where there is none.

        Raises: as `open_learning`.
        """
        return cls(connected(data))

    def close(self) -> None:
        """Let go of it."""
        self._db.close()


@cache
def _newest() -> int:
    return steps("learning")[-1].number


def lapse(db: sqlite3.Connection, now_ms: int) -> int:
    """Delete some pairs whose time is over, and note what nobody has said; how many."""
    if not db.execute("select 1 from labels where until_ms < ?", (now_ms,)).fetchone():
        return 0
    with Transaction(db):
        text = "select seq, route, said, otherwise from labels where until_ms < ? limit ?"
        rows = db.execute(text, (now_ms, STEP)).fetchall()
        notes = [(route, now_ms, LABEL, body) for _, route, said, body in rows if not said]
        db.executemany(INSERT_NOTE, notes)
        db.executemany("delete from labels where seq = ?", [row[:1] for row in rows])
    return len(rows)


class LearningFile:
    """A connection; one thread at a time."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db, self._path = db, path
        self._inode = path.stat().st_ino

    @property
    def is_gone(self) -> bool:
        """Whether somebody has moved it away: what is written here would be read by nobody."""
        try:
            return self._path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def add(
        self,
        notes: Sequence[Noted],
        decisions: Sequence[DecidedRow] = (),
        sums: Mapping[tuple[str, int], Sum] | None = None,
        asked: Sequence[Asked] = (),
    ) -> None:
        """Append, all or nothing; `sums` are by route and day."""
        with Transaction(self._db) as db:
            db.executemany(INSERT_NOTE, [astuple(note) for note in notes])
            text = "insert or ignore into labels values (null, ?, ?, ?, ?, 0, ?, ?)"
            db.executemany(text, [astuple(row) for row in asked])
            text = "insert into decisions (id, route, at_ms, body) values (?, ?, ?, ?)"
            db.executemany(text, [astuple(decision) for decision in decisions])
            text = """insert into days values (?, ?, ?, ?, ?, ?, ?) on conflict do update set
                requests = requests + excluded.requests, moved = moved + excluded.moved,
                saved_nano = saved_nano + excluded.saved_nano, pairs = pairs + excluded.pairs,
                pair_nano = pair_nano + excluded.pair_nano"""
            db.executemany(text, [(*at, *astuple(said)) for at, said in (sums or {}).items()])

    def add_after(self, note: Noted, last: int) -> bool:
        """Append a plan behind number `last` of its route; False where more has come since.

        Of pairs from before it nobody is asked any more.
        """
        with Transaction(self._db) as db:
            if self.newest_note(note.route) != last:
                return False
            db.execute(INSERT_NOTE, astuple(note))
            db.execute("update labels set said = 1 where route = ?", (note.route,))
        return True

    def about(self, route: str, kinds: Sequence[str], after: int) -> Iterator[bytes]:
        """A route's notes of these kinds in their order."""
        told = ", ".join("?" * len(kinds))
        text = f"select body from notes where route = ? and id > ? and kind in ({told}) order by id"
        rows = self._db.execute(text, (route, after, *kinds))  # nosemgrep: value-in-statement
        return (body for (body,) in rows)

    def before(self, route: str, kinds: Sequence[str], most: int) -> int:
        """After which id there are so many of these, or fewer where there are no more."""
        told = ", ".join("?" * len(kinds))
        text = f"""select id from notes where route = ? and kind in ({told})
            order by id desc limit 1 offset ?"""
        rows = self._db.execute(text, (route, *kinds, most))  # nosemgrep: value-in-statement
        row = rows.fetchone()
        return 0 if row is None else int(row[0])

    def notes(self, route: str, after: int, most: int) -> list[tuple[int, bytes]]:
        """(id, body) of a route's notes in their order."""
        text = "select id, body from notes where route = ? and id > ? order by id limit ?"
        return self._db.execute(text, (route, after, most)).fetchall()

    def planned(self, route: str) -> int:
        """The id of the last note of a plan; 0 where there is none."""
        text = "select max(id) from notes where route = ? and kind = 'planned'"
        return self._db.execute(text, (route,)).fetchone()[0] or 0

    def newest_note(self, route: str) -> int:
        """The id of a route's last note; 0 where there is none."""
        text = "select max(id) from notes where route = ?"
        return self._db.execute(text, (route,)).fetchone()[0] or 0

    def sum(self, route: str) -> Sum:
        """What a route's decisions and pairs came to."""
        text = """select coalesce(sum(requests), 0), coalesce(sum(moved), 0),
            coalesce(sum(saved_nano), 0), coalesce(sum(pairs), 0), coalesce(sum(pair_nano), 0)
            from days where route = ?"""
        return Sum(*self._db.execute(text, (route,)).fetchone())

    def publish(self, policy: Published) -> None:
        """Keep a policy; the bodies of older ones are forgotten.

        Raises:
            sqlite3.IntegrityError: its version is there already.
        """
        with Transaction(self._db) as db:
            text = f"insert into policies ({_POLICY}) values ({', '.join('?' * 11)}, null)"
            db.execute(text, astuple(policy)[:-1])  # nosemgrep: value-in-statement
            text = "update policies set body = null where route = ? and version <= ?"
            oldest = policy.version - BODIES
            db.execute(f"{text} and body is not null", (policy.route, oldest))

    def policies(self, after: int = 0, most: int = 1_000) -> list[Published]:
        """Of all routes, without their bodies, oldest first; `after` is a `seq`."""
        text = f"select {_BARE} from policies where seq > ? order by seq limit ?"
        rows = self._db.execute(text, (after, most))  # nosemgrep: value-in-statement
        return [Published(*row) for row in rows]

    def each(self, route: str) -> Iterator[Published]:
        """All policies of a route, without their bodies, oldest first."""
        text = f"select {_BARE} from policies where route = ? order by version"
        for row in self._db.execute(text, (route,)):  # nosemgrep: value-in-statement
            yield Published(*row)

    def events(self, route: str, most: int) -> list[Published]:
        """Its newest policies that something has happened with, without their bodies."""
        text = f"""select {_BARE} from policies where route = ? and kind <> ''
            order by version desc limit ?"""
        rows = self._db.execute(text, (route, most))  # nosemgrep: value-in-statement
        return [Published(*row) for row in rows]

    def served_since(self, route: str) -> int | None:
        """Since when candidates of a route serve, in ms; None where none does."""
        text = """select at_ms from policies where route = :route and version > coalesce(
            (select version from policies where route = :route and share = 0
            order by version desc limit 1), -1) order by version limit 1"""
        row = self._db.execute(text, {"route": route}).fetchone()
        return None if row is None else int(row[0])

    def learned(self) -> list[str]:
        """Routes that have policies."""
        return [route for (route,) in self._db.execute("select distinct route from policies")]

    def newest(self, route: str) -> Published | None:
        """The policy that serves."""
        text = f"select {_POLICY} from policies where route = ? order by version desc limit 1"
        row = self._db.execute(text, (route,)).fetchone()
        return None if row is None else Published(*row)

    def version(self, route: str, version: int) -> Published | None:
        """One policy of a route, without its body."""
        text = f"select {_BARE} from policies where route = ? and version = ?"
        row = self._db.execute(text, (route, version)).fetchone()  # nosemgrep: value-in-statement
        return None if row is None else Published(*row)

    def throw(self, switch: Switch) -> None:
        """Pause a route, or let it go on."""
        text = "insert or replace into switches values (?, ?, ?, ?)"
        self._db.execute(text, (switch.route, switch.paused, switch.who, switch.at_ms))

    def switches(self) -> list[Switch]:
        """What operators have thrown."""
        rows = self._db.execute("select route, paused, who, at_ms from switches order by route")
        return [Switch(route, bool(paused), who, at_ms) for route, paused, who, at_ms in rows]

    def asked(self) -> dict[str, int]:
        """How many pairs of each route are kept for people."""
        rows = self._db.execute("select route, count(*) from labels group by route")
        return dict(rows.fetchall())

    def decision(self, id_: str) -> DecidedRow | None:
        """What was decided of a request."""
        text = "select id, route, at_ms, body from decisions where id = ? order by seq desc limit 1"
        row = self._db.execute(text, (id_,)).fetchone()
        return None if row is None else DecidedRow(*row)

    def sweep(self, now_ms: int, days: int, rows: int) -> int:
        """Forget some of the decisions that are older, or more; how many. Old feedback, too, and
        pairs whose time is over."""
        lapse(self._db, now_ms)
        text = """delete from decisions where seq in (select seq from decisions
            where at_ms < ? or seq <= (select max(seq) from decisions) - ? order by seq limit ?)"""
        done = self._db.execute(text, (now_ms - days * DAY_MS, rows, STEP)).rowcount
        text = "delete from feedback where at_ms < ?"
        self._db.execute(text, (now_ms - FEEDBACK_DAYS * DAY_MS,))
        return done

    def say(self, said: Said) -> None:
        """Keep what a caller says, in place of what it said before of the same answer."""
        text = f"insert or replace into feedback ({_SAID}) values ({', '.join('?' * 8)}, null)"
        self._db.execute(text, astuple(said)[:-1])  # nosemgrep: value-in-statement

    def said(self, after: int = 0, most: int = 10_000) -> list[Said]:
        """What callers said of answers of all routes, oldest first; `after` is a `seq`."""
        text = f"select {_SAID} from feedback where seq > ? order by seq limit ?"
        rows = self._db.execute(text, (after, most))  # nosemgrep: value-in-statement
        return [Said(*row) for row in rows]

    def scores(self, route: str, since_ms: int) -> list[tuple[str, int, float]]:
        """(who, how many, their sum) by tenant, else key, of a route's answers since then."""
        text = """select iif(tenant = '', key_id, tenant) as who, count(*), sum(score) from feedback
            where route = ? and at_ms >= ? and score is not null group by who order by who"""
        return self._db.execute(text, (route, since_ms)).fetchall()

    def close(self) -> None:
        """Let go of it."""
        self._db.close()
