"""`[models.NAME.cache]` as callers meet it: a real gateway, real sockets, scripted providers."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger.stock_disk import NAME
from tests.server import provider
from tests.server.cache_scene import (
    COST,
    KEYS,
    OTHER_KEY,
    cached,
    numbered,
    told,
)
from tests.server.caller import Reply
from tests.server.gate import APP_KEY, Gate, dialect_of, file, question
from tests.upstream_server import Exchange, Play, Upstream, head, says

# -- hits -------------------------------------------------------------------------------------


def test_the_same_again_costs_nothing_and_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(cached(), a=up)) as gate:
            first, again = await gate.chat("main"), await gate.chat("main")
            other = await gate.chat("main", temperature=0.5)
            assert [told(r) for r in (first, again, other)] == ["miss", "hit", "miss"]
            assert first.body == again.body != other.body
            assert again.headers["x-octoplex-cost-nano"] == "0"
            assert first.headers["x-octoplex-cost-nano"] == str(COST)
            for name in ("model", "provider", "route"):
                line = f"x-octoplex-{name}"
                assert again.headers[line] == first.headers[line]
            assert len(up.book) == 2
            _, hit, miss = await gate.records(3)
            assert (hit["cache"], hit["saved_nano"], hit["nano"]) == ("hit", COST, 0)
            assert (hit["input_tokens"], hit["output_tokens"], hit["why"]) == (0, 0, "cache")
            assert (hit["target"], hit["attempts"][0]["outcome"]) == ("a/m", "cache")
            assert (miss["cache"], miss["saved_nano"], miss["nano"]) == ("miss", 0, COST)
            assert len(await gate.rows(2)) == 2
            metrics = (await gate.get("/metrics")).body.decode()
            assert 'octoplex_cache_requests_total{route="main",result="hit"} 1' in metrics
            assert 'octoplex_cache_requests_total{route="main",result="miss"} 2' in metrics
            assert f'octoplex_cache_saved_nano_total{{route="main"}} {COST}' in metrics
            assert "# TYPE octoplex_cache_saved_nano_total counter" in metrics
            assert 'octoplex_cache_entries{place="memory"} 2' in metrics
            assert f'octoplex_cost_usd_total{{provider="a"}} 0.{2 * COST:09d}' in metrics

    asyncio.run(main())


def test_nothing_is_kept_without_the_table(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(cached(), a=up)) as gate:
            for name in ("a/m", "a/m"):
                assert told(await gate.chat(name)) == "off"
            assert len(up.book) == 2
            assert not (gate.data / NAME).exists()
            (record, _) = await gate.records(2)
            assert (record["cache"], record["saved_nano"]) == ("", 0)

    asyncio.run(main())


def test_two_names_in_one_request_are_no_cached_route(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(cached(), a=up)) as gate:
            for _ in range(2):
                assert told(await gate.chat("main", models=["a/other"])) == "off"
            assert len(up.book) == 2

    asyncio.run(main())


@pytest.mark.parametrize("target", ["a/m", "claude/m"])
@pytest.mark.parametrize("face", ["openai-chat", "anthropic", "openai-responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_every_face_gets_what_it_got(tmp_path: Path, face: str, target: str, stream: bool) -> None:
    name = target.partition("/")[0]
    dialect = dialect_of(name)
    play = provider.streamed(dialect) if stream else provider.whole(dialect)

    async def main() -> None:
        async with (
            Upstream(play) as up,
            Gate(tmp_path, file(cached(target=target), **{name: up})) as gate,
        ):
            members: dict[str, Any] = {"input": "Hi"} if face == "openai-responses" else {}
            ask = {"stream": True, **members} if stream else members
            first, again = (
                await gate.chat("main", face, **ask),
                await gate.chat("main", face, **ask),
            )
            assert (told(first), told(again), len(up.book)) == ("miss", "hit", 1)
            if dialect == face:
                assert again.body.replace(b"nano: 0\n", b"nano: %d\n" % COST) == first.body
            assert _shape(again) == _shape(first)

    asyncio.run(main())


MADE_UP = ("id", "item_id", "response_id", "created", "created_at", "completed_at", "reply_id")


def _shape(reply: Reply) -> Any:
    """What was said, without the ids and times that are made anew for each reply."""
    if reply.body.startswith(b"{"):
        return _without_ids(reply.json)
    return [_without_ids(json.loads(d)) for _, d in reply.events if d.startswith("{")]


def _without_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: _without_ids(v) for k, v in value.items() if k not in MADE_UP}


def test_gemini_streams_are_given_again_too(tmp_path: Path) -> None:
    path = "/v1beta/models/main:streamGenerateContent?alt=sse"
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}).encode()

    async def main() -> None:
        play = provider.streamed("openai-chat")
        async with Upstream(play) as up, Gate(tmp_path, file(cached(), a=up)) as gate:
            first, again = await gate.post(path, body), await gate.post(path, body)
            assert (told(first), told(again), len(up.book)) == ("miss", "hit", 1)
            assert _text(first) == _text(again) == "Hello, world!"

    asyncio.run(main())


def _text(reply: Reply) -> str:
    found = [json.loads(data) for _, data in reply.events]
    parts = [p for f in found for c in f["candidates"] for p in c["content"].get("parts", ())]
    return "".join(part.get("text", "") for part in parts)


EMBEDDING = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}],
    "model": "m-1",
    "usage": {"prompt_tokens": 12, "total_tokens": 12},
}
COMPLETION = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "m-1",
    "choices": [{"index": 0, "text": "ok", "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19},
}
MODERATION = {"id": "modr-1", "model": "m-1", "results": [{"flagged": False}]}


@pytest.mark.parametrize(
    ("path", "asked", "reply"),
    [
        ("/v1/embeddings", {"input": "Hi"}, EMBEDDING),
        ("/v1/completions", {"prompt": "Hi"}, COMPLETION),
        ("/v1/moderations", {"input": "Hi"}, MODERATION),
    ],
)
def test_other_operations(
    tmp_path: Path, path: str, asked: dict[str, Any], reply: dict[str, Any]
) -> None:
    body = json.dumps({"model": "main", **asked}).encode()

    async def main() -> None:
        async with (
            Upstream(says(json.dumps(reply).encode())) as up,
            Gate(tmp_path, file(cached(), a=up)) as gate,
        ):
            first, again = await gate.post(path, body), await gate.post(path, body)
            assert (told(first), told(again), len(up.book)) == ("miss", "hit", 1)
            assert first.body == again.body

    asyncio.run(main())


def test_a_streamed_completion_and_a_filtered_one(tmp_path: Path) -> None:
    def chunk(text: str, finish: str | None) -> bytes:
        choice = {"index": 0, "text": text, "finish_reason": finish}
        return provider.data({**COMPLETION, "choices": [choice], "usage": None})

    def play(finish: str) -> Play:
        kind = [("content-type", "text/event-stream")]
        made = chunk("ok", None) + chunk("", finish) + provider.DONE
        return says(made, headers=kind)

    async def main() -> None:
        async with (
            Upstream(play("content_filter"), play("stop")) as up,
            Gate(tmp_path, file(cached(), a=up)) as gate,
        ):
            body = json.dumps({"model": "main", "prompt": "Hi", "stream": True}).encode()
            replies = [await gate.post("/v1/completions", body) for _ in range(3)]
            assert [told(r) for r in replies] == ["miss", "miss", "hit"]
            assert replies[1].events == replies[2].events
            assert len(up.book) == 2

    asyncio.run(main())


def test_a_batch_of_words_arrives_at_natural_speed_where_that_is_wished(tmp_path: Path) -> None:
    async def slowly(exchange: Exchange) -> None:
        exchange.bill(*provider.BILL)
        kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        exchange.send(head(200, kind))
        for event in provider.chat_events():
            exchange.chunk(event)
            await asyncio.sleep(0.03)
        exchange.send(b"0\r\n\r\n")

    async def main() -> None:
        async with Upstream(slowly) as up:
            text = file(cached(cache="replay = 'natural'") + cached("quick"), a=up)
            async with Gate(tmp_path, text) as gate:
                for name, least in (("main", 4), ("quick", 1)):
                    first = await gate.chat(name, stream=True)
                    again = await gate.chat(name, stream=True)
                    assert (told(first), told(again)) == ("miss", "hit")
                    assert first.events == again.events
                    assert len(again.pieces) >= least
                    assert (name == "main") or len(again.pieces) < 4

    asyncio.run(main())


# -- whose ------------------------------------------------------------------------------------


def test_keys_share_nothing_but_within_a_tenant(tmp_path: Path) -> None:
    keys = KEYS + "[keys.one]\nsecret = 'env:UP_KEY'\ntenant = 'acme'\n[tenants.acme]\n"

    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Gate(tmp_path, file(cached() + keys, a=up), clean=False) as gate,
        ):
            two = [(await gate.control({"do": "keys.new", "name": n, "tenant": "acme"}))["ok"]
                   for n in ("two", "three")]  # fmt: skip
            bodies = []
            for key in (APP_KEY, OTHER_KEY, two[0]["secret"], two[1]["secret"]):
                gate.key = key
                replies = [await gate.chat("main") for _ in range(2)]
                bodies.append(replies[1].body)
                assert replies[0].body == replies[1].body
                assert told(replies[1]) == "hit"
            assert len(up.book) == 3
            assert len(set(bodies)) == 3
            assert bodies[2] == bodies[3]

    asyncio.run(main())


def test_a_hit_is_for_those_who_may_ask(tmp_path: Path) -> None:
    """Another model, another region, a revoked key: whatever is kept, they are refused."""

    async def main() -> None:
        async with Upstream(*numbered()) as up:
            routes = cached() + cached("second") + "[tenants.acme]\n"
            text = file(routes, "", each="region = 'us'", a=up)
            async with Gate(tmp_path, text) as gate:
                team = {"do": "keys.new", "tenant": "acme"}
                made = [
                    (await gate.control({**team, "name": name, **more}))["ok"]["secret"]
                    for name, more in (
                        ("all", {}),
                        ("narrow", {"models": ["second"]}),
                        ("eu", {"region": "eu"}),
                        ("short", {"limits": "2 req/min"}),
                    )
                ]
                gate.key = made[0]
                assert [told(await gate.chat("main")) for _ in range(2)] == ["miss", "hit"]
                gate.key = made[1]
                assert (await gate.chat("main")).status == 403
                gate.key = made[2]
                assert (await gate.chat("main")).status == 403
                gate.key = made[3]
                assert [(await gate.chat("main")).status for _ in range(3)] == [200, 200, 429]
                gate.key = made[0]
                await gate.control({"do": "keys.revoke", "name": "all"})
                assert (await gate.chat("main")).status == 401
                assert len(up.book) == 1
                gate.key = made[1]  # which may read its own records, to check them at the end

    asyncio.run(main())


def test_tokens_and_dollars_of_a_hit_do_not_count(tmp_path: Path) -> None:
    budget = f"${COST / 1e9:.9f}/month"
    keys = f"[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '2000 tok/min, 9 req/min, {budget}'\n"

    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Gate(tmp_path, file(cached() + keys, a=up), key=APP_KEY) as gate,
        ):
            ask = {"max_tokens": 1}
            assert told(await gate.chat("main", **ask)) == "miss"
            left = [await gate.chat("main", **ask) for _ in range(3)]
            assert {told(r) for r in left} == {"hit"}
            own = (await gate.get("/v1/key")).json
            used = {limit["unit"]: limit["limit"] - limit["remaining"] for limit in own["limits"]}
            assert own["budgets"][0]["left_nano"] == 0
            assert used["req"] == 4
            assert used["tok"] <= sum(provider.BILL)
            assert len(up.book) == 1

    asyncio.run(main())


@pytest.mark.parametrize("target", ["a/m", "claude/m"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_hit_is_guarded_as_a_miss_is(tmp_path: Path, target: str, stream: bool) -> None:
    name = target.partition("/")[0]
    dialect = dialect_of(name)
    words = ["Mail ", "ana.b", "@acme", "corp.io", " now."]
    whole = provider.whole(dialect, text="".join(words))
    play = provider.streamed(dialect, words) if stream else whole
    text = cached(target=target) + "[guard]\npii = 'mask'\n"

    async def main() -> None:
        async with Upstream(play) as up, Gate(tmp_path, file(text, **{name: up})) as gate:
            more = {"stream": True} if stream else {}
            replies = [await gate.chat("main", **more) for _ in range(2)]
            assert [told(reply) for reply in replies] == ["miss", "hit"]
            for reply in replies:
                assert b"[EMAIL]" in reply.body
                assert b"@acme" not in reply.body

    asyncio.run(main())


# -- the caller's wishes ----------------------------------------------------------------------


def test_no_store_and_no_cache(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(cached(), a=up)) as gate:
            body = question("main")

            async def ask(said: str = "") -> tuple[str, str]:
                more = [("cache-control", said)] if said else []
                reply = await gate.post("/v1/chat/completions", body, *more)
                return told(reply), reply.json["choices"][0]["message"]["content"]

            assert await ask("no-store") == ("off", "reply 0")
            assert await ask() == ("miss", "reply 1")
            assert await ask("No-Store, max-age=0") == ("off", "reply 2")
            assert await ask() == ("hit", "reply 1")
            assert await ask("no-cache") == ("miss", "reply 3")
            assert await ask() == ("hit", "reply 3")
            assert all(b"cache-control" not in entry.head.lower() for entry in up.book)

    asyncio.run(main())
