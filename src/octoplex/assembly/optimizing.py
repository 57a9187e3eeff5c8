"""What operators do to routes that learn, and what is shown of them: the same at the shell and over
HTTP.

    pull(data, Lever("support", "pause", who, why))
    standing(data, settings)                      a row per route
    explained(data, "req_...")                    one decision, to the last number

Where there is nothing yet, there is no file, and none is made by looking.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct

from octoplex.ledger.learning import (
    LearningFile,
    Noted,
    Published,
    Switch,
    open_learning,
    read_learning,
)
from octoplex.ledger.period import DAY_MS
from octoplex.optimizer.config import variants_of
from octoplex.optimizer.opinions import opinion_of
from octoplex.settings import ModelTable, Settings
from octoplex.wire.error import InvalidCall, NotFound, StoreFailed

How = Literal["pause", "resume", "rollback"]
OPINION_DAYS = 30
LAST = 5
"""Events that are shown of a route."""
LABELLED = 5_000
"""Of so many pairs and labels, the newest, is shown what a judge says otherwise than people."""
STEPS = 40
"""Rungs of the ladder (`optimizer/policy.py`, which needs numpy)."""


class Lever(Struct, frozen=True):
    """What an operator does to a route."""

    route: str
    how: How
    who: str
    why: str = ""


def lever(settings: Settings, route: str, how: str, who: str, why: str = "") -> Lever:
    """A lever that is there to be pulled.

    Raises:
        NotFound: no route of this name learns.
        InvalidCall: nothing can be done of this name.
    """
    if how not in get_args(How):
        raise InvalidCall(f'Nothing is called "{how}"; there is {", ".join(get_args(How))}.')
    check(settings, route)
    return Lever(route, msgspec.convert(how, How), who, why[:500])


def learning(settings: Settings) -> dict[str, ModelTable]:
    """The routes that learn."""
    return {name: t for name, t in settings.models.items() if t.pick == "learned"}


def check(settings: Settings, route: str) -> None:
    """Refuse a route that does not learn.

    Raises:
        NotFound: naming the nearest that does.
    """
    names = learning(settings)
    if route not in names:
        near = get_close_matches(route, names, 1) or sorted(names)
        there = f"; there is {', '.join(near[:3])}" if near else ""
        raise NotFound(f'No route "{route[:100]}" learns{there}.')


def before(data: Path, route: str) -> dict[str, Any]:
    """How a route stood, for the audit log.

    Raises:
        StoreFailed: what was kept cannot be read.
    """
    with reading(data) as file:
        newest = None if file is None else file.newest(route)
        return {"paused": _is_paused(file, route), "share": newest.share if newest else 0.0}


def pull(data: Path, done: Lever) -> None:
    """Do it; it counts within a second or two.

    Raises:
        StoreFailed: it cannot be written.
    """
    now_ms = time.time_ns() // 1_000_000
    with failing(), closing(open_learning(data)) as file:
        if done.how != "rollback":
            file.throw(Switch(done.route, done.how == "pause", done.who, now_ms))
        if done.how != "pause":
            order = msgspec.msgpack.encode(["order", done.how, done.why, done.who])
            file.add([Noted(done.route, now_ms, "order", order)])


def lessons(data: Path, route: str, given: Iterable[Any]) -> list[Noted]:
    """Lessons (`optimizer/warm.py`) as notes of a route that learns.

    Raises:
        InvalidCall: it has not begun yet, and would begin without them.
        StoreFailed: it cannot be read whether it has.
    """
    from octoplex.optimizer.notes import encode, kind_of

    with reading(data) as file:
        if file is None or not file.planned(route):
            raise InvalidCall(
                f"{route} has not begun to learn: start the server with this file once, so that "
                "lessons come after it began."
            )
    now_ms = time.time_ns() // 1_000_000
    return [Noted(route, now_ms, kind_of(one), encode(one)) for one in given]


def teach(data: Path, notes: Sequence[Noted]) -> None:
    """Have them learned from.

    Raises:
        StoreFailed: they cannot be written.
    """
    with failing(), closing(open_learning(data)) as file:
        file.add(notes)


def standing(data: Path, settings: Settings, route: str = "") -> list[dict[str, Any]]:
    """How each route that learns stands.

    Raises:
        NotFound: `route` does not learn.
        StoreFailed: what was kept cannot be read.
    """
    if route:
        check(settings, route)
    with reading(data) as file:
        return [
            _row(file, name, table)
            for name, table in learning(settings).items()
            if route in ("", name)
        ]


def _row(file: LearningFile | None, name: str, table: ModelTable) -> dict[str, Any]:
    newest = None if file is None else file.newest(name)
    share = newest.share if newest else 0.0
    sums = None if file is None else file.sum(name)
    since_ms = time.time_ns() // 1_000_000 - OPINION_DAYS * DAY_MS
    said = opinion_of([] if file is None else file.scores(name, since_ms))
    return {
        "route": name,
        "reference": table.reference,
        "candidates": list(variants_of(table.reference, (*table.try_, *table.variants))[1:]),
        "paused": _is_paused(file, name),
        "version": newest.version if newest else 0,
        "rung": round(share * STEPS),
        "share": share,
        "certified_since_ms": None if file is None else file.served_since(name),
        "pairs": sums.pairs if sums else 0,
        "requests": sums.requests if sums else 0,
        "moved": sums.moved if sums else 0,
        "saved_nano": sums.saved_nano if sums else 0,
        "learning_nano": sums.pair_nano if sums else 0,
        "saved_net_nano": sums.saved_nano - sums.pair_nano if sums else 0,
        "quality_loss": table.promise.quality_loss,
        "confidence": table.promise.confidence,
        "shadow": table.learn.shadow,
        "judge": list(table.learn.judge),
        "each_segment": table.promise.each_segment,
        "certificate": _certificate(newest),
        "callers_say": msgspec.to_builtins(said),
        "labels": _labels(file, name, table),
        "events": [_event(policy) for policy in file.events(name, LAST)] if file else [],
    }


def _labels(file: LearningFile | None, name: str, table: ModelTable) -> dict[str, Any] | None:
    """How a model that judges stands beside people; None where the file wants no labels."""
    share = table.learn.labels
    if not share:
        return None
    from octoplex.optimizer.labels import bias_of

    confidence = table.promise.confidence
    notes: Iterable[bytes] = []
    if file is not None:
        kinds = "pair", "label"
        after = max(file.planned(name), file.before(name, kinds, LABELLED))
        notes = file.about(name, kinds, after)
    return {"share": share, **msgspec.to_builtins(bias_of(notes, confidence))}


def _event(policy: Published) -> dict[str, Any]:
    names = ("at_ms", "kind", "version", "pairs", "share", "why")
    return {name: getattr(policy, name) for name in names} | {"certificate": _certificate(policy)}


def _certificate(policy: Published | None) -> dict[str, Any] | None:
    """What was known of what a policy lets serve, of the route and each segment."""
    found: dict[str, Any] | None = msgspec.json.decode(policy.told) if policy else None
    return found


def explained(data: Path, id_: str) -> dict[str, Any]:
    """Why who answered a request of a route that learns.

    Raises:
        NotFound: nothing was decided of such a request, or it is not kept any more.
        StoreFailed: what was kept cannot be read.
    """
    with reading(data) as file:
        row = None if file is None else file.decision(id_)
    if row is None:
        raise NotFound(
            f'No decision of a request "{id_[:128]}" is kept: its route does not learn, or it is '
            "too old."
        )
    from octoplex.optimizer.shelf import decode_decided

    kept = decode_decided(row.body)
    told, names = kept.decision, kept.variants
    with reading(data) as file:
        policy = None if file is None else file.version(row.route, told.version)
    served, newest = told.served, told.proposal
    return {
        "request_id": id_,
        "route": row.route,
        "at_ms": row.at_ms,
        "policy": told.version,
        "variant": names[told.variant],
        "reason": _reason(told, names),
        "propensity": told.propensity,
        "rung": told.rung,
        "certificate": _certificate(policy),
        "snapshot": told.snapshot,
        "proposed": names[served.candidate] if served.candidate else None,
        "scores": dict(zip(names[1:], served.scores or newest.scores, strict=False)),
        "strain": _finite(served.strain),
        "cut": _finite(told.cut),
        "prices": dict(zip(names, kept.costs, strict=True)),
        "pair": {
            "drawn": told.is_judged,
            "probability": told.judged,
            "rival": names[told.rival],
            "rival_propensity": told.rival_propensity,
            "newest_strain": _finite(newest.strain),
            "rungs_tested": told.within,
        },
    }


def _reason(told: Any, names: tuple[str, ...]) -> str:
    served = told.served
    if told.is_judged and told.variant:
        return (
            f"it was drawn for a pair, so {names[0]} answered the caller; otherwise "
            f"{names[told.variant]} would have"
        )
    if told.variant:
        return (
            f"{names[told.variant]} is worth most, and its strain {served.strain:.4g} is at most "
            f"the cut {told.cut:.4g} of the certified rung {told.rung}"
        )
    if not told.rung:
        return "nothing is certified for such requests, so the reference serves them"
    if not served.candidate:
        return "no candidate would save anything"
    if served.strain > told.cut:
        return (
            f"the strain {served.strain:.4g} of {names[served.candidate]} is above the cut "
            f"{told.cut:.4g} of the certified rung {told.rung}"
        )
    return "a small share of all requests is given to the reference, to go on learning"


def _finite(number: float) -> float | None:
    return number if abs(number) < float("inf") else None


def _is_paused(file: LearningFile | None, route: str) -> bool:
    return file is not None and any(o.paused for o in file.switches() if o.route == route)


@contextmanager
def reading(data: Path) -> Iterator[LearningFile | None]:
    """The file as it is, None where there is none.

    Raises:
        StoreFailed: it cannot be read.
    """
    with failing():
        file = read_learning(data)
        if file is None:
            yield None
            return
        with closing(file):
            yield file


@contextmanager
def failing() -> Iterator[None]:
    """Say it in our words where the file fails.

    Raises:
        StoreFailed: it does.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreFailed(f"What was learned cannot be read or written: {error}.") from None
