"""Batches in OpenAI's shape, run here: every line a request of the key that made it.

Shapes: https://developers.openai.com/api/docs/guides/batch
"""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.server import provider
from tests.server.batch_scene import (
    APP_KEY,
    answers,
    chat,
    jsonl,
    made,
    output,
    over,
    sdk,
    text,
    until,
    uploaded,
)
from tests.server.conftest import Run
from tests.server.gate import Gate
from tests.server.gate import until as soon
from tests.upstream_server import Upstream, says

OTHER = "oct-other-0f1e2d3c4b5a6978"


def test_every_line_is_asked_priced_and_recorded(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(answers()) as up,
            Gate(tmp_path, text(a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            lines = [chat(f"line-{n}", f"word {n}") for n in range(20)]
            batch = await made(client, lines, metadata={"night": "7"})
            assert (batch.object, batch.endpoint) == ("batch", "/v1/chat/completions")
            assert batch.status in ("validating", "in_progress")
            assert batch.expires_at == batch.created_at + 86_400
            ended = await over(client, batch.id)
            assert ended.status == "completed"
            assert ended.metadata == {"night": "7"}
            assert ended.request_counts is not None
            assert ended.request_counts.model_dump() == {"total": 20, "completed": 20, "failed": 0}
            assert ended.errors is ended.error_file_id is None
            assert ended.in_progress_at is not None
            assert ended.finalizing_at is not None
            assert ended.completed_at is not None
            found = await output(client, ended.output_file_id)
            assert set(found) == {f"line-{n}" for n in range(20)}
            for n in range(20):
                line = found[f"line-{n}"]
                assert line["id"].startswith("batch_req_")
                assert line["error"] is None
                assert line["response"]["status_code"] == 200
                said = line["response"]["body"]["choices"][0]["message"]["content"]
                assert said == f"you said word {n}"
            records = await gate.records(20)
            assert {r["id"] for r in records} == {
                line["response"]["request_id"] for line in found.values()
            }
            assert {r["key"] for r in records} == {"app"}
            rows = await gate.rows(20)
            assert {r["nano"] for r in rows} == {provider.nano(provider.BILL)}
            file = await client.files.retrieve(ended.output_file_id or "")
            assert file.purpose == "batch_output"

    run(main())


def test_a_line_that_fails_is_told_as_its_door_tells(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(answers(status=lambda said: 400 if said == "bad" else 200)) as up,
            Gate(tmp_path, text(a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            lines = [
                chat("good", "good"),
                chat("bad", "bad"),
                chat("stream", "x", stream=True),
                chat("nobody", "x", model="nobody/m"),
                chat("empty", "x", messages=[]),
            ]
            ended = await over(client, (await made(client, lines)).id)
            assert ended.status == "completed"
            assert ended.request_counts is not None
            assert ended.request_counts.model_dump() == {"total": 5, "completed": 1, "failed": 4}
            assert set(await output(client, ended.output_file_id)) == {"good"}
            failed = await output(client, ended.error_file_id)
            told = {name: line["response"]["status_code"] for name, line in failed.items()}
            assert told == {"bad": 400, "stream": 400, "nobody": 404, "empty": 400}
            for name in ("bad", "nobody", "empty"):
                body = next(x["body"] for x in lines if x["custom_id"] == name)
                door = (await gate.post("/v1/chat/completions", json.dumps(body).encode())).json
                said = failed[name]["response"]["body"]["error"]
                for part in ("type", "param", "code"):
                    assert said[part] == door["error"][part], name
            assert failed["stream"]["response"]["body"]["error"]["param"] == "stream"

    run(main())


WRONG: dict[str, tuple[bytes, str, int | None]] = {
    "no JSON": (b'{"custom_id": "a"\n', "invalid_json_line", 1),
    "no object": (b"[1]\n", "invalid_json_line", 1),
    "no UTF-8": (b'{"custom_id": "\xff"}\n', "invalid_json_line", 1),
    "deep": (b"[" * 900 + b"\n", "invalid_json_line", 1),
    "no custom_id": (
        jsonl([{**chat("a", "x"), "custom_id": None}]),
        "missing_required_parameter",
        1,
    ),
    "custom_id of a wrong type": (jsonl([{**chat("a", "x"), "custom_id": 7}]), "invalid_type", 1),
    "twice": (jsonl([chat("a", "x"), chat("b", "x"), chat("a", "y")]), "duplicate_custom_id", 3),
    "method": (jsonl([{**chat("a", "x"), "method": "GET"}]), "invalid_method", 1),
    "url": (jsonl([chat("a", "x"), {**chat("b", "x"), "url": "/v1/responses"}]), "invalid_url", 2),
    "no body": (jsonl([{**chat("a", "x"), "body": None}]), "missing_required_parameter", 1),
    "body": (jsonl([{**chat("a", "x"), "body": ["x"]}]), "invalid_type", 1),
    "empty": (b"", "empty_file", None),
    "blank": (b"\n \n", "empty_file", None),
    "long": (jsonl([chat("a", "x" * 2_000)]), "line_too_large", 1),
    "many": (jsonl([chat(f"{n}", "x") for n in range(50_001)]), "too_many_tasks", 50_001),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_file_that_is_wrong_is_refused_line_by_line(tmp_path: Path, run: Run, how: str) -> None:
    async def main() -> None:
        data, code, line = WRONG[how]
        async with (
            Upstream(answers()) as up,
            Gate(tmp_path, text("", "max_body = '1 kB'", a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            id_ = await uploaded(client, data)
            batch = await client.batches.create(
                input_file_id=id_, endpoint="/v1/chat/completions", completion_window="24h"
            )
            ended = await over(client, batch.id)
            assert ended.status == "failed"
            assert ended.failed_at is not None
            assert ended.errors is not None
            assert ended.errors.data is not None
            assert [(e.code, e.line) for e in ended.errors.data] == [(code, line)]
            assert ended.output_file_id is ended.error_file_id is None
            assert up.book == []

    run(main())


def test_what_is_no_batch_is_refused(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(answers()) as up,
            Gate(tmp_path, text(a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
            sdk(gate, OTHER) as other,
        ):
            id_ = await uploaded(client, jsonl([chat("a", "x")]))
            theirs = await uploaded(other, jsonl([chat("a", "x")]))
            picture = (await client.files.create(file=("p", b"x"), purpose="vision")).id
            good = {
                "input_file_id": id_,
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
            }
            wrong: list[tuple[Any, int]] = [
                ([], 400),
                ({}, 400),
                (good | {"input_file_id": 7}, 400),
                (good | {"input_file_id": "file-none"}, 404),
                (good | {"input_file_id": theirs}, 404),
                (good | {"input_file_id": picture}, 400),
                (good | {"endpoint": "/v1/files"}, 400),
                (good | {"completion_window": "1h"}, 400),
                (good | {"metadata": {"x": 1}}, 400),
                (good | {"metadata": {"x" * 65: "1"}}, 400),
                (good | {"metadata": {f"{n}": "1" for n in range(17)}}, 400),
                (good | {"output_expires_after": {"anchor": "created_at", "seconds": 1}}, 400),
            ]
            for body, status in wrong:
                reply = await gate.post("/v1/batches", json.dumps(body).encode())
                assert reply.status == status, (body, reply.body)
            batch = await made(client, [chat("a", "x")])
            for asked_ in (
                other.batches.retrieve(batch.id),
                other.batches.cancel(batch.id),
                client.batches.retrieve("batch_none"),
            ):
                with pytest.raises(openai.NotFoundError):
                    await asked_
            assert (await other.batches.list()).data == []
            await over(client, batch.id)
            with pytest.raises(openai.BadRequestError):
                await client.batches.cancel(batch.id)
            assert [b.id async for b in client.batches.list(limit=1)] == [batch.id]

    run(main())


def test_a_file_may_be_deleted_under_its_batch(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()
        async with (
            Upstream(answers(wait=lambda said: go.wait())) as up,
            Gate(tmp_path, text(a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            batch = await made(client, [chat(f"{n}", "x") for n in range(30)])
            await until(client, batch.id, lambda b: up.book)
            await client.files.delete(batch.input_file_id)
            go.set()
            ended = await over(client, batch.id)
            assert len(await output(client, ended.output_file_id)) == 30

    run(main())


def answered(up: Upstream, count: int) -> bool:
    return sum(entry.done for entry in up.book) >= count


def test_so_many_lines_are_asked_at_once_and_progress_is_shown(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        go, now, most = asyncio.Semaphore(0), 0, 0

        async def wait(said: str) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await go.acquire()
            now -= 1

        async with (
            Upstream(answers(wait=wait)) as up,
            Gate(tmp_path, text("", "batch_concurrency = 3", a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            first = await made(client, [chat(f"{n}", "x") for n in range(10)])
            await until(client, first.id, lambda b: now == 3)
            second = await made(client, [chat("0", "y")])
            metrics = (await gate.get("/metrics")).body.decode()
            assert "octoplex_batches_open 2" in metrics
            # A small batch does not wait for the end of a large one.
            await until(client, second.id, lambda b: b.status == "in_progress")
            for number in range(1, 10):
                go.release()
                await soon(partial(answered, up, number))
                if (await client.batches.retrieve(second.id)).status == "completed":
                    break
            await over(client, second.id)
            shown = await client.batches.retrieve(first.id)
            assert shown.request_counts is not None
            assert shown.request_counts.total == 10
            assert 1 <= shown.request_counts.completed < 9
            for _ in range(10):
                go.release()
            assert (await over(client, first.id)).status == "completed"
            assert most == 3
            metrics = (await gate.get("/metrics")).body.decode()
            assert "octoplex_batches_open 0" in metrics

    run(main())


def test_a_cancelled_batch_keeps_what_was_answered(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def wait(said: str) -> None:
            if said != "first":
                await go.wait()

        async with (
            Upstream(answers(wait=wait)) as up,
            Gate(tmp_path, text("", "batch_concurrency = 2", a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            lines = [chat("0", "first"), *[chat(f"{n}", "later") for n in range(1, 50)]]
            batch = await made(client, lines)
            await until(client, batch.id, lambda b: len(up.book) == 3)
            cancelling = await client.batches.cancel(batch.id)
            assert cancelling.status == "cancelling"
            go.set()
            ended = await over(client, batch.id)
            assert ended.status == "cancelled"
            assert ended.cancelling_at is not None
            assert ended.cancelled_at is not None
            assert set(await output(client, ended.output_file_id)) == {"0", "1", "2"}
            assert ended.error_file_id is None
            assert len(up.book) == 3

    run(main())


def test_a_rate_limit_is_waited_out_and_a_budget_is_not(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(answers()) as up:
            limits = text(limits="20 req/s", a=up)
            async with Gate(tmp_path, limits, key=APP_KEY) as gate, sdk(gate) as client:
                batch = await made(client, [chat(f"{n}", "x") for n in range(40)])
                ended = await over(client, batch.id)
                assert len(await output(client, ended.output_file_id)) == 40
                # A line reserves 542,000 nano-dollars and costs 82,000.
                gate.write(text(limits="$0.0043/day", a=up))
                gate.hup()
                async with asyncio.timeout(5):
                    while not (await gate.get("/v1/key")).json["budgets"]:
                        pass
                batch = await made(client, [chat(f"{n}", "x") for n in range(10)])
                ended = await over(client, batch.id)
                good = await output(client, ended.output_file_id)
                bad = await output(client, ended.error_file_id)
                assert len(good) + len(bad) == 10
                assert bad
                for line in bad.values():
                    assert line["response"]["status_code"] == 402
                    assert line["response"]["body"]["error"]["code"] == "insufficient_quota"
                assert gate.spent() == (40 + len(good)) * provider.nano(provider.BILL)

    run(main())


def test_the_last_of_a_limit_is_left_to_others(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(answers()) as up,
            Gate(tmp_path, text(limits="10 req/hour", a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            batch = await made(client, [chat(f"{n}", "x") for n in range(20)])
            await until(client, batch.id, lambda b: b.request_counts.completed == 9)
            assert (await gate.chat("a/m")).status == 200
            assert (await gate.chat("a/m")).status == 429
            await client.batches.cancel(batch.id)
            ended = await over(client, batch.id)
            assert len(await output(client, ended.output_file_id)) == 9

    run(main())


def test_a_busy_provider_is_asked_again(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        seen: list[str] = []

        def status(said: str) -> int:
            seen.append(said)
            return 429 if seen.count(said) <= 2 else 200

        async with Upstream(answers(status=status)) as up:
            route = "[models.main]\ntry = ['a/m']\nretry = { attempts = 1 }\n"
            async with Gate(tmp_path, text(route, a=up), key=APP_KEY) as gate, sdk(gate) as client:
                batch = await made(client, [chat(f"{n}", f"{n}", model="main") for n in range(3)])
                ended = await over(client, batch.id)
                assert len(await output(client, ended.output_file_id)) == 3

    run(main())


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/v1/responses", {"model": "a/m", "input": "Hello"}),
        ("/v1/embeddings", {"model": "a/m", "input": "Hello"}),
        ("/v1/moderations", {"model": "a/m", "input": "Hello"}),
        ("/v1/completions", {"model": "a/m", "prompt": "Hello"}),
    ],
)
def test_every_endpoint_answers_as_its_door(
    tmp_path: Path, run: Run, endpoint: str, body: dict[str, Any]
) -> None:
    said = {
        "/v1/embeddings": {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
            "model": "m",
            "usage": {"prompt_tokens": 12, "total_tokens": 12},
        },
        "/v1/moderations": {"id": "modr-1", "model": "m", "results": [{"flagged": False}]},
        "/v1/completions": {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1,
            "model": "m",
            "choices": [{"text": "x", "index": 0, "finish_reason": "stop", "logprobs": None}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19},
        },
    }

    async def main() -> None:
        pretty = json.dumps(said.get(endpoint) or json.loads(provider.chat_body()), indent=2)
        async with (
            Upstream(says(pretty.encode(), billed=provider.BILL)) as up,
            Gate(tmp_path, text(a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            line = {"custom_id": "1", "method": "POST", "url": endpoint, "body": body}
            ended = await over(client, (await made(client, [line], endpoint)).id)
            assert ended.status == "completed"
            found = (await output(client, ended.output_file_id))["1"]["response"]
            if endpoint in said:
                assert found["body"] == said[endpoint]
            else:
                assert found["body"]["object"] == "response"
                stored = await client.responses.retrieve(found["body"]["id"])
                assert stored.output_text == "Hello, world!"

    run(main())


def test_a_key_that_was_revoked_asks_no_further(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()
        async with (
            Upstream(answers(wait=lambda said: go.wait())) as up,
            Gate(tmp_path, text("", "batch_concurrency = 2", a=up)) as gate,
        ):
            made_ = await gate.control({"do": "keys.new", "name": "guest"})
            gate.key = made_["ok"]["secret"]
            async with sdk(gate, gate.key) as client:
                batch = await made(client, [chat(f"{n}", "x") for n in range(5)])
                await until(client, batch.id, lambda b: len(up.book) == 2)
            await gate.control({"do": "keys.revoke", "name": "guest"})
            go.set()
            err = gate.data / "files" / f"{batch.id}.err"
            await soon(lambda: not any((gate.data / "files").glob("*.in")), 10)
            assert not err.exists()
            lines = [
                json.loads(line)
                for path in (gate.data / "files").glob("file-*")
                for line in path.read_text().splitlines()
                if "response" in line
            ]
            codes = sorted(line["response"]["status_code"] for line in lines)
            assert codes == [401] * 5, "those under way, too"
            assert len(up.book) == 2

    run(main())
