"""A real gateway process on its own data folder, and everything a test wants to know of it.

    async with Gate(tmp_path, file(a=up)) as gate:
        reply = await gate.chat("a/m")
        assert await gate.rows() == [...]

On leaving it is told to stop, and then every invariant of `faults.md` is checked: exit
code 0, no traceback, no reservation left, the rows add up, one record per request, and
no secret in anything that the gateway wrote anywhere.
"""

import asyncio
import collections
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from octoplex.ledger import Reader, SpendQuery
from tests.server import caller, provider
from tests.server.caller import Line, Reply
from tests.server.nursery import PYTHON, Life, nursery
from tests.upstream_server import Upstream

OCTOPLEX = Path(sys.executable).with_name("octoplex")
UP_KEY = "c0ffee77ca9a12e4f1a9c0d7704be2d3"
"""Of no known form: only who knows it can mask it."""
APP_KEY = "oct-canary-caller-8be2f36a51"
QUERY_KEY = "canaryquery5d20c1"
CANARIES = (UP_KEY[4:].encode(), b"canary-caller-8be2f36a51", b"canaryquery5d20c1")
PATHS = {
    "openai-chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "openai-responses": "/v1/responses",
}
SPEAK = {"claude": "anthropic", "resp": "openai-responses", "gem": "gemini"}
"""How a provider's name begins -> its dialect; every other speaks `openai-chat`."""
QUICK = "timeouts = { connect_s = 1.0, header_s = 0.4, idle_s = 0.4 }"


def file(more: str = "", server: str = "", /, *, each: str = "", **ups: Upstream) -> str:
    """A configuration: providers by name, which says what they speak (`SPEAK`)."""
    tables = []
    for name, up in ups.items():
        tables.append(
            f"[providers.{name}]\ndialect = '{dialect_of(name)}'\n"
            f"base_url = '{up.url}'\napi_key = 'env:UP_KEY'\n{each}\n"
        )
    prices = "\n".join(f'"{name}/m" = {provider.PRICE}' for name in ups)
    return f"[server]\ndrain_s = 2.0\n{server}\n{''.join(tables)}\n[prices]\n{prices}\n{more}\n"


def route(name: str, *targets: str, more: str = "") -> str:
    tried = ", ".join(f'"{target}"' for target in targets)
    return f"[models.{name}]\ntry = [{tried}]\n{more}\n"


def dialect_of(name: str) -> str:
    found = (dialect for prefix, dialect in SPEAK.items() if name.startswith(prefix))
    return next(found, "openai-chat")


def question(model: str, *, stream: bool = False, **members: Any) -> bytes:
    body = {
        "model": model,
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "Hello"}],
        **({"stream": True} if stream else {}),
        **members,
    }
    return json.dumps(body).encode()


async def until(holds: Callable[[], Any], within_s: float = 5.0) -> None:
    loop = asyncio.get_running_loop()
    end_at = loop.time() + within_s
    while not holds():
        assert loop.time() < end_at, "it never came to hold"
        await asyncio.sleep(0.005)


