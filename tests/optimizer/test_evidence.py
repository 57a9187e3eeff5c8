"""Evidence errs no more often than it says, however often one looks, and finds what is there."""

import numpy as np
import pytest

from octoplex.optimizer.evidence import Alarm, Capital

SEEDS = 600
ROUNDS = 1_500


def outcomes(mean: float, seed: int, rounds: int = ROUNDS) -> np.ndarray:
    """-0.95, 0.05 or 1 by chance, with this mean; one column per seed."""
    draws = np.random.default_rng(seed).random((rounds, SEEDS))
    good = 0.05
    bad = (good * 1 + (1 - good) * 0.05 - mean) / 1.0
    return np.where(draws < bad, -0.95, np.where(draws > 1 - good, 1.0, 0.05))


def peaks(seen: np.ndarray) -> np.ndarray:
    capital = Capital(SEEDS, (0.4,))
    best = np.zeros(SEEDS)
    betting = np.ones(SEEDS, bool)
    for row in seen:
        capital.see(row, betting)
        best = np.maximum(best, capital.logs())
    return best


def test_a_false_claim_is_hardly_ever_shown_although_one_looks_each_time() -> None:
    shown = (peaks(outcomes(0.0, 1)) >= np.log(20)).mean()
    assert shown <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / SEEDS)


def test_a_true_claim_is_shown() -> None:
    assert (peaks(outcomes(0.05, 2)) >= np.log(20)).mean() > 0.95


def test_it_is_the_average_that_is_shown_not_the_last_rounds() -> None:
    """Good rounds at first, bad ones later: the average of all is what counts."""
    drifting = np.concatenate((outcomes(-0.04, 3, 750), outcomes(0.04, 4, 750)))
    shown = (peaks(drifting) >= np.log(20)).mean()
    assert shown <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / SEEDS)


def test_an_outcome_below_what_bets_allow_is_refused() -> None:
    with pytest.raises(ValueError, match=r"is below -2\.500"):
        Capital(1, (0.4,)).see(np.array([-2.6]), np.ones(1, bool))


def test_an_alarm_is_silent_while_all_is_well_and_quick_when_not() -> None:
    alarm = Alarm(SEEDS, (0.2, 0.5, 0.95))
    rung = np.zeros(SEEDS, bool)
    for row in outcomes(0.02, 5):
        alarm.see(row)
        rung |= alarm.logs() > np.log(100_000)
    assert rung.mean() <= 0.01
    heard = np.full(SEEDS, 10_000)
    for number, row in enumerate(outcomes(-0.25, 6, 300)):
        alarm.see(row)
        heard = np.where((heard == 10_000) & (alarm.logs() > np.log(100_000)), number, heard)
    assert np.median(heard) < 150
    assert heard.max() < 300
    assert abs(alarm.began(0) - 300) < 150
