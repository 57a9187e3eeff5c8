"""HTTP/1.1 as callers speak it, and as they should not: RFC 9110, RFC 9112."""

import asyncio
import gc
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

import pytest

from octoplex.server.protocol import HEAD_CAP, Direct, DoorProtocol
from tests.server import caller, provider
from tests.server.caller import request
from tests.server.check import FACES, error_of
from tests.server.conftest import Run
from tests.server.gate import PATHS, Gate, file, question, until
from tests.server.inside import inside
from tests.upstream_server import Upstream, stalls

CHAT = PATHS["openai-chat"]
T = TypeVar("T")


def gated(tmp_path: Path, server: str = "") -> "Both":
    return Both(tmp_path, server)


class Both:
    """A gateway before one good provider."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.server = folder, server

    async def __aenter__(self) -> tuple[Gate, Upstream]:
        self.up = Upstream(provider.whole("openai-chat"))
        await self.up.__aenter__()
        self.gate = Gate(self.folder, file("", self.server, a=self.up))
        await self.gate.__aenter__()
        return self.gate, self.up

    async def __aexit__(self, *error: object) -> None:
        await self.gate.__aexit__(*error)
        await self.up.__aexit__(*error)


def test_ordinary_oddities(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with gated(tmp_path) as (gate, up):
            body = question("a/m")
            # absolute form, as a proxy sends it
            reply = await caller.ask(gate.port, "POST", f"http://localhost{CHAT}", body)
            assert reply.status == 200
            # an offer to switch protocols is declined by not taking it
            h2c = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c")]
            async with gate.line() as line:
                line.send(request("POST", CHAT, body, [*h2c, ("http2-settings", "AAMAAABk")]))
                assert (await line.reply()).status == 200
            async with gate.line() as line:
                line.send(request("GET", "/health/live", None, h2c))
                assert (await line.reply()).status == 200
            # HTTP/1.0 has no chunks and no keep-alive
            async with gate.line() as line:
                line.send(request("POST", CHAT, body, version="1.0"))
                reply = await line.reply()
                assert reply.status == 200
                assert await line.ended() == b""
            up.plays[0] = provider.streamed("openai-chat")
            async with gate.line() as line:
                line.send(request("POST", CHAT, question("a/m", stream=True), version="1.0"))
                reply = await line.reply()
                assert "transfer-encoding" not in reply.headers
                assert b"data: [DONE]\n\n" in reply.body
            # HEAD is GET without the body
            reply = await caller.ask(gate.port, "HEAD", "/v1/models")
            assert reply.status == 200
            assert int(reply.headers["content-length"]) > 0
            assert reply.body == b""

    run(main())


def test_every_pipelined_offer_is_declined_with_its_own_body(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with gated(tmp_path) as (gate, up):
            h2c = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c")]
            asked = request("POST", CHAT, question("a/m"), h2c)
            async with gate.line() as line:
                line.send(asked * 3 + request("GET", "/health/live"))
                assert [(await line.reply()).status for _ in range(4)] == [200] * 4
            assert len(up.book) == 3

    run(main())


def test_what_follows_a_body_is_bounded_as_a_head_is(tmp_path: Path, run: Run) -> None:
    """Trailers are nobody's to read, and a caller could send them for ever."""

    async def main() -> None:
        async with gated(tmp_path) as (gate, up):
            head = request("POST", CHAT, None, [("transfer-encoding", "chunked")])
            body = question("a/m")
            start = head + b"%x\r\n%b\r\n0\r\n" % (len(body), body)
            async with gate.line() as line:
                line.send(start + b"x-sum: 1\r\n" * 3 + b"\r\n")
                assert (await line.reply()).status == 200
            for more in (b"x: y\r\n" * 200_000, b"x: " + b"y" * 1_000_000):
                async with gate.line() as line:
                    line.send(start)
                    line.send(more)
                    assert (await line.reply()).status == 400
                    assert await line.ended() == b""
            assert len(up.book) == 1

    run(main())


@pytest.mark.parametrize("split", [False, True], ids=["one write", "two"])
def test_a_head_behind_a_body_has_the_same_bound(tmp_path: Path, run: Run, split: bool) -> None:
    """What came in one read with the body before it is a part of the head all the same."""

    async def main() -> None:
        async with gated(tmp_path) as (gate, up):
            asked = request("POST", CHAT, question("a/m"))
            for size in (60_000, HEAD_CAP, 150_000):
                long = request("GET", "/health/live", None, [("x-long", "y" * size)])
                async with gate.line() as line:
                    line.send(asked + long[: -20 if split else None])
                    assert (await line.reply()).status == 200
                    if split:
                        line.send(long[-20:])
                    if size < HEAD_CAP:
                        assert (await line.reply()).status == 200
                        continue
                    said = await line.ended()  # nothing, where the first was still being answered
                    assert said == b"" or said.startswith(b"HTTP/1.1 400"), said
            assert len(up.book) == 3

    run(main())


