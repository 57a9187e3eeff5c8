"""Attacks on the doors, over real sockets: credentials, hosts, paths, headers, bodies."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from octoplex.server.table import routes
from tests.server import caller, provider
from tests.server.caller import request
from tests.server.check import FACES
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, PATHS, Gate, file, question
from tests.upstream_server import Upstream

CHAT = PATHS["openai-chat"]
KEYED = "[keys.app]\nsecret = 'env:APP_KEY'\n"
GEMINI = "/v1beta/models/{}:generateContent"

HOSTILE = (
    "' OR 1=1 --",
    "'; DROP TABLE keys; --",
    '" OR ""="',
    "oct-%27%20OR%201=1",
    "{{7*7}}",
    "${jndi:ldap://127.0.0.1/a}",
    "../../../../etc/passwd",
    "\xff\xfe\xfd",
    "Bearer Bearer x",
    "a\tb",
    "x" * 60_000,
)


def test_s02_what_is_no_key_opens_nothing_and_breaks_nothing(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            for text in HOSTILE:
                for header in ("authorization", "x-api-key", "x-goog-api-key", "api-key"):
                    value = f"Bearer {text}" if header == "authorization" else text
                    reply = await caller.ask(
                        gate.port, "POST", CHAT, question("a/m"), [(header, value)]
                    )
                    assert reply.status == 401, (header, text[:40])
                    assert text.encode("latin-1")[:200] not in reply.body
            async with gate.line() as line:  # NUL is no header at all
                line.send(request("POST", CHAT, question("a/m"), [("x-api-key", "a\0b")]))
                assert (await line.reply()).status == 400
            million = [("x-api-key", "x" * 1_000_000)]
            async with gate.line() as line:
                line.send(request("POST", CHAT, question("a/m"), million))
                assert (await line.reply()).status in (400, 431)
            assert (await gate.chat("a/m")).status == 200
            assert len(up.book) == 1

    run(main())


def asks(model: str) -> list[tuple[str, bytes]]:
    """Every door that takes a model, with a body that names one."""
    text = json.dumps
    chat = {"model": model, "messages": [{"role": "user", "content": "x"}]}
    contents = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    return [
        (CHAT, text(chat).encode()),
        (CHAT, text({**chat, "model": "main", "models": [model]}).encode()),
        ("/v1/messages", text({**chat, "max_tokens": 9}).encode()),
        ("/v1/messages/count_tokens", text(chat).encode()),
        ("/v1/responses", text({"model": model, "input": "x"}).encode()),
        ("/v1/responses/input_tokens", text({"model": model, "input": "x"}).encode()),
        ("/v1/responses/compact", text({"model": model, "input": "x"}).encode()),
        ("/v1/embeddings", text({"model": model, "input": "x"}).encode()),
        ("/v1/rerank", text({"model": model, "query": "x", "documents": ["y"]}).encode()),
        ("/v1/moderations", text({"model": model, "input": "x"}).encode()),
        ("/v1/completions", text({"model": model, "prompt": "x"}).encode()),
        (GEMINI.format(model), text(contents).encode()),
        (GEMINI.format(model).replace(":generate", ":streamGenerate"), text(contents).encode()),
        (f"/v1beta/models/{model}:countTokens", text(contents).encode()),
        (f"/v1beta/models/{model}:embedContent", text({"content": {"parts": []}}).encode()),
        ("/providers/a/v1/chat/completions", text({**chat, "model": "m"}).encode()),
        ("/providers/a/v1/models/m:generate", b"{}"),
    ]  # fmt: skip


def test_s09_a_key_reaches_only_its_models_by_every_door(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        key = "[keys.app]\nsecret = 'env:APP_KEY'\nmodels = ['main']\n"
        more = key + "[models.main]\ntry = ['b/m']\n"
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Upstream(provider.whole("openai-chat")) as other,
            Gate(tmp_path, file(more, a=up, b=other), key=APP_KEY) as gate,
        ):
            posts = {row.path for row in routes() if row.method == "POST" and row.who == "key"}
            tries = asks("a/m")
            for path, body in tries:
                reply = await gate.post(path, body)
                assert reply.status == 403, (path, reply.status, reply.body[:200])
            tried = {path for path, _ in tries}
            untried = {p for p in posts if not any(t == p or t.startswith(p) for t in tried if
                       p.endswith("/") or t == p)}  # fmt: skip
            # These take no model, or take it line by line and refuse the line; /mcp refuses in
            # its result (tests/agents/mcp/test_door.py), tasks and arms by agent and step.
            assert untried == {
                "/mcp", "/v1/batches", "/v1/batches/", "/v1/feedback", "/v1/files", "/v1/guard",
                "/v1/messages/batches", "/v1/messages/batches/", "/v1/models/",
                "/v1/arms/", "/v1/tasks", "/v1/tasks/",
            }  # fmt: skip
            params = {"max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
            lines = {"requests": [{"custom_id": "1", "params": {**params, "model": "a/m"}}]}
            made = await gate.post("/v1/messages/batches", json.dumps(lines).encode())
            assert made.status == 403 or await _errors(gate, made.json["id"])
            assert up.book == []
            assert other.book == []

    run(main())


async def _errors(gate: Gate, id_: str) -> bool:
    """Whether the only line of a batch ends in a refusal."""
    end_at = asyncio.get_running_loop().time() + 10
    while (await gate.get(f"/v1/messages/batches/{id_}")).json["processing_status"] != "ended":
        assert asyncio.get_running_loop().time() < end_at
        await asyncio.sleep(0.02)
    results = await gate.get(f"/v1/messages/batches/{id_}/results")
    return "permission_error" in json.dumps(json.loads(results.body)["result"])


BODY = question("a/m")
SIZE = b"%x" % len(BODY)
FRAMED = {
    "obs-fold": b"x-a: b\r\n c\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY,
    "bare LF after a header": b"x-a: b\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY,
    "bare LF at the end": b"content-length: %d\n\n" % len(BODY) + BODY,
    "bare CR in a header": b"x-a: b\rc: d\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY,
    "two lengths": b"content-length: 2\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY,
    "one length twice": b"content-length: %d\r\n" % len(BODY) * 2 + b"\r\n" + BODY,
    "a list of lengths": b"content-length: %d, %d\r\n\r\n" % (len(BODY), len(BODY)) + BODY,
    "a length with a sign": b"content-length: +%d\r\n\r\n" % len(BODY) + BODY,
    "a length in hex": b"content-length: 0x3c\r\n\r\n" + BODY,
    "length and coding": b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n" % len(BODY)
    + b"0\r\n\r\n",
    "another coding": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked and no more": b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a blank before the colon": b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunks with bare LF": b"transfer-encoding: chunked\r\n\r\n%b\n%b\n0\n\n" % (SIZE, BODY),
    "LF in an extension": b"transfer-encoding: chunked\r\n\r\n%b;a\nb\r\n%b\r\n0\r\n\r\n"
    % (SIZE, BODY),
    "a chunk that is longer": b"transfer-encoding: chunked\r\n\r\n%b\r\n%bXX0\r\n\r\n"
    % (SIZE, BODY),
    "a size above all": b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff1\r\n",
}  # fmt: skip


def test_s28_doubtful_framing_is_a_400_and_the_end(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            start = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n"
            start += "".join(f"{name}: {value}\r\n" for name, value in gate.headers())
            for what, rest in FRAMED.items():
                async with gate.line() as line:
                    line.send(start.encode() + rest)
                    reply = await line.reply()
                    assert reply.status == 400, (what, reply.status)
                    assert await line.ended() == b"", what
            assert up.book == []
            # An extension that is well-formed is to be ignored (RFC 9112, 7.1.1), and is no end.
            async with gate.line() as line:
                coded = b"transfer-encoding: chunked\r\n\r\n%b;a=b\r\n%b\r\n0\r\n\r\n" % (
                    SIZE,
                    BODY,
                )
                for _ in range(2):
                    line.send(start.encode() + coded)
                    assert (await line.reply()).status == 200
            assert [json.loads(entry.body)["messages"] for entry in up.book] == [
                json.loads(BODY)["messages"]
            ] * 2

    run(main())


def test_s29_hosts_that_are_none_decide_nothing(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            for host in (
                "localhost/health/live", "localhost?/health/live", "localhost#/health/live",
                "x@localhost", "localhost\\health", "", "[::1", "a b", "localhost:99999", "a,b",
                "localhost\x7f", "l\xf6calhost", "%6cocalhost",
            ):  # fmt: skip
                for path in ("/v1/models", CHAT, "/v1/requests", "/health/live"):
                    method, body = ("POST", question("a/m")) if path == CHAT else ("GET", None)
                    lines = [("host", host), *gate.headers()]
                    reply = await caller.ask(gate.port, method, path, body, lines)
                    assert reply.status == 400, (host, path, reply.status)
            for lines in ([], [("host", "localhost"), ("host", "localhost")]):
                text = "".join(f"{name}: {value}\r\n" for name, value in [*lines, *gate.headers()])
                async with gate.line() as line:
                    line.send(f"GET /v1/models HTTP/1.1\r\n{text}\r\n".encode())
                    assert (await line.reply()).status == 400
            assert up.book == []
            for host in ("localhost", "127.0.0.1:8080", "[::1]:8080", "llm.acme.example", "a:"):
                lines = [("host", host), *gate.headers()]
                reply = await caller.ask(gate.port, "GET", "/v1/models", None, lines)
                assert reply.status == 200, host

    run(main())


@pytest.mark.parametrize(
    "path",
    [
        "//v1/models", "/health/live/../../v1/models", "/health/live/%2e%2e/%2e%2e/v1/models",
        "/v1/./models", "/V1/MODELS", "/v1/models;x=/health/live", "/v1/models/.", "/v1%2fmodels",
        "/%76%31/models", "/v1/models%00", "/v1/models%20", "/health/live%2f..%2f..%2fv1/requests",
        "/health/live/v1/models", "/metrics/../v1/requests", "/v1\\models",
        "/v1/models?/health/live",
        "/v1/models#/health/live", "/openapi.json/../v1/key",
    ],
)  # fmt: skip
def test_s30_no_spelling_of_a_path_goes_around_the_key(tmp_path: Path, run: Run, path: str) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED, a=up)) as gate,
        ):
            for method in ("GET", "POST"):
                reply = await caller.ask(
                    gate.port, method, path, b"{}" if method == "POST" else None
                )
                assert reply.status in (400, 401, 404, 405), (method, reply.status)
                assert b'"a/m"' not in reply.body
            assert up.book == []

    run(main())


def test_s31_only_the_method_of_the_line_counts(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            for name in ("x-http-method-override", "x-method-override", "x-http-method"):
                body = question("a/m")
                reply = await gate.post("/v1/models", body, (name, "GET"))
                assert reply.status == 405
                reply = await gate.get(CHAT, (name, "POST"))
                assert reply.status == 405
            for method in ("TRACE", "TRACK", "DEBUG"):
                reply = await caller.ask(gate.port, method, "/v1/models", None, gate.headers())
                assert 400 <= reply.status < 500
                assert APP_KEY.encode() not in reply.raw
            assert up.book == []

    run(main())


def test_s32_s33_a_callers_headers_stay_here(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        sent = [
            ("cookie", "session=canary-cookie"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-real-ip", "203.0.113.7"),
            ("forwarded", "for=203.0.113.7"),
            ("x-forwarded-host", "evil.example"),
            ("proxy-authorization", "Basic canary-proxy"),
            ("x-portkey-api-key", "canary-other"),
            ("openai-organization", "org-of-the-caller"),
            ("x-amzn-trace-id", "canary-trace"),
            ("te", "trailers"),
            ("x-anything", "canary-any"),
        ]
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            for face in FACES:
                assert (await gate.post(PATHS[face], question("a/m"), *sent)).status == 200
            passed = await gate.post("/providers/a/v1/chat/completions", question("m"), *sent)
            assert passed.status == 200
            for entry in up.book:
                head = entry.head.lower()
                for name, value in sent:
                    assert f"\r\n{name}:".encode() not in head, name
                    assert value.lower().encode() not in head
                assert APP_KEY.encode() not in entry.data

    run(main())


def test_s35_compressed_bodies_are_not_inflated(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            bomb = gzip.compress(b'{"model":"a/m","x":"' + b"0" * 50_000_000 + b'"}')
            assert len(bomb) < 100_000
            reply = await gate.post(CHAT, bomb, ("content-encoding", "gzip"))
            assert reply.status in (400, 415), reply.body[:200]
            assert up.book == []

    run(main())


def test_s46_s50_templates_and_escapes_are_text(tmp_path: Path, run: Run) -> None:
    """Nothing of a request is evaluated, and no line of the log is a caller's to write."""
    texts = (
        "{{7*7}}", "${7*7}", "{0.__class__}", "%s%n%x", "#{7*7}", "<%= 7*7 %>",
        "${jndi:ldap://127.0.0.1:9/a}", "$(id)", "`id`",
    )  # fmt: skip

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            for text in texts:
                body = {"model": "a/m", "messages": [{"role": "user", "content": text}]}
                assert (await gate.post(CHAT, json.dumps(body).encode())).status == 200
                assert json.loads(up.book[-1].body)["messages"][0]["content"] == text
                reply = await gate.chat(text)
                assert reply.status in (400, 404)
                assert text in reply.json["error"]["message"]
            line = "x\r\n2026-01-01 00:00:00 INFO octoplex forged\x1b[31m"
            assert (await gate.chat(line)).status in (400, 404)
            bad = [("user-agent", "\x1b[2Jforged"), ("x-request-id", "a\x1b[2J")]
            await gate.post(CHAT, question("a/m"), *bad)
            said = gate.log.read_text() + gate.out.read_text()
            assert "forged" not in said
            assert "\x1b" not in said

    run(main())
