"""The learner: reads what the path has noted, and publishes policies. A process of its own.

    python -m octoplex.optimizer.learner FOLDER            a JSON line on stdin: what routes want
    {"support": {"plan": {"variants": [...], ...}, "judges": [...]}}
    python -m octoplex.optimizer.learner FOLDER ROUTE...   makes all of it again, and compares

All that it does follows from the notes of a route in their order, so it keeps no state: killed at
any moment, it reads them again from the last `Planned` on, which gives the policies that were
published, byte for byte, and those that were not yet. What it makes now must be what it had
published; where it is not (another build, another numpy), nothing that was certified can be shown
any more, and the route begins anew.

It begins anew, with every certificate void and nothing learned, when the file says something else
of the variants or their order, of the promise, of the share that is judged, of the judges, or of
what else changes answers: its numbers would speak of something else. Then a `Planned` is written
behind the last note that was read. Another model behind the same name: each process of the path
says so by an `Order`, of which the first voids.

A model that judges and calls itself something else for so many pairs in a row (`Name`) voids, too.

Feedback is broken when so many pairs in a row had no verdict (`SILENT`), or both answers were
worth nothing (`FAILED`): all certificates are void until pairs say something again.

It ends with its standard input, so with whoever began it.
"""

import fcntl
import os
import select
import sqlite3
import sys
import time
from hashlib import sha256
from pathlib import Path
from random import Random

import msgspec
import numpy as np
from msgspec import Struct

from octoplex.ledger.learning import LearningFile, Noted, Published, open_learning, read_learning
from octoplex.optimizer.compiled import Compiled, dump
from octoplex.optimizer.course import Name
from octoplex.optimizer.judges import is_model
from octoplex.optimizer.labels import Proofs, corrected
from octoplex.optimizer.loop import Loop, Plan
from octoplex.optimizer.notes import (
    Label,
    Lesson,
    Note,
    Noticed,
    Order,
    Pair,
    Planned,
    decode,
    encode,
    kind_of,
)
from octoplex.optimizer.process import LOCK
from octoplex.wire.error import BadConfig

SILENT = 20
"""Pairs in a row without a verdict."""
FAILED = 50
"""Pairs in a row in which both answers are worth nothing."""
NOTHING = b"null"
CHANGED = "the file says something else of this route"
OTHER = "what was published does not follow from the notes here any more"
BATCH = 500
POLL_S = 0.3
NICE = 10
TOUCH_S = 1.0


class Wish(Struct, frozen=True):
    """What the file says of a route that learns."""

    plan: Plan
    judges: tuple[str, ...] = ()
    about: str = ""
    """What else there says how targets answer, hashed."""


class Made(Struct, frozen=True):
    """A policy that came of a note."""

    version: int
    kind: str
    pairs: int
    share: float
    why: str
    told: bytes
    """What is known of what serves (`ladder.Told`), as JSON."""
    body: bytes

    @property
    def digest(self) -> str:
        """What it is known by when its body is forgotten."""
        return sha256(self.body).hexdigest()


