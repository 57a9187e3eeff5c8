"""Requests of a made-up world, by a seed: what a route would meet in weeks.

    asked = Traffic(World(), Random(1)).ask(17_000)      the request of that number

A request is a text of words of its topic and of how hard it is. Each variant answers rightly with a
known probability: what is lost can be computed, while what a loop is told are single answers,
right or wrong. The mix of topics turns with the week. A `Change` comes at a request's number, at
once or gradually: of a price, of a variant's quality without a word, of the mix.
"""

from math import sin, tau
from random import Random
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct

from octoplex.optimizer.features import Values


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COMMON = _words("please the a of and tell me about this with for what is how can you")
EASY = _words("short quick simple name list")
HARD = _words("prove derive rigorous optimal edge concurrency exhaustive")
SHARED = 0.6
"""How often answers to a question are right or wrong for the same reason."""


class Topic(Struct, frozen=True):
    """A kind of request, with the words that tell it, and its share of the traffic."""

    name: str
    words: tuple[str, ...]
    share: float


class Answering(Struct, frozen=True):
    """A variant: how often it is right on easy and on hard requests of each topic."""

    name: str
    easy: tuple[float, ...]
    """By topic, as `World.topics` lists them."""
    hard: tuple[float, ...]
    dollars: float
    """Per request."""
    seconds: float = 1.0
    """The median; 1 in 20 takes twice as long."""


class Change(Struct, frozen=True):
    """Something that happens at a request's number, and is complete `over` requests later."""

    at: int
    what: Literal["quality", "price", "mix", "latency"]
    times: float
    """What it is multiplied with: 0.5 halves it."""
    of: int = 1
    """The variant's number; of a mix, the topic's."""
    over: int = 0
    topic: int | None = None
    """Whose quality it is; None: everything's."""

    def factor(self, now: int) -> float:
        """What this multiplies with at that request."""
        if now < self.at:
            return 1.0
        done = min(1.0, (now - self.at) / self.over) if self.over else 1.0
        return 1 + done * (self.times - 1)


TOPICS = (
    Topic("billing", _words("invoice refund charge card payment plan tax receipt"), 0.4),
    Topic("code", _words("python function loop error stack type class import"), 0.3),
    Topic("law", _words("contract clause liability court statute tenant notice party"), 0.3),
)
VARIANTS = (
    Answering("large", (0.97, 0.93, 0.92), (0.90, 0.80, 0.80), 0.010, 2.0),
    Answering("small", (0.96, 0.90, 0.60), (0.86, 0.45, 0.30), 0.001, 0.6),
)


class World(Struct, frozen=True, kw_only=True):
    """What the traffic is like."""

    topics: tuple[Topic, ...] = TOPICS
    variants: tuple[Answering, ...] = VARIANTS
    """The reference first."""
    changes: tuple[Change, ...] = ()
    tenants: tuple[tuple[str, float], ...] = (("a", 0.6), ("b", 0.3), ("c", 0.1))
    """Names and shares."""
    spiteful: str = ""
    """The tenant that says the opposite of what it saw, and ten times as often as others."""
    flattering: str = ""
    """The tenant that asks only what the reference can hardly do, and all others can."""
    voiced: float = 0.1
    """How often callers say what an answer was worth."""
    rule: str = ""
    """While it holds the reference answers: a condition as `[[models.NAME.rules]]` has it, with a
    request each second."""
    a_day: int = 5_000
    """Requests."""
    cycle: float = 0.3
    """How far a topic's weight turns up and down within a week."""
    delay: int = 50
    """Requests until a pair is judged, on average."""
    lost: float = 0.1
    """Share of pairs that never are."""
    judging: float = 0.0005
    """Dollars per pair, beside the answers."""


class Asked(NamedTuple):
    """One request as the world knows it."""

    text: str
    tenant: str
    rights: Values
    """By variant: with what probability its answer is right."""
    answers: Values
    """What each would be worth, 0 or 1."""
    costs: Values
    seconds: Values


class Traffic:
    """Requests, one after the other."""

    def __init__(self, world: World, random: Random) -> None:
        self._world, self._random = world, random
        self._easy = np.array([one.easy for one in world.variants])
        self._hard = np.array([one.hard for one in world.variants])

    def ask(self, now: int) -> Asked:
        """The request of that number."""
        world, random = self._world, self._random
        topic = random.choices(range(len(world.topics)), self._mix(now))[0]
        tenant = random.choices(*zip(*world.tenants, strict=True))[0]
        hardness = random.random()
        rights = (1 - hardness) * self._easy[:, topic] + hardness * self._hard[:, topic]
        rights = np.clip(rights * self._factors("quality", now, topic), 0, 1)
        if tenant == world.flattering:
            rights = np.array([0.1, *(1.0 for _ in world.variants[1:])])
        common = random.random()
        lots = [common if random.random() < SHARED else random.random() for _ in rights]
        waits = [one.seconds * (2 if random.random() < 0.05 else 1) for one in world.variants]
        return Asked(
            self._text(topic, hardness),
            tenant,
            rights,
            (np.array(lots) < rights).astype(float),
            np.array([one.dollars for one in world.variants]) * self._factors("price", now, topic),
            np.array(waits) * self._factors("latency", now, topic) * random.uniform(0.7, 1.4),
        )

    def _mix(self, now: int) -> list[float]:
        world = self._world
        turned = tau * now / world.a_day / 7
        shares = [
            one.share * (1 + world.cycle * sin(turned + tau * number / len(world.topics)))
            for number, one in enumerate(world.topics)
        ]
        for change in world.changes:
            if change.what == "mix":
                shares[change.of] *= change.factor(now)
        return shares

    def _factors(self, what: str, now: int, topic: int) -> Values:
        factors = np.ones(len(self._world.variants))
        for change in self._world.changes:
            if change.what == what and change.topic in (None, topic):
                factors[change.of] *= change.factor(now)
        return factors

    def _text(self, topic: int, hardness: float) -> str:
        random = self._random
        tone = HARD if random.random() < hardness else EASY
        words = random.choices(self._world.topics[topic].words, k=random.randint(4, 10))
        words += random.choices(COMMON, k=random.randint(4, 8)) + random.choices(tone, k=3)
        random.shuffle(words)
        return " ".join(words)
