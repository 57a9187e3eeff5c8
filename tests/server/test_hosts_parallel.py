"""`20 parallel` over several hosts that share a PostgreSQL."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.ledger.postgres import Server
from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import Gate, until
from tests.server.test_hosts import Hosts
from tests.server.test_hosts import server as server
from tests.upstream_server import Exchange, Upstream

LIMIT = 20
LEASED = "select coalesce(sum(nano), 0) from octoplex.leases where account like 'key running %'"


class Turn:
    """A provider that answers when it may, and counts whom it answers at a time."""

    def __init__(self) -> None:
        self.go, self.now, self.most = asyncio.Event(), 0, 0
        self._answer = provider.whole("openai-chat")

    async def __call__(self, exchange: Exchange) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await self.go.wait()
        self.now -= 1
        await self._answer(exchange)


@pytest.mark.parametrize("more", ["", "workers = 2\n"])
def test_never_more_than_the_limit_and_none_less(
    tmp_path: Path, run: Run, server: Server, more: str
) -> None:
    async def main() -> None:
        turn = Turn()
        async with (
            Upstream(turn) as up,
            Hosts(tmp_path, server, up, f"{LIMIT} parallel", more) as hosts,
        ):
            await hosts.start(2)
            for _ in range(2):
                turn.go.clear()
                asking = asyncio.create_task(hosts.asked(60))
                await until(lambda: turn.now == LIMIT, 20)
                await asyncio.sleep(0.5)  # a refusal takes as long as other hosts may take
                turn.go.set()
                statuses = [reply.status for reply in await asking]
                assert set(statuses) == {200, 429}
                assert turn.most == LIMIT
                assert statuses.count(200) >= LIMIT
            # One host is given all of it, though the other had a part.
            turn.go.clear()
            gate = hosts.gates[1]
            asking = asyncio.gather(*[gate.chat("main") for _ in range(LIMIT)])
            await until(lambda: turn.now == LIMIT, 20)
            refused = await hosts.gates[0].chat("main")
            assert refused.status == 429
            assert b"limit of 20 parallel" in refused.body
            shown = (await gate.get("/v1/key")).json["limits"]
            turn.go.set()
            assert {reply.status for reply in await asking} == {200}
            assert json.dumps(shown).count("parallel")

    run(main())


def test_what_a_host_ran_that_is_gone_runs_no_more(
    tmp_path: Path, run: Run, server: Server
) -> None:
    async def main() -> None:
        turn = Turn()
        async with (
            Upstream(turn) as up,
            Hosts(tmp_path, server, up, f"{LIMIT} parallel") as hosts,
        ):
            await hosts.start(2)
            dead, alive = hosts.gates
            lost = [asyncio.create_task(dead.chat("main")) for _ in range(LIMIT)]
            await until(lambda: turn.now == LIMIT, 20)
            assert (await alive.chat("main")).status == 429
            dead.kill()
            await asyncio.gather(*lost, return_exceptions=True)
            assert (await alive.chat("main")).status == 429, "nobody knows yet"
            bury = f"""select octoplex.bury(id, beat) from octoplex.hosts
                where id = '{identity(dead)}'"""
            await hosts.sql(bury)  # as it would when its beat has stood still for 30 s
            turn.go.set()
            replies = await asyncio.gather(*[alive.chat("main") for _ in range(LIMIT)])
            assert {reply.status for reply in replies} == {200}

    run(main())


def identity(gate: Gate) -> str:
    return (gate.data / "host").read_text().strip()
