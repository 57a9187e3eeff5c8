"""Google Cloud and Bedrock over sockets: tokens, Claude in its envelopes, Azure's dated API.

A service account's key is made by the test; its `token_uri` is a scripted endpoint.
"""

import asyncio
import contextlib
import json
import random
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.sdk import others
from tests.sdk.failures import refuses
from tests.sdk.vendors import text
from tests.server import provider
from tests.server.check import error_of
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file
from tests.server.test_verbatim import hashed, members, pretty, stream_events, turn, whole_body
from tests.upstream_server import Play, Upstream, says, streams

PLACE = "/v1/projects/acme/locations/global"
DENIED = json.dumps({"error": "invalid_grant", "error_description": "Invalid JWT Signature."})


@cache
def private_key() -> str:
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode()


def token(value: str) -> Play:
    granted = {"access_token": value, "expires_in": 3599, "token_type": "Bearer"}
    return says(json.dumps(granted).encode())


def google(folder: Path, tokens: Upstream, up: Upstream, more: str = "") -> str:
    """Both of Google's rows at the scripted server, with one key file."""
    account = {
        "type": "service_account",
        "client_email": "gate@acme.iam.gserviceaccount.com",
        "private_key_id": "k1",
        "private_key": private_key(),
        "token_uri": f"{tokens.url}/token",
    }
    path = folder / "account.json"
    path.write_text(json.dumps(account))
    tables = "".join(
        f"[providers.{name}]\nbase_url = '{up.url}{PLACE}'\napi_key = 'file:{path}'\n"
        for name in ("vertex", "vertex-anthropic")
    )
    prices = f'"vertex/m" = {provider.PRICE}\n"vertex-anthropic/m" = {provider.PRICE}\n'
    return f"[server]\ndrain_s = 2.0\n{tables}{more}\n[prices]\n{prices}"


@contextlib.asynccontextmanager
async def cloud(
    folder: Path, granted: Play, *plays: Play, more: str = ""
) -> AsyncIterator[tuple[Upstream, Upstream, Gate]]:
    """The endpoint for tokens, Google Cloud, and a gateway before them."""
    async with (
        Upstream(granted, token("ya29.two")) as tokens,
        Upstream(*plays) as up,
        Gate(folder, google(folder, tokens, up, more)) as gate,
    ):
        yield tokens, up, gate


def gemini() -> Play:
    return says(others.gemini([text("Hello!")], "end_turn"))


def message() -> Play:
    return says(provider.message_body())


GENERATE = "/v1beta/models/vertex/m:generateContent"
ASK = b'{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}'


