"""watsonx.ai, GigaChat and Qianfan over sockets: what their keys buy, where it goes, who pays.

The endpoints for tokens are scripted, at the `token_url` of each provider's table.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sdk import near
from tests.sdk.vendors import text
from tests.server import provider
from tests.server.check import error_of, finished
from tests.server.conftest import Run
from tests.server.gate import QUERY_KEY, UP_KEY, Gate
from tests.upstream_server import Entry, Play, Upstream, raw, reset, says, streams

BAIDU = "/rpc/2.0/ai_custom/v1/wenxinworkshop"
PATHS = {"watsonx": "", "gigachat": "/api/v1", "chatlaw": BAIDU}
SHORT = {"watsonx": "wat", "gigachat": "giga", "chatlaw": "qian"}
KEYS = {"watsonx": UP_KEY, "gigachat": f"client:{UP_KEY}", "chatlaw": f"application:{UP_KEY}"}
ACCOUNTS = {"watsonx": 'project_id = "acme", ', "gigachat": "", "chatlaw": ""}
WRITES = {
    "watsonx": (near.watsonx, near.watsonx_events),
    "gigachat": (near.gigachat, near.gigachat_events),
    "chatlaw": (near.ernie, near.ernie_events),
}
ONE, TWO = f"24.one-{QUERY_KEY}", f"24.two-{QUERY_KEY}"
every_vendor = pytest.mark.parametrize("vendor", PATHS)


def token(vendor: str, value: str) -> Play:
    """In the reply of each, as it documents it."""
    lasts: Any = {"expires_at": 4_102_444_800_000} if vendor == "gigachat" else {"expires_in": 3600}
    return says(json.dumps({"access_token": value, **lasts}).encode())


def hello(vendor: str, *, stream: bool = False) -> Play:
    whole, events = WRITES[vendor]
    blocks = [text("Hello!")]
    return streams(events(blocks, "end_turn")) if stream else says(whole(blocks, "end_turn"))


def refuses(vendor: str, name: str, status: int = 401) -> Play:
    code, body = near.refusal(SHORT[vendor], name, status, "No.")
    return says(json.dumps(body).encode(), code)


def proof(entry: Entry) -> str:
    """The token of a request, wherever its vendor wants it, and nowhere else."""
    query = parse_qs(urlsplit(entry.path).query)
    header = entry.headers.get(b"authorization", b"").decode()
    assert bool(header) != ("access_token" in query)
    return header.removeprefix("Bearer ") or query["access_token"][0]


@contextlib.asynccontextmanager
async def before(
    folder: Path, vendor: str, granted: list[Play], *plays: Play
) -> AsyncIterator[tuple[Upstream, Upstream, Gate]]:
    """The endpoint for tokens, the vendor, and a gateway before them."""
    (folder / "gate").mkdir()
    (folder / "key").write_text(KEYS[vendor])
    async with Upstream(*granted) as tokens, Upstream(*plays) as up:
        account = f'{ACCOUNTS[vendor]}token_url = "{tokens.url}/token"'
        file = f"[server]\ndrain_s = 2.0\n[providers.{vendor}]\naccount = {{ {account} }}\n"
        file += f"base_url = '{up.url}{PATHS[vendor]}'\napi_key = 'file:{folder / 'key'}'\n"
        file += f"[prices]\n'{vendor}/m' = {provider.PRICE}\n"
        async with Gate(folder / "gate", file) as gate:
            yield tokens, up, gate


@every_vendor
def test_one_token_serves_every_call(tmp_path: Path, run: Run, vendor: str) -> None:
    async def main() -> None:
        granted = [token(vendor, ONE), token(vendor, TWO)]
        async with before(tmp_path, vendor, granted, hello(vendor)) as (tokens, up, gate):
            asked = (gate.chat(f"{vendor}/m") for _ in range(5))
            assert {reply.status for reply in await asyncio.gather(*asked)} == {200}
            up.plays[0] = hello(vendor, stream=True)
            finished(await gate.chat(f"{vendor}/m", stream=True), "openai-chat")
            (entry,) = tokens.book
            assert entry.path.startswith("/token")
            assert UP_KEY.encode() in entry.data or b"authorization: Basic " in entry.head
            assert [proof(entry) for entry in up.book] == [ONE] * 6
            assert {row["nano"] for row in await gate.rows(6)} == {provider.nano(near.BILL)}

    run(main())


@every_vendor
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_token_that_is_refused_is_renewed_within_the_call(
    tmp_path: Path, run: Run, vendor: str, stream: bool
) -> None:
    """Baidu says so in a 200."""

    async def main() -> None:
        granted = [token(vendor, ONE), token(vendor, TWO)]
        plays = hello(vendor), refuses(vendor, "own key"), hello(vendor, stream=stream)
        async with before(tmp_path, vendor, granted, *plays) as (tokens, up, gate):
            for streamed in (False, stream, stream):
                reply = await gate.chat(f"{vendor}/m", stream=streamed)
                assert (reply.status, reply.headers["x-octoplex-attempts"]) == (200, "1")
            assert [proof(entry) for entry in up.book] == [ONE, ONE, TWO, TWO]
            assert len(tokens.book) == 2

    run(main())


@every_vendor
def test_a_token_that_stays_refused_is_our_failure(tmp_path: Path, run: Run, vendor: str) -> None:
    async def main() -> None:
        granted, play = [token(vendor, ONE), token(vendor, TWO)], refuses(vendor, "own key")
        async with before(tmp_path, vendor, granted, play) as (tokens, up, gate):
            for code in ("upstream_denied", "no_target"):
                error = error_of(await gate.chat(f"{vendor}/m"), "openai-chat")
                assert error["code"] == code
                assert len(up.book) == len(tokens.book) == 2, "the key rests"
            assert all(row["nano"] == 0 for row in await gate.rows())

    run(main())


@every_vendor
def test_a_key_that_buys_no_token_is_our_failure_and_rests(
    tmp_path: Path, run: Run, vendor: str
) -> None:
    async def main() -> None:
        said = {"error_description": f"unknown key {UP_KEY}", "error": "invalid_client"}
        no = says(json.dumps(said).encode(), 400)
        async with before(tmp_path, vendor, [no], hello(vendor)) as (tokens, up, gate):
            for code in ("upstream_denied", "no_target"):
                error = error_of(await gate.chat(f"{vendor}/m"), "openai-chat")
                assert error["code"] == code
            assert len(tokens.book) == 1, "the key rests"
            assert up.book == []

    run(main())


@every_vendor
@pytest.mark.parametrize("bad", ["busy", "html", "reset"])
def test_an_endpoint_that_is_down_blames_no_key(
    tmp_path: Path, run: Run, vendor: str, bad: str
) -> None:
    async def main() -> None:
        plays = {"busy": says(b"{}", 503), "html": says(b"<html>", 502), "reset": reset()}
        granted = [plays[bad]] * 2 + [token(vendor, ONE)]
        async with before(tmp_path, vendor, granted, hello(vendor)) as (tokens, up, gate):
            assert (await gate.chat(f"{vendor}/m")).status in (200, 500, 502, 503)
            assert (await gate.chat(f"{vendor}/m")).status == 200
            assert {proof(entry) for entry in up.book} == {ONE}
            assert len(tokens.book) == 3

    run(main())


def page(exchange_path: bytes) -> bytes:
    """What a proxy in the way may say: it names the address that was asked for."""
    return b"<html>404: the requested URL " + exchange_path + b" was not found</html>"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("how", ["html", "moved", "echo", "reset", "nonsense", "cut", "silent"])
def test_a_token_in_the_query_is_never_shown(
    tmp_path: Path, run: Run, how: str, stream: bool
) -> None:
    """Neither to callers nor in logs, records or the ledger: `Gate` looks everywhere."""

    async def main() -> None:
        asked = f"{BAIDU}/chat/m?access_token={ONE}".encode()
        said = {"error_code": 336100, "error_msg": f"no access_token={ONE} at {asked.decode()}"}
        cut = near.ernie_events([text("Hello!")], "end_turn")[:-1]
        plays = {
            "html": says(page(asked), 404),
            "moved": says(b"", 302, [("location", f"https://elsewhere.test{asked.decode()}")]),
            "echo": says(json.dumps(said).encode()),
            "reset": reset(),
            "nonsense": raw(b"GET " + asked + b"\r\n\r\n", "close"),
            "cut": streams(cut, end="close"),
            "silent": streams([]),
        }
        vendor = "chatlaw"
        async with before(tmp_path, vendor, [token(vendor, ONE)], plays[how]) as (_, up, gate):
            reply = await gate.chat("chatlaw/m", stream=stream)
            assert reply.status != 200 or (how == "cut" and stream)
            assert {proof(entry) for entry in up.book} == {ONE}
            assert all(ONE not in str(row) for row in [*await gate.records(), *gate.ledger()])
            for path in ("/metrics", "/v1/models", "/health/ready"):
                await gate.get(path)

    run(main())


def test_watsonx_is_told_who_pays_and_the_date_of_its_api(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        granted, play = [token("watsonx", ONE)], hello("watsonx")
        async with before(tmp_path, "watsonx", granted, play) as (_, up, gate):
            assert (await gate.chat("watsonx/ibm/granite-4-h-small")).status == 200
            (entry,) = up.book
            assert entry.path == "/ml/v1/text/chat?version=2024-10-08"
            body = json.loads(entry.body)
            assert (body["model_id"], body["project_id"]) == ("ibm/granite-4-h-small", "acme")
            assert "token_url" not in body

    run(main())


# https://cloud.ibm.com/apidocs/watsonx-ai#text-embeddings and #text-rerank,
# https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-embeddings
VECTOR = [0.25, -0.5, 1.0]
IBM_EMBED = {
    "model_id": "m",
    "results": [{"embedding": VECTOR}, {"embedding": VECTOR}],
    "created_at": "2024-02-21T17:32:28Z",
    "input_token_count": 10,
}
IBM_RERANK = {
    "model_id": "m",
    "results": [{"index": 1, "score": 0.7461}, {"index": 0, "score": 0.8274}],
    "created_at": "2024-02-21T17:32:28Z",
    "input_token_count": 20,
}
SBER_EMBED = {
    "object": "list",
    "data": [
        {"object": "embedding", "index": n, "embedding": VECTOR, "usage": {"prompt_tokens": 5}}
        for n in range(2)
    ],
    "model": "Embeddings",
}


@pytest.mark.parametrize(
    ("vendor", "said", "path", "body"),
    [
        (
            "watsonx",
            IBM_EMBED,
            "/ml/v1/text/embeddings?version=2024-10-08",
            {"model_id": "m", "project_id": "acme", "inputs": ["a", "b"]},
        ),
        ("gigachat", SBER_EMBED, "/api/v1/embeddings", {"model": "m", "input": ["a", "b"]}),
    ],
)
def test_embeddings(tmp_path: Path, run: Run, vendor: str, said: Any, path: str, body: Any) -> None:
    async def main() -> None:
        play = says(json.dumps(said).encode())
        async with before(tmp_path, vendor, [token(vendor, ONE)], play) as (_, up, gate):
            asked = {"model": f"{vendor}/m", "input": ["a", "b"]}
            reply = await gate.post("/v1/embeddings", json.dumps(asked).encode())
            assert [d["embedding"] for d in reply.json["data"]] == [VECTOR, VECTOR]
            assert reply.json["usage"]["prompt_tokens"] == 10
            (entry,) = up.book
            assert (entry.path, json.loads(entry.body), proof(entry)) == (path, body, ONE)
            (row,) = await gate.rows(1)
            assert (row["input_tokens"], row["nano"]) == (10, provider.nano((10, 0)))
            asked["dimensions"] = 8
            reply = await gate.post("/v1/embeddings", json.dumps(asked).encode())
            assert (reply.status, reply.json["error"]["param"]) == (400, "dimensions")

    run(main())


def test_watsonx_reranks(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        play = says(json.dumps(IBM_RERANK).encode())
        async with before(tmp_path, "watsonx", [token("watsonx", ONE)], play) as (_, up, gate):
            asked = {"model": "watsonx/m", "query": "q", "documents": ["a", {"text": "b"}]}
            reply = await gate.post("/v1/rerank", json.dumps(asked | {"top_n": 2}).encode())
            assert [(r["index"], r["relevance_score"]) for r in reply.json["results"]] == [
                (1, 0.7461),
                (0, 0.8274),
            ]
            (entry,) = up.book
            assert entry.path == "/ml/v1/text/rerank?version=2024-10-08"
            assert json.loads(entry.body) == {
                "model_id": "m",
                "project_id": "acme",
                "query": "q",
                "inputs": [{"text": "a"}, {"text": "b"}],
                "parameters": {"return_options": {"inputs": False, "top_n": 2}},
            }
            (row,) = await gate.rows(1)
            assert row["input_tokens"] == 20

    run(main())
