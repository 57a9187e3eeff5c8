"""Replay a file of judged answers through the loop that serves traffic: the proof anyone can run.

    table = read(path, Columns(reference="gpt-4", candidates=("mixtral",)))
    report = replay(table, Plan(table.variants, feedback=0.01), seed=1, requests=60_000)

Each row is a prompt and what the answer of each model was worth. The loop decides as it would for
traffic; only for the pairs that it has judged it is told the worth of two answers, and those cost
what the second answer costs. All else the report knows, and the loop does not.

With a column of replies the one candidate always answers first, and the loop decides on prompt and
reply whether that will do: "ask the small one, verify, escalate" (`verifier.py`).
"""

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
import numpy as np

from octoplex.optimizer.bandits import bandits, contexts
from octoplex.optimizer.features import Features, Places, Values, features_of
from octoplex.optimizer.loop import Loop, Plan
from octoplex.optimizer.offpolicy import Evaluated
from octoplex.optimizer.ranking import Ranking, ranked
from octoplex.wire.error import BadConfig

POINTS = 100
"""Of a curve over time."""
WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}


class Columns(NamedTuple):
    """Which column of a file is what."""

    reference: str
    candidates: tuple[str, ...]
    prompt: str = "prompt"
    segment: str | None = None
    costs: Mapping[str, str] = {}
    """By column of a model: a number per request, or `@COLUMN`."""
    reply: str | None = None
    """What the candidate answered, where it answers before it is decided."""


class Table(NamedTuple):
    """A file as it was read. Shapes: (rows, variants), the reference first."""

    variants: tuple[str, ...]
    features: list[Features]
    lengths: Values
    quality: Values
    costs: Values
    """The reference's with those of what is asked before it."""
    alone: Values
    """What the reference costs if nothing is: shape (rows,)."""


class Baseline(msgspec.Struct, frozen=True):
    """What somebody else would have saved, and lost, over the same second half."""

    saving: float
    loss: float


class Certified(msgspec.Struct, frozen=True):
    """The certificate rose, fell, or went out."""

    request: int
    judged: int
    share: float
    """Of the traffic, that candidates may serve."""
    kind: str
    told: Evaluated | None = None
    """What the loop knew of what serves from here on, by pairs that it had not learned from."""


class InSegment(msgspec.Struct, frozen=True):
    """What came of one segment: shares of the reference's cost and quality there."""

    segment: str
    requests: int
    saving: float
    """Over the second half, less what its pairs cost."""
    loss: float
    loss_certified: float
    """Since the first certificate of the route."""
    violated: bool
    share: float
    """Of its second half, that candidates served."""


class Report(msgspec.Struct, frozen=True):
    """What came of a replay. Shares are of the reference: its cost, its quality."""

    seed: int
    requests: int
    judged: int
    saving: float
    """Over the second half, less what pairs cost."""
    loss: float
    """Of quality, truly, over the second half."""
    saving_total: float
    loss_total: float
    loss_certified: float
    """Since the first certificate."""
    violated: bool
    """Whether that is more than was promised."""
    share: float
    """Of the second half, that candidates served."""
    ranking: Ranking | None
    """Of the rows that were never judged, by what the reference gains on them."""
    oracle: float
    """Saved by whoever knew for each prompt the cheapest answer that is as good."""
    regret: float
    certificates: list[Certified]
    baselines: dict[str, Baseline]
    curve: list[tuple[int, float, float]]
    """Requests, saving and loss up to there."""
    segments: list[InSegment]
    """The most frequent first."""


def read(path: Path, columns: Columns) -> Table:
    """Read a CSV file, or one that gzip made smaller.

    Raises:
        BadConfig: a column is missing, or a value is no number from 0 to 1; with its line.
    """
    names = (columns.reference, *columns.candidates)
    quality: list[list[float]] = []
    costs: list[list[float]] = []
    features: list[Features] = []
    lengths: list[int] = []
    with opened(path) as lines:
        rows = csv.DictReader(lines)
        _check(rows.fieldnames or (), columns, path)
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            quality.append([_quality(row[name], name, where) for name in names])
            costs.append([_cost(row, columns, name, where) for name in names])
            prompt = row[columns.prompt]
            if prompt is None:
                raise BadConfig(f'{where} ends before "{columns.prompt}".')
            segment = (row[columns.segment] or "") if columns.segment else ""
            reply = (row[columns.reply] or "") if columns.reply else None
            features.append(features_of(prompt, segment=segment, reply=reply))
            lengths.append(len(prompt))
    if not features:
        raise BadConfig(f"{path} has no rows.")
    dollars = np.array(costs)
    alone = dollars[:, 0].copy()
    if columns.reply:
        dollars[:, 0] += dollars[:, 1]
    return Table(names, features, np.array(lengths), np.array(quality), dollars, alone)