def test_a_connection_keeps_no_body_and_leaves_nothing_to_the_collector(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            inside(tmp_path, file(a=up)) as at,
        ):
            gc.collect()
            others = {id(one) for kind in (Direct, DoorProtocol) for one in alive(kind)}
            gc.disable()
            try:
                async with at.line() as line:
                    line.send(at.question("a/m", user="x" * 100_000))
                    assert (await line.reply()).status == 200
                    assert [one._body for one in alive(Direct, others)] == [[]]
                for stalled in (False, True):
                    up.plays[0] = stalls() if stalled else up.plays[0]
                    async with at.line() as line:
                        line.send(at.question("a/m"))
                        await until(lambda: len(up.book) == 2 + stalled)  # noqa: B023
                        if not stalled:
                            await line.reply()
                await until(lambda: not alive(DoorProtocol, others) and not alive(Direct, others))
            finally:
                gc.enable()

    run(main())


def alive(kind: type[T], others: Collection[int] = ()) -> list[T]:
    """Those there are, but for the `others` that earlier tests of this process have left."""
    return [one for one in gc.get_objects() if type(one) is kind and id(one) not in others]


def test_expect_continue(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with gated(tmp_path, "max_body = '4 KB'") as (gate, up):
            body = question("a/m")
            pairs = [("expect", "100-continue"), ("content-length", str(len(body)))]
            async with gate.line() as line:
                line.send(request("POST", CHAT, None, pairs))
                assert (await line.head()).status == 100
                line.send(body)
                assert (await line.reply()).status == 200
            # a body that will be refused is not asked for
            async with gate.line() as line:
                pairs = [("expect", "100-continue"), ("content-length", "100000000")]
                line.send(request("POST", CHAT, None, pairs))
                reply = await line.reply()
                assert reply.status == 413
                error_of(reply, "openai-chat")
            assert len(up.book) == 1

    run(main())


def test_pipelined_requests_are_answered_in_order(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with gated(tmp_path) as (gate, up):
            body = question("a/m")
            async with gate.line() as line:
                line.send(
                    request("GET", "/health/live")
                    + request("POST", CHAT, body)
                    + request("GET", "/nowhere")
                    + request("POST", CHAT, body)
                    + request("GET", "/v1/models")[:-9]
                )
                codes = [(await line.reply()).status for _ in range(4)]
                assert codes == [200, 200, 404, 200]
                line.send(request("GET", "/v1/models")[-9:])
                assert (await line.reply()).status == 200
            async with gate.line() as line:  # many at once, all of them, none twice
                line.send(request("GET", "/health/live") * 2_000)
                for _ in range(2_000):
                    assert (await line.reply()).json == {"status": "live"}
            # garbage behind a good request does not spoil its answer or the server
            async with gate.line() as line:
                line.send(request("GET", "/health/live") + b"\x16\x03\x01 nonsense\r\n\r\n")
                said = await line.ended()
                assert said.count(b"HTTP/1.1 200") <= 1
            assert (await gate.get("/health/live")).status == 200
            assert len(up.book) == 2

    run(main())


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: a\x00b\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n"
        b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n{}",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 20_000 + b"\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:24]),
)
def test_garbage_is_refused(tmp_path: Path, run: Run, garbage: bytes) -> None:
    async def main() -> None:
        async with gated(tmp_path) as (gate, up):
            async with gate.line() as line:
                line.send(garbage)
                reply = await line.reply()
                assert 400 <= reply.status < 500, reply.status
                assert reply.json["error"]["message"]
                assert await line.ended() == b""
            assert (await gate.get("/health/live")).status == 200
            assert up.book == []

    run(main())


def test_a_body_above_the_cap(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with gated(tmp_path, "max_body = '100 KB'") as (gate, up):
            for face in FACES:
                large = question("a/m", user="x" * 3_000_000)
                reply = await caller.ask(gate.port, "POST", PATHS[face], large)
                assert reply.status == 413  # by its declared size
                assert error_of(reply, face)["code"] == "too_large"
                async with gate.line() as line:  # by its actual size
                    line.send(
                        request("POST", PATHS[face], None, [("transfer-encoding", "chunked")])
                    )
                    line.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(large), large))
                    reply = await line.reply()
                    assert reply.status == 413
                    assert error_of(reply, face)["code"] == "too_large"
                fits = question("a/m", user="x" * 90_000)
                assert (await caller.ask(gate.port, "POST", PATHS[face], fits)).status == 200
            assert len(up.book) == 2

    run(main())


