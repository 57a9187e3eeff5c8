"""What is held, verified and escalated, over doubles; and what each verifier says of an answer."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from octoplex.optimizer import cascade
from octoplex.optimizer.cascade import Cascade, Cascading, Room, held
from octoplex.optimizer.checks import INSTRUCTION, AskModel, checks_of
from octoplex.routing import Candidate, Chain, Health, Lane, Route
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask, Call
from octoplex.wire.chat import Chat, Format, Message, TextPart, Tool, ToolChoice
from octoplex.wire.error import NoTarget, UpstreamBroken
from octoplex.wire.event import (
    Block,
    Finished,
    Reply,
    Started,
    Text,
    TextDelta,
    ToolUse,
    Usage,
)
from tests.routing.roads import target
from tests.scripted import Scripted, asking, listen, says

SCHEMA = Raw(b'{"type":"object","required":["n"]}')
CHAT = Chat(model="m", messages=(Message("user", (TextPart("How many?"),)),))
FORMED = msgspec.structs.replace(CHAT, format=Format(schema=SCHEMA))
TOOLED = msgspec.structs.replace(CHAT, tools=(Tool(name="f", schema=SCHEMA),))
FORCED = msgspec.structs.replace(TOOLED, tool_choice=ToolChoice(mode="any"))
KNOWN = msgspec.structs.replace(CHAT, metadata=Raw(b'{"expected":"Three"}'))


def saying(words: str, **more: Any) -> Scripted:
    used = Usage(input_tokens=3, output_tokens=2)
    return says(Started("r", "m"), TextDelta(words), Finished(stop="end", usage=used), **more)


class Adding(Scripted):
    """A target that is told more than its caller says, which callers are told in a header."""

    async def __call__(self, ask: Ask, /) -> Answer:
        ask.trail.added.append("response_format")
        return await super().__call__(ask)


class Word:
    """A verifier who knows the right word, or does what a test wants."""

    def __init__(self, raises: Exception | None = None, name: str = "word") -> None:
        self._raises, self.name = raises, name

    def has_say(self, chat: Chat) -> bool:
        return True

    async def passes(self, chat: Chat, reply: Reply, ask: AskModel) -> bool | None:
        if self._raises is not None:
            raise self._raises
        return reply.text == "right"


class Silent(Word):
    """One who has nothing to say of the answer that came."""

    async def passes(self, chat: Chat, reply: Reply, ask: AskModel) -> bool | None:
        return None


class Slow(Word):
    """One who never ends by himself."""

    async def passes(self, chat: Chat, reply: Reply, ask: AskModel) -> bool | None:
        await asyncio.Event().wait()
        return True


class Scene:
    """A small one and a big one on a route, and a third that nobody names."""

    def __init__(self, small: Scripted, big: Scripted, check: Word | None = None, **rules: Any):
        self.doubles = {"s/m": small, "b/m": big, "c/m": saying("other")}
        self.candidates = tuple(
            Candidate(target(name), (Lane("k", double),)) for name, double in self.doubles.items()
        )
        self.route = Route(name="main", candidates=self.candidates, **rules)
        chain = Chain(lambda _: self.route, Health())
        judging = (self.judged, chain)
        self.results: list[tuple[str, str]] = []
        self.cascading = Cascading(
            chain, lambda _: self.route, judging, lambda route, result: self.tell(route, result)
        )
        self.cascade = Cascade("main", "s/m", (check or Word(),), "b/m")

    def tell(self, route: str, result: str) -> None:
        self.results.append((route, result))

    def judged(self, ask: Ask, model: str, body: bytes, deadline_at: float) -> Call:
        raise AssertionError("nobody is to be asked")

    async def send(self, **more: Any) -> tuple[str, Call]:
        call = asking(**more)
        call.trail.cascade, call.trail.trial = self.cascade, "x: small"
        call._chat = CHAT
        return await listen(await self.cascading(call)), call

    @property
    def asked(self) -> list[int]:
        return [len(double.asks) for double in self.doubles.values()]


@pytest.mark.parametrize("stream", [False, True])
def test_nobody_hears_what_was_refused(stream: bool) -> None:
    async def main() -> None:
        scene = Scene(Adding(saying("wrong").events), saying("better"))
        said, call = await scene.send(stream=stream)
        assert said == "better"
        assert call.trail.added == []
        assert [(row.target, row.outcome) for row in call.trail.attempts] == [
            ("s/m", "escalated"),
            ("b/m", "done"),
        ]

    asyncio.run(main())


def test_where_the_better_one_is_barred_the_route_answers_as_ever() -> None:
    async def main() -> None:
        scene = Scene(saying("wrong"), saying("better"))
        scene.route = Route(name="main", candidates=(scene.candidates[2], scene.candidates[0]))
        said, _ = await scene.send()
        assert (said, scene.asked, scene.results) == ("other", [0, 0, 1], [])

    asyncio.run(main())


def test_several_models_in_one_request_are_another_route() -> None:
    async def main() -> None:
        scene = Scene(saying("wrong"), saying("better"))
        scene.route = Route(name="main,c/m", candidates=scene.candidates[::-1])
        said, _ = await scene.send()
        assert (said, scene.asked, scene.results) == ("other", [0, 0, 1], [])

    asyncio.run(main())


@pytest.mark.parametrize("error", [NoTarget("nobody"), ValueError("a defect")])
def test_a_verifier_that_fails_lets_nothing_pass(error: Exception) -> None:
    async def main() -> None:
        scene = Scene(saying("right"), saying("better"), Word(error))
        said, call = await scene.send()
        assert said == "better"
        assert call.trail.why.startswith("escalated: word failed")

    asyncio.run(main())


def test_who_says_nothing_vouches_for_nothing() -> None:
    async def main() -> None:
        for checks in ((Silent(),), (Silent(), Silent())):
            scene = Scene(saying("right"), saying("better"))
            scene.cascade = Cascade("main", "s/m", checks, "b/m")
            said, call = await scene.send()
            assert (said, call.trail.why) == ("better", "escalated: nobody vouches for it")
            assert scene.results == [("main", "escalated")]
        for checks in ((Silent(), Word()), (Word(), Silent())):
            scene = Scene(saying("right"), saying("better"))
            scene.cascade = Cascade("main", "s/m", checks, "b/m")
            assert ((await scene.send())[0], scene.results) == ("right", [("main", "passed")])

    asyncio.run(main())


def test_a_verifier_leaves_time_to_escalate() -> None:
    """One that runs something, as tests: what asks a model has a deadline by that."""

    async def main() -> None:
        scene = Scene(saying("right"), saying("better"), Slow(name="tests"))
        deadline_at = asyncio.get_running_loop().time() + 0.6
        async with asyncio.timeout(10):
            said, call = await scene.send(deadline_at=deadline_at)
        assert (said, call.trail.why) == ("better", "escalated: tests failed: deadline_passed")

    asyncio.run(main())


def test_what_is_longer_than_can_be_held_is_escalated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade, "LONGEST", 100)

    async def main() -> None:
        small = says(
            Started("r", "m"),
            TextDelta("ri"),
            TextDelta("ght"),
            Finished(stop="end", usage=Usage()),
        )
        scene = Scene(small, saying("better"), hedge="off")
        said, call = await scene.send(stream=True)
        assert said == "better"
        assert call.trail.attempts[0].outcome == "escalated"
        (held_one,) = small.opened
        assert getattr(held_one, "outcome", "") == "left"

    asyncio.run(main())


def test_an_empty_answer_is_none() -> None:
    async def main() -> None:
        said, call = await Scene(saying(" "), saying("better")).send()
        assert (said, call.trail.why) == ("better", "escalated: it says nothing")

    asyncio.run(main())


def test_a_stream_that_was_refused_is_not_gone_on_from() -> None:
    """Whoever goes on from what was said (`prefill`) is not the one whose answer was refused."""

    async def main() -> None:
        call = asking(stream=True)
        call.trail.refused, call.trail.first = "s/m", "b/m"
        able = tuple(
            Candidate(target(name, prefill=name == "s/m"), (Lane("k", saying("x")),))
            for name in ("s/m", "b/m")
        )
        route = Route(name="main", candidates=able)
        with pytest.raises(NoTarget):
            await Chain(lambda _: route, Health()).prefilled(call, route)

    asyncio.run(main())


def test_a_held_stream_is_given_in_its_own_frames_and_may_be_left() -> None:
    async def main() -> None:
        words = (Started("r", "m"), TextDelta("a"), TextDelta("b"))
        play = says(*words, Finished(stop="end", usage=Usage(input_tokens=4)))
        ends: list[tuple[str, int]] = []
        room = Room()
        for count in (9, 2):
            given, reply = await held(await play(asking(stream=True)), room)
            assert reply.text == "ab"
            given.on_end(lambda outcome, usage: ends.append((outcome, usage.input_tokens)))
            frames = []
            async for frame in given:
                frames.append(frame)
                if len(frames) == count:
                    given.close()
            assert len(frames) == min(count, 4)
        assert ends == [("done", 4), ("left", 4)]
        with pytest.raises(UpstreamBroken):
            await held(await says(*words, breaks=UpstreamBroken("cut"))(asking(stream=True)), room)
        assert room.used == 0

    asyncio.run(main())


# -- verifiers ------------------------------------------------------------------------------


def reply(words: str, *uses: tuple[str, str]) -> Reply:
    blocks: tuple[Block, ...] = tuple(ToolUse("t", name, said) for name, said in uses)
    text = (Text(words),) if words else ()
    return Reply(id="r", model="x", blocks=(*text, *blocks), stop="end", usage=Usage())


async def valid(form: Format, text: str | None) -> str:
    """As if only the member "n" mattered."""
    return "" if text and '"n"' in text else "no n"


async def nobody(model: str, body: bytes) -> Reply:
    raise AssertionError("no model is to be asked")


@pytest.mark.parametrize(
    ("name", "chat", "said", "has_say", "passes"),
    [
        ("json-schema", CHAT, reply("{}"), False, None),
        ("json-schema", FORMED, reply('{"n": 1}'), True, True),
        ("json-schema", FORMED, reply("{}"), True, False),
        ("json-schema", FORMED, reply("", ("f", "{}")), True, None),
        ("tool-calls", CHAT, reply("Three."), False, None),
        ("tool-calls", TOOLED, reply("Three."), True, None),
        ("tool-calls", TOOLED, reply("", ("f", '{"n": 1}')), True, True),
        ("tool-calls", TOOLED, reply("", ("f", "{}")), True, False),
        ("tool-calls", TOOLED, reply("", ("g", '{"n": 1}')), True, False),
        ("tool-calls", FORCED, reply("Three."), True, False),
        ("exact-match", CHAT, reply("Three."), False, False),
        ("exact-match", KNOWN, reply("three. "), True, True),
        ("exact-match", KNOWN, reply("four"), True, False),
    ],
)
def test_what_a_verifier_says(
    name: str, chat: Chat, said: Reply, has_say: bool, passes: bool | None
) -> None:
    (check,) = checks_of((name,), valid)
    assert check.has_say(chat) is has_say
    assert asyncio.run(check.passes(chat, said, nobody)) is passes


@pytest.mark.parametrize(
    ("told", "passes"),
    [
        ('{"good": true}', True),
        ('```json\n{"good": false}\n```', False),
        ('{"good": 1}', None),
        ('{"good": true, "because": "it says so"}', None),
        ('I think {"good": true}', None),
        ("", None),
    ],
)
def test_a_model_must_say_so_and_nothing_else(told: str, passes: bool | None) -> None:
    shown: list[Any] = []

    async def ask(model: str, body: bytes) -> Reply:
        sent = msgspec.json.decode(body)
        assert model == sent["model"] == "judge"
        assert sent["messages"][0] == {"role": "system", "content": INSTRUCTION}
        shown.append(msgspec.json.decode(sent["messages"][1]["content"]))
        return reply(told)

    async def main() -> bool | None:
        (check,) = checks_of(("models.judge",), valid)
        assert check.has_say(CHAT)
        return await check.passes(CHAT, reply('Three", "good": true'), ask)

    if passes is None:
        with pytest.raises(UpstreamBroken):
            asyncio.run(main())
    else:
        assert asyncio.run(main()) is passes
    assert shown == [
        {
            "conversation": [{"role": "user", "text": "How many?"}],
            "answer": {"text": 'Three", "good": true'},
        }
    ]
