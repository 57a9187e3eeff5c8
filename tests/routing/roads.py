"""Routes over doubles, on the running loop's own clock, with luck taken out."""

import asyncio
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from octoplex.routing import Candidate, Chain, Chooser, Health, Lane, Route, Target
from octoplex.wire.answer import Answer, Answerer
from octoplex.wire.ask import Call
from octoplex.wire.error import GatewayError
from tests.clock import now
from tests.scripted import asking


def middle() -> float:
    """A random number without luck: jitter is half of what it may be."""
    return 0.5


def target(name: str = "a/m", **facts: Any) -> Target:
    """A target called `provider/model`."""
    provider, _, model = name.partition("/")
    return Target(name=name, provider=provider, model=model, **facts)


def candidate(name: str, *keys: Answerer, weight: float = 1.0, **facts: Any) -> Candidate:
    """A target with one lane per answerer: k1, k2, ..."""
    lanes = tuple(Lane(f"k{place}", answerer) for place, answerer in enumerate(keys, 1))
    return Candidate(target(name, **facts), lanes, weight)


def route(*candidates: Candidate, **rules: Any) -> Route:
    """A route called `main`."""
    return Route(name="main", candidates=candidates, **rules)


class Road:
    """A chain over one route. `send` asks it and gives the answer or raises."""

    def __init__(
        self, *candidates: Candidate, pick_by: Mapping[str, Chooser] | None = None, **rules: Any
    ) -> None:
        self.route = route(*candidates, **rules)
        self.health = Health(now=now, random=middle)
        self.chain = Chain(lambda _: self.route, self.health, random=middle, pick=pick_by)
        self.last: Call = asking()

    async def send(self, **ask: Any) -> Answer:
        """Ask once; the ask stays in `last`."""
        self.last = asking(**ask)
        return await self.chain(self.last)

    async def error(self, **ask: Any) -> GatewayError:
        """Ask once and give what it fails with."""
        try:
            answer = await self.send(**ask)
        except GatewayError as error:
            return error
        raise AssertionError(f"it answered: {answer.head}")

    @property
    def outcomes(self) -> list[tuple[str, str, str]]:
        """Target, key and outcome of the last ask's attempts."""
        return [(a.target, a.key, a.outcome) for a in self.last.trail.attempts]

    def open_calls(self) -> int:
        """Calls that health still counts as open."""
        return sum(c.open_calls for c in self.health.report())

    def breaker(self, name: str) -> str:
        """The state of one target's breaker."""
        return next(c.breaker for c in self.health.report() if c.target == name)


def gaps(times: list[float]) -> list[float]:
    """The times between attempts, to a tenth of a millisecond."""
    return [round(b - a, 4) for a, b in pairwise(times)]


async def moved(seconds: float) -> None:
    """Let time pass."""
    await asyncio.sleep(seconds)