class Pupil:
    """Learns one route, note by note. No I/O and no clock."""

    def __init__(self) -> None:
        self.loop: Loop | None = None
        self.wish: Wish | None = None
        """By which it learns."""
        self._silent = self._failed = 0
        self._voided = ""
        """Why it was void last: each process says so once."""
        self._proofs = Proofs()
        self._names: dict[str, Name] = {}
        """What models that judge call themselves."""

    @property
    def version(self) -> int:
        """Of the last policy."""
        return 0 if self.loop is None else self.loop.policy.version

    def hear(self, body: bytes) -> Made | None:
        """Learn from the next note; the policy that comes of it, if one does.

        One that nobody can learn from, a defect of who wrote it, voids all that it might touch.
        """
        loop, before = self.loop, self.version
        try:
            note = decode(body)
            if isinstance(note, Planned):
                return self._begun(note)
            if loop is not None:
                self._hear(loop, note)
        except (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError, LookupError) as error:
            if loop is not None:
                loop.void(f"a note cannot be learned from: {type(error).__name__}")
        return self._made(loop) if loop is not None and self.version != before else None

    def _hear(self, loop: Loop, note: Note) -> None:
        match note:
            case Noticed():
                if len(note.costs) == len(loop.plan.variants):
                    loop.notice(note.features, np.array(note.costs))
            case Pair():
                self._judged(loop, note)
            case Label():
                self._proofs.hear(note)
                self._prove(loop)
            case Lesson():
                loop.teach(note.features, note.rival, note.difference)
            case Order(kind="void") if note.why and note.why == self._voided:
                loop.renew()
            case Order(kind="void"):
                self._voided = note.why
                loop.void(note.why)
            case Order(kind="rollback"):
                loop.go_back(_by(note))
            case Order(kind="resume"):
                loop.go_on(_by(note))
            case _:
                pass

    def _begun(self, note: Planned) -> Made:
        self.loop = Loop(note.plan, Random(0), note.version)
        self.wish = Wish(note.plan, note.judges, note.about)
        self._silent = self._failed = 0
        self._voided, self._proofs, self._names = "", Proofs(), {}
        body = dump(Compiled(self.loop.policy, None, note.plan.variants))
        return Made(note.version, "begun", 0, 0.0, note.why, NOTHING, body)

    def _judged(self, loop: Loop, pair: Pair) -> None:
        if pair.decision.version > loop.policy.version:
            return  # of a file that is not there any more
        said = 0 <= pair.reference <= 1 and 0 <= pair.rival <= 1
        self._silent = 0 if said else self._silent + 1
        if said:
            self._failed = self._failed + 1 if pair.reference == pair.rival == 0 else 0
        if self._silent == SILENT:
            loop.void(f"feedback is broken: {SILENT} pairs in a row had no verdict")
        elif said and self._failed == FAILED:
            loop.void(f"feedback is broken: in {FAILED} pairs in a row both answers failed")
        elif before := self._before(pair):
            loop.void(f"the judge {pair.judge} answers as {pair.model}, no longer as {before}")
        elif said:
            loop.judged(pair.features, pair.decision, (pair.reference, pair.rival))
            share = loop.plan.labels if is_model(pair.judge) else 0.0
            if loop.plan.labels and pair.labels == share:
                self._proofs.add(pair)
                self._prove(loop)

    def _before(self, pair: Pair) -> str:
        """What the model that judges called itself before, once it is another one."""
        return self._names.setdefault(pair.judge, Name()).heard(pair.model) if pair.model else ""

    def _prove(self, loop: Loop) -> None:
        """Count as evidence what is known of pairs, as far as no label is missing."""
        for pair, said in self._proofs.ready(loop.changed):
            loop.prove(pair.features, pair.decision, corrected(pair, said))

    def _made(self, loop: Loop) -> Made:
        version, event = loop.policy.version, loop.events[-1] if loop.events else None
        body = dump(Compiled(loop.policy, loop.encoder, loop.plan.variants))
        share, told = loop.share, msgspec.json.encode(loop.told)
        if event is None or event.version != version:
            return Made(version, "", loop.pairs, share, "", told, body)
        return Made(version, event.kind, loop.pairs, share, event.note, told, body)


def _by(order: Order) -> str:
    return ": ".join(filter(None, (order.who, order.why)))


