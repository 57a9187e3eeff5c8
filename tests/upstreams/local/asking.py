"""Asking a running engine over plain HTTP, and waiting with a deadline."""

import asyncio
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from octoplex.upstreams.local import Address, LocalModel, find
from octoplex.upstreams.local.models import command, has_engine

NOWHERE = Path("/nonexistent")
MODEL = find("smollm2", NOWHERE) if has_engine() else None
needs_model = pytest.mark.skipif(
    MODEL is None, reason=f"xllamacpp or the GGUF of smollm2 is absent: {command('smollm2')}"
)


def smollm2() -> LocalModel:
    assert MODEL is not None
    return MODEL


@contextmanager
def request(at: Address, path: str, body: Any = None) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(at.host, at.port, timeout=60)
    headers = {"authorization": f"Bearer {at.api_key}", "content-type": "application/json"}
    method = "GET" if body is None else "POST"
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def ask(at: Address, path: str, body: Any = None) -> Any:
    with request(at, path, body) as response:
        reply = json.loads(response.read())
    assert response.status == 200, reply
    return reply


def chat(text: str, **fields: Any) -> dict[str, Any]:
    """A request whose answer is the same every time."""
    said = [{"role": "user", "content": text}]
    return {"messages": said, "temperature": 0, "cache_prompt": False, **fields}


def events(response: http.client.HTTPResponse) -> Iterator[str]:
    """The data of each event, without waiting for the next one."""
    while line := response.readline():
        if line.startswith(b"data: "):
            yield line[6:].decode().strip()


def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    """Poll until it is true."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.02)


async def until_async(true: Callable[[], bool], within_s: float = 10.0) -> None:
    """Poll until it is true, letting the event loop see the world meanwhile."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - the condition is another process
            await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie that nobody has collected."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"
