"""Experiments from their first unit to their end."""

from collections import Counter
from math import sqrt
from random import Random
from typing import Any

import pytest

from octoplex.optimizer.experiments import Design, Trial, table
from octoplex.optimizer.metric import Metric, metric_of

QUALITY = Metric("quality", allowed=0.1)
COST = Metric("cost", better="less", most=0.1, ratio=True, allowed=0.1)
Traffic = dict[str, tuple[float, float]]
"""By variant: the chance of a right answer, and what a call costs on average."""


def design(*names: str, **more: Any) -> Design:
    told: dict[str, Any] = {"metric": QUALITY, "steps": (0.1, 0.5)} | more
    return Design("shorter-prompt", dict.fromkeys(names, 1.0), **told)


def run(trial: Trial, traffic: Traffic, units: int, seed: int = 1, until: str = "") -> list[str]:
    """Tell of so many new units, or until it has ended; the phases that it was in."""
    random, phases = Random(seed), [trial.phase]
    names = {metric.name for metric in trial.design.metrics}
    for number in range(units):
        variant = trial.assign(f"{seed}-{number}")
        chance, cost = traffic[variant]
        values = {"quality": float(random.random() < chance), "cost": random.expovariate(1 / cost)}
        trial.told(variant, {n: v for n, v in values.items() if n in names}, trial.round)
        if trial.phase != phases[-1]:
            phases.append(trial.phase)
        if trial.phase not in ("running", "canary") or trial.phase == until:
            break
    return phases


def test_a_better_variant_wins_and_goes_to_everybody() -> None:
    trial = Trial(design("today", "short"))
    phases = run(trial, {"today": (0.6, 1), "short": (0.8, 1)}, 20_000)
    assert phases == ["running", "canary", "promoted"]
    state = trial.state()
    assert (state.winner, state.phase) == ("short", "promoted")
    assert [trial.assign(f"u{n}") for n in range(50)] == ["short"] * 50
    assert [row.share for row in state.rows] == [0, 1]
    versus = state.rows[1].shown[0].versus
    assert versus is not None
    assert 0 < versus.lower < 0.2 < versus.upper
    assert all(evidence >= 3 for evidence in state.canary)


def test_where_nothing_differs_nobody_wins_but_for_alpha() -> None:
    seeds, alpha, won = 50, 0.4, 0
    for seed in range(seeds):
        trial = Trial(design("today", "short", confidence=1 - alpha))
        won += "canary" in run(trial, {"today": (0.5, 1), "short": (0.5, 1)}, 150, seed)
    chance = alpha / 2  # the other half is that it is dropped
    assert won <= seeds * (chance + 3 * sqrt(chance * (1 - chance) / seeds))


def test_a_cheaper_variant_wins_only_where_quality_is_shown_to_be_kept() -> None:
    cheap = design("today", "short", metric=COST, guardrails=(QUALITY,))
    as_good, worse = Trial(cheap), Trial(cheap)
    run(as_good, {"today": (0.8, 0.02), "short": (0.8, 0.01)}, 20_000)
    assert as_good.phase == "promoted"
    run(worse, {"today": (0.8, 0.02), "short": (0.6, 0.01)}, 20_000)
    assert worse.phase == "no winner"
    assert worse.state().rows[1].dropped == "is worse on quality than allowed"
    assert worse.assign("anybody") == "today"


def test_the_best_of_several_wins_and_bad_ones_leave_early() -> None:
    trial = Trial(design("today", "bad", "good", "best"))
    traffic = {"today": (0.5, 1), "bad": (0.2, 1), "good": (0.55, 1), "best": (0.9, 1)}
    run(trial, {v: (q, 1.0) for v, (q, _) in traffic.items()}, 20_000)
    assert trial.winner == "best"
    rows = {row.variant: row for row in trial.state().rows}
    assert rows["best"].units < 400


def test_a_variant_that_is_dropped_gives_its_units_to_the_rest() -> None:
    trial = Trial(design("today", "bad", "same"))
    units = [f"u{number}" for number in range(300)]
    before = {unit: trial.assign(unit) for unit in units}
    run(trial, {"today": (0.7, 1), "bad": (0.2, 1), "same": (0.7, 1)}, 400)
    assert trial.state().rows[1].dropped == "is no better on quality"
    assert trial.round == 2
    after = {unit: trial.assign(unit) for unit in units}
    assert Counter(after.values()).keys() == {"today", "same"}
    assert all(after[unit] == was for unit, was in before.items() if was != "bad")
    trial.told("bad", {"quality": 1.0})  # late: no longer counts
    assert trial.state().rows[1].units < 200


def test_a_winner_that_turns_bad_is_rolled_back() -> None:
    trial = Trial(design("today", "short", steps=(0.1, 0.5)))
    run(trial, {"today": (0.5, 1), "short": (0.9, 1)}, 20_000, until="canary")
    assert trial.phase == "canary"
    run(trial, {"today": (0.9, 1), "short": (0.2, 1)}, 20_000, seed=2)
    assert trial.phase == "rolled back"
    assert "quality" in trial.reason
    assert {trial.assign(f"u{n}") for n in range(100)} == {"today"}


