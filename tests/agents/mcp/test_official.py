"""Octoplex and the official `mcp` package, each as the other's client and server.

Real HTTP and real processes; the newest revision and the handshakes before it.
"""

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from octoplex.agents.mcp.messages import HANDSHAKE, MODERN
from octoplex.agents.words import Failed
from tests.agents.mcp.official import SERVER
from tests.agents.mcp.scene import called, names, only, opened
from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, OCTOPLEX, Gate, file, until
from tests.upstream_server import Upstream

KEYS = "[keys.app]\nsecret = 'env:APP_KEY'\n"


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[str]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        app = SERVER.streamable_http_app()
        config = uvicorn.Config(app, log_level="error", lifespan="on")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[sock]))
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}/mcp"
        server.should_exit = True
        await task


async def use(arm: Any, folder: Path) -> None:
    """What our client does with the official server."""
    assert await arm.ready() == {}
    assert names(arm) == ["mcp.box.add", "mcp.box.region", "mcp.box.broken"]
    told: list[str] = []

    async def tell(word: dict[str, Any]) -> None:
        told.append(word["text"])

    said = await called(arm, folder, "mcp.box.add", {"a": 2, "b": 40}, tell=tell)
    assert said.output == {"result": 42}
    assert told == ["1 of 2: adding"]
    said = await called(arm, folder, "mcp.box.region", {"where": "Köln"})
    assert said.output == {"where": "Köln"}
    with pytest.raises(Failed, match="broke"):
        await called(arm, folder, "mcp.box.broken")
    with pytest.raises(Failed):
        await called(arm, folder, "mcp.box.add", {"a": "no number"})


def test_our_client_of_the_official_server_over_http(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with served() as url:
            text = f"[mcp.box]\nurl = '{url}'\ntrust = 'first'\n"
            for probe, version in ((True, MODERN), (False, HANDSHAKE[0])):
                async with opened(tmp_path, text) as arm:
                    only(arm)._probe = probe
                    await use(arm, tmp_path)
                    session = only(arm)._session
                    assert session is not None
                    assert session.version == version

    run(main())


def test_our_client_of_the_official_server_over_stdio(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        start = "from tests.agents.mcp.official import SERVER; SERVER.run()"
        root = Path(__file__).parents[3]
        text = (
            f"[mcp.box]\ncommand = {json.dumps([sys.executable, '-c', start])}\ntrust = 'first'\n"
            f"env = {{ PYTHONPATH = '{root}' }}\n"
        )
        async with opened(tmp_path, text) as arm:
            await use(arm, tmp_path)
            session = only(arm)._session
            assert session is not None
            assert session.version == MODERN

    run(main())


def text(said: Any) -> str:
    return str(said.content[0].text)


async def ask(client: Client) -> None:
    """What the official client does with us."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert {"chat", "models"} <= tools.keys()
    said: Any = await client.call_tool("models", {})
    assert "a/m" in text(said)
    said = await client.call_tool("chat", {"model": "a/m", "prompt": "Hello"})
    assert not said.is_error
    assert text(said) == "Hello, world!"
    assert said.structured_content["cost_nano"] == provider.nano(provider.BILL)
    assert said.structured_content["model"] == "a/m"
    said = await client.call_tool("chat", {"model": "nobody/m", "prompt": "Hello"})
    assert said.is_error
    said = await client.call_tool("chat", {"prompt": 7})
    assert said.is_error
    assert "prompt" in text(said)
    with pytest.raises(Exception, match="no tool"):
        await client.call_tool("nothing", {})


def test_the_official_client_of_ours(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), key=APP_KEY) as gate,
        ):
            url = f"http://127.0.0.1:{gate.port}"
            for mode in ("auto", "legacy"):
                headers = {"authorization": f"Bearer {APP_KEY}"}
                async with httpx2.AsyncClient(headers=headers) as http:
                    way = streamable_http_client(f"{url}/mcp", http_client=http)
                    async with Client(way, mode=mode) as client:
                        await ask(client)
            parameters = StdioServerParameters(
                command=str(OCTOPLEX),
                args=["mcp", "serve", "--config", str(gate.config)],
                env={"OCTOPLEX_API_KEY": APP_KEY, "HOME": str(tmp_path), "APP_KEY": APP_KEY},
            )
            async with Client(stdio_client(parameters)) as client:
                await ask(client)

    run(main())
