"""Where no rescue is tried, where it is given up, and what it leaves behind."""

import asyncio
from collections import deque
from pathlib import Path

import pytest

from octoplex.ledger import Page
from octoplex.routing.rescue.layer import CLAIM, Room, Watched
from octoplex.routing.rescue.sequel import Way, sum_of
from octoplex.wire.answer import Frame, Head
from octoplex.wire.ask import Attempt
from octoplex.wire.error import UpstreamBroken
from octoplex.wire.event import NO_USAGE, Finished, TextDelta, Usage
from tests.clock import run
from tests.routing.rescue.scene import (
    FACES,
    RESCUE,
    ask,
    at_one,
    at_two,
    body_of,
    broken,
    heard,
    whole,
)
from tests.routing.rescue.telling import BILL, Block, call, tell, text
from tests.routing.roads import Road, candidate
from tests.scripted import Scripted, Streamed, asking, in_turn, says
from tests.server import caller
from tests.server.caller import comments
from tests.server.gate import APP_KEY, until
from tests.server.provider import nano
from tests.upstream_server import Exchange, Play, head
from tests.upstream_server import says as replies

WORDS = "Hello there, how do you do?"
QUICK = "retry = { backoff_s = 0.05 }"
CHAT = "openai-chat"


def begun(dialect: str = CHAT, count: int = 6, words: str = WORDS) -> list[bytes]:
    return tell(dialect, [text(words)], "one", 3)[:count]


def again(dialect: str = CHAT, blocks: tuple[Block, ...] = (text(WORDS),)) -> Play:
    return whole(tell(dialect, blocks, "two", 4))


@pytest.mark.parametrize(
    ("more", "members"),
    [
        ('rescue = "off"', {}),
        ("retry = { attempts = 1 }", {}),
        (QUICK, {"n": 2}),
        (QUICK, {"logprobs": True}),
        (QUICK, {"web_search_options": {}}),
    ],
    ids=["off", "asked once", "choices", "log probabilities", "provider's tools"],
)
def test_nothing_is_asked_again(tmp_path: Path, more: str, members: dict[str, object]) -> None:
    async def main() -> None:
        async with at_one(tmp_path, CHAT, [broken(begun()), again()], more) as (gate, up):
            reply = await ask(gate, CHAT, **members)
            assert heard(reply, CHAT, failed=True)["text"] == "Hello there, ho"[:15]
            assert len(up.book) == 1
            assert not [c for c in comments(reply.body) if c.startswith(RESCUE)]
            await gate.rows(1)

    asyncio.run(main())


@pytest.mark.parametrize(
    "chunk",
    [
        b'{"choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[]}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"x","annotations":[{"type":"url"}]}}]}',
        b'{"choices":[{"index":0,"delta":{"audio":{"id":"a"}}}]}',
    ],
)
def test_what_no_event_says_cannot_be_gone_on_from(tmp_path: Path, chunk: bytes) -> None:
    async def main() -> None:
        plays = [broken([*begun(), b"data: " + chunk + b"\n\n"]), again()]
        async with at_one(tmp_path, CHAT, plays, QUICK) as (gate, up):
            reply = await ask(gate, CHAT)
            assert b'"error":{' in reply.body
            assert len(up.book) == 1
            await gate.rows(1)

    asyncio.run(main())


def test_a_stall_where_there_is_no_further_target_fails(tmp_path: Path) -> None:
    async def main() -> None:
        plays = [broken(begun(), "stall"), again()]
        async with at_one(tmp_path, CHAT, plays, QUICK) as (gate, up):
            reply = await ask(gate, CHAT)
            assert heard(reply, CHAT, failed=True)["error"]["octoplex"]["code"] == "upstream_slow"
            assert len(up.book) == 1
            await gate.rows(1)

    asyncio.run(main())


