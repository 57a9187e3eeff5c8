"""A route that learns over doubles, with a shelf in memory and the loop in the same process."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np

from octoplex.assembly.arrival import Arrival, Patience, read_call
from octoplex.assembly.dialects import faces
from octoplex.optimizer.compiled import Compiled, dump
from octoplex.optimizer.config import Learn, Promise, spend_of, variants_of
from octoplex.optimizer.config import Learned as Table
from octoplex.optimizer.course import Course
from octoplex.optimizer.features import WIDTH, encoder_of, features_of
from octoplex.optimizer.live import Choice, Learned
from octoplex.optimizer.loop import Loop
from octoplex.optimizer.loop import Plan as LoopPlan
from octoplex.optimizer.notes import Note, Noticed, Pair
from octoplex.optimizer.pairs import Paired
from octoplex.optimizer.policy import RUNGS, Decision, Judging, Policy, Snapshot
from octoplex.optimizer.school import School
from octoplex.optimizer.scorer import Scorer
from octoplex.routing import Candidate, Chain, Health, Lane, Route, Target, choosers
from octoplex.wire.answer import Answer, Answerer
from octoplex.wire.ask import Ask, Call, Caller, Worst
from octoplex.wire.chat import Chat
from octoplex.wire.event import Finished, Reply, Started, TextDelta, Usage
from tests.scripted import Scripted

FACES = faces()
BILLED = Usage(input_tokens=40, output_tokens=60)
OUT = {"top/ref": 10_000, "mid/good": 1_000, "low/bad": 500}
"""Nano-dollars per token out, by target; a tenth of it in."""
PRICE = 40 * 1_000 + 60 * 10_000
"""Of one answer of the reference."""


class Verdict:
    """What a judge says who looks for the same words."""

    def __init__(self, reference: float, rival: float) -> None:
        self.reference, self.rival, self.judge, self.nano = reference, rival, "exact-match", 0
        self.model = ""


async def same_words(chat: Chat, reference: Reply, rival: Reply) -> Verdict:
    return Verdict(1.0, float(reference.text == rival.text))


class Memory:
    """A `Shelf` that forgets nothing; `learn` does what the learner's process does."""

    def __init__(self, plan: LoopPlan) -> None:
        self.loop = Loop(plan, Random(7))
        self.notes: list[Note] = []
        self.kept: list[bytes] = []
        self.is_deaf = False
        self.decisions: list[tuple[str, Decision]] = []
        self.published: dict[str, tuple[int, bytes]] = {}
        self.pauses: set[str] = set()
        self._read = 0
        self.closed = False

    def note(self, route: str, note: Note) -> None:
        self.notes.append(note)

    def keep(self, route: str, pair: Pair, texts: bytes, days: int) -> None:
        self.note(route, pair)
        self.kept.append(texts)

    def has_room(self, route: str) -> bool:
        return len(self.kept) < 10_000

    def decided(
        self, request_id: str, route: str, decision: Decision, costs: tuple[float, ...],
        variants: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.decisions.append((request_id, decision))

    def policy(self, route: str) -> tuple[int, bytes] | None:
        return self.published.get(route)

    def paused(self, route: str) -> bool:
        return route in self.pauses

    def is_heard(self) -> bool:
        return not self.is_deaf

    def close(self) -> None:
        self.closed = True

    @property
    def pairs(self) -> list[Pair]:
        return [note for note in self.notes if isinstance(note, Pair)]

    def learn(self) -> None:
        """Read what is new, and publish."""
        for note in self.notes[self._read :]:
            if isinstance(note, Noticed):
                self.loop.notice(note.features, np.array(note.costs))
            elif isinstance(note, Pair) and note.reference == note.reference:
                self.loop.judged(note.features, note.decision, (note.reference, note.rival))
        self._read = len(self.notes)
        made = Compiled(self.loop.policy, self.loop.encoder, self.loop.plan.variants)
        self.published["main"] = (self.loop.policy.version, dump(made))


def certified(
    variants: Sequence[str], version: int = 9, shadow: float = 0.25, best: int = 1
) -> bytes:
    """A policy by which one serves all, by its number: as good as the first; the others are bad."""
    scorers = tuple(
        Scorer(np.zeros(WIDTH, np.float32), {}, 0.0 if number == best else -1.0)
        for number in range(1, len(variants))
    )
    one = Snapshot(scorers, np.full(RUNGS, 0.5), np.full(len(scorers), 1e-4), 1.0, 400)
    policy = Policy(one, Judging(shadow, shadow, np.inf, RUNGS), [(1.0, one)], RUNGS, version)
    return dump(Compiled(policy, encoder_of([features_of("How many?")]), tuple(variants)))


class Doubles:
    """A chain over one route that learns: `ref` and two cheap ones, of which one is right."""

    def __init__(self, shadow: float = 0.25, spend: str = "100% of savings") -> None:
        self.out = dict(OUT)
        self.doubles = {name: Scripted(events("right"), name=name) for name in OUT}
        self.doubles["low/bad"].events = events("wrong")
        candidates = tuple(self.candidate(name) for name in OUT)
        self.route = Route(name="main", candidates=candidates, pick="learned")
        self.memory = Memory(LoopPlan(tuple(OUT), feedback=shadow))
        self.school = School(self.memory)
        self.course = Course(
            route="main",
            variants=variants_of("top/ref", OUT),
            targets=tuple(c.target for c in candidates),
            able=(True, True, True),
            table=Table(
                reference="top/ref",
                promise=Promise(),
                learn=Learn(shadow=shadow),
                segments=("key",),
            ),
            spend=spend_of(spend, "test"),
        )
        self.learned: Learned = self.school.learned({"main": self.course})
        self.learned._random.seed(3)
        self.health = Health()
        picks = {**choosers(), "learned": self.learned}
        self.chain = Chain(lambda _: self.route, self.health, pick=picks)
        self.rivals: list[Ask] = []
        self.rival_nano = 1_000
        self.answer = Paired(self.chain, self.school.pairs, self.rival, {"main": same_words})

    def candidate(self, name: str) -> Candidate:
        def cost(worst: Worst) -> int:
            price = self.out[name]
            return worst.input_tokens * price // 10 + (worst.output_tokens or 0) * price

        provider, _, model = name.partition("/")
        target = Target(
            name=name,
            provider=provider,
            model=model,
            cost=cost,
            reads=lambda tokens, cached: cost(Worst(tokens, 0)),
            outside=lambda area: "" if name != "low/bad" else "it is elsewhere",
        )

        async def paid(ask: Ask) -> Answer:
            answer = await self.doubles[name](ask)
            ask.trail.nano += cost(Worst(BILLED.input_tokens, BILLED.output_tokens))
            return answer

        return Candidate(target, (Lane("k", paid),))

    def rival(self, course: Course, variant: int) -> Answerer | None:
        double = self.doubles[course.variants[variant]]

        async def ask(ask: Ask) -> Answer:
            self.rivals.append(ask)
            ask.trail.nano += self.rival_nano
            return await double(ask)

        return ask

    @property
    def study(self) -> Any:
        return self.learned.studies["main"]

    async def ask(self, text: str = "How many pools are there?", **members: Any) -> Call:
        """One request to its end; what was sent, with its trail."""
        asked = call(text, **members)
        answer = await self.answer(asked)
        if answer.body is None:
            async for frame in answer:
                frame.events()
        await self.quiet()
        return asked

    async def quiet(self) -> None:
        """Until no pair is under way."""
        for _ in range(20):
            await asyncio.sleep(0)
        while self.school.pairs._tasks:
            await asyncio.wait(set(self.school.pairs._tasks))

    async def rounds(self, count: int, each: int = 50) -> Counter[str]:
        """So many requests, learned from after each few; who answered them."""
        random, found = Random(11), Counter[str]()
        for number in range(count):
            asked = await self.ask(" ".join(random.choice(WORDS) for _ in range(8)))
            found[answered(asked)] += 1
            if number % each == each - 1:
                self.memory.learn()
                await self.learned.renew()
        return found


WORDS = ("how", "many", "pools", "does", "the", "city", "of", "london", "have", "cost", "two")


def events(text: str) -> tuple[Any, ...]:
    return (Started("r", "m"), TextDelta(text), Finished(stop="end", usage=BILLED))


def call(
    text: str = "How many pools are there?", *, caller: Caller | None = None, **members: Any
) -> Call:
    turns = members.pop("messages", [{"role": "user", "content": text}])
    body = {"model": "main", "messages": turns, **members}
    arrival = Arrival(
        "req_1", FACES["openai-chat"], 0.0, Patience(1e9, 1e9), caller or Caller("k1", "app")
    )
    return read_call(arrival, json.dumps(body).encode())


def answered(asked: Call) -> str:
    row = asked.trail.answered()
    assert row is not None
    return row.target


def decision(asked: Call) -> Decision:
    choice = asked.trail.decided
    assert isinstance(choice, Choice)
    assert choice.decision is not None
    return choice.decision


def run(main: Callable[[Doubles], Any], **options: Any) -> None:
    """Run a test within its own loop; nothing may be left behind."""

    async def whole() -> None:
        before = asyncio.all_tasks()
        doubles = Doubles(**options)
        await main(doubles)
        await doubles.school.close()
        assert doubles.memory.closed
        left = asyncio.all_tasks() - before
        assert not left, left

    asyncio.run(asyncio.wait_for(whole(), 60))
