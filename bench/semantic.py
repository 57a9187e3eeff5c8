"""Which pairs of questions the semantic cache takes for the same, without and with its guards.

    python -m bench.semantic [FILE ...]      each line {"a", "b", "same"}

Prints precision and recall of n-grams at thresholds: of their cosine alone, with equal hard
facts, and with equal words too, as `local/ngrams` is used. An API's model is not measured here.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from octoplex.reflex.cache.facts import facts, words
from octoplex.reflex.cache.vectors import cosine, ngrams

FILES = ("semantic_pairs.jsonl", "semantic_held_out.jsonl", "semantic_held_out_2.jsonl")
LEAST = (0.0, 0.7, 0.8, 0.85, 0.9, 0.95)
GUARDS: dict[str, Callable[[str], object]] = {
    "cosine alone": lambda text: None,
    "and facts": facts,
    "and words": lambda text: (facts(text), words(text)),
}


def scored(one: str, other: str) -> float:
    vectors = ngrams(one), ngrams(other)
    return cosine(vectors[0], vectors[1]) if vectors[0] and vectors[1] else 0.0


def report(path: Path) -> None:
    pairs = [json.loads(line) for line in path.read_text().splitlines()]
    same = sum(pair["same"] for pair in pairs)
    print(f"{path.name}: {same} pairs that mean the same, {len(pairs) - same} that do not")
    print(f"{'':16}{'at':>6}{'hits':>6}{'wrong':>7}{'precision':>11}{'recall':>8}")
    for name, of in GUARDS.items():
        for least in LEAST:
            hits = [
                pair["same"]
                for pair in pairs
                if of(pair["a"]) == of(pair["b"]) and scored(pair["a"], pair["b"]) >= least
            ]
            right = sum(hits)
            print(
                f"{name:16}{least:>6.2f}{len(hits):>6}{len(hits) - right:>7}"
                f"{right / len(hits) if hits else 1:>11.2f}{right / same:>8.2f}"
            )


if __name__ == "__main__":
    given = [Path(name) for name in sys.argv[1:]]
    for path in given or [Path(__file__).with_name(name) for name in FILES]:
        report(path)
