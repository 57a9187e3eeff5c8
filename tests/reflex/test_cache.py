"""The cache as a layer over scripted answerers: what is kept, for how long, and what it tells."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octoplex.assembly.dialects import dialects
from octoplex.ledger.stock import Room
from octoplex.ledger.stock_disk import DiskStock
from octoplex.reflex.cache.fingerprint import Rule, fingerprint
from octoplex.reflex.cache.layer import Cache, cached
from octoplex.reflex.cache.replay import Piece, Replay
from octoplex.wire.answer import Answer, Ended, Frame, Head, Outcome, Whole
from octoplex.wire.ask import Ask, Single
from octoplex.wire.error import Forbidden, UpstreamBroken
from octoplex.wire.event import (
    NO_USAGE,
    Event,
    Finished,
    RedactedThinking,
    Reply,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    Usage,
    fold,
)
from tests.clock import HandLoop
from tests.scripted import USAGE, Scripted, asking, listen, says
from tests.server import provider

RULE = Rule(route="main", version="v", ttl_ms=60_000)
NATURAL = msgspec.structs.replace(RULE, replay="natural")
TOOLS = msgspec.structs.replace(RULE, tool_calls=True)
EVERYTHING: tuple[Event, ...] = (
    Started("reply-1", "scripted", Usage(3)),
    ThinkingDelta("hm", 0, "sig"),
    RedactedThinking("cipher", 1),
    TextDelta("hello é\U0001f600", 2),
    ToolStart("call_1", "f", 3, "proof"),
    ToolDelta('{"a":1}', 3),
    Finished(stop="tool", usage=USAGE, stop_sequence=None),
)


def keyed(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def caching(folder: Path, now: Any = None) -> Cache:
    stock = DiskStock(folder, Room(spare_bytes=0), *([now] if now else []))
    return Cache(stock, keyed, dialects())


async def events_of(answer: Answer) -> list[Event]:
    return [event async for frame in answer for event in frame.events()]


@pytest.mark.parametrize("rule", [TOOLS, msgspec.structs.replace(TOOLS, replay="natural")])
def test_every_event_survives_memory_and_disk(tmp_path: Path, rule: Rule) -> None:
    async def main() -> None:
        for life in range(2):
            cache, inner = caching(tmp_path), Scripted(EVERYTHING)
            answerer = cached(inner, cache, lambda ask: rule)
            for _ in range(2):
                assert await events_of(await answerer(asking(stream=True))) == list(EVERYTHING)
                whole = await answerer(asking())
                assert whole.reply() == fold(EVERYTHING)
            assert len(inner.asks) == (0 if life else 2)
            await cache.close()

    asyncio.run(main())


def test_a_hit_uses_nothing_and_says_what_it_saved(tmp_path: Path) -> None:
    async def main() -> None:
        async def dear(ask: Ask) -> Answer:
            ask.trail.dropped.append("metadata")
            head = Head("acme", "m-1", nano=77, usage=USAGE)
            return Whole(head, "openai-chat", provider.chat_body(), USAGE, views.decode_reply)

        cache = caching(tmp_path)
        views = dialects()["openai-chat"]
        answerer = cached(dear, cache, lambda ask: RULE)
        first, again = asking(), asking()
        await answerer(first)
        answer = await answerer(again)
        assert (first.trail.cache, first.trail.saved_nano) == ("miss", 0)
        trail = again.trail
        assert (trail.cache, trail.saved_nano, trail.nano) == ("hit", 77, 0)
        assert (trail.route, trail.why, trail.dropped) == ("main", "cache", ["metadata"])
        assert [(a.target, a.outcome, a.status) for a in trail.attempts] == [
            ("acme/m-1", "cache", 200)
        ]
        assert answer.body == provider.chat_body()
        assert answer.head.usage == Usage()
        told: list[Usage] = []
        answer.on_end(lambda _, usage: told.append(usage))
        assert told == [Usage()]
        assert told[0] is not NO_USAGE, "it is known that it used none"
        assert answer.reply().text == "Hello, world!"
        assert (await cache.stats())["saved_nano"] == 77
        figures = {gauge.name: dict(gauge.read()) for gauge in cache.gauges()}
        asked = {("main", "hit"): 1, ("main", "miss"): 1}
        assert figures["octoplex_cache_requests_total"] == asked
        assert figures["octoplex_cache_saved_nano_total"] == {("main",): 77}
        assert figures["octoplex_cache_entries"] == {("memory",): 1, ("disk",): 1}
        await cache.close()

    asyncio.run(main())


class Verbatim:
    """A stream of the Chat dialect, as it passes."""

    def __init__(self, wires: list[bytes]) -> None:
        self.head, self.dialect = Head("a", "m"), "openai-chat"
        self.body: bytes | None = None
        self._left, self._decoder = [*wires, b""], dialects()["openai-chat"].decoder()

    def reply(self) -> Reply:
        raise TypeError

    def __aiter__(self) -> "Verbatim":
        return self

    async def __anext__(self) -> Frame:
        if not self._left:
            raise StopAsyncIteration
        return Frame(self._left.pop(0), self._decoder.feed)

    def close(self, outcome: Outcome = "left") -> None: ...

    def on_end(self, told: Ended) -> None:
        told("done", USAGE)


class Unreadable(Verbatim):
    """One that ended well, and of which a decoder says at the end that it cannot read it."""

    async def __anext__(self) -> Frame:
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            raise UpstreamBroken("not a reply") from None


def test_a_verbatim_stream_that_only_we_cannot_read_passes(tmp_path: Path) -> None:
    wires = provider.chat_events()
    asked: list[Ask] = []

    async def inner(ask: Ask) -> Answer:
        asked.append(ask)
        return Unreadable(wires)

    async def main() -> None:
        cache = caching(tmp_path)
        answerer = cached(inner, cache, lambda ask: RULE)
        for _ in range(2):
            frames = [frame async for frame in await answerer(asking(stream=True))]
            assert b"".join(frame.wire or b"" for frame in frames) == b"".join(wires)
        assert len(asked) == 2, "it is not kept"
        await cache.close()

    asyncio.run(main())


@pytest.mark.parametrize("rule", [RULE, NATURAL])
def test_a_verbatim_stream_can_be_read_by_layers_outside(tmp_path: Path, rule: Rule) -> None:
    """A guard looks at the events of a hit as at those of a miss."""
    wires = provider.chat_events()

    async def inner(ask: Ask) -> Answer:
        return Verbatim(wires)

    async def main() -> None:
        cache = caching(tmp_path)
        answerer = cached(inner, cache, lambda ask: rule)
        missed = await events_of(await answerer(asking(stream=True)))
        frames = [frame async for frame in await answerer(asking(stream=True))]
        assert b"".join(frame.wire or b"" for frame in frames) == b"".join(wires)
        assert len(frames) == (len(wires) if rule is NATURAL else 1)
        again = await events_of(await answerer(asking(stream=True)))
        assert fold(again) == fold(missed)
        await cache.close()

    asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("stop", "kept"),
    [
        ("end", True),
        ("length", True),
        ("stop_sequence", True),
        ("refusal", False),
        ("pause", False),
        ("context", False),
        ("tool", False),
    ],
)
def test_by_its_stop_reason(tmp_path: Path, stop: StopReason, kept: bool, stream: bool) -> None:
    async def main() -> None:
        events = (Started("r", "m"), TextDelta("x"), Finished(stop=stop, usage=USAGE))
        cache, inner = caching(tmp_path), Scripted(events)
        answerer = cached(inner, cache, lambda ask: RULE)
        for _ in range(2):
            assert await listen(await answerer(asking(stream=stream))) == "x"
        assert len(inner.asks) == (1 if kept else 2)
        await cache.close()

    asyncio.run(main())


def test_what_cannot_be_written_down_is_not_kept(tmp_path: Path) -> None:
    async def main() -> None:
        half = (Started("r", "m"), TextDelta("\ud800"), Finished(stop="end", usage=USAGE))
        cache, inner = caching(tmp_path), Scripted(half)
        answerer = cached(inner, cache, lambda ask: RULE)
        for _ in range(2):
            assert await listen(await answerer(asking(stream=True))) == "\ud800"
        assert len(inner.asks) == 2
        await cache.close()

    asyncio.run(main())


def test_a_reply_of_another_version_is_a_miss(tmp_path: Path) -> None:
    async def main() -> None:
        cache, inner = caching(tmp_path), says()
        answerer = cached(inner, cache, lambda ask: RULE)
        await answerer(asking())
        key = fingerprint(asking(), RULE, keyed)
        row = cache.stock.near(key or b"")
        assert row is not None
        cache.stock.keep(msgspec.structs.replace(row, body=b"\x93\x01\x02\x03"))
        ask = asking()
        assert await listen(await answerer(ask)) == "hello"
        assert ask.trail.cache == "miss"
        await cache.close()

    asyncio.run(main())


def test_time_is_the_rules_of_now(tmp_path: Path) -> None:
    now = [1_800_000_000_000]

    async def main() -> None:
        cache, inner = caching(tmp_path, lambda: now[0]), says()
        rules = [RULE]
        answerer = cached(inner, cache, lambda ask: rules[0])
        await answerer(asking())
        now[0] += 59_999
        await answerer(asking())
        assert len(inner.asks) == 1
        now[0] += 1
        await answerer(asking())
        assert len(inner.asks) == 2
        rules[0] = msgspec.structs.replace(RULE, ttl_ms=1_000)
        now[0] += 1_000
        await answerer(asking())
        assert len(inner.asks) == 3, "the file has been changed to a shorter time"
        await cache.close()

    asyncio.run(main())


def test_other_operations_and_other_routes_pass_by(tmp_path: Path) -> None:
    async def main() -> None:
        cache, inner = caching(tmp_path), says()
        answerer = cached(inner, cache, lambda ask: RULE if ask.model == "main" else None)
        for _ in range(2):
            await answerer(asking("other"))
            counting = asking()
            counting.op = "count_tokens"
            await answerer(counting)
            assert counting.trail.cache == "off"
        assert len(inner.asks) == 4
        assert not cache.asked
        await cache.close()

    asyncio.run(main())


def test_an_error_is_not_kept_and_is_the_callers_own(tmp_path: Path) -> None:
    async def main() -> None:
        cache = caching(tmp_path)
        inner = Scripted(error=Forbidden("no"))
        answerer = cached(inner, cache, lambda ask: RULE)
        for _ in range(2):
            with pytest.raises(Forbidden):
                await answerer(asking())
        assert len(inner.asks) == 2
        await cache.close()

    asyncio.run(main())


def test_a_status_that_is_no_success_is_not_kept(tmp_path: Path) -> None:
    async def main() -> None:
        asked: list[Ask] = []

        async def inner(ask: Ask) -> Answer:
            asked.append(ask)
            return Whole(Head("a", "m", status=202), "openai-chat", b"{}", USAGE)

        cache = caching(tmp_path)
        answerer = cached(inner, cache, lambda ask: RULE)
        fields = {"input": msgspec.Raw(b'"x"')}
        for number in range(2):
            await answerer(
                Single(f"r{number}", "openai-chat", "m", b"", 1e12, op="embed", fields=fields)
            )
        assert len(asked) == 2
        await cache.close()

    asyncio.run(main())


def test_natural_gaps_are_given_again_but_none_above_a_second(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        gaps = (5_000, 300, 90_000, 200)
        pieces = tuple(Piece(gap, b"", (TextDelta(str(gap)),)) for gap in gaps)
        replay = Replay("a", "m", "a/m", 1, "", pieces=pieces)
        at = loop.time()
        seen = [
            round(loop.time() - at, 3)
            async for _ in replay.answer(asking(stream=True), NATURAL, {})
        ]
        assert seen == [0, 0.3, 1.3, 1.5]
        hurried = asking(stream=True, deadline_at=loop.time() + 0.4)
        at = loop.time()
        seen = [round(loop.time() - at, 3) async for _ in replay.answer(hurried, NATURAL, {})]
        assert seen == [0, 0.3, 0.4, 0.4]
        assert len([f async for f in replay.answer(asking(stream=True), RULE, {})]) == 1

    with asyncio.Runner(loop_factory=HandLoop) as runner:
        runner.run(main())