@pytest.mark.parametrize("phase", ["running", "canary"])
def test_results_that_get_lost_end_it(phase: str) -> None:
    trial, random = Trial(design("today", "short", steps=(0.3,), confidence=0.999)), Random(1)
    chance = 0.5
    for number in range(30_000):
        variant = trial.assign(f"u{number}")
        chance = 0.9 if trial.phase == "running" and phase == "canary" else 0.5
        lost = trial.phase == phase and variant == "short" and random.random() < 0.6
        right = random.random() < (chance if variant == "short" else 0.5)
        if not lost:
            trial.told(variant, {"quality": float(right)})
        if trial.phase not in ("running", "canary"):
            break
    assert trial.phase == "mismatch"
    assert trial.assign("anybody") == "today"


def test_who_is_told_the_same_is_in_the_same_state_and_old_rounds_do_not_count() -> None:
    one, other = Trial(design("today", "short")), Trial(design("today", "short"))
    traffic = {"today": (0.6, 1.0), "short": (0.75, 1.0)}
    run(one, traffic, 1_200)
    run(other, traffic, 1_200)
    assert one.state() == other.state()
    one.told("short", {"quality": 1.0}, of_round=0)
    assert one.state() == other.state()


def test_the_share_in_a_step_only_adds_units() -> None:
    trial = Trial(design("today", "short", steps=(0.1, 0.5)))
    units = [f"u{number}" for number in range(400)]
    served: list[set[str]] = []
    last = 0
    for number in range(20_000):
        variant = trial.assign(f"n{number}")
        trial.told(variant, {"quality": 0.9 if variant == "short" else 0.6})
        if trial.phase != "running" and trial.round != last:
            last = trial.round
            served.append({unit for unit in units if trial.assign(unit) == "short"})
    assert len(served) == 3
    assert served[0] < served[1] < served[2] == set(units)


def test_more_variants_ask_for_more_evidence_each() -> None:
    two, three = Trial(design("today", "short")), Trial(design("today", "short", "long"))
    random, widths = Random(1), []
    for _ in range(150):
        variant, value = random.choice(("today", "short", "long")), random.random()
        for trial in (two, three):
            if variant in trial.design.variants:
                trial.told(variant, {"quality": value})
    for trial in (two, three):
        assert trial.phase == "running"
        versus = trial.state().rows[1].shown[0].versus
        assert versus is not None
        widths.append(versus.upper - versus.lower)
    assert widths[1] > widths[0] * 1.03


def test_the_table_says_it_all() -> None:
    trial = Trial(design("today", "short", metric=COST, guardrails=(QUALITY,)))
    run(trial, {"today": (0.8, 0.02), "short": (0.8, 0.018)}, 200)
    lines = table(trial.state()).splitlines()
    assert lines[0] == "running"
    assert lines[1].split()[:3] == ["variant", "share", "units"]
    assert lines[2].startswith("today    0.5")
    assert lines[3].startswith("short    0.5")
    assert lines[3].count("(") == 4
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"variants": {"today": 1.0}}, "two variants"),
        ({"variants": {"today": 1.0, "x": 0.0}}, "weights above 0"),
        ({"variants": {"today": 1.0, "x": float("nan")}}, "weights above 0"),
        ({"confidence": 1.0}, "confidence"),
        ({"steps": (0.5, 0.1)}, "rise"),
        ({"steps": ()}, "steps"),
        ({"guardrails": (QUALITY,)}, "twice"),
        ({"least": -1.0}, "least"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(change: dict[str, Any], words: str) -> None:
    told: dict[str, Any] = {"variants": {"today": 1.0, "x": 1.0}, "metric": QUALITY} | change
    with pytest.raises(ValueError, match=words):
        Design("x", **told)


@pytest.mark.parametrize("values", [{"quality": float("nan")}, {"quality": -1}, {"speed": 1}])
def test_a_result_that_makes_no_sense_is_refused(values: dict[str, float]) -> None:
    trial = Trial(design("today", "short"))
    with pytest.raises(ValueError, match=r"quality|speed"):
        trial.told("today", values)
    with pytest.raises(ValueError, match="tomorrow"):
        trial.told("tomorrow", {"quality": 1.0})
    assert trial.state().rows[0].units == 0


@pytest.mark.parametrize(
    "change", [{"allowed": 0}, {"allowed": 2}, {"most": 0}, {"over": 1, "most": 2}]
)
def test_a_metric_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"allowed|most"):
        Metric("x", **change)


def test_the_metrics_of_the_configuration() -> None:
    slow = metric_of("p95_latency_s", 2.5)
    assert [slow.scaled(seconds) for seconds in (0.1, 2.5, 2.6, 900)] == [0, 0, 1, 1]
    assert slow.title == "p95_latency_s > 2.5"
    assert (slow.sign, slow.allowed) == (-1, pytest.approx(0.025))
    cost = metric_of("cost_per_call", 0.002)
    assert cost.scaled(0.004) == pytest.approx(0.1)
    assert cost.scaled(9) == 1
    assert cost.line(0.1) == (pytest.approx(1.1), 0)
    assert metric_of("error_rate", 0).sign == -1
    assert metric_of("quality", 0).line(0.05) == (1, -0.05)
