"""A scorer learns from words, remembers questions, and does not take noise for knowledge."""

from itertools import product

import numpy as np

from octoplex.optimizer.features import Seen, encoder_of, features_of
from octoplex.optimizer.scorer import MOST, NOISES, OWN, Lessons, _likely

TOPICS = {"law": "statute court liability tort appeal", "tide": "pool shore moon water crab"}


def asked(count: int, seed: int) -> list[tuple[str, str]]:
    dice = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        topic = "law" if dice.random() < 0.5 else "tide"
        words = dice.choice(TOPICS[topic].split(), 6)
        found.append((topic, f"{' '.join(words)} {dice.integers(10_000)}"))
    return found


def rows(texts: list[str]) -> list[Seen]:
    features = [features_of(text) for text in texts]
    encoder = encoder_of(features)
    return [encoder.row(one) for one in features]


def test_words_tell_which_requests_lose() -> None:
    dice = np.random.default_rng(2)
    said = asked(600, 1)
    lessons = Lessons()
    seen = rows([text for _, text in said])
    for (topic, _), row in zip(said[:400], seen, strict=False):
        lost = dice.random() < (0.5 if topic == "law" else 0.02)
        lessons.add(row, -1.0 if lost else 0.0)
    scorer = lessons.fit()
    fresh = [
        (topic, scorer.of(row)) for (topic, _), row in zip(said[400:], seen[400:], strict=True)
    ]
    law = [score for topic, score in fresh if topic == "law"]
    tide = [score for topic, score in fresh if topic == "tide"]
    assert max(law) < min(tide)
    assert abs(np.mean(law) + 0.5) < 0.15
    assert abs(np.mean(tide) + 0.02) < 0.1


def test_a_question_that_is_asked_again_and_answers_alike_is_known() -> None:
    said = [text for _, text in asked(120, 3)]
    dice = np.random.default_rng(4)
    worth = dice.choice([-1.0, 0.0], 120)
    lessons = Lessons()
    seen = rows(said)
    for at in dice.integers(0, 120, 700):
        lessons.add(seen[at], worth[at])
    scorer = lessons.fit()
    told = np.array([scorer.of(row) for row in seen])
    assert ((told < -0.5) == (worth < -0.5)).mean() > 0.95


def test_what_is_chosen_makes_the_residuals_most_probable() -> None:
    """By the density of a normal distribution whose scale has its most probable value."""
    dice = np.random.default_rng(7)
    for own, spread in ((0.1, 0.3), (1.0, 0.3), (3.0, 0.1)):
        seen = dice.normal(0, 0.1, (60, 20))
        alike, heard = seen @ seen.T, dice.integers(1, 4, 60) * 0.99
        residual = seen @ dice.normal(0, own, 20) + dice.normal(0, spread, 60)

        def density(choice: tuple[float, float]) -> float:
            noise, share = choice
            whole = alike + np.diag(noise * (share + (1 - share) / heard))  # noqa: B023
            fits = residual @ np.linalg.solve(whole, residual)  # noqa: B023
            return float(-np.linalg.slogdet(whole)[1] / 2 - 30 * np.log(fits + 1e-9))

        assert _likely(alike, residual, heard) == max(product(NOISES, OWN), key=density)


def test_noise_is_not_learned() -> None:
    said = [text for _, text in asked(500, 5)]
    dice = np.random.default_rng(6)
    lessons = Lessons()
    seen = rows(said)
    for row in seen[:300]:
        lessons.add(row, float(dice.choice([-1.0, 0.0, 0.0, 1.0])))
    scorer = lessons.fit()
    assert np.std([scorer.of(row) for row in seen[300:]]) < 0.1


def test_only_the_newest_lessons_are_kept() -> None:
    lessons = Lessons()
    row = rows(["one"])[0]
    for _ in range(MOST + 600):
        lessons.add(row, 0.0)
    assert len(lessons) <= MOST + 500
    lessons.keep(7)
    assert len(lessons) == 7
    lessons.keep(0)
    assert len(lessons) == 0
