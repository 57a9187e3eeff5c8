"""Which candidate is asked first: one small class per `pick`.

A chooser orders, it does not exclude: the chain skips what rests. Only so much is done
about health here, that a target whose breaker is open never displaces one that answers, and
that one which just came back (`Health.warmth`) gets a growing part of its share.
Every chooser writes its reason into `ask.trail.why`.

`learned` is not among them: the optimizer brings its own chooser through the same
Protocol.

References: Mitzenmacher, The Power of Two Choices (2001); Finagle's peak EWMA, where a
target's load is its average time the calls it has open.
"""

from collections.abc import Callable, Mapping, Sequence
from random import random as uniform
from typing import Protocol

from octoplex.routing.health import Health, TargetHealth
from octoplex.routing.route import Candidate, Route
from octoplex.wire.ask import Ask


class Chooser(Protocol):
    """Says in which order the candidates of a route are asked."""

    def order(self, ask: Ask, route: Route, health: Health, /) -> Sequence[Candidate]:
        """Order all candidates of `route` for this ask, preferred first.

        Resting targets are skipped by the chain; an order only prefers. The first one is
        usually the one that answers, so the reason goes into `ask.trail.why`.
        """
        ...


class InOrder:
    """As the route lists them."""

    def order(self, ask: Ask, route: Route, health: Health, /) -> Sequence[Candidate]:
        """The candidates as they are."""
        ask.trail.why = "in order"
        return route.candidates


class Weighted:
    """The first at random, by weight; the rest as listed. Weight 0 is only fallen back to."""

    def __init__(self, random: Callable[[], float] = uniform) -> None:
        self._random = random

    def order(self, ask: Ask, route: Route, health: Health, /) -> Sequence[Candidate]:
        """Draw the first among those whose breaker is closed."""
        ask.trail.why = "weighted"
        listed = _closed_first(route, health)
        sound = [c for c in listed if health.of(c.target).breaker.closed] or listed
        now = health.now()
        weights = [c.weight * health.warmth(route, c.target, now) for c in sound]
        left = self._random() * sum(weights)
        for candidate, weight in zip(sound, weights, strict=True):
            left -= weight
            if left < 0:
                return [candidate, *(c for c in listed if c is not candidate)]
        return listed


class Fastest:
    """The better of two drawn at random: time to open, times the calls already open.

    Better than always taking the fastest, because that one would be flooded by every
    worker at once. A target nobody has timed yet goes first.
    """

    def __init__(self, random: Callable[[], float] = uniform) -> None:
        self._random = random

    def order(self, ask: Ask, route: Route, health: Health, /) -> Sequence[Candidate]:
        """Draw two; the other candidates follow by their load."""
        ask.trail.why = "fastest of two"
        now = health.now()
        loads = [
            (
                not (state := health.of(c.target)).breaker.closed,
                _load(state, ask.stream, now) / health.warmth(route, c.target, now),
                place,
            )
            for place, c in enumerate(route.candidates)
        ]
        by_load = sorted(loads)
        sound = sum(not shut for shut, _, _ in loads)
        if sound > 2:
            first = int(self._random() * sound)
            second = (first + 1 + int(self._random() * (sound - 1))) % sound
            best = by_load[min(first, second)]
            by_load = [best, *(load for load in by_load if load is not best)]
        return [route.candidates[place] for _, _, place in by_load]


class Cheapest:
    """The lowest live price of this very call; unpriced targets last."""

    def order(self, ask: Ask, route: Route, health: Health, /) -> Sequence[Candidate]:
        """Sort by what the worst case would cost now."""
        ask.trail.why = "cheapest"
        worst = ask.worst_case()

        def price(candidate: Candidate) -> tuple[bool, int]:
            nano = candidate.target.cost(worst)
            return nano is None, nano or 0

        return sorted(route.candidates, key=price)


class LeastBusy:
    """The fewest calls open; ties as listed."""

    def order(self, ask: Ask, route: Route, health: Health, /) -> Sequence[Candidate]:
        """Sort by open calls."""
        ask.trail.why = "least busy"
        now = health.now()

        def busy(candidate: Candidate) -> tuple[bool, float]:
            state = health.of(candidate.target)
            warmth = health.warmth(route, candidate.target, now)
            return not state.breaker.closed, (state.open_calls + 1) / warmth

        return sorted(route.candidates, key=busy)


def choosers(random: Callable[[], float] = uniform) -> Mapping[str, Chooser]:
    """The five choosers by the name a route's `pick` gives."""
    return {
        "in-order": InOrder(),
        "weighted": Weighted(random),
        "fastest": Fastest(random),
        "cheapest": Cheapest(),
        "least-busy": LeastBusy(),
    }


def _closed_first(route: Route, health: Health) -> list[Candidate]:
    return sorted(route.candidates, key=lambda c: not health.of(c.target).breaker.closed)


def _load(state: TargetHealth, stream: bool, now: float) -> float:
    """Average time times open calls; an untimed target that is being tried waits its turn."""
    average = state.average(stream).value(now)
    if not average and state.open_calls:
        return float("inf")
    return average * (state.open_calls + 1)
