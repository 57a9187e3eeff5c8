"""Between the path and the learner: notes and decisions go out, policies and switches come in.

    shelf = DiskShelf(data)
    shelf.note("support", Pair(...))        an append to memory; a thread writes it within 0.2 s
    shelf.policy("support")                 (version, bytes), as of the last second

Nothing here is waited for. What comes faster than it can be written is dropped and counted: it is
then as if it had never been asked, which no certificate minds. Where the disk fails, what waits
goes on waiting, and the policies that are known go on serving for `DEAF_S`. What a pause says is
kept too.

Of each decision a row is kept for so many days, and so many in all; notes are kept, since all that
the learner does can be shown again from them.

Not promised: that a note survives a kill within the moment before its commit.
"""

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from octoplex.ledger.learning import (
    NAME,
    Asked,
    DecidedRow,
    LearningFile,
    Noted,
    Sum,
    open_learning,
)
from octoplex.ledger.period import DAY_MS
from octoplex.optimizer.notes import Label, Note, Pair, encode, kind_of
from octoplex.optimizer.policy import Decision
from octoplex.optimizer.process import LOCK
from octoplex.wire.error import BadConfig

log = logging.getLogger("octoplex.optimizer")


class Shelf(Protocol):
    """What the path knows of it."""

    def note(self, route: str, note: Note) -> None:
        """Append a note, soon."""

    def keep(self, route: str, pair: Pair, texts: bytes, days: int) -> None:
        """Append a pair, soon, with its texts for people to judge it within so many days."""

    def has_room(self, route: str) -> bool:
        """Whether further texts may be kept, as of the last second."""

    def decided(
        self, request_id: str, route: str, decision: Decision, costs: tuple[float, ...],
        variants: tuple[str, ...],
    ) -> None:  # fmt: skip
        """Keep a decision, soon; `costs` are dollars by variant."""

    def policy(self, route: str) -> tuple[int, bytes] | None:
        """The newest (version, compiled); None where nothing was learned."""

    def paused(self, route: str) -> bool:
        """Whether an operator wants the reference to serve all."""

    def is_heard(self) -> bool:
        """Whether the learner has heard of late what is written here."""


class Decided(Struct, frozen=True, array_like=True):
    """A decision as it is kept."""

    decision: Decision
    costs: tuple[float, ...]
    variants: tuple[str, ...]


class Kept(Struct, frozen=True):
    """A pair with its texts, and when they are deleted."""

    pair: Pair
    texts: bytes
    days: int


encode_decided = msgspec.msgpack.Encoder().encode
decode_decided = msgspec.msgpack.Decoder(Decided).decode


class Bounds(Struct, frozen=True, kw_only=True):
    """How much is kept, and how often the thread looks."""

    waiting: int = 20_000
    """Notes and decisions that wait to be written."""
    days: int = 30
    rows: int = 1_000_000
    """Decisions that are kept."""
    asked: int = 5_000
    """Pairs of a route whose texts are kept."""
    gather_s: float = 0.2
    look_s: float = 1.0
    sweep_s: float = 60.0
    batch: int = 1_000


NANO = 1_000_000_000
DEAF_S = 900.0
"""How long the learner may hear nothing, or the file fail, until that is silence."""
PIECE = 32
"""Rows, 0.1 ms of work, after which the path may have the interpreter if it wants it."""
Row = tuple[str, str, int, Note | Kept | Decided]
"""Id of the request, "" for a note; route; time; what it is."""