def test_one_token_serves_every_call_of_both_rows(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with cloud(tmp_path, token("ya29.one"), message()) as (tokens, up, gate):
            asked = (gate.chat("vertex-anthropic/m", "anthropic") for _ in range(5))
            assert {r.status for r in await asyncio.gather(*asked)} == {200}
            up.plays[0] = gemini()
            for _ in range(2):
                assert (await gate.post(GENERATE, ASK)).status == 200
            (entry,) = tokens.book
            assert entry.target == b"/token"
            assert {e.headers[b"authorization"] for e in up.book} == {b"Bearer ya29.one"}
            assert [e.target.decode() for e in up.book[-3:]] == [
                f"{PLACE}/publishers/anthropic/models/m:rawPredict",
                *[f"{PLACE}/publishers/google/models/m:generateContent"] * 2,
            ]
            rows = await gate.rows(7)
            assert {row["estimated"] for row in rows} == {0}

    run(main())


def test_a_token_that_is_refused_is_renewed_within_the_call(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        late = refuses("vex", "own key")
        async with (
            Upstream(token("ya29.one"), token("ya29.two")) as tokens,
            Upstream(message(), late, message()) as up,
            Gate(tmp_path, google(tmp_path, tokens, up)) as gate,
        ):
            for _ in range(3):
                reply = await gate.chat("vertex-anthropic/m", "anthropic")
                assert (reply.status, reply.headers["x-octoplex-attempts"]) == (200, "1")
            proofs = [e.headers[b"authorization"].decode() for e in up.book]
            one, two = "Bearer ya29.one", "Bearer ya29.two"
            assert proofs == [one, one, two, two]
            assert len(tokens.book) == 2
            assert len(await gate.rows(3)) == 3

    run(main())


def test_a_token_that_stays_refused_is_our_failure(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(token("ya29.one"), token("ya29.two")) as tokens,
            Upstream(refuses("vex", "own key")) as up,
            Gate(tmp_path, google(tmp_path, tokens, up)) as gate,
        ):
            reply = await gate.chat("vertex-anthropic/m")
            assert (reply.status, error_of(reply, "openai-chat")["code"]) == (
                502,
                "upstream_denied",
            )
            assert len(up.book) == len(tokens.book) == 2
            reply = await gate.chat("vertex-anthropic/m")
            assert error_of(reply, "openai-chat")["code"] == "no_target"
            assert len(up.book) == 2, "the key rests"
            assert all(row["nano"] == 0 for row in await gate.rows())

    run(main())


FACES = ("openai-chat", "anthropic", "openai-responses", "gemini")


@pytest.mark.parametrize("face", FACES)
def test_a_key_that_google_refuses_is_told_in_each_face_and_rests(
    tmp_path: Path, run: Run, face: str
) -> None:
    async def main() -> None:
        no = says(DENIED.encode(), 400)
        async with cloud(tmp_path, no, message()) as (tokens, up, gate):
            for code in ("upstream_denied", "no_target"):
                if face == "gemini":
                    reply = await gate.post(GENERATE, ASK)
                else:
                    more = {"input": "Hi"} if face == "openai-responses" else {}
                    reply = await gate.chat("vertex/m", face, **more)
                error = error_of(reply, face)
                assert error["code"] == code
                assert ("invalid_grant" in error["message"]) == (code == "upstream_denied")
                assert b"Invalid JWT" not in reply.body
            assert len(tokens.book) == 1, "the key rests"
            assert up.book == []

    run(main())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("face", ["anthropic", "gemini"])
def test_a_conversation_passes_byte_for_byte(
    tmp_path: Path, run: Run, face: str, stream: bool
) -> None:
    """What the envelope has instead, and nothing else, is not the caller's."""
    name = {"anthropic": "vertex-anthropic", "gemini": "vertex"}[face]

    async def main() -> None:
        events, body = stream_events(face), whole_body(face)
        play = streams(events) if stream else says(body)
        async with cloud(tmp_path, token("ya29.one"), play) as (_, up, gate):
            fields = turn(face, [], stream)
            path = "/v1/messages"
            if face == "anthropic":
                fields["model"] = b'"vertex-anthropic/m"'
            else:
                verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
                path = f"/v1beta/models/vertex/m:{verb}"
            reply = await gate.post(path, pretty(fields, random.Random(7)))
            assert reply.status == 200, reply.body
            (entry,) = up.book
            got = members(entry.body)
            if face == "anthropic":
                assert got.pop("anthropic_version") == hashed(b'"vertex-2023-10-16"')
            assert got == {n: hashed(v) for n, v in fields.items() if n != "model"}
            whole = b"".join(events) if stream else body
            assert reply.body.startswith(whole)
            assert reply.headers["x-octoplex-provider"] == name

    run(main())


@pytest.mark.parametrize("stream", [False, True])
def test_bedrocks_claude_passes_byte_for_byte(tmp_path: Path, run: Run, stream: bool) -> None:
    """Every data line is what stood in the frames; only their framing is another."""

    async def main() -> None:
        events, body = stream_events("anthropic"), whole_body("anthropic")
        kind = "application/vnd.amazon.eventstream"
        play = streams(others.chunks(events), content_type=kind) if stream else says(body)
        async with Upstream(play) as up:
            dialects = 'dialects = { bedrock-converse = "", bedrock-anthropic = "" }'
            config = file(a=up).replace("dialect = 'openai-chat'", dialects)
            async with Gate(tmp_path, config) as gate:
                fields = turn("anthropic", [], stream)
                fields["model"] = b'"a/eu.anthropic.claude-opus-4-6-v1"'
                asked = pretty(fields, random.Random(7))
                betas = ("anthropic-beta", "claude-code-20250219,context-1m-2025-08-07")
                reply = await gate.post("/v1/messages", asked, betas)
                assert reply.status == 200, reply.body
                (entry,) = up.book
                verb = "invoke-with-response-stream" if stream else "invoke"
                assert entry.path == f"/model/eu.anthropic.claude-opus-4-6-v1/{verb}"
                assert b"anthropic-beta" not in entry.headers
                got = members(entry.body)
                assert got.pop("anthropic_version") == hashed(b'"bedrock-2023-05-31"')
                assert got.pop("anthropic_beta") == hashed(b'["context-1m-2025-08-07"]')
                want = {n: hashed(v) for n, v in fields.items() if n not in ("model", "stream")}
                assert got == want
                assert reply.headers["x-octoplex-dropped"] == "claude-code-20250219"
                assert reply.body.startswith(b"".join(events) if stream else body)

    run(main())


PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_a_picture_by_url_is_fetched_for_a_cloud_that_takes_bytes(tmp_path: Path, run: Run) -> None:
    """The one thing that keeps a call of Anthropic's face from passing verbatim here."""

    async def main() -> None:
        picture = says(PNG, headers=[("content-type", "image/png")])
        async with Upstream(message()) as up, Upstream(picture) as web:
            media = f"hosts = ['127.0.0.1:{web.port}']\nnetworks = ['127.0.0.0/8']\nhttp = true\n"
            key = "[keys.app]\nsecret = 'env:APP_KEY'\n"
            config = file(f"{key}[server.media]\n{media}", a=up)
            config = config.replace("'openai-chat'", "'bedrock-anthropic'")
            async with Gate(tmp_path, config, key=APP_KEY) as gate:
                source = {"type": "url", "url": f"{web.url}/cat.png"}
                cache = {"cache_control": {"type": "ephemeral"}}
                part = {"type": "image", "source": source, **cache}
                turns = [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}]
                asked = {"model": "a/m", "max_tokens": 9, "messages": turns, "new_member": 1}
                betas = ("anthropic-beta", "claude-code-20250219,context-1m-2025-08-07")
                reply = await gate.post("/v1/messages", json.dumps(asked).encode(), betas)
                assert reply.status == 200, reply.body
                assert reply.body == provider.message_body(), "the reply still passes"
                body = json.loads(up.book[0].body)
                data = b64encode(PNG).decode()
                fetched = {"type": "base64", "media_type": "image/png", "data": data}
                assert body["messages"][0]["content"][0] == {**part, "source": fetched}
                assert body["anthropic_version"] == "bedrock-2023-05-31"
                assert body["anthropic_beta"] == ["context-1m-2025-08-07"]
                assert body["new_member"] == 1
                assert reply.headers["x-octoplex-dropped"] == "claude-code-20250219"

    run(main())


def test_bedrock_is_asked_by_converse_for_every_other_face_and_model(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with Upstream(says(others.converse([text("Hi.")], "end_turn"))) as up:
            dialects = 'dialects = { bedrock-converse = "", bedrock-anthropic = "" }'
            config = file(a=up).replace("dialect = 'openai-chat'", dialects)
            async with Gate(tmp_path, config) as gate:
                for face, model in (
                    ("openai-chat", "anthropic.claude-opus-4-6-v1"),
                    ("anthropic", "amazon.nova-pro-v1:0"),
                    ("anthropic", "arn:aws:bedrock:eu-west-1:1:application-inference-profile/x"),
                ):
                    assert (await gate.chat(f"a/{model}", face)).status == 200
                assert [e.path.rpartition("/")[2] for e in up.book] == ["converse"] * 3

    run(main())


def test_a_broken_frame_ends_the_stream_in_band(tmp_path: Path, run: Run) -> None:
    """The checksums are transport's; what came before a bad one has been delivered."""

    async def main() -> None:
        frames = others.chunks(stream_events("anthropic"))
        frames[6] = frames[6][:-1] + bytes([frames[6][-1] ^ 1])
        kind = "application/vnd.amazon.eventstream"
        async with Upstream(streams(frames, content_type=kind)) as up:
            config = file(a=up).replace("'openai-chat'", "'bedrock-anthropic'")
            async with Gate(tmp_path, config) as gate:
                reply = await gate.chat("a/m", "anthropic", stream=True)
                assert b"event: error" in reply.body
                assert b"message_stop" not in reply.body
                assert b"bad_upstream_response" in reply.body

    run(main())


# https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
PREDICTED = {
    "predictions": [
        {"embeddings": {"statistics": {"truncated": False, "token_count": 6}, "values": [0.5, 1.0]}}
    ]
}
BATCH = {"embeddings": [{"values": [0.5, 1.0]}], "usageMetadata": {"promptTokenCount": 6}}


@pytest.mark.parametrize(
    ("model", "verb", "said"),
    [
        ("text-embedding-005", "predict", PREDICTED),
        ("gemini-embedding-001", "batchEmbedContents", BATCH),
    ],
)
def test_embeddings_of_both_faces(
    tmp_path: Path, run: Run, model: str, verb: str, said: Any
) -> None:
    async def main() -> None:
        play = says(json.dumps(said).encode())
        async with cloud(tmp_path, token("ya29.one"), play) as (_, up, gate):
            asked = {"model": f"vertex/{model}", "input": "Hi"}
            reply = await gate.post("/v1/embeddings", json.dumps(asked).encode())
            assert reply.status == 200, reply.body
            assert reply.json["data"][0]["embedding"] == [0.5, 1.0]
            assert reply.json["usage"]["prompt_tokens"] == 6
            own = b'{"content":{"parts":[{"text":"Hi"}]},"outputDimensionality":2}'
            reply = await gate.post(f"/v1beta/models/vertex/{model}:embedContent", own)
            assert reply.json == {"embedding": {"values": [0.5, 1.0]}}
            path = f"{PLACE}/publishers/google/models/{model}:{verb}"
            assert [e.path for e in up.book] == [path, path]
            rows = await gate.rows(2)
            assert [row["input_tokens"] for row in rows] == [6, 6]

    run(main())


def test_tokens_are_counted_and_a_tier_becomes_a_header(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        counted = says(b'{"totalTokens":2095}')
        async with cloud(tmp_path, token("ya29.one"), counted, gemini()) as (_, up, gate):
            whole = b'{"generateContentRequest":{"model":"models/m",%b}}' % ASK[1:-1]
            reply = await gate.post("/v1beta/models/vertex/m:countTokens", whole)
            assert reply.json["totalTokens"] == 2095
            assert up.book[0].body == ASK
            reply = await gate.chat("vertex/m", service_tier="flex")
            assert reply.status == 200, reply.body
            assert up.book[1].headers[b"x-vertex-ai-llm-shared-request-type"] == b"flex"
            assert b"serviceTier" not in up.book[1].body

    run(main())


@pytest.mark.parametrize("model", ["..", "a/../b", ".", "%2e%2e", "a%2F..%2Fb"])
def test_a_model_cannot_name_another_place(tmp_path: Path, run: Run, model: str) -> None:
    async def main() -> None:
        gem = "[providers.gem]\ndialect = 'gemini'\nbase_url = 'http://127.0.0.1:1'\n"
        async with cloud(tmp_path, token("ya29.one"), gemini(), more=gem) as (tokens, up, gate):
            for name in ("vertex", "vertex-anthropic", "gem"):
                path = f"/v1beta/models/{name}/{model}:generateContent"
                reply = await gate.post(path, ASK)
                assert reply.status in (400, 404), (name, reply.body)
                error_of(reply, "gemini")
                path = path.replace("generateContent", "embedContent")
                assert (await gate.post(path, b'{"content":"x"}')).status in (400, 404)
            assert up.book == tokens.book == []

    run(main())


# -- Azure's dated API ----------------------------------------------------------------------


def test_azures_dated_api_has_the_deployment_in_the_path(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(says(provider.chat_body())) as up:
            config = file() + (
                f"[providers.az]\nbase_url = '{up.url}'\napi_key = 'env:UP_KEY'\n"
                'dialects = { openai-chat = "/openai/deployments/{model}" }\n'
                'query = { api-version = "2025-01-01-preview" }\n'
                f"[providers.azure-openai-deployments]\nbase_url = '{up.url}'\n"
                "api_key = 'env:UP_KEY'\n"
            )
            async with Gate(tmp_path, config) as gate:
                assert (await gate.chat("az/my gpt?x=1")).status == 200
                assert (await gate.chat("azure-openai-deployments/gpt-4o")).status == 200
                up.plays[0] = says(b'{"data":[{"embedding":[1.0]}],"usage":{"prompt_tokens":3}}')
                for name in ("az", "azure-openai-deployments"):
                    asked = json.dumps({"model": f"{name}/ada", "input": "x"}).encode()
                    assert (await gate.post("/v1/embeddings", asked)).status == 200
                assert (await gate.chat("az/..")).status == 400
                at = "/openai/deployments"
                assert [e.target.decode() for e in up.book] == [
                    f"{at}/my%20gpt%3Fx%3D1/chat/completions?api-version=2025-01-01-preview",
                    f"{at}/gpt-4o/chat/completions?api-version=2024-10-21",
                    f"{at}/ada/embeddings?api-version=2025-01-01-preview",
                    f"{at}/ada/embeddings?api-version=2024-10-21",
                ]
                assert b"api-key" in up.book[1].headers

    run(main())
