"""Nobody's voice is more than its share."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.optimizer.opinions import SHARE, VOICES, agreed, opinion_of

COUNTS = st.lists(st.integers(1, 10_000), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("scores", "mean"),
    [
        ([], None),
        ([("a", 4, 3.0)], 0.75),
        ([("a", 1_000, 0.0), ("b", 10, 10.0)], 0.5),
        ([("a", 1_000, 0.0), *[(str(n), 10, 10.0) for n in range(20)]], 0.75),
        ([("a", 10, 0.0), *[(str(n), 10, 10.0) for n in range(9)]], 0.9),
    ],
)
def test_the_mean(scores: list[tuple[str, int, float]], mean: float | None) -> None:
    found = opinion_of(scores)
    assert found.mean == (None if mean is None else pytest.approx(mean))
    assert (found.said, found.tenants) == (sum(n for _, n, _ in scores), len(scores))


@given(COUNTS, st.data())
def test_one_who_turns_round_moves_it_by_its_share(counts: list[int], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(counts) - 1))
    good = [(str(n), count, float(count)) for n, count in enumerate(counts)]
    spite = [row if n != at else (row[0], row[1], 0.0) for n, row in enumerate(good)]
    assert opinion_of(good).mean == pytest.approx(1)
    mean = opinion_of(spite).mean
    assert mean is not None
    assert mean >= 1 - max(SHARE, 1 / len(counts)) - 1e-9


@given(COUNTS, st.integers(1, 10_000), st.floats(0, 1), st.integers(0, 2**32))
def test_nobody_alone_brings_about_what_the_others_do_not_say(
    counts: list[int], said: int, score: float, seed: int
) -> None:
    dice = Random(seed)
    others = [(str(n), count, count * dice.uniform(0.7, 1)) for n, count in enumerate(counts)]
    them = opinion_of(others).mean
    found = agreed([("x", said, said * score), *others], len(others) + 1, most=True)
    assert them is not None
    assert found is not None
    assert found >= them - 1e-9
    low = agreed([("x", said, said * score), *others], len(others) + 1, most=False)
    assert low is not None
    assert low <= them + 1e-9


def test_who_speaks_for_others_says_nothing_and_alone_all() -> None:
    assert agreed([("a", 9, 1.0)], 1, most=True) == pytest.approx(1 / 9)
    assert agreed([("a", 9, 1.0)], 2, most=True) is None
    assert agreed([], 1, most=True) is None
    many = [(str(n), 5, 5.0) for n in range(VOICES)]
    assert agreed([*many, ("quiet", 1, 0.0)], 99, most=False) == 1
