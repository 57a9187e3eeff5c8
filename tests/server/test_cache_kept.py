"""What a cache keeps and what not; restarts, kills, damage, purges."""

import asyncio
import json
import sqlite3
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger.stock_disk import NAME
from tests.server import provider
from tests.server.cache_scene import (
    cached,
    gated,
    kept,
    numbered,
    stats,
    told,
)
from tests.server.gate import PATHS, Gate, file, question, until
from tests.upstream_server import Play, Upstream, says

# -- what is not kept -------------------------------------------------------------------------


def tool_reply() -> Play:
    reply = json.loads(provider.chat_body())
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    reply["choices"][0]["message"]["tool_calls"] = [call]
    reply["choices"][0]["finish_reason"] = "tool_calls"
    return says(json.dumps(reply).encode())


def finishing(*reasons: str) -> Play:
    """A choice for each reason."""
    reply = json.loads(provider.chat_body())
    choice = reply["choices"][0]
    reply["choices"] = [{**choice, "index": i, "finish_reason": r} for i, r in enumerate(reasons)]
    return says(json.dumps(reply).encode())


def streaming(*reasons: str | None) -> Play:
    """The same as a stream, one after the other; None: it breaks off there."""
    said = {"delta": {"content": "x"}}
    ends = [{"index": i, **said, "finish_reason": r} for i, r in enumerate(reasons)]
    events = [provider.chunk({}, choices=[end]) for end in ends]
    return events_of(events if None in reasons else [*events, provider.DONE])


def generating(*reasons: str | None) -> Play:
    """The same in Gemini's words."""
    said = {"content": {"role": "model", "parts": [{"text": "x"}]}}
    ends = [{"index": i, **said, "finishReason": r} for i, r in enumerate(reasons)]
    return events_of([provider.data({"candidates": [end]}) for end in ends])


def events_of(events: list[bytes]) -> Play:
    return says(b"".join(events), headers=[("content-type", "text/event-stream")])


