"""OpenAI's SDK before a gateway whose providers speak dialects by name.

async with Gate(tmp_path, config(up=(dialect, up)), key=APP_KEY) as gate, sdk(gate) as client:
    made = await create(client, model="up/m", input="Hello")
"""

import contextlib
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx2
import openai
import pytest
from openai.types.responses import Response

from tests.server import provider
from tests.server.gate import APP_KEY, Gate
from tests.upstream_server import Upstream

OTHER = "oct-other-0f1e2d3c4b5a6978"
OURS = re.compile(r"resp_octo[0-9a-f]{40}")
DIALECTS = ("openai-chat", "anthropic", "openai-responses")
KEYS = "[keys.app]\nsecret = 'env:APP_KEY'\n[keys.other]\nsecret = 'env:OTHER_KEY'\n"


def config(more: str = "", server: str = "", /, **ups: tuple[str, Upstream]) -> str:
    """Providers by name, each with the dialect it speaks."""
    tables = [
        f"[providers.{name}]\ndialect = '{dialect}'\n"
        f"base_url = '{up.url}'\napi_key = 'env:UP_KEY'\n"
        for name, (dialect, up) in ups.items()
    ]
    prices = "\n".join(f'"{name}/m" = {provider.PRICE}' for name in ups)
    return f"[server]\n{server}\n{''.join(tables)}\n[prices]\n{prices}\n{KEYS}\n{more}\n"


@contextlib.asynccontextmanager
async def sdk(gate: Gate, key: str = APP_KEY) -> AsyncIterator[openai.AsyncOpenAI]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield openai.AsyncOpenAI(
            api_key=key,
            base_url=f"http://127.0.0.1:{gate.port}/v1",
            max_retries=0,
            http_client=client,
        )


async def create(client: openai.AsyncOpenAI, stream: bool = False, /, **members: Any) -> Response:
    """A response, whole or as the last event of a stream."""
    if not stream:
        return cast(Response, await client.responses.create(**members))
    ids, last = set(), None
    async for event in await client.responses.create(stream=True, **members):
        response = getattr(event, "response", None)
        if response is not None:
            ids.add(response.id)
            last = response
    assert last is not None
    assert ids == {last.id}
    return last


def sent(up: Upstream, number: int = -1) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(up.book[number].body)
    return body


async def missing(asked: Any, param: str | None = None) -> None:
    with pytest.raises(openai.NotFoundError) as error:
        await asked
    if param is not None:
        assert error.value.param == param


def stored(gate: Gate) -> int:
    """How many responses lie in the file."""
    path = gate.data / "responses.db"
    if not path.exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        count: int = db.execute("select count(*) from responses").fetchone()[0]
        return count
