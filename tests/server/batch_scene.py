"""Batches of a gateway before scripted providers, made with the vendors' SDKs.

async with Upstream(answers()) as up, Gate(tmp_path, text(a=up), key=APP_KEY) as gate:
    async with sdk(gate) as client:
        batch = await made(client, [chat("1", "Hello")])
        ended = await over(client, batch.id)
        lines = await output(client, ended.output_file_id)
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anthropic
import httpx2
import openai
from openai.types import Batch

from tests.server import provider
from tests.server.gate import APP_KEY, Gate, file
from tests.server.responses_scene import sdk
from tests.upstream_server import Entry, Exchange, Play, Upstream, head

__all__ = ["APP_KEY", "answers", "chat", "claude", "made", "output", "over", "sdk", "text"]
KEYS = """[keys.app]
secret = 'env:APP_KEY'
limits = '{limits}'
[keys.other]
secret = 'env:OTHER_KEY'
"""


def text(
    more: str = "", server: str = "", /, *, limits: str = "", each: str = "", **ups: Upstream
) -> str:
    keys = KEYS.format(limits=limits)
    return file(keys + more, server, each=each, **ups)


def asked(entry: Entry) -> str:
    """What the last message of a request says."""
    said = json.loads(entry.body)["messages"][-1]["content"]
    return said if isinstance(said, str) else str(said[0]["text"])


def answers(
    dialect: str = "openai-chat",
    status: Callable[[str], int] = lambda said: 200,
    wait: Callable[[str], Any] | None = None,
) -> Play:
    """Repeats what it was asked, with what it bills. `status` and `wait` look at the words."""

    async def play(exchange: Exchange) -> None:
        said = asked(exchange.entry)
        if wait is not None:
            await wait(said)
        code = status(said)
        if code >= 400:
            body = json.dumps({"error": {"message": "no", "type": "x", "code": None}}).encode()
        else:
            exchange.bill(*provider.BILL)
            make = provider.chat_body if dialect == "openai-chat" else provider.message_body
            body = make(f"you said {said}")
        lines = [("content-type", "application/json"), ("content-length", str(len(body)))]
        exchange.send(head(code, lines) + body)

    return play


def chat(custom_id: str, said: str, model: str = "a/m", **more: Any) -> dict[str, Any]:
    body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": said}]}
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body | more,
    }


def jsonl(lines: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def uploaded(client: openai.AsyncOpenAI, data: bytes) -> str:
    return (await client.files.create(file=("in.jsonl", data), purpose="batch")).id


async def made(
    client: openai.AsyncOpenAI,
    lines: Sequence[Any],
    endpoint: str = "/v1/chat/completions",
    **more: Any,
) -> Batch:
    id_ = await uploaded(client, jsonl(lines))
    return await client.batches.create(
        input_file_id=id_,
        endpoint=endpoint,  # type: ignore[arg-type]
        completion_window="24h",
        **more,
    )


def counted(up: Upstream) -> dict[str, int]:
    """How often each line was asked."""
    return dict(Counter(asked(entry) for entry in up.book))


async def until(client: openai.AsyncOpenAI, id_: str, holds: Callable[[Batch], Any]) -> Batch:
    """The batch, as soon as it is so."""
    async with asyncio.timeout(30):
        while True:
            batch = await client.batches.retrieve(id_)
            if holds(batch):
                return batch
            await asyncio.sleep(0.02)


async def over(client: openai.AsyncOpenAI, id_: str) -> Batch:
    return await until(
        client, id_, lambda b: b.status in ("completed", "failed", "expired", "cancelled")
    )


async def output(client: openai.AsyncOpenAI, id_: str | None) -> dict[str, dict[str, Any]]:
    """The lines of a file of results by custom_id; none of them twice."""
    if id_ is None:
        return {}
    lines = [json.loads(line) for line in (await client.files.content(id_)).text.splitlines()]
    found = {line["custom_id"]: line for line in lines}
    assert len(found) == len(lines), "a line came twice"
    return found


@contextlib.asynccontextmanager
async def claude(gate: Gate, key: str = APP_KEY) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield anthropic.AsyncAnthropic(
            api_key=key,
            base_url=f"http://127.0.0.1:{gate.port}",
            max_retries=0,
            http_client=client,
        )
