"""Streams of numbers that change, and many more that do not."""

import numpy as np
import pytest

from octoplex.optimizer.drift import EVERY, SAMPLE, Drifts, Shift

KINDS = {
    "latencies": lambda rng, n: rng.lognormal(0, 1, n),
    "scores of 0 and 1": lambda rng, n: (rng.random(n) < 0.7).astype(float),
    "figures": lambda rng, n: rng.normal(5, 2, n),
    "lengths": lambda rng, n: rng.poisson(3, n).astype(float),
}


def first(values: list[float], alpha: float = 0.01) -> tuple[int, Shift] | None:
    drifts = Drifts(("a",), alpha)
    for number, value in enumerate(values):
        shift = drifts.see("a", value)
        if shift is not None:
            return number, shift
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_change_alarms_no_oftener_than_stated(kind: str) -> None:
    """100 streams of 26 looks each at alpha .1: 10 may alarm, 20 would be beyond chance (.002)."""
    rng = np.random.default_rng(7)
    alarms = [first(KINDS[kind](rng, 3_500).tolist(), alpha=0.1) for _ in range(100)]
    assert sum(alarm is not None for alarm in alarms) < 20


def test_looks_that_are_not_corrected_would_alarm_oftener() -> None:
    """What the correction is for: at the first look's threshold a tenth of such streams fail."""
    rng = np.random.default_rng(7)
    drifts = Drifts(("a",), 0.1)
    assert drifts.threshold(26) > drifts.threshold(1)
    assert drifts.threshold(10**6) < 0.3
    naive = 0
    for _ in range(100):
        values = rng.random(4_500)
        reference = np.sort(values[:SAMPLE])
        for end in range(2 * SAMPLE, 4_501, EVERY):
            now = np.sort(values[end - SAMPLE : end])
            at = np.concatenate((reference, now))
            below = reference.searchsorted(at, "right") - now.searchsorted(at, "right")
            if np.abs(below).max() / SAMPLE >= np.sqrt(np.log(2 / 0.1) / SAMPLE):
                naive += 1
                break
    assert naive > 20


def test_a_shift_of_half_a_deviation_is_found_soon() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        values = np.concatenate((rng.normal(size=3_000), rng.normal(0.5, 1, size=1_000)))
        found = first(values.tolist())
        assert found is not None
        number, shift = found
        assert 3_000 < number <= 3_000 + SAMPLE
        assert shift.distance >= shift.threshold
        assert shift.stream == "a"


def test_a_wider_spread_is_found_too() -> None:
    rng = np.random.default_rng(4)
    values = np.concatenate((rng.normal(size=2_000), rng.normal(0, 2.5, size=1_000)))
    assert first(values.tolist()) is not None


def test_it_is_told_once_and_again_after_a_new_reference() -> None:
    drifts = Drifts(("a",))
    for value in np.random.default_rng(5).random(1_000).tolist():
        assert drifts.see("a", value) is None
    told = [drifts.see("a", 2 + n / 900) for n in range(900)]
    assert sum(one is not None for one in told) == 1
    assert drifts.psi > 1
    drifts.begin("a")
    assert drifts.psi == 0
    assert all(drifts.see("a", 2 + n % 100 / 900) is None for n in range(1_500))
    assert any(drifts.see("a", 0.5) for n in range(900))


def test_psi_of_what_is_alike_is_small() -> None:
    rng, seen = np.random.default_rng(6), []
    for _ in range(40):
        drifts = Drifts(("a",))
        for value in rng.lognormal(size=1_500).tolist():
            drifts.see("a", value)
        seen.append(drifts.psi)
    assert 0.02 < np.mean(seen) < 0.05
    assert max(seen) < 0.2


def test_psi_is_the_textbooks() -> None:
    """Tenths of 0..499, then a current sample of which 1/5 lies in the first tenth."""
    drifts = Drifts(("a",))
    for value in [*range(500), *([0.0] * 100), *np.linspace(50, 499, 400).tolist()]:
        drifts.see("a", float(value))
    p, q = (
        np.full(10, 50.5) / 505,
        np.histogram(
            [*([0.0] * 100), *np.linspace(50, 499, 400)], [0, *(np.arange(1, 10) * 50 - 0.5), 500]
        )[0],
    )
    q = (q + 0.5) / 505
    assert drifts.psi == pytest.approx(float(((q - p) * np.log(q / p)).sum()))


def test_what_is_no_number_is_left_out() -> None:
    drifts = Drifts(("a", "b"))
    for _ in range(1_200):
        assert drifts.see("a", float("nan")) is None
        assert drifts.see("a", float("inf")) is None
        assert drifts.see("a", 1.0) is None
    assert drifts.psi == 0
    with pytest.raises(KeyError):
        drifts.see("c", 1.0)


def test_memory_is_bounded() -> None:
    drifts = Drifts(("a",))
    for number in range(5_000):
        drifts.see("a", number % 97)
    stream = drifts._streams["a"]
    assert len(stream.current) == len(stream.reference) == SAMPLE