class DiskShelf:
    """Implements `Shelf` on the `learning.db` of a data folder, with a thread of its own."""

    def __init__(
        self, data: Path, bounds: Bounds | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._data, self._bounds, self._now = data, bounds or Bounds(), now
        self._waiting: deque[Row] = deque()
        self._policies: dict[str, tuple[int, bytes]] = {}
        self._paused: frozenset[str] = frozenset()
        self._asked: dict[str, int] = {}
        self._heard_at = now()
        """When the learner last had, or we began to wait for it."""
        self._ending = threading.Event()
        self._looked = threading.Event()
        self.dropped = 0
        """Of what came faster than it could be written."""
        self._file: LearningFile | None = None
        self._seen = 0
        """The last policy of the file that was looked at."""
        self._problem = ""
        self._look_at = self._sweep_at = 0.0
        self._thread = threading.Thread(target=self._run, name="octoplex-learning", daemon=True)
        self._thread.start()

    # The path's side.

    def note(self, route: str, note: Note) -> None:
        """See `Shelf`."""
        self._put(("", route, int(self._now() * 1_000), note))

    def keep(self, route: str, pair: Pair, texts: bytes, days: int) -> None:
        """See `Shelf`."""
        self._put(("", route, int(self._now() * 1_000), Kept(pair, texts, days)))

    def has_room(self, route: str) -> bool:
        """See `Shelf`."""
        return self._asked.get(route, 0) < self._bounds.asked

    def decided(
        self, request_id: str, route: str, decision: Decision, costs: tuple[float, ...],
        variants: tuple[str, ...],
    ) -> None:  # fmt: skip
        """See `Shelf`."""
        kept = Decided(decision, costs, variants)
        self._put((request_id, route, int(self._now() * 1_000), kept))

    def policy(self, route: str) -> tuple[int, bytes] | None:
        """See `Shelf`."""
        return self._policies.get(route)

    def paused(self, route: str) -> bool:
        """See `Shelf`."""
        return route in self._paused

    def is_heard(self) -> bool:
        """See `Shelf`."""
        return self._now() - self._heard_at < DEAF_S

    def wait(self, timeout_s: float) -> bool:
        """Until the file was looked at: whether it was, for a start that wants to know."""
        return self._looked.wait(timeout_s)

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits, then let go of the file."""
        self._ending.set()
        self._thread.join(timeout_s)

    def _put(self, row: Row) -> None:
        if len(self._waiting) >= self._bounds.waiting or self._ending.is_set():
            self.dropped += 1
        else:
            self._waiting.append(row)

    # The thread's side.

    def _run(self) -> None:
        while True:
            last = self._ending.wait(self._bounds.gather_s if self._look_at else 0)
            problem = self._turned(last)
            if problem and problem != self._problem:
                log.error("%s cannot be used now (%s); what is learned waits", NAME, problem)
            self._problem = problem
            if last:
                break
        if self._file is not None:
            self._file.close()

    def _turned(self, last: bool) -> str:
        """ "" or what is wrong with the file: the next turn may fare better."""
        try:
            file = self._opened()
            self._write(file)
            now = time.monotonic()
            if now >= self._look_at and not last:
                self._look(file)
                self._look_at = now + self._bounds.look_s
            if now >= self._sweep_at and not last:
                bounds = self._bounds
                more = file.sweep(int(self._now() * 1_000), bounds.days, bounds.rows)
                self._sweep_at = now + (bounds.sweep_s if not more else bounds.look_s)
        except (sqlite3.Error, OSError, BadConfig) as error:
            return str(error)
        except Exception as error:  # whatever it is, the thread must live on
            log.exception("a defect beside the path")
            return f"{type(error).__name__}: {error}"
        return ""

    def _opened(self) -> LearningFile:
        """The file, opened again where somebody has moved it away."""
        if self._file is not None and self._file.is_gone:
            self._file.close()
            self._file = None
        if self._file is None:
            self._file, self._seen = open_learning(self._data), 0
        return self._file

    def _write(self, file: LearningFile) -> None:
        """All that waits, a few at a time; what cannot be written waits on."""
        while self._waiting:
            rows = [self._waiting[n] for n in range(min(len(self._waiting), self._bounds.batch))]
            notes, decisions, asked = [], [], []
            for number, (id_, route, at_ms, x) in enumerate(rows):
                if number % PIECE == 0:
                    time.sleep(0)
                if isinstance(x, Decided):
                    decisions.append(DecidedRow(id_, route, at_ms, encode_decided(x)))
                    continue
                if isinstance(x, Kept):
                    asked.append(_asked(route, at_ms, x))
                note = x.pair if isinstance(x, Kept) else x
                notes.append(Noted(route, at_ms, kind_of(note), encode(note)))
            file.add(notes, decisions, _sums(rows), asked)
            for _ in rows:
                self._waiting.popleft()

    def _look(self, file: LearningFile) -> None:
        self._paused = frozenset(one.route for one in file.switches() if one.paused)
        self._asked = file.asked()
        with suppress(FileNotFoundError):
            self._heard_at = max(self._heard_at, (self._data / LOCK).stat().st_mtime)
        new = file.policies(self._seen)
        for route in {one.route for one in new}:
            found = file.newest(route)
            if found is not None and found.body is not None:
                self._policies[route] = found.version, found.body
        self._seen = new[-1].seq if new else self._seen
        self._looked.set()


def _asked(route: str, at_ms: int, kept: Kept) -> Asked:
    """Of which nobody says anything in time, that counts as the worst for the rival."""
    id_ = kept.pair.request_id
    otherwise = encode(Label(id_, 1.0, 0.0))
    return Asked(route, id_, at_ms, at_ms + kept.days * DAY_MS, kept.texts, otherwise)


def _sums(rows: Sequence[Row]) -> dict[tuple[str, int], Sum]:
    """What they come to, by route and day."""
    found: dict[tuple[str, int], Sum] = {}
    for _, route, at_ms, x in rows:
        said = found.setdefault((route, at_ms // DAY_MS), Sum())
        if isinstance(x, Decided):
            said.requests += 1
            if x.decision.variant and not x.decision.is_judged:  # then the reference answers
                said.moved += 1
                said.saved_nano += round((x.costs[0] - x.costs[x.decision.variant]) * NANO)
        elif isinstance(x, Pair | Kept):
            said.pairs += 1
            said.pair_nano += (x.pair if isinstance(x, Kept) else x).nano
    return found
