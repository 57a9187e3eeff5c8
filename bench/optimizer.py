"""How well the optimizer ranks, what a decision and the path cost, and how soon it notices a loss.

    python -m bench.optimizer [DIR] [--seeds N] [--changes N] [--no-path]

DIR has `routellm_mmlu_train.csv.gz` and `routellm_gsm8k.csv.gz`; without them only the cost is
measured, on prompts written here. Ranking is in RouteLLM's own measures (`ranking.py`) and
cross-fitted: each prompt is scored by a scorer that saw the labels of other prompts only, and
prompts that differ in nothing but signs and case are in one fold. The verifier of the cascade sees
the prompt and the cheaper model's reply, never a label or the right answer.
"""

import argparse
import csv
import gzip
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from bench.learned import CHEAP, REFERENCE, added, choices, lessons, timed
from bench.learned import COSTS as DOLLARS
from octoplex.optimizer.features import Features, Values, encoder_of, features_of
from octoplex.optimizer.loop import Loop, Plan
from octoplex.optimizer.policy import Decision
from octoplex.optimizer.ranking import Ranking, ranked
from octoplex.optimizer.scorer import Lessons

STRONG, WEAK = "gpt-4-1106-preview", "mistralai/Mixtral-8x7B-Instruct-v0.1"
MMLU, GSM8K = "routellm_mmlu_train.csv.gz", "routellm_gsm8k.csv.gz"
BEST = {MMLU: Ranking(35.4, 70.3, 0.603), GSM8K: Ranking(33.6, 63.3, 0.622)}
"""What RouteLLM's best router reaches, as its authors report it."""
FOLDS = 5
ENOUGH = 1_500
"""Labels that RouteLLM's routers had of MMLU."""
COSTS = np.array(DOLLARS)
REQUESTS, FEEDBACK = 60_000, 1 / 30
SOON = 200
"""Judged pairs within which a silent regression must be found."""
ENGLISH = ("tide", "of", "a", "shore", "law", "court", "proof", "river", "market", "price", "old")
Row = dict[str, str]


class Asked(NamedTuple):
    """Prompts, what they gain from the strong model, and which are the same."""

    features: list[Features]
    gains: Values
    same: list[str]


def rows_of(path: Path) -> list[Row]:
    """The rows that RouteLLM counts: those that its routers had not seen."""
    csv.field_size_limit(1 << 27)
    with gzip.open(path, "rt", newline="") as lines:
        return [row for row in csv.DictReader(lines) if row["contaminated"] != "True"]


def asked_of(rows: Iterable[Row], *, reply: bool = False) -> Asked:
    """With `reply`, the cheaper model's is seen as well."""
    told = list(rows)
    right = np.array([[row[STRONG] == "True", row[WEAK] == "True"] for row in told], float)
    return Asked(
        [
            features_of(row["prompt"], reply=row[f"{WEAK}_response"] if reply else None)
            for row in told
        ],
        right[:, 0] - right[:, 1],
        [re.sub(r"\W+", " ", row["prompt"].lower()).strip() for row in told],
    )


def crossed(asked: Asked, seed: int, labels: int | None = None) -> Ranking:
    """Rank all by scorers each of which saw the labels of other folds only, `labels` at most."""
    dice = np.random.default_rng(seed)
    number = {text: at for at, text in enumerate(dict.fromkeys(asked.same))}
    fold = dice.integers(0, FOLDS, len(number))[[number[text] for text in asked.same]]
    scores = np.zeros(len(asked.gains))
    for held in range(FOLDS):
        others = dice.permutation(np.flatnonzero(fold != held))
        encoder = encoder_of([asked.features[at] for at in others])  # as of traffic: no labels
        known = others[:labels]
        lessons = Lessons()
        for at in known:
            lessons.add(encoder.row(asked.features[at]), -float(asked.gains[at]))
        scorer = lessons.fit()
        for at in np.flatnonzero(fold == held):
            scores[at] = -scorer.of(encoder.row(asked.features[at]))
    found = ranked(scores, asked.gains)
    assert found is not None, "the strong model gains nothing here"
    return found


def line(name: str, told: Sequence[Ranking]) -> str:
    """Mean and spread over seeds, of each measure."""
    table = np.array([[one.half, one.most, one.area] for one in told])
    mean, spread = table.mean(axis=0), table.std(axis=0)
    parts = [
        f"{m:8.{digits}f} " + (f"±{s:<6.{digits}f}" if len(told) > 1 else " " * 7)
        for m, s, digits in zip(mean, spread, (1, 1, 3), strict=True)
    ]
    return f"{name:44}{''.join(parts)}"