class Gate:
    """One life of `octoplex serve`; `start` again after `kill` is the next one."""

    def __init__(
        self,
        folder: Path,
        text: str,
        *,
        key: str = "",
        clean: bool = True,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.folder, self.clean, self.env = folder, clean, env
        self.data = folder / "data"
        self.config = folder / "octoplex.toml"
        self.key = key
        self.seen: list[bytes] = []
        """Every response of the gateway, to look for secrets in."""
        self.lives = 0
        self.write(text)

    def write(self, text: str) -> None:
        place = f"data = '{self.data}'"
        text = text.replace("[server]\n", f"[server]\n{place}\n", 1)
        assert place in text, "the text must have a [server] table"
        self.config.write_text(text)

    async def __aenter__(self) -> "Gate":
        await self.start()
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.process.kill()
            self.process.wait()
            sys.stderr.write(self.log.read_text()[-3000:])
            return
        if self.process.poll() is None:
            code = await self.stop()
            assert code == 0, f"exit code {code}: {self.log.read_text()[-2000:]}"
        if self.clean:
            self.check()

    # -- its life ---------------------------------------------------------------------------

    def spawn(self, *more: str) -> Life | subprocess.Popen[bytes]:
        env = {
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "UP_KEY": UP_KEY,
            "APP_KEY": APP_KEY,
            "QUERY_KEY": QUERY_KEY,
            "OTHER_KEY": "oct-other-0f1e2d3c4b5a6978",
            **self.env,
        }
        self.lives += 1
        self.out = self.folder / f"stdout-{self.lives}"
        self.log = self.folder / f"stderr-{self.lives}"
        args = ["serve", "--config", str(self.config), "--port", "0", *more]
        with self.out.open("wb") as out, self.log.open("wb") as log:
            if not any(name.startswith(PYTHON) for name in self.env):
                return nursery().spawn(args, env, self.folder, out, log)
            return subprocess.Popen(
                [OCTOPLEX, *args],
                env=env, cwd=self.folder, stdout=out, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    async def start(self) -> None:
        self.process = self.spawn()
        pattern = re.compile(r"listening on http://127\.0\.0\.1:(\d+)\n")
        found: re.Match[str] | None = None

        def ready() -> bool:
            nonlocal found
            assert self.process.poll() is None, self.log.read_text()
            found = pattern.search(self.out.read_text())
            return found is not None

        await until(ready, 20)
        assert found is not None
        self.port = int(found[1])

    def hup(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    async def stop(self, within_s: float = 10.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        await until(lambda: self.process.poll() is not None, within_s)
        assert self.process.returncode is not None
        return self.process.returncode

    # -- asking it --------------------------------------------------------------------------

    def headers(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.key}")] if self.key else []

    def line(self, **options: Any) -> Line:
        return Line(self.port, **options)

    async def get(self, path: str, *headers: tuple[str, str]) -> Reply:
        reply = await caller.ask(self.port, "GET", path, None, [*self.headers(), *headers])
        self.seen.append(reply.raw)
        return reply

    async def post(self, path: str, body: bytes, *headers: tuple[str, str]) -> Reply:
        reply = await caller.ask(self.port, "POST", path, body, [*self.headers(), *headers])
        self.seen.append(reply.raw)
        return reply

    async def chat(self, model: str, face: str = "openai-chat", **members: Any) -> Reply:
        return await self.post(PATHS[face], question(model, **members))

    def question(self, model: str, face: str = "openai-chat", **members: Any) -> bytes:
        body = question(model, **members)
        return caller.request("POST", PATHS[face], body, self.headers())

    async def control(self, order: dict[str, Any]) -> Any:
        """A command over the operator's socket."""
        reader, writer = await asyncio.open_unix_connection(str(self.data / "control.sock"))
        writer.write(json.dumps(order).encode() + b"\n")
        answer = json.loads(await asyncio.wait_for(reader.readline(), 5))
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return answer

    # -- what it wrote ----------------------------------------------------------------------

    async def records(self, count: int = 1) -> list[dict[str, Any]]:
        """The newest records first, once there are `count` of them."""
        loop = asyncio.get_running_loop()
        end_at = loop.time() + 5
        while True:
            rows: list[dict[str, Any]] = (await self.get("/v1/requests?limit=1000")).json["data"]
            if len(rows) >= count:
                assert len(rows) == count, [r["id"] for r in rows]
                return rows
            assert loop.time() < end_at, f"{len(rows)} of {count} records"
            await asyncio.sleep(0.02)

    async def rows(self, count: int = 1) -> list[dict[str, Any]]:
        """The ledger's rows, once there are `count` and none is open."""
        loop = asyncio.get_running_loop()
        end_at = loop.time() + 5
        while True:
            rows = self.ledger()
            if len(rows) >= count and not any(r["state"] == "reserved" for r in rows):
                assert len(rows) == count, rows
                return rows
            assert loop.time() < end_at, rows
            await asyncio.sleep(0.02)

    def ledger(self) -> list[dict[str, Any]]:
        reader = Reader(self.data)
        try:
            return sorted(reader.attempts(), key=lambda r: (str(r["at"]), r["attempt"]))
        finally:
            reader.close()

    def spent(self) -> int:
        reader = Reader(self.data)
        try:
            return reader.spend(SpendQuery()).total_nano
        finally:
            reader.close()

    def check(self) -> None:
        """The invariants, once it has stopped."""
        for number in range(1, self.lives + 1):
            said = (self.folder / f"stderr-{number}").read_text()
            assert "Traceback" not in said, said[-3000:]
            assert "never retrieved" not in said, said[-3000:]
        rows = self.ledger()
        assert not [row for row in rows if row["state"] == "reserved"]
        assert sum(int(row["nano"]) for row in rows) == self.spent()
        reader = Reader(self.data)
        records = reader.requests(_everything())
        reader.close()
        twice = [i for i, n in collections.Counter(r.id for r in records).items() if n > 1]
        assert not twice, twice
        if self.lives == 1:
            assert {row["request_id"] for row in rows} <= {record.id for record in records}
        self.check_secrets()

    def check_secrets(self) -> None:
        """Nothing that the gateway said or wrote holds a key; where it lies is named."""
        ours = {self.config}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path not in ours:
                found = [c for c in CANARIES if c in path.read_bytes()]
                assert not found, f"{path} holds {found}"
        for said in self.seen:
            found = [c for c in CANARIES if c in said]
            assert not found, f"a response holds {found}: {said[:500]!r}"


def _everything() -> Any:
    from octoplex.ledger import Page

    return Page(limit=5_000_000)  # a soak of half an hour has 600,000
