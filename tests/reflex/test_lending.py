"""Rates that are lent: level and leases together are never more than a bucket holds."""

import random

import pytest

from octoplex.reflex.lending import LendingBuckets
from octoplex.reflex.limit import parse
from octoplex.wire.error import TooFast

SECOND_NS = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.ns = 5 * SECOND_NS

    def __call__(self) -> int:
        return self.ns


def buckets(text: str, clock: Clock) -> LendingBuckets:
    return LendingBuckets(parse(text).rates, clock)


def test_what_is_lent_does_not_flow_back_in() -> None:
    clock = Clock()
    made = buckets("60 req/min", clock)
    made.lend(15, 0)
    clock.ns += 3_600 * SECOND_NS
    assert made.room() == (45, 10**12)
    made.end_lease(10, 0, used=True)
    assert made.room()[0] == 45
    clock.ns += SECOND_NS
    assert made.room()[0] == 46
    made.end_lease(5, 0, used=False)
    assert made.room()[0] == 51


def test_figures_show_what_is_lent_as_left() -> None:
    made = buckets("60 req/min, 600 tok/min", Clock())
    made.lend(15, 100)
    assert [(f.unit, f.remaining) for f in made.figures()] == [("req", 60), ("tok", 600)]


@pytest.mark.parametrize("seed", range(20))
def test_never_more_than_the_limit_in_any_window(seed: int) -> None:
    """Whatever is lent, used late, given back or taken: N, and what flows in."""
    clock, chance = Clock(), random.Random(seed)
    made, lent, used_at = buckets("60 req/min", clock), 0, []
    for _ in range(3_000):
        clock.ns += chance.randrange(SECOND_NS)
        what = chance.randrange(4)
        if what == 0:
            size = made.room()[0] // chance.choice((1, 4, 8))
            made.lend(size, 0)
            lent += size
        elif what == 1 and lent:
            size = chance.randint(1, lent)
            lent -= size
            used_at += [clock.ns] * size
            made.end_lease(size, 0, used=True)
        elif what == 2 and lent:
            size = chance.randint(1, lent)
            lent -= size
            made.end_lease(size, 0, used=False)
        else:
            try:
                made.take()
            except TooFast:
                continue
            used_at.append(clock.ns)
    for first, began_at in enumerate(used_at):
        for last in range(first, min(first + 200, len(used_at))):
            flowed = (used_at[last] - began_at) / SECOND_NS
            assert last - first + 1 <= 60 + flowed + 1e-6