def opened(path: Path) -> io.StringIO:
    """A text file, or one that gzip made smaller.

    Raises:
        BadConfig: it cannot be read.
    """
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise BadConfig(f"{path} cannot be read: {error}") from None
    csv.field_size_limit(1 << 27)
    return io.StringIO(raw.decode("utf-8-sig", "replace"), newline="")


def _check(found: object, columns: Columns, path: Path) -> None:
    there = list(found) if isinstance(found, (list, tuple)) else []
    more = [cost[1:] for cost in columns.costs.values() if cost.startswith("@")]
    if columns.reply and len(columns.candidates) > 1:
        raise BadConfig(f"--reply: one candidate answers first, not {len(columns.candidates)}.")
    wanted = [columns.prompt, columns.reference, *columns.candidates, *more]
    for name in [*wanted, *(one for one in (columns.segment, columns.reply) if one)]:
        if name not in there:
            raise BadConfig(f'{path} has no column "{name}"; it has {", ".join(there) or "none"}.')
    for name in columns.costs.keys() - {columns.reference, *columns.candidates}:
        raise BadConfig(f'--cost {name}: "{name}" is neither the reference nor a candidate.')


def _quality(text: str | None, name: str, where: str) -> float:
    said = (text or "").strip().lower()
    try:
        value = WORDS[said] if said in WORDS else float(said)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise BadConfig(
            f'{where}: "{text}" in "{name}" is no quality; write 0 to 1, or true, false.'
        )
    return value


def _cost(row: Mapping[str, str], columns: Columns, name: str, where: str) -> float:
    """Without any costs the calls of the reference are counted."""
    if not columns.costs:
        return 1.0 if name == columns.reference else 0.0
    said = columns.costs.get(name)
    if said is None:
        raise BadConfig(
            f'What "{name}" costs is missing: --cost "{name}=DOLLARS" or "{name}=@COLUMN".'
        )
    text = row[said[1:]] if said.startswith("@") else said
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = -1.0
    if not 0 <= value < float("inf"):
        raise BadConfig(f'{where}: "{text}" is no cost of "{name}"; write dollars, 0 or more.')
    return value


class _Told(NamedTuple):
    """What happened, request by request."""

    rows: Places
    variants: Places
    cost: Values
    certificates: list[Certified]
    judged: int
    fresh: Places
    """Rows whose prompts were never judged."""


