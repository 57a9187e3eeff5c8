"""Streams and replies of odd shape: F24-F28 through the whole gateway, on both faces."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dialects.grammar import anthropic as anthropic_grammar
from tests.dialects.grammar import openai_chat as chat_grammar
from tests.dialects.test_transcripts import IRREGULAR
from tests.server import provider
from tests.server.caller import canonical, events
from tests.server.check import error_of, failed, finished, plain_text, text_of
from tests.server.conftest import Run
from tests.server.gate import Gate, file, route, until
from tests.server.inside import inside
from tests.server.scene import CROSSINGS, scene
from tests.upstream_server import Play, Upstream, says, stalls, streams

TRANSCRIPTS = Path(__file__).parents[1] / "dialects" / "transcripts"


def _spread(wire: bytes) -> bytes:
    """Every event's data over two lines, cut after the first comma."""
    return b"".join(
        b"".join(
            line.replace(b", ", b",\ndata: ", 1) + b"\n"
            if line.startswith(b"data: {")
            else line + b"\n"
            for line in event.split(b"\n")
        )
        + b"\n"
        for event in wire.removesuffix(b"\n\n").split(b"\n\n")
    )


VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "crlf": lambda wire: wire.replace(b"\n", b"\r\n"),
    "cr": lambda wire: wire.replace(b"\n", b"\r"),
    "no space": lambda wire: wire.replace(b"data: ", b"data:").replace(b"event: ", b"event:"),
    "comments": lambda wire: b": hello\n\n" + wire.replace(b"\n\n", b"\n\n: ping\n\n"),
    "comment lines": lambda wire: wire.replace(b"data: ", b": note\ndata: "),
    "two data lines": _spread,
    "no last blank line": lambda wire: wire[:-1],
    "no last line end": lambda wire: wire[:-2],
    "byte order mark": lambda wire: b"\xef\xbb\xbf" + wire,
    "id and retry": lambda wire: wire.replace(b"data: ", b"id: 7\nretry: 10\ndata: "),
}


@pytest.mark.parametrize("size", [1 << 20, 7])
@pytest.mark.parametrize("variant", VARIANTS)
def test_f24_every_spelling_of_a_stream(tmp_path: Path, run: Run, variant: str, size: int) -> None:
    async def main() -> None:
        def plays(dialect: str) -> list[Play]:
            wire = VARIANTS[variant](b"".join(provider.stream_of(dialect)))
            cut = [wire[i : i + size] for i in range(0, len(wire), size)]
            return [streams(cut, billed=provider.BILL)]

        async with scene(tmp_path, plays) as at:
            for face, name in CROSSINGS:
                reply = await at.gate.chat(f"{name}/m", face, stream=True)
                finished(reply, face)
                assert text_of(reply, face) == "Hello, world!"
            rows = await at.gate.rows(4)
            assert [(r["nano"], r["estimated"]) for r in rows] == [
                (provider.nano(provider.BILL), 0)
            ] * 4

    run(main())


@pytest.mark.parametrize("end", ["done", "close", "stall"])
def test_f24_a_missing_end_marker_is_supplied(tmp_path: Path, run: Run, end: str) -> None:
    async def main() -> None:
        def plays(dialect: str) -> list[Play]:
            return [streams(provider.stream_of(dialect)[:-1], end=end, billed=provider.BILL)]

        async with scene(tmp_path, plays) as at:

            async def one(face: str, name: str) -> None:
                reply = await at.gate.chat(f"{name}/m", face, stream=True)
                finished(reply, face)
                assert text_of(reply, face) == "Hello, world!"

            await asyncio.gather(*(one(*crossing) for crossing in CROSSINGS))
            rows = await at.gate.rows(4)
            assert [r["nano"] for r in rows] == [provider.nano(provider.BILL)] * 4
            assert {r["outcome"] for r in rows} == {"done"}

    run(main())