def rankings(folder: Path, seeds: int) -> None:
    """Print RouteLLM's measures."""
    print(f"{'':44}{'50 % of gap':>15}{'80 % of gap':>15}{'APGR':>15}{'seeds':>8}")
    mmlu = asked_of(rows_of(folder / MMLU))
    gsm8k = rows_of(folder / GSM8K)
    few = max(1, seeds // 4)  # of thousands of labels: a minute or two each
    for name, asked, labels, count in (
        (f"MMLU, {ENOUGH} labels", mmlu, ENOUGH, seeds),
        ("MMLU, four fifths of the labels", mmlu, None, few),
        ("GSM8K, prompt only", asked_of(gsm8k), None, seeds),
        ("GSM8K, cascade: prompt and cheap reply", asked_of(gsm8k, reply=True), None, seeds),
    ):
        told = [crossed(asked, seed, labels) for seed in range(1, count + 1)]
        print(f"{line(name, told)}{count:8}", flush=True)
    for name, best in BEST.items():
        print(line(f"  RouteLLM's best, {name.split('_')[1].split('.')[0]}", [best]))


def prompts(folder: Path | None) -> list[str]:
    """Of MMLU, or as long as those."""
    if folder is not None and (folder / MMLU).exists():
        return [row["prompt"] for row in rows_of(folder / MMLU)]
    dice = Random(1)
    return [" ".join(dice.choices(ENGLISH, k=dice.randrange(20, 200))) for _ in range(3_000)]


def taught(features: Sequence[Features]) -> Loop:
    """A route whose certified rung is made of many snapshots: the dearest kind of decision."""
    loop = Loop(Plan((REFERENCE, CHEAP), feedback=0.5), Random(1))
    deque(lessons(loop, features), maxlen=0)
    return loop


def costs(folder: Path | None, *, path: bool) -> None:
    """Print what features, a decision and the whole choice take; with `path`, what a request does.

    CPU, so that what else runs here does not count: median, 99th percentile.
    """
    texts = prompts(folder)
    features = [features_of(text) for text in texts]
    loop = taught(features)

    def decide(one: Features) -> Decision:
        return loop.policy.decide(loop.seen(one), COSTS, loop.draws())

    print(f"\nus of CPU, {len(texts)} prompts; {len(loop.policy.serving)} snapshots serve")
    print(f"  features of a text      {timed(features_of, texts[:3_000])}")
    print(f"  decision                {timed(decide, features[:3_000])}")
    choices(loop, texts)
    if path:
        added(texts, features)


class Change(NamedTuple):
    """What came of a candidate that became worse."""

    pairs: int | None
    """From the beginning of it to the alarm; None: it was not noticed."""
    early: bool
    """Whether there was an alarm before it."""
    loss: float
    """Of quality, truly, from the first certificate to the alarm or the end."""


def changed(table: Asked, right: Values, seed: int, kept: Callable[[int], float]) -> Change:
    """Stream requests; the candidate's right answers stay so with probability `kept(number)`."""
    dice, loop = (
        Random(f"change {seed}"),
        Loop(Plan(("strong", "weak"), feedback=FEEDBACK), Random(seed)),
    )
    begun: int | None = None
    early, first, served = False, 0.0, 0.0
    certified = False
    for number in range(REQUESTS):
        at, share = dice.randrange(len(right)), kept(number)
        pair = float(right[at, 0]), float(right[at, 1]) * (dice.random() < share)
        begun = loop.pairs if begun is None and share < 1 else begun
        decision = loop.decide(table.features[at], COSTS)
        if certified:
            first, served = first + pair[0], served + pair[decision.variant]
        if decision.is_judged:
            before = len(loop.events)
            loop.judged(table.features[at], decision, pair)
            kinds = [event.kind for event in loop.events[before:]]
            certified = certified or "certified" in kinds
            if "alarm" in kinds and begun is not None:
                return Change(loop.pairs - begun, early, 1 - served / first)
            early = early or "alarm" in kinds
    return Change(None, early, 1 - served / first if first else 0.0)


def changes(folder: Path, runs: int) -> None:
    """Print how soon a sudden and a slow loss of half the right answers are noticed."""
    rows = rows_of(folder / MMLU)
    table = asked_of(rows)
    right = np.array([[row[STRONG] == "True", row[WEAK] == "True"] for row in rows], float)
    half = REQUESTS // 2
    kinds: dict[str, Callable[[int], float]] = {
        "at once": lambda number: 1.0 if number < half else 0.5,
        "over 30,000 requests": lambda number: 1.0 - 0.5 * max(0, number - half) / half,
    }
    print("\nThe cheap model loses half of its right answers; MMLU, 5 % promised")
    for name, kept in kinds.items():
        told = [changed(table, right, seed, kept) for seed in range(1, runs + 1)]
        found = sorted(one.pairs for one in told if one.pairs is not None)
        print(
            f"  {name:22} noticed in {len(found)} of {runs}, within {SOON} pairs in "
            f"{sum(pairs <= SOON for pairs in found)}; pairs: median {np.median(found):.0f}, most "
            f"{found[-1]}; early alarms {sum(one.early for one in told)}; lost since the first "
            f"certificate: most {max(one.loss for one in told):.1%}, broken in "
            f"{sum(one.loss > 0.05 for one in told)}",
            flush=True,
        )


def main() -> None:
    """Print what can be measured with the data that is there."""
    parser = argparse.ArgumentParser(prog="python -m bench.optimizer", description=__doc__)
    parser.add_argument("dir", nargs="?", type=Path, help="folder of the two files")
    parser.add_argument("--seeds", type=int, default=8, help="of the rankings")
    parser.add_argument("--changes", type=int, default=0, help="runs of each loss; 10 s each")
    parser.add_argument("--no-path", action="store_true", help="leave out the gateway under load")
    options = parser.parse_args()
    there = options.dir is not None and all((options.dir / n).exists() for n in (MMLU, GSM8K))
    if there:
        rankings(options.dir, options.seeds)
    else:
        print(f"Without {MMLU} and {GSM8K} in DIR only the cost is measured.")
    costs(options.dir, path=not options.no_path)
    if there and options.changes:
        changes(options.dir, options.changes)


if __name__ == "__main__":
    main()
