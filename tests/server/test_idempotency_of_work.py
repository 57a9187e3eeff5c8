"""`Idempotency-Key` at the doors that begin work: batches of both vendors, and compaction."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.server import provider
from tests.server.batch_scene import (
    APP_KEY,
    answers,
    chat,
    claude,
    jsonl,
    output,
    over,
    sdk,
    text,
    uploaded,
)
from tests.server.conftest import Run
from tests.server.gate import Gate, file
from tests.server.responses_scene import config
from tests.server.talking import said as said_in
from tests.server.talking import talk
from tests.server.test_compaction import said
from tests.server.test_message_batches import ended, message, results
from tests.server.test_strands import HELLO
from tests.upstream_server import Upstream

ONCE = {"Idempotency-Key": "night"}
REUSED = "sent with another request"


def test_a_batch_that_is_made_twice_is_one_and_each_of_its_lines_is_asked(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with (
            Upstream(answers()) as up,
            Gate(tmp_path, text(a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
            sdk(gate, "oct-other-0f1e2d3c4b5a6978") as other,
        ):
            input_ = await uploaded(client, jsonl([chat(f"{n}", f"word {n}") for n in range(3)]))
            asked: Any = {
                "input_file_id": input_,
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
            }
            many = [client.batches.create(**asked, extra_headers=ONCE) for _ in range(5)]
            (id_,) = {batch.id for batch in await asyncio.gather(*many)}
            batch = await over(client, id_)
            assert (await client.batches.create(**asked, extra_headers=ONCE)).id == id_
            assert len(await output(client, batch.output_file_id)) == 3
            assert len(up.book) == 3
            assert [one.id async for one in await client.batches.list()] == [id_]
            with pytest.raises(Exception, match=REUSED):
                await client.batches.create(**asked, metadata={"a": "b"}, extra_headers=ONCE)
            own = await uploaded(other, jsonl([chat("1", "Hello")]))
            theirs = await other.batches.create(
                **asked | {"input_file_id": own}, extra_headers=ONCE
            )
            assert theirs.id != id_
            long = {"Idempotency-Key": "x" * 256}
            with pytest.raises(Exception, match="1 to 255 characters"):
                await client.batches.create(**asked, extra_headers=long)

    run(main())


def test_a_message_batch_that_is_made_twice_is_one_and_each_of_its_lines_is_asked(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with (
            Upstream(answers("anthropic")) as up,
            Gate(tmp_path, text(claude=up), key=APP_KEY) as gate,
            claude(gate) as client,
        ):
            lines = [message(f"r{n}", f"word {n}") for n in range(3)]
            create = client.messages.batches.create
            many = [create(requests=lines, extra_headers=ONCE) for _ in range(5)]
            (id_,) = {batch.id for batch in await asyncio.gather(*many)}
            over = await ended(client, id_)
            assert (await create(requests=lines, extra_headers=ONCE)).id == id_
            assert over.request_counts.succeeded == 3
            assert {r.type for r in (await results(client, id_)).values()} == {"succeeded"}
            assert len(up.book) == 3
            with pytest.raises(Exception, match=REUSED):
                await create(requests=lines[:2], extra_headers=ONCE)

    run(main())


def test_a_compaction_that_is_asked_twice_is_one(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(said("anthropic")) as up:
            table = config(up=("anthropic", up))
            async with Gate(tmp_path, table, key=APP_KEY) as gate:
                body = json.dumps({"model": "up/m", "input": "Find out."}).encode()
                header = ("idempotency-key", "one")
                path = "/v1/responses/compact"
                first = await gate.post(path, body, header)
                await asyncio.sleep(1.001)  # the time it was written at is ours, in seconds
                again = await gate.post(path, body, header)
                assert (first.status, again.status) == (200, 200)
                assert first.body == again.body
                assert again.headers["idempotent-replayed"] == "true"
                assert len(up.book) == 1
                await gate.rows(1)

    run(main())


def test_the_key_of_a_websocket_names_none_of_its_requests(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.streamed("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
            talk(gate, additional_headers=ONCE) as ws,
        ):
            for words in ("Hello", "Hello", "And now?"):
                await ws.create("a/m", words)
                assert said_in(await ws.answer()) == HELLO
            assert len(up.book) == 3

    run(main())
