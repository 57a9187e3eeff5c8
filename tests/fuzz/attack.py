"""A real server between callers and providers that talk nonsense.

    python -m tests.fuzz.attack --seconds 300 [--seed N]

Every call that is a good one gets an answer in its own dialect, whatever the provider said;
no call that is none stops the server; and at the end it has let go of all it held, answers
good providers as ever, and has not grown. `Gate` looks at ledger, records and log.
"""

import argparse
import asyncio
import contextlib
import json
import random
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import nonsense
from tests.fuzz.parts import strictly
from tests.fuzz.speakers import CHECKS, DIALECTS, words_of
from tests.server import provider
from tests.server.caller import Line, Reply, canonical, events, request
from tests.server.check import error_of
from tests.server.gate import Gate, until
from tests.upstream_server import Exchange, Upstream

QUICK = "timeouts = { connect_s = 1.0, header_s = 0.3, idle_s = 0.3, total_s = 2.0 }"
PATHS = {
    "openai-chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "openai-responses": "/v1/responses",
    "gemini": "/v1beta/models/{model}:{verb}",
}
BUSY = 4
GROWTH_MB = 128
"""What a server may grow by while it is lied to: buffers and tables that fill up once."""
SPARE_FILES = 12


def config(ups: dict[str, Upstream], good: Upstream) -> str:
    """A provider for every dialect, and one that does not lie."""
    tables = [
        f"[providers.liar-{name}]\ndialect = '{name}'\nbase_url = '{up.url}'\n"
        f"api_key = 'env:UP_KEY'\n{QUICK}\n"
        for name, up in ups.items()
    ]
    tables.append(
        f"[providers.good]\ndialect = 'openai-chat'\nbase_url = '{good.url}'\n"
        "api_key = 'env:UP_KEY'\n"
    )
    return f"[server]\ndrain_s = 2.0\n{''.join(tables)}"


def liar(dialect: str, chance: Random) -> Any:
    """A provider that says something else each time."""

    async def play(exchange: Exchange) -> None:
        await nonsense.reply(dialect, chance)(exchange)

    return play


def question(face: str, model: str, stream: bool) -> tuple[str, bytes]:
    """Path and body of a good request."""
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    path = PATHS[face].format(model=model, verb=verb)
    turn = [{"role": "user", "content": "Hello"}]
    if face == "gemini":
        body: dict[str, Any] = {"contents": [{"parts": [{"text": "Hello"}]}]}
    elif face == "openai-responses":
        body = {"model": model, "input": "Hello", "stream": stream, "store": False}
    else:
        body = {"model": model, "messages": turn, "max_tokens": 50, "stream": stream}
    return path, json.dumps(body).encode()


def judge(reply: Reply, face: str, dialect: str) -> None:
    """An answer in the caller's dialect, or an error in it; never half a one."""
    assert reply.complete, "the answer was cut"
    if reply.status != 200:
        error_of(reply, face)
        return
    if not reply.headers["content-type"].startswith("text/event-stream"):
        strictly(reply.body)
        return
    for _, data in events(reply.body):
        if data.strip() != "[DONE]":
            strictly(data.encode())
    if face != words_of(DIALECTS[dialect]) and reply.body.strip():
        CHECKS[face](canonical(reply.body), arguments_valid=False)


async def ask(gate: Gate, chance: Random, number: int) -> None:
    """A good call for a provider that lies."""
    face, dialect = chance.choice(list(PATHS)), chance.choice(list(DIALECTS))
    # A model of its own each time: after five lies the breaker would spare us the rest.
    path, body = question(face, f"liar-{dialect}/m{number}", chance.random() < 0.7)
    said = b"nothing"
    try:
        async with Line(gate.port) as line:
            line.send(request("POST", path, body, [("connection", "close")]))
            reply = await line.reply()
        said = reply.raw
        judge(reply, face, dialect)
    except (AssertionError, TimeoutError, ValueError) as found:
        told = f"call {number}, {face} from {dialect}: {found!r}: {said[:2000]!r}"
        raise AssertionError(told) from found


async def babble(gate: Gate, chance: Random) -> None:
    """A call that is none; the server may answer what it likes, or hang up."""
    face = chance.choice(list(PATHS))
    path, body = question(face, "good/m", chance.random() < 0.5)
    async with Line(gate.port) as line:
        with contextlib.suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            line.send(nonsense.request(path, body, chance))
            async with asyncio.timeout(0.2):
                said = await line.reader.read(65536)
            assert not said or said.startswith(b"HTTP/1.1 "), said
        line.leave(hard=chance.random() < 0.5)


async def attack(folder: Path, seed: int, seconds: float, most: int = 10**9) -> dict[str, Any]:
    """Lie to a server from both sides for a while; what it cost it.

    Raises AssertionError with the seed where the server does not hold.
    """
    chance = Random(seed)
    async with contextlib.AsyncExitStack() as stack:
        ups = {
            name: await stack.enter_async_context(Upstream(liar(name, chance))) for name in DIALECTS
        }
        good = await stack.enter_async_context(Upstream(provider.whole("openai-chat")))
        gate = await stack.enter_async_context(Gate(folder, config(ups, good)))
        await still_serves(gate)
        files, memory = footprint(gate)
        asked = await lie(gate, chance, seconds, most)
        await still_serves(gate)
        await until(lambda: footprint(gate)[0] <= files + SPARE_FILES * len(ups), 30)
        grown = footprint(gate)[1] - memory
        assert grown <= GROWTH_MB, f"it grew by {grown} MB"
        heard = sum(len(up.book) for up in ups.values())
        return {"seed": seed, "asked": asked, "heard": heard, "grown_mb": grown}


async def lie(gate: Gate, chance: Random, seconds: float, most: int) -> int:
    """Ask and babble, several at a time."""
    loop = asyncio.get_running_loop()
    until_s, number = loop.time() + seconds, 0

    async def worker() -> None:
        nonlocal number
        while loop.time() < until_s and number < most:
            number += 1
            await (babble(gate, chance) if chance.random() < 0.3 else ask(gate, chance, number))

    async with asyncio.TaskGroup() as group:
        for _ in range(BUSY):
            group.create_task(worker())
    return number


async def still_serves(gate: Gate) -> None:
    """A good provider is heard, whole and translated."""
    for face in ("openai-chat", "anthropic"):
        reply = await gate.chat("good/m", face)
        assert reply.status == 200, reply.raw
        assert b"Hello, world!" in reply.body


def footprint(gate: Gate) -> tuple[int, int]:
    """Open files, and megabytes of memory."""
    own = Path(f"/proc/{gate.process.pid}")
    pages = int((own / "statm").read_text().split()[1])
    return len(list((own / "fd").iterdir())), pages * 4096 >> 20


def main() -> None:
    """Attack for as long as was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        print(asyncio.run(attack(Path(folder), asked.seed, asked.seconds)))


if __name__ == "__main__":
    main()
