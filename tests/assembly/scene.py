"""A gateway over a fake network, and what a test asks it.

async with opened(tmp_path, text, env, Script(...)) as at:
    answer = await at.ask("main", temperature=1)
    at.sent[0].wire
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octoplex.assembly.arrival import Arrival, read_call
from octoplex.assembly.works import Works
from octoplex.gateway import Gateway
from octoplex.ledger.postgres.database import Database
from octoplex.server.app import App
from octoplex.server.serve import Options, reload
from octoplex.server.table import routes
from octoplex.settings import load
from octoplex.transport.fake import Fake, Script
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Call

CHAT = json.dumps(
    {
        "id": "c",
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
).encode()
ANTHROPIC = json.dumps(
    {
        "id": "a",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
).encode()


@dataclass
class Scene:
    app: App
    fake: Fake
    options: Options

    @property
    def gateway(self) -> Gateway:
        return self.app.gateway

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The bodies that providers were sent."""
        return [json.loads(sent.request.body) for sent in self.fake.sent]

    async def reload(self, text: str) -> str:
        assert self.options.config is not None
        self.options.config.write_text(text)
        return await reload(self.app, self.options, asyncio.Lock())

    def call(self, model: str, face: str = "openai-chat", **members: Any) -> Call:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **members}
        arrival = Arrival(
            id="r1",
            face=self.gateway.works.faces[face],
            started_at=asyncio.get_running_loop().time(),
            patience=self.gateway.patience,
        )
        return read_call(arrival, json.dumps(body).encode())

    async def ask(self, model: str, face: str = "openai-chat", **members: Any) -> Answer:
        return await self.gateway.answer(self.call(model, face, **members))


@contextlib.asynccontextmanager
async def opened(
    folder: Path,
    text: str,
    env: Mapping[str, str],
    *scripts: Script,
    exposed: str = "",
    database: Database | None = None,
) -> AsyncIterator[Scene]:
    config = folder / "octoplex.toml"
    config.write_text(text)
    works = Works.open(folder / "data", env, "", exposed, database)
    fake = works.client = Fake(scripts or (Script(body=CHAT),))  # type: ignore[assignment]
    works.client.close = lambda: None  # type: ignore[method-assign]
    try:
        gateway = Gateway(load(config), works, works.keys_now())
        app = App(gateway, routes(), works.faces)
        yield Scene(app, fake, Options(config=config, env=env))  # type: ignore[arg-type]
    finally:
        await works.close()
