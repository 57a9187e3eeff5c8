"""What becomes of a broken stream besides the splice: stalls, other replies, limits, money."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from octoplex.ledger import Page
from octoplex.ledger.rows import Record
from tests.routing.rescue.scene import FACES, RESCUE, ask, at_one, at_two, broken, heard, whole
from tests.routing.rescue.telling import call, tell, text, think
from tests.server.caller import comments, events
from tests.server.gate import route, until
from tests.server.inside import Inside, inside
from tests.upstream_server import Exchange, Play, Upstream, head, says, streams

WORDS = "Hello there, how do you do?"
QUICK = "retry = { backoff_s = 0.05 }"
CHAT = "openai-chat"


def cut_at(dialect: str, words: str, by: str = "one", letters: int = 12) -> list[bytes]:
    """A stream's events up to `letters` letters of its text, three by three."""
    kinds = (b"output_text.delta", b"text_delta", b'"content": "', b'"text": "')
    found, said = [], 0
    for event in tell(dialect, [text(words)], by, 3):
        if said >= letters:
            break
        found.append(event)
        if any(kind in event for kind in kinds) and b'"content": ""' not in event:
            said += 3 if b'"text": ""' not in event else 0
    return found


def record_of(gate: Inside) -> Record:
    (record,) = gate.works.store.reader.requests(Page(limit=10))
    return record


@pytest.mark.parametrize("face", FACES)
def test_after_a_stall_the_next_target_goes_on(tmp_path: Path, face: str) -> None:
    async def main() -> None:
        first = [broken(cut_at(face, WORDS), "stall")]
        other = "anthropic" if face == CHAT else CHAT
        then = [whole(tell(other, [text(WORDS)], "two", 7))]
        async with at_two(tmp_path, (face, first), (other, then), QUICK) as (gate, up, beside):
            reply = await ask(gate, face)
            assert heard(reply, face)["text"] == WORDS
            assert (len(up.book), len(beside.book)) == (1, 1)
            await gate.rows(2)
            record = record_of(gate)
            assert record.target.endswith("2/m")
            assert record.why.startswith("splice after ")
            assert record.why.endswith("upstream_slow")

    asyncio.run(main())


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("dialect", [CHAT, "anthropic"])
def test_another_reply_ends_at_its_first_other_letter(
    tmp_path: Path, face: str, dialect: str
) -> None:
    """The second ask is cancelled there, and settled for what it had used."""

    async def main() -> None:
        other = tell(dialect, [text("Hello thus, " + "and so on " * 400)], "two", 3)
        first = tell(dialect, [text(WORDS)], "one", 3)[: 6 if dialect == CHAT else 8]

        async def endless(exchange: Exchange) -> None:
            exchange.bill(20, 3)
            exchange.send(head(200, [("content-type", "text/event-stream")]))
            for event in other[:10]:
                exchange.send(event)
            await exchange.stall()

        plays: list[Play] = [broken(first), endless]
        async with at_one(tmp_path, dialect, plays, QUICK) as (gate, up):
            reply = await ask(gate, face)
            found = heard(reply, face, failed=True)
            assert WORDS.startswith(found["text"])
            await until(lambda: up.book[1].closed_at is not None)
            cut, left = await gate.rows(2)
            assert (cut["outcome"], left["outcome"]) == ("cut", "left")
            assert left["estimated"]
            assert 0 < left["nano"] < left["reserved_nano"]
            record = record_of(gate)
            assert record.outcome == "cut"
            assert [a.outcome for a in record.attempts] == ["cut", "diverged"]
            assert record.nano == cut["nano"] + left["nano"]
            if face != "gemini":
                assert RESCUE + "diverged" in comments(reply.body)

    asyncio.run(main())


@pytest.mark.parametrize("face", FACES)
def test_a_second_break_is_rescued_too(tmp_path: Path, face: str) -> None:
    async def main() -> None:
        plays = [
            broken(cut_at(face, WORDS)),
            broken(cut_at(face, WORDS, "two", 18), billed=(20, 6)),
            whole(tell(face, [text(WORDS)], "three", 2)),
        ]
        async with at_one(tmp_path, face, plays, QUICK) as (gate, up):
            reply = await ask(gate, face)
            assert heard(reply, face)["text"] == WORDS
            assert len(up.book) == 3
            rows = await gate.rows(3)
            assert [r["outcome"] for r in rows] == ["cut", "cut", "done"]

    asyncio.run(main())