GEMINI = "/v1beta/models/gem:streamGenerateContent?alt=sse"
TWO = {"generationConfig": {"candidateCount": 2}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


CHAT = "main"
"""A route to a provider of chats; `tools` is one that keeps tool calls, `gem` one to Gemini."""
KEPT: list[tuple[Play, dict[str, Any], str, str]] = [
    (tool_reply(), {"tools": TOOLS}, CHAT, "miss miss"),
    (tool_reply(), {"tools": TOOLS}, "tools", "miss hit"),
    (finishing("stop"), {"tools": TOOLS}, CHAT, "miss hit"),
    (finishing("stop"), {"tools": TOOLS, "n": 2}, CHAT, "miss miss"),
    (finishing("stop"), {"tools": [{"type": "web_search"}]}, CHAT, "miss miss"),
    (finishing("stop"), {"web_search_options": {}}, CHAT, "miss miss"),
    (finishing("stop"), {"web_search_options": None}, CHAT, "miss hit"),
    (finishing("stop"), {"web_search_options": {}}, "tools", "miss hit"),
    (finishing("stop"), {"n": 2}, CHAT, "miss hit"),
    (finishing("stop", "content_filter"), {"n": 2}, CHAT, "miss miss"),
    (finishing("content_filter"), {}, CHAT, "miss miss"),
    (finishing("length"), {}, CHAT, "miss hit"),
    (finishing("stop"), {"conversation": "conv_1"}, CHAT, "off off"),
    (streaming("stop", "stop"), {"n": 2, "stream": True}, CHAT, "miss hit"),
    (events_of([b"data: {half\n\n", *provider.chat_events()]), {"stream": True}, CHAT, "miss miss"),
    (streaming("stop", "content_filter"), {"n": 2, "stream": True}, CHAT, "miss miss"),
    (streaming("stop", None), {"n": 2, "stream": True}, CHAT, "miss miss"),
    (generating("STOP", None), TWO, "gem", "miss miss"),
    (generating("STOP", "MAX_TOKENS"), TWO, "gem", "miss hit"),
    (generating("STOP", "SAFETY"), TWO, "gem", "miss miss"),
]


def test_what_is_kept_and_what_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(KEPT[0][0]) as up:
            routes = cached() + cached("tools", cache="tool_calls = true") + cached("gem", "gem/m")
            async with Gate(tmp_path, file(routes, a=up, gem=up)) as gate:
                for number, (play, members, name, results) in enumerate(KEPT):
                    up.plays = deque([play])
                    path, body = GEMINI, {"contents": [{"parts": [{"text": f"{number}"}]}]}
                    if name != "gem":
                        path, body = PATHS["openai-chat"], json.loads(question(name, seed=number))
                    said = json.dumps(body | members).encode()
                    found = [told(await gate.post(path, said)) for _ in range(2)]
                    assert found == results.split(), (number, members)

    asyncio.run(main())


def test_a_stream_with_tool_calls_is_not_kept(tmp_path: Path) -> None:
    piece = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    events = [provider.chunk({"tool_calls": [piece]}), provider.chunk({}, "tool_calls")]
    stream = b"".join([*events, provider.usage_chunk(), provider.DONE])
    play = says(stream, headers=[("content-type", "text/event-stream")])

    async def main() -> None:
        async with Upstream(play) as up:
            text = file(cached() + cached("tools", cache="tool_calls = true"), a=up)
            async with Gate(tmp_path, text) as gate:
                for name, results in (("main", ["miss", "miss"]), ("tools", ["miss", "hit"])):
                    replies = [await gate.chat(name, stream=True, tools=TOOLS) for _ in range(2)]
                    assert [told(r) for r in replies] == results
                    assert replies[0].events == replies[1].events
                    assert b"x-octoplex-cost-nano" in replies[0].body.split(b"[DONE]")[1]

    asyncio.run(main())


@pytest.mark.parametrize("end", ["reset", "close", "done"])
def test_a_stream_that_was_cut_is_not_kept(tmp_path: Path, end: str) -> None:
    async def main() -> None:
        async with Upstream() as up:
            seen = asyncio.Event()
            cut = provider.broken_after("openai-chat", 3, end, seen)
            text = file(cached(more="retry = { attempts = 1 }"), a=up)
            up.plays.extend([cut, provider.streamed("openai-chat")])
            async with Gate(tmp_path, text) as gate:
                async with gate.line() as line:
                    line.send(gate.question("main", stream=True))
                    assert told(await line.head()) == "miss"
                    await line.until(b"Hello")
                    seen.set()
                    await line.until(b"error")
                replies = [await gate.chat("main", stream=True) for _ in range(2)]
                assert [told(r) for r in replies] == ["miss", "hit"]
                assert b"[DONE]" in replies[1].body
                assert len(up.book) == 2

    asyncio.run(main())


# -- time, place, life ------------------------------------------------------------------------


def test_it_ends_with_its_time(tmp_path: Path) -> None:
    text = cached().replace("10 min", "300 s")

    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(text, a=up)) as gate:
            assert [told(await gate.chat("main")) for _ in range(2)] == ["miss", "hit"]
            gate.write(file(text.replace("300 s", "0.001 s"), a=up))
            assert (await gate.control({"do": "reload"}))["ok"] == "reloaded"
            assert told(await gate.chat("main")) == "miss"

    asyncio.run(main())


def test_a_reload_that_changes_answers_begins_anew(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(cached(), a=up)) as gate:

            async def after(more: str, each: str = "") -> str:
                gate.write(file(cached(more=more), each=each, a=up))
                assert (await gate.control({"do": "reload"}))["ok"] == "reloaded"
                return told(await gate.chat("main"))

            assert told(await gate.chat("main")) == "miss"
            assert await after("") == "hit"
            assert await after("retry = { attempts = 1 }") == "hit"
            assert await after("defaults = { temperature = 0.2 }") == "miss"
            assert await after("drop_unsupported = true") == "miss"
            assert await after("", "headers = { x-team = 'b' }") == "miss"
            assert await after("") == "hit"

    asyncio.run(main())


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_it_survives_a_restart_and_a_kill(tmp_path: Path, end: str) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(cached(), a=up)) as gate:
            first = await gate.chat("main")
            stream = await gate.chat("main", n=2)
            await kept(gate, 2)
            if end == "stop":
                await gate.stop()
            else:
                gate.kill()
            await gate.start()
            again, also = await gate.chat("main"), await gate.chat("main", n=2)
            assert (told(again), told(also)) == ("hit", "hit")
            assert (again.body, also.body) == (first.body, stream.body)
            assert len(up.book) == 2
            assert (gate.data / NAME).stat().st_mode & 0o777 == 0o600

    asyncio.run(main())


