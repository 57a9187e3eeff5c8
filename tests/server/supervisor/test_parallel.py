"""S38, `N parallel`: so many requests of a key at a time, whichever worker has them."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octoplex.ledger.remote.messages import Hello, Said, ToOwner, Welcome
from octoplex.ledger.remote.store import RemoteStore
from octoplex.ledger.remote.wire import SOCKET, Wire
from octoplex.reflex.lent import LentDesk
from tests.server import provider
from tests.server.caller import Line
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, PATHS, Gate, file, route, until
from tests.server.supervisor.processes import behind, children, kill, owner, whole
from tests.upstream_server import Exchange, Upstream, head

MOST = 4
OTHER_KEY = "oct-other-0f1e2d3c4b5a6978"
KEYS = f"""
[keys.app]
secret = 'env:APP_KEY'
limits = '{MOST} parallel, 10k req/min'
tenant = 'acme'
[keys.other]
secret = 'env:OTHER_KEY'
tenant = 'acme'
[tenants.acme]
limits = '{MOST + 1} parallel'
"""
WORKERS = pytest.mark.parametrize("workers", [1, 3])


class Held:
    """A provider that begins each reply and ends it when it is told to."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.over = asyncio.Event()

    async def play(self, exchange: Exchange) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        exchange.bill(*provider.BILL)
        if b'"stream"' in exchange.entry.body:
            kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
            exchange.send(head(200, kind))
            first, second, *rest = provider.chat_events()
            exchange.chunk(first + second)
            await self._ended(exchange)
            exchange.chunk(b"".join(rest))
            exchange.send(b"0\r\n\r\n")
        else:
            await self._ended(exchange)
            await provider.whole("openai-chat")(exchange)
        self.now -= 1

    async def _ended(self, exchange: Exchange) -> None:
        waits = [asyncio.ensure_future(one.wait()) for one in (self.over, exchange.gone)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()


def text(up: Upstream, workers: int) -> str:
    return file(route("main", "a/m") + KEYS, f"workers = {workers}", a=up)


async def parallel(gate: Gate) -> dict[str, int]:
    """What is left, by tenant."""
    limits = (await gate.get("/v1/key")).json["limits"]
    return {one["tenant"]: one["remaining"] for one in limits if one["unit"] == "parallel"}


async def come_to_be(gate: Gate, wanted: dict[str, int]) -> None:
    end_at = asyncio.get_running_loop().time() + 10
    while (left := await parallel(gate)) != wanted:
        assert asyncio.get_running_loop().time() < end_at, left
        await asyncio.sleep(0.02)


async def streams(stack: AsyncExitStack, gate: Gate, held: Held, count: int) -> list[Line]:
    """Streams that have begun, each on a connection of its own."""
    wanted, lines = held.now + count, []
    for _ in range(count):
        line = await stack.enter_async_context(gate.line())
        line.send(gate.question("main", stream=True))
        lines.append(line)
    await until(lambda: held.now == wanted, 10)
    return lines


@WORKERS
def test_s38_so_many_at_a_time_and_the_next_when_one_has_ended(
    tmp_path: Path, run: Run, workers: int
) -> None:
    async def main() -> None:
        held = Held()
        async with (
            Upstream(held.play) as up,
            Gate(tmp_path, text(up, workers), key=APP_KEY) as gate,
            AsyncExitStack() as stack,
        ):
            first, *rest = await streams(stack, gate, held, MOST)
            assert await parallel(gate) == {"": 0, "acme": 1}
            for face in ("openai-chat", "anthropic"):
                for stream in (False, True):
                    more: Any = {"stream": True} if stream else {}
                    reply = await gate.chat("main", face, **more)
                    assert reply.status == 429, reply.body
                    assert b"limit of 4 parallel requests is reached" in reply.body
                    assert reply.headers["retry-after"] == "1"
            gate.key = OTHER_KEY  # bound by its tenant alone, of which one is left
            rest += await streams(stack, gate, held, 1)
            reply = await gate.chat("main")
            assert reply.status == 429
            assert b"acme's limit of 5 parallel" in reply.body
            assert len(up.book) == MOST + 1
            gate.key = APP_KEY
            first.leave(hard=True)
            await come_to_be(gate, {"": 1, "acme": 1})
            held.over.set()
            for line in rest:
                assert (await line.reply()).complete
            await come_to_be(gate, {"": MOST, "acme": MOST + 1})
            assert held.most == MOST + 1
            await gate.rows(MOST + 1)

    run(main())


@WORKERS
def test_s38_a_herd_never_passes_it_and_leaves_nothing_taken(
    tmp_path: Path, run: Run, workers: int
) -> None:
    async def main() -> None:
        held = Held()
        async with (
            Upstream(held.play) as up,
            Gate(tmp_path, text(up, workers), key=APP_KEY) as gate,
        ):
            asked = [asyncio.create_task(gate.chat("main", stream=n % 2 == 0)) for n in range(40)]
            await until(lambda: sum(one.done() for one in asked) == 40 - MOST, 15)
            await until(lambda: held.most == MOST, 15)
            held.over.set()
            statuses = [(await one).status for one in asked]
            assert sorted(statuses) == [200] * MOST + [429] * (40 - MOST)
            assert held.most == MOST
            await come_to_be(gate, {"": MOST, "acme": MOST + 1})
            for _ in range(3 * MOST):  # what fails is not running any more
                assert (await gate.chat("nowhere/m")).status in (400, 404)
                body = b'{"model": "main", "messages": [1]}'
                await gate.post(PATHS["anthropic"], body)
            assert await parallel(gate) == {"": MOST, "acme": MOST + 1}
            await gate.rows(len(up.book))

    run(main())


def test_s38_what_a_killed_worker_had_running_is_over(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        held = Held()
        async with (
            Upstream(held.play) as up,
            Gate(tmp_path, text(up, 3), key=APP_KEY, clean=False) as gate,
            AsyncExitStack() as stack,
        ):
            lines = await streams(stack, gate, held, MOST)
            gone = behind(gate, lines[0])
            left = [line for line in lines if behind(gate, line) != gone]
            kill(gone)
            await until(lambda: whole(gate, 3), 10)
            await come_to_be(gate, {"": MOST - len(left), "acme": MOST + 1 - len(left)})
            held.over.set()
            for line in left:
                assert (await line.reply()).complete
            await come_to_be(gate, {"": MOST, "acme": MOST + 1})

    run(main())


def test_s38_the_next_owner_goes_on_counting(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        held = Held()
        async with (
            Upstream(held.play) as up,
            Gate(tmp_path, text(up, 3), key=APP_KEY, clean=False) as gate,
            AsyncExitStack() as stack,
        ):
            lines = await streams(stack, gate, held, MOST)
            for number in range(3):
                old = owner(gate)
                kill(old)
                lines.pop().leave(hard=True)  # while there is no owner
                await until(lambda gone=old: gone not in children(gate))  # type: ignore[misc]
                await come_to_be(gate, {"": number + 1, "acme": number + 2})
            lines += await streams(stack, gate, held, MOST - 1)
            assert (await gate.chat("main")).status == 429
            held.over.set()
            for line in lines:
                assert (await line.reply()).complete
            await come_to_be(gate, {"": MOST, "acme": MOST + 1})

    run(main())


def test_s38_what_ends_while_the_next_owner_takes_it_up_is_told(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        said: list[Any] = []
        ends: list[Wire] = []

        def hear(wire: Wire, message: Any) -> None:
            said.append(message)
            if isinstance(message, Hello):
                ends.append(wire)
                if not message.entered:
                    wire.send(Welcome(None))
            elif message.what == "crowd.enter":
                wire.send(Said(message.ask, b"\xc0"))

        decode = msgspec.msgpack.Decoder(list[ToOwner]).decode
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: Wire(decode, hear, lambda _: None), str(tmp_path / SOCKET)
        )
        store = RemoteStore(tmp_path)
        await store.connect()
        desk = LentDesk(store)
        over, still = [await desk.enter("app"), await desk.enter("app")]
        ends[0].close()
        await until(lambda: len(ends) == 2)
        assert said[-1].entered == ((1, "app"), (2, "app"))
        over()  # before it is heard that there is an owner
        ends[1].send(Welcome(None))
        await until(lambda: getattr(said[-1], "what", "") == "crowd.leave")
        assert msgspec.msgpack.decode(said[-1].args) == [1]
        still()
        await until(lambda: msgspec.msgpack.decode(said[-1].args) == [2])
        store.close()
        server.close()

    run(main())
