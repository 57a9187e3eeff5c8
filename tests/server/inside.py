"""The same gateway inside the test's own loop, where its state can be looked at.

    async with inside(tmp_path, file(a=up), Quiet(after_s=0.1, step_s=0.02)) as gate:
        reply = await gate.chat("a/m")

On leaving, everything must be as before: no task, no descriptor, no open hold.
"""

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from octoplex.gateway import open_gateway
from octoplex.server.app import App
from octoplex.server.out import Quiet
from octoplex.server.serve import DoorServer, Options, bind, uvicorn_config
from octoplex.server.table import routes
from octoplex.settings import parse
from tests.server import caller
from tests.server.caller import Line, Reply
from tests.server.gate import APP_KEY, PATHS, UP_KEY, question, until


class Inside:
    """A gateway and its server, both in reach."""

    def __init__(self, app: App, port: int, connections: set[Any]) -> None:
        self.app, self.port, self.connections = app, port, connections
        self.works = app.gateway.works

    def line(self, **options: Any) -> Line:
        return Line(self.port, **options)

    def question(self, model: str, face: str = "openai-chat", **members: Any) -> bytes:
        return caller.request("POST", PATHS[face], question(model, **members))

    async def chat(self, model: str, face: str = "openai-chat", **members: Any) -> Reply:
        return await caller.ask(self.port, "POST", PATHS[face], question(model, **members))

    async def rows(self, count: int = 1) -> list[dict[str, Any]]:
        """The ledger's rows, once there are `count` and none is open."""
        await until(lambda: self.works.book.open_nano == 0)
        await self.works.store.drain()
        rows = self.works.store.reader.attempts()
        assert len(rows) == count, rows
        return rows


@contextlib.asynccontextmanager
async def inside(folder: Path, text: str, quiet: Quiet | None = None) -> AsyncIterator[Inside]:
    loop = asyncio.get_running_loop()
    strays: list[str] = []
    loop.set_exception_handler(lambda _, context: strays.append(repr(context)))
    before, tasks = len(os.listdir("/proc/self/fd")), asyncio.all_tasks()
    settings = parse(text)
    env = {"HOME": str(folder), "UP_KEY": UP_KEY, "APP_KEY": APP_KEY}
    place = bind(settings, Options(config=None, env=env, port=0))
    gateway = open_gateway(settings, env, folder / "data", address=place.url)
    app = App(gateway, routes(), gateway.works.faces)
    app.quiet = quiet or app.quiet
    server = DoorServer(uvicorn_config(app, settings), app)
    listening = asyncio.Event()
    serving = loop.create_task(server.run_until_signal(place, listening.set))
    try:
        await listening.wait()
        yield Inside(app, place.port, server.server_state.connections)
        await until(lambda: gateway.works.book.open_nano == 0)
        await until(lambda: not server.busy)
        assert not [s for s in gateway.works.health.targets.values() if s.open_calls]
    finally:
        server.should_exit = True
        await serving
        await gateway.works.close()
    await until(lambda: asyncio.all_tasks() == tasks)
    gc.collect()
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before + 1)
    assert not strays, strays
