"""What the rules of a route have it do, told records by hand."""

from typing import Any

import pytest

from octoplex.jobs.rules import Watched
from octoplex.ledger.rows import Record
from octoplex.optimizer.config import RuleTable, Then
from octoplex.routing.bend import Bend

DAY_MS = 86_400_000
MINUTE_MS = 60_000


def watched(*rules: tuple[str, Then], **more: Any) -> Watched:
    tables = tuple(RuleTable(when=when, then=then, **more) for when, then in rules)
    return Watched("main", tables, "a/m")


def record(**members: Any) -> Record:
    known = {"target": "b/m", "nano": 400, "at_ms": DAY_MS, "total_s": 1.0, "input_tokens": 10}
    return Record("req", **{**known, **members})


def test_a_cap_in_dollars_is_what_candidates_spend_in_its_window() -> None:
    rules = watched(("calls >= 0 over 1 min", Then(cap="$0.000001/hour")))
    assert [firing.fired for firing in rules.check(1.0)] == [True]
    rules.see(record(nano=900), 1.0)
    rules.see(record(target="a/m", nano=5_000), 1.0)  # the reference's
    assert rules.bend(DAY_MS) is None
    rules.see(record(nano=100), 1.0)
    assert rules.bend(DAY_MS) == Bend("a/m", 1.0, "calls >= 0 over 1 min")
    assert rules.bend(DAY_MS + 60 * MINUTE_MS) is None  # the next hour
    rules.see(record(nano=900, at_ms=DAY_MS + 60 * MINUTE_MS), 1.0)
    assert rules.bend(DAY_MS + 60 * MINUTE_MS) is None


def test_a_cap_of_a_share_bends_the_rest() -> None:
    rules = watched(("calls >= 1 over 1 min", Then(cap=0.2)))
    rules.see(record(), 1.0)
    rules.check(1.0)
    assert rules.bend(0) == Bend("a/m", 0.8, "calls >= 1 over 1 min")


def test_the_first_rule_of_the_file_that_bends_counts() -> None:
    when = "calls >= 1 over 1 min"
    rules = watched((when, Then(alert=True)), (when, Then(switch="b/m")), (when, Then(cap=0.0)))
    assert rules.bend(0) is None
    rules.see(record(), 1.0)
    assert len(rules.check(1.0)) == 3
    assert rules.bend(0) == Bend("b/m", 1.0, when)


@pytest.mark.parametrize(
    "members",
    [{"cache": "hit"}, {"cache": "semantic"}, {"outcome": "left"}, {"outcome": "stopped"}],
)
def test_what_says_nothing_of_targets_is_no_measurement(members: dict[str, Any]) -> None:
    rules = watched(("calls >= 1 over 1 min", Then(alert=True)))
    rules.see(record(**members), 1.0)
    assert rules.check(1.0) == []


@pytest.mark.parametrize(
    ("members", "fails"),
    [
        ({"status": 500, "outcome": "failed"}, True),
        ({"outcome": "cut"}, True),
        ({"status": 400, "outcome": "failed"}, False),
        ({}, False),
    ],
)
def test_what_is_an_error(members: dict[str, Any], fails: bool) -> None:
    rules = watched(("error_rate > 0 over 1 min", Then(alert=True)), least=1)
    rules.see(record(**members), 1.0)
    assert bool(rules.check(1.0)) is fails


def test_longer_inputs_are_drift() -> None:
    rules = watched(("drift > 0.2 over 1 min", Then(alert=True)))
    for number in range(1_000):
        rules.see(record(input_tokens=number % 50), 1.0)
    assert rules.check(1.0) == []
    for number in range(500):
        rules.see(record(input_tokens=100 + number % 50), 1.0)
    (firing,) = rules.check(1.0)
    assert firing.fired


def test_what_callers_say_is_quality() -> None:
    rules = watched(("quality < 0.8 over 1 min", Then(switch="a/m")), least=2)
    rules.score(0.9, 1.0, "acme")
    rules.score(0.6, 1.0, "acme")
    (firing,) = rules.check(1.0)
    assert firing.figures[0].value == 0.75
