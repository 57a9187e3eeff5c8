"""The watch finds a candidate that became worse; neither hard requests nor chance are that."""

from random import Random

from octoplex.optimizer.ladder import UNTOLD, WATCHED, Watch

BEGUN = WATCHED + UNTOLD
HARD, EASY = -0.4, -0.05
"""What is expected of requests: the mean difference of quality."""


def told(
    watch: Watch,
    dice: Random,
    count: int,
    lost: float = 0.0,
    hard: float = 0.3,
    is_near: bool = True,
) -> int | None:
    """Pairs until it speaks, of so many; `lost` more are lost than was expected."""
    for number in range(1, count + 1):
        expected = HARD if dice.random() < hard else EASY
        luck = dice.random()
        difference = -1.0 if luck < lost - expected + 0.02 else float(luck > 0.98)
        since = watch.see(difference, expected, is_near)
        if since:
            assert 0 < since <= number + 60
            return number
    return None


def test_a_sudden_loss_is_found_soon() -> None:
    for seed in range(20):
        dice, watch = Random(seed), Watch()
        assert told(watch, dice, BEGUN + 600) is None
        found = told(watch, dice, 200, lost=0.35)
        assert found is not None


def test_as_long_as_nothing_changes_it_is_silent() -> None:
    for seed in range(20):
        assert told(Watch(), Random(seed), 3_000) is None


def test_harder_requests_are_no_loss() -> None:
    """Their expectations say so."""
    dice, watch = Random(1), Watch()
    assert told(watch, dice, 1_000, hard=0.1, is_near=False) is None
    assert told(watch, dice, 600, hard=0.7, is_near=False) is None


def test_it_says_nothing_before_it_knows_how_it_was() -> None:
    assert told(Watch(), Random(1), BEGUN - 1, lost=0.5) is None
