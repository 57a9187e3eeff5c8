"""A workspace, the arms with a mint of their own, and a way to have one step done."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from octoplex.agents.arms.joined import OURS, Means, arms_of
from octoplex.agents.capability import Mint
from octoplex.agents.words import Failed, Order, Outcome, World
from octoplex.sandbox.config import SandboxTable
from octoplex.transport.resolve import Address
from octoplex.wire.event import Reply, Text, Usage
from tests.sandbox.host import folder

ALLOW = ("read:workspace", "write:workspace/out", "run:python", "run:command")
ALL = ("read:workspace", "write:workspace", "run:python", "run:command", "run:sh")
Said = Any | Callable[[dict[str, Any]], Any]


class Model:
    """A scripted model: what it was shown, and what it says, in turn; the last for ever."""

    def __init__(self, *said: Said, nanos: int = 10) -> None:
        self.shown: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.turns: list[list[str]] = []
        self.most: list[int] = []
        self._said, self._nanos = list(said), nanos

    async def __call__(self, model: str, body: bytes) -> tuple[Reply, int]:
        call = msgspec.json.decode(body)
        self.told.append(call["messages"][0]["content"])
        self.most.append(call["max_completion_tokens"])
        self.turns.append([turn["role"] for turn in call["messages"]])
        data = call["messages"][1:]
        self.shown.append(msgspec.json.decode(data[0]["content"]) if data else {})
        said = self._said.pop(0) if len(self._said) > 1 else self._said[0]
        said = said(self.shown[-1]) if callable(said) else said
        text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
        usage = Usage(input_tokens=3, output_tokens=2)
        return Reply(
            id="r", model=model, blocks=(Text(text),), stop="end", usage=usage
        ), self._nanos


class Bench:
    """Arms that take tokens only, in one workspace."""

    def __init__(self, place: Path, networks: Sequence[str] = ()) -> None:
        self.place, self.mint = place, Mint()
        self.hosts: dict[str, str] = {}
        means = Means(self.mint.checker(), SandboxTable(networks=tuple(networks)), self._look_up)
        self.arms = arms_of((*OURS, "planner"), means)
        self.offers = {offer.name: offer for arm in self.arms.values() for offer in arm.offers}

    async def _look_up(self, host: str, port: int) -> list[Address]:
        if host not in self.hosts:
            raise OSError("no such name")
        return [(socket.AF_INET, (self.hosts[host], port))]

    async def step(
        self, action: str, inputs: dict[str, Any], allow: Sequence[str] = ALLOW, **more: Any
    ) -> Outcome:
        """Have a step done; a refusal is its outcome, as with the orchestrator."""
        world = World(
            ask=more.pop("ask", Model("")),
            workspace=self.place,
            allow=tuple(allow),
            **{name: more.pop(name) for name in ("screen", "memory") if name in more},
        )
        order = Order("t", "s", action, inputs, **{"nanos": 1_000, "model": "main", **more})
        try:
            token = self.mint.mint(order, self.offers[action], allow)
            return await self.arms[action.partition(".")[0]](replace(order, grant=token), world)
        except Failed as error:
            return Outcome(failure=error.failure, why=str(error))

    def do(self, action: str, *args: Any, **inputs: Any) -> Outcome:
        """The same, where no loop runs; `inputs` with a name of `Order` or `World` are these."""
        own = ("ask", "screen", "memory", "nanos", "seconds", "is_tainted", "seen")
        more = {name: inputs.pop(name) for name in own if name in inputs}
        return asyncio.run(self.step(action, inputs, *args, **more))


@contextlib.contextmanager
def workspace(**files: str) -> Iterator[Path]:
    """A workspace with these files; `__` in a name is a slash, and the last `_` a dot."""
    with folder("root") as path:
        for name, text in files.items():
            stem, _, end = name.replace("__", "/").rpartition("_")
            place = path / f"{stem}.{end}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        yield path


@contextlib.contextmanager
def site(pages: dict[str, tuple[int, str, str]]) -> Iterator[tuple[int, list[str]]]:
    """A web server: path -> status, type or where it leads, text. Its port; what was asked."""
    asked: list[str] = []

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.headers['host'].partition(':')[0]}{self.path}")
            status, kind, text = pages.get(self.path.partition("?")[0], (404, "text/plain", ""))
            self.send_response(status)
            self.send_header("location" if status // 100 == 3 else "content-type", kind)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield int(server.server_address[1]), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def nothing(*_: Any) -> Awaitable[None]:
    """Nobody is asked."""
    raise AssertionError("nobody is asked here")