@pytest.mark.parametrize("face", FACES)
def test_when_all_attempts_break_the_failure_is_in_band(tmp_path: Path, face: str) -> None:
    async def main() -> None:
        plays = [broken(cut_at(face, WORDS))]
        async with at_one(tmp_path, face, plays, QUICK) as (gate, up):
            reply = await ask(gate, face)
            found = heard(reply, face, failed=True)
            assert found["text"] == WORDS[:12]
            assert len(up.book) == 3
            await gate.rows(3)
            assert record_of(gate).outcome == "cut"
            if face != "gemini":  # it was tried, and in vain
                assert RESCUE + "failed" in comments(reply.body)

    asyncio.run(main())


@pytest.mark.parametrize("face", FACES)
def test_thinking_and_a_tool_call_go_on(tmp_path: Path, face: str) -> None:
    """Cut at every event: either it goes on and says all of it once, or it fails as ever."""
    blocks = [think("Let me see."), text("I look."), call("weather", '{"city": "Oslo"}')]
    told = tell(face, blocks, "one", 4)

    async def main() -> None:
        again = whole(tell(face, blocks, "two", 3))
        rescued = 0
        plays: list[Play] = []
        ends = range(3, len(told) - 2)
        for end in ends:
            plays += [broken(told[:end]), again]
        more = "retry = { backoff_s = 0.01, attempts = 2 }"
        async with at_one(tmp_path, face, plays, more, len(told)) as (gate, up):
            for end in ends:
                reply = await ask(gate, face, f"main{end}")
                if b'"error":{' in reply.body:
                    heard(reply, face, failed=True)
                    up.plays.popleft()
                    continue
                rescued += 1
                found = heard(reply, face)
                said = (found["think"], found["text"], [*found["tools"].values()])
                assert said == ("Let me see.", "I look.", [["weather", '{"city": "Oslo"}']]), end
                assert len(found["ids"]) == 1
                if found["ids"][0].encode() in b"".join(told[:end]):
                    assert "one" in found["ids"][0], end
                assert len(found["proofs"]) <= 1
            assert rescued >= len(ends) - 4, f"{rescued} of {len(ends)}"

    asyncio.run(main())


# -- prefill --------------------------------------------------------------------------------

OLD = '[providers.claude]\ndialect = "anthropic"\nbase_url = "{url}"\napi_key = "env:UP_KEY"\n'
PREFILL = 'rescue = "prefill"\n' + QUICK
HIDDEN = 'words = ["there"]\nwords_action = "token"'


@contextlib.asynccontextmanager
async def at_claude(
    folder: Path, *plays: Play, model: str = "claude-sonnet-4-5", more: str = PREFILL
) -> AsyncIterator[tuple[Inside, Upstream]]:
    """Families are told by the model's name: this one goes on from an assistant's turn."""
    async with Upstream(*plays) as up:
        text = f"[server]\n{OLD.format(url=up.url)}\n" + route("main", f"claude/{model}", more=more)
        async with inside(folder, text) as gate:
            yield gate, up


def claude(words: str, by: str = "one") -> list[bytes]:
    return tell("anthropic", [text(words)], by, 4)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("lead", ["", " \n"])
def test_where_it_diverges_a_target_goes_on_from_what_was_told(
    tmp_path: Path, face: str, lead: str
) -> None:
    """White space at the end of a prefix is refused, so it is left out and not told twice."""

    async def main() -> None:
        first = claude("Hello there. So it")[:7]  # "Hello there. "
        plays = [broken(first), whole(claude("Bye.")), whole(claude(lead + "On it goes.", "two"))]
        async with at_claude(tmp_path, *plays) as (gate, up):
            reply = await ask(gate, face)
            assert heard(reply, face)["text"] == "Hello there. So On it goes."
            said = json.loads(up.book[2].body)["messages"][-1]
            assert said["role"] == "assistant"
            assert json.dumps(said["content"]).count("Hello there. So") == 1
            assert "So " not in json.dumps(said["content"])
            await gate.rows(3)
            record = record_of(gate)
            assert [a.outcome for a in record.attempts] == ["cut", "diverged", "done"]
            assert record.why.startswith("prefill after ")
            if face != "gemini":
                assert RESCUE + "prefill" in comments(reply.body)

    asyncio.run(main())


