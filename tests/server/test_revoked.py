"""A key that is revoked ends its running streams: in-band, at once, and settled."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, PATHS, Gate, file, question, until
from tests.upstream_server import Exchange, Upstream, head

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
            while not (records := (await gate.get("/admin/requests")).json["data"]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            assert [a["outcome"] for a in records[0]["attempts"]] == ["stopped"]

    run(main())


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
