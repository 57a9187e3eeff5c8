"""`Idempotency-Key` as callers meet it: one upstream call, one bill, the same answer."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server import provider
from tests.server.cache_scene import COST, KEYS, OTHER_KEY, gated, numbered
from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, PATHS, Gate, file, question, route, until
from tests.upstream_server import Upstream, says

REPLAYED = "idempotent-replayed"


async def send(gate: Gate, key: str, face: str = "openai-chat", model: str = "a/m", **more: Any
               ) -> Reply:  # fmt: skip
    body = question(model, **more)
    if face == "openai-responses":
        body = json.dumps({"model": model, "input": "Hello", **more}).encode()
    return await gate.post(PATHS[face], body, ("idempotency-key", key))


def test_the_second_is_the_first_and_costs_nothing(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(a=up)) as gate:
            first, again, other = [await send(gate, key) for key in ("one", "one", "two")]
            assert first.body == again.body != other.body
            assert [r.headers.get(REPLAYED) for r in (first, again, other)] == [None, "true", None]
            assert [r.headers["x-octoplex-cost-nano"] for r in (first, again)] == [str(COST), "0"]
            for name in ("x-octoplex-model", "x-octoplex-route"):
                assert again.headers[name] == first.headers[name]
            assert len(up.book) == 2
            record = (await gate.records(3))[1]
            assert (record["why"], record["nano"], record["saved_nano"]) == (
                "idempotency key", 0, COST)  # fmt: skip
            await gate.rows(2)

    asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["a", "claude"])
@pytest.mark.parametrize("face", PATHS)
def test_on_every_face_and_crossing(
    tmp_path: Path, run: Run, face: str, name: str, stream: bool
) -> None:
    dialect = "anthropic" if name == "claude" else "openai-chat"
    plays = [provider.streamed(dialect)] if stream else numbered(dialect)

    async def main() -> None:
        async with Upstream(*plays) as up, Gate(tmp_path, file(**{name: up})) as gate:
            more = {"stream": True} if stream else {}
            replies = [await send(gate, "one", face, f"{name}/m", **more)]
            if dialect != face:  # the time it was written at is ours, in seconds
                await asyncio.sleep(1.001 - time.time() % 1)
            replies.append(await send(gate, "one", face, f"{name}/m", **more))
            assert [r.status for r in replies] == [200, 200]
            first, again = [told(r.body) for r in replies]
            assert first == again
            assert replies[1].headers[REPLAYED] == "true"
            assert len(up.book) == 1
            await gate.rows(1)

    run(main())


def told(body: bytes) -> list[bytes]:
    """What the caller learns, without our comments: what it cost is another."""
    return [line for line in body.split(b"\n") if not line.startswith(b":")]


def test_another_request_under_the_key_is_refused(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        async with (
            Upstream(gated(opened, numbered()[0])) as up,
            Gate(tmp_path, file(KEYS, a=up), key=APP_KEY) as gate,
        ):
            first = asyncio.ensure_future(send(gate, "one"))
            await until(lambda: up.book)
            early = await send(gate, "one", temperature=0.5)
            opened.set()
            assert (await first).status == 200
            late = await send(gate, "one", stream=True)
            for reply in (early, late):
                assert reply.status == 422
                assert reply.json["error"]["code"] == "idempotency_key_reused"
                assert "another request" in reply.json["error"]["message"]
            assert len(up.book) == 1
            gate.key = OTHER_KEY  # another caller's keys are its own
            assert (await send(gate, "one", temperature=0.5)).status == 200
            gate.key = APP_KEY
            bad = [await send(gate, key) for key in ("", "x" * 256)]
            assert [r.status for r in bad] == [400, 400]

    run(main())


def test_the_second_waits_for_the_first(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        async with (
            Upstream(gated(opened, numbered()[0])) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            asked = [asyncio.ensure_future(send(gate, "one")) for _ in range(5)]
            await until(lambda: up.book)
            opened.set()
            replies = await asyncio.gather(*asked)
            assert len({r.body for r in replies}) == 1
            assert sorted(r.headers["x-octoplex-cost-nano"] for r in replies) == [
                *"0000",
                str(COST),
            ]
            assert len(up.book) == 1
            await gate.rows(1)

    run(main())


@pytest.mark.parametrize("stream", [False, True])
def test_whoever_heard_nothing_asks_again(tmp_path: Path, run: Run, stream: bool) -> None:
    """The first caller has gone when the answer comes; it is there when it asks again."""

    async def main() -> None:
        opened = asyncio.Event()
        play = provider.streamed("openai-chat") if stream else numbered()[0]
        async with (
            Upstream(gated(opened, play)) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            more = {"stream": True} if stream else {}
            first = asyncio.ensure_future(send(gate, "one", **more))
            await until(lambda: up.book)
            first.cancel()
            await asyncio.wait([first])
            await asyncio.sleep(0.05)  # so that the server sees it go
            opened.set()
            again = await send(gate, "one", **more)
            assert (again.status, again.headers[REPLAYED]) == (200, "true")
            assert len(up.book) == 1
            (row,) = await gate.rows(1)
            assert (row["nano"], row["estimated"]) == (COST, 0)

    run(main())


def test_what_failed_is_tried_anew(tmp_path: Path, run: Run) -> None:
    """Before the provider took it, after it refused it, and after its stream broke off."""

    async def main() -> None:
        seen = asyncio.Event()
        seen.set()
        cut = provider.broken_after("openai-chat", 3, "close", seen)
        plays = [provider.fails("openai-chat", 400), cut, provider.streamed("openai-chat")]
        async with (
            Upstream(*plays) as up,
            Gate(tmp_path, file(route("main", "a/m", more="retry = { attempts = 1 }"), a=up)) as at,
        ):
            replies = [await send(at, "one", model="main", stream=True) for _ in range(4)]
            assert [r.status for r in replies] == [400, 200, 200, 200]
            assert [r.headers.get(REPLAYED) for r in replies] == [None, None, None, "true"]
            assert b"error" in replies[1].body
            assert len(up.book) == 3

    run(main())


def test_it_is_there_after_a_restart(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(a=up)) as gate:
            first = await send(gate, "one")
            await gate.stop()
            await gate.start()
            again = await send(gate, "one")
            assert (again.body, again.headers[REPLAYED]) == (first.body, "true")
            assert (await send(gate, "one", temperature=0.5)).status == 422
            assert len(up.book) == 1

    run(main())


def test_tool_calls_and_filtered_replies_are_the_same_too(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        body = json.loads(provider.chat_body("no"))
        body["choices"][0]["finish_reason"] = "content_filter"

        plays = [says(json.dumps(body).encode()), numbered()[1]]
        async with Upstream(*plays) as up, Gate(tmp_path, file(a=up), clean=False) as gate:
            first, again = [await send(gate, "one") for _ in range(2)]
            assert first.body == again.body
            assert len(up.book) == 1

    run(main())


def test_embeddings_too(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        made = {
            "object": "list",
            "model": "m",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        }

        async with (
            Upstream(says(json.dumps(made).encode())) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            body = json.dumps({"model": "a/m", "input": "x"}).encode()
            key = ("idempotency-key", "one")
            replies = [await gate.post("/v1/embeddings", body, key) for _ in range(2)]
            assert [r.headers.get(REPLAYED) for r in replies] == [None, "true"]
            assert replies[0].body == replies[1].body
            assert len(up.book) == 1

    run(main())
