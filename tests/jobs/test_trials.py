"""Experiments are counted from their file, and again the same."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from octoplex.jobs.trials import USUAL, Count, all_counted
from octoplex.ledger.learning import Said, open_learning
from octoplex.ledger.trials import Result, TrialsFile
from octoplex.optimizer.config import Experiment, Variant
from octoplex.optimizer.standing import Standing
from octoplex.optimizer.trying import Test

BEGIN = Standing("waiting", 1, "today", {"today": 1.0, "short": 1.0})
TEST = Test("shorter", "shorter#1", "user", BEGIN, {})
VARIANTS = {"today": Variant(), "short": Variant(prompt="Be short.")}


def table(metric: str, *guardrails: str) -> Experiment:
    return Experiment(route="main", variants=VARIANTS, metric=metric, guardrails=guardrails)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TrialsFile]:
    opened = TrialsFile.open(tmp_path)
    yield opened
    opened.close()


class Traffic:
    """Users who come once each, as long as the experiment goes on."""

    def __init__(self, file: TrialsFile, costs: dict[str, int], slow: str = "") -> None:
        self.file, self.costs, self.slow = file, costs, slow
        self.random, self.users = Random(7), 0

    def come(self, standing: Standing, users: int) -> None:
        results = []
        for _ in range(users):
            self.users += 1
            unit = f"u{self.users}"
            variant = standing.of(TEST.name, unit)
            latency_s = (5.0 if variant == self.slow else 1.0) * self.random.uniform(0.5, 1.0)
            nano = int(self.costs[variant] * self.random.uniform(0.5, 1.5))
            one = TEST.key, standing.round, variant, unit, f"req{self.users}", 0
            results.append(Result(*one, nano, latency_s, False))
        self.file.add(results)


def brought(count: Count, traffic: Traffic, rounds: int = 60, users: int = 100) -> list[str]:
    """The phases that an experiment goes through."""
    phases = [count.standing.phase]
    for _ in range(rounds):
        traffic.come(count.standing, users)
        count.look()
        if count.standing.phase != phases[-1]:
            phases.append(count.standing.phase)
        if count.standing.is_over:
            break
    return [str(phase) for phase in phases]


def test_a_cheaper_prompt_wins_and_goes_to_everybody_in_steps(file: TrialsFile) -> None:
    count = Count(TEST, table("cost_per_call", "p95_latency_s"), file)
    traffic = Traffic(file, {"today": 1_000_000, "short": 400_000})
    phases = brought(count, traffic, rounds=400)
    assert phases == ["waiting", "running", "canary", "promoted"]
    assert count.standing.of("shorter", "anybody") == "short"


def test_a_guardrail_keeps_a_slow_one_out(file: TrialsFile) -> None:
    count = Count(TEST, table("cost_per_call", "p95_latency_s"), file)
    traffic = Traffic(file, {"today": 1_000_000, "short": 400_000}, slow="short")
    assert brought(count, traffic) == ["waiting", "running", "no winner"]
    assert "p95_latency_s" in count.standing.reason
    assert count.standing.of("shorter", "anybody") == "today"


def test_it_is_counted_again_the_same(file: TrialsFile) -> None:
    count = Count(TEST, table("cost_per_call"), file)
    traffic = Traffic(file, {"today": 1_000_000, "short": 800_000})
    brought(count, traffic, rounds=6)
    again = Count(TEST, table("cost_per_call"), file)
    assert again.standing == count.standing
    assert again.trial.state() == count.trial.state()
    assert len(all_counted(file, TEST.key)) == 500
    assert again.look() is None


def test_what_is_usual_is_not_counted(file: TrialsFile) -> None:
    count = Count(TEST, table("cost_per_call"), file)
    traffic = Traffic(file, {"today": 1_000_000, "short": 800_000})
    traffic.come(BEGIN, USUAL - 1)
    assert count.look() is None
    assert count.trial is None
    traffic.come(BEGIN, 1)
    assert count.look() is not None
    assert sum(row.units for row in count.trial.state().rows) == 0
    assert 900_000 / 1e9 * 15 < count.trial.design.metric.most < 900_000 / 1e9 * 25


def test_a_unit_counts_once_in_a_round(file: TrialsFile) -> None:
    one = Result(TEST.key, 1, "today", "u1", "req1", 0, 5, 1.0, False)
    file.add([one, Result(TEST.key, 1, "short", "u1", "req2", 0, 5, 1.0, False)])
    file.add([Result(TEST.key, 2, "short", "u1", "req3", 0, 5, 1.0, False)])
    told = [(c.result.round, c.result.variant) for c in file.waiting(TEST.key, 9)]
    assert told == [(1, "today"), (2, "short")]


def test_quality_waits_for_what_callers_say(file: TrialsFile, tmp_path: Path) -> None:
    count = Count(TEST, table("quality"), file)
    traffic = Traffic(file, {"today": 1, "short": 1})
    traffic.come(BEGIN, USUAL + 50)
    count.look()
    learning = open_learning(tmp_path)
    for number in range(USUAL + 1, USUAL + 21):
        learning.say(Said(f"req{number}", "k", "", "main", "m", 1, 0.5, b""))
    learning.close()
    count.look()
    assert sum(row.units for row in count.trial.state().rows) == 20
    assert len(file.waiting(TEST.key, 99)) == 30
