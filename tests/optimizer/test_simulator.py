"""The made-up world, and the loop in it: what is promised must hold while things change.

Each scenario is 6,000 requests of which a fifth are judged: 1,000 pairs, three seconds.
"""

from collections import Counter
from random import Random

import numpy as np
import pytest

from octoplex.optimizer.loop import Plan
from octoplex.optimizer.simulator import BESIDE, DELAY, Report, simulate
from octoplex.optimizer.traffic import TOPICS, VARIANTS, Answering, Asked, Change, Traffic, World

REQUESTS, FEEDBACK = 6_000, 0.2
THREE = (*VARIANTS, Answering("other", (0.95, 0.90, 0.60), (0.86, 0.45, 0.30), 0.0015))


def served(world: World, seed: int = 1, requests: int = REQUESTS) -> Report:
    names = tuple(one.name for one in world.variants)
    return simulate(world, requests, seed, Plan(names, feedback=FEEDBACK))


def asked(world: World, start: int, count: int, seed: int = 1) -> list[Asked]:
    traffic = Traffic(world, Random(seed))
    return [traffic.ask(start + number) for number in range(count)]


# The world


def test_a_seed_is_a_world() -> None:
    texts = [[one.text for one in asked(World(), 0, 50, seed)] for seed in (1, 1, 2)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_answers_are_as_often_right_as_is_said() -> None:
    seen = asked(World(), 0, 4_000)
    rights = np.array([one.rights for one in seen])
    answers = np.array([one.answers for one in seen])
    assert answers.mean(0) == pytest.approx(rights.mean(0), abs=0.03)
    alike = (answers[:, 0] == answers[:, 1]).mean()
    apart = (rights[:, 0] * rights[:, 1] + (1 - rights[:, 0]) * (1 - rights[:, 1])).mean()
    assert alike > apart + 0.03


def test_the_words_tell_the_topic() -> None:
    words = Counter(one.text.count("invoice") > 0 for one in asked(World(), 0, 1_000))
    assert 150 < words[True] < 400


def test_the_mix_turns_with_the_week() -> None:
    def law(start: int) -> float:
        texts = [one.text for one in asked(World(a_day=1_000, cycle=0.9), start, 1_000)]
        return float(np.mean([any(w in t for w in ("clause", "court", "tenant")) for t in texts]))

    shares = [law(day * 1_000) for day in range(7)]
    assert max(shares) > min(shares) + 0.2
    assert law(7_000) == pytest.approx(shares[0], abs=0.02)


def test_changes_come_at_their_time() -> None:
    change = Change(100, "quality", 0.5, over=50)
    assert [change.factor(now) for now in (0, 99, 100, 125, 150, 9_999)] == [
        1,
        1,
        1,
        0.75,
        0.5,
        0.5,
    ]
    assert [Change(9, "price", 3.0).factor(now) for now in (8, 9)] == [1, 3]

    world = World(changes=(Change(0, "quality", 0.5, topic=1), Change(0, "price", 2.0, of=0)))
    halved = 0
    for plain, changed in zip(asked(World(), 0, 200), asked(world, 0, 200), strict=True):
        assert changed.costs.tolist() == [0.02, 0.001]
        assert changed.rights[0] == plain.rights[0]
        is_code = any(word in plain.text for word in TOPICS[1].words)
        assert changed.rights[1] == plain.rights[1] / (2 if is_code else 1)
        halved += is_code
    assert 30 < halved < 100


# What is reported


def test_what_learning_costs_is_in_the_saving() -> None:
    """Before anything serves but the reference, each pair costs the candidate and the judge."""
    report = served(World(lost=0.0, delay=0), requests=500)
    assert report.loss == 0
    assert report.moments[0].served_lately == (1.0, 0.0)
    assert report.saving == pytest.approx(-report.judged * (0.001 + 0.0005) / (500 * 0.010))


def test_pairs_get_lost_and_come_late() -> None:
    at_once = served(World(lost=0.0, delay=0), requests=500).judged
    assert 0.3 * at_once < served(World(lost=0.5, delay=0), requests=500).judged < 0.7 * at_once
    assert served(World(lost=0.0, delay=10_000), requests=500).judged < 0.1 * at_once


def test_a_report_is_the_same_again() -> None:
    assert served(World(), 5, 1_500) == served(World(), 5, 1_500)


# What is promised


@pytest.mark.parametrize("seed", [1, 2])
def test_a_usual_week_saves_breaks_nothing_and_alarms_nobody(seed: int) -> None:
    report = served(World(), seed)
    assert report.violations == 0
    assert report.alarms == ()
    assert report.moments[-1].saving_lately > 0.2
    assert report.moments[-1].rung > 10


def test_a_slow_change_of_the_mix_breaks_nothing() -> None:
    report = served(World(changes=(Change(3_000, "mix", 4.0, of=2, over=2_000),)))
    assert report.violations == 0
    assert report.saving > 0.1


def test_late_and_lost_labels_break_nothing() -> None:
    report = served(World(delay=500, lost=0.5))
    assert report.violations == 0
    assert report.moments[-1].rung > 0


def test_a_spiteful_tenant_steers_nobody() -> None:
    """What callers say goes to rules; one that lies, and says most, has none of them fire."""
    rule = "quality < 0.7 over 30 min"
    told = served(World(rule=rule, spiteful="b"), requests=4_000)
    assert (told.ruled, told.violations) == (0, 0)
    bad = tuple(Change(500, "quality", 0.3, of=variant) for variant in (0, 1))
    assert served(World(rule=rule, spiteful="b", changes=bad), requests=1_500).ruled > 200


def test_a_flattering_tenant_takes_nothing_from_others_where_each_has_the_promise() -> None:
    """It asks what only the candidate can do: on average over all, others could lose for it."""
    world, names = World(flattering="b"), tuple(one.name for one in VARIANTS)
    each = simulate(world, REQUESTS, 1, Plan(names, feedback=FEEDBACK, segments="each"))
    assert each.losses["a"] < 0.05
    assert each.losses["c"] < 0.05
    assert each.losses["b"] < -1
    assert served(world).losses["a"] > each.losses["a"] + 0.02


def test_a_silent_regression_is_found_within_200_pairs() -> None:
    report = served(World(changes=(Change(4_000, "quality", 0.5),)), requests=5_500)
    assert report.alarms[0].at > 4_000
    assert report.alarms[0].pairs is not None
    assert report.alarms[0].pairs <= DELAY
    before = [m for m in report.moments if m.at <= 4_000]
    assert not any(m.broken for m in before)


def test_after_a_regression_nothing_serves_that_is_worse_than_promised() -> None:
    """The best topic of the candidate goes bad: the safest rungs are the worst ones now."""
    report = served(World(changes=(Change(3_500, "quality", 0.2, topic=0),)))
    alarm = report.alarms[0].at
    after = [m for m in report.moments if m.at > alarm + BESIDE]
    assert after
    assert np.mean([m.loss_lately for m in after]) < 0.05


def test_a_dearer_candidate_is_left_at_once() -> None:
    """20 times as dear it saves nothing: the other takes over, before anything is learned anew."""
    change = Change(4_500, "price", 20.0)
    report = served(World(variants=THREE, changes=(change,)), requests=5_000)
    before, after = (m.served_lately for m in report.moments[-2:])
    assert before[1] > 0.2
    assert after[1] == 0
    assert after[2] > before[2] + 0.03


def test_a_dearer_reference_does_not_widen_what_was_certified() -> None:
    report = served(World(changes=(Change(3_500, "price", 3.0, of=0),)), requests=5_000)
    assert report.violations == 0
    before, after = report.moments[6], report.moments[7]
    assert after.served_lately[1] < before.served_lately[1] + 0.15
