"""A key that is revoked ends all that is being answered to it: at once, told, and settled."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from octoplex.server.out import Quiet
from tests.server import caller, provider
from tests.server.cache_scene import cached, gated
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, PATHS, Gate, file, question, until
from tests.server.inside import inside
from tests.upstream_server import Exchange, Upstream, head, stalls

KEYED = "[keys.app]\nsecret = 'env:APP_KEY'\nrole = 'admin'\n"


async def endless(exchange: Exchange) -> None:
    """A word, and then one each 20 ms until somebody leaves."""
    kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
    exchange.send(head(200, kind))
    while not exchange.gone.is_set():
        exchange.chunk(provider.chunk({"content": "Hi"}))
        await asyncio.sleep(0.02)


async def silent(exchange: Exchange) -> None:
    """A word, and then nothing."""
    kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
    exchange.send(head(200, kind))
    exchange.chunk(provider.chunk({"content": "Hi"}))
    await exchange.stall()


@pytest.mark.parametrize("play", [endless, silent])
@pytest.mark.parametrize("path", [*PATHS.values(), "/providers/a/v1/chat/completions"])
def test_a_revoked_keys_stream_ends(tmp_path: Path, run: Run, play, path: str) -> None:
    async def main() -> None:
        async with (
            Upstream(play) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            made = (await gate.control({"do": "keys.new", "name": "web"}))["ok"]
            kept, gate.key = gate.key, made["secret"]
            body = question("m" if "providers" in path else "a/m", stream=True)
            if path.endswith("responses"):
                body = b'{"model": "a/m", "input": "x", "stream": true}'
            asking = asyncio.create_task(gate.post(path, body))
            await until(lambda: up.book and up.book[0].sent > 200)
            assert "ok" in await gate.control({"do": "keys.revoke", "name": "web"})
            with contextlib.suppress(EOFError, OSError):  # what passes is cut off
                reply = await asyncio.wait_for(asking, 10)
                assert reply.status == 200
                assert b"Hi" in reply.body
                assert (b"revoked" in reply.body) is ("providers" not in path)
            await until(lambda: up.book[0].closed_at is not None)
            gate.key = kept
            (row,) = await gate.rows(1)
            assert row["state"] != "reserved"
            (record,) = await _records(gate)
            assert [a["outcome"] for a in record["attempts"]] == ["stopped"]

    run(main())


@pytest.mark.parametrize("more", [(), (("idempotency-key", "one"),)], ids=["plain", "once"])
@pytest.mark.parametrize("path", PATHS.values())
def test_a_revoked_keys_stream_that_has_not_begun_ends_at_once(
    tmp_path: Path, run: Run, path: str, more: tuple[tuple[str, str], ...]
) -> None:
    """Its provider thinks, and would go on to for half a minute."""

    async def main() -> None:
        async with Upstream(stalls()) as up, Gate(
            tmp_path, file(KEYED, a=up), key=APP_KEY
        ) as gate:  # fmt: skip
            made = (await gate.control({"do": "keys.new", "name": "web"}))["ok"]
            kept, gate.key = gate.key, made["secret"]
            body = question("a/m", stream=True)
            if path.endswith("responses"):
                body = b'{"model": "a/m", "input": "x", "stream": true}'
            asking = asyncio.create_task(gate.post(path, body, *more))
            await until(lambda: up.book)
            assert "ok" in await gate.control({"do": "keys.revoke", "name": "web"})
            reply = await asyncio.wait_for(asking, 10)
            assert reply.status == 401
            assert b"revoked while" in reply.body
            await until(lambda: up.book[0].closed_at is not None)
            gate.key = kept
            (row,) = await gate.rows(1)
            assert row["state"] != "reserved"
            (record,) = await _records(gate)
            assert (record["status"], record["outcome"]) == (401, "stopped")

    run(main())


def test_one_that_was_only_kept_alive_is_told_in_band(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        quiet = Quiet(after_s=0.05, step_s=0.02)
        async with Upstream(stalls()) as up, inside(tmp_path, file(a=up), quiet) as gate:
            async with gate.line() as line:
                line.send(gate.question("a/m", stream=True))
                status = (await line.head()).status
                (tell,) = gate.works.on_gone
                tell({""})
                said = b""
                while piece := await line.piece():
                    said += piece
            assert status == 200
            assert b"revoked while" in said
            assert said.startswith(b": keep-alive")
            await until(lambda: up.book[0].closed_at is not None)

    run(main())


def test_who_waits_for_the_same_has_it_although_who_asked_first_is_ended(
    tmp_path: Path, run: Run
) -> None:
    """Of two keys of a tenant, whose equal asks are one call."""

    async def main() -> None:
        opened = asyncio.Event()
        keys = "[keys.app]\nsecret = 'env:APP_KEY'\ntenant = 'acme'\n[tenants.acme]\n"
        async with (
            Upstream(gated(opened, provider.streamed("openai-chat"))) as up,
            Gate(tmp_path, file(cached() + keys, a=up), key=APP_KEY) as gate,
        ):
            order = {"do": "keys.new", "name": "web", "tenant": "acme"}
            kept, gate.key = gate.key, (await gate.control(order))["ok"]["secret"]
            first = asyncio.create_task(gate.chat("main", stream=True))
            await until(lambda: up.book)
            gate.key = kept
            second = asyncio.create_task(gate.chat("main", stream=True))
            await asyncio.sleep(0.2)  # so that it waits
            assert "ok" in await gate.control({"do": "keys.revoke", "name": "web"})
            assert (await asyncio.wait_for(first, 10)).status == 401
            opened.set()
            reply = await second
            assert (reply.status, reply.headers["x-octoplex-cache"]) == (200, "hit")
            assert len(up.book) == 1
            (row,) = await gate.rows(1)
            assert row["state"] == "settled"

    run(main())


PLAIN = {
    "/v1/chat/completions": question("a/m"),
    "/v1/messages": question("a/m"),
    "/v1/responses": b'{"model": "a/m", "input": "x"}',
    "/v1beta/models/a%2Fm:generateContent": b'{"contents": [{"parts": [{"text": "x"}]}]}',
    "/v1/embeddings": b'{"model": "a/m", "input": "x"}',
    "/providers/a/v1/chat/completions": question("m"),
    "/providers/a/v1/unheard/of": b"{}",
}


@pytest.mark.parametrize("more", [(), (("idempotency-key", "one"),)], ids=["plain", "once"])
@pytest.mark.parametrize("path", PLAIN)
def test_a_revoked_keys_plain_reply_is_not_waited_for(
    tmp_path: Path, run: Run, path: str, more: tuple[tuple[str, str], ...]
) -> None:
    """Its provider thinks, and would go on to for minutes."""

    async def main() -> None:
        async with Upstream(stalls()) as up, Gate(
            tmp_path, file(KEYED, a=up), key=APP_KEY
        ) as gate:  # fmt: skip
            made = (await gate.control({"do": "keys.new", "name": "web"}))["ok"]
            kept, gate.key = gate.key, made["secret"]
            asking = asyncio.create_task(gate.post(path, PLAIN[path], *more))
            await until(lambda: up.book)
            assert "ok" in await gate.control({"do": "keys.revoke", "name": "web"})
            reply = await asyncio.wait_for(asking, 10)
            assert reply.status == 401
            assert b"revoked while" in reply.body
            assert ("request-id" in reply.headers) is (path == "/v1/messages")
            await until(lambda: up.book[0].closed_at is not None)
            gate.key = kept
            (row,) = await gate.rows(1)
            assert row["state"] != "reserved"
            (record,) = await _records(gate)
            assert (record["status"], record["outcome"]) == (401, "stopped")

    run(main())


def test_a_stream_that_is_gathered_is_ended_too(tmp_path: Path, run: Run) -> None:
    """Its caller wants it whole; the provider streams nevertheless."""

    async def main() -> None:
        async with Upstream(silent) as up, Gate(
            tmp_path, file(KEYED, a=up), key=APP_KEY
        ) as gate:  # fmt: skip
            made = (await gate.control({"do": "keys.new", "name": "web"}))["ok"]
            kept, gate.key = gate.key, made["secret"]
            asking = asyncio.create_task(gate.chat("a/m"))
            await until(lambda: up.book and up.book[0].sent > 200)
            assert "ok" in await gate.control({"do": "keys.revoke", "name": "web"})
            assert (await asyncio.wait_for(asking, 10)).status == 401
            await until(lambda: up.book[0].closed_at is not None)
            gate.key = kept
            (row,) = await gate.rows(1)
            assert row["state"] != "reserved"
            (record,) = await _records(gate)
            assert record["outcome"] == "stopped"

    run(main())


def test_a_body_that_still_comes_is_asked_for_nothing(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(stalls()) as up, Gate(
            tmp_path, file(KEYED, a=up), key=APP_KEY
        ) as gate:  # fmt: skip
            made = (await gate.control({"do": "keys.new", "name": "web"}))["ok"]
            head = [("authorization", f"Bearer {made['secret']}"), ("content-length", "99")]
            async with gate.line() as line:
                head.append(("expect", "100-continue"))
                line.send(caller.request("POST", PATHS["openai-chat"], headers=head))
                assert (await line.head()).status == 100
                line.send(b'{"model": "a/m", ')
                assert "ok" in await gate.control({"do": "keys.revoke", "name": "web"})
                assert (await line.head()).status == 401
            (record,) = await _records(gate)
            assert (record["status"], record["error_code"]) == (401, "unauthorized"), record
            assert not up.book

    run(main())


async def _records(gate: Gate) -> list[Any]:
    while not (records := (await gate.get("/admin/requests")).json["data"]):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return list(records)


def test_others_go_on(tmp_path: Path, run: Run) -> None:
    """The stream of another key, and one of a key that was only turned."""

    async def main() -> None:
        async with (
            Upstream(provider.streamed("openai-chat"), endless) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            for name in ("web", "gone"):
                made = (await gate.control({"do": "keys.new", "name": name}))["ok"]
                gate.key = made["secret"] if name == "web" else gate.key
            asking = asyncio.create_task(gate.chat("a/m", stream=True))
            await gate.control({"do": "keys.rotate", "name": "web", "overlap_ms": 0})
            await gate.control({"do": "keys.revoke", "name": "gone"})
            assert b"revoked" not in (await asking).body

    run(main())