def replay(
    table: Table,
    plan: Plan,
    *,
    seed: int,
    requests: int | None = None,
    judge_cost: float = 0.0,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Stream the rows through the loop: the file once, in order, or `requests` drawn from it."""
    told, loop = _streamed(table, plan, seed, requests, judge_cost, progress)
    at = np.arange(len(told.rows))
    first = table.quality[told.rows, 0]
    worth = table.quality[told.rows, told.variants]
    full = table.alone[told.rows]
    half = slice(len(at) // 2, None)
    begun = next((c.request for c in told.certificates), len(at))

    def lost(part: slice) -> float:
        return _share(first[part].sum() - worth[part].sum(), first[part].sum())

    def saved(part: slice) -> float:
        return _share(full[part].sum() - told.cost[part].sum(), full[part].sum())

    certified = lost(slice(begun, None)) if begun < len(at) else 0.0
    baselines = _baselines(table, told.rows, plan, loop)
    saving, oracle = saved(half), baselines["oracle"].saving
    ends = [len(at) * n // POINTS for n in range(1, POINTS + 1)]
    return Report(
        seed=seed,
        requests=len(at),
        judged=told.judged,
        saving=saving,
        loss=lost(half),
        saving_total=saved(slice(None)),
        loss_total=lost(slice(None)),
        loss_certified=certified,
        violated=certified > plan.loss,
        share=float((told.variants[half] > 0).mean()),
        ranking=_ranking(table, told.fresh, loop),
        oracle=oracle,
        regret=oracle - saving,
        certificates=told.certificates,
        baselines=baselines,
        curve=[(end, saved(slice(end)), lost(slice(end))) for end in ends if end],
        segments=_segments(table, told, plan, begun),
    )


def _segments(table: Table, told: _Told, plan: Plan, begun: int) -> list[InSegment]:
    """What came of each segment, where there are some."""
    names = np.array([table.features[row].segment for row in told.rows])
    first, full = table.quality[told.rows, 0], table.alone[told.rows]
    missed = first - table.quality[told.rows, told.variants]
    at = np.arange(len(names))
    found = []
    for name in sorted({*names} - {""}):
        own = names == name
        half, since = own & (at >= len(at) // 2), own & (at >= begun)
        certified = _share(missed[since].sum(), first[since].sum())
        found.append(
            InSegment(
                str(name),
                int(own.sum()),
                _share(full[half].sum() - told.cost[half].sum(), full[half].sum()),
                _share(missed[half].sum(), first[half].sum()),
                certified,
                certified > plan.loss,
                _share(float((told.variants[half] > 0).sum()), float(half.sum())),
            )
        )
    return sorted(found, key=lambda one: -one.requests)


def _streamed(
    table: Table,
    plan: Plan,
    seed: int,
    requests: int | None,
    judge_cost: float,
    progress: Callable[[int], None],
) -> tuple[_Told, Loop]:
    loop = Loop(plan, Random(seed))
    rows = np.fromiter(_rows(len(table.features), requests, seed), np.int64)
    variants, cost = np.zeros(len(rows), np.int64), np.zeros(len(rows))
    certificates: list[Certified] = []
    known: set[int] = set()
    told = 0
    for number, row in enumerate(rows):
        features, costs = table.features[row], table.costs[row]
        decision = loop.decide(features, costs)
        variants[number] = decision.variant
        cost[number] = costs[decision.variant]
        if decision.is_judged:
            both = {0, decision.rival} - {decision.variant}
            cost[number] += judge_cost + sum(costs[one] for one in both)
            cost[number] -= costs[0] - table.alone[row]  # asked before, and once
            quality = table.quality[row]
            known.add(features.prompt)
            loop.judged(features, decision, (float(quality[0]), float(quality[decision.rival])))
            for event in loop.events[told:]:
                if event.kind != "fit":
                    known_of = event.told.told if event.told and event.share else None
                    certificates.append(
                        Certified(number, event.pairs, event.share, event.kind, known_of)
                    )
            told = len(loop.events)
        if number % 1_000 == 999:
            progress(number + 1)
    fresh = [row for row, one in enumerate(table.features) if one.prompt not in known]
    return _Told(rows, variants, cost, certificates, loop.pairs, np.array(fresh, np.int64)), loop


def _rows(count: int, requests: int | None, seed: int) -> Iterator[int]:
    if requests is None:
        return iter(range(count))
    random = Random(f"rows {seed}")
    return (random.randrange(count) for _ in range(requests))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _baselines(table: Table, every: Places, plan: Plan, loop: Loop) -> dict[str, Baseline]:
    """What simpler rules do on the second half; thresholds are the best in hindsight, bandits have
    learned from the first half on."""
    rows = every[len(every) // 2 :]
    quality, costs = table.quality[rows], table.costs[rows]
    costs[:, 0] = table.alone[rows]
    cheapest = int(costs.mean(axis=0).argmin())

    def told(variants: Places, costs: Values = costs) -> Baseline:
        at = np.arange(len(rows))
        worth, cost = quality[at, variants].sum(), costs[at, variants].sum()
        first, full = quality[:, 0].sum(), table.alone[rows].sum()
        return Baseline(_share(full - cost, full), _share(first - worth, first))

    def threshold(ranks: Values, moved: Places, costs: Values = costs) -> Baseline:
        """Move requests in this order, as many as the promised loss allows."""
        order = np.argsort(ranks, kind="stable")
        at = np.arange(len(rows))
        lost = np.cumsum((quality[:, 0] - quality[at, moved])[order])
        within = np.nonzero(lost <= plan.loss * quality[:, 0].sum())[0]
        variants = np.zeros(len(rows), np.int64)
        variants[order[: within[-1] + 1 if len(within) else 0]] = moved[
            order[: within[-1] + 1 if len(within) else 0]
        ]
        return told(variants, costs)

    all_cheap = np.full(len(rows), cheapest)
    good = quality >= quality[:, :1]
    oracle = np.where(good, costs, np.inf).argmin(axis=1)
    chance = Random("mix")
    found = {
        "reference": told(np.zeros(len(rows), np.int64)),
        "cheapest": told(all_cheap),
        "random mix": threshold(np.array([chance.random() for _ in rows]), all_cheap),
        "length rule": threshold(table.lengths[rows], all_cheap),
        "oracle": told(oracle),
    }
    if loop.policy.newest is not None:
        unique, back = np.unique(rows, return_inverse=True)
        strains, proposed = _strains(table, unique, loop)
        found["best threshold"] = threshold(strains[back], proposed[back], table.costs[rows])
        seen, back = np.unique(every, return_inverse=True)
        asked = contexts([loop.seen(table.features[row]) for row in seen])[back]
        worth, chance = (table.quality[every], table.costs[every]), Random("bandits")
        for name, served in bandits(asked, *worth, plan, chance).items():
            found[name] = told(served[len(every) - len(rows) :], table.costs[rows])
    return found


def _strains(table: Table, rows: Places, loop: Loop) -> tuple[Values, Places]:
    asked = [(loop.seen(table.features[row]), table.costs[row]) for row in rows]
    return loop.policy.strains(asked)


def _ranking(table: Table, rows: Places, loop: Loop) -> Ranking | None:
    if loop.policy.newest is None or not len(rows):
        return None
    strains, proposed = _strains(table, rows, loop)
    return ranked(strains, table.quality[rows, 0] - table.quality[rows, proposed])