def test_going_on_the_caller_gets_no_more_than_it_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        first = claude("Hello there. So it")[:7]
        plays = [broken(first), whole(claude("Bye.")), whole(claude("On it goes.", "two"))]
        async with at_claude(tmp_path, *plays) as (gate, up):
            reply = await ask(gate, "anthropic", max_tokens=50)
            assert heard(reply, "anthropic")["text"].endswith("On it goes.")
            limits = [json.loads(entry.body)["max_tokens"] for entry in up.book]
            assert limits[:2] == [50, 50]
            assert 0 < limits[2] <= 47
        twice = 'rescue = "prefill"\nretry = { attempts = 2, backoff_s = 0.05 }'
        plays = [broken(first), whole(claude("Bye.")), whole(claude("On it goes.", "two"))]
        (tmp_path / "again").mkdir()
        async with at_claude(tmp_path / "again", *plays, more=twice) as (gate, up):
            heard(await ask(gate, "anthropic"), "anthropic", failed=True)
            assert len(up.book) == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    ("model", "more", "asks"),
    [
        ("claude-sonnet-4-5", QUICK, 2),
        ("claude-opus-4-6", PREFILL, 2),
        ("claude-sonnet-4-5", PREFILL, 3),
        ("claude-sonnet-4-5", f"{PREFILL}\n[models.main.guard]\n{HIDDEN}", 2),
    ],
    ids=["not wanted", "not taken", "refused", "not to be told"],
)
def test_without_a_prefix_the_failure_is_that_of_the_break(
    tmp_path: Path, model: str, more: str, asks: int
) -> None:
    async def main() -> None:
        refusal = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
        no = says(json.dumps(refusal).encode(), 400)
        plays = [broken(claude("Hello there. So it")[:7]), whole(claude("Bye.")), no]
        async with at_claude(tmp_path, *plays, model=model, more=more) as (gate, up):
            found = heard(await ask(gate, "anthropic"), "anthropic", failed=True)
            assert found["error"]["type"] == "api_error"
            assert found["text"] == "Hello there. So "
            assert len(up.book) == asks
            await gate.rows(asks)

    asyncio.run(main())


def test_who_ends_a_stream_is_named_and_is_its_conversations_home(tmp_path: Path) -> None:
    async def main() -> None:
        first = (CHAT, [streams(cut_at(CHAT, WORDS), end="stall", billed=(20, 4))])
        then = (CHAT, [whole(tell(CHAT, [text(WORDS)], "two", 7))])
        more = f"affinity = true\n{QUICK}"
        async with at_two(tmp_path, first, then, more) as (gate, up, beside):
            reply = await ask(gate, CHAT)
            assert reply.headers["x-octoplex-model"] == "a1/m"
            assert "x-octoplex-model: a2/m" in comments(reply.body)
            reply = await ask(gate, CHAT)
            assert reply.headers["x-octoplex-model"] == "a2/m"
            assert not [c for c in comments(reply.body) if "model" in c]
            assert (len(up.book), len(beside.book)) == (1, 2)

    asyncio.run(main())


@pytest.mark.parametrize("created", [b"", b'"created": null, ', b'"created": 7.5, '])
def test_a_stream_whose_chunks_have_no_time_is_rescued(tmp_path: Path, created: bytes) -> None:
    """Some compatible servers leave it out, or write a fraction."""

    async def main() -> None:
        told = [e.replace(b'"created": 7, ', created) for e in cut_at(CHAT, WORDS)]
        plays = [broken(told), whole(tell(CHAT, [text(WORDS)], "two", 7))]
        async with at_one(tmp_path, CHAT, plays, QUICK) as (gate, up):
            found = [
                json.loads(d) for _, d in events((await ask(gate, CHAT)).body) if d != "[DONE]"
            ]
            deltas = [choice["delta"] for chunk in found for choice in chunk["choices"]]
            assert "".join(delta.get("content") or "" for delta in deltas) == WORDS
            assert len(up.book) == 2

    asyncio.run(main())
