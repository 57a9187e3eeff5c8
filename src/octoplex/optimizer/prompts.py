"""Better prompts for a cheaper model, looked for on what it answered badly.

    cases = kept_cases(texts, judged)                   or `read_cases(path, ...)`
    found = search(cases, "", Cast(answer, judge, reflect), calls=200)
    found.prompt, found.before, found.after             "" where nothing better was found

GEPA: a model that reflects reads what went wrong and writes another prompt; of the prompts so far
those are kept that are best at something (a Pareto front over cases), and the next one is made from
one of them. Half of the cases are for reflecting, the other half say which prompt is best, so that
one which only knows its examples by heart does not win.

What is found is a candidate like any other: an experiment, or a target that learns, says what it is
worth on traffic. `after` is the best of many on few cases, and too good for that.

Reference: Agrawal et al., GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning
(2025), as the package `gepa` has it. Not promised: the same prompt again, for models answer.
"""

import asyncio
import csv
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from msgspec import Struct

from octoplex.optimizer.labels import read_texts
from octoplex.optimizer.replay import opened
from octoplex.wire.error import BadConfig

NAME = "prompt"
AT_ONCE = 8
"""Cases that are answered at the same time."""
LEAST = 4
"""Cases; two to reflect on, two to compare by."""
GOOD = 0.5
"""What an answer is worth at least that others are compared with."""
LONGEST = 4_000
"""Characters of a text that the reflecting model is shown."""


class Case(Struct, frozen=True):
    """What was asked, and an answer that is good."""

    turns: list[dict[str, str]]
    good: str
    is_exact: bool = False
    """Whether nothing but those words is good."""


class Cast(Struct, frozen=True):
    """Who is tried, who judges and who reflects."""

    answer: Callable[[str, Case], Awaitable[str]]
    """With a prompt before the conversation."""
    judge: Callable[[Case, str], Awaitable[float]]
    """What an answer is worth, 0..1."""
    reflect: Callable[[str], str]


class Found(Struct, frozen=True):
    """What came of it; means over the cases that compare."""

    prompt: str
    before: float
    after: float
    tried: int
    """Prompts."""


def read_cases(path: Path, prompt: str, expected: str) -> list[Case]:
    """The rows of a CSV file, or of one that gzip made smaller; without those that lack a value.

    Raises:
        BadConfig: it cannot be read, or a column is missing.
    """
    with opened(path) as lines:
        rows = csv.DictReader(lines)
        for name in (prompt, expected):
            if name not in (rows.fieldnames or ()):
                there = ", ".join(rows.fieldnames or ()) or "none"
                raise BadConfig(f'{path} has no column "{name}"; it has {there}.')
        told = [(row[prompt], row[expected]) for row in rows]
    return [Case([_turn(asked)], good, True) for asked, good in told if asked and good]


def kept_cases(
    texts: Mapping[str, bytes], worth: Mapping[str, tuple[float, float]], most: int
) -> list[Case]:
    """Pairs, by their requests' ids, whose reference was good: first those that the rival lost."""
    good = [id_ for id_, (reference, _) in worth.items() if id_ in texts and reference >= GOOD]
    good.sort(key=lambda id_: worth[id_][1] - worth[id_][0])
    found = [read_texts(texts[id_]) for id_ in good[:most]]
    return [Case(one.conversation, str(one.reference.get("text", ""))) for one in found]


def _turn(text: str) -> dict[str, str]:
    return {"role": "user", "text": text}


def search(cases: Sequence[Case], prompt: str, cast: Cast, calls: int, seed: int = 0) -> Found:
    """Look for a better prompt than this one, with so many answers judged.

    Raises:
        BadConfig: the package is not there, or there are too few cases.
        GatewayError: a model cannot be asked.
    """
    try:
        from gepa.api import optimize
    except ImportError:
        raise BadConfig(
            'Prompts are looked for with the gepa package: pip install "octoplex[prompts]".'
        ) from None
    if len(cases) < LEAST:
        raise BadConfig(f"There are {len(cases)} cases; it takes {LEAST} at least, better 30.")
    drawn = Random(seed).sample(list(cases), len(cases))
    half = len(drawn) // 2
    adapter: Any = Adapter(cast)
    found: Any = optimize(
        {NAME: prompt},
        trainset=drawn[:half],
        valset=drawn[half:],
        adapter=adapter,
        reflection_lm=lambda asked: cast.reflect(str(asked)),
        max_metric_calls=calls,
        logger=_Quiet(),
        seed=seed,
    )
    scores = found.val_aggregate_scores
    best = max(range(len(scores)), key=lambda number: (scores[number], -number))
    told = str(found.candidates[best][NAME]) if scores[best] > scores[0] else ""
    return Found(told, scores[0], scores[best], len(scores))


class _Quiet:
    """Where GEPA's own words go: they have prompts in them."""

    def log(self, message: str) -> None:
        """Say nothing."""


class Adapter:
    """What GEPA asks of us (`gepa.core.adapter.GEPAAdapter`)."""

    propose_new_texts = None

    def __init__(self, cast: Cast) -> None:
        self._cast = cast

    def evaluate(
        self, batch: list[Case], candidate: dict[str, str], capture_traces: bool = False
    ) -> Any:
        """What a prompt's answers to these cases are worth."""
        from gepa.core.adapter import EvaluationBatch

        told = asyncio.run(self._tried(batch, candidate[NAME]))
        answers, scores = [text for text, _ in told], [score for _, score in told]
        traces = list(zip(batch, answers, scores, strict=True)) if capture_traces else None
        return EvaluationBatch(outputs=answers, scores=scores, trajectories=traces)

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[dict[str, str]]]:
        """What the reflecting model is shown of each."""
        rows = [
            {
                "Inputs": "\n".join(f"{t['role']}: {t['text']}" for t in case.turns)[-LONGEST:],
                "Generated Outputs": answer[:LONGEST],
                "Feedback": f"Worth {score:.2f} of 1. A good answer is: {case.good[:LONGEST]}",
            }
            for case, answer, score in eval_batch.trajectories
        ]
        return dict.fromkeys(components_to_update, rows)

    async def _tried(self, batch: list[Case], prompt: str) -> list[tuple[str, float]]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(case: Case) -> tuple[str, float]:
            async with room:
                text = await self._cast.answer(prompt, case)
                return text, await self._cast.judge(case, text)

        return await asyncio.gather(*map(one, batch))