@pytest.mark.parametrize("when", ["before it answers", "while it repeats", "while it goes on"])
def test_a_caller_who_leaves_during_a_rescue(tmp_path: Path, when: str) -> None:
    """Everything that is open closes, and is settled (`inside` looks for what is left open)."""
    repeated = {"before it answers": 0, "while it repeats": 4, "while it goes on": 9}[when]

    async def silent(exchange: Exchange) -> None:
        exchange.bill(20, 1)
        if repeated:
            exchange.send(head(200, [("content-type", "text/event-stream")]))
            exchange.send(b"".join(begun(count=repeated)))
        await exchange.stall()

    async def main() -> None:
        patient = f"{QUICK}\ntimeouts = {{ header_s = 9.0, idle_s = 9.0 }}"
        async with at_one(tmp_path, CHAT, [broken(begun()), silent], patient) as (gate, up):
            async with gate.line() as line:
                path, body = body_of(CHAT, "main")
                line.send(caller.request("POST", path, body))
                await line.head()
                await line.until(b'"w d' if repeated == 9 else b'" ho')
                await until(lambda: len(up.book) == 2)
                line.leave()
                await until(lambda: up.book[1].closed_at is not None)
            rows = await gate.rows(2)
            assert [r["outcome"] for r in rows] == ["cut", "left"]

    asyncio.run(main())


def test_the_deadline_of_the_call_holds(tmp_path: Path) -> None:
    async def silent(exchange: Exchange) -> None:
        exchange.bill(20, 1)
        await exchange.stall()

    async def main() -> None:
        more = f"{QUICK}\ndeadline_s = 1.5\ntimeouts = {{ header_s = 9.0 }}"
        async with at_one(tmp_path, CHAT, [broken(begun()), silent], more) as (gate, up):
            found = heard(await ask(gate, CHAT), CHAT, failed=True)
            assert found["error"]["octoplex"]["code"] == "deadline_passed"
            await until(lambda: up.book[1].closed_at is not None)
            await gate.rows(2)

    asyncio.run(main())


def test_a_long_stream_is_forgotten(tmp_path: Path) -> None:
    words = "so it goes on " * 90_000

    async def main() -> None:
        told = tell(CHAT, [text(words)], "one", 9_000)
        plays = [broken(told[:-4], "close"), whole(told)]
        async with at_one(tmp_path, CHAT, plays, QUICK) as (gate, up):
            reply = await ask(gate, CHAT)
            assert b'"error":{' in reply.body
            assert len(up.book) == 1
            await gate.rows(1)

    asyncio.run(main())


def test_the_room_is_shared() -> None:
    room = Room(each=2 * CLAIM, all=3 * CLAIM)
    one = room.claim(room.claim(0))
    assert (one, room.claim(one)) == (2 * CLAIM, 2 * CLAIM)
    other = room.claim(0)
    assert (other, room.claim(other), room.used) == (CLAIM, CLAIM, 3 * CLAIM)


@pytest.mark.parametrize("ends", ["closed", "too long"])
def test_a_stream_gives_its_room_back(ends: str) -> None:
    async def main() -> None:
        room = Room(each=2 * CLAIM)
        pieces = [Frame(b"x" * CLAIM, events=[TextDelta("x")]) for _ in range(4)]
        inner = Told(pieces if ends == "too long" else pieces[:2])
        way = Way(None, None, None, None)  # type: ignore[arg-type]
        told = Watched(inner, asking(stream=True), way, room)  # type: ignore[arg-type]
        used = [room.used async for _ in told]
        assert max(used) == 2 * CLAIM
        assert used[-1] == (0 if ends == "too long" else 2 * CLAIM)
        told.close()
        told.close()
        assert room.used == 0

    asyncio.run(main())


@pytest.mark.parametrize("most", [2, 9])
def test_what_goes_on_is_remembered_in_the_same_room(most: int) -> None:
    async def main() -> None:
        room = Room(each=most * CLAIM)
        more = [TextDelta("x" * CLAIM) for _ in range(4)]
        goes_on = Scripted([TextDelta("so "), *more], breaks=UpstreamBroken("cut again"))
        ends = Scripted([TextDelta("so "), *more, Finished(stop="end", usage=NO_USAGE)])
        road = Road(candidate("a/m", in_turn(goes_on, ends)), candidate("b/m", says()))
        call = asking(stream=True)
        call.trail.attempts.append(Attempt("a/m", "k1", "cut"))
        inner = Told([Frame(b"so ", events=[TextDelta("so ")])], UpstreamBroken("cut"))
        way = Way(road.chain, road.route, None, None)  # type: ignore[arg-type]
        told = Watched(inner, call, way, room)  # type: ignore[arg-type]
        used: list[int] = []
        try:
            async for _ in told:
                used.append(room.used)  # noqa: PERF401 - what there was before the break counts
        except UpstreamBroken:
            assert most == 2, "it was too long to be asked for once more"
        assert max(used) == min(most, 5) * CLAIM
        assert len(ends.asked_at) == (0 if most == 2 else 1)
        assert room.used == 0

    run(main())


