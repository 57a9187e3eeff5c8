"""Replies that are not what they say: F16-F19, F21, F22, F29, F36, over real sockets."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.check import error_of, plain_text
from tests.server.conftest import Run
from tests.server.gate import UP_KEY, Gate, file, route
from tests.server.scene import CROSSINGS, scene
from tests.upstream_server import Play, Upstream, head, raw, says

ONCE = route("a-once", "a/m", more="retry = { attempts = 1 }") + route(
    "claude-once", "claude/m", more="retry = { attempts = 1 }"
)
PAGE = (
    f"<html><body><h1>502 Bad Gateway</h1> Authorization: Bearer {UP_KEY} </body></html>"
).encode()


def test_f16_a_page_of_html_is_no_reply(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        html = [("content-type", "text/html")]
        async with scene(tmp_path, lambda d: [says(PAGE, headers=html)], ONCE) as at:
            for face, name in CROSSINGS:
                for stream in (False, True):
                    reply = await at.gate.chat(f"{name}-once", face, stream=stream)
                    assert reply.status == 502
                    error = error_of(reply, face)
                    assert error["code"] == "bad_upstream_response"
                    assert "Bad Gateway" in error["message"]
            records = await at.gate.records(8)
            assert all(r["error_code"] == "bad_upstream_response" for r in records)
            assert len(await at.gate.rows(8)) == len(at.book)
            counts = (await at.gate.get("/metrics")).body.decode()
            assert "octoplex_upstream_errors" in counts

    run(main())


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "x", "choices": [{"mess',
        b"",
        b"[]",
        b"null",
        b'{"choices": NaN}',
        b'{"object": "list"}',
        b'\xff\xfe{"a": 1}',
        b"[" * 100_000,
    ],
)
def test_f17_json_that_cannot_be_read(tmp_path: Path, run: Run, body: bytes) -> None:
    async def main() -> None:
        async with scene(tmp_path, lambda d: [says(body, billed=(1, 1))], ONCE) as at:
            for face, name in CROSSINGS:
                reply = await at.gate.chat(f"{name}-once", face)
                assert reply.status == 502, reply.body
                assert error_of(reply, face)["code"] == "bad_upstream_response"
            assert all(r["estimated"] for r in await at.gate.rows(4))

    run(main())


def test_f18_an_error_dressed_as_200(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        def plays(dialect: str) -> list[Play]:
            return [says(provider.error_body(dialect, "overloaded_error", "try later"))]

        async with scene(tmp_path, plays, ONCE) as at:
            for face, name in CROSSINGS:
                for stream in (False, True):
                    reply = await at.gate.chat(f"{name}-once", face, stream=stream)
                    assert reply.status == (529 if face == "anthropic" else 503)
                    assert error_of(reply, face)["code"] == "upstream_overloaded"
            assert all(r["nano"] == 0 for r in await at.gate.rows(8))

    run(main())


def test_f19_odd_numbers_pass_as_they_are(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        huge = provider.chat_body().replace(
            b'"created": 1', b'"created": 123456789012345678901234567890, "x": 1e400, "x": 2'
        )
        async with Upstream(says(huge)) as up, Gate(tmp_path, file(a=up)) as gate:
            reply = await gate.chat("a/m")
            assert reply.status == 200
            assert reply.body == huge
            crossed = await gate.chat("a/m", "anthropic")
            assert crossed.status in (200, 502)
            if crossed.status == 200:
                assert plain_text(crossed, "anthropic") == "Hello, world!"
            await gate.rows(2 if crossed.status == 200 else len(up.book))

    run(main())


def test_f21_a_small_body_that_inflates_without_end(tmp_path: Path, run: Run) -> None:
    bomb = gzip.compress(b" " * 200_000_000)

    async def main() -> None:
        pairs = [("content-type", "application/json"), ("content-encoding", "gzip")]
        async with scene(tmp_path, lambda d: [says(bomb, headers=pairs)], ONCE) as at:
            reply = await at.gate.chat("a-once")
            assert reply.status == 502
            assert error_of(reply, "openai-chat")["code"] == "bad_upstream_response"
            for wrong in ("gzip", "br", "deflate"):
                at.a.plays.clear()
                pairs = [("content-type", "application/json"), ("content-encoding", wrong)]
                at.a.plays.append(says(provider.chat_body(), headers=pairs))
                reply = await at.gate.chat("a-once", "anthropic")
                assert reply.status == 502
                error_of(reply, "anthropic")

    run(main())


def test_f21_honest_compression_is_read(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        pairs = [("content-type", "application/json"), ("content-encoding", "gzip")]

        def plays(dialect: str) -> list[Play]:
            body = provider.chat_body() if dialect == "openai-chat" else provider.message_body()
            return [says(gzip.compress(body), headers=pairs)]

        async with scene(tmp_path, plays) as at:
            for face, name in CROSSINGS:
                reply = await at.gate.chat(f"{name}/m", face)
                assert plain_text(reply, face) == "Hello, world!"
                assert "content-encoding" not in reply.headers

    run(main())


BODY = provider.chat_body()
DOUBTFUL = {
    "long": raw(head(200, [("content-length", str(len(BODY) - 9))]) + BODY),
    "short": raw(head(200, [("content-length", str(len(BODY) + 9))]) + BODY, "close"),
    "both": raw(
        head(200, [("content-length", str(len(BODY))), ("transfer-encoding", "chunked")]) + BODY
    ),
    "two": raw(head(200, [("content-length", "5"), ("content-length", "7")]) + BODY),
    "chunk": raw(head(200, [("transfer-encoding", "chunked")]) + b"zz\r\n" + BODY),
}


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_f22_doubtful_framing_ends_the_connection(tmp_path: Path, run: Run, kind: str) -> None:
    async def main() -> None:
        plays = [DOUBTFUL[kind], provider.whole("openai-chat")]
        async with Upstream(*plays) as up, Gate(tmp_path, file(ONCE_A, a=up)) as gate:
            reply = await gate.chat("a-once")
            assert reply.status == 502
            assert error_of(reply, "openai-chat")["code"] == "bad_upstream_response"
            assert (await gate.chat("a-once")).status == 200
            assert [e.connection for e in up.book] == [1, 2], "used again"
            await gate.rows(2)

    run(main())


ONCE_A = route("a-once", "a/m", more="retry = { attempts = 1 }")


def test_f29_hostile_headers_stay_outside(tmp_path: Path, run: Run) -> None:
    evil = [
        ("content-type", "application/json"),
        ("set-cookie", "a=b"),
        ("x-octoplex-cost-nano", "1"),
        ("x-request-id", "theirs"),
        ("server", "theirs"),
        ("access-control-allow-origin", "*"),
        ("transfer-encoding-x", "chunked"),
        ("connection", "keep-alive, set-cookie"),
    ]

    async def main() -> None:
        def plays(dialect: str) -> list[Play]:
            body = provider.chat_body() if dialect == "openai-chat" else provider.message_body()
            many = [("content-type", "application/json"), *((f"x-{i}", "y") for i in range(1000))]
            large = [("content-type", "application/json"), ("x-large", "y" * 65_536)]
            split = head(200, [("content-length", "2"), ("x", "a\rset-cookie: b=c")]) + b"{}"
            return [
                says(body, headers=evil),
                says(body, headers=evil),
                says(body, headers=many),
                says(body, headers=large),
                raw(split),
            ]

        async with scene(tmp_path, plays, ONCE) as at:
            for face, name in CROSSINGS:
                reply = await at.gate.chat(f"{name}-once", face)
                assert reply.status == 200
                assert "set-cookie" not in reply.headers
                assert "access-control-allow-origin" not in reply.headers
                assert reply.headers["x-octoplex-cost-nano"] != "1"
                assert reply.headers["x-request-id"] != "theirs"
                assert reply.headers.get("server", "") != "theirs"
            for name in ("a", "claude"):
                for _ in range(3):
                    reply = await at.gate.chat(f"{name}-once", "anthropic")
                    assert reply.status == 502
                    error_of(reply, "anthropic")
                    assert "set-cookie" not in reply.headers
            await at.gate.rows(10)

    run(main())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_f36_redirects_are_not_followed(tmp_path: Path, run: Run, status: int) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as other:
            away = [("location", f"{other.url}/chat/completions"), ("content-type", "text/plain")]
            async with scene(
                tmp_path, lambda d: [says(b"moved", status=status, headers=away)], ONCE
            ) as at:
                for face, name in CROSSINGS:
                    reply = await at.gate.chat(f"{name}-once", face)
                    assert reply.status == 502
                    assert error_of(reply, face)["code"] == "bad_upstream_response"
                    assert "location" not in reply.headers
                assert other.book == []
                assert all(r["nano"] == 0 for r in await at.gate.rows(4))

    run(main())


def test_no_key_of_ours_in_what_a_provider_makes_us_say(tmp_path: Path, run: Run) -> None:
    """Providers and proxies echo keys and whole requests in their errors."""

    async def echo(exchange) -> None:
        said = exchange.entry.head.decode("latin-1")
        body = json.dumps(
            {"error": {"message": said, "type": said, "code": UP_KEY, "param": said}}
        ).encode()
        status = [400, 404, 400, 500, 404, 503, 429, 403, 401][min(len(seen), 8)]
        seen.append(status)
        pairs = [("content-type", "application/json"), ("x-echo", UP_KEY)]
        await says(body, status=status, headers=pairs)(exchange)

    seen: list[int] = []

    async def main() -> None:
        each = "query = { key = 'env:QUERY_KEY' }"
        async with scene(tmp_path, lambda d: [echo], ONCE, each=each) as at:
            for number, (face, name) in enumerate(CROSSINGS * 3):
                reply = await at.gate.chat(f"{name}/m{number}", face)
                assert reply.status >= 400
                assert reply.status not in (401, 402, 403)
            assert len(seen) >= 7
            await at.gate.get("/v1/requests?limit=100")
            await at.gate.get("/metrics")
            await asyncio.sleep(0)

    run(main())
