"""Message batches in Anthropic's shape, by its own SDK.

Shapes: https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic.types.messages import MessageBatch

from tests.server import provider
from tests.server.batch_scene import APP_KEY, answers, claude, counted, sdk, text
from tests.server.conftest import Run
from tests.server.gate import Gate
from tests.upstream_server import Upstream

OTHER = "oct-other-0f1e2d3c4b5a6978"
VERSION = ("anthropic-version", "2023-06-01")


def message(custom_id: str, said: str, model: str = "claude/m", **more: Any) -> Any:
    params = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": said}]}
    return {"custom_id": custom_id, "params": params | more}


async def until(
    client: anthropic.AsyncAnthropic, id_: str, holds: Callable[[MessageBatch], Any]
) -> MessageBatch:
    async with asyncio.timeout(30):
        while True:
            batch = await client.messages.batches.retrieve(id_)
            if holds(batch):
                return batch
            await asyncio.sleep(0.02)


async def ended(client: anthropic.AsyncAnthropic, id_: str) -> MessageBatch:
    return await until(client, id_, lambda b: b.processing_status == "ended")


async def results(client: anthropic.AsyncAnthropic, id_: str) -> dict[str, Any]:
    lines = [line async for line in await client.messages.batches.results(id_)]
    found: dict[str, Any] = {line.custom_id: line.result for line in lines}
    assert len(found) == len(lines), "a line came twice"
    return found


@pytest.mark.parametrize("name", ["claude", "a"])
def test_every_request_is_asked_priced_and_recorded(tmp_path: Path, run: Run, name: str) -> None:
    async def main() -> None:
        dialect = "anthropic" if name == "claude" else "openai-chat"
        async with (
            Upstream(answers(dialect, lambda said: 400 if said == "bad" else 200)) as up,
            Gate(tmp_path, text(**{name: up}), key=APP_KEY) as gate,
            claude(gate) as client,
        ):
            model = f"{name}/m"
            requests = [message(f"r{n}", f"word {n}", model) for n in range(5)]
            requests += [message("bad", "bad", model), message("s", "x", model, stream=True)]
            batch = await client.messages.batches.create(requests=requests)
            assert (batch.type, batch.processing_status) == ("message_batch", "in_progress")
            assert batch.id.startswith("msgbatch_")
            assert batch.results_url is None
            assert sum(batch.request_counts.model_dump().values()) == 7
            assert (batch.expires_at - batch.created_at).total_seconds() == 86_400
            over = await ended(client, batch.id)
            counts = over.request_counts.model_dump()
            assert counts == {
                "processing": 0,
                "succeeded": 5,
                "errored": 2,
                "canceled": 0,
                "expired": 0,
            }
            assert over.ended_at is not None
            url = f"http://127.0.0.1:{gate.port}/v1/messages/batches/{batch.id}/results"
            assert over.results_url == url
            found = await results(client, batch.id)
            assert found["r3"].type == "succeeded"
            assert found["r3"].message.content[0].text == "you said word 3"
            assert found["r3"].message.type == "message"
            for wrong in ("bad", "s"):
                assert found[wrong].type == "errored"
                assert found[wrong].error.type == "error"
                assert found[wrong].error.error.type == "invalid_request_error"
            records = await gate.records(7)
            assert {r["face"] for r in records} == {"anthropic"}
            assert gate.spent() == 5 * provider.nano(provider.BILL)

    run(main())


def test_lists_go_both_ways_and_batches_are_deleted(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(answers("anthropic")) as up,
            Gate(tmp_path, text(claude=up), key=APP_KEY) as gate,
            claude(gate) as client,
            claude(gate, OTHER) as other,
            sdk(gate) as openai_client,
        ):
            made = []
            for n in range(5):
                batch = await client.messages.batches.create(requests=[message("a", f"{n}")])
                made.append(batch.id)
            newest = made[::-1]
            assert [b.id async for b in client.messages.batches.list(limit=2)] == newest
            page = await client.messages.batches.list(limit=2, before_id=newest[4])
            assert [b.id for b in page.data] == newest[2:4]
            assert (page.first_id, page.last_id, page.has_more) == (newest[2], newest[3], True)
            page = await client.messages.batches.list(limit=2, after_id=newest[3])
            assert ([b.id for b in page.data], page.has_more) == ([newest[4]], False)
            assert (await other.messages.batches.list()).data == []
            assert (await openai_client.batches.list()).data == []
            for asked in (
                other.messages.batches.retrieve(made[0]),
                other.messages.batches.results(made[0]),
                other.messages.batches.delete(made[0]),
                client.messages.batches.retrieve("msgbatch_none"),
            ):
                with pytest.raises((anthropic.NotFoundError, anthropic.AnthropicError)):
                    await asked
            await ended(client, made[0])
            gone = await client.messages.batches.delete(made[0])
            assert (gone.id, gone.type) == (made[0], "message_batch_deleted")
            with pytest.raises(anthropic.NotFoundError):
                await client.messages.batches.retrieve(made[0])
            assert not list((gate.data / "files").glob(f"{made[0]}*"))

    run(main())


def test_a_cancelled_batch_says_so_of_every_request(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()
        async with (
            Upstream(answers("anthropic", wait=lambda said: go.wait())) as up,
            Gate(tmp_path, text("", "batch_concurrency = 2", claude=up), key=APP_KEY) as gate,
            claude(gate) as client,
        ):
            requests = [message(f"r{n}", f"{n}") for n in range(20)]
            batch = await client.messages.batches.create(requests=requests)
            await until(client, batch.id, lambda b: len(up.book) == 2)
            for early in (
                client.messages.batches.delete(batch.id),
                gate.get(f"/v1/messages/batches/{batch.id}/results", VERSION),
            ):
                if asyncio.iscoroutine(early):
                    try:
                        reply: Any = await early
                        assert reply.status == 400
                    except anthropic.BadRequestError:
                        pass
            cancelling = await client.messages.batches.cancel(batch.id)
            assert cancelling.processing_status == "canceling"
            assert cancelling.cancel_initiated_at is not None
            go.set()
            over = await ended(client, batch.id)
            assert over.request_counts.succeeded == 2
            assert over.request_counts.canceled == 18
            found = await results(client, batch.id)
            assert sorted({r.type for r in found.values()}) == ["canceled", "succeeded"]
            assert len(found) == 20
            assert len(up.book) == 2

    run(main())


WRONG: dict[str, Any] = {
    "no list": {"requests": {}},
    "none": {"requests": []},
    "no custom_id": {"requests": [{"params": {}}]},
    "odd custom_id": {"requests": [message("a b", "x")]},
    "long custom_id": {"requests": [message("a" * 65, "x")]},
    "twice": {"requests": [message("a", "x"), message("a", "y")]},
    "no params": {"requests": [{"custom_id": "a"}]},
    "params": {"requests": [{"custom_id": "a", "params": "x"}]},
    "no requests": {},
}


@pytest.mark.parametrize("how", WRONG)
def test_what_is_no_batch_is_refused_in_the_vendors_words(
    tmp_path: Path, run: Run, how: str
) -> None:
    async def main() -> None:
        async with (
            Upstream(answers("anthropic")) as up,
            Gate(tmp_path, text(claude=up), key=APP_KEY) as gate,
        ):
            body = json.dumps(WRONG[how]).encode()
            reply = await gate.post("/v1/messages/batches", body, VERSION)
            assert reply.status == 400
            assert reply.json["type"] == "error"
            assert reply.json["error"]["type"] == "invalid_request_error"
            assert "requests" in reply.json["error"]["message"]
            assert (await gate.get("/v1/messages/batches", VERSION)).json["data"] == []

    run(main())


def test_a_killed_server_goes_on_where_it_was(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        hold = asyncio.Event()

        async def wait(said: str) -> None:
            if int(said) >= 10:
                await hold.wait()

        async with (
            Upstream(answers("anthropic", wait=wait)) as up,
            Gate(tmp_path, text("", "batch_concurrency = 2", claude=up), key=APP_KEY) as gate,
        ):
            async with claude(gate) as client:
                requests = [message(f"r{n}", f"{n}") for n in range(30)]
                batch = await client.messages.batches.create(requests=requests)
                await until(client, batch.id, lambda b: b.request_counts.succeeded == 10)
                await until(client, batch.id, lambda b: len(up.book) == 12)
            gate.kill()
            hold.set()
            await gate.start()
            async with claude(gate) as client:
                over = await ended(client, batch.id)
                assert over.request_counts.succeeded == 30
                assert len(await results(client, batch.id)) == 30
            assert {n for n, count in counted(up).items() if count > 1} <= {"10", "11"}

    run(main())