class Told(Streamed):
    """A double that gives these frames, and then breaks, or has no end of its own."""

    def __init__(self, frames: list[Frame], breaks: UpstreamBroken | None = None) -> None:
        super().__init__(Head("scripted", "m"), ())
        self._frames, self._breaks = frames, breaks

    async def __anext__(self) -> Frame:
        if self._frames:
            return self._frames.pop(0)
        if self._breaks is not None:
            raise self._breaks
        raise StopAsyncIteration


def test_usage_adds_up() -> None:
    one, other = Usage(1, 2, 3, 4, 5, 6), Usage(10, 20, 30, 40, 50, 60, estimated=True)
    assert sum_of(one, other) == Usage(11, 22, 33, 44, 55, 66, estimated=True)
    assert sum_of(NO_USAGE, other) is other
    assert sum_of(one, NO_USAGE) is one


@pytest.mark.parametrize("face", FACES)
def test_a_guard_above_reads_one_stream(tmp_path: Path, face: str) -> None:
    """What it masks lies across the break."""
    words = "Write to ana.lopez@example.com or to nobody."

    async def main() -> None:
        first = tell(face, [text(words)], "one", 3)
        upto = next(i for i, e in enumerate(first) if b"@ex" in e or b'"z@e' in e or b"ez@" in e)
        plays = [broken(first[: upto + 1]), whole(tell(face, [text(words)], "two", 5))]
        more = f'{QUICK}\n[models.main.guard]\npii = {{ email = "mask" }}'
        async with at_one(tmp_path, face, plays, more) as (gate, up):
            found = heard(await ask(gate, face), face)
            assert "ana" not in found["text"]
            assert found["text"].startswith("Write to ")
            assert found["text"].endswith(" or to nobody.")
            assert len(up.book) == 2
            await gate.rows(2)

    asyncio.run(main())


@pytest.mark.parametrize("face", FACES)
def test_what_a_guard_holds_at_a_break_is_not_the_end(tmp_path: Path, face: str) -> None:
    """It is given, and then the caller is told of the break."""
    words = "Write to ana.lopez@example.com or to nobody."

    async def main() -> None:
        first = tell(face, [text(words)], "one", 3)
        upto = next(i for i, e in enumerate(first) if b"ana" in e or b" an" in e)
        more = 'rescue = "off"\n[models.main.guard]\npii = { email = "mask" }'
        async with at_one(tmp_path, face, [broken(first[: upto + 2])], more) as (gate, _):
            found = heard(await ask(gate, face), face, failed=True)
            assert found["text"].startswith("Write to an")
            await gate.rows(1)

    asyncio.run(main())


def test_replies_that_are_blocked_are_no_failures_of_their_provider(tmp_path: Path) -> None:
    """Else whoever asks for an address five times takes a target away from everybody."""
    told = tell(CHAT, [text("Write to ana.lopez@example.com or to nobody. " * 40)], "one", 9)

    async def main() -> None:
        more = '[models.main.guard]\npii = { email = "block" }'
        async with at_one(tmp_path, CHAT, [whole(told)], more) as (gate, up):
            for _ in range(6):
                reply = await ask(gate, CHAT)
                assert b'"guard_blocked"' in reply.body
            assert len(up.book) == 6
            (state,) = gate.works.health.targets.values()
            assert state.breaker.closed
            assert not state.host.marred
            assert {row["outcome"] for row in await gate.rows(6)} <= {"left", "done"}

    asyncio.run(main())


def test_what_is_refused_after_content_is_no_failure_of_its_provider(tmp_path: Path) -> None:
    refused = b'{"error":{"type":"invalid_request_error","code":"content_filter"}}'
    busy = b'{"error":{"type":"rate_limit_error","code":"rate_limit_exceeded"}}'
    down = b'{"error":{"type":"server_error"}}'

    async def main() -> None:
        async with at_one(tmp_path, CHAT, [whole([])], "retry = { attempts = 1 }") as (gate, up):
            for error, closed in ((refused, True), (busy, True), (down, False)):
                up.plays = deque([whole([*begun(), b"data: %b\n\n" % error])])
                for _ in range(6):
                    assert heard(await ask(gate, CHAT), CHAT, failed=True)["text"]
                (state,) = gate.works.health.targets.values()
                assert state.breaker.closed is closed, error

    asyncio.run(main())


