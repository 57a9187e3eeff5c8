"""Rules of the file: how they are read, when they fire and when they are over."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.optimizer.config import RuleTable, Then
from octoplex.optimizer.rules import (
    BINS,
    CELLS,
    ERROR,
    Condition,
    Outcome,
    Rule,
    Rules,
    Window,
    rule_of,
)
from octoplex.optimizer.traffic import Change, Traffic, World
from octoplex.wire.error import BadConfig

ALERT = Then(alert=True)
SLOW, QUICK = Outcome(9.0, 0), Outcome(0.5, 0)


def rule(when: str, clear: str = "10 min", least: int = 20) -> Rule:
    return rule_of(RuleTable(when=when, then=ALERT, clear=clear, least=least), "[models.m] rules")


def test_a_rule_is_read() -> None:
    found = rule("p95_latency_s >= 4 over 5 min AND error_rate > 2.5% over 30s", clear="2 h")

    assert found.conditions == (
        Condition("p95_latency_s", ">=", 4.0, 300.0),
        Condition("error_rate", ">", 0.025, 30.0),
    )
    assert (found.clear_s, found.least, found.then) == (7_200.0, 20, ALERT)


def test_the_last_window_holds_for_those_without_one() -> None:
    found = rule("calls > 50 and cost_per_call > $0.02 over 1 h and drift>.2 over 10 min")

    assert [c.over_s for c in found.conditions] == [3_600, 3_600, 600]
    assert [c.value for c in found.conditions] == [50, 0.02, 0.2]


WRONG = {
    "": '"" cannot be read; write METRIC > NUMBER over TIME',
    "slow": '"slow" cannot be read',
    "p95_latency > 4 over 5 min": '"p95_latency" is not valid; did you mean "p95_latency_s"',
    "moon > 4 over 5 min": '"moon" is not valid; valid: p50_latency_s,',
    "quality = 0.5 over 5 min": '"=" compares nothing; write >, >=, < or <=',
    "quality > 0.5": '"quality > 0.5" says no window; end it with "over 5 min"',
    "quality > 0.5 over 5 parsecs": '"5 parsecs" is no time; write it as "30 s"',
    "quality > 0.5 over 0 s": '"0 s" must be from 1 s to 168 h',
    "quality > 0.5 over 9999 h": '"9999 h" must be',
    "quality > half over 5 min": '"half" is no number',
    "quality > 80 over 5 min": '"80": quality is from 0 to 1, or to 100%',
    "error_rate > 120% over 5 min": '"120%": error_rate is from 0',
    "p95_latency_s > 5% over 5 min": '"5%": p95_latency_s is no share',
    "p95_latency_s > $5 over 5 min": '"$5": p95_latency_s is not in dollars; write 5',
    "quality > 0.5 over 5 min or calls > 3 over 1 min": "5 min or calls",
    "quality > 0.5 over 5 min and": '"5 min and" is no time',
    "and quality > 0.5 over 5 min": "cannot be read",
    "quality > nan over 5 min": '"nan" is no number',
}


@pytest.mark.parametrize("when", WRONG)
def test_a_mistake_is_named(when: str) -> None:
    with pytest.raises(BadConfig) as caught:
        rule(when)
    assert str(caught.value).startswith("[models.m] rules when: ")
    assert WRONG[when] in str(caught.value)


def test_a_wrong_clear_is_named() -> None:
    with pytest.raises(BadConfig, match='rules clear: "soon" is no time'):
        rule("calls > 5 over 1 min", clear="soon")


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_nonsense_is_refused_and_nothing_else_happens(when: str) -> None:
    with pytest.raises(BadConfig):
        rule(when)


def test_a_rule_fires_stays_and_is_over_after_clear() -> None:
    rules = Rules([rule("p95_latency_s > 4 over 1 min", clear="2 min")])
    for second in range(60):
        rules.see(second, SLOW)
    fired = rules.check(60.0)
    assert [(f.fired, f.at_s) for f in fired] == [(True, 60.0)]
    assert rules.check(61.0) == []
    assert [r.text for r in rules.active] == ["p95_latency_s > 4 over 1 min"]

    cleared = []
    for second in range(61, 400):
        rules.see(second, QUICK)
        cleared += rules.check(second)
    # Slow ones are in the window until 119 s at the latest; from then on it counts two minutes.
    assert [f.fired for f in cleared] == [False]
    assert 230 <= cleared[0].at_s <= 240
    assert rules.active == ()


def test_a_relapse_within_clear_begins_it_anew() -> None:
    rules = Rules([rule("p50_latency_s > 4 over 10 s", clear="30 s", least=1)])
    changes = []
    for second in range(120):
        rules.see(second, SLOW if second < 10 or 35 <= second < 45 else QUICK)
        changes += rules.check(second + 0.5)
    assert [f.fired for f in changes] == [True, False]
    assert changes[1].at_s > 45 + 30


def test_a_firing_says_why() -> None:
    rules = Rules([rule("error_rate > 10% and calls >= 20 over 1 min")])
    for second in range(30):
        rules.see(second, Outcome(0.1, 0, failed=second % 2 == 0))
    (fired,) = rules.check(30.0)

    told = [(str(f.condition), f.value, f.measured) for f in fired.figures]
    assert told == [("error_rate > 0.1 over 60 s", 0.5, 30), ("calls >= 20 over 60 s", 30.0, 30)]


def test_too_few_say_nothing() -> None:
    rules = Rules([rule("error_rate > 10% over 1 min")])
    for second in range(19):
        rules.see(second, Outcome(0.1, 0, failed=True))
        assert rules.check(second) == []
    rules.see(19, Outcome(0.1, 0, failed=True))
    assert rules.check(19)[0].fired


def test_all_conditions_must_hold() -> None:
    rules = Rules([rule("error_rate > 10% and p50_latency_s > 4 over 1 min")])
    for second in range(40):
        rules.see(second, Outcome(0.1, 0, failed=second % 2 == 0))
    assert rules.check(40) == []


def test_silence_ends_a_rule() -> None:
    rules = Rules([rule("cost_per_call > $0.01 over 1 min", clear="1 min")])
    for second in range(30):
        rules.see(second, Outcome(0.1, 20_000_000))
    assert rules.check(30)[0].figures[0].value == pytest.approx(0.02)
    assert rules.check(100) == []
    assert rules.check(150) == []
    assert [f.fired for f in rules.check(160)] == [False]


def test_quality_and_drift_have_counts_of_their_own() -> None:
    rules = Rules([rule("quality < 0.7 over 1 min"), rule("drift > 0.2 over 1 min")])
    for second in range(30):
        rules.see(second, QUICK)
        if second < 19:
            rules.score(second, 0.5)
    assert rules.check(30) == []
    rules.score(30, 0.7)
    rules.shift(30, 0.25)
    fired = rules.check(30)
    assert [f.figures[0].value for f in fired] == [pytest.approx(10.2 / 20), 0.25]


def test_nobody_has_a_rule_fire_by_what_it_says() -> None:
    for others, fires in ((("b", "c"), False), ((), True)):
        rules = Rules([rule("quality < 0.7 over 1 min")])
        for second in range(40):
            for who in ("a", *others):
                rules.see(second, QUICK, who)
            rules.score(second, 0.0, "a")
        assert bool(rules.check(40)) == fires, "it speaks alone, for itself or for others"
        for who in others:
            rules.score(41, 0.9, who)
        assert bool(rules.check(41)) is False
        if others:
            for who in others:
                for _ in range(40):
                    rules.score(42, 0.1, who)
            assert rules.check(42)[0].figures[0].value == pytest.approx((40 * 0.1 + 0.9) / 41)


@pytest.mark.parametrize("quality", [-0.1, 1.1, float("nan"), float("inf")])
def test_what_is_no_quality_is_refused(quality: float) -> None:
    with pytest.raises(ValueError, match="is not from 0 to 1"):
        Rules([rule("quality < 0.7 over 1 min")]).score(0, quality)


def test_the_time_of_a_failure_does_not_count() -> None:
    rules = Rules([rule("p95_latency_s < 1 over 1 min")])
    for second in range(40):
        rules.see(second, Outcome(0.001, 0, failed=True))
        rules.see(second, SLOW)
    assert rules.check(40) == []


@given(
    st.lists(st.floats(0.001, 3_600), min_size=1, max_size=300),
    st.sampled_from(["p50_latency_s", "p95_latency_s", "p99_latency_s"]),
)
@settings(max_examples=100, deadline=None)
def test_a_quantile_is_as_near_as_promised(values: list[float], metric: str) -> None:
    rules = Rules([rule(f"{metric} > 0 over 1 min", least=1)])
    for value in values:
        rules.see(1.0, Outcome(value, 0))
    exact = float(np.quantile(values, int(metric[1:3]) / 100, method="inverted_cdf"))

    assert rules.check(1.0)[0].figures[0].value == pytest.approx(exact, rel=ERROR + 1e-9)


def test_extremes_stay_within_the_bins() -> None:
    rules = Rules([rule("p99_latency_s > 0 over 1 min", least=1)])
    for value in (0.0, 1e-9, 1e9):
        rules.see(1.0, Outcome(value, 0))
    assert 3_500 < (rules.check(1.0)[0].figures[0].value or 0) < 3_700


@given(
    st.lists(st.tuples(st.floats(0, 40) | st.floats(90, 300), st.integers(0, 10**12)), max_size=60)
)
@settings(max_examples=60, deadline=None)
def test_a_window_is_what_was_in_it(steps: list[tuple[float, int]]) -> None:
    """Sums of cells that came and went are exact: between 19/20 of the window and all of it."""
    window, now_s, seen = Window(100.0), 0.0, []
    for pause_s, nano in steps:
        now_s += pause_s
        cell = window.turn(now_s)
        cell.sums[0] += 1
        cell.sums[2] += nano
        seen.append((now_s, nano))
    value, count = window.figure(Condition("cost_per_call", ">", 0, 100), now_s)
    most = [nano for at_s, nano in seen if at_s >= now_s - 100]
    least = [nano for at_s, nano in seen if at_s > now_s - 100 * (CELLS - 1) / CELLS]
    assert len(least) <= count <= len(most)
    assert sum(least) / 1e9 <= value * count + 1e-6
    assert value * count <= sum(most) / 1e9 + 1e-6


def test_memory_does_not_grow() -> None:
    rules, random = Rules([rule("p95_latency_s > 4 over 1 h")]), Random(1)
    for number in range(20_000):
        rules.see(number * 0.7, Outcome(random.lognormvariate(0, 2), 1))
    (window,) = rules._all
    assert len(window._cells) == CELLS
    assert all(len(cell.bins) == BINS for cell in window._cells)


def test_late_measurements_count_as_of_now() -> None:
    rules = Rules([rule("calls >= 2 over 10 s")])
    rules.see(1_000.0, QUICK)
    rules.see(3.0, QUICK)
    assert rules.check(1_000.0)[0].figures[0].value == 2


def test_a_provider_that_becomes_slow_is_left_and_returned_to() -> None:
    slow = (Change(600, "latency", 8.0, of=0), Change(1_500, "latency", 1 / 8, of=0))
    traffic, rules = Traffic(World(changes=slow), Random(3)), Rules([])
    rules = Rules([rule("p95_latency_s > 6 over 1 min", clear="3 min")])
    changes = []
    for second in range(3_000):
        rules.see(second, Outcome(float(traffic.ask(second).seconds[0]), 0))
        changes += rules.check(second)
    assert [f.fired for f in changes] == [True, False]
    assert 600 < changes[0].at_s < 620
    assert 1_500 + 180 < changes[1].at_s < 1_500 + 250
