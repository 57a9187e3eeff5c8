"""Experiments on the path: a unit gets its variant, and what became of its request is kept.

    answerer = Trying(inner, {"support": test}, tries)    asks of other routes pass by
    tries = Tries(data)                                   the thread between here and `learning.db`

The variant is a change of the request, so it is made before anything else looks at it: guard,
cache, limits and price are those of the changed one. The record says `trial NAME: VARIANT`. A
request that does not name its unit (no user, no such label), or that cannot be changed, is none of
the experiment's. Costs a dictionary's look where no experiment runs on the route.

Not promised: results of the last 0.2 s before a kill.
"""

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from octoplex.ledger.trials import Result, TrialsFile
from octoplex.optimizer.cascade import Change
from octoplex.optimizer.standing import Standing
from octoplex.routing.affinity import conversation
from octoplex.wire.answer import Answer, Answerer, Outcome, Whole, bound
from octoplex.wire.ask import Ask, Call
from octoplex.wire.error import BadConfig, GatewayError, InvalidCall

log = logging.getLogger("octoplex.experiments")
GATHER_S, LOOK_S = 0.2, 1.0
MOST_WAITING = 20_000
read_standing = msgspec.msgpack.Decoder(Standing).decode


class Test(Struct, frozen=True):
    """An experiment of the file, compiled."""

    __test__ = False

    name: str
    key: str
    """Its name and a digest of what it compares."""
    unit: str
    begin: Standing
    """Until its owner says something else."""
    change: Mapping[str, Change]
    """By variant."""


class Tries:
    """Results on their way to the file, and where experiments are. One thread per process."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._waiting: deque[Result] = deque(maxlen=MOST_WAITING)
        self._standings: dict[str, Standing] = {}
        self._ending = threading.Event()
        self._file: TrialsFile | None = None
        self._problem = ""
        self._look_at = 0.0
        self._thread = threading.Thread(target=self._run, name="octoplex-trials", daemon=True)
        self._thread.start()

    def keep(self, result: Result) -> None:
        """Write it down soon; above a bound the oldest is dropped."""
        self._waiting.append(result)

    def standing(self, test: Test) -> Standing:
        """Where it is, as of the last second."""
        return self._standings.get(test.key, test.begin)

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits."""
        self._ending.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            last = self._ending.wait(GATHER_S if self._look_at else 0)
            problem = self._turned()
            if problem and problem != self._problem:
                log.error("results of experiments cannot be kept now: %s", problem)
            self._problem = problem
            if last:
                break
        if self._file is not None:
            self._file.close()

    def _turned(self) -> str:
        """ "" or what is wrong: the next turn may fare better."""
        try:
            if self._file is None:
                self._file = TrialsFile.open(self._data)
            if some := [self._waiting[n] for n in range(len(self._waiting))]:
                self._file.add(some)
                for _ in some:
                    self._waiting.popleft()
            if time.monotonic() >= self._look_at:
                found = self._file.standings()
                self._standings = {name: read_standing(row[1]) for name, row in found.items()}
                self._look_at = time.monotonic() + LOOK_S
        except (sqlite3.Error, OSError, BadConfig, msgspec.MsgspecError) as error:
            return f"{type(error).__name__}: {error}"
        except Exception as error:  # whatever it is, the thread must live on
            log.exception("a defect beside the path")
            return str(error)
        return ""


class Trying:
    """The Answerer that gives units their variants."""

    __slots__ = ("_inner", "_tests", "_tries")

    def __init__(self, inner: Answerer, tests: Mapping[str, Test], tries: Tries) -> None:
        """`tests` by the name of their routes."""
        self._inner, self._tests, self._tries = bound(inner), tests, tries

    async def __call__(self, ask: Ask, /) -> Answer:
        """Ask inside, changed as the unit's variant is."""
        test = self._tests.get(ask.model)
        if test is None or not isinstance(ask, Call) or ask.op != "chat":
            return await self._inner(ask)
        trail, unit = ask.trail, unit_of(ask, test.unit)
        trail.sent = ask.fields
        standing = self._tries.standing(test)
        if not unit:
            return await self._inner(ask)
        hashed = blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
        variant = standing.of(test.name, hashed)
        try:
            call = test.change[variant](ask)
        except (InvalidCall, KeyError):  # KeyError: a variant of another digest's experiment
            return await self._inner(ask)
        trail.trial = f"{test.name}: {variant}"
        if standing.is_over:
            return await self._inner(call)
        told = partial(self._told, ask, (test.key, standing.round, variant, hashed))
        try:
            answer = await self._inner(call)
        except GatewayError as error:
            # What is wrong with a request is not the variant's.
            if trail.trial and error.status >= 500:
                told("cut")
            raise
        if trail.replayed:  # what was answered then is counted already, and may be another's
            trail.trial = ""
        if not trail.trial:
            return answer
        if isinstance(answer, Whole):
            told("done")
        else:
            answer.on_end(lambda outcome, _: told(outcome))
        return answer

    def _told(self, ask: Ask, of: tuple[str, int, str, str], outcome: Outcome) -> None:
        if outcome in ("left", "stopped"):
            return
        latency_s = time.monotonic() - ask.started_at
        at_ms, failed = int(time.time() * 1_000), outcome != "done"
        self._tries.keep(Result(*of, ask.id, at_ms, ask.trail.nano, latency_s, failed))


def unit_of(call: Call, kind: str) -> str:
    """What must not see two variants; "" where the request does not say it."""
    if kind == "request":
        return call.id
    if kind in ("key", "tenant"):
        return call.caller.id if kind == "key" else call.caller.tenant
    if kind == "conversation":
        said = conversation(call)
        return "" if said is None else repr(said)
    labels = _labels(call, "metadata")
    if kind == "user":
        return _word(call, "user") or _said(labels.get("user_id"))
    return _said(labels.get(kind.removeprefix("metadata.")))


def _labels(call: Call, name: str) -> Mapping[str, object]:
    found = _value(call, name)
    return found if isinstance(found, dict) else {}


def _word(call: Call, name: str) -> str:
    return _said(_value(call, name))


def _said(value: object) -> str:
    return str(value)[:256] if isinstance(value, str | int) else ""


def _value(call: Call, name: str) -> object:
    raw = call.fields.get(name)
    try:
        return None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def changed(call: Call, fields: dict[str, msgspec.Raw], max_tokens: int | None) -> Call:
    """The same call with other members."""
    raw = msgspec.json.encode(fields)
    limit = call.max_tokens if max_tokens is None else max_tokens
    return replace(call, raw=raw, fields=fields, max_tokens=limit, _chat=None, _worst=None)
