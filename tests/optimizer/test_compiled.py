"""A policy that went through bytes decides as it did."""

from random import Random

import numpy as np
import pytest

from octoplex.optimizer.compiled import Compiled, dump, load
from octoplex.optimizer.features import encoder_of, features_of
from octoplex.optimizer.loop import Loop, Plan
from octoplex.optimizer.policy import Draws, Limits, Mix, Policy
from octoplex.wire.error import BadConfig
from tests.optimizer.world import COSTS, PLAN, REQUESTS, notes

VARIANTS = PLAN.variants


@pytest.fixture(scope="module")
def learned() -> Loop:
    loop = Loop(PLAN, Random(3))
    assert sum(1 for _ in notes(loop, REQUESTS)) > REQUESTS
    assert loop.policy.rung > 0, "nothing is certified in this world"
    assert len(loop.policy.serving) > 1
    return loop


def test_it_decides_the_same(learned: Loop) -> None:
    data = dump(Compiled(learned.policy, learned.encoder, VARIANTS))
    policy, encoder, variants = load(data)
    assert encoder is not None
    assert learned.encoder is not None
    assert variants == VARIANTS
    random = Random(9)
    for number in range(300):
        features = features_of(f"what of the {random.choice(['lemma', 'pool', 'price'])} {number}")
        draws = Draws(*(random.random() for _ in range(4)))
        costs = np.array(COSTS) * random.random()
        there = policy.decide(encoder.row(features), costs, draws)
        assert there == learned.policy.decide(learned.encoder.row(features), costs, draws)
        assert there.served.strain <= there.cut or there.variant == 0
    assert dump(Compiled(policy, encoder, variants)) == data


def test_segments_have_rungs_of_their_own(learned: Loop) -> None:
    """One is held, one is lower, the others are the reference's: after bytes, too."""
    newest, told = learned.policy.newest, learned.policy
    assert newest is not None
    mixes = {"held": Mix(), "low": Mix(3, [(0.25, newest), (0.75, told.serving[0])])}
    shares = list(zip(told.weights, told.serving, strict=True))
    for is_closed in (False, True):
        limits = Limits(mixes, is_closed)
        policy = Policy(newest, told.judging, shares, told.rung, 9, limits)
        there = load(dump(Compiled(policy, learned.encoder, VARIANTS)))
        assert dump(there) == dump(Compiled(policy, learned.encoder, VARIANTS))
        assert there.encoder is not None
        rungs = {"held": 0, "low": 3, "other": 0 if is_closed else told.rung}
        random, served = Random(5), dict.fromkeys(rungs, 0.0)
        for number in range(900):
            name = random.choice(list(rungs))
            text = f"what of the {random.choice(['poem', 'pool', 'price', 'lemma'])} {number}"
            seen = there.encoder.row(features_of(text, segment=name))
            draws = Draws(*(random.random() for _ in range(4)))
            decision = there.policy.decide(seen, np.array(COSTS), draws)
            assert decision == policy.decide(seen, np.array(COSTS), draws)
            assert decision.rung == rungs[name]
            served[name] += decision.variant
        assert served["held"] == 0
        assert (served["other"] == 0) is is_closed
        assert is_closed or served["low"] < served["other"]


def test_one_that_knows_nothing_too() -> None:
    loop = Loop(Plan(("a", "b", "c")), Random(1), version=7)
    data = dump(Compiled(loop.policy, None, ("a", "b", "c")))
    policy, encoder, _ = load(data)
    assert (encoder, policy.version, policy.newest) == (None, 7, None)
    seen = encoder_of([]).row(features_of("x"))
    draws = Draws(0.1, 0.2, 0.001, 0.7)
    costs = np.ones(3)
    assert policy.decide(seen, costs, draws) == loop.policy.decide(seen, costs, draws)


def test_garbage_is_refused(learned: Loop) -> None:
    data = dump(Compiled(learned.policy, learned.encoder, VARIANTS))
    for cut in (0, 5, 22, len(data) // 2, len(data) - 1):
        with pytest.raises(BadConfig):
            load(data[:cut])
    for at in (0, 20, 30, len(data) // 2, len(data) - 1):
        with pytest.raises(BadConfig):
            load(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    short = dump(Compiled(learned.policy, learned.encoder, ("big", "small", "tiny")))
    with pytest.raises(BadConfig, match="candidate"):
        load(short)