def test_killed_at_any_moment_it_is_whole(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat", text="x" * 20_000)) as up,
            Gate(tmp_path, file(cached(), a=up)) as gate,
        ):
            for life in range(4):
                asks = [
                    asyncio.create_task(gate.chat("main", seed=life * 1000 + n))
                    for n in range(1, 120)
                ]
                await asyncio.wait(asks[: 20 + 25 * life])
                gate.kill()
                await asyncio.gather(*asks, return_exceptions=True)
                db = sqlite3.connect(gate.data / NAME)
                assert db.execute("pragma integrity_check").fetchone() == ("ok",)
                db.close()
                await gate.start()
                assert told(await gate.chat("main", seed=1)) in ("hit", "miss")

    asyncio.run(main())


@pytest.mark.parametrize("damage", ["noise", "newer"])
def test_a_file_that_cannot_be_used_is_put_aside(tmp_path: Path, damage: str) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(cached(), a=up)) as gate:
            assert told(await gate.chat("main")) == "miss"
            await kept(gate, 1)
            await gate.stop()
            path = gate.data / NAME
            if damage == "noise":
                path.write_bytes(b"not a database " * 1000)
            else:
                db = sqlite3.connect(path)
                db.execute("insert into migrations values (99, 'later', 'x', 0)")
                db.commit()
                db.close()
            await gate.start()
            assert [told(await gate.chat("main")) for _ in range(2)] == ["miss", "hit"]
            await kept(gate, 1)
            assert len(list(gate.data.glob(f"{NAME}.damaged-*"))) == 1
            assert "cannot be used" in gate.log.read_text()

    asyncio.run(main())


def test_a_purge_counts_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up:
            opened = asyncio.Event()
            slow = gated(opened, provider.whole("openai-chat"))
            text = file(cached() + cached("second"), a=up)
            async with Gate(tmp_path, text) as gate:
                for name in ("main", "second"):
                    assert told(await gate.chat(name)) == "miss"
                assert (await gate.control({"do": "cache.purge", "model": "main"}))["ok"] == 1
                assert told(await gate.chat("second")) == "hit"
                assert told(await gate.chat("main")) == "miss"
                assert (await gate.control({"do": "cache.purge"}))["ok"] == 2
                assert (await stats(gate))["disk"] == {"entries": 0, "bytes": 0}
                up.plays.clear()
                up.plays.extend([slow, provider.whole("openai-chat")])
                on_its_way = asyncio.create_task(gate.chat("main"))
                await until(lambda: len(up.book) == 4)
                await gate.control({"do": "cache.purge"})
                assert told(await gate.chat("main")) == "miss", "nobody waits for one from before"
                await gate.control({"do": "cache.purge"})
                opened.set()
                assert told(await on_its_way) == "miss"
                assert told(await gate.chat("main")) == "miss", "it was asked before the purge"
                assert "error" in await gate.control({"do": "cache.purge", "model": 7})

    asyncio.run(main())


def test_nothing_of_it_can_be_tried_out_from_the_file(tmp_path: Path) -> None:
    """The request is not in the file; what stands for it needs the pepper."""

    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(cached(), a=up)) as gate:
            await gate.chat("main", messages=[{"role": "user", "content": "canary-question-1"}])
            await kept(gate, 1)
            await gate.stop()
            everything: Iterable[bytes] = [p.read_bytes() for p in gate.data.glob("cache.db*")]
            assert not any(b"canary-question-1" in data for data in everything)

    asyncio.run(main())