def test_paths_and_methods(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with gated(tmp_path) as (gate, _):
            for method, path, allow in (
                ("GET", CHAT, "POST"),
                ("DELETE", CHAT, "POST"),
                ("POST", "/v1/models", "GET"),
                ("PUT", "/v1/models/a/m", "GET"),
                ("POST", "/v1/requests/x", "GET"),
                ("PATCH", "/health/ready", "GET"),
                ("HEAD", CHAT, "POST"),
                ("OPTIONS", CHAT, "POST"),
            ):
                reply = await caller.ask(gate.port, method, path)
                assert reply.status == 405, (method, path)
                assert allow in reply.headers["allow"]
            for path in ("/", "/v1", "/v1/chat", "/v1/chat/completions/", "/v1//models", "/..%2f"):
                reply = await caller.ask(gate.port, "GET", path)
                assert reply.status == 404, path
                error_of(reply, "openai-chat")

    run(main())


def test_ids_hold_slashes(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with gated(tmp_path) as (gate, _):
            for path in ("/v1/models/a/m", "/v1/models/a%2Fm", "/v1/models/a%2fx%2Fy%2Fz"):
                reply = await gate.get(path)
                assert reply.status == 200, path
                assert reply.json["id"] in ("a/m", "a/x/y/z")
                shown = await gate.get(path, ("anthropic-version", "2023-06-01"))
                assert shown.json["type"] == "model"
            assert (await gate.get("/v1/models/nobody/x")).status in (400, 404)
            assert (await gate.get("/v1/requests/a/b")).status == 404
            assert (await gate.get("/v1/requests/a%2Fb")).status == 404

    run(main())


def test_request_ids_are_echoed_and_never_keys_of_ours(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with gated(tmp_path) as (gate, _):
            for _ in range(3):  # callers repeat ids; every call has its own row and record
                reply = await gate.post(CHAT, question("a/m"), ("x-request-id", "mine-1"))
                assert reply.headers["x-request-id"] == "mine-1"
            for bad in ("a b", "x" * 129, "\xe9", "a/b", "<script>"):
                reply = await gate.post(CHAT, question("a/m"), ("x-request-id", bad))
                assert reply.headers["x-request-id"] != bad
                assert len(reply.headers["x-request-id"]) >= 16
            rows = await gate.rows(8)
            records = await gate.records(8)
            assert {r["request_id"] for r in rows} == {r["id"] for r in records}
            record = records[0]
            assert (await gate.get(f"/v1/requests/{record['id']}")).json == record

    run(main())


def test_a_name_cannot_write_headers(tmp_path: Path, run: Run) -> None:
    """Model ids and member names are the callers' to choose, and stand in our headers."""

    async def main() -> None:
        async with gated(tmp_path) as (gate, up):
            for evil in ("a/m\r\nset-cookie: a=b", "a/m\r\n\r\nHTTP/1.1 200 OK", "a/\x00\u2028é"):
                for face in FACES:
                    members = {"x\r\nset-cookie: c=d": 1, "metadata": {"user_id": "u"}}
                    reply = await gate.chat(evil, face, **members)
                    assert "set-cookie" not in reply.headers, reply.raw
                    assert reply.complete
            await asyncio.sleep(0)
            assert up.book

    run(main())


def test_browsers(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        page = "https://app.example"
        async with gated(tmp_path, f"cors = ['{page}']") as (gate, up):
            asked = [("origin", page), ("access-control-request-method", "POST")]
            reply = await caller.ask(gate.port, "OPTIONS", CHAT, None, asked)
            assert reply.status == 204
            assert "content-length" not in reply.headers, "RFC 9110, 8.6"
            assert reply.headers["access-control-allow-origin"] == page
            assert "authorization" in reply.headers["access-control-allow-headers"]
            asked.append(("access-control-request-headers", "authorization,x-stainless-lang"))
            reply = await caller.ask(gate.port, "OPTIONS", CHAT, None, asked)
            assert "x-stainless-lang" in reply.headers["access-control-allow-headers"]
            reply = await gate.post(CHAT, question("a/m"), ("origin", page))
            assert reply.headers["access-control-allow-origin"] == page
            up.plays[0] = provider.streamed("openai-chat")
            reply = await gate.post(CHAT, question("a/m", stream=True), ("origin", page))
            assert reply.headers["access-control-allow-origin"] == page
            reply = await gate.post(CHAT, b"{}", ("origin", page))
            assert reply.status == 400
            assert reply.headers["access-control-allow-origin"] == page
            other = await gate.post(CHAT, question("a/m"), ("origin", "https://evil.example"))
            assert other.status == 403
            assert "access-control-allow-origin" not in other.headers

    run(main())
