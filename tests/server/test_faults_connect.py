"""Faults before a reply: F01, F05, F06, F08, F10, F12 (plain), F13, F15, over real sockets."""

import asyncio
from pathlib import Path

from tests.server import provider
from tests.server.check import error_of, finished, plain_text
from tests.server.conftest import Run
from tests.server.gate import QUICK, Gate, file, route
from tests.server.scene import CROSSINGS, scene
from tests.upstream_server import Exchange, Upstream, closed_port, head, raw, reset, stalls

ONCE = "[models.once]\ntry = ['a/m']\nretry = { attempts = 1 }\n"


def test_f01_refused_falls_over_and_fails_as_502(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        dead = f"[providers.dead]\ndialect = 'openai-chat'\nbase_url = 'http://127.0.0.1:{closed_port()}'\n"
        few = "retry = { attempts = 2, backoff_s = 0.02 }"
        more = dead + route("main", "dead/m", "a/m", more=few)
        more += route("none", "dead/m1", "dead/m2", more=few)
        async with scene(tmp_path, lambda d: [provider.whole(d), provider.streamed(d)], more) as at:
            loop = asyncio.get_running_loop()
            began = loop.time()
            assert plain_text(await at.gate.chat("main"), "openai-chat") == "Hello, world!"
            finished(await at.gate.chat("main", "anthropic", stream=True), "anthropic")
            for face, status in (("openai-chat", 502), ("anthropic", 502)):
                reply = await at.gate.chat("none", face)
                assert reply.status == status
                error = error_of(reply, face)
                assert error["code"] == "upstream_unavailable"
                assert reply.headers["x-should-retry"] == "false"
            assert loop.time() - began < 12
            records = await at.gate.records(4)
            assert [r["status"] for r in records] == [502, 502, 200, 200]
            assert all(r["nano"] == 0 for r in records[:2])
            rows = await at.gate.rows(sum(len(r["attempts"]) for r in records))
            assert [r["nano"] for r in rows if r["provider"] == "dead"] == [0] * (len(rows) - 2)
            breakers = (await at.gate.get("/metrics")).body.decode()
            assert "octoplex_upstream_errors" in breakers

    run(main())


def test_f05_a_reset_before_the_reply_is_asked_again_once(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        plays = [reset(), provider.whole("openai-chat")]
        async with Upstream(*plays) as up, Gate(tmp_path, file(a=up)) as gate:
            reply = await gate.chat("a/m")
            assert plain_text(reply, "openai-chat") == "Hello, world!"
            assert reply.headers["x-octoplex-attempts"] == "2"
            assert len(up.book) == 2
            rows = await gate.rows(2)
            assert [r["attempt"] for r in rows] == [1, 2]
            lost, good = rows
            assert lost["estimated"]  # the request had gone out: the provider may bill it
            assert (good["nano"], good["estimated"]) == (provider.nano(provider.BILL), 0)
            (record,) = await gate.records()
            assert record["nano"] == lost["nano"] + good["nano"]
            assert record["estimated"]

    run(main())


def test_f06_a_reset_within_a_plain_body_fails_the_attempt(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        begun = head(200, [("content-type", "application/json"), ("content-length", "500")])
        async with scene(tmp_path, lambda d: [raw(begun + b'{"id":', "reset")], ONCE) as at:
            for face, _ in CROSSINGS[::2]:
                reply = await at.gate.chat("once", face)
                assert reply.status == 502
                assert error_of(reply, face)["code"] == "bad_upstream_response"
            for row in await at.gate.rows(2):
                assert row["estimated"]
                assert row["nano"] == row["reserved_nano"] > 0
            assert [r["status"] for r in await at.gate.records(2)] == [502, 502]

    run(main())


def test_f08_a_dead_kept_alive_connection_is_replaced(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with scene(tmp_path, lambda d: [provider.whole(d)]) as at:
            for face, name in CROSSINGS:
                up = at.of(name)
                assert (await at.gate.chat(f"{name}/m", face)).status == 200
                up.drop_idle(hard=True)
                reply = await at.gate.chat(f"{name}/m", face)
                assert plain_text(reply, face) == "Hello, world!"
            rows = await at.gate.rows(8)
            good = [r for r in rows if not r["estimated"]]
            assert [r["nano"] for r in good] == [provider.nano(provider.BILL)] * 8
            assert len(at.book) == 8

    run(main())


def test_f10_no_headers_within_the_limit(tmp_path: Path, run: Run) -> None:
    async def slow_head(exchange: Exchange) -> None:
        await exchange.drip(head(200, [("content-type", "application/json")]), 0.1)

    async def main() -> None:
        async with scene(tmp_path, lambda d: [slow_head], ONCE) as at:
            loop = asyncio.get_running_loop()
            for face, name in CROSSINGS:
                for model, stream in (("once", True), (f"{name}/m", True)):
                    began = loop.time()
                    reply = await at.gate.chat(model, face, stream=stream)
                    assert reply.status == 504
                    assert error_of(reply, face)["code"] == "upstream_slow"
                    assert loop.time() - began < 2
            assert all(e.closed_at is not None for e in at.book)
            assert len(at.book) == 8  # a target that says nothing is not asked again
            assert all(r["estimated"] for r in await at.gate.rows(8))
            await at.gate.records(8)

    run(main())


def test_f13_a_drip_ends_at_the_total_limit(tmp_path: Path, run: Run) -> None:
    async def drip(exchange: Exchange) -> None:
        exchange.send(head(200, [("content-type", "application/json"), ("content-length", "999")]))
        await exchange.drip(b"{" * 999, 0.02)

    async def drip_stream(exchange: Exchange) -> None:
        exchange.send(head(200, [("content-type", "text/event-stream"), ("connection", "close")]))
        await exchange.drip(b"data: " + b"x" * 999, 0.02)

    async def main() -> None:
        each = "timeouts = { idle_s = 0.3, total_s = 0.6 }"
        async with scene(tmp_path, lambda d: [drip, drip_stream], ONCE, each=each) as at:
            for face, _ in CROSSINGS[::2]:
                loop = asyncio.get_running_loop()
                began = loop.time()
                reply = await at.gate.chat("once", face, stream=face == "anthropic")
                assert reply.status == 504
                error_of(reply, face)
                assert loop.time() - began < 2
            assert all(e.closed_at for e in at.book)
            rows = await at.gate.rows(2)
            assert all(r["estimated"] and r["nano"] for r in rows)

    run(main())


def test_f15_the_callers_own_limit_ends_the_call(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        more = route("main", "a/m", "claude/m")
        async with scene(tmp_path, lambda d: [stalls()], more, each="") as at:
            loop = asyncio.get_running_loop()
            for face, name in CROSSINGS:
                began = loop.time()
                reply = await at.gate.post(
                    "/v1/messages" if face == "anthropic" else "/v1/chat/completions",
                    at.gate.question(f"{name}/m").partition(b"\r\n\r\n")[2],
                    ("x-stainless-read-timeout", "0.6"),
                )
                assert reply.status == 504
                assert error_of(reply, face)["code"] == "deadline_passed"
                assert 0.5 < loop.time() - began < 2
            assert len(at.book) == 4
            await until_closed(at.book)
            for row in await at.gate.rows(4):  # it had gone out: the provider may bill it
                assert row["estimated"]
                assert row["nano"] == row["reserved_nano"]

    run(main())


def test_f15_no_retry_that_the_deadline_would_cut_off(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with scene(tmp_path, lambda d: [provider.fails(d, 500)], each=QUICK) as at:
            reply = await at.gate.post(
                "/v1/chat/completions",
                at.gate.question("a/m").partition(b"\r\n\r\n")[2],
                ("x-stainless-read-timeout", "0.7"),
            )
            assert reply.status == 500
            assert len(at.book) == 1

    run(main())


async def until_closed(book: list) -> None:
    from tests.server.gate import until

    await until(lambda: all(e.closed_at is not None for e in book))