@pytest.mark.parametrize("together", [True, False])
def test_f24_nothing_after_the_end_marker_is_forwarded(
    tmp_path: Path, run: Run, together: bool
) -> None:
    async def main() -> None:
        def plays(dialect: str) -> list[Play]:
            made = provider.stream_of(dialect)
            after = [made[2], provider.sorry(dialect), made[-1]]
            if together:
                return [streams([b"".join([*made, *after])], billed=provider.BILL)]
            return [streams([*made, *after], billed=provider.BILL)]

        async with scene(tmp_path, plays) as at:
            for face, name in CROSSINGS:
                reply = await at.gate.chat(f"{name}/m", face, stream=True)
                finished(reply, face)
                assert text_of(reply, face) == "Hello, world!"
            rows = await at.gate.rows(4)
            assert [r["nano"] for r in rows] == [provider.nano(provider.BILL)] * 4

    run(main())


def test_f24_an_event_that_is_no_json_is_left_out(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        def plays(dialect: str) -> list[Play]:
            made = provider.stream_of(dialect)
            name = b"event: content_block_delta\n" if dialect == "anthropic" else b""
            return [streams([*made[:3], name + b'data: {"a": \n\n', *made[3:]])]

        async with scene(tmp_path, plays) as at:
            for face, name in CROSSINGS:
                reply = await at.gate.chat(f"{name}/m", face, stream=True)
                finished(reply, face)
                assert text_of(reply, face) == "Hello, world!"

    run(main())


def test_f25_unknown_events_and_fields(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        def plays(dialect: str) -> list[Play]:
            made = provider.stream_of(dialect)
            odd = {"object": "chat.future", "id": "x", "new": [1, {"y": None}]}
            strange = (
                provider.named("future_event", new={"y": [1]})
                if dialect == "anthropic"
                else provider.data(odd)
            )
            made = [e.replace(b'"index": 0', b'"index": 0, "future": [1.0e0]') for e in made]
            return [streams([*made[:3], strange, *made[3:]], billed=provider.BILL)]

        async with scene(tmp_path, plays) as at:
            for face, name in CROSSINGS:
                reply = await at.gate.chat(f"{name}/m", face, stream=True)
                assert reply.status == 200
                verbatim = (name == "claude") == (face == "anthropic")
                assert (b"[1.0e0]" in reply.body) == verbatim
                assert (b"future" in reply.body) == verbatim
                if not verbatim:
                    finished(reply, face)
                assert text_of(reply, face) == "Hello, world!"
            rows = await at.gate.rows(4)
            assert [r["nano"] for r in rows] == [provider.nano(provider.BILL)] * 4

    run(main())


TOOLS = sorted(p.name for p in (TRANSCRIPTS / "openai_chat").glob("tool_deltas_*"))
CLAUDE_TOOLS = sorted(
    p.parent.name
    for p in (TRANSCRIPTS / "anthropic").glob("*/stream.sse")
    if b'"type":"tool_use"' in p.read_bytes()
)


@pytest.mark.parametrize("case", TOOLS)
def test_f26_irregular_tool_deltas_of_a_chat_provider(tmp_path: Path, run: Run, case: str) -> None:
    wire = (TRANSCRIPTS / "openai_chat" / case / "stream.sse").read_bytes()
    broken = (TRANSCRIPTS / "openai_chat" / case / "error.json").exists()

    async def main() -> None:
        async with (
            Upstream(streams([wire])) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            same = await gate.chat("a/m", stream=True)
            if case in IRREGULAR:  # written anew, so that the caller's SDK can join the pieces
                assert events(same.body) != events(wire)
                chat_grammar.check(canonical(same.body), arguments_valid=False)
            else:
                assert events(same.body) == events(wire)
            crossed = await gate.chat("a/m", "anthropic", stream=True)
            if broken:
                if crossed.status == 200:
                    failed(crossed, "anthropic")
                assert len(await gate.records(2)) == 2
                return
            anthropic_grammar.check(canonical(crossed.body), arguments_valid=False)
            said = [json.loads(data) for _, data in events(crossed.body)]
            starts = [e["content_block"] for e in said if e["type"] == "content_block_start"]
            assert [b for b in starts if b["type"] == "tool_use"]
            (end,) = [e for e in said if e["type"] == "message_delta"]
            assert end["delta"]["stop_reason"] == "tool_use"
            await gate.rows(2)

    run(main())


@pytest.mark.parametrize("case", CLAUDE_TOOLS)
def test_f26_tool_blocks_of_an_anthropic_provider(tmp_path: Path, run: Run, case: str) -> None:
    wire = (TRANSCRIPTS / "anthropic" / case / "stream.sse").read_bytes()

    async def main() -> None:
        async with (
            Upstream(streams([wire])) as up,
            Gate(tmp_path, file(claude=up)) as gate,
        ):
            same = await gate.chat("claude/m", "anthropic", stream=True)
            assert events(same.body) == events(wire)
            crossed = await gate.chat("claude/m", stream=True)
            chunks = finished(crossed, "openai-chat")
            assert any(c["choices"] and c["choices"][0]["delta"].get("tool_calls") for c in chunks)
            await gate.rows(2)

    run(main())


CHAT_USAGES: dict[str, tuple[list[bytes], bool]] = {
    "missing": ([], True),
    "trailing": ([provider.usage_chunk()], False),
    "twice": ([provider.usage_chunk((5, 1)), provider.usage_chunk()], False),
    "null": ([], True),
}


@pytest.mark.parametrize("case", CHAT_USAGES)
def test_f27_usage_in_odd_places_is_settled_once(tmp_path: Path, run: Run, case: str) -> None:
    usages, estimated = CHAT_USAGES[case]

    async def main() -> None:
        made = provider.chat_events(bill=None)
        if case == "null":
            made[1] = provider.chunk({"content": "Hello"}, usage=None)
        wire = [*made[:-1], *usages, made[-1]]
        async with Upstream(streams(wire)) as up, Gate(tmp_path, file(a=up)) as gate:
            for face in ("openai-chat", "anthropic"):
                reply = await gate.chat("a/m", face, stream=True)
                assert text_of(reply, face) == "Hello, world!"
                finished(reply, face)
            for row in await gate.rows(2):
                assert bool(row["estimated"]) == estimated
                assert estimated or row["nano"] == provider.nano(provider.BILL)
                assert 0 < row["nano"] <= row["reserved_nano"]

    run(main())


IMPOSSIBLE = [
    {"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12},
    {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 500},
        "completion_tokens_details": {"reasoning_tokens": 900},
    },
    {"prompt_tokens": 10**30, "completion_tokens": 5},
    {"prompt_tokens": 10**18, "completion_tokens": 5},
    {"prompt_tokens": 5, "completion_tokens": 10**9},
    {},
]


@pytest.mark.parametrize("usage", IMPOSSIBLE, ids=str)
def test_f27_impossible_usage_is_an_estimate(
    tmp_path: Path, run: Run, usage: dict[str, object]
) -> None:
    async def main() -> None:
        body = json.loads(provider.chat_body())
        body["usage"] = usage
        async with (
            Upstream(says(json.dumps(body).encode())) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            for face in ("openai-chat", "anthropic"):
                reply = await gate.chat("a/m", face)
                assert plain_text(reply, face) == "Hello, world!"
                assert reply.headers["x-octoplex-estimated"] == "true"
            rows = await gate.rows(2)
            for row in rows:
                assert row["estimated"]
                assert 0 < row["nano"] <= row["reserved_nano"]
                assert row["output_tokens"] >= 0
                assert row["cached_tokens"] <= row["input_tokens"] < 100
            for record in await gate.records(2):
                assert record["estimated"]
                assert record["nano"] in [row["nano"] for row in rows]
            assert "octoplex_bills_missing_total 2" in (await gate.get("/metrics")).body.decode()

    run(main())


FINISHES = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}


@pytest.mark.parametrize("finish", FINISHES)
def test_f28_finish_reasons_are_mapped(tmp_path: Path, run: Run, finish: str) -> None:
    async def main() -> None:
        body = json.loads(provider.chat_body())
        body["choices"][0]["finish_reason"] = finish
        if finish == "content_filter":
            body["choices"][0]["message"]["content"] = None
        async with (
            Upstream(says(json.dumps(body).encode())) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            reply = await gate.chat("a/m", "anthropic")
            assert reply.json["stop_reason"] == FINISHES[finish]
            same = await gate.chat("a/m")
            assert same.json == body
            await gate.rows(2)

    run(main())


def test_f28_no_choices_at_all(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        body = json.loads(provider.chat_body()) | {"choices": []}
        once = route("one", "a/m", more="retry = { attempts = 1 }")
        async with (
            Upstream(says(json.dumps(body).encode(), billed=provider.BILL)) as up,
            Gate(tmp_path, file(once, a=up)) as gate,
        ):
            for face in ("openai-chat", "anthropic"):
                reply = await gate.chat("one", face)
                assert reply.status == 502
                assert error_of(reply, face)["code"] == "bad_upstream_response"
            assert all(r["nano"] for r in await gate.rows(len(up.book)))

    run(main())


def test_an_internal_error_in_a_stream_is_told_in_band(tmp_path: Path, run: Run) -> None:
    """Nothing but a failure event may follow a status line that is out."""

    class Broken:
        def feed(self, events: object) -> bytes:
            self.fed = getattr(self, "fed", 0) + 1
            if self.fed > 1:
                raise KeyError("a defect of ours")
            return provider.message_start()

    async def main() -> None:
        seen = asyncio.Event()
        play = provider.broken_after(
            "openai-chat", 3, "done", seen, provider.chunk({"content": "more"})
        )
        async with Upstream(play) as up, inside(tmp_path, file(a=up)) as gate:
            face = gate.works.faces["anthropic"]
            face.encoder = lambda call: Broken()  # type: ignore[method-assign]
            async with gate.line() as line:
                line.send(gate.question("a/m", "anthropic", stream=True))
                reply = await line.head()
                got = await line.until(b"message_start")
                seen.set()
                await line.rest(reply)
                reply.body = got + reply.body
            assert failed(reply, "anthropic")["code"] == "internal"
            assert b"defect" not in reply.body
            await until(lambda: up.book[0].done)
            await gate.rows(1)

    run(main())


def test_a_reply_that_cannot_be_translated_is_a_failed_attempt(tmp_path: Path, run: Run) -> None:
    """Another target is asked, and the record says what the caller was told."""

    async def main() -> None:
        body = json.loads(provider.chat_body())
        body["choices"][0]["message"]["content"] = 5
        more = route("main", "a/m", "claude/m", more="retry = { attempts = 1 }")
        more += route("one", "a/m", more="retry = { attempts = 1 }")
        async with (
            Upstream(says(json.dumps(body).encode(), billed=provider.BILL)) as a,
            Upstream(provider.whole("anthropic")) as claude,
            Gate(tmp_path, file(more, a=a, claude=claude)) as gate,
        ):
            assert plain_text(await gate.chat("main", "anthropic"), "anthropic") == "Hello, world!"
            reply = await gate.chat("one", "anthropic")
            assert reply.status == 502
            last, first = await gate.records(2)
            assert (last["status"], last["outcome"]) == (502, "failed")
            assert [x["target"] for x in first["attempts"]] == ["a/m", "claude/m"]
            rows = await gate.rows(3)
            assert [bool(r["estimated"]) for r in rows] == [True, False, True]

    run(main())


def test_an_error_that_cannot_be_written_closes_the_connection(tmp_path: Path, run: Run) -> None:
    def broken(*_: object) -> bytes:
        raise KeyError("a defect of ours")

    async def main() -> None:
        async with Upstream(stalls()) as up, inside(tmp_path, file(a=up)) as gate:
            face = gate.works.faces["anthropic"]
            face.encode_error = broken  # type: ignore[method-assign]
            async with gate.line() as line:
                line.send(gate.question("nobody/m", "anthropic"))
                assert await line.ended() == b""
            assert (await gate.chat("nobody/m")).status == 404

    run(main())
