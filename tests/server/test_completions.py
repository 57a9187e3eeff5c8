"""Streamed completions: OpenAI's older dialect on chat's way, and the spine's promises for it.

Chunks are typed from https://developers.openai.com/api/reference/resources/completions/methods/create
"""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import openai
import pytest

from octoplex.server.out import Quiet
from tests.dialects.grammar import text_completion
from tests.server import caller, provider
from tests.server.caller import Reply, canonical, comments, events, request
from tests.server.check import error_of
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route, until
from tests.server.inside import inside
from tests.upstream_server import Exchange, Play, Upstream, head, says, stalls, streams

PATH = "/v1/completions"
KEY = "\n[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '$5/day'\n"
AT_ONCE_S = 0.25
BILL = (5, 7)
HEAD = {
    "id": "cmpl-7iA7iJjj8V2zOkCGvWF2hAkWALjZL",
    "object": "text_completion",
    "created": 1690759702,
}
TAIL = {"model": "gpt-3.5-turbo-instruct", "system_fingerprint": "fp_44709d6fcb"}
USAGE = {"prompt_tokens": BILL[0], "completion_tokens": BILL[1], "total_tokens": sum(BILL)}
DONE = b"data: [DONE]\n\n"


def chunk(text: str, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
    return provider.data({**HEAD, "choices": [choice], **TAIL, **more})


USAGE_CHUNK = provider.data({**HEAD, "choices": [], **TAIL, "usage": USAGE})
TEXTS = [chunk("This"), chunk(" is", usage=None), chunk(" é test"), chunk("", "stop")]


def whole(*parts: bytes) -> Play:
    return streams([*(parts or TEXTS), USAGE_CHUNK, DONE], billed=BILL)


def asked(model: str = "a/m", **members: Any) -> bytes:
    return json.dumps({"model": model, "prompt": "Say", "stream": True, **members}).encode()


def said(reply: Reply) -> list[dict[str, Any]]:
    """The chunks of a stream that obeys the grammar."""
    assert reply.status == 200, reply.body
    assert reply.complete
    text_completion.check(canonical(reply.body))
    return [json.loads(data) for _, data in events(reply.body) if data != "[DONE]"]


def test_chunks_pass_byte_for_byte_and_are_billed(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(whole()) as up,
            Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate,
        ):
            members = b'"prompt":["a","\\u00e9"],"echo":true,"n":2,"new":1e0'
            body = b'{"stream": true, "model":"a/m",%b}' % members
            reply = await gate.post(PATH, body)
            wire = b"".join([*TEXTS, DONE])
            assert reply.body.startswith(wire), "and the usage nobody asked for is not among them"
            said(reply)
            nano = provider.nano(BILL)
            assert comments(reply.body) == [
                f"x-octoplex-cost-nano: {nano}",
                "x-octoplex-attempts: 1",
            ]
            assert reply.headers["x-octoplex-model"] == "a/m"
            (entry,) = up.book
            assert entry.path == PATH.removeprefix("/v1")
            assert members in entry.body
            sent = json.loads(entry.body)
            assert (sent["model"], sent["stream_options"]) == ("m", {"include_usage": True})
            (row,) = await gate.rows(1)
            assert (row["input_tokens"], row["output_tokens"], row["nano"]) == (*BILL, nano)
            assert (row["outcome"], row["estimated"]) == ("done", 0)
            (record,) = await gate.records(1)
            assert (record["op"], record["stream"], record["nano"]) == ("complete", True, nano)
            assert record["attempts"][0]["target"] == "a/m"

    run(main())


def test_the_sdk_reads_it(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(whole()) as up,
            Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate,
            openai.AsyncOpenAI(
                base_url=f"http://127.0.0.1:{gate.port}/v1", api_key=APP_KEY, max_retries=0
            ) as client,
        ):
            got = await client.completions.create(model="a/m", prompt="Say", stream=True)
            assert "".join([c.choices[0].text async for c in got]) == "This is é test"
            shown = await client.completions.create(
                model="a/m", prompt="Say", stream=True, stream_options={"include_usage": True}
            )
            last = [c async for c in shown][-1]
            assert last.usage is not None
            assert (last.choices, last.usage.total_tokens) == ([], sum(BILL))

    run(main())


def test_several_texts_end_each_for_itself(tmp_path: Path, run: Run) -> None:
    """The first one that ends is not the end."""
    mixed = [chunk("a"), chunk("b", index=1), chunk("", "stop"), chunk("b", index=1)]
    mixed += [chunk("", "length", index=1)]

    async def main() -> None:
        async with (
            Upstream(whole(*mixed)) as up,
            Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate,
        ):
            reply = await gate.post(PATH, asked(prompt=["x", "y"], max_tokens=10, n=3))
            assert [c["choices"][0]["text"] for c in said(reply)] == ["a", "b", "", "b", ""]
            await gate.post(PATH, asked(prompt=[1, 2, 3], max_tokens=10, best_of=2))
            first, second = [row["reserved_nano"] // 10_000 for row in await gate.rows(2)]
            assert (first, second) == (60 + first % 10, 20 + second % 10), "texts times choices"

    run(main())


@pytest.mark.parametrize("how", ["error", "close", "reset"])
def test_a_stream_that_breaks_says_so(tmp_path: Path, run: Run, how: str) -> None:
    sorry = provider.data({"error": {"message": "busy", "type": "server_error", "code": None}})

    async def broken(exchange: Exchange) -> None:
        kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        exchange.send(head(200, kind))
        exchange.chunk(TEXTS[0])
        await asyncio.sleep(0.05)
        if how == "error":
            exchange.chunk(sorry)
        elif how == "close":
            exchange.close()
        else:
            exchange.reset()

    async def main() -> None:
        async with Upstream(broken) as up, Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate:
            reply = await gate.post(PATH, asked())
            text, error = said(reply)
            assert text["choices"][0]["text"] == "This"
            assert error["error"]["octoplex"]["code"] in (
                "upstream_failed",
                "bad_upstream_response",
            )
            assert b"[DONE]" not in reply.body
            (row,) = await gate.rows(1)
            assert (row["outcome"], row["estimated"]) == ("cut", 1)

    run(main())


@pytest.mark.parametrize("content", [False, True], ids=["before", "amid"])
def test_a_caller_that_leaves_closes_the_provider(tmp_path: Path, run: Run, content: bool) -> None:
    async def main() -> None:
        play = streams(TEXTS[:2], "stall") if content else stalls()
        async with Upstream(play) as up, Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate:
            async with gate.line() as line:
                line.send(request("POST", PATH, asked(), gate.headers()))
                if content:
                    await line.head()
                    await line.until(b"This")
                await until(lambda: up.book)
                left_at = asyncio.get_running_loop().time()
                line.leave()
                await until(lambda: up.book[0].closed_at is not None)
                assert up.book[0].closed_at is not None
                assert up.book[0].closed_at - left_at < AT_ONCE_S
            (row,) = await gate.rows(1)
            assert (row["outcome"], row["estimated"]) == ("left", 1)
            assert (row["output_tokens"] > 0) == content
            assert [r["outcome"] for r in await gate.records(1)] == ["left"]

    run(main())


def test_what_fails_before_a_text_falls_over(tmp_path: Path, run: Run) -> None:
    bad: Iterable[Play] = (
        says(b'{"error":{"message":"no","type":"server_error"}}', 503),
        streams([provider.data({"error": {"message": "busy", "code": "overloaded"}})]),
        streams([]),
    )

    async def main() -> None:
        more = route("main", "a/m", "b/m", more="retry = { attempts = 2 }")
        async with (
            Upstream(*bad) as up,
            Upstream(whole()) as other,
            Gate(tmp_path, file(KEY + more, a=up, b=other), key=APP_KEY) as gate,
        ):
            for _ in range(2):
                reply = await gate.post(PATH, asked("main"))
                assert len(said(reply)) == 4
                assert reply.headers["x-octoplex-model"] == "b/m"
            assert len(other.book) == 2

    run(main())


def test_who_has_no_completions_is_not_asked(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(whole()) as up,
            Gate(tmp_path, file(KEY, claude=up), key=APP_KEY) as gate,
        ):
            reply = await gate.post(PATH, asked("claude/m"))
            assert reply.status == 404
            assert "completes text" in error_of(reply, "openai-chat")["message"]
            assert up.book == []

    run(main())


def test_a_whole_reply_becomes_a_stream(tmp_path: Path, run: Run) -> None:
    choice = {"text": "All", "index": 0, "logprobs": None, "finish_reason": "stop"}
    body = json.dumps({**HEAD, **TAIL, "choices": [choice], "usage": USAGE}, indent=2).encode()

    async def main() -> None:
        async with (
            Upstream(says(body, billed=BILL)) as up,
            Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate,
        ):
            (only,) = said(await gate.post(PATH, asked()))
            assert only == json.loads(body)
            (row,) = await gate.rows(1)
            assert row["nano"] == provider.nano(BILL)

    run(main())


def test_a_failure_after_a_keep_alive_is_in_band(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        slow = "timeouts = { header_s = 0.3 }"
        async with Upstream(stalls()) as up:
            text = file(route("main", "a/m", more="retry = { attempts = 1 }"), each=slow, a=up)
            async with inside(tmp_path, text, Quiet(after_s=0.05, step_s=0.02)) as at:
                reply = await caller.ask(at.port, "POST", PATH, asked("main"))
                (error,) = said(reply)
                assert error["error"]["octoplex"]["code"] == "upstream_slow"
                assert "keep-alive" in comments(reply.body)
                await at.rows(1)

    run(main())
