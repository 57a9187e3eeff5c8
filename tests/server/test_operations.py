"""Embeddings, reranking, moderations, completions: the spine's promises hold for them too."""

import json
import struct
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.server import provider
from tests.server.check import error_of
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file
from tests.upstream_server import Exchange, Play, Upstream, says

KEY = "\n[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '1000 req/min, 100k tok/min, $5/day'\n"
VECTOR = [0.25, -0.5, 1.0]
# Replies as the vendors document them, under what tests/server/gate.py names the provider.
# https://developers.openai.com/api/reference/resources/embeddings/methods/create
OPENAI_EMBED = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": VECTOR}],
    "model": "m-1",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
# https://docs.cohere.com/reference/embed
COHERE_EMBED = {
    "id": "da6e531f",
    "embeddings": {"float": [VECTOR, VECTOR]},
    "texts": ["a", "b"],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 6}},
}
# https://ai.google.dev/api/embeddings#method:-models.batchembedcontents
GEMINI_EMBED = {"embeddings": [{"values": VECTOR}, {"values": VECTOR}]}
# https://docs.cohere.com/reference/rerank
COHERE_RERANK = {
    "results": [{"index": 1, "relevance_score": 0.99}, {"index": 0, "relevance_score": 0.1}],
    "id": "07734bd2",
    "meta": {"billed_units": {"search_units": 1}},
}
# https://developers.openai.com/api/reference/resources/moderations/methods/create
MODERATION = {
    "id": "modr-1",
    "model": "m-1",
    "results": [{"flagged": True, "categories": {"violence": True}, "category_scores": {}}],
}
# https://developers.openai.com/api/reference/resources/completions/methods/create
COMPLETION = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "m-1",
    "choices": [{"text": "test", "index": 0, "logprobs": None, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
}


def answers(value: Any, status: int = 200) -> Callable[[Exchange], Any]:
    return says(json.dumps(value).encode(), status=status)


async def sent(gate: Gate, path: str, **members: Any) -> Any:
    reply = await gate.post(path, json.dumps(members).encode())
    assert reply.status == 200, reply.body
    return reply


def test_embeddings_pass_and_are_billed(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(answers(OPENAI_EMBED)) as up:
            gate = Gate(tmp_path, file(KEY, a=up), key=APP_KEY)
            async with gate:
                body = b'{"model":"a/m", "input":["caf\\u00e9"],"new":{"x": 1e0}}'
                reply = await gate.post("/v1/embeddings", body)
                assert (reply.status, reply.json) == (200, OPENAI_EMBED)
                (exchange,) = up.book
                assert exchange.path.endswith("/embeddings")
                assert b'"input":["caf\\u00e9"]' in exchange.body
                assert b'"new":{"x": 1e0}' in exchange.body
                assert json.loads(exchange.body)["model"] == "m"
                (row,) = await gate.rows(1)
                assert (row["input_tokens"], row["output_tokens"]) == (8, 0)
                assert row["nano"] == provider.nano((8, 0))
                (record,) = await gate.records(1)
                assert (record["op"], record["status"], record["nano"]) == (
                    "embed",
                    200,
                    row["nano"],
                )
                assert reply.headers["x-octoplex-cost-nano"] == str(row["nano"])

    run(main())


@pytest.mark.parametrize(
    ("dialect", "said", "path", "billed"),
    [
        ("cohere-v2", COHERE_EMBED, "/embed", 6),
        ("gemini", GEMINI_EMBED, ":batchEmbedContents", None),
    ],
)
def test_embeddings_of_others_are_openais(
    tmp_path: Path, run: Run, dialect: str, said: Any, path: str, billed: int | None
) -> None:
    async def main() -> None:
        async with Upstream(answers(said)) as up:
            text = file(KEY, a=up).replace("'openai-chat'", f"'{dialect}'")
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                texts = {"input": ["a", "b"], "dimensions": 3, "user": "u"}
                plain = (await sent(gate, "/v1/embeddings", model="a/m", **texts)).json
                assert [d["embedding"] for d in plain["data"]] == [VECTOR, VECTOR]
                assert [d["index"] for d in plain["data"]] == [0, 1]
                client = openai.AsyncOpenAI(
                    base_url=f"http://127.0.0.1:{gate.port}/v1", api_key=APP_KEY, max_retries=0
                )
                made = await client.embeddings.create(model="a/m", input=["a", "b"])
                await client.close()
                assert [d.embedding for d in made.data] == [VECTOR, VECTOR]
                assert up.book[0].path.endswith(path)
                rows = await gate.rows(2)
                assert {bool(row["estimated"]) for row in rows} == {billed is None}
                told = plain["usage"]["prompt_tokens"]
                assert told == (billed or 2)  # a text of one byte each
                assert {row["input_tokens"] for row in rows} == {told}

    run(main())


def test_base64_is_what_the_sdks_read(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(answers(COHERE_EMBED)) as up:
            text = file(KEY, a=up).replace("'openai-chat'", "'cohere-v2'")
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                told = await sent(
                    gate, "/v1/embeddings", model="a/m", input=["a", "b"], encoding_format="base64"
                )
                packed = b64decode(told.json["data"][0]["embedding"])
                assert list(struct.unpack("<3f", packed)) == VECTOR
                tokens = json.dumps({"model": "a/m", "input": [[1, 2]]}).encode()
                reply = await gate.post("/v1/embeddings", tokens)
                assert (reply.status, error_of(reply, "openai-chat")["param"]) == (400, "input")
                assert len(up.book) == 1

    run(main())


@pytest.mark.parametrize(
    ("path", "said", "members", "bill"),
    [
        ("/v1/rerank", COHERE_RERANK, {"query": "q", "documents": ["x", "y"], "top_n": 2}, (0, 0)),
        ("/v1/moderations", MODERATION, {"input": "text"}, None),
        ("/v1/completions", COMPLETION, {"prompt": "Say", "max_tokens": 7}, (5, 7)),
    ],
)
def test_the_others_pass_as_they_are(
    tmp_path: Path, run: Run, path: str, said: Any, members: Any, bill: tuple[int, int] | None
) -> None:
    async def main() -> None:
        async with Upstream(answers(said)) as up:
            gate = Gate(tmp_path, file(KEY, a=up), key=APP_KEY)
            async with gate:
                told = await sent(gate, path, model="a/m", **members)
                assert told.json == said
                assert json.loads(up.book[0].body) == {"model": "m", **members}
                (row,) = await gate.rows(1)
                assert bool(row["estimated"]) == (bill is None)
                if bill:
                    assert row["nano"] == provider.nano(bill)

    run(main())


def test_a_vendor_of_embeddings_alone_is_configured_like_any(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(answers(OPENAI_EMBED), answers(COHERE_RERANK)) as up:
            text = f"[providers.jina]\nbase_url = '{up.url}/v1'\napi_key = 'env:UP_KEY'\n"
            async with Gate(tmp_path, file(text)) as gate:
                told = await sent(gate, "/v1/embeddings", model="jina/m", input=["x"])
                assert told.json == OPENAI_EMBED
                ranked = {"query": "q", "documents": ["x", "y"]}
                assert (await sent(gate, "/v1/rerank", model="jina/m", **ranked)).status == 200
                assert [entry.path for entry in up.book] == ["/v1/embeddings", "/v1/rerank"]

    run(main())


def test_what_is_wrong_is_said_before_anybody_is_asked(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(answers({})) as up, Upstream(answers({})) as other:
            text = file(KEY, a=up) + "\n[providers.claude]\ndialect = 'anthropic'\n"
            text += f"base_url = '{other.url}'\n"
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                for path, body, param in (
                    ("embeddings", {"input": "x"}, "model"),
                    ("embeddings", {"model": "a/m"}, "input"),
                    ("embeddings", {"model": "a/m", "input": []}, "input"),
                    ("rerank", {"model": "a/m", "query": "q"}, "documents"),
                    ("completions", {"model": "a/m", "prompt": "x", "stream": "yes"}, "stream"),
                    (
                        "completions",
                        {"model": "a/m", "prompt": "x", "max_tokens": -1},
                        "max_tokens",
                    ),
                ):
                    reply = await gate.post(f"/v1/{path}", json.dumps(body).encode())
                    assert reply.status == 400, (path, body)
                    assert error_of(reply, "openai-chat")["param"] == param
                body = json.dumps({"model": "claude/m", "input": "x"}).encode()
                reply = await gate.post("/v1/embeddings", body)
                assert reply.status == 404
                assert "makes embeddings" in error_of(reply, "openai-chat")["message"]
                assert not up.book + other.book

    run(main())


def test_a_failure_falls_over_like_a_chat(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        busy: Play = answers({"error": {"message": "no", "type": "server_error"}}, 503)
        async with Upstream(busy) as up, Upstream(answers(OPENAI_EMBED)) as other:
            more = "[models.vectors]\ntry = ['a/m', 'b/m']\nretry = { attempts = 1 }\n"
            async with Gate(tmp_path, file(KEY + more, a=up, b=other), key=APP_KEY) as gate:
                told = await sent(gate, "/v1/embeddings", model="vectors", input="x")
                assert told.headers["x-octoplex-model"] == "b/m"
                assert told.headers["x-octoplex-attempts"] == "2"
                rows = await gate.rows(2)
                assert [row["nano"] for row in rows] == [0, provider.nano((8, 0))]

    run(main())


def test_a_reply_without_what_was_asked_for_is_none(tmp_path: Path, run: Run) -> None:
    """Neither one vector for two inputs nor a 200 of something else reaches the caller."""

    async def main() -> None:
        two = {**OPENAI_EMBED, "data": [{**OPENAI_EMBED["data"][0], "index": n} for n in (0, 1)]}
        async with Upstream(answers(OPENAI_EMBED)) as up, Upstream(answers(two)) as other:
            more = "[models.vectors]\ntry = ['a/m', 'b/m']\nretry = { attempts = 1 }\n"
            async with Gate(tmp_path, file(more, a=up, b=other)) as gate:
                told = await sent(gate, "/v1/embeddings", model="vectors", input=["x", "y"])
                assert (told.headers["x-octoplex-model"], told.json) == ("b/m", two)
        async with Upstream(answers({"ok": True})) as up:
            (tmp_path / "other").mkdir()
            async with Gate(tmp_path / "other", file(a=up)) as gate:
                for path, body in (
                    ("embeddings", {"input": "x"}),
                    ("rerank", {"query": "q", "documents": ["x"]}),
                    ("moderations", {"input": "x"}),
                    ("completions", {"prompt": "x"}),
                ):
                    reply = await gate.post(
                        f"/v1/{path}", json.dumps({"model": "a/m", **body}).encode()
                    )
                    assert reply.status == 502, (path, reply.body)

    run(main())


@pytest.mark.parametrize(
    ("dialect", "one", "said"),
    [
        ("gemini", {"embeddings": [{"values": VECTOR}]}, GEMINI_EMBED),
        ("cohere-v2", {"embeddings": {"float": [VECTOR]}}, COHERE_EMBED),
    ],
)
def test_gemini_callers_embed_with_anybody(
    tmp_path: Path, run: Run, dialect: str, one: Any, said: Any
) -> None:
    async def main() -> None:
        async with Upstream(answers(one), answers(said)) as up:
            text = file(KEY, a=up).replace("'openai-chat'", f"'{dialect}'")
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                parts = [{"parts": [{"text": word}]} for word in ("a", "b")]
                asking = {
                    "content": parts[0],
                    "taskType": "RETRIEVAL_QUERY",
                    "output_dimensionality": 3,
                }
                told = await sent(gate, "/v1beta/models/a/m:embedContent", **asking)
                assert told.json == {"embedding": {"values": VECTOR}}
                batch = {"requests": [{"model": "models/a/m", "content": part} for part in parts]}
                told = await sent(gate, "/v1beta/models/a/m:batchEmbedContents", **batch)
                assert told.json == {"embeddings": [{"values": VECTOR}] * 2}
                asked = json.loads(up.book[0].body)
                if dialect == "gemini":
                    (request,) = asked["requests"]
                    assert request["taskType"] == "RETRIEVAL_QUERY"
                    assert request["outputDimensionality"] == 3
                else:
                    assert (asked["texts"], asked["output_dimension"]) == (["a"], 3)
                reply = await gate.post(
                    "/v1beta/models/a/m:embedContent", b'{"content":{"parts":[{}]}}'
                )
                assert reply.status == 400
                assert "text" in error_of(reply, "gemini")["message"]

    run(main())