@pytest.mark.parametrize("face", FACES)
def test_a_cache_keeps_a_rescued_reply_whole(tmp_path: Path, face: str) -> None:
    async def main() -> None:
        plays = [broken(begun(face, 8)), again(face)]
        more = f'{QUICK}\n[models.main.cache]\nttl = "1 h"'
        async with at_one(tmp_path, face, plays, more) as (gate, up):
            for _ in range(2):
                assert heard(await ask(gate, face), face)["text"] == WORDS
            assert len(up.book) == 2
            await gate.rows(2)

    asyncio.run(main())


def test_what_was_asked_beside_takes_none_of_its_attempts(tmp_path: Path) -> None:
    """The provider has made a vector before it was asked; a hit saves what the whole reply cost."""
    vector = replies(b'{"data":[{"embedding":[0.6,0.8]}],"usage":{"prompt_tokens":3}}')

    async def main() -> None:
        more = 'retry = { backoff_s = 0.05, attempts = 2 }\n[models.main.cache]\nttl = "1 h"\n'
        more += 'semantic = { model = "a/e" }'
        async with at_one(tmp_path, CHAT, [vector, broken(begun()), again()], more) as (gate, up):
            for _ in range(2):
                assert heard(await ask(gate, CHAT), CHAT)["text"] == WORDS
            assert len(up.book) == 3
            rows = await gate.rows(3)
            await gate.works.store.drain()
            hit, _ = gate.works.store.reader.requests(Page())
            assert (hit.cache, hit.saved_nano) == ("hit", rows[-1]["nano"])
            assert rows[-1]["nano"] == nano(BILL)

    asyncio.run(main())


@pytest.mark.parametrize("face", FACES)
def test_tool_calls_of_a_second_telling_have_its_ids_only_where_they_are_new(
    tmp_path: Path, face: str
) -> None:
    blocks = (call("look", '{"at": "sky"}'), call("hear", '{"at": "sea"}'))
    told = tell(face, blocks, "one", 4)
    upto = next(i for i, e in enumerate(told) if b"hear" in e)

    async def main() -> None:
        plays = [broken(told[:upto]), again(face, blocks)]
        async with at_one(tmp_path, face, plays, QUICK) as (gate, _):
            found = heard(await ask(gate, face), face)
            assert [tool[0] for tool in found["tools"].values()] == ["look", "hear"]
            assert "one" in found["ids"][0]
            assert "two" in found["ids"][1]
            await gate.rows(2)

    asyncio.run(main())


def test_a_budget_that_is_spent_ends_the_rescue(tmp_path: Path) -> None:
    """The first ask used up nearly all of it: the second is not made, the break is told."""

    async def main() -> None:
        keys = '[keys.app]\nsecret = "env:APP_KEY"\nlimits = "$0.00097/day"\n'
        more = f"{QUICK}\n{keys}"
        async with at_one(tmp_path, CHAT, [broken(begun()), again()], more) as (gate, up):
            path, body = body_of(CHAT, "main", max_tokens=90)
            headers = [("authorization", f"Bearer {APP_KEY}")]
            reply = await caller.ask(gate.port, "POST", path, body, headers)
            assert heard(reply, CHAT, failed=True)["error"]["octoplex"]["code"] == (
                "bad_upstream_response"
            )
            assert len(up.book) == 1

    asyncio.run(main())


@pytest.mark.parametrize("end", ["reset", "stall"])
def test_a_rescue_counts_in_the_retry_budget(tmp_path: Path, end: str) -> None:
    """After a cut and after a stall: with nothing left of it, the stream fails."""

    async def main() -> None:
        first, then = (CHAT, [broken(begun(), end)]), ("anthropic", [again("anthropic")])
        async with at_two(tmp_path, first, then, QUICK) as (gate, up, beside):
            health = gate.works.health
            while health.retries.take(health.now(), 0.2, 3.0):
                pass
            assert heard(await ask(gate, CHAT), CHAT, failed=True)["text"]
            assert (len(up.book), len(beside.book)) == (1, 0)
            await gate.rows(1)

    asyncio.run(main())