class Learner:
    """All routes of a data folder."""

    def __init__(self, file: LearningFile) -> None:
        self._file = file
        self._pupils: dict[str, tuple[Pupil, int]] = {}
        """With the id of the last note that was heard."""
        self._published: dict[str, dict[int, str]] = {}
        """The digests of a route's policies, by version."""

    def turn(self, wishes: dict[str, Wish]) -> int:
        """Hear some of what is new; how many notes that was."""
        return sum([self._turn(route, wish) for route, wish in wishes.items()])

    def _turn(self, route: str, wish: Wish) -> int:
        if route not in self._pupils:
            self._published[route] = {p.version: p.digest for p in self._file.each(route)}
            self._pupils[route] = Pupil(), max(0, self._file.planned(route) - 1)
        pupil, last = self._pupils[route]
        notes = self._file.notes(route, last, BATCH)
        for last, body in notes:
            made = pupil.hear(body)
            if made is not None and not self._publish(route, last, made):
                del self._pupils[route]
                self._plan(route, wish, self._file.newest_note(route), OTHER)
                return len(notes)
            self._pupils[route] = pupil, last
        if len(notes) < BATCH and pupil.wish != wish:
            self._plan(route, wish, last, "" if pupil.wish is None else CHANGED)
        return len(notes)

    def _publish(self, route: str, note: int, made: Made) -> bool:
        """Keep a policy, or see that it is the one that was kept; False where it is not."""
        known = self._published[route]
        if made.version in known:
            return known[made.version] == made.digest
        known[made.version] = made.digest
        self._file.publish(
            Published(
                route=route,
                version=made.version,
                note=note,
                at_ms=_now_ms(),
                kind=made.kind,
                pairs=made.pairs,
                share=made.share,
                why=made.why,
                told=made.told,
                digest=made.digest,
                body=made.body,
            )
        )
        return True

    def _plan(self, route: str, wish: Wish, last: int, why: str) -> None:
        """Begin anew behind note `last`; where more has come meanwhile, at the next turn."""
        version = max(self._published[route], default=0) + 1
        note = Planned(wish.plan, wish.judges, version, why, wish.about)
        self._file.add_after(Noted(route, _now_ms(), kind_of(note), encode(note)), last)


def _now_ms() -> int:
    """For people to read: nothing follows from it."""
    return time.time_ns() // 1_000_000


class Difference(Struct, frozen=True):
    """A policy that the notes do not lead to, or that was not kept."""

    route: str
    version: int
    note: int
    why: str


def recomputed(file: LearningFile, route: str) -> tuple[int, list[Difference]]:
    """Make all policies of a route again from its first note on: how many, and what differs."""
    kept = {one.version: one for one in file.each(route)}
    pupil, last, count = Pupil(), 0, 0
    found: list[Difference] = []
    while notes := file.notes(route, last, BATCH):
        for last, body in notes:
            made = pupil.hear(body)
            if made is not None:
                count += 1
                why = _differs(kept.pop(made.version, None), made, last)
                found += [Difference(route, made.version, last, why)] if why else []
    found += [Difference(route, v, kept[v].note, "no note leads to it") for v in sorted(kept)]
    return count, found


def _differs(kept: Published | None, made: Made, note: int) -> str:
    if kept is None:
        return "it was not published, or the learner has not come so far"
    if kept.note != note:
        return f"it was made after note {kept.note}, and follows from note {note}"
    if kept.digest != made.digest:
        return "its bytes are others"
    said = (kept.kind, kept.pairs, kept.share, kept.why, kept.told)
    made_so = (made.kind, made.pairs, made.share, made.why, made.told)
    return "" if said == made_so else "it is said otherwise"


def learn(folder: Path) -> None:
    """Learn until standard input ends, or the file is moved away."""
    os.nice(NICE)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # one that is just ending may still have it
    file = open_learning(folder)
    learner = Learner(file)
    read = msgspec.json.Decoder(dict[str, Wish]).decode
    wishes: dict[str, Wish] = {}
    heard, text, touch_at = 0, b"", 0.0
    while not file.is_gone:
        if select.select([0], [], [], 0 if heard else POLL_S)[0]:
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, text = (text + data).split(b"\n")
            if lines:
                wishes = read(lines[-1])
        try:
            heard = learner.turn(wishes)
        except sqlite3.OperationalError:
            if file.is_gone:  # moved away meanwhile: SQLite does not write to it any more
                return
            raise
        if time.monotonic() >= touch_at:
            os.utime(lock)
            touch_at = time.monotonic() + TOUCH_S


def check(folder: Path, routes: list[str]) -> None:
    """Print, as JSON, what comes of making all policies of these routes again."""
    found = {}
    file = read_learning(folder)
    for route in routes:
        count, differences = (0, []) if file is None else recomputed(file, route)
        found[route] = {"policies": count, "differences": differences}
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    try:
        if len(sys.argv) > 2:
            check(Path(sys.argv[1]), sys.argv[2:])
        else:
            learn(Path(sys.argv[1]))
    except BadConfig as error:
        sys.exit(str(error))
